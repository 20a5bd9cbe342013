"""A session's life and its stream, as programs written for the Python agents SDK expect them: A01 to A22.

Where jackfield does better than that SDK, the test is of what jackfield does.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jackfield import (
    AssistantMessageItem,
    GuardrailFunctionOutput,
    RealtimeAgent,
    RealtimeRunner,
    RealtimeSession,
    RunContextWrapper,
    TransportCapabilities,
    function_tool,
    output_guardrail,
)
from jackfield.errors import (
    AlreadyConnectedError,
    ConfigurationError,
    ConnectRefusedError,
    ConnectTimeoutError,
    NotConnectedError,
    ProviderError,
    RemoteClosedError,
    SessionStateError,
    TransportError,
)
from jackfield.openai import OpenAIRealtimeTransport
from jackfield.testing.conformance import no_leaks
from jackfield.transport import ConnectOptions
from support.clock import advance, settle, timeless
from support.memory_wire import (
    MemoryWire,
    call_turn,
    memory_transport,
    open_session,
    read_until,
    rest,
    spoken_turn,
    text_turn,
    user_item,
)


@function_tool
def ping() -> str:
    """Answer."""
    return "pong"


class Witness:
    """Writes down whatever a session tells."""

    def __init__(self, session: RealtimeSession) -> None:
        self.told: list[str] = []
        kinds = ("raw_model_event", "connection_change", "history_added", "history_updated", "agent_start", "error")
        for kind in kinds:
            session.on(kind, lambda event: self.told.append(event.type))


class UnwillingTransport(OpenAIRealtimeTransport):
    """Its first close fails."""

    closes = 0

    async def close(self) -> None:
        self.closes += 1
        await asyncio.sleep(0)
        if self.closes == 1:
            raise TransportError("won't close")
        await super().close()


class UnwillingWire(MemoryWire):
    """Its connections can't be closed, and with `deaf` nothing can be sent over them."""

    def __init__(self, *, deaf: bool = False) -> None:
        super().__init__(polite=False)
        self.deaf = deaf

    async def open(self, options: ConnectOptions) -> Any:
        near = await super().open(options)

        class Unwilling:
            secrets = near.secrets
            receive = near.receive

            async def send(_, frame: bytes) -> None:
                if self.deaf:
                    raise RemoteClosedError("the pipe is broken", code=1006, reason="")
                await near.send(frame)

            async def close(_) -> None:
                await near.close()
                raise OSError("won't close")

        return Unwilling()


class TestEntering:
    @pytest.mark.parametrize("where", ["agent", "settings"])
    async def test_a01_a_tool_name_twice_dials_nothing_and_leaves_no_listener(self, where: str) -> None:
        wire = MemoryWire()
        transport = memory_transport(wire)
        twice = [ping, ping]
        session = RealtimeSession(
            RealtimeAgent("A", tools=twice if where == "agent" else []),
            transport=transport,
            initial_model_settings={"tools": twice} if where == "settings" else None,
        )
        witness = Witness(session)
        with pytest.raises(ConfigurationError, match="ping names more than one"):
            await session.enter()
        assert wire.far_ends == []
        assert await rest(session) == []
        await transport.connect()
        wire.far_ends[0].send(*text_turn("resp_1", "item_1"))
        await wire.far_ends[0].heard()
        await transport.close()
        assert (witness.told, session.history) == ([], [])

    @pytest.mark.parametrize("how", ["refused", "cancelled"])
    async def test_a02_a_failed_connect_raises_its_own_error_and_leaves_no_listener(self, how: str) -> None:
        refusal = ConnectRefusedError("no route")
        wire = MemoryWire(polite=False, refusal=refusal if how == "refused" else None)
        transport = memory_transport(wire)
        session = RealtimeSession(RealtimeAgent("A"), transport=transport)
        witness = Witness(session)
        entering = asyncio.create_task(session.enter())
        if how == "cancelled":
            await (await wire.dialled()).received("session.update")
            entering.cancel()
        with pytest.raises((ConnectRefusedError, asyncio.CancelledError)) as caught:
            await entering
        assert (caught.value is refusal) == (how == "refused")
        witness.told.clear()
        wire.refusal = None
        await transport.connect()
        wire.far_ends[-1].send(*text_turn("resp_1", "item_1"))
        await wire.far_ends[-1].heard()
        await transport.close()
        assert (witness.told, session.history) == ([], [])

    @timeless
    async def test_a02_a_connect_that_is_never_answered_runs_out_of_time(self) -> None:
        wire = MemoryWire(polite=False)
        session = RealtimeSession(RealtimeAgent("A"), transport=memory_transport(wire), timeout=7)
        entering = asyncio.create_task(session.enter())
        await advance(6.999)
        assert not entering.done()
        await advance(0.001)
        with pytest.raises(ConnectTimeoutError, match="7 s"):
            await entering
        assert wire.far_ends[0].gone.is_set()
        assert session.status == "disconnected"

    async def test_a19_one_runner_has_as_many_live_sessions_as_it_is_asked_for(self) -> None:
        wire = MemoryWire()
        runner = RealtimeRunner(RealtimeAgent("A"), transport=lambda: memory_transport(wire))
        async with await runner.run() as first, await runner.run() as second:
            assert (first.status, second.status) == ("connected", "connected")
            wire.far_ends[1].send(*text_turn("resp_1", "item_1"))
            await read_until(second, "agent_end")
            assert first.history == []
            assert len(second.history) == 1

    async def test_a19_one_transport_has_one_live_session(self) -> None:
        wire = MemoryWire()
        transport = memory_transport(wire)
        runner = RealtimeRunner(RealtimeAgent("A"), transport=lambda: transport)
        async with await runner.run() as first:
            second = await runner.run()
            with pytest.raises(AlreadyConnectedError):
                await second.enter()
            assert first.status == "connected"
            assert len(wire.far_ends) == 1

    async def test_a20_a_refused_first_update_closes_the_wire_and_the_transport_can_be_used_again(self) -> None:
        wire = MemoryWire(polite=False)
        transport = memory_transport(wire)
        session = RealtimeSession(RealtimeAgent("A"), transport=transport, model="no-such-model")
        entering = asyncio.create_task(session.enter())
        far = await wire.dialled()
        update = await far.received("session.update")
        far.send({"type": "error", "error": {"code": "invalid_value", "event_id": update["event_id"]}})
        with pytest.raises(ProviderError, match="invalid_value"):
            await entering
        assert far.gone.is_set()
        wire.polite = True
        async with RealtimeSession(RealtimeAgent("A"), transport=transport) as again:
            assert again.status == "connected"
            assert wire.far_ends[1].options.model is None  # nothing of the failed one stays

    async def test_a20_a_first_update_that_can_not_be_sent_does_so_too(self) -> None:
        wire = UnwillingWire(deaf=True)
        transport = memory_transport(wire)
        async with no_leaks():
            entering = asyncio.create_task(RealtimeSession(RealtimeAgent("A"), transport=transport).enter())
            far = await wire.dialled()
            far.lose()
            with pytest.raises(RemoteClosedError):
                await entering
            assert far.gone.is_set()
            assert transport.status == "disconnected"

    async def test_a21_the_error_of_the_setup_is_told_and_not_that_of_closing_after_it(self) -> None:
        wire = UnwillingWire()
        transport = memory_transport(wire)
        entering = asyncio.create_task(RealtimeSession(RealtimeAgent("A"), transport=transport).enter())
        far = await wire.dialled()
        await far.received("session.update")
        far.close(1008, "invalid_model")
        with pytest.raises(TransportError, match="invalid_model"):
            await entering
        assert far.gone.is_set()
        assert transport.status == "disconnected"

    async def test_a22_of_two_connects_at_once_the_second_is_refused_before_it_dials(self) -> None:
        wire = MemoryWire()
        transport = memory_transport(wire)
        sessions = [RealtimeSession(RealtimeAgent("A"), transport=transport) for _ in range(2)]
        results = await asyncio.gather(*(session.enter() for session in sessions), return_exceptions=True)
        assert results[0] is sessions[0]
        assert isinstance(results[1], AlreadyConnectedError)
        assert len(wire.far_ends) == 1
        assert sessions[0].status == "connected"
        await sessions[0].close()


class TestClosing:
    async def test_a05_tools_and_guardrails_have_ended_before_the_transport_does(self) -> None:
        log: list[str] = []
        started = [asyncio.Event(), asyncio.Event()]

        async def linger(what: str, begun: asyncio.Event) -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                log.append(what)

        @function_tool
        async def wait() -> None:
            await linger("tool", started[0])

        @output_guardrail
        async def judge(context: RunContextWrapper[Any], agent: Any, output: str) -> GuardrailFunctionOutput:
            await linger("guardrail", started[1])
            return GuardrailFunctionOutput(output_info=None, tripwire_triggered=False)

        agent = RealtimeAgent("A", tools=[wait], output_guardrails=[judge])
        async with no_leaks():
            async with open_session(agent) as (session, far):
                session.transport.on("connection_change", lambda change: log.append(change.status))
                far.send(*call_turn("resp_1", ("call_1", "wait", "{}")), *text_turn("resp_2", "item_2"))
                await asyncio.gather(*(begun.wait() for begun in started))
            assert sorted(log[:2]) == ["guardrail", "tool"]
            assert log[2:] == ["disconnecting", "disconnected"]

    async def test_a06_all_who_close_get_the_transports_error_and_a_later_close_tries_again(self) -> None:
        transport = UnwillingTransport(MemoryWire(), name="memory", capabilities=TransportCapabilities())
        session = await RealtimeSession(RealtimeAgent("A"), transport=transport).enter()
        first, second = await asyncio.gather(session.close(), session.close(), return_exceptions=True)
        assert isinstance(first, TransportError)
        assert first is second
        assert transport.closes == 1
        await session.close()
        assert (transport.closes, transport.status) == (2, "disconnected")

    async def test_a07_one_of_two_closers_gives_up(self) -> None:
        async with open_session() as (session, far):
            one, other = asyncio.create_task(session.close()), asyncio.create_task(session.close())
            await asyncio.sleep(0)
            one.cancel()
            await other
            with pytest.raises(asyncio.CancelledError):
                await one
            assert far.gone.is_set()

    async def test_a07_even_when_all_closers_give_up_it_is_closed(self) -> None:
        async with no_leaks():
            wire = MemoryWire()
            session = await RealtimeSession(RealtimeAgent("A"), transport=memory_transport(wire)).enter()
            closing = asyncio.create_task(session.close())
            await asyncio.sleep(0)
            closing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await closing
            await wire.far_ends[0].gone.wait()
            await rest(session)

    async def test_a08_what_arrives_once_closing_began_is_not_taken(self) -> None:
        async with open_session() as (session, far):
            arrived: list[str] = []
            session.transport.on("turn_started", lambda event: arrived.append(event.response_id))
            witness = Witness(session)
            closing = asyncio.create_task(session.close())
            far.send(*user_item("item_0", "late"), *text_turn("resp_1", "item_1"))
            await closing
            assert arrived == ["resp_1"]  # it did arrive, before the connection was closed
            assert set(witness.told) == {"connection_change"}
            assert session.history == []

    async def test_a09_a_tool_may_close_its_own_session(self) -> None:
        ended: list[str] = []

        @function_tool
        async def hang_up() -> str:
            try:
                await session.close()
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise
            return "closed"

        async with no_leaks(), open_session(RealtimeAgent("A", tools=[hang_up])) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "hang_up", "{}")))
            assert "tool_end" not in await rest(session)
            assert ended == ["cancelled"]
            assert session.status == "disconnected"
            assert "conversation.item.create" not in far.types

    @timeless
    async def test_a10_a_tool_that_resists_is_left_behind_after_a_second_and_never_heard(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        released, returned = asyncio.Event(), asyncio.Event()

        @function_tool(failure_error_function=None)
        async def stubborn() -> str:
            while not released.is_set():
                try:
                    await released.wait()
                except asyncio.CancelledError:
                    continue
            returned.set()
            raise LookupError("at last")

        async with open_session(RealtimeAgent("A", tools=[stubborn])) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "stubborn", "{}")))
            await read_until(session, "tool_start")
            closing = asyncio.create_task(session.close())
            await advance(0.999)
            assert not closing.done()
            await advance(0.001)
            assert closing.done()
            await closing
            assert "stubborn" in caplog.text
            released.set()
            await settle()
            assert returned.is_set()
            assert far.types == ["session.update"]
            assert "error" not in await rest(session)  # and nothing is raised

    @timeless
    async def test_a10_a_guardrail_that_resists_is_not_heard_either(self) -> None:
        judging, released = asyncio.Event(), asyncio.Event()

        @output_guardrail
        async def stubborn(context: RunContextWrapper[Any], agent: Any, output: str) -> GuardrailFunctionOutput:
            judging.set()
            while not released.is_set():
                try:
                    await released.wait()
                except asyncio.CancelledError:
                    continue
            return GuardrailFunctionOutput(output_info=None, tripwire_triggered=True)

        wire = MemoryWire()
        transport = memory_transport(wire)
        agent = RealtimeAgent("A", output_guardrails=[stubborn])
        first = await RealtimeSession(agent, transport=transport).enter()
        wire.far_ends[0].send(*text_turn("resp_1", "item_1"))
        await judging.wait()
        closing = asyncio.create_task(first.close())
        await advance(1)
        await closing
        async with RealtimeSession(RealtimeAgent("B"), transport=transport):
            released.set()
            await settle()
            # The transport carries another session by now.
            assert wire.far_ends[1].types == ["session.update"]

    async def test_a11_a_call_that_is_in_flight_when_closing_begins_is_not_run(self) -> None:
        ran: list[str] = []

        @function_tool
        async def note() -> None:
            ran.append("note")

        async with no_leaks(), open_session(RealtimeAgent("A", tools=[note])) as (session, far):
            arrived: list[str] = []
            session.transport.on("function_call", lambda call: arrived.append(call.call_id))
            far.send(*user_item("item_0", "hello"))
            await far.heard()
            history = session.history
            closing = asyncio.create_task(session.close())
            far.send(*call_turn("resp_1", ("call_1", "note", "{}"), previous="item_0"))
            await closing
            assert arrived == ["call_1"]
            assert "agent_start" not in await rest(session)
            assert session.history == history
            assert ran == []
            assert far.types == ["session.update"]

    async def test_a13_our_own_close_is_told_as_ours_and_the_transport_connects_again(self) -> None:
        wire = MemoryWire()
        transport = memory_transport(wire)
        for number in range(2):
            session = RealtimeSession(RealtimeAgent("A"), transport=transport)
            changes: list[Any] = []
            session.on("connection_change", changes.append)
            async with session:
                wire.far_ends[number].send(*text_turn("resp_1", "item_1", [str(number)]))
                assert (await read_until(session, "agent_end"))[-1].output == str(number)
            statuses = [(change.status, change.initiated_by, change.error) for change in changes]
            assert statuses[-2:] == [("disconnecting", "local", None), ("disconnected", "local", None)]
            assert len(session.history) == 1

    @timeless
    async def test_a13_a_closed_session_keeps_what_was_heard_in_it(self) -> None:
        wire = MemoryWire()
        transport = memory_transport(wire)
        agent = RealtimeAgent("A")
        async with RealtimeSession(agent, transport=transport) as first:
            wire.far_ends[0].send(*spoken_turn("resp_1", "item_1", [f"{number} " for number in range(10)]))
            await advance(0.3)
        kept = [(item.played_ms, item.heard_text) for item in first.history if isinstance(item, AssistantMessageItem)]
        assert kept == [(300, "0 1 2")]
        async with RealtimeSession(agent, transport=transport) as second:
            wire.far_ends[1].send(*spoken_turn("resp_1", "item_1"))
            await advance(0.1)
            assert [item.played_ms for item in second.history if isinstance(item, AssistantMessageItem)] == [100]
        told = [(item.played_ms, item.heard_text) for item in first.history if isinstance(item, AssistantMessageItem)]
        assert told == kept


class TestIterating:
    async def test_a03_close_ends_every_iterator_that_waits(self) -> None:
        async with open_session() as (session, _):
            await read_until(session, lambda event: getattr(event, "status", "") == "connected")
            readers = [asyncio.create_task(rest(session)) for _ in range(3)]
            await asyncio.sleep(0)
            await session.close()
            told = [kind for reader in readers for kind in await reader]
            assert set(told) == {"connection_change"}

    async def test_a04_a_cancelled_consumer_is_cancelled_and_the_others_miss_nothing(self) -> None:
        async with open_session() as (session, far):
            await read_until(session, lambda event: getattr(event, "status", "") == "connected")
            one, other = asyncio.create_task(rest(session)), asyncio.create_task(rest(session))
            await asyncio.sleep(0)
            one.cancel()
            far.send(*text_turn("resp_1", "item_1"))
            with pytest.raises(asyncio.CancelledError):
                await one
            far.close()
            assert {"agent_start", "agent_end"} <= set(await other)

    @timeless
    async def test_a04_an_iterator_outlives_a_time_limit_on_one_step_of_it(self) -> None:
        async with open_session() as (session, far):
            events = aiter(session)

            async def step() -> Any:
                async with asyncio.timeout(1):
                    return await anext(events)

            async def read_all() -> list[str]:
                told = []
                while True:
                    reading = asyncio.create_task(step())
                    await advance(1)
                    try:
                        told.append((await reading).type)
                    except TimeoutError:
                        return told

            assert "connection_change" in await read_all()
            assert await read_all() == []
            far.send(*text_turn("resp_1", "item_1"))
            assert "agent_end" in await read_all()

    async def test_a12_a_clean_close_of_the_far_end_ends_iterating_after_everything(self) -> None:
        async with open_session() as (session, far):
            far.send(*text_turn("resp_1", "item_1"))
            far.close(1000, "bye")
            events = [event async for event in session]
            assert [event.output for event in events if event.type == "agent_end"] == ["Hello there."]
            last = events[-1]
            assert (last.type, last.status, last.initiated_by, last.error) == (
                "connection_change",
                "disconnected",
                "remote",
                None,
            )
            # The session is still there to be looked at; only sending is over.
            assert len(session.history) == 1
            with pytest.raises(NotConnectedError):
                await session.send_message("too late")

    @timeless
    async def test_a12_a_session_whose_far_end_has_gone_has_no_part_in_the_next_one(self) -> None:
        started, released = asyncio.Event(), asyncio.Event()

        @function_tool
        async def slow() -> str:
            started.set()
            await released.wait()
            return "late"

        wire = MemoryWire()
        transport = memory_transport(wire)
        agent = RealtimeAgent("A", tools=[slow])
        async with RealtimeSession(agent, transport=transport) as first:
            wire.far_ends[0].send(*spoken_turn("resp_0", "item_0", [f"{number} " for number in range(10)]))
            wire.far_ends[0].send(*call_turn("resp_1", ("call_1", "slow", "{}"), previous="item_0"))
            await started.wait()
            await advance(0.3)
            wire.far_ends[0].close()
            await rest(first)
            history = first.history
            async with RealtimeSession(agent, transport=transport) as second:
                released.set()
                wire.far_ends[1].send(*spoken_turn("resp_0", "item_0"))
                await advance(1)
                assert wire.far_ends[1].types == ["session.update"]
                assert first.history == history
                assert [item.played_ms for item in first.history if isinstance(item, AssistantMessageItem)] == [300]
                assert first.status == "disconnected"
                with pytest.raises(NotConnectedError):
                    await first.send_message("hello?")
                await first.close()
                assert second.status == "connected"
                await second.send_message("hello")

    @pytest.mark.parametrize("code", [1011, 1006])
    async def test_a14_an_abnormal_end_is_raised_and_nothing_more_can_be_sent(self, code: int) -> None:
        async with no_leaks(), open_session() as (session, far):
            far.close(code, "oops") if code == 1011 else far.lose()
            with pytest.raises(RemoteClosedError) as caught:
                await rest(session)
            assert caught.value.code == code
            assert session.status == "disconnected"
            with pytest.raises(NotConnectedError):
                await session.send_message("too late")

    async def test_a15_disconnected_is_the_end(self) -> None:
        async with open_session() as (session, far):
            reader = asyncio.create_task(rest(session))
            far.close()
            assert (await reader)[-1] == "connection_change"
            assert await rest(session) == []

    async def test_a16_an_error_that_ends_the_session_is_raised_after_what_was_told_before(self) -> None:
        error = LookupError("no such record")

        @function_tool(failure_error_function=None)
        async def look_up() -> str:
            raise error

        async with open_session(RealtimeAgent("A", tools=[look_up])) as (session, far):
            far.send(*text_turn("resp_1", "item_1"))
            far.send(*call_turn("resp_2", ("call_1", "look_up", "{}"), previous="item_1"))
            await far.gone.wait()  # nobody has read anything yet
            told: list[Any] = []
            with pytest.raises(LookupError) as caught:
                async for event in session:
                    told.append(event)  # noqa: PERF401
            assert caught.value is error
            assert next(event.output for event in told if event.type == "agent_end") == "Hello there."
            assert told[-1].type == "error"
            assert told[-1].error.__cause__ is error
            with pytest.raises(SessionStateError):
                await session.send_message("too late")
            assert await rest(session) == []

    async def test_a17_an_error_event_is_seen_and_a_later_exception_raised(self) -> None:
        async with open_session() as (session, far):
            reader = asyncio.create_task(read_until(session, "error"))
            await asyncio.sleep(0)
            far.send({"type": "error", "error": {"type": "server_error", "code": "server_error", "message": "hiccup"}})
            assert "hiccup" in str((await reader)[-1].error)
            dying = asyncio.create_task(rest(session))
            far.send(*text_turn("resp_1", "item_1"))
            await far.heard()
            far.lose()
            with pytest.raises(RemoteClosedError):
                await dying

    async def test_a18_break_and_iterate_again(self) -> None:
        async with open_session() as (session, far):
            outputs = []
            for number in range(3):
                far.send(*spoken_turn(f"resp_{number}", f"item_{number}", [f"Turn {number}."]))
                words = ""
                async for event in session:
                    if event.type == "transcript_delta":
                        words += event.delta
                    elif event.type == "agent_end":
                        outputs.append((words, event.output))
                        break
            assert outputs == [(f"Turn {number}.", f"Turn {number}.") for number in range(3)]
