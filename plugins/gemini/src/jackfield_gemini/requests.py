"""Asking for responses, one at a time: what was asked for, what has to wait, and what is asked for already.

The provider answers by itself what it is told in full: a message, an end of the user's turn, the answers to function
calls. Somebody who asks for a response after one of these has asked for nothing new. Where a response is active a
request waits: the provider would take it for an interruption.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from attrs import define

from jackfield.transport import ResponseLostError

__all__ = ["REQUESTED_SECONDS", "TURN_SECONDS", "Requests", "lost_response"]

REQUESTED_SECONDS: Final = 30.0
"""How long the provider may leave a request unanswered before it is taken for lost."""
TURN_SECONDS: Final = 5.0
"""The same, for the end of a turn in which perhaps nothing was said."""

_AT_ONCE: Final = 2.0
"""Seconds within which a request follows the answers that it is for, whatever the provider has said by then."""

Asked: TypeAlias = Literal["request", "turn"]


@define(eq=False)
class Requests:
    """What was asked of the provider."""

    asked: Asked | None = None
    """What is under way: a `request` for a response, or the end of a `turn`, which may amount to nothing."""
    lost_at: float = 0.0
    """When it is taken for lost."""
    waits: bool = False
    """Whether a request waits for the active response to end, or for what comes of the user's turn."""
    covered_at: float | None = None
    """When something was sent that the provider goes on from by itself, or won't at all: who then asks for a response
    has asked for nothing new."""
    ended: bool = False
    """Whether a response has ended since."""
    doubtful: bool = False
    """Whether it went to a socket that was lost since."""
    silenced: bool = False
    """Whether what was asked for is not wanted any more: it is told to nobody."""

    def sent(self, asked: Asked, now: float, seconds: float = REQUESTED_SECONDS) -> None:
        """Note that something was sent that the provider answers, as a rule within so many `seconds`."""
        self.asked, self.lost_at = asked, now + seconds
        self.waits = self.silenced = self.doubtful = False
        self.covered_at = None

    def answered(self) -> bool:
        """Note that a response began; return whether it is not wanted any more."""
        if self.asked == "turn":
            self.waits = False  # that was for this response
        silenced, self.asked, self.silenced = self.silenced, None, False
        return silenced

    def taken_back(self) -> None:
        """Note that what was asked for won't be answered."""
        self.asked, self.silenced = None, False

    def cover(self, now: float) -> None:
        """Note that the request which is about to come is for what the provider does, or won't do, without it."""
        self.covered_at, self.ended = now, False

    def take_cover(self, now: float) -> bool:
        """Return, once, whether a request is that one. A request that comes late is not: the answer has been given."""
        covered_at, self.covered_at = self.covered_at, None
        return covered_at is not None and (not self.ended or now - covered_at <= _AT_ONCE)

    @property
    def deadline(self) -> float | None:
        """When what was asked for is taken for lost."""
        return None if self.asked is None else self.lost_at


def lost_response(how: str) -> ResponseLostError:
    """Return what is told of a response that won't come."""
    return ResponseLostError(f"a response was asked for {how}: it was given up; ask again")
