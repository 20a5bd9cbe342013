"""Where models for the SDK's session go wrong: the ten points of the checklist, each with the session itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from agents import FunctionTool
from agents.realtime import RealtimeAgent, RealtimeRunConfig, RealtimeRunner, RealtimeSession

from jackfield.testing import Call, Disconnect, Finish, Say, ScriptedTransport, Turn, Write
from jackfield.transport import ProviderError, RemoteClosedError
from jackfield.transport.events import Error, ItemUpdate, TurnDone, TurnStarted
from jackfield.transport.items import UserMessageItem
from jackfield_openai_agents import TransportModel

PATIENCE = 30.0


class Uncopied:
    """A tool's function that holds what can be neither copied nor encoded."""

    def __init__(self) -> None:
        self.ran = 0

    async def __call__(self, context: Any, arguments: str) -> str:
        self.ran += 1
        return "Sunny"

    def __deepcopy__(self, memo: Any) -> Any:
        raise AssertionError("it was copied")


def weather(function: Uncopied | None = None) -> FunctionTool:
    return FunctionTool(
        name="get_weather",
        description="Weather.",
        params_json_schema={"type": "object", "properties": {}},
        on_invoke_tool=function or Uncopied(),
    )


@contextlib.asynccontextmanager
async def session_of(
    far_end: ScriptedTransport,
    agent: RealtimeAgent[Any] | None = None,
    config: RealtimeRunConfig | None = None,
) -> AsyncIterator[RealtimeSession]:
    agent = agent or RealtimeAgent(name="Front", tools=[weather()])
    runner = RealtimeRunner(agent, model=TransportModel(far_end), config=config)
    async with await runner.run() as session:
        yield session


async def until(session: RealtimeSession, kind: str, count: int = 1) -> list[Any]:
    told: list[Any] = []
    async with asyncio.timeout(PATIENCE):
        async for event in session:
            told.append(event)
            if [event.type for event in told].count(kind) == count:
                return told
    raise AssertionError(f"the session ended without {kind}: {[event.type for event in told]}")


async def to_the_end(session: RealtimeSession) -> list[Any]:
    async with asyncio.timeout(PATIENCE):
        return [event async for event in session]


def history(told: list[Any]) -> list[Any]:
    return next(event.history for event in reversed(told) if event.type == "history_updated")


async def test_1_a_tool_that_runs_inside_a_listener_can_send() -> None:
    """Were its output's acknowledgement awaited, it would come after the listener: that is, never."""
    far_end = ScriptedTransport()
    async with session_of(far_end, config={"async_tool_calls": False}) as session:
        far_end.emit(Call("get_weather"), Say("It is sunny."))
        call = await far_end.expect_call("send_function_call_output")
        assert call.arguments["output"] == "Sunny"
        told = await until(session, "agent_end", 2)
        assert [event.type for event in told].count("tool_end") == 1


async def test_2_a_call_that_was_answered_is_complete() -> None:
    far_end = ScriptedTransport()
    async with session_of(far_end) as session:
        far_end.emit(Call("get_weather"))
        await far_end.expect_call("send_function_call_output")
        told = await until(session, "tool_end")
        [item] = history(told)
        assert (item.status, item.output) == ("completed", "Sunny")


async def test_3_ids_are_the_far_ends_and_of_one_connection() -> None:
    """A second far end may give the same ids again: they are other items, and told from the beginning."""
    far_end = ScriptedTransport(strict=False)
    agent = RealtimeAgent(name="Front", tools=[weather()])
    runner = RealtimeRunner(agent, model=TransportModel(far_end))
    for _ in range(2):
        async with await runner.run() as session:
            far_end.emit(Call("get_weather", item_id="item_1", call_id="call_1"))
            told = await until(session, "tool_end")
            items = [event.data.item for event in told if _is_model_event(event, "item_updated")]
            assert [(item.item_id, item.status) for item in items] == [
                ("item_1", "in_progress"),
                ("item_1", "completed"),
            ]


@pytest.mark.parametrize(("began", "ended"), [("", "resp_1"), ("resp_1", ""), ("", ""), ("resp_1", "resp_1")])
async def test_4_a_turn_ends_with_the_id_that_it_began_with(began: str, ended: str) -> None:
    far_end = ScriptedTransport()
    async with session_of(far_end) as session:
        far_end.emit(TurnStarted(began), TurnDone(response_id=ended))
        await until(session, "agent_end")


async def test_5_a_far_end_that_hangs_up_ends_who_iterates() -> None:
    far_end = ScriptedTransport()
    async with session_of(far_end) as session:
        far_end.emit(Write("Bye."), Disconnect(1000))
        told = await to_the_end(session)
        assert "agent_end" in [event.type for event in told]
        kinds = [event.data.type for event in told if event.type == "raw_model_event"]
        assert kinds[-2:] == ["connection_status", "end_of_stream"]


async def test_6_an_error_that_can_be_lived_with_is_no_exception() -> None:
    far_end = ScriptedTransport()
    async with session_of(far_end) as session:
        far_end.emit(Error(ProviderError("rate limit", code="rate_limit_exceeded")), Write("Hello."))
        told = await until(session, "agent_end")
        [error] = [event for event in told if event.type == "error"]
        assert error.error.code == "rate_limit_exceeded"


async def test_6_a_lost_connection_is_one() -> None:
    far_end = ScriptedTransport()
    async with session_of(far_end) as session:
        far_end.emit(Disconnect(1006))
        with pytest.raises(RemoteClosedError):
            await to_the_end(session)


async def test_7_one_model_serves_sessions_in_turn() -> None:
    far_end = ScriptedTransport(strict=False)
    runner = RealtimeRunner(RealtimeAgent(name="Front"), model=TransportModel(far_end))
    for number in range(3):
        async with await runner.run() as session:
            far_end.emit(Write(f"Answer {number}."), Turn([Write("Cut off")], done=False))
            told = await until(session, "agent_start", 2)
            assert [event.type for event in told].count("agent_end") == 1
            await session.send_message("Hello?")  # whose answer never comes
            deltas = [event.data.delta for event in told if _is_model_event(event, "output_text_delta")]
            assert "".join(deltas).startswith(f"Answer {number}.")


async def test_8_tools_are_neither_copied_nor_encoded() -> None:
    far_end = ScriptedTransport()
    function = Uncopied()
    agent = RealtimeAgent(name="Front", tools=[weather(function)])
    async with session_of(far_end, agent) as session:
        await session.update_agent(agent)
        await far_end.expect_call("update_session_config")
        far_end.emit(Call("get_weather"))
        await far_end.expect_call("send_function_call_output")
        assert function.ran == 1


async def test_9_a_session_is_closed_the_same_however_it_ended() -> None:
    far_end = ScriptedTransport(strict=False)
    runner = RealtimeRunner(RealtimeAgent(name="Front"), model=TransportModel(far_end))
    for end in (Disconnect(1000), Disconnect(1006), Finish("failed"), Write("Hello.")):
        async with await runner.run() as session:
            far_end.emit(Turn([], done=False), end)
        await session.close()
        assert far_end.status == "disconnected"


async def test_10_a_handoff_leaves_alone_what_it_does_not_change() -> None:
    billing = RealtimeAgent(name="Billing", instructions="Be exact.")
    front = RealtimeAgent(name="Front", instructions="Be kind.", handoffs=[billing])
    far_end = ScriptedTransport()
    settings: Any = {"model_name": "gpt-realtime", "voice": "marin"}
    async with session_of(far_end, front, {"model_settings": settings}) as session:
        far_end.emit(Turn([Say("One moment."), Call("transfer_to_billing")]))
        update = await far_end.expect_call("update_session_config")
        assert dict(update.arguments["config"]) == {
            "instructions": "Be exact.",
            "tools": [],
            "output_modalities": ["audio"],
        }
        await far_end.expect_call("send_function_call_output", {"output": '{"assistant": "Billing"}'})
        await until(session, "handoff")


async def test_items_stand_where_the_far_end_has_them() -> None:
    """A transcript may be late: the user's words belong before the answer to them."""
    far_end = ScriptedTransport()
    async with session_of(far_end) as session:
        for item_id, after in (("one", None), ("three", "one"), ("two", "one")):
            far_end.emit(ItemUpdate(item=UserMessageItem(item_id=item_id), after=after))
        far_end.emit(Write("Hello.", item_id="four"))
        told = await until(session, "agent_end")
        assert [item.item_id for item in history(told)] == ["one", "two", "three", "four"]


def _is_model_event(event: Any, kind: str) -> bool:
    return event.type == "raw_model_event" and event.data.type == kind
