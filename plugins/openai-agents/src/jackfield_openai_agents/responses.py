"""What is known of the responses of one connection: which one is open, which run beside the conversation, which spoke.

A session of the SDK goes by the ids of responses: one that began without an id has to end without one.
"""

from __future__ import annotations

from typing import Final

__all__ = ["Responses"]

_REMEMBERED: Final = 64


class Responses:
    """The responses of one connection."""

    def __init__(self) -> None:
        self._open: str | None = None
        """The response of the conversation that is being generated: there is one at a time. "" where it has no id."""
        self._beside: dict[str, None] = {}
        self._spoke: dict[str, None] = {}
        self._cancelled: str | None = None

    def began(self, response_id: str, *, in_conversation: bool) -> str | None:
        """Note that a response began; return its id, None where it has none."""
        if not in_conversation:
            _remember(self._beside, response_id)
        else:
            self._open = response_id
        return response_id or None

    def ended(self, response_id: str) -> str | None:
        """Note that a response of the conversation ended; return the id that it began with, None where it had none."""
        if self._open is not None and self._open in ("", response_id):
            began_as, self._open = self._open, None
            return began_as or None
        return response_id or None

    def is_beside(self, response_id: str) -> bool:
        """Tell whether a response is none of the conversation's (out of band)."""
        return response_id in self._beside

    def of(self, response_id: str) -> str:
        """Return the id that a part of a response belongs to: that of the open one where none was told."""
        return response_id or self._open or ""

    def is_open(self, response_id: str | None = None) -> bool:
        """Tell whether this response, or any, is being generated."""
        return self._open is not None and response_id in (None, self._open)

    def spoke(self, response_id: str) -> None:
        """Note that a response has audio."""
        if response_id not in self._spoke:
            _remember(self._spoke, response_id)

    def has_spoken(self, response_id: str) -> bool:
        """Tell whether a response has audio."""
        return response_id in self._spoke

    def cancel(self, response_id: str) -> bool:
        """Note that a response is being cancelled; return False where it needn't be: it is over, or was before."""
        if not self.is_open(response_id) or self._cancelled == response_id:
            return False
        self._cancelled = response_id
        return True

    def not_cancelled(self, response_id: str) -> None:
        """Note that the cancelling failed, so that it can be tried again."""
        if self._cancelled == response_id:
            self._cancelled = None

    def retire(self, response_id: str) -> None:
        """Forget what was remembered of a response that is over."""
        self._spoke.pop(response_id, None)


def _remember(known: dict[str, None], response_id: str) -> None:
    known[response_id] = None
    while len(known) > _REMEMBERED:
        del known[next(iter(known))]
