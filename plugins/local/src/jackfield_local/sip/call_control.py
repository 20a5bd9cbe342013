"""A hand on a phone call, for its record: what a test sends goes to the sidebands, and what it ends is the call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jackfield_local.engine.ids import IdSource
from jackfield_local.faults import Abort, Action, Close

__all__ = ["CallControl"]


class CallControl:
    """`announce` sends an event to all sidebands, `end` ends the call with a code and a reason."""

    def __init__(self, announce: Callable[[dict[str, Any]], None], end: Callable[[int, str], None]) -> None:
        self.ids = IdSource()
        self._announce = announce
        self._end = end

    async def write(self, event: dict[str, Any]) -> None:
        """Send an event."""
        self._announce(event)

    async def perform(self, action: Action) -> None:
        """Do what can be done to a call: it has no frames, and no halves."""
        match action:
            case dict():
                self._announce(action)
            case Close(code, reason):
                self._end(code, reason)
            case Abort():
                self._end(1006, "")
            case _:
                raise NotImplementedError(f"{type(action).__name__} is for connections that have frames")

    async def close(self, code: int, reason: str) -> None:
        """Hang up."""
        self._end(code, reason)
