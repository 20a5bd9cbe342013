"""A session's way to one client: events as frames over a wire, with the faults that were asked for in between.

A wire is a WebSocket (here), or the data channel of a call (`webrtc`).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from jackfield_local.connection import Connection, ConnectionEndedError
from jackfield_local.engine.errors import ApiError
from jackfield_local.engine.ids import IdSource
from jackfield_local.faults import Abort, Action, Close, FrameFilter, HalfClose, Pause, Raw

__all__ = ["ClientChannel", "FrameTooLargeError", "WebSocketWire", "Wire"]


class FrameTooLargeError(ValueError):
    """The client takes no frame of that size."""


class Wire(Protocol):
    """What carries frames to one client and back."""

    async def receive(self) -> str | bytes | None:
        """Return the next frame, None once the connection is over."""
        ...

    async def send(self, frame: str | bytes) -> None:
        """Send a frame. Raises `ConnectionError` where the client is gone, `FrameTooLargeError` for what can't be."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """End the connection as agreed, with a WebSocket close code where the wire has such."""
        ...

    def half_close(self) -> None:
        """Stop sending, where the wire can do so one way."""
        ...

    def abort(self) -> None:
        """Break the connection."""
        ...


class ClientChannel:
    """A session's way to a client. `filters` are the faults of this connection."""

    def __init__(self, wire: Wire, connection: Connection, filters: Sequence[FrameFilter] = ()) -> None:
        self.ids = IdSource()
        self._wire = wire
        self._connection = connection
        self._filters = filters
        self._encode: Callable[[Any], bytes] = msgspec.json.Encoder().encode
        connection.attach(self)

    async def receive(self) -> str | bytes | None:
        """Return the next frame, None once the connection is over."""
        return await self._wire.receive()

    def heard(self, event: dict[str, Any]) -> None:
        """Record an event of the client."""
        self._connection.note("received", event)

    async def send(self, event: dict[str, Any]) -> None:
        """Send an event, through the faults. Raises `ConnectionError` where the client is gone."""
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
                await self._wire.send(data)
            case Pause(seconds):
                await asyncio.sleep(seconds)
            case Close(code, reason):
                await self.close(code, reason)
                raise ConnectionEndedError("Closed by a fault.")
            case HalfClose():
                self._wire.half_close()
            case Abort():
                self._connection.note_closed(1006, "")
                self._wire.abort()

    async def write(self, event: dict[str, Any]) -> None:
        """Send an event as it is; one that is too large for the client is told of, and left out."""
        try:
            await self._wire.send(self._encode(event).decode())
        except FrameTooLargeError as error:
            message = f"An event of type '{event.get('type')}' could not be sent: {error}"
            refusal = ApiError(message, type="server_error", code="event_too_large")
            event = {"type": "error", "event_id": self.ids.event(), "error": refusal.to_wire()}
            await self._wire.send(self._encode(event).decode())
        self._connection.note("sent", event)

    async def close(self, code: int, reason: str) -> None:
        """End the connection; a reason that doesn't fit into a close frame is cut."""
        reason = reason.encode()[:123].decode(errors="ignore")
        self._connection.note_closed(code, reason)
        await self._wire.close(code, reason)


class WebSocketWire:
    """A WebSocket that was accepted; its end is noted in the `connection`."""

    def __init__(self, websocket: WebSocket, connection: Connection) -> None:
        self._websocket = websocket
        self._connection = connection

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

    async def send(self, frame: str | bytes) -> None:
        """Send a frame. Raises `ConnectionEndedError` where the client is gone."""
        await self._send({"type": "websocket.send", "text" if isinstance(frame, str) else "bytes": frame})

    async def close(self, code: int, reason: str) -> None:
        """Send a close frame."""
        await self._send({"type": "websocket.close", "code": code, "reason": reason})

    def half_close(self) -> None:
        """End this side of the TCP connection."""
        self._transport().get_extra_info("socket").shutdown(socket.SHUT_WR)

    def abort(self) -> None:
        """Reset the TCP connection."""
        self._transport().abort()

    async def _send(self, message: dict[str, Any]) -> None:
        try:
            await self._websocket.send(message)
        except (WebSocketDisconnect, RuntimeError, OSError) as error:
            raise ConnectionEndedError("The client is gone.") from error

    def _transport(self) -> asyncio.Transport:
        transport: asyncio.Transport = self._websocket.scope["state"]["transport"]
        return transport
