"""A session's life: entering, closing in every way, and what the stream does at the end."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from jackfield import RealtimeAgent, RealtimeSession, RunContextWrapper, TransportCapabilities, function_tool
from jackfield.errors import (
    AlreadyConnectedError,
    ConfigurationError,
    ConnectAbortedError,
    ConnectRefusedError,
    NotConnectedError,
    RemoteClosedError,
    SessionStateError,
    TransportError,
)
from jackfield.openai import OpenAIRealtimeTransport
from jackfield.testing.conformance import no_leaks
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


def new_session(wire: MemoryWire, agent: RealtimeAgent | None = None, **options: Any) -> RealtimeSession:
    return RealtimeSession(agent or RealtimeAgent("Greeter"), transport=memory_transport(wire), **options)


class Blocker:
    """A tool that waits, and tells what became of it."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.released = asyncio.Event()
        self.log: list[str] = []
        self.agent = RealtimeAgent("Blocker", tools=[function_tool(name_override="block")(self.block)])

    async def block(self) -> str:
        self.started.set()
        try:
            await self.released.wait()
        finally:
            await asyncio.sleep(0)
            self.log.append("tool ended")
        return "late"


BLOCK = call_turn("resp_1", ("call_1", "block", "{}"))


class TestEntering:
    async def test_connects_and_tells_the_history_first(self) -> None:
        async with open_session() as (session, _):
            assert session.status == "connected"
            (first,) = await read_until(session, "history_updated")
            assert first.history == []
        assert session.status == "disconnected"

    async def test_enter_and_close_are_the_context_manager(self) -> None:
        session = new_session(MemoryWire())
        assert await session.enter() is session
        assert session.status == "connected"
        await session.close()
        assert session.status == "disconnected"

    async def test_a_session_is_used_once(self) -> None:
        session = new_session(MemoryWire())
        async with session:
            with pytest.raises(SessionStateError, match="used once"):
                await session.enter()
            assert session.status == "connected"
        with pytest.raises(SessionStateError, match="make a new RealtimeSession"):
            await session.enter()

    async def test_one_that_was_closed_before_is_not_entered(self) -> None:
        wire = MemoryWire()
        session = new_session(wire)
        await session.close()
        with pytest.raises(SessionStateError):
            await session.enter()
        assert wire.far_ends == []

    async def test_nothing_is_dialled_for_an_agent_that_is_not_valid(self) -> None:
        def one() -> None: ...

        def failing(context: RunContextWrapper[Any], agent: RealtimeAgent) -> str:
            raise LookupError("no instructions today")

        twice = RealtimeAgent("A", tools=[function_tool(one), function_tool(one)])
        clash = RealtimeAgent("A", tools=[function_tool(name_override="transfer_to_b")(one)])
        clash.handoffs.append(RealtimeAgent("B"))
        undecorated = RealtimeAgent("A")
        undecorated.tools.append(one)  # type: ignore[arg-type]
        for agent, kind, words in (
            (twice, ConfigurationError, "one names more than one"),
            (clash, ConfigurationError, "transfer_to_b names more than one"),
            (undecorated, ConfigurationError, "@function_tool"),
            (RealtimeAgent("A", instructions=failing), LookupError, "no instructions today"),
        ):
            wire = MemoryWire()
            with pytest.raises(kind, match=words):
                await new_session(wire, agent).enter()
            assert wire.far_ends == []

    async def test_a_refused_connect_raises_its_own_error_and_leaves_nothing(self) -> None:
        refusal = ConnectRefusedError("no route")
        wire = MemoryWire(refusal=refusal)
        transport = memory_transport(wire)
        session = RealtimeSession(RealtimeAgent("A"), transport=transport)
        told: list[Any] = []
        session.on("raw_model_event", told.append)
        session.on("connection_change", told.append)
        async with no_leaks():
            with pytest.raises(ConnectRefusedError) as caught:
                await session.enter()
            assert caught.value is refusal
            with pytest.raises(ConnectRefusedError):
                await rest(session)
            told.clear()
            # The transport is free for another, and the session that failed hears nothing of it.
            wire.refusal = None
            await transport.connect()
            await wire.far_ends[0].heard()
            await transport.close()
            assert told == []

    async def test_cancelling_it_leaves_nothing_behind(self) -> None:
        wire = MemoryWire(polite=False)
        transport = memory_transport(wire)
        async with no_leaks():
            session = RealtimeSession(RealtimeAgent("A"), transport=transport)
            told: list[Any] = []
            session.on("raw_model_event", told.append)
            entering = asyncio.create_task(session.enter())
            far = await wire.dialled()
            await far.received("session.update")
            entering.cancel()
            with pytest.raises(asyncio.CancelledError):
                await entering
            assert far.gone.is_set()
            assert transport.status == "disconnected"
            await rest(session)
            told.clear()
            await transport.connect()
            await wire.far_ends[1].heard()
            await transport.close()
            assert told == []

    async def test_close_meanwhile_aborts_it(self) -> None:
        wire = MemoryWire(polite=False)
        session = new_session(wire)
        async with no_leaks():
            entering = asyncio.create_task(session.enter())
            far = await wire.dialled()
            await far.received("session.update")
            await session.close()
            with pytest.raises(ConnectAbortedError):
                await entering
            assert far.gone.is_set()
            assert session.status == "disconnected"

    async def test_close_while_instructions_are_being_made(self) -> None:
        asked, answer = asyncio.Event(), asyncio.Event()

        async def instructions(context: RunContextWrapper[Any], agent: RealtimeAgent) -> str:
            asked.set()
            await answer.wait()
            return "Be kind."

        wire = MemoryWire()
        session = new_session(wire, RealtimeAgent("A", instructions=instructions))
        entering = asyncio.create_task(session.enter())
        await asked.wait()
        await session.close()
        answer.set()
        with pytest.raises(SessionStateError, match="while the session was entered"):
            await entering
        assert wire.far_ends == []

    async def test_a_second_session_leaves_the_first_ones_connection_alone(self) -> None:
        wire = MemoryWire()
        transport = memory_transport(wire)
        async with RealtimeSession(RealtimeAgent("First"), transport=transport) as first:
            second = RealtimeSession(RealtimeAgent("Second"), transport=transport)
            with pytest.raises(AlreadyConnectedError):
                await second.enter()
            await second.close()
            assert first.status == "connected"
            wire.far_ends[0].send(*text_turn("resp_1", "item_1"))
            await read_until(first, "agent_end")
            assert second.history == []
            await RealtimeSession(RealtimeAgent("Third"), transport=transport).close()
            assert first.status == "connected"

    async def test_only_agents_are_taken(self) -> None:
        with pytest.raises(ConfigurationError, match="not with str"):
            RealtimeSession("Greeter", transport=memory_transport(MemoryWire()))  # type: ignore[arg-type]


class TestSendsOutOfTime:
    @pytest.mark.parametrize(
        "send",
        [
            lambda session: session.send_message("hi"),
            lambda session: session.send_audio(b"\0\0"),
            lambda session: session.interrupt(),
            lambda session: session.update_agent(RealtimeAgent("B")),
            lambda session: session.mute(True),
        ],
        ids=["send_message", "send_audio", "interrupt", "update_agent", "mute"],
    )
    async def test_say_what_to_do(self, send: Any) -> None:
        wire = MemoryWire()
        session = new_session(wire)
        with pytest.raises(SessionStateError, match="enter it first"):
            await send(session)
        async with session:
            pass
        with pytest.raises(SessionStateError, match="make a new one"):
            await send(session)
        assert wire.far_ends[0].types == ["session.update"]

    async def test_after_the_far_end_has_gone(self) -> None:
        async with open_session() as (session, far):
            far.close()
            await rest(session)
            with pytest.raises(NotConnectedError, match="make a new RealtimeSession"):
                await session.send_message("hi")


class UnwillingTransport(OpenAIRealtimeTransport):
    """Its first `failures` closes fail."""

    failures = 1
    closes = 0

    async def close(self) -> None:
        self.closes += 1
        await asyncio.sleep(0)
        if self.closes <= self.failures:
            raise TransportError("won't close")
        await super().close()


class TestClosing:
    async def test_again_does_nothing(self) -> None:
        async with no_leaks(), open_session() as (session, far):
            await session.close()
            await session.close()
            assert far.gone.is_set()

    async def test_at_the_same_time(self) -> None:
        async with open_session() as (session, _):
            await asyncio.gather(*(session.close() for _ in range(5)))
            assert session.status == "disconnected"

    async def test_a_caller_that_gives_up_does_not_stop_it(self) -> None:
        blocker = Blocker()
        async with open_session(blocker.agent) as (session, far):
            far.send(*BLOCK)
            await blocker.started.wait()
            one, other = asyncio.create_task(session.close()), asyncio.create_task(session.close())
            await asyncio.sleep(0)
            one.cancel()
            await other
            assert one.cancelled() or one.cancelling()
            assert blocker.log == ["tool ended"]
            assert far.gone.is_set()

    async def test_all_callers_get_the_transports_error_and_the_next_tries_again(self) -> None:
        transport = UnwillingTransport(MemoryWire(), name="memory", capabilities=TransportCapabilities())
        session = await RealtimeSession(RealtimeAgent("A"), transport=transport).enter()
        errors = await asyncio.gather(session.close(), session.close(), return_exceptions=True)
        assert errors[0] is errors[1]
        assert isinstance(errors[0], TransportError)
        assert transport.closes == 1
        await session.close()
        assert (transport.closes, transport.status) == (2, "disconnected")
        await session.close()
        assert transport.closes == 2

    async def test_tools_end_before_the_transport_does(self) -> None:
        blocker = Blocker()
        async with no_leaks():
            async with open_session(blocker.agent) as (session, far):
                session.transport.on("connection_change", lambda change: blocker.log.append(change.status))
                far.send(*BLOCK)
                await blocker.started.wait()
            assert blocker.log == ["tool ended", "disconnecting", "disconnected"]
            assert far.types == ["session.update"]

    async def test_what_arrives_meanwhile_changes_nothing(self) -> None:
        cancelled, released = asyncio.Event(), asyncio.Event()

        @function_tool
        async def linger() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
                await released.wait()

        async with open_session(RealtimeAgent("A", tools=[linger])) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "linger", "{}")))
            await read_until(session, "tool_start")
            history = session.history
            told: list[Any] = []
            for kind in ("history_updated", "audio", "raw_model_event", "agent_start", "tool_start"):
                session.on(kind, told.append)
            closing = asyncio.create_task(session.close())
            await cancelled.wait()
            far.send(*spoken_turn("resp_2", "item_2"), *call_turn("resp_3", ("call_3", "linger", "{}")))
            await far.heard()
            with pytest.raises(SessionStateError):
                await session.send_message("too late")
            released.set()
            await closing
            assert session.history == history
            assert told == []

    async def test_from_a_tool(self) -> None:
        log: list[str] = []

        @function_tool
        async def hang_up() -> str:
            try:
                await session.close()
            except asyncio.CancelledError:
                log.append("cancelled")
                raise
            return "closed"

        async with no_leaks(), open_session(RealtimeAgent("A", tools=[hang_up])) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "hang_up", "{}")))
            assert "tool_end" not in await rest(session)
            await session.close()
            assert log == ["cancelled"]
            assert session.status == "disconnected"

    async def test_from_a_tool_on_a_thread(self) -> None:
        loop = asyncio.get_running_loop()
        finished = threading.Event()

        @function_tool
        def hang_up() -> None:
            asyncio.run_coroutine_threadsafe(session.close(), loop).result(30)
            finished.set()

        async with no_leaks(), open_session(RealtimeAgent("A", tools=[hang_up])) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "hang_up", "{}")))
            await rest(session)
            assert await asyncio.to_thread(finished.wait, 30)

    async def test_from_listeners(self) -> None:
        async def hang_up(event: Any) -> None:
            await session.close()

        async with no_leaks(), open_session() as (session, far):
            session.on("agent_end", hang_up)
            far.send(*text_turn("resp_1", "item_1"))
            assert (await rest(session))[-1] == "connection_change"

    async def test_a_tool_that_will_not_end_is_left_behind_and_unheard(self) -> None:
        started, released, returned = asyncio.Event(), asyncio.Event(), asyncio.Event()

        @function_tool
        async def stubborn() -> str:
            started.set()
            while not released.is_set():
                try:
                    await released.wait()
                except asyncio.CancelledError:
                    continue
            returned.set()
            return "at last"

        wire = MemoryWire()
        transport = memory_transport(wire)
        agent = RealtimeAgent("A", tools=[stubborn])
        async with no_leaks():
            async with RealtimeSession(agent, transport=transport):
                wire.far_ends[0].send(*call_turn("resp_1", ("call_1", "stubborn", "{}")))
                await started.wait()
            assert transport.status == "disconnected"
            async with RealtimeSession(agent, transport=transport) as second:
                # Its result must not reach the conversation that the transport carries now.
                released.set()
                await returned.wait()
                await second.send_message("hello")
                assert wire.far_ends[1].types == ["session.update", "conversation.item.create", "response.create"]

    async def test_leaves_nothing_behind_after_a_whole_conversation(self) -> None:
        @function_tool
        def ping() -> str:
            return "pong"

        async with no_leaks():
            for _ in range(3):
                async with open_session(RealtimeAgent("A", tools=[ping])) as (session, far):
                    far.send(*user_item("item_1"), *call_turn("resp_1", ("call_1", "ping", "{}"), previous="item_1"))
                    await far.received("response.create")
                    far.send(*spoken_turn("resp_2", "item_2"))
                    await read_until(session, lambda event: event.type == "agent_end" and event.output)


class TestTheStreamsEnd:
    async def test_close_ends_all_who_wait(self) -> None:
        async with open_session() as (session, far):
            await read_until(session, lambda event: getattr(event, "status", "") == "connected")
            await far.heard()
            readers = [asyncio.create_task(rest(session)) for _ in range(3)]
            await asyncio.sleep(0)
            await session.close()
            told = [kind for reader in readers for kind in await reader]
            assert set(told) <= {"connection_change"}

    async def test_what_was_told_before_close_is_still_read(self) -> None:
        async with open_session() as (session, far):
            far.send(*text_turn("resp_1", "item_1"))
            await far.heard()
        assert "agent_end" in await rest(session)
        assert await rest(session) == []

    async def test_a_clean_close_of_the_far_end_ends_it_after_everything(self) -> None:
        async with open_session() as (session, far):
            far.send(*text_turn("resp_1", "item_1"))
            far.close(1000, "bye")
            told = await rest(session)
            assert told[-3:] == ["agent_end", "turn_metrics", "connection_change"]
            assert session.history[0].item_id == "item_1"
            assert await rest(session) == []

    async def test_how_it_ended_is_told(self) -> None:
        async with open_session() as (session, far):
            far.close(1000, "bye")
            change = [event async for event in session][-1]
            assert (change.status, change.code, change.reason) == ("disconnected", 1000, "bye")
            assert (change.initiated_by, change.error) == ("remote", None)

    async def test_an_unclean_one_is_raised_after_everything(self) -> None:
        seen: list[str] = []
        async with open_session() as (session, far):
            far.send(*text_turn("resp_1", "item_1"))
            far.close(1011, "oops")
            with pytest.raises(RemoteClosedError, match="oops") as caught:
                async for event in session:
                    seen.append(event.type)  # noqa: PERF401
            assert caught.value.code == 1011
            assert [kind for kind in seen if kind != "raw_model_event"][-4:] == [
                "agent_end",
                "turn_metrics",
                "error",
                "connection_change",
            ]

    async def test_a_lost_connection_is_raised(self) -> None:
        async with open_session() as (session, far):
            far.lose()
            with pytest.raises(RemoteClosedError) as caught:
                await rest(session)
            assert caught.value.code == 1006

    async def test_the_providers_own_reason_is_raised(self) -> None:
        async with open_session() as (session, far):
            error = {"type": "invalid_request_error", "code": "session_expired", "message": "60 minutes are over"}
            far.send({"type": "error", "error": error})
            far.close(1001)
            with pytest.raises(TransportError, match="60 minutes are over"):
                await rest(session)

    async def test_the_context_managers_exit_is_no_place_for_it(self) -> None:
        async with open_session() as (session, far):
            far.lose()
            await far.heard()
        assert session.status == "disconnected"

    async def test_tools_still_end_with_the_session(self) -> None:
        blocker = Blocker()
        async with no_leaks():
            async with open_session(blocker.agent) as (session, far):
                far.send(*BLOCK)
                await blocker.started.wait()
                far.close()
                await rest(session)
            assert blocker.log == ["tool ended"]


class TestConsumers:
    async def test_break_and_go_on(self) -> None:
        async with open_session() as (session, far):
            far.send(*text_turn("resp_1", "item_1", ["one"]))
            first = await read_until(session, "agent_end")
            far.send(*text_turn("resp_2", "item_2", ["two"], previous="item_1"))
            second = await read_until(session, "agent_end")
            assert (first[-1].output, second[-1].output) == ("one", "two")
            assert [event.delta for event in second if event.type == "transcript_delta"] == ["two"]

    async def test_several_share_the_events(self) -> None:
        async with open_session() as (session, far):
            readers = [asyncio.create_task(rest(session)) for _ in range(3)]
            far.send(*text_turn("resp_1", "item_1", [str(number) for number in range(30)]))
            far.close()
            told = [kind for reader in readers for kind in await reader]
            assert told.count("transcript_delta") == 30
            assert told.count("agent_end") == 1

    async def test_a_cancelled_one_loses_no_event(self) -> None:
        async with open_session() as (session, far):
            await read_until(session, lambda event: getattr(event, "status", "") == "connected")
            one, other = asyncio.create_task(rest(session)), asyncio.create_task(rest(session))
            await asyncio.sleep(0)
            far.send(*text_turn("resp_1", "item_1"))
            one.cancel()
            far.close()
            with pytest.raises(asyncio.CancelledError):
                await one
            assert "agent_end" in await other

    async def test_reading_may_begin_before_entering(self) -> None:
        session = new_session(MemoryWire())
        reader = asyncio.create_task(rest(session))
        await asyncio.sleep(0)
        async with session:
            pass
        assert "connection_change" in await reader

    async def test_listeners_and_the_stream_have_the_same(self) -> None:
        async with open_session() as (session, far):
            heard: list[Any] = []
            for kind in ("agent_start", "transcript_delta", "agent_end"):
                session.on(kind, heard.append)
            far.send(*text_turn("resp_1", "item_1"))
            read = await read_until(session, "agent_end")
            assert heard == [event for event in read if event.type in {"agent_start", "transcript_delta", "agent_end"}]

    async def test_once_and_off(self) -> None:
        async with open_session() as (session, far):
            once: list[Any] = []
            never: list[Any] = []
            session.once("agent_end", once.append)
            session.off("agent_end", session.on("agent_end", never.append))
            for turn in ("1", "2"):
                far.send(*text_turn(f"resp_{turn}", f"item_{turn}"))
            await read_until(session, lambda event: getattr(event, "response_id", "") == "resp_2")
            await far.heard()
            assert (len(once), never) == (1, [])

    @pytest.mark.parametrize("coroutine", [False, True])
    async def test_a_failing_listener_is_an_error_event_and_hurts_nobody(self, coroutine: bool) -> None:
        def fail(event: Any) -> None:
            raise LookupError("mine")

        async def fail_later(event: Any) -> None:
            raise LookupError("mine")

        async with open_session() as (session, far):
            after: list[Any] = []
            session.on("agent_end", fail_later if coroutine else fail)
            session.on("agent_end", after.append)
            far.send(*text_turn("resp_1", "item_1"))
            events = await read_until(session, "error")
            events += await read_until(session, "agent_end") if "agent_end" not in [e.type for e in events] else []
            (error,) = [event.error for event in events if event.type == "error"]
            assert "agent_end" in str(error)
            assert isinstance(error.__cause__, LookupError)
            assert len(after) == 1
