"""What users of the Python SDK rely on, A42 to A57: tool calls; and what jackfield's tools can do beside that.

Where a scenario's outcome differs here on purpose, `docs/compatibility.md` says why.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from jackfield import (
    BackgroundResult,
    FunctionTool,
    RealtimeAgent,
    RealtimeSession,
    RealtimeToolCallItem,
    RunContextWrapper,
    ToolContext,
    ToolErrorFormatterArgs,
    ToolGuardrailFunctionOutput,
    ToolInputGuardrailData,
    function_tool,
    realtime_handoff,
    tool_input_guardrail,
)
from jackfield.errors import JackfieldError, NotConnectedError, ToolError, ToolTimeoutError, TransportError
from jackfield.testing import Call, Finish, ScriptedTransport, Turn
from jackfield.transport.events import FunctionCall, TurnStarted
from support.clock import advance, settle, timeless
from support.memory_wire import FarEnd, call_turn, open_session, outputs, read_until, response_done, text_turn


def agent_with(*tools: FunctionTool, **fields: Any) -> RealtimeAgent:
    return RealtimeAgent("Helper", tools=list(tools), **fields)


async def output_of(far: FarEnd, name: str, arguments: str = "{}", call_id: str = "call_1") -> str:
    """Have the model call a tool and return what it is told."""
    far.send(*call_turn(f"resp_{call_id}", (call_id, name, arguments)))
    return (await outputs(far))[call_id]


def called(name: str, call_id: str = "call_1", arguments: str = "{}", response_id: str = "resp_1") -> FunctionCall:
    """A call as a transport tells it that doesn't see to its being told once."""
    return FunctionCall(
        name=name, arguments=arguments, call_id=call_id, item_id=f"item_{call_id}", response_id=response_id
    )


def sent(far_end: ScriptedTransport) -> list[str]:
    """The outputs that reached the far end, in order."""
    calls = far_end.calls
    return [call.arguments["output"] for call in calls if call.method == "send_function_call_output"]


def errors_of(session: RealtimeSession) -> list[JackfieldError]:
    """A list that fills with the session's errors."""
    errors: list[JackfieldError] = []
    session.on("error", lambda event: errors.append(event.error))
    return errors


async def read_to_the_end(session: RealtimeSession) -> tuple[list[Any], Exception | None]:
    """Iterate to the end; return what came, and what iterating raised."""
    events: list[Any] = []
    try:
        async for event in session:
            events.append(event)  # noqa: PERF401 - what came before it raised is to be kept
    except Exception as error:
        return events, error
    return events, None


def tool_events(events: list[Any]) -> list[str]:
    return [event.type for event in events if event.type.startswith("tool_")]


class Counter:
    """A tool that counts its runs and does what it is told."""

    def __init__(self, name: str = "count", result: Callable[[], Any] = lambda: None, **options: Any) -> None:
        self.runs = 0
        self.started = asyncio.Event()
        self.finish = asyncio.Event()
        self.finish.set()

        @function_tool(name_override=name, strict_mode=False, **options)
        async def run() -> Any:
            self.runs += 1
            self.started.set()
            await self.finish.wait()
            return result()

        self.tool = run


@dataclass
class Point:
    x: int
    label: str


class Forecast(BaseModel):
    city: str
    degrees: float


class Lookalike:
    """Not of pydantic, but with a method of that name."""

    def model_dump(self, *, mode: str = "python") -> dict[str, Any]:
        return {"mode": mode}


class Lookaway:
    """One whose method takes something else."""

    def model_dump(self) -> dict[str, Any]:
        raise AssertionError("it is not to be called without a mode")

    def __str__(self) -> str:
        return "looked away"


class TestScenarios:
    async def test_a42_success(self) -> None:
        @function_tool
        def add(first: int, second: int) -> int:
            return first + second

        arguments = '{"first": 2, "second": 2}'
        agent = agent_with(add)
        async with open_session(agent) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "add", arguments)))
            events = await read_until(session, "tool_end")
            assert tool_events(events) == ["tool_start", "tool_end"]
            start, end = (event for event in events if event.type.startswith("tool_"))
            for event in (start, end):
                assert (event.agent, event.tool, event.arguments, event.call_id) == (agent, add, arguments, "call_1")
                assert event.response_id == "resp_1"
            assert (end.output, end.error) == (4, None)
            await far.received("response.create")
            assert far.types == ["session.update", "conversation.item.create", "response.create"]
            assert await outputs(far) == {"call_1": "4"}

    @pytest.mark.parametrize(
        ("result", "text"),
        [
            ("as it is", "as it is"),
            ({"city": "Zürich", "open": True}, '{"city": "Zürich", "open": true}'),
            ([1, None, {"deep": [Point(1, "a")]}], '[1, null, {"deep": [{"x": 1, "label": "a"}]}]'),
            (Forecast(city="Rome", degrees=21.5), '{"city": "Rome", "degrees": 21.5}'),
            (Point(3, "c"), '{"x": 3, "label": "c"}'),
            (None, "null"),
            (False, "false"),
            (b"raw", "\"b'raw'\""),
        ],
    )
    async def test_a43_results_become_text(self, result: Any, text: str) -> None:
        tool = Counter(result=lambda: result).tool
        async with open_session(agent_with(tool)) as (session, far):
            assert await output_of(far, "count") == text
            assert (await read_until(session, "tool_end"))[-1].output is result

    @pytest.mark.parametrize(("result", "text"), [(Lookalike(), '{"mode": "json"}'), (Lookaway(), "looked away")])
    async def test_a44_whatever_can_dump_itself_for_json_does(self, result: Any, text: str) -> None:
        tool = Counter(result=lambda: result).tool
        async with open_session(agent_with(tool)) as (_, far):
            assert await output_of(far, "count") == text

    async def test_a45_an_unknown_tool(self) -> None:
        async with open_session(agent_with()) as (session, far):
            assert await output_of(far, "vanish") == "Tool vanish not found"
            events = await read_until(session, "error")
            assert isinstance(events[-1].error, ToolError)
            assert tool_events(events) == []
            await far.heard()
            assert "response.create" not in far.types
            assert session.status == "connected"

    async def test_a46_a_tool_that_was_switched_off_meanwhile(self) -> None:
        there = True
        counter = Counter(is_enabled=lambda context, agent: there)
        async with open_session(agent_with(counter.tool)) as (session, far):
            assert [tool["name"] for tool in far.frames[0]["session"]["tools"]] == ["count"]
            there = False
            assert await output_of(far, "count") == "Tool count not found"
            assert "not enabled any more" in str((await read_until(session, "error"))[-1].error)
            assert counter.runs == 0

    async def test_a47_a_call_that_is_told_twice_by_the_wire(self) -> None:
        counter = Counter()
        async with open_session(agent_with(counter.tool)) as (session, far):
            turn = call_turn("resp_1", ("call_1", "count", "{}"))
            far.send(*turn[:-1], *turn[1:])
            await far.received("response.create")
            far.send(*turn[1:-1])
            far.send(*text_turn("resp_2", "item_2"))
            await read_until(session, lambda event: getattr(event, "output", None) == "Hello there.")
            assert counter.runs == 1
            assert await outputs(far) == {"call_1": "null"}
            assert far.types.count("conversation.item.create") == 1

    @pytest.mark.parametrize("when", ["at once", "while it runs", "when it is done"])
    @timeless
    async def test_a47_a_call_that_is_told_twice_by_the_transport(self, when: str) -> None:
        counter = Counter()
        counter.finish.clear()
        far_end = ScriptedTransport(strict=False)
        async with RealtimeSession(agent_with(counter.tool), transport=far_end) as session:
            errors = errors_of(session)
            far_end.emit(TurnStarted("resp_1"), called("count"))
            if when != "at once":
                await counter.started.wait()
            if when == "when it is done":
                counter.finish.set()
                await far_end.expect_call("send_function_call_output")
            far_end.emit(called("count"))
            counter.finish.set()
            far_end.emit(Finish())
            await far_end.expect_call("request_response")
            await settle()
            assert (counter.runs, sent(far_end), errors) == (1, ["null"], [])

    @timeless
    async def test_a47_a_call_that_is_told_again_while_its_output_waits_for_the_wire(self) -> None:
        entered, flow = asyncio.Event(), asyncio.Event()

        class Slow(ScriptedTransport):
            async def send_function_call_output(self, *args: Any, **options: Any) -> None:
                entered.set()
                await flow.wait()
                await super().send_function_call_output(*args, **options)

        counter = Counter()
        far_end = Slow(strict=False)
        async with RealtimeSession(agent_with(counter.tool), transport=far_end):
            far_end.emit(TurnStarted("resp_1"), called("count"))
            await entered.wait()
            far_end.emit(called("count"), Finish())
            await settle()
            flow.set()
            await far_end.expect_call("request_response")
            await settle()
            assert (counter.runs, sent(far_end)) == (1, ["null"])

    @pytest.mark.parametrize("when", ["running", "waiting for approval", "answered"])
    @pytest.mark.parametrize(
        "changed",
        [called("count", arguments='{"n": 2}'), called("other"), called("transfer_to_boss")],
        ids=["arguments", "name", "role"],
    )
    async def test_a48_a_call_that_comes_again_as_another(self, when: str, changed: FunctionCall) -> None:
        counter = Counter(needs_approval=when == "waiting for approval")
        other = Counter("other")
        counter.finish.clear()
        agent = agent_with(counter.tool, other.tool, handoffs=[RealtimeAgent("Boss")])
        far_end = ScriptedTransport(strict=False)
        async with RealtimeSession(agent, transport=far_end) as session:
            far_end.emit(TurnStarted("resp_1"), called("count"))
            if when == "waiting for approval":
                await read_until(session, "tool_approval_required")
            else:
                await counter.started.wait()
            if when == "answered":
                counter.finish.set()
                await far_end.expect_call("send_function_call_output")
            far_end.emit(changed)
            error = (await read_until(session, "error"))[-1].error
            assert isinstance(error, ToolError)
            assert "came again with another function or other arguments" in str(error)
            counter.finish.set()
            if when == "waiting for approval":
                await session.approve_tool_call("call_1")
            far_end.emit(Finish())
            await far_end.expect_call("request_response")
            assert (counter.runs, other.runs, sent(far_end)) == (1, 0, ["null"])
            assert session.current_agent is agent

    async def test_a48_the_same_arguments_in_another_order_are_the_same_call(self) -> None:
        counter = Counter()
        far_end = ScriptedTransport(strict=False)
        async with RealtimeSession(agent_with(counter.tool), transport=far_end) as session:
            errors = errors_of(session)
            far_end.emit(TurnStarted("resp_1"), called("count", arguments='{"a": 1, "b": 2}'))
            far_end.emit(called("count", arguments='{ "b":2,"a":1 }'), Finish())
            await far_end.expect_call("request_response")
            assert (counter.runs, errors) == (1, [])

    async def test_a49_a_call_without_an_id_goes_by_its_items(self) -> None:
        counter = Counter()
        async with open_session(agent_with(counter.tool)) as (_, far):
            turn = call_turn("resp_1", ("", "count", "{}"))
            far.send(*turn[:-1], *turn[1:])
            assert await outputs(far) == {"item_": "null"}
            await far.received("response.create")
            assert counter.runs == 1

    @timeless
    async def test_a49_without_either_id_nothing_runs(self) -> None:
        counter = Counter(is_enabled=lambda context, agent: True)
        far_end = ScriptedTransport(strict=False)
        async with RealtimeSession(agent_with(counter.tool), transport=far_end) as session:
            call = FunctionCall(name="count", arguments="{}", call_id="", item_id="", response_id="resp_1")
            far_end.emit(TurnStarted("resp_1"), call, Finish())
            error = (await read_until(session, "error"))[-1].error
            assert isinstance(error, ToolError)
            assert "without a call id" in str(error)
            await settle()
            assert (counter.runs, sent(far_end)) == (0, [])

    @timeless
    async def test_a50_a_tool_that_raised_is_not_run_again(self) -> None:
        def fail() -> None:
            raise LookupError("charged, and then it broke")

        counter = Counter(result=fail)
        far_end = ScriptedTransport(strict=False)
        async with RealtimeSession(agent_with(counter.tool), transport=far_end) as session:
            far_end.emit(TurnStarted("resp_1"), called("count"), Finish())
            await far_end.expect_call("request_response")
            far_end.emit(TurnStarted("resp_2"), called("count", response_id="resp_2"), Finish())
            await read_until(session, lambda event: event.type == "agent_end" and event.response_id == "resp_2")
            await settle()
            assert counter.runs == 1
            (output,) = sent(far_end)
            assert "charged, and then it broke" in output

    @timeless
    async def test_a51_an_output_that_could_not_be_sent_goes_out_when_the_call_comes_again(self) -> None:
        counter = Counter(result=lambda: "worth keeping")
        far_end = ScriptedTransport(strict=False)
        far_end.fail_next("send_function_call_output", TransportError("the line is busy"))
        async with RealtimeSession(agent_with(counter.tool), transport=far_end) as session:
            far_end.emit(TurnStarted("resp_1"), called("count"), Finish())
            events = await read_until(session, "error")
            assert str(events[-1].error) == "the line is busy"
            assert tool_events(events) == ["tool_start"]
            assert counter.started.is_set()
            far_end.emit(TurnStarted("resp_2"), called("count", response_id="resp_2"), called("count"), Finish())
            events = await read_until(session, "tool_end")
            assert (events[-1].output, tool_events(events)) == ("worth keeping", ["tool_end"])
            await far_end.expect_call("request_response")
            await settle()
            assert counter.runs == 1
            assert sent(far_end) == ["worth keeping"] * 2  # the first of them failed

    @timeless
    async def test_a52_a_listener_that_fails_changes_nothing_about_the_call(self) -> None:
        def fail(event: Any) -> None:
            raise RuntimeError("the dashboard is down")

        counter = Counter()
        far_end = ScriptedTransport(strict=False)
        async with RealtimeSession(agent_with(counter.tool), transport=far_end) as session:
            session.on("tool_end", fail)
            far_end.emit(TurnStarted("resp_1"), called("count"))
            await read_until(session, "tool_end")
            far_end.emit(called("count"), Finish())
            await far_end.expect_call("request_response")
            await settle()
            assert (counter.runs, sent(far_end)) == (1, ["null"])

    @timeless
    async def test_a53_a_tool_that_takes_too_long_is_told_as_a_result(self) -> None:
        counter = Counter(timeout=60)
        counter.finish.clear()
        async with open_session(agent_with(counter.tool)) as (session, far):
            words = "Tool 'count' timed out after 60 seconds."
            far.send(*call_turn("resp_1", ("call_1", "count", "{}")))
            await advance(59)
            assert "conversation.item.create" not in far.types
            await advance(1)
            assert await outputs(far) == {"call_1": words}
            await far.received("response.create")
            end = (await read_until(session, "tool_end"))[-1]
            assert (end.output, type(end.error)) == (words, ToolTimeoutError)
            far.send(*text_turn("resp_2", "item_2"))
            await read_until(session, "agent_end")

    @pytest.mark.parametrize("sync", [True, False])
    @timeless
    async def test_a53_a_tools_own_words_for_it(self, sync: bool) -> None:
        def words(context: ToolContext[Any], error: ToolTimeoutError) -> str:
            return f"{context.tool_name} of {context.tool_call_id} is slow: {error}"

        async def words_on_the_loop(context: ToolContext[Any], error: ToolTimeoutError) -> str:
            return words(context, error)

        counter = Counter(timeout=60, timeout_error_function=words if sync else words_on_the_loop)
        counter.finish.clear()
        async with open_session(agent_with(counter.tool)) as (_, far):
            far.send(*call_turn("resp_1", ("call_1", "count", "{}")))
            await advance(60)
            words = "count of call_1 is slow: Tool 'count' timed out after 60 seconds."
            assert await outputs(far) == {"call_1": words}

    @timeless
    async def test_a53_one_that_is_to_raise_ends_the_session_with_the_model_answered(self) -> None:
        counter = Counter(timeout=60, timeout_behavior="raise_exception")
        counter.finish.clear()
        async with open_session(agent_with(counter.tool)) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "count", "{}")))
            await advance(60)
            assert await outputs(far) == {"call_1": "Tool 'count' timed out after 60 seconds."}
            events, raised = await read_to_the_end(session)
            assert isinstance(raised, ToolTimeoutError)
            assert [event.error for event in events if event.type == "error"] == [raised]
            assert tool_events(events) == ["tool_start", "tool_end"]
            assert [event.error for event in events if event.type == "tool_end"] == [raised]
            await far.gone.wait()
            assert "response.create" not in far.types

    @timeless
    async def test_a53_a_function_on_a_thread_is_left_behind_and_its_result_ignored(self) -> None:
        gate, over = threading.Event(), threading.Event()

        @function_tool(timeout=60)
        def slow() -> str:
            gate.wait(30)
            over.set()
            return "too late"

        async with open_session(agent_with(slow)) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "slow", "{}")))
            await advance(60)
            assert await outputs(far) == {"call_1": "Tool 'slow' timed out after 60 seconds."}
            gate.set()
            await asyncio.to_thread(over.wait, 30)
            far.send(*text_turn("resp_2", "item_2"))
            await read_until(session, lambda event: getattr(event, "output", None) == "Hello there.")
            assert far.types.count("conversation.item.create") == 1

    async def test_a53_a_timeout_inside_of_the_tool_is_its_own(self) -> None:
        @function_tool(timeout=60)
        async def inner() -> None:
            async with asyncio.timeout(0):
                await asyncio.Event().wait()

        async with open_session(agent_with(inner)) as (_, far):
            output = await output_of(far, "inner")
            assert output.startswith("An error occurred while running the tool.")
            assert "60 seconds" not in output

    @pytest.mark.parametrize("when", ["before the call", "after the call"])
    async def test_a54_a_call_belongs_to_the_agent_whose_response_made_it(self, when: str) -> None:
        first, second = Counter(result=lambda: "first's"), Counter(result=lambda: "second's")
        first.finish.clear()
        async with open_session(agent_with(first.tool)) as (session, far):
            turn = call_turn("resp_1", ("call_1", "count", "{}"))
            far.send(*turn[:1])
            await far.heard()
            if when == "before the call":
                await session.update_agent(RealtimeAgent("Second", tools=[second.tool]))
            far.send(*turn[1:])
            await first.started.wait()
            if when == "after the call":
                await session.update_agent(RealtimeAgent("Second", tools=[second.tool]))
            first.finish.set()
            assert await outputs(far) == {"call_1": "first's"}
            await far.received("response.create")
            far.send(*call_turn("resp_2", ("call_2", "count", "{}")))
            assert await outputs(far) == {"call_2": "second's"}

    async def test_a55_an_exception_is_told_to_the_model(self) -> None:
        def fail() -> None:
            raise LookupError("no such city")

        counter = Counter(result=fail)
        async with open_session(agent_with(counter.tool)) as (session, far):
            words = "An error occurred while running the tool. Please try again. Error: no such city"
            assert await output_of(far, "count") == words
            end = (await read_until(session, "tool_end"))[-1]
            assert (end.output, type(end.error)) == (words, LookupError)
            await far.received("response.create")
            assert session.status == "connected"

    @pytest.mark.parametrize("sync", [True, False])
    async def test_a55_in_the_tools_own_words(self, sync: bool) -> None:
        def fail() -> None:
            raise LookupError("no such city")

        def words(context: ToolContext[Any], error: Exception) -> str:
            return f"{context.tool_name}: {type(error).__name__}"

        async def words_on_the_loop(context: ToolContext[Any], error: Exception) -> str:
            return words(context, error)

        counter = Counter(result=fail, failure_error_function=words if sync else words_on_the_loop)
        async with open_session(agent_with(counter.tool)) as (_, far):
            assert await output_of(far, "count") == "count: LookupError"

    async def test_a55_words_that_fail_themselves(self) -> None:
        def fail() -> None:
            raise LookupError("no such city")

        def words(context: ToolContext[Any], error: Exception) -> str:
            raise ValueError("no words")

        counter = Counter(result=fail, failure_error_function=words)
        async with open_session(agent_with(counter.tool)) as (_, far):
            assert (await output_of(far, "count")).endswith("Error: no such city")
            await far.received("response.create")

    async def test_a55_without_a_function_for_it_iterating_raises_the_tools_own_exception(self) -> None:
        failure = LookupError("no such city")

        def fail() -> None:
            raise failure

        counter = Counter(result=fail, failure_error_function=None)
        async with open_session(agent_with(counter.tool)) as (session, far):
            told = errors_of(session)
            assert await output_of(far, "count") == "The tool count failed."
            events, raised = await read_to_the_end(session)
            assert raised is failure
            assert tool_events(events) == ["tool_start", "tool_end"]
            assert [event.error for event in events if event.type == "tool_end"] == [failure]
            assert isinstance(told[-1], ToolError)
            assert told[-1].__cause__ is failure
            await far.gone.wait()
            assert "response.create" not in far.types
            await session.close()

    @timeless
    async def test_a55_it_is_raised_also_where_the_model_could_not_be_told(self) -> None:
        failure = LookupError("no such city")

        def fail() -> None:
            raise failure

        counter = Counter(result=fail, failure_error_function=None)
        far_end = ScriptedTransport(strict=False)
        far_end.fail_next("send_function_call_output", TransportError("the line is busy"))
        async with RealtimeSession(agent_with(counter.tool), transport=far_end) as session:
            far_end.emit(TurnStarted("resp_1"), called("count"), Finish())
            await settle()
            assert far_end.status == "disconnected"
            _, raised = await read_to_the_end(session)
            assert raised is failure

    @timeless
    async def test_a56_one_at_a_time_and_the_conversation_goes_on(self) -> None:
        first, second = Counter("first"), Counter("second")
        first.finish.clear()
        config = {"async_tool_calls": False}
        async with open_session(agent_with(first.tool, second.tool), config=config) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "first", "{}"), ("call_2", "second", "{}")))
            await first.started.wait()
            far.send(*text_turn("resp_2", "item_2"))
            await read_until(session, lambda event: getattr(event, "output", None) == "Hello there.")
            await settle()
            assert (second.runs, far.types) == (0, ["session.update"])
            first.finish.set()
            assert list(await outputs(far, 2)) == ["call_1", "call_2"]
            await far.received("response.create")
            assert far.types.count("response.create") == 1

    @timeless
    async def test_a56_in_the_order_of_the_calls_also_where_one_is_thought_about(self) -> None:
        async def thought_about(*given: Any) -> bool:
            await settle()
            return False

        order: list[str] = []
        first = Counter("first", result=lambda: order.append("first"), needs_approval=thought_about)
        second = Counter("second", result=lambda: order.append("second"))
        config = {"async_tool_calls": False}
        async with open_session(agent_with(first.tool, second.tool), config=config) as (_, far):
            far.send(*call_turn("resp_1", ("call_1", "first", "{}"), ("call_2", "second", "{}")))
            await far.received("response.create")
            assert order == ["first", "second"]

    async def test_a56_one_that_waits_for_approval_keeps_no_other_waiting(self) -> None:
        first, second = Counter("first", needs_approval=True), Counter("second")
        config = {"async_tool_calls": False}
        async with open_session(agent_with(first.tool, second.tool), config=config) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "first", "{}"), ("call_2", "second", "{}")))
            assert list(await outputs(far)) == ["call_2"]
            await session.approve_tool_call("call_1")
            assert list(await outputs(far)) == ["call_1"]
            await far.received("response.create")

    @timeless
    async def test_a56_a_handoff_waits_for_its_turn(self) -> None:
        first = Counter("first")
        first.finish.clear()
        agent = agent_with(first.tool, handoffs=[RealtimeAgent("Boss")])
        async with open_session(agent, config={"async_tool_calls": False}) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "first", "{}"), ("call_2", "transfer_to_boss", "{}")))
            await first.started.wait()
            await settle()
            assert session.current_agent is agent
            first.finish.set()
            assert list(await outputs(far, 2)) == ["call_1", "call_2"]
            await far.received("response.create")
            assert session.current_agent.name == "Boss"

    async def test_a57_guardrails_and_tools_share_the_sessions_context(self) -> None:
        seen: list[ToolContext[Any]] = []

        @tool_input_guardrail
        async def look(data: ToolInputGuardrailData) -> ToolGuardrailFunctionOutput:
            seen.append(data.context)
            data.context.context["seen"] = data.context.tool_arguments
            return ToolGuardrailFunctionOutput.allow()

        @function_tool(tool_input_guardrails=[look])
        async def ask(context: ToolContext[dict[str, str]]) -> str:
            seen.append(context)
            return context.context["seen"]

        async with open_session(agent_with(ask), context={}) as (session, far):
            assert await output_of(far, "ask", "{}") == "{}"
            for context in seen:
                assert context.run_context is session.context
                assert (context.tool_call_id, context.response_id) == ("call_1", "resp_call_1")
                assert context.usage is session.usage
                assert [item.item_id for item in context.history] == ["item_call_1"]
            assert len(seen) == 2


class TestEveryCallGetsAnOutput:
    @pytest.mark.parametrize("failure", [NotConnectedError("the other line"), StopAsyncIteration(), EOFError()])
    async def test_also_where_it_fails_as_a_connection_might(self, failure: Exception) -> None:
        def fail() -> None:
            raise failure

        counter = Counter(result=fail)
        async with open_session(agent_with(counter.tool)) as (_, far):
            assert (await output_of(far, "count")).startswith("An error occurred while running the tool.")
            await far.received("response.create")

    async def test_also_where_its_switch_fails(self) -> None:
        broken = False

        def switch(context: RunContextWrapper[Any], agent: RealtimeAgent) -> bool:
            if broken:
                raise LookupError("no flags")
            return True

        counter = Counter(is_enabled=switch)
        async with open_session(agent_with(counter.tool)) as (_, far):
            broken = True
            assert "no flags" in await output_of(far, "count")
            assert counter.runs == 0

    async def test_a_response_that_is_cancelled_behind_its_call(self) -> None:
        counter = Counter()
        counter.finish.clear()
        async with open_session(agent_with(counter.tool)) as (session, far):
            turn = call_turn("resp_1", ("call_1", "count", "{}"))
            far.send(*turn[:-1], response_done("resp_1", status="cancelled"))
            await read_until(session, "agent_end")
            counter.finish.set()
            assert await outputs(far) == {"call_1": "null"}

    async def test_an_interruption_stops_no_tool(self) -> None:
        counter = Counter(result=lambda: "done")
        counter.finish.clear()
        async with open_session(agent_with(counter.tool)) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "count", "{}")))
            await counter.started.wait()
            await session.interrupt()
            far.send({"type": "input_audio_buffer.speech_started", "item_id": "user_1", "audio_start_ms": 0})
            await far.heard()
            counter.finish.set()
            assert await outputs(far) == {"call_1": "done"}
            await far.received("response.create")

    async def test_calls_of_different_responses_are_settled_apart(self) -> None:
        slow, quick = Counter("slow"), Counter("quick")
        slow.finish.clear()
        far_end = ScriptedTransport()
        async with RealtimeSession(agent_with(slow.tool, quick.tool), transport=far_end):
            far_end.emit(Turn([Call("slow")]), Turn([Call("quick")]))
            await far_end.expect_call("send_function_call_output", lambda call: call.arguments["call"].name == "quick")
            await far_end.expect_call("request_response")
            slow.finish.set()
            await far_end.expect_call("send_function_call_output", lambda call: call.arguments["call"].name == "slow")
            await far_end.expect_call("request_response")
        far_end.assert_complete()


class TestWithoutAResponseId:
    async def test_a_call_is_the_current_agents_and_answered_at_once(self) -> None:
        first, second = Counter("look", result=lambda: "first's"), Counter("look", result=lambda: "second's")
        target = RealtimeAgent("Second", tools=[second.tool])
        agent = agent_with(first.tool, handoffs=[target])
        target.handoffs.append(realtime_handoff(agent, tool_name_override="back"))
        far_end = ScriptedTransport(strict=False)
        async with RealtimeSession(agent, transport=far_end) as session:
            for number, (name, output) in enumerate(
                [
                    ("look", "first's"),
                    ("transfer_to_second", '{"assistant": "Second"}'),
                    ("look", "second's"),
                    ("back", '{"assistant": "Helper"}'),
                    ("transfer_to_second", '{"assistant": "Second"}'),
                ]
            ):
                far_end.emit(called(name, f"call_{number}", response_id=""))
                answer = await far_end.expect_call("send_function_call_output")
                assert answer.arguments["output"] == output
                await far_end.expect_call("request_response")
            assert session.current_agent is target


class TestWhetherTheModelGoesOn:
    @timeless
    async def test_a_background_result_is_known_and_not_answered(self) -> None:
        counter = Counter(result=lambda: BackgroundResult({"queued": 3}))
        async with open_session(agent_with(counter.tool)) as (session, far):
            assert await output_of(far, "count") == '{"queued": 3}'
            assert (await read_until(session, "tool_end"))[-1].output == {"queued": 3}
            await far.heard()
            await settle()
            assert "response.create" not in far.types

    @timeless
    async def test_a_background_result_beside_another_one(self) -> None:
        quiet, loud = Counter("quiet", result=lambda: BackgroundResult("noted")), Counter("loud")
        async with open_session(agent_with(quiet.tool, loud.tool)) as (_, far):
            far.send(*call_turn("resp_1", ("call_1", "quiet", "{}"), ("call_2", "loud", "{}")))
            assert await outputs(far, 2) == {"call_1": "noted", "call_2": "null"}
            await far.received("response.create")
            await settle()
            assert far.types.count("response.create") == 1

    async def test_a_tool_in_the_background_is_not_waited_for_and_answered_when_it_is_done(self) -> None:
        slow, quick = Counter("slow", result=lambda: "done", background=True), Counter("quick")
        slow.finish.clear()
        async with open_session(agent_with(slow.tool, quick.tool)) as (_, far):
            far.send(*call_turn("resp_1", ("call_1", "slow", "{}"), ("call_2", "quick", "{}")))
            assert await outputs(far) == {"call_2": "null"}
            await far.received("response.create")
            far.send(*text_turn("resp_2", "item_2"))
            slow.finish.set()
            assert await outputs(far) == {"call_1": "done"}
            await far.received("response.create")
            assert far.types.count("response.create") == 2

    @timeless
    async def test_a_tool_in_the_background_with_nothing_beside_it(self) -> None:
        slow = Counter("slow", result=lambda: "done", background=True)
        slow.finish.clear()
        async with open_session(agent_with(slow.tool)) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "slow", "{}")))
            await read_until(session, "agent_end")
            await settle()
            assert far.types == ["session.update"]
            slow.finish.set()
            assert await outputs(far) == {"call_1": "done"}
            await far.received("response.create")

    async def test_joined_by_call_nobody_waits_for_the_slow_one(self) -> None:
        slow, quick = Counter("slow"), Counter("quick")
        slow.finish.clear()
        config = {"tool_execution": {"join": "call"}}
        async with open_session(agent_with(slow.tool, quick.tool), config=config) as (_, far):
            far.send(*call_turn("resp_1", ("call_1", "slow", "{}"), ("call_2", "quick", "{}")))
            assert await outputs(far) == {"call_2": "null"}
            await far.received("response.create")
            far.send(*text_turn("resp_2", "item_2"))
            slow.finish.set()
            assert await outputs(far) == {"call_1": "null"}
            await far.received("response.create")


class TestHowManyAtATime:
    @timeless
    async def test_no_more_than_allowed_and_the_rest_in_order(self) -> None:
        running: list[int] = []
        most = 0
        gates = [asyncio.Event() for _ in range(5)]

        @function_tool
        async def work(number: int) -> int:
            nonlocal most
            running.append(number)
            most = max(most, len(running))
            await gates[number].wait()
            running.remove(number)
            return number

        config = {"tool_execution": {"max_concurrency": 2}}
        async with open_session(agent_with(work), config=config) as (_, far):
            calls = [(f"call_{number}", "work", f'{{"number": {number}}}') for number in range(5)]
            far.send(*call_turn("resp_1", *calls))
            await far.heard()
            await settle()
            assert running == [0, 1]
            gates[1].set()
            assert await outputs(far) == {"call_1": "1"}
            await settle()
            assert running == [0, 2]
            for gate in gates:
                gate.set()
            assert set((await outputs(far, 4)).values()) == {"0", "2", "3", "4"}
            await far.received("response.create")
            assert most == 2

    async def test_one_that_waits_for_approval_takes_no_place(self) -> None:
        asked, other = Counter("asked", needs_approval=True), Counter("other")
        config = {"tool_execution": {"max_concurrency": 1}}
        async with open_session(agent_with(asked.tool, other.tool), config=config) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "asked", "{}"), ("call_2", "other", "{}")))
            assert await outputs(far) == {"call_2": "null"}
            await session.approve_tool_call("call_1")
            assert await outputs(far) == {"call_1": "null"}


class TestTheRunsWordsForWhatWentWrong:
    """`tool_error_formatter`, for each kind of call that came to nothing."""

    @staticmethod
    def tools() -> list[FunctionTool]:
        def fail() -> None:
            raise LookupError("no such city")

        slow = Counter("slow", timeout=60)
        slow.finish.clear()
        return [
            Counter("failing", result=fail).tool,
            slow.tool,
            Counter("careful", needs_approval=True).tool,
        ]

    @pytest.mark.parametrize(
        ("kind", "name", "default"),
        [
            ("failure", "failing", "An error occurred while running the tool. Please try again. Error: no such city"),
            ("timeout", "slow", "Tool 'slow' timed out after 60 seconds."),
            ("approval_rejected", "careful", "Tool execution was not approved."),
            ("not_found", "vanish", "Tool vanish not found"),
        ],
    )
    @pytest.mark.parametrize("how", ["sync", "async", "None", "raises", "no words"])
    @timeless
    async def test_every_kind(
        self, kind: str, name: str, default: str, how: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        given: list[ToolErrorFormatterArgs] = []

        def words(args: ToolErrorFormatterArgs) -> Any:
            given.append(args)
            if how == "raises":
                raise ValueError("hush-hush")
            return {"None": None, "no words": 7}.get(how, f"{args.kind}!")

        async def words_on_the_loop(args: ToolErrorFormatterArgs) -> Any:
            return words(args)

        config = {"tool_error_formatter": words_on_the_loop if how == "async" else words}
        async with open_session(agent_with(*self.tools()), config=config) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", name, "{}")))
            if kind == "approval_rejected":
                await read_until(session, "tool_approval_required")
                await session.reject_tool_call("call_1")
            await advance(60)
            expected = f"{kind}!" if how in {"sync", "async"} else default
            assert await outputs(far) == {"call_1": expected}
            (args,) = given
            assert (args.kind, args.tool_type, args.tool_name, args.call_id) == (kind, "function", name, "call_1")
            assert args.default_message == default
            assert args.run_context is session.context
        assert "hush-hush" not in caplog.text

    @timeless
    async def test_a_tools_own_words_win(self) -> None:
        def fail() -> None:
            raise LookupError

        slow = Counter("slow", timeout=60, timeout_error_function=lambda context, error: "slow's own")
        slow.finish.clear()
        failing = Counter("failing", result=fail, failure_error_function=lambda context, error: "failing's own")
        config = {"tool_error_formatter": lambda args: "the run's"}
        async with open_session(agent_with(slow.tool, failing.tool), config=config) as (_, far):
            far.send(*call_turn("resp_1", ("call_1", "slow", "{}"), ("call_2", "failing", "{}")))
            await advance(60)
            assert await outputs(far, 2) == {"call_1": "slow's own", "call_2": "failing's own"}


class TestWhatTheHistoryShows:
    async def test_a_call_in_progress_and_then_its_output(self) -> None:
        counter = Counter(result=lambda: "done")
        counter.finish.clear()
        async with open_session(agent_with(counter.tool)) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "count", "{}")))
            await counter.started.wait()
            (item,) = session.history
            assert isinstance(item, RealtimeToolCallItem)
            assert (item.status, item.output) == ("in_progress", None)
            counter.finish.set()
            await read_until(session, "tool_end")
            (item,) = session.history
            assert isinstance(item, RealtimeToolCallItem)
            assert (item.status, item.output) == ("completed", "done")


KINDS = (
    "returns",
    "raises",
    "takes long",
    "is slow",
    "is asked about",
    "is refused",
    "is unknown",
    "is in the background",
)


@given(
    turns=st.lists(st.lists(st.tuples(st.sampled_from(KINDS), st.booleans()), min_size=1, max_size=4), max_size=4),
    asynchronous=st.booleans(),
    join=st.sampled_from(["response", "call"]),
)
@settings(max_examples=60, deadline=None)
def test_whatever_is_called_gets_one_output(turns: list[list[tuple[str, bool]]], asynchronous: bool, join: str) -> None:
    """Every call has exactly one output, in whatever company, and the model goes on in the end."""

    @function_tool(
        name_override="call", strict_mode=False, needs_approval=lambda context, given, call_id: "ask" in given
    )
    async def call(context: ToolContext[Any], kind: str) -> Any:
        match kind:
            case "raises":
                raise LookupError(context.tool_call_id)
            case "is slow":
                await asyncio.sleep(20)
        return context.tool_call_id

    @function_tool(name_override="endless", timeout=30)
    async def endless() -> None:
        await asyncio.Event().wait()

    @function_tool(name_override="background", background=True)
    async def background() -> str:
        await asyncio.sleep(10)
        return "done"

    second = RealtimeAgent("Second", tools=[call, endless, background])
    first = RealtimeAgent("First", tools=[call, endless, background], handoffs=[second])
    second.handoffs.append(realtime_handoff(first, tool_name_override="transfer_to_second"))

    def wire_call(number: str, kind: str) -> tuple[str, str, str]:
        match kind:
            case "takes long":
                return number, "endless", "{}"
            case "is unknown":
                return number, "vanish", "{}"
            case "is in the background":
                return number, "background", "{}"
            case "hands over":
                return number, "transfer_to_second", "{}"
        asked = ', "ask": true' if kind in {"is asked about", "is refused"} else ""
        return number, "call", f'{{"kind": "{kind}"{asked}}}'

    @timeless
    async def converse() -> None:
        kinds: dict[str, str] = {}
        config = {"async_tool_calls": asynchronous, "tool_execution": {"join": join, "max_concurrency": 2}}
        async with open_session(first, config=config) as (session, far):

            async def decide(event: Any) -> None:
                if kinds[event.call_id] == "is refused":
                    await session.reject_tool_call(event.call_id)
                else:
                    await session.approve_tool_call(event.call_id)

            session.on("tool_approval_required", decide)
            for number, calls in enumerate(turns):
                named = {f"call_{number}_{place}": kind for place, (kind, _) in enumerate(calls)}
                kinds.update(named)
                turn = call_turn(f"resp_{number}", *(wire_call(*entry) for entry in named.items()))
                again = [frame for frame in turn[1:-1] if calls[0][1]]
                far.send(*turn[:-1], *again, turn[-1])
                await advance(5)
                await session.interrupt()
            await advance(600)
            outputs = [frame["item"] for frame in far.frames if frame["type"] == "conversation.item.create"]
            assert sorted(item["call_id"] for item in outputs) == sorted(kinds)
            told = {item["call_id"]: item["output"] for item in outputs}
            for call_id, kind in kinds.items():
                if kind in {"returns", "is slow", "is asked about"}:
                    assert told[call_id] == call_id
                elif kind == "is refused":
                    assert told[call_id] == "Tool execution was not approved."
            if set(kinds.values()) - {"is unknown"}:
                assert "response.create" in far.types

    converse()
