"""Every call that connect() makes of its wire fails once, in every way: it raises, hangs, is cancelled or closed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from jackfield.openai import OpenAIRealtimeTransport
from jackfield.testing.conformance import PATIENCE
from jackfield.transport import (
    ConnectAbortedError,
    ConnectOptions,
    ConnectTimeoutError,
    NotConnectedError,
    RemoteClosedError,
    TransportCapabilities,
    TransportError,
)

pytestmark = pytest.mark.usefixtures("nothing_is_left")

Fault = Callable[[], Coroutine[Any, Any, None]]
CONFIG = {"instructions": "Speak like a pirate"}


class Line:
    """A wire in memory that counts the calls, and does what `fault` does at the one of number `at`."""

    def __init__(self) -> None:
        self.calls = 0
        self.at: int | None = None
        self.fault: Fault | None = None
        self.opened: list[LineConnection] = []

    async def step(self) -> None:
        """Be called, and suspend as a real wire may."""
        self.calls += 1
        if self.fault is not None and self.calls == self.at:
            await self.fault()
        await asyncio.sleep(0)

    async def open(self, options: ConnectOptions) -> LineConnection:
        await self.step()
        connection = LineConnection(self)
        self.opened.append(connection)
        return connection


class LineConnection:
    """One connection of it: the far end opens a session and acknowledges an update."""

    secrets: Sequence[str] = ()

    def __init__(self, line: Line) -> None:
        self.closed = False
        self._line = line
        self._frames: asyncio.Queue[bytes] = asyncio.Queue()
        self._frames.put_nowait(b'{"type": "session.created", "session": {}}')

    async def send(self, frame: bytes) -> None:
        await self._line.step()
        if json.loads(frame)["type"] == "session.update":
            self._frames.put_nowait(b'{"type": "session.updated", "session": {}}')

    async def receive(self) -> bytes:
        await self._line.step()
        return await self._frames.get()

    async def close(self) -> None:
        self.closed = True
        await self._line.step()


def make(line: Line) -> OpenAIRealtimeTransport:
    return OpenAIRealtimeTransport(line, name="line", capabilities=TransportCapabilities())


async def calls_of_a_connect() -> int:
    """Count the calls up to the moment in which connect() is done."""
    line = Line()
    transport = make(line)
    await transport.connect(initial_session_config=CONFIG)
    calls = line.calls
    await transport.close()
    return calls


def raising(error: Exception) -> Fault:
    async def fault() -> None:
        raise error

    return fault


async def hang() -> None:
    await asyncio.Event().wait()


async def each_call(try_one: Callable[[Line, OpenAIRealtimeTransport], Coroutine[Any, Any, None]]) -> None:
    """Let `try_one` fail at each call of connect(), and prove that nothing is left and that it connects again."""
    calls = await calls_of_a_connect()
    assert calls >= 4
    for at in range(1, calls + 1):
        line = Line()
        line.at = at
        transport = make(line)
        await try_one(line, transport)
        line.fault = None
        await transport.close()
        assert transport.status == "disconnected", at
        assert all(connection.closed for connection in line.opened), at
        async with asyncio.timeout(PATIENCE):
            await transport.connect(initial_session_config=CONFIG)
        assert transport.status == "connected", at
        await transport.close()


@pytest.mark.parametrize(
    "error",
    [
        RemoteClosedError("gone", code=1006, reason=""),
        RemoteClosedError("bye", code=1000, reason="", clean=True),
        TransportError("no"),
        OSError("broken pipe"),
        TimeoutError(),
        ZeroDivisionError("a bug in the wire"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_an_error_at_each_call(error: Exception) -> None:
    async def try_one(line: Line, transport: OpenAIRealtimeTransport) -> None:
        line.fault = raising(error)
        try:
            await transport.connect(initial_session_config=CONFIG)
        except (TransportError, type(error)):
            assert transport.status == "disconnected"
        else:
            # The last call is that of the reader, which has nothing to do with connect() any more.
            assert line.at == line.calls

    await each_call(try_one)


async def test_a_hang_at_each_call() -> None:
    async def try_one(line: Line, transport: OpenAIRealtimeTransport) -> None:
        line.fault = hang
        try:
            await transport.connect(initial_session_config=CONFIG, timeout=0.02)
        except ConnectTimeoutError as error:
            assert error.stage in str(error)
            assert transport.status == "disconnected"
        else:
            assert line.at == line.calls

    await each_call(try_one)


async def test_a_cancellation_at_each_call() -> None:
    async def try_one(line: Line, transport: OpenAIRealtimeTransport) -> None:
        attempt = asyncio.create_task(transport.connect(initial_session_config=CONFIG))

        async def fault() -> None:
            attempt.cancel()

        line.fault = fault
        with pytest.raises(asyncio.CancelledError):
            await attempt
        assert transport.status == "disconnected"

    await each_call(try_one)


async def test_a_close_at_each_call() -> None:
    async def try_one(line: Line, transport: OpenAIRealtimeTransport) -> None:
        closing: list[asyncio.Task[None]] = []

        async def fault() -> None:
            closing.append(asyncio.create_task(transport.close()))

        line.fault = fault
        try:
            await transport.connect(initial_session_config=CONFIG)
        except ConnectAbortedError:
            pass
        else:
            assert line.at == line.calls
        await closing[0]
        assert transport.status == "disconnected"

    await each_call(try_one)


@pytest.mark.parametrize("fault", [raising(OSError("broken pipe")), hang], ids=["raises", "hangs"])
async def test_a_wire_that_can_not_even_be_closed(fault: Fault) -> None:
    line = Line()
    transport = make(line)
    await transport.connect()
    line.at, line.fault = line.calls + 1, fault
    async with asyncio.timeout(PATIENCE):
        await transport.close()
    assert transport.status == "disconnected"


async def test_closing_frees_a_sender_whose_frame_is_on_its_way_behind_another() -> None:
    line = Line()
    transport = make(line)
    await transport.connect()
    first = asyncio.Event()
    faults = iter([first.wait, hang])

    async def block() -> None:
        line.at = line.calls + 1
        await next(faults)()

    line.at, line.fault = line.calls + 1, block
    senders = [asyncio.create_task(transport.send_event({"type": "x.numbered", "n": n})) for n in range(3)]
    for _ in range(10):
        await asyncio.sleep(0)
    first.set()
    await senders[0]
    for _ in range(10):
        await asyncio.sleep(0)
    assert not senders[1].done()
    line.fault = None
    await transport.close()
    async with asyncio.timeout(PATIENCE):
        for sender in senders[1:]:
            with pytest.raises(NotConnectedError):
                await sender
