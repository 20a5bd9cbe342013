"""What users of the Python SDK rely on, A58 to A67: approvals and tool guardrails; and what jackfield adds to them.

Where a scenario's outcome differs here on purpose, `docs/compatibility.md` says why.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from jackfield import (
    FunctionTool,
    RealtimeAgent,
    RealtimeSession,
    RunContextWrapper,
    ToolErrorFormatterArgs,
    ToolGuardrailFunctionOutput,
    ToolInputGuardrailData,
    ToolInputGuardrailTripwireTriggered,
    ToolOutputGuardrailData,
    ToolOutputGuardrailTripwireTriggered,
    function_tool,
    tool_input_guardrail,
    tool_output_guardrail,
)
from jackfield.errors import ConfigurationError, SessionStateError, ToolError
from jackfield.testing import Finish, ScriptedTransport
from jackfield.transport.events import FunctionCall, TurnStarted
from support.clock import settle, timeless
from support.memory_wire import FarEnd, MemoryWire, call_turn, memory_transport, open_session, output, read_until

ALLOW, REJECT = ToolGuardrailFunctionOutput.allow, ToolGuardrailFunctionOutput.reject_content


def agent_with(*tools: FunctionTool, name: str = "Helper", **fields: Any) -> RealtimeAgent:
    return RealtimeAgent(name, tools=list(tools), **fields)


def booking(result: str = "booked", **options: Any) -> tuple[FunctionTool, list[str]]:
    """Return a tool that needs approval, unless said otherwise, and the list of its runs."""
    runs: list[str] = []

    @function_tool(name_override="book", strict_mode=False, **{"needs_approval": True, **options})
    async def book() -> str:
        runs.append(result)
        return result

    return book, runs


async def asked(session: RealtimeSession, far: FarEnd, call_id: str = "call_1", arguments: str = "{}") -> Any:
    """Have the model call the tool; return the request for approval."""
    far.send(*call_turn(f"resp_{call_id}", (call_id, "book", arguments)))
    return (await read_until(session, "tool_approval_required"))[-1]


async def through(far: FarEnd, call_id: str) -> str:
    """Have the model call the tool, and return what it is told without anybody's being asked."""
    far.send(*call_turn(f"resp_{call_id}", (call_id, "book", "{}")))
    told = await output(far)
    await far.received("response.create")
    return told


def tool_events(events: list[Any]) -> list[str]:
    return [event.type for event in events if event.type.startswith("tool_")]


class TestScenarios:
    @timeless
    async def test_a58_needs_approval(self) -> None:
        book, runs = booking()
        agent = agent_with(book)
        async with open_session(agent) as (session, far):
            turn = call_turn("resp_1", ("call_1", "book", '{"guests": 2}'))
            far.send(*turn[:-1], *turn[1:])
            event = (await read_until(session, "tool_approval_required"))[-1]
            assert (event.agent, event.tool, event.call_id, event.arguments) == (agent, book, "call_1", '{"guests": 2}')
            assert (event.tool_name, event.response_id) == ("book", "resp_1")
            far.send(*turn[1:-1])
            await settle()
            assert (runs, far.types) == ([], ["session.update"])
            await session.approve_tool_call("call_1")
            far.send(*turn[1:-1])
            events = await read_until(session, "tool_end")
            assert tool_events(events) == ["tool_start", "tool_end"]
            assert await output(far) == "booked"
            await far.received("response.create")
            await settle()
            assert (runs, far.types.count("conversation.item.create")) == (["booked"], 1)

    @timeless
    async def test_a58_the_conversation_goes_on_meanwhile(self) -> None:
        book, runs = booking()
        async with open_session(agent_with(book)) as (session, far):
            await asked(session, far)
            await session.send_message("What else is there?")
            await far.received("response.create")
            far.send(*call_turn("resp_2", ("call_2", "nothing", "{}")))
            assert await read_until(session, "error")
            assert runs == []

    @pytest.mark.parametrize(
        "arguments", ["", "{", "null", "[]", '"text"', "3", '{"guests": NaN}', '{"guests": -Infinity}', "[" * 100_000]
    )
    async def test_a59_what_nobody_can_read_needs_approval(self, arguments: str) -> None:
        async def judge(*given: Any) -> bool:
            raise AssertionError("it is not to be asked about these")

        book, runs = booking(needs_approval=judge)
        async with open_session(agent_with(book)) as (session, far):
            errors: list[Any] = []
            session.on("error", errors.append)
            event = await asked(session, far, arguments=arguments)
            assert event.arguments == arguments
            await session.reject_tool_call("call_1")
            await output(far)
            assert (runs, errors) == ([], [])

    @pytest.mark.parametrize("sync", [True, False])
    async def test_a59_what_can_be_read_is_judged(self, sync: bool) -> None:
        given: list[Any] = []

        def judge(context: RunContextWrapper[Any], arguments: dict[str, Any], call_id: str) -> bool:
            given.append((context, arguments, call_id))
            return bool(arguments["guests"] > 4)

        async def judge_on_the_loop(*args: Any) -> bool:
            return judge(*args)

        book, runs = booking(needs_approval=judge if sync else judge_on_the_loop)
        async with open_session(agent_with(book)) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "book", '{"guests": 2}')))
            assert await output(far) == "booked"
            await asked(session, far, "call_2", '{"guests": 9}')
            assert given == [(session.context, {"guests": 2}, "call_1"), (session.context, {"guests": 9}, "call_2")]
            assert runs == ["booked"]

    async def test_a59_a_judge_that_fails_lets_nothing_through(self) -> None:
        def judge(*given: Any) -> bool:
            raise LookupError("hush-hush")

        book, runs = booking(needs_approval=judge)
        async with open_session(agent_with(book)) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "book", "{}")))
            events = await read_until(session, "tool_approval_required")
            (error,) = [event.error for event in events if event.type == "error"]
            assert isinstance(error, ToolError)
            assert "approval is asked for" in str(error)
            assert "hush-hush" not in str(error)
            assert isinstance(error.__cause__, LookupError)
            assert runs == []

    @pytest.mark.parametrize("asynchronous", [True, False])
    @timeless
    async def test_a60_told_again_between_the_approval_and_the_run(self, asynchronous: bool) -> None:
        book, runs = booking()
        far_end = ScriptedTransport(strict=False)
        config = {"async_tool_calls": asynchronous}
        async with RealtimeSession(agent_with(book), transport=far_end, config=config) as session:
            call = FunctionCall(name="book", arguments="{}", call_id="call_1", item_id="item_1", response_id="resp_1")
            far_end.emit(TurnStarted("resp_1"), call)
            await read_until(session, "tool_approval_required")
            await session.approve_tool_call("call_1")
            far_end.emit(call, Finish())
            await far_end.expect_call("request_response")
            await settle()
            assert runs == ["booked"]
            assert [made.method for made in far_end.calls].count("send_function_call_output") == 1

    async def test_a61_what_was_asked_for_is_what_runs(self) -> None:
        book, runs = booking("booked by the first")
        other, others = booking("booked by the second")
        agent = agent_with(book)
        async with open_session(agent) as (session, far):
            await asked(session, far)
            await session.update_agent(agent_with(other, name="Second"))
            agent.tools.clear()
            await session.approve_tool_call("call_1")
            end = (await read_until(session, "tool_end"))[-1]
            assert (end.agent, end.tool) == (agent, book)
            assert await output(far) == "booked by the first"
            assert (runs, others) == (["booked by the first"], [])

    @pytest.mark.parametrize(
        ("message", "formatter", "words"),
        [
            (None, None, "Tool execution was not approved."),
            (None, lambda args: f"{args.kind}: {args.tool_name}", "approval_rejected: book"),
            (None, lambda args: None, "Tool execution was not approved."),
            ("Not today.", lambda args: "the run's", "Not today."),
            ("", lambda args: "the run's", ""),
        ],
    )
    async def test_a62_reject(
        self, message: str | None, formatter: Callable[[ToolErrorFormatterArgs], str | None] | None, words: str
    ) -> None:
        book, runs = booking()
        config = {"tool_error_formatter": formatter}
        async with open_session(agent_with(book), config=config) as (session, far):
            await asked(session, far)
            await session.reject_tool_call("call_1", rejection_message=message)
            assert await output(far) == words
            await far.received("response.create")
            events = await read_until(session, "tool_end")
            assert tool_events(events) == ["tool_end"]
            assert (events[-1].output, events[-1].error, events[-1].call_id) == (words, None, "call_1")
            assert runs == []

    async def test_a63_a_formatter_that_raises(self, caplog: pytest.LogCaptureFixture) -> None:
        def formatter(args: ToolErrorFormatterArgs) -> str:
            raise ValueError("sk-secret and hush-hush")

        book, _ = booking()
        async with open_session(agent_with(book), config={"tool_error_formatter": formatter}) as (session, far):
            await asked(session, far)
            await session.reject_tool_call("call_1")
            assert await output(far) == "Tool execution was not approved."
            await far.received("response.create")
        assert "hush-hush" not in caplog.text
        assert "ValueError" in caplog.text

    async def test_a64_rejected_for_good(self) -> None:
        asks: list[str] = []

        def judge(context: RunContextWrapper[Any], arguments: dict[str, Any], call_id: str) -> bool:
            asks.append(call_id)
            return True

        book, runs = booking(needs_approval=judge)
        async with open_session(agent_with(book)) as (session, far):
            await asked(session, far, "call_1")
            await session.reject_tool_call("call_1", always=True, rejection_message="Never.")
            assert await output(far) == "Never."
            await far.received("response.create")
            assert await through(far, "call_2") == "Never."
            assert await through(far, "call_3") == "Never."
            assert (asks, runs) == (["call_1"], [])

    async def test_a64_rejected_for_good_without_words_of_its_own(self) -> None:
        book, runs = booking()
        async with open_session(agent_with(book)) as (session, far):
            await asked(session, far)
            await session.reject_tool_call("call_1", always=True)
            await output(far)
            await far.received("response.create")
            assert await through(far, "call_2") == "Tool execution was not approved."
            assert runs == []

    async def test_a64_approved_for_good(self) -> None:
        book, runs = booking()
        async with open_session(agent_with(book)) as (session, far):
            await asked(session, far)
            await session.approve_tool_call("call_1", always=True)
            await output(far)
            await far.received("response.create")
            assert await through(far, "call_2") == "booked"
            assert len(runs) == 2

    @pytest.mark.parametrize("where", ["judge", "guardrail"])
    @pytest.mark.parametrize("approved", [True, False])
    @timeless
    async def test_a65_a_decision_for_good_that_is_made_meanwhile_wins(self, where: str, approved: bool) -> None:
        thinking, decided = asyncio.Event(), asyncio.Event()

        async def judge(context: RunContextWrapper[Any], arguments: dict[str, Any], call_id: str) -> bool:
            if where == "judge" and call_id == "call_2":
                thinking.set()
                await decided.wait()
                return approved  # outvoted, whichever it is
            return True

        @tool_input_guardrail
        async def look(data: ToolInputGuardrailData) -> ToolGuardrailFunctionOutput:
            if where == "guardrail" and data.context.tool_call_id == "call_2":
                thinking.set()
                await decided.wait()
            return ALLOW()

        book, runs = booking(needs_approval=judge, tool_input_guardrails=[look])
        config = {"tool_execution": {"pre_approval_tool_input_guardrails": where == "guardrail"}}
        async with open_session(agent_with(book), config=config) as (session, far):
            requests: list[str] = []
            session.on("tool_approval_required", lambda event: requests.append(event.call_id))
            far.send(*call_turn("resp_1", ("call_1", "book", "{}"), ("call_2", "book", "{}")))
            await thinking.wait()
            await settle()
            if approved:
                await session.approve_tool_call("call_1", always=True)
            else:
                await session.reject_tool_call("call_1", always=True)
            await output(far)
            decided.set()
            words = "booked" if approved else "Tool execution was not approved."
            assert await output(far) == words
            assert (requests, len(runs)) == (["call_1"], 2 if approved else 0)

    async def test_a66_a_decision_for_good_is_the_agents_and_the_tools(self) -> None:
        book, _ = booking("first's")
        namesake, _ = booking("second's")
        first, second = agent_with(book), agent_with(namesake, name="Second")
        async with open_session(first) as (session, far):
            await asked(session, far, "call_1")
            await session.approve_tool_call("call_1", always=True)
            assert await output(far) == "first's"
            await far.received("response.create")
            await session.update_agent(second)
            await asked(session, far, "call_2")
            await session.reject_tool_call("call_2", always=True)
            await output(far)
            await far.received("response.create")
            await session.update_agent(first)
            assert await through(far, "call_3") == "first's"

    async def test_a66_those_that_wait_already_are_decided_one_by_one(self) -> None:
        book, runs = booking()
        async with open_session(agent_with(book)) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "book", "{}"), ("call_2", "book", "{}")))
            for _ in range(2):
                await read_until(session, "tool_approval_required")
            await session.approve_tool_call("call_1", always=True)
            assert await output(far) == "booked"
            await session.reject_tool_call("call_2")
            assert await output(far) == "Tool execution was not approved."
            assert runs == ["booked"]

    @pytest.mark.parametrize(
        ("before", "verdict", "seen", "events"),
        [
            (False, ALLOW(), 1, ["tool_approval_required", "tool_start", "tool_end"]),
            (True, ALLOW(), 2, ["tool_approval_required", "tool_start", "tool_end"]),
            (True, REJECT("Not on Mondays."), 1, ["tool_end"]),
            (False, REJECT("Not on Mondays."), 1, ["tool_approval_required", "tool_end"]),
        ],
    )
    async def test_a67_guardrails_before_the_approval(
        self, before: bool, verdict: ToolGuardrailFunctionOutput, seen: int, events: list[str]
    ) -> None:
        judged: list[str] = []

        @tool_input_guardrail
        async def look(data: ToolInputGuardrailData) -> ToolGuardrailFunctionOutput:
            judged.append(data.context.tool_arguments)
            return verdict

        book, runs = booking(tool_input_guardrails=[look])
        config = {"tool_execution": {"pre_approval_tool_input_guardrails": before}}
        async with open_session(agent_with(book), config=config) as (session, far):

            async def approve(event: Any) -> None:
                assert len(judged) == (1 if before else 0)
                await session.approve_tool_call(event.call_id)

            session.on("tool_approval_required", approve)
            far.send(*call_turn("resp_1", ("call_1", "book", "{}")))
            told = await read_until(session, "tool_end")
            assert tool_events(told) == events
            assert [event for event in told if event.type == "error"] == []
            allowed = verdict.behavior == "allow"
            assert await output(far) == told[-1].output == ("booked" if allowed else "Not on Mondays.")
            assert (len(judged), len(runs)) == (seen, 1 if allowed else 0)
            await far.received("response.create")


class TestDeciding:
    async def test_a_call_that_never_waited(self) -> None:
        book, _ = booking()
        async with open_session(agent_with(book)) as (session, far):
            for decide in (session.approve_tool_call, session.reject_tool_call):
                with pytest.raises(ConfigurationError, match="no call 'call_1' waits for approval; waiting: none"):
                    await decide("call_1")
            await asked(session, far, "call_1")
            with pytest.raises(ConfigurationError, match="waiting: call_1"):
                await session.approve_tool_call("call_l")

    @timeless
    async def test_again_changes_nothing(self) -> None:
        book, runs = booking()
        async with open_session(agent_with(book)) as (session, far):
            await asked(session, far)
            await session.approve_tool_call("call_1")
            await session.reject_tool_call("call_1", always=True)
            assert await output(far) == "booked"
            await session.approve_tool_call("call_1")
            await settle()
            assert (runs, far.types.count("conversation.item.create")) == (["booked"], 1)
            await asked(session, far, "call_2")  # the rejection for good came too late

    async def test_before_it_is_entered_and_after_it_was_closed(self) -> None:
        book, runs = booking()
        session = RealtimeSession(agent_with(book), transport=memory_transport(MemoryWire()))
        with pytest.raises(SessionStateError, match="enter it first"):
            await session.approve_tool_call("call_1")
        async with open_session(agent_with(book)) as (session, far):
            await asked(session, far)
        await session.approve_tool_call("call_1")
        await session.reject_tool_call("call_7")
        assert runs == []

    async def test_by_a_listener_at_once(self) -> None:
        book, _ = booking()
        async with open_session(agent_with(book)) as (session, far):
            session.on("tool_approval_required", lambda event: session.approve_tool_call(event.call_id))
            assert await through(far, "call_1") == "booked"

    @timeless
    async def test_the_answer_to_a_response_waits_for_its_approval(self) -> None:
        book, _ = booking()
        other, _ = booking(needs_approval=False)
        other = FunctionTool(name="other", description="", params_json_schema={}, on_invoke_tool=other.on_invoke_tool)
        async with open_session(agent_with(book, other)) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "book", "{}"), ("call_2", "other", "{}")))
            await output(far)
            await settle()
            assert "response.create" not in far.types
            await session.approve_tool_call("call_1")
            await far.received("response.create")
            assert far.types[-3:] == ["conversation.item.create", "conversation.item.create", "response.create"]


class TestInputGuardrails:
    async def test_one_after_another_and_the_first_that_objects_decides(self) -> None:
        seen: list[str] = []

        def guardrail(name: str, verdict: ToolGuardrailFunctionOutput) -> Any:
            @tool_input_guardrail(name=name)
            async def judge(data: ToolInputGuardrailData) -> ToolGuardrailFunctionOutput:
                seen.append(name)
                return verdict

            return judge

        guardrails = [guardrail("one", ALLOW()), guardrail("two", REJECT("Two says no.")), guardrail("three", ALLOW())]
        book, runs = booking(needs_approval=False, tool_input_guardrails=guardrails)
        async with open_session(agent_with(book)) as (_, far):
            assert await through(far, "call_1") == "Two says no."
            assert (seen, runs) == (["one", "two"], [])

    async def test_what_it_gets_to_know(self) -> None:
        given: list[ToolInputGuardrailData] = []

        @tool_input_guardrail
        def judge(data: ToolInputGuardrailData) -> ToolGuardrailFunctionOutput:
            given.append(data)
            return ALLOW(output_info=threading.current_thread().name)

        book, _ = booking(needs_approval=False, tool_input_guardrails=[judge])
        agent = agent_with(book)
        async with open_session(agent) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "book", '{"guests": 2}')))
            assert await output(far) == "booked"
            (data,) = given
            assert data.agent is agent
            assert (data.context.tool_name, data.context.tool_arguments) == ("book", '{"guests": 2}')
            assert data.context.run_context is session.context

    async def test_one_that_raises_keeps_the_tool_from_running(self) -> None:
        @tool_input_guardrail
        async def judge(data: ToolInputGuardrailData) -> ToolGuardrailFunctionOutput:
            raise LookupError("no rules")

        book, runs = booking(needs_approval=False, tool_input_guardrails=[judge])
        async with open_session(agent_with(book)) as (_, far):
            assert "no rules" in await through(far, "call_1")
            assert runs == []

    async def test_one_that_returns_no_verdict(self) -> None:
        @tool_input_guardrail  # type: ignore[arg-type]
        async def judge(data: ToolInputGuardrailData) -> bool:
            return True

        book, runs = booking(needs_approval=False, tool_input_guardrails=[judge])
        async with open_session(agent_with(book)) as (_, far):
            assert "'judge' returned bool: it must return a ToolGuardrailFunctionOutput" in await through(far, "call_1")
            assert runs == []

    async def test_an_exception_that_was_asked_for_ends_the_session_with_the_model_answered(self) -> None:
        @tool_input_guardrail
        async def judge(data: ToolInputGuardrailData) -> ToolGuardrailFunctionOutput:
            return ToolGuardrailFunctionOutput.raise_exception()

        book, runs = booking(needs_approval=False, tool_input_guardrails=[judge])
        async with open_session(agent_with(book)) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "book", "{}")))
            assert await output(far) == "The tool book was stopped."
            end = (await read_until(session, "tool_end"))[-1]
            with pytest.raises(ToolInputGuardrailTripwireTriggered, match="'judge' stopped the call of tool 'book'"):
                await read_until(session, "nothing more")
            assert isinstance(end.error, ToolInputGuardrailTripwireTriggered)
            await far.gone.wait()
            assert runs == []
            assert "response.create" not in far.types


class TestOutputGuardrails:
    async def test_what_it_gets_to_know(self) -> None:
        given: list[ToolOutputGuardrailData] = []

        @tool_output_guardrail
        async def judge(data: ToolOutputGuardrailData) -> ToolGuardrailFunctionOutput:
            given.append(data)
            return ALLOW()

        book, _ = booking(needs_approval=False, tool_output_guardrails=[judge])
        async with open_session(agent_with(book)) as (_, far):
            assert await through(far, "call_1") == "booked"
            (data,) = given
            assert (data.output, data.context.tool_call_id) == ("booked", "call_1")

    async def test_what_it_objects_to_is_neither_sent_nor_told(self) -> None:
        judged: list[Any] = []

        def guardrail(verdict: ToolGuardrailFunctionOutput) -> Any:
            @tool_output_guardrail
            def judge(data: ToolOutputGuardrailData) -> ToolGuardrailFunctionOutput:
                judged.append(data.output)
                return verdict

            return judge

        guardrails = [guardrail(REJECT("Removed.")), guardrail(ALLOW())]
        book, runs = booking(needs_approval=False, tool_output_guardrails=guardrails)
        async with open_session(agent_with(book)) as (session, far):
            assert await through(far, "call_1") == "Removed."
            events = await read_until(session, "tool_end")
            assert tool_events(events) == ["tool_start", "tool_end"]
            assert events[-1].output == "Removed."
            assert runs == ["booked"]
            assert judged == ["booked", "Removed."]  # the next one judges what goes out
            (item,) = session.history
            assert getattr(item, "output", None) == "Removed."

    async def test_an_exception_that_was_asked_for(self) -> None:
        @tool_output_guardrail(name="strict")
        async def judge(data: ToolOutputGuardrailData) -> ToolGuardrailFunctionOutput:
            return ToolGuardrailFunctionOutput.raise_exception()

        book, runs = booking("the secret", needs_approval=False, tool_output_guardrails=[judge])
        async with open_session(agent_with(book)) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "book", "{}")))
            assert await output(far) == "The tool book was stopped."
            end = (await read_until(session, "tool_end"))[-1]
            with pytest.raises(ToolOutputGuardrailTripwireTriggered, match="'strict' stopped the output") as raised:
                await read_until(session, "nothing more")
            assert (end.output, end.error) == (None, raised.value)
            assert "the secret" not in str(raised.value)
            assert runs == ["the secret"]

    async def test_one_that_raises_lets_nothing_through(self) -> None:
        @tool_output_guardrail
        async def judge(data: ToolOutputGuardrailData) -> ToolGuardrailFunctionOutput:
            raise LookupError("no rules")

        book, _ = booking("the secret", needs_approval=False, tool_output_guardrails=[judge])
        async with open_session(agent_with(book)) as (_, far):
            told = await through(far, "call_1")
            assert "no rules" in told
            assert "the secret" not in told

    async def test_words_for_a_failure_are_not_judged(self) -> None:
        @tool_output_guardrail
        async def judge(data: ToolOutputGuardrailData) -> ToolGuardrailFunctionOutput:
            raise AssertionError("there is no output")

        @function_tool(name_override="book", tool_output_guardrails=[judge])
        async def book() -> None:
            raise LookupError("no tables")

        async with open_session(agent_with(book)) as (_, far):
            assert (await through(far, "call_1")).endswith("Error: no tables")
