"""What the mutants are made of: a good transport, wrapped so that one thing of it can be spoilt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from attrs import frozen

from jackfield.openai import OpenAIRealtimeProtocol, OpenAIRealtimeTransport
from jackfield.transport import Emitter, events
from jackfield.wire import Wire, WireConnection, WireTransport
from jackfield_transports.websocket.address import openai_address
from jackfield_transports.websocket.plugin import CAPABILITIES
from jackfield_transports.websocket.transport import WebSocketTransport, socket_wire

__all__ = ["Connection", "Mutant", "Retold", "Wrapper", "dialect_transport", "wire_transport"]

_KINDS = [kind.type for kind in map(events.__dict__.__getitem__, events.__all__) if hasattr(kind, "type")]


@frozen
class Mutant:
    """One faulty transport, and the check that is meant for it."""

    fault: str
    """What is wrong with it."""
    make: Callable[..., Any]
    """Makes it, with options of the good one."""
    check: Callable[..., None]
    """The check, as a method of its class."""
    told: str
    """What the check says, as a regular expression."""
    good: Callable[..., Any]
    """Makes what it would be without the fault."""
    arguments: Mapping[str, Any] = {}
    """What the check is parametrized with."""


class Wrapper:
    """A transport that leaves everything to a good one."""

    def __init__(self, **options: Any) -> None:
        self.inner = WebSocketTransport(**options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Retold(Wrapper):
    """The same with listeners of its own: what the good one tells is told by `tell` and `tell_raw`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.emitter = Emitter()
        self.listen()

    def listen(self) -> None:
        """Listen to everything."""
        for kind in _KINDS:
            self.inner.on(kind, self.tell)
        self.inner.on("*", self.tell_raw)
        self.inner.on("*out", self.tell_out)

    def tell(self, event: Any) -> None:
        """Tell of an event."""
        self.emitter.emit(event)

    def tell_raw(self, message: dict[str, Any]) -> None:
        """Tell of a message that came."""
        self.emitter.emit_raw("*", lambda: deepcopy(message), deepcopy(message))

    def tell_out(self, message: dict[str, Any]) -> None:
        """Tell of a message that was sent."""
        self.emitter.emit_raw("*out", lambda: deepcopy(message))

    def on(self, kind: str, listener: Any) -> Any:
        return self.emitter.on(kind, listener)

    def once(self, kind: str, listener: Any) -> Any:
        return self.emitter.once(kind, listener)

    def off(self, kind: str, listener: Any) -> None:
        self.emitter.off(kind, listener)

    def events(self) -> AsyncIterator[Any]:
        return self.emitter.events()


def dialect_transport(kind: type[OpenAIRealtimeProtocol]) -> Callable[..., Any]:
    """Return what makes a transport with that dialect."""

    def make(**options: Any) -> Any:
        def new_dialect(given: Any, connection: WireConnection) -> OpenAIRealtimeProtocol:
            return kind(
                capabilities=CAPABILITIES,
                clock=asyncio.get_running_loop().time,
                playback_tracker=given.playback_tracker,
                barge_in=given.barge_in,
                secrets=connection.secrets,
            )

        wire = socket_wire(openai_address, "websocket", options)  # type: ignore[arg-type]
        return WireTransport(wire, new_dialect, name="websocket", capabilities=CAPABILITIES)

    return make


class Connection:
    """A connection that leaves everything to a good one."""

    def __init__(self, inner: WireConnection) -> None:
        self.inner = inner

    @property
    def secrets(self) -> Sequence[str]:
        return self.inner.secrets

    async def send(self, frame: bytes) -> None:
        await self.inner.send(frame)

    async def receive(self) -> bytes | str:
        return await self.inner.receive()

    async def close(self) -> None:
        await self.inner.close()


def wire_transport(kind: type[Connection]) -> Callable[..., Any]:
    """Return what makes a transport whose connections are of that kind."""

    class Spoilt:
        def __init__(self, wire: Wire) -> None:
            self.wire = wire

        async def open(self, options: Any) -> WireConnection:
            return kind(await self.wire.open(options))

    def make(**options: Any) -> Any:
        wire = Spoilt(socket_wire(openai_address, "websocket", options))  # type: ignore[arg-type]
        return OpenAIRealtimeTransport(wire, name="websocket", capabilities=CAPABILITIES)

    return make
