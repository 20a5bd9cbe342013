"""What the engine wants done: events to send, in order, and effects for whoever runs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from attrs import frozen

from jackfield_local.engine.ids import IdSource
from jackfield_local.engine.mcp_tools import McpServer
from jackfield_local.engine.media import PCM, Media
from jackfield_local.engine.response import Response

__all__ = [
    "CallTool",
    "Effect",
    "Halt",
    "Hangup",
    "ListTools",
    "Outbox",
    "Prepare",
    "Recognize",
    "Respond",
    "WatchIdle",
]


@frozen
class Recognize:
    """Find out what was said in `audio`, and tell the engine by `recognized`."""

    item_id: str
    audio: bytes
    media: Media = PCM

    @property
    def pcm(self) -> bytes:
        """The audio as PCM16 mono at 24,000 Hz: work for whoever listens, and not for the event loop."""
        return self.media.to_pcm(self.audio)


@frozen
class Prepare:
    """Get ready to recognise: what may be said has changed with the session's settings."""


@frozen
class ListTools:
    """Get the tools of a hosted server, and tell the engine by `listed`; `for_response`: a response waits for them."""

    server: McpServer
    item_id: str
    for_response: bool


@frozen
class CallTool:
    """Call a tool of a hosted server, and tell the engine by `called`; `item_id` is the `mcp_call` item's."""

    server: McpServer
    item_id: str
    name: str
    arguments: Mapping[str, Any]


@frozen
class Respond:
    """Produce this response: write to it, then tell the engine by `finish`."""

    response: Response


@frozen
class Halt:
    """Stop producing this response, which has been cancelled; its last events are already written."""

    response_id: str


@frozen
class WatchIdle:
    """Call `idle_elapsed` in `seconds`; None: don't. It replaces what was asked for before."""

    seconds: float | None


@frozen
class Hangup:
    """Close the connection with this WebSocket close code and reason, after the events before it."""

    code: int
    reason: str


Effect: TypeAlias = Recognize | Prepare | ListTools | CallTool | Respond | Halt | WatchIdle | Hangup


class Outbox:
    """Collects events and effects until they are taken."""

    def __init__(self, ids: IdSource) -> None:
        self.ids = ids
        self._events: list[dict[str, Any]] = []
        self._effects: list[Effect] = []

    def emit(self, kind: str, **fields: Any) -> None:
        """Send a server event of type `kind`."""
        self._events.append(self.make(kind, **fields))

    def emit_bare(self, kind: str, **fields: Any) -> None:
        """Send a server event of a type that has no `event_id`."""
        self._events.append({"type": kind, **fields})

    def make(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Return a server event of type `kind`, for who isn't all clients."""
        return {"type": kind, "event_id": self.ids.event(), **fields}

    def effect(self, effect: Effect) -> None:
        """Have something done."""
        self._effects.append(effect)

    def take_events(self) -> list[dict[str, Any]]:
        """Return the events since the last call."""
        events, self._events = self._events, []
        return events

    @property
    def has_effects(self) -> bool:
        """Whether something is to be done."""
        return bool(self._effects)

    def take_effects(self) -> list[Effect]:
        """Return the effects since the last call."""
        effects, self._effects = self._effects, []
        return effects
