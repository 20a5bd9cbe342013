"""Acceptance scenarios of the JavaScript SDK, 1-23: connecting, losing the connection, and connecting again.

Each test carries the scenario's number. 2, 14 and 17-19 are rules of a peer connection: see `test_js_peer_connection`.
Without a test: 22 is about browsers, where a key is visible to everybody, and a Python program is no browser.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest

from jackfield import RealtimeAgent, RealtimeSession, create_transport, function_tool
from jackfield.errors import (
    AlreadyConnectedError,
    AuthenticationError,
    ConnectAbortedError,
    ConnectTimeoutError,
    ListenerError,
    NotConnectedError,
    ProtocolError,
)
from jackfield.openai import OpenAIRealtimeTransport
from jackfield.testing.conformance import no_leaks
from jackfield.transport import ConnectOptions, resolve_api_key
from support.clock import advance, settle, timeless
from support.memory_wire import FarEnd, MemoryWire, call_turn, memory_transport, read_until, text_turn

UPDATED = {"type": "session.updated", "session": {}}
STAGES = ("key", "dial", "acknowledgement")


class SlowWire(MemoryWire):
    """Asks for the key and dials, and stops at one of the stages until it is let go on."""

    def __init__(self, stage: str) -> None:
        super().__init__(polite=stage != "acknowledgement")
        self.stage = stage
        self.reached = asyncio.Event()
        self.keys: list[str | None] = []

    async def open(self, options: ConnectOptions) -> Any:
        self.keys.append(await resolve_api_key(options.api_key))
        await self.pause("dial")
        connection = await super().open(options)
        if self.stage == "acknowledgement":
            self.reached.set()
        return connection

    async def key(self) -> str:
        await self.pause("key")
        return "sk-slow"

    async def pause(self, stage: str) -> None:
        if self.stage == stage:
            self.reached.set()
            await asyncio.Event().wait()

    def hurry(self) -> None:
        """Stop nowhere from the next dial on."""
        self.stage = ""
        self.polite = True


class Ending:
    """A connection whose close is `ending`."""

    def __init__(self, connection: Any, ending: Callable[[], Awaitable[None]]) -> None:
        self._connection = connection
        self.send, self.receive, self.close = connection.send, connection.receive, ending

    @property
    def secrets(self) -> Sequence[str]:
        return ()


class EndingWire(MemoryWire):
    def __init__(self, ending: Callable[[], Awaitable[None]], **options: Any) -> None:
        super().__init__(**options)
        self.ending = ending

    async def open(self, options: ConnectOptions) -> Any:
        return Ending(await super().open(options), self.ending)


@contextlib.asynccontextmanager
async def connected(wire: MemoryWire, **options: Any) -> AsyncIterator[tuple[OpenAIRealtimeTransport, FarEnd]]:
    transport = memory_transport(wire)
    await transport.connect(**options)
    try:
        yield transport, wire.far_ends[-1]
    finally:
        await transport.close()


async def works(transport: OpenAIRealtimeTransport, far: FarEnd) -> bool:
    """Send something over the connection and have it answered."""
    answered: list[Any] = []
    transport.once("turn_done", answered.append)
    await transport.send_message("Hello?")
    await far.received("response.create")
    far.send(*text_turn("resp_works", "item_works"))
    await far.heard()
    return len(answered) == 1


class TestConnecting:
    @pytest.mark.parametrize("stage", STAGES)
    async def test_j01_a_second_connect_opens_no_second_wire_and_leaves_the_first_alone(self, stage: str) -> None:
        asked: list[str] = []

        def other_key() -> str:
            asked.append("second")
            return "sk-second"

        wire = SlowWire(stage)
        transport = memory_transport(wire)
        first = asyncio.create_task(transport.connect(api_key=wire.key, initial_session_config={}))
        await wire.reached.wait()
        with pytest.raises(AlreadyConnectedError):
            await transport.connect(api_key=other_key)
        first.cancel()
        await asyncio.wait({first})

        wire.hurry()
        await transport.connect(api_key="sk-third")
        dialled = len(wire.far_ends)
        with pytest.raises(AlreadyConnectedError):
            await transport.connect(api_key=other_key)
        assert asked == []
        assert len(wire.far_ends) == dialled
        assert await works(transport, wire.far_ends[-1])
        await transport.close()

    async def test_j03_a_key_function_that_fails_is_raised_as_it_is_and_nothing_stays_of_the_attempt(self) -> None:
        failure = LookupError("no key today")

        def key() -> str:
            raise failure

        wire = SlowWire("")
        transport = memory_transport(wire)
        await transport.connect(model="first")
        await transport.close()
        with pytest.raises(LookupError) as caught:
            await transport.connect(api_key=key, model="second", url="wss://second")
        assert caught.value is failure
        assert transport.status == "disconnected"
        await transport.connect(model="first")
        assert [far.options.model for far in wire.far_ends] == ["first", "first"]
        assert wire.far_ends[-1].options.url is None
        await transport.close()

    @pytest.mark.parametrize("stage", STAGES)
    async def test_j04_close_meanwhile_aborts_it_and_the_next_one_works(self, stage: str) -> None:
        wire = SlowWire(stage)
        transport = memory_transport(wire)
        async with no_leaks():
            connecting = asyncio.create_task(transport.connect(api_key=wire.key, initial_session_config={}))
            await wire.reached.wait()
            await transport.close()
            with pytest.raises(ConnectAbortedError):
                await connecting
            assert transport.status == "disconnected"
            wire.hurry()
            await transport.connect(api_key="sk-retry", initial_session_config={})
            assert await works(transport, wire.far_ends[-1])
            await transport.close()

    async def test_j05_a_key_that_comes_late_touches_nothing_of_the_next_attempt(self) -> None:
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        asked = asyncio.Event()

        async def slow_key() -> str:
            asked.set()
            return await asyncio.shield(answer)

        wire = SlowWire("")
        transport = memory_transport(wire)
        first = asyncio.create_task(transport.connect(api_key=slow_key))
        await asked.wait()
        await transport.close()
        with pytest.raises(ConnectAbortedError):
            await first
        await transport.connect(api_key="sk-next")
        told: list[Any] = []
        transport.on("connection_change", told.append)
        answer.set_result("sk-late")
        assert await works(transport, wire.far_ends[0])
        assert (wire.keys, len(wire.far_ends), told) == (["sk-next"], 1, [])
        await transport.close()

    async def test_j06_a_status_observer_that_raises_does_not_keep_it_from_connecting(self) -> None:
        def angry(change: Any) -> None:
            raise LookupError(change.status)

        failures: list[Any] = []
        transport = memory_transport(MemoryWire())
        transport.on("connection_change", angry)
        transport.on("error", lambda event: failures.append(event.error))
        await transport.connect()
        assert transport.status == "connected"
        assert [type(failure) for failure in failures] == [ListenerError, ListenerError]
        assert [str(failure.__cause__) for failure in failures] == ["connecting", "connected"]
        await transport.close()

    async def test_j07_an_observer_that_closes_while_it_connects_aborts_it(self) -> None:
        async def stop(change: Any) -> None:
            if change.status == "connecting":
                await transport.close()

        wire = MemoryWire()
        transport = memory_transport(wire)
        transport.on("connection_change", stop)
        async with no_leaks():
            with pytest.raises(ConnectAbortedError):
                await transport.connect()
            assert transport.status == "disconnected"
            assert all(far.gone.is_set() for far in wire.far_ends)

    async def test_j07_an_observer_that_closes_once_it_is_connected_ends_what_it_was_told_of(self) -> None:
        closed = asyncio.Event()

        async def stop(change: Any) -> None:
            if change.status == "connected":
                await transport.close()
                closed.set()

        wire = MemoryWire()
        transport = memory_transport(wire)
        transport.on("connection_change", stop)
        async with no_leaks():
            await transport.connect()
            await closed.wait()
            assert transport.status == "disconnected"
            assert wire.far_ends[0].gone.is_set()
            with pytest.raises(NotConnectedError):
                await transport.send_audio(b"\0\0")

    async def test_j08_the_reason_of_a_failed_connect_is_not_hidden_by_a_failed_cleanup(self) -> None:
        async def ending() -> None:
            raise OSError("the cleanup failed")

        wire = EndingWire(ending, polite=False)
        transport = memory_transport(wire)
        connecting = asyncio.create_task(transport.connect(initial_session_config={}))
        far = await wire.dialled()
        await far.received("session.update")
        far.send({"type": "error", "error": {"type": "auth", "code": "invalid_api_key", "message": "wrong key"}})
        with pytest.raises(AuthenticationError, match="wrong key"):
            await connecting
        assert transport.status == "disconnected"

    async def test_j09_an_observer_of_a_failed_connect_may_try_again_at_once(self) -> None:
        retries: list[asyncio.Task[None]] = []

        def again(change: Any) -> None:
            if change.status == "disconnected" and not retries:
                wire.refusal = None
                retry = transport.connect(url="wss://second", model="second")
                retries.append(asyncio.get_running_loop().create_task(retry))

        wire = MemoryWire(refusal=OSError("no route"))
        transport = memory_transport(wire)
        transport.on("connection_change", again)
        with pytest.raises(OSError, match="no route"):
            await transport.connect(url="wss://first", model="first")
        await retries[0]
        (far,) = wire.far_ends
        assert (far.options.url, far.options.model) == ("wss://second", "second")
        assert transport.status == "connected"
        assert await works(transport, far)
        await transport.close()

    async def test_j10_nothing_of_a_failed_connect_is_left_when_its_observers_are_told(self) -> None:
        told: list[Any] = []
        wire = MemoryWire(refusal=OSError("no route"))
        transport = memory_transport(wire)
        transport.on("connection_change", lambda change: told.append((change.status, transport.status)))
        with pytest.raises(OSError, match="no route"):
            await transport.connect(url="wss://first", model="first", api_key="sk-first")
        assert told == [("connecting", "connecting"), ("disconnected", "disconnected")]
        wire.refusal = None
        await transport.connect()
        (far,) = wire.far_ends
        assert (far.options.url, far.options.model, far.options.api_key) == (None, None, None)
        await transport.close()


class TestAfterwards:
    async def test_j11_what_an_old_connection_still_says_is_ignored(self) -> None:
        wire = MemoryWire()
        transport = memory_transport(wire)
        told: list[Any] = []
        await transport.connect()
        await transport.close()
        await transport.connect()
        for kind in ("connection_change", "error", "turn_started", "*"):
            transport.on(kind, told.append)
        old, new = wire.far_ends
        old.send(*text_turn("resp_1", "item_1"))
        old.send_frame(b"junk")
        old.lose()
        new.send({"type": "marker"})
        await new.heard()
        assert [event["type"] for event in told] == ["marker"]
        assert transport.status == "connected"
        await transport.close()

    @timeless
    async def test_j12_a_far_end_that_never_acknowledges_the_close_costs_nothing_but_the_time_limit(self) -> None:
        async def ending() -> None:
            await asyncio.Event().wait()

        wire = EndingWire(ending)
        transport = memory_transport(wire)
        await transport.connect()
        closing = asyncio.create_task(transport.close())
        await settle()
        with pytest.raises(NotConnectedError):
            await transport.send_message("Are you there?")
        await advance(5)
        assert closing.done()
        assert transport.status == "disconnected"

        await transport.connect()
        wire.far_ends[1].lose()
        await settle()
        assert transport.status == "disconnected"
        await transport.connect()
        assert await works(transport, wire.far_ends[2])
        closing = asyncio.create_task(transport.close())
        await advance(5)
        assert closing.done()

    async def test_j13_when_observers_of_the_end_raise_the_others_hear_it_and_everything_is_cleaned_up(self) -> None:
        def angry(change: Any) -> None:
            raise LookupError(change.status)

        wire = MemoryWire()
        transport = memory_transport(wire)
        heard: list[str] = []
        failures: list[Any] = []
        async with no_leaks():
            await transport.connect()
            transport.on("error", lambda event: failures.append(event.error))
            transport.on("connection_change", angry)
            transport.on("connection_change", lambda change: heard.append(change.status))
            transport.on("connection_change", angry)
            await transport.close()
            assert heard == ["disconnecting", "disconnected"]
            assert {type(failure) for failure in failures} == {ListenerError}
            assert len(failures) == 4
            assert wire.far_ends[0].gone.is_set()

    async def test_j20_a_second_session_on_one_transport_hears_everything_once_and_the_first_nothing(self) -> None:
        runs: list[int] = []

        @function_tool
        def count() -> str:
            runs.append(1)
            return "counted"

        wire = MemoryWire()
        transport = memory_transport(wire)
        agent = RealtimeAgent("Counter", tools=[count])
        first_heard: list[Any] = []
        async with RealtimeSession(agent, transport=transport) as first:
            first.on("history_added", first_heard.append)
        async with RealtimeSession(agent, transport=transport) as second:
            far = wire.far_ends[1]
            far.send(*text_turn("resp_1", "item_1"))
            events = await read_until(second, "agent_end")
            assert [event.type for event in events].count("agent_start") == 1
            far.send(*call_turn("resp_2", ("call_1", "count", "{}")))
            await far.received("conversation.item.create")
            await far.received("response.create")
            assert runs == [1]
            assert far.types.count("conversation.item.create") == 1
        assert first_heard == []

    async def test_j21_each_connect_joins_the_call_that_it_names(self) -> None:
        wire = MemoryWire()
        transport = memory_transport(wire)
        for call_id in ("rtc_1", "rtc_2", None):
            await transport.connect(call_id=call_id)
            await transport.close()
        assert [far.options.call_id for far in wire.far_ends] == ["rtc_1", "rtc_2", None]


class TestWaiting:
    @timeless
    async def test_j15_whether_connect_waits_for_the_acknowledgement_is_yours_to_say(self) -> None:
        wire = MemoryWire(polite=False)
        async with connected(wire, ready="open", initial_session_config={"instructions": "Be kind."}) as (_, far):
            assert far.types == ["session.update"]

        transport = memory_transport(wire)
        connecting = asyncio.create_task(transport.connect(initial_session_config={}, timeout=30))
        await advance(29)
        assert transport.status == "connecting"
        await advance(2)
        with pytest.raises(ConnectTimeoutError) as caught:
            await connecting
        assert caught.value.stage == "waiting for the far end to acknowledge the session"
        assert transport.status == "disconnected"

    async def test_j16_malformed_frames_never_raise_not_even_before_the_acknowledgement(self) -> None:
        wire = MemoryWire(polite=False)
        transport = memory_transport(wire)
        errors: list[Any] = []
        transport.on("error", lambda event: errors.append(event.error))
        connecting = asyncio.create_task(transport.connect(initial_session_config={}))
        far = await wire.dialled()
        junk = (b"no json", b"\xff\xfe\x00", b"[1, 2]", b"null", b'{"type": 7}', b"{}", b"")
        for frame in junk:
            far.send_frame(frame)
        far.send(UPDATED)
        await connecting
        for frame in junk:
            far.send_frame(frame)
        assert await works(transport, far)
        assert {type(error) for error in errors} == {ProtocolError}
        assert len(errors) == 2 * len(junk)
        await transport.close()

    async def test_j23_a_server_that_accepts_and_never_answers_costs_the_time_limit(self) -> None:
        taken: list[asyncio.StreamWriter] = []

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            taken.append(writer)
            await reader.read()
            writer.close()

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            transport = create_transport("websocket")
            with pytest.raises(ConnectTimeoutError) as caught:
                await transport.connect(url=f"ws://127.0.0.1:{port}", api_key="sk-test", timeout=0.2)
            assert caught.value.stage == "opening the connection"
            assert transport.status == "disconnected"
            assert len(taken) == 1
