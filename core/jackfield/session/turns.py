"""Responses, from the session's side: which agent owns each, and what is still open of it."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define

from jackfield.bounded import remember

from .settings import PreparedAgent

__all__ = ["Turn", "Turns"]

_MOST_TURNS = 64
"""Responses that are open at a time. A far end that ends none of them costs the oldest."""


@define(eq=False)
class Turn:
    """One response: who gives it, and which of its calls are still open."""

    response_id: str
    owner: PreparedAgent
    open_calls: int = 0
    answer: bool = False
    """Whether the model is to go on once all calls are answered."""
    done: bool = False
    hosted_calls: bool = False
    """Whether a hosted call of it ended: what it brought is to be answered when the response has ended."""
    handed_over: bool = False
    """Whether a handoff of this response was taken: a second one comes too late."""


class Turns:
    """The open responses of one session. `current` returns the agent that has the conversation now."""

    def __init__(self, current: Callable[[], PreparedAgent]) -> None:
        self._current = current
        self._turns: dict[str, Turn] = {}
        self._over: dict[str, PreparedAgent] = {}
        """Responses of which nothing is open any more, and who gave them: a call may come late."""
        self.newest = ""
        """The id of the response that began last."""

    def begin(self, response_id: str, *, in_conversation: bool = True) -> Turn:
        """Note that a response began."""
        if in_conversation:
            self.newest = response_id
        return self.of(response_id)

    @property
    def active(self) -> Turn | None:
        """The conversation's response that has not ended yet."""
        turn = self._turns.get(self.newest)
        return None if turn is None or turn.done else turn

    def of(self, response_id: str) -> Turn:
        """Return a response; one that isn't known belongs to the agent that has the conversation now."""
        turn = self._turns.get(response_id)
        if turn is None:
            owner = self._over.get(response_id)
            turn = Turn(response_id, owner or self._current(), done=owner is not None)
            if not response_id:  # nothing ties it to another one that has none either
                return turn
            remember(self._turns, response_id, turn, _MOST_TURNS)
        return turn

    def forget(self, turn: Turn) -> None:
        """Let go of a response of which nothing is open any more."""
        self._turns.pop(turn.response_id, None)
        if turn.response_id:
            remember(self._over, turn.response_id, turn.owner, _MOST_TURNS)
