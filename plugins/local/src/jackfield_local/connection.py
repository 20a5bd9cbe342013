"""One client's connection as tests see it: a record of what went over it, and a hand on it.

The server writes the record and gives it a channel (`channel`), through which the hand works.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from jackfield_local.engine.ids import IdSource
from jackfield_local.faults import Abort, Action, HalfClose, Raw

__all__ = ["ChannelControl", "Connection", "ConnectionEndedError", "RequestHeaders"]

_SECRET_HEADERS: Final = {"authorization", "api-key", "cookie", "sec-websocket-protocol"}


class ConnectionEndedError(ConnectionError):
    """The connection is over, and what was to be done or waited for can't happen any more."""


class RequestHeaders(Mapping[str, str]):
    """The headers of a request: names in any case, and no credential in the repr."""

    def __init__(self, headers: Sequence[tuple[str, str]]) -> None:
        self._headers = {name.lower(): value for name, value in headers}

    def __getitem__(self, name: str) -> str:
        return self._headers[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._headers)

    def __len__(self) -> int:
        return len(self._headers)

    def __repr__(self) -> str:
        shown = {name: "***" if name in _SECRET_HEADERS else value for name, value in self._headers.items()}
        return f"RequestHeaders({shown!r})"


class ChannelControl(Protocol):
    """What a record needs of its channel, to have a hand on the connection."""

    @property
    def ids(self) -> IdSource:
        """Makes the ids of events that no session sends."""
        ...

    async def write(self, event: dict[str, Any]) -> None:
        """Send an event as it is."""
        ...

    async def perform(self, action: Action) -> None:
        """Do what a fault might do."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """Close the connection."""
        ...


class Connection:
    """What happened on one connection, and a hand on it.

    A connection is a WebSocket, or a WebRTC call, whose events go over its data channel, or a phone call, which has
    events on its sidebands only, and the address that was called as its `path`; `call_id` is that of the call, also
    where a WebSocket joined one. `received` are the client's events and `sent` the server's, in order, as they
    were on the wire; both stay empty where the server doesn't record. `close_code` and `close_reason` are those of the
    close frame, whichever side sent it: 1006 where there was none, None while the connection is open. A call has no
    close frames: it is 1000 where it was hung up by either side, 1001 where it expired, 1006 where it broke.
    """

    def __init__(
        self,
        *,
        path: str,
        query: Mapping[str, str],
        request_headers: RequestHeaders,
        subprotocol: str | None = None,
        call_id: str | None = None,
        record: bool = True,
    ) -> None:
        self.path = path
        self.query = query
        self.request_headers = request_headers
        self.subprotocol = subprotocol
        self.call_id = call_id
        self.received: list[dict[str, Any]] = []
        self.sent: list[dict[str, Any]] = []
        self.close_code: int | None = None
        self.close_reason = ""
        self._record = record
        self._counts: dict[str, Counter[str]] = {"received": Counter(), "sent": Counter()}
        self._news = asyncio.Event()
        self._channel: ChannelControl | None = None

    @property
    def closed(self) -> bool:
        """Whether the connection is over."""
        return self.close_code is not None

    async def received_event(self, kind: str, count: int = 1) -> dict[str, Any]:
        """Wait for the client's `count`-th event of type `kind` and return it.

        Raises `ConnectionEndedError` where the connection ends without it.
        """
        return await self._wait_for(self.received, kind, count, "received")

    async def sent_event(self, kind: str, count: int = 1) -> dict[str, Any]:
        """Wait until the server has sent its `count`-th event of type `kind` and return it; raises likewise."""
        return await self._wait_for(self.sent, kind, count, "sent")

    async def wait_closed(self) -> int:
        """Wait for the end of the connection and return its close code."""
        while self.close_code is None:
            await self._news.wait()
        return self.close_code

    async def inject(self, event: Mapping[str, Any] | str | bytes) -> None:
        """Send something that no session would: an event (an `event_id` is added where it has none) or a raw frame."""
        channel = await self._open_channel()
        if isinstance(event, Mapping):
            await channel.write({"event_id": channel.ids.event(), **event})
        else:
            await channel.perform(Raw(event))

    async def drop(self) -> None:
        """Break the connection: no close frame, no goodbye."""
        await (await self._open_channel()).perform(Abort())

    async def half_close(self) -> None:
        """Stop sending, on the TCP level; the client's frames are still read."""
        await (await self._open_channel()).perform(HalfClose())

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection as the server would."""
        await (await self._open_channel()).close(code, reason)

    def attach(self, channel: ChannelControl) -> None:
        """Give the record its channel; the server does so."""
        self._channel = channel
        self._tell()

    def note(self, direction: str, event: dict[str, Any]) -> None:
        """Record an event; the channel does so."""
        if self._record:
            (self.received if direction == "received" else self.sent).append(event)
            self._counts[direction][str(event.get("type"))] += 1
            self._tell()

    def note_closed(self, code: int, reason: str) -> None:
        """Record the end; the channel does so. The first to be recorded counts."""
        if self.close_code is None:
            self.close_code = code
            self.close_reason = reason
            self._tell()

    def __repr__(self) -> str:
        state = "open" if self.close_code is None else f"closed {self.close_code}"
        return f"Connection({self.path!r}, {state}, received={len(self.received)}, sent={len(self.sent)})"

    async def _wait_for(self, events: list[dict[str, Any]], kind: str, count: int, direction: str) -> dict[str, Any]:
        while self._counts[direction][kind] < count:
            if self.closed:
                seen = self._counts[direction][kind]
                raise ConnectionEndedError(
                    f"The connection ended ({self.close_code} {self.close_reason!r}) with {seen} of {count} "
                    f"{kind!r} events {direction}."
                )
            await self._news.wait()
        return [event for event in events if event.get("type") == kind][count - 1]

    async def _open_channel(self) -> ChannelControl:
        """Return the channel, once there is one: a call is answered before its data channel opens."""
        while self._channel is None and not self.closed:
            await self._news.wait()
        if self._channel is None or self.closed:
            raise ConnectionEndedError(f"The connection is over ({self.close_code} {self.close_reason!r}).")
        return self._channel

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
