"""One WebSocket connection: the record of it that tests read, and the channel that a session speaks through."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from jackfield_local.engine.ids import IdSource
from jackfield_local.faults import Abort, Action, Close, FrameFilter, HalfClose, Pause, Raw

__all__ = ["Connection", "ConnectionEndedError", "RequestHeaders", "WebSocketChannel"]

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


class Connection:
    """What happened on one connection, and a hand on it.

    `received` are the client's events and `sent` the server's, in order, as they were on the wire; both stay empty
    where the server doesn't record. `close_code` and `close_reason` are those of the close frame, whichever side sent
    it: 1006 where there was none, None while the connection is open.
    """

    def __init__(
        self,
        *,
        path: str,
        query: Mapping[str, str],
        request_headers: RequestHeaders,
        subprotocol: str | None = None,
        record: bool = True,
    ) -> None:
        self.path = path
        self.query = query
        self.request_headers = request_headers
        self.subprotocol = subprotocol
        self.received: list[dict[str, Any]] = []
        self.sent: list[dict[str, Any]] = []
        self.close_code: int | None = None
        self.close_reason = ""
        self._record = record
        self._counts: dict[str, Counter[str]] = {"received": Counter(), "sent": Counter()}
        self._news = asyncio.Event()
        self._channel: WebSocketChannel | None = None

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
        channel = self._open_channel()
        if isinstance(event, Mapping):
            await channel.write({"event_id": channel.ids.event(), **event})
        else:
            await channel.perform(Raw(event))

    async def drop(self) -> None:
        """Break the connection: no close frame, no goodbye."""
        await self._open_channel().perform(Abort())

    async def half_close(self) -> None:
        """Stop sending, on the TCP level; the client's frames are still read."""
        await self._open_channel().perform(HalfClose())

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection as the server would."""
        await self._open_channel().close(code, reason)

    def attach(self, channel: WebSocketChannel) -> None:
        """Give the record its channel; the server does so."""
        self._channel = channel

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

    def _open_channel(self) -> WebSocketChannel:
        if self._channel is None or self.closed:
            raise ConnectionEndedError(f"The connection is over ({self.close_code} {self.close_reason!r}).")
        return self._channel

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


class WebSocketChannel:
    """A session's way to a WebSocket client, with the faults that were asked for in between."""

    def __init__(self, websocket: WebSocket, connection: Connection, filters: Sequence[FrameFilter]) -> None:
        self.ids = IdSource()
        self._websocket = websocket
        self._connection = connection
        self._filters = filters
        self._encode: Callable[[Any], bytes] = msgspec.json.Encoder().encode
        connection.attach(self)

    async def receive(self) -> str | bytes | None:
        """Return the next frame, None once the connection is over."""
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            # 1005 is how "no close frame" is told here; on the wire that is 1006 to the one who waited for it.
            code = message.get("code", 1006)
            self._connection.note_closed(1006 if code == 1005 else code, message.get("reason") or "")
            return None
        text: str | None = message.get("text")
        if text is None:
            data: bytes = message["bytes"]
            return data
        return text

    def heard(self, event: dict[str, Any]) -> None:
        """Record an event of the client."""
        self._connection.note("received", event)

    async def send(self, event: dict[str, Any]) -> None:
        """Send an event, through the faults. Raises `ConnectionEndedError` where the client is gone."""
        if not self._filters:
            await self.write(event)
            return
        actions: list[Action] = [event]
        for apply in self._filters:
            actions = [result for action in actions for result in apply(action)]
        for action in actions:
            await self.perform(action)

    async def perform(self, action: Action) -> None:
        """Carry out one action of a fault."""
        match action:
            case dict():
                await self.write(action)
            case Raw(data):
                message = {"type": "websocket.send", "text" if isinstance(data, str) else "bytes": data}
                await self._send(message)
            case Pause(seconds):
                await asyncio.sleep(seconds)
            case Close(code, reason):
                await self.close(code, reason)
                raise ConnectionEndedError("Closed by a fault.")
            case HalfClose():
                self._transport().get_extra_info("socket").shutdown(socket.SHUT_WR)
            case Abort():
                self._connection.note_closed(1006, "")
                self._transport().abort()

    async def write(self, event: dict[str, Any]) -> None:
        """Send an event as it is."""
        await self._send({"type": "websocket.send", "text": self._encode(event).decode()})
        self._connection.note("sent", event)

    async def close(self, code: int, reason: str) -> None:
        """Send a close frame; a reason that doesn't fit into one is cut."""
        reason = reason.encode()[:123].decode(errors="ignore")
        self._connection.note_closed(code, reason)
        await self._send({"type": "websocket.close", "code": code, "reason": reason})

    async def _send(self, message: dict[str, Any]) -> None:
        try:
            await self._websocket.send(message)
        except (WebSocketDisconnect, RuntimeError, OSError) as error:
            raise ConnectionEndedError("The client is gone.") from error

    def _transport(self) -> asyncio.Transport:
        transport: asyncio.Transport = self._websocket.scope["state"]["transport"]
        return transport
