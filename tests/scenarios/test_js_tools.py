"""Acceptance scenarios of the JavaScript SDK, 55-73: tool calls and approvals.

Each test carries the scenario's number.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from jackfield import (
    BackgroundResult,
    FunctionTool,
    HostedMCPTool,
    RealtimeAgent,
    RealtimeAgentHooks,
    RealtimeSession,
    ToolContext,
    ToolGuardrailFunctionOutput,
    TransportCapabilities,
    function_tool,
    realtime_handoff,
    tool_input_guardrail,
)
from jackfield.errors import (
    ConfigurationError,
    NotConnectedError,
    ProtocolError,
    SessionStateError,
    ToolError,
    ToolTimeoutError,
    TransportError,
)
from jackfield.openai import OpenAIRealtimeTransport
from support.clock import settle, timeless
from support.memory_wire import (
    FarEnd,
    MemoryWire,
    call_turn,
    memory_transport,
    open_session,
    output,
    read_until,
    response_done,
    text_turn,
)

Event = dict[str, Any]


class Counter:
    """A tool that counts its runs."""

    def __init__(self, name: str = "count", **options: Any) -> None:
        self.runs: list[str] = []
        self.tool = function_tool(name_override=name, **options)(self.run)

    async def run(self, word: str = "") -> str:
        self.runs.append(word)
        return f"counted {word}".strip()


def sent(far: FarEnd) -> dict[str, list[str]]:
    """All outputs so far, by call id."""
    found: dict[str, list[str]] = {}
    for frame in far.frames:
        item = frame.get("item", {})
        if item.get("type") == "function_call_output":
            found.setdefault(item["call_id"], []).append(item["output"])
    return found


async def settled(session: RealtimeSession, far: FarEnd, number: int = 99) -> None:
    """Have a written turn go by: whatever was to follow from what came before has followed."""
    far.send(*text_turn(f"resp_{number}", f"item_{number}"))
    await read_until(session, lambda event: event.type == "agent_end" and event.response_id == f"resp_{number}")
    await far.heard()


def approval_request(item_id: str, name: str = "search", arguments: str = "{}") -> Event:
    item = {"id": item_id, "type": "mcp_approval_request", "server_label": "docs", "name": name, "arguments": arguments}
    return {"type": "conversation.item.done", "previous_item_id": None, "item": item}


class TestDispatch:
    async def test_j55_an_unknown_tool_is_answered_and_told_and_starts_no_loop(self) -> None:
        async with open_session(RealtimeAgent("Helper")) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "teleport", "{}")))
            error = (await read_until(session, "error"))[-1].error
            assert isinstance(error, ToolError)
            await settled(session, far)
            assert sent(far) == {"call_1": ["Tool teleport not found"]}
            assert "response.create" not in far.types

    async def test_j56_a_late_call_of_a_response_before_a_handoff_runs_the_first_agents_tool(self) -> None:
        ours, theirs = Counter(), Counter()
        second = RealtimeAgent("Second", tools=[theirs.tool])
        first = RealtimeAgent("First", tools=[ours.tool], handoffs=[second])
        async with open_session(first) as (session, far):
            turn = call_turn("resp_1", ("call_1", "transfer_to_second", "{}"), ("call_2", "count", '{"word": "late"}'))
            late = next(number for number, frame in enumerate(turn) if "item_call_2" in json.dumps(frame))
            far.send(*turn[:late])
            await read_until(session, "handoff")
            assert session.current_agent is second
            far.send(*turn[late:])
            end = (await read_until(session, "tool_end"))[-1]
            assert end.agent is first
            await far.received("response.create")
            assert (ours.runs, theirs.runs) == (["late"], [])

    async def test_j57_a_call_without_a_response_is_the_current_agents_and_answered_at_once(self) -> None:
        ours, theirs = Counter(), Counter()
        first, second = RealtimeAgent("First", tools=[ours.tool]), RealtimeAgent("Second", tools=[theirs.tool])

        def call(call_id: str) -> Event:
            item = {"id": f"item_{call_id}", "type": "function_call", "call_id": call_id, "name": "count"}
            return {"type": "response.output_item.done", "item": item | {"arguments": "{}", "status": "completed"}}

        async with open_session(first) as (session, far):
            far.send(call("call_1"))
            assert await output(far) == "counted"
            await far.received("response.create")
            far.send(*text_turn("resp_1", "item_1"))
            await read_until(session, "agent_end")
            await session.update_agent(second)
            far.send(call("call_2"))
            await far.received("response.create")
            assert (ours.runs, theirs.runs) == ([""], [""])

    async def test_j58_a_call_that_is_replayed_is_not_run_again(self) -> None:
        counter = Counter()
        async with open_session(RealtimeAgent("A", tools=[counter.tool])) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "count", '{"word": "a"}')))
            await far.received("response.create")
            far.send(*call_turn("resp_2", ("call_1", "count", '{"word": "a"}')))
            await settled(session, far)
            assert (counter.runs, sent(far)) == (["a"], {"call_1": ["counted a"]})

    @pytest.mark.parametrize("again", [("call_1", "count", '{"word": "b"}'), ("call_1", "other", '{"word": "a"}')])
    async def test_j58_a_call_id_that_comes_for_another_call_is_an_error(self, again: tuple[str, str, str]) -> None:
        counter, other = Counter(), Counter("other")
        async with open_session(RealtimeAgent("A", tools=[counter.tool, other.tool])) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "count", '{"word": "a"}')))
            await far.received("response.create")
            far.send(*call_turn("resp_2", again))
            assert isinstance((await read_until(session, "error"))[-1].error, ProtocolError)
            await settled(session, far)
            assert (counter.runs, other.runs, sent(far)) == (["a"], [], {"call_1": ["counted a"]})

    async def test_j59_a_replay_while_the_output_is_on_its_way_sends_nothing_twice(self) -> None:
        counter = Counter()
        async with open_session(RealtimeAgent("A", tools=[counter.tool])) as (session, far):
            turn = call_turn("resp_1", ("call_1", "count", "{}"))
            far.stall()
            far.send(*turn)
            await read_until(session, "tool_start")
            await far.heard()
            far.send(*turn)
            await far.heard()
            assert sent(far) == {}
            far.flow()
            await read_until(session, "tool_end")
            await settled(session, far)
            assert (counter.runs, sent(far)) == ([""], {"call_1": ["counted"]})

    async def test_j71_names_that_collide_fail_before_anything_is_dialled(self) -> None:
        twice = RealtimeAgent("A", tools=[Counter("a").tool, Counter("b").tool, Counter("b").tool, Counter("a").tool])
        clash = RealtimeAgent("A", tools=[Counter("transfer_to_b").tool], handoffs=[RealtimeAgent("B")])
        same = RealtimeAgent("A", handoffs=[RealtimeAgent("B"), RealtimeAgent("b")])
        for agent, names in ((twice, "a, b"), (clash, "transfer_to_b"), (same, "transfer_to_b")):
            wire = MemoryWire()
            with pytest.raises(ConfigurationError, match=f"{names} names more than one tool or handoff"):
                await RealtimeSession(agent, transport=memory_transport(wire)).enter()
            assert wire.far_ends == []

    async def test_j71_what_is_not_enabled_collides_with_nothing(self) -> None:
        on, off = Counter(), Counter(is_enabled=False)
        agent = RealtimeAgent("A", tools=[off.tool, on.tool], handoffs=[RealtimeAgent("B")])
        agent.handoffs.append(realtime_handoff(RealtimeAgent("b"), is_enabled=lambda context, agent: False))
        async with open_session(agent) as (_, far):
            assert [tool["name"] for tool in far.frames[0]["session"]["tools"]] == ["count", "transfer_to_b"]
            far.send(*call_turn("resp_1", ("call_1", "count", "{}")))
            assert await output(far) == "counted"
            assert (on.runs, off.runs) == ([""], [])


class TestEndsMeanwhile:
    """Scenario 60: whatever is awaited, what comes of it after the connection's end is nobody's."""

    def agent(self, stage: str) -> RealtimeAgent:
        self.reached, self.released = asyncio.Event(), asyncio.Event()
        self.runs: list[str] = []

        async def pause(here: str) -> bool:
            if here == stage:
                self.reached.set()
                await self.released.wait()
            return True

        @tool_input_guardrail
        async def guard(data: Any) -> ToolGuardrailFunctionOutput:
            await pause("guardrail")
            return ToolGuardrailFunctionOutput.allow()

        async def policy(context: Any, arguments: dict[str, Any], call_id: str) -> bool:
            await pause("policy")
            return False

        async def is_enabled(context: Any, agent: Any) -> bool:
            return await pause("is_enabled") if self.asked else True

        @function_tool(is_enabled=is_enabled, needs_approval=policy, tool_input_guardrails=[guard])
        async def run() -> str:
            self.runs.append("begun")
            await pause("tool")
            self.runs.append("ended")
            return "late"

        async def on_handoff(context: Any) -> None:
            await pause("handoff")

        self.asked = False
        target = RealtimeAgent("Target")
        return RealtimeAgent("A", tools=[run], handoffs=[realtime_handoff(target, on_handoff=on_handoff)])

    STAGES = ("is_enabled", "policy", "guardrail", "tool", "handoff")

    @pytest.mark.parametrize("stage", STAGES)
    async def test_j60_of_the_session(self, stage: str) -> None:
        async with open_session(self.agent(stage)) as (session, far):
            told = self.listen(session)
            await self.begin(far, stage)
            await session.close()
            self.released.set()
            assert far.types == ["session.update"]
            assert told == []
            assert self.runs == (["begun"] if stage == "tool" else [])

    @pytest.mark.parametrize("stage", STAGES)
    @timeless
    async def test_j60_of_the_connection(self, stage: str) -> None:
        async with open_session(self.agent(stage)) as (session, far):
            first = session.current_agent
            told = self.listen(session)
            await self.begin(far, stage)
            far.close()
            async for _ in session:
                pass
            self.released.set()
            await settle()
            assert far.types == ["session.update"]
            assert told == []
            assert session.current_agent is first
            assert self.runs == (["begun", "ended"] if stage == "tool" else [])

    def listen(self, session: RealtimeSession) -> list[Any]:
        told: list[Any] = []
        session.on("error", told.append)
        session.on("tool_end", told.append)
        session.on("handoff", told.append)
        session.on("tool_approval_required", told.append)
        return told

    async def begin(self, far: FarEnd, stage: str) -> None:
        self.asked = True
        far.send(*call_turn("resp_1", ("call_1", "transfer_to_target" if stage == "handoff" else "run", "{}")))
        await self.reached.wait()


class TestStopping:
    async def test_j61_a_listener_of_tool_start_that_closes_the_session_keeps_the_tool_from_running(self) -> None:
        counter = Counter()
        closed = asyncio.Event()

        async def stop(event: Any) -> None:
            await session.close()
            closed.set()

        async with open_session(RealtimeAgent("A", tools=[counter.tool])) as (session, far):
            session.on("tool_start", stop)
            far.send(*call_turn("resp_1", ("call_1", "count", "{}")))
            await closed.wait()
            assert counter.runs == []
            assert far.types == ["session.update"]

    async def test_j61_a_hook_that_closes_the_session_does_so_too(self) -> None:
        counter = Counter()
        asked = asyncio.Event()

        class Stop(RealtimeAgentHooks[Any]):
            async def on_tool_start(self, context: Any, agent: Any, tool: Any) -> None:
                asked.set()
                await session.close()

        async with open_session(RealtimeAgent("A", tools=[counter.tool], hooks=Stop())) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "count", "{}")))
            await asked.wait()
            await session.close()
            assert counter.runs == []
            assert far.types == ["session.update"]

    @pytest.mark.parametrize("words", [None, "Took too long.", ""])
    async def test_j62_a_tool_that_times_out_is_answered(self, words: str | None) -> None:
        @function_tool(timeout=0.01, timeout_error_function=None if words is None else lambda context, error: words)
        async def dawdle() -> str:
            await asyncio.Event().wait()
            return "never"

        async with open_session(RealtimeAgent("A", tools=[dawdle])) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "dawdle", "{}")))
            expected = "Tool 'dawdle' timed out after 0.01 seconds." if words is None else words
            assert await output(far) == expected
            await far.received("response.create")
            assert (await read_until(session, "tool_end"))[-1].output == expected

    async def test_j62_one_whose_time_limit_is_to_raise_is_answered_and_ends_the_session(self) -> None:
        @function_tool(timeout=0.01, timeout_behavior="raise_exception")
        async def dawdle() -> str:
            await asyncio.Event().wait()
            return "never"

        async with open_session(RealtimeAgent("A", tools=[dawdle])) as (session, far):
            told: list[Any] = []
            session.on("error", lambda event: told.append(event.error))
            far.send(*call_turn("resp_1", ("call_1", "dawdle", "{}")))
            assert "timed out" in await output(far)
            with pytest.raises(ToolTimeoutError):
                async for _ in session:
                    pass
            assert [type(error) for error in told] == [ToolTimeoutError]
            assert "response.create" not in far.types


class TestPolicies:
    @pytest.mark.parametrize("arguments", ["{", "[1]", "null", '"text"', '{"word": NaN}'])
    async def test_j63_arguments_that_nobody_can_read_need_approval_and_never_run(self, arguments: str) -> None:
        asked: list[Any] = []
        counter = Counter(needs_approval=lambda *given: asked.append(given))
        async with open_session(RealtimeAgent("A", tools=[counter.tool])) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "count", arguments)))
            required = (await read_until(session, "tool_approval_required"))[-1]
            assert (required.call_id, required.arguments) == ("call_1", arguments)
            assert asked == []
            await session.approve_tool_call("call_1")
            assert "not valid" in await output(far)
            assert counter.runs == []
            await far.received("response.create")

    async def test_j63_a_tool_made_by_hand_reads_for_itself_what_a_human_approved(self) -> None:
        async def invoke(context: ToolContext[Any], arguments: str) -> str:
            return f"read {arguments}"

        asked: list[Any] = []
        tool = FunctionTool(
            name="read",
            description="",
            params_json_schema={},
            on_invoke_tool=invoke,
            needs_approval=lambda *given: asked.append(given),
        )
        async with open_session(RealtimeAgent("A", tools=[tool])) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "read", "{")))
            await read_until(session, "tool_approval_required")
            await session.approve_tool_call("call_1")
            assert await output(far) == "read {"
            assert asked == []

    async def test_j64_what_was_decided_for_good_is_not_asked_again(self) -> None:
        asked: list[str] = []

        def policy(context: Any, arguments: dict[str, Any], call_id: str) -> bool:
            asked.append(call_id)
            return True

        counter = Counter(needs_approval=policy)
        async with open_session(RealtimeAgent("A", tools=[counter.tool])) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "count", '{"word": "a"}')))
            await read_until(session, "tool_approval_required")
            await session.approve_tool_call("call_1", always=True)
            await far.received("response.create")
            far.send(*call_turn("resp_2", ("call_2", "count", '{"word": "b"}')))
            await far.received("response.create")
            assert (asked, counter.runs) == (["call_1"], ["a", "b"])

    @pytest.mark.parametrize("approved", [True, False])
    async def test_j64_what_was_decided_once_is_asked_again(self, approved: bool) -> None:
        counter = Counter(needs_approval=True)
        async with open_session(RealtimeAgent("A", tools=[counter.tool])) as (session, far):
            for number in (1, 2):
                far.send(*call_turn(f"resp_{number}", (f"call_{number}", "count", "{}")))
                required = (await read_until(session, "tool_approval_required"))[-1]
                assert required.call_id == f"call_{number}"
                decide = session.approve_tool_call if approved else session.reject_tool_call
                await decide(required.call_id)
                await far.received("response.create")
            assert len(counter.runs) == (2 if approved else 0)

    async def test_j64_a_rejection_for_good_keeps_its_words(self) -> None:
        counter = Counter(needs_approval=True)
        async with open_session(RealtimeAgent("A", tools=[counter.tool])) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "count", "{}")))
            await read_until(session, "tool_approval_required")
            await session.reject_tool_call("call_1", always=True, rejection_message="Never.")
            await far.received("response.create")
            far.send(*call_turn("resp_2", ("call_2", "count", "{}")))
            await far.received("response.create")
            assert (sent(far), counter.runs) == ({"call_1": ["Never."], "call_2": ["Never."]}, [])

    async def test_j69_what_guardrails_reject_beforehand_nobody_is_asked_about(self) -> None:
        judged: list[str] = []

        @tool_input_guardrail
        def guard(data: Any) -> ToolGuardrailFunctionOutput:
            judged.append(data.context.tool_call_id)
            if "bad" in data.context.tool_arguments:
                return ToolGuardrailFunctionOutput.reject_content("Not like this.")
            return ToolGuardrailFunctionOutput.allow()

        counter = Counter(needs_approval=True, tool_input_guardrails=[guard])
        config = {"tool_execution": {"pre_approval_tool_input_guardrails": True}}
        async with open_session(RealtimeAgent("A", tools=[counter.tool]), config=config) as (session, far):
            asked: list[str] = []
            session.on("tool_approval_required", lambda event: asked.append(event.call_id))
            far.send(*call_turn("resp_1", ("call_1", "count", '{"word": "bad"}')))
            assert await output(far) == "Not like this."
            await far.received("response.create")
            assert (asked, judged, counter.runs) == ([], ["call_1"], [])
            far.send(*call_turn("resp_2", ("call_2", "count", '{"word": "good"}')))
            await read_until(session, "tool_approval_required")
            await session.approve_tool_call("call_2")
            assert await output(far) == "counted good"
            assert (asked, judged) == (["call_2"], ["call_1", "call_2", "call_2"])


class TestDecisions:
    async def test_j65_only_a_call_that_waits_can_be_decided(self) -> None:
        waits, runs = Counter("waits", needs_approval=True), Counter("runs")
        async with open_session(RealtimeAgent("A", tools=[waits.tool, runs.tool])) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "waits", "{}"), ("call_2", "runs", "{}")))
            await read_until(session, "tool_end")
            for call_id in ("call_2", "call_9", ""):
                for decide in (session.approve_tool_call, session.reject_tool_call):
                    with pytest.raises(ConfigurationError, match="waiting: call_1"):
                        await decide(call_id)
            assert waits.runs == []
            await session.approve_tool_call("call_1")
            await session.reject_tool_call("call_1")
            await session.approve_tool_call("call_1")
            await far.received("response.create")
            assert sent(far) == {"call_2": ["counted"], "call_1": ["counted"]}
            assert waits.runs == [""]

    async def test_j65_approval_for_good_is_bound_to_the_agent_that_asked(self) -> None:
        ours, theirs = Counter(needs_approval=True), Counter(needs_approval=True)
        second = RealtimeAgent("Second", tools=[theirs.tool])
        async with open_session(RealtimeAgent("First", tools=[ours.tool])) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "count", "{}")))
            await read_until(session, "tool_approval_required")
            await session.approve_tool_call("call_1", always=True)
            await far.received("response.create")
            await session.update_agent(second)
            far.send(*call_turn("resp_2", ("call_2", "count", "{}")))
            required = (await read_until(session, "tool_approval_required"))[-1]
            assert (required.agent, required.call_id, theirs.runs) == (second, "call_2", [])

    async def test_j65_an_approval_that_comes_after_the_session_runs_nothing(self) -> None:
        counter = Counter(needs_approval=True)
        async with open_session(RealtimeAgent("A", tools=[counter.tool])) as (session, far):
            with pytest.raises(SessionStateError):
                await RealtimeSession(RealtimeAgent("A"), transport=memory_transport(MemoryWire())).approve_tool_call(
                    "x"
                )
            far.send(*call_turn("resp_1", ("call_1", "count", "{}")))
            await read_until(session, "tool_approval_required")
            await session.close()
            await session.approve_tool_call("call_1")
            assert (counter.runs, far.types) == ([], ["session.update"])

    @timeless
    async def test_j65_an_approval_that_comes_after_the_connection_runs_nothing(self) -> None:
        counter = Counter(needs_approval=True)
        async with open_session(RealtimeAgent("A", tools=[counter.tool])) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "count", "{}")))
            await read_until(session, "tool_approval_required")
            far.close()
            async for _ in session:
                pass
            await session.approve_tool_call("call_1")
            await settle()
            assert (counter.runs, far.types) == ([], ["session.update"])

    @pytest.mark.parametrize("times", [1, 2])
    async def test_j66_approval_inside_the_event_runs_it_once(self, times: int) -> None:
        counter = Counter(needs_approval=True)
        async with open_session(RealtimeAgent("A", tools=[counter.tool])) as (session, far):
            for _ in range(times):
                session.on("tool_approval_required", lambda event: session.approve_tool_call(event.call_id))
            far.send(*call_turn("resp_1", ("call_1", "count", "{}"), ("call_2", "count", '{"word": "b"}')))
            await far.received("response.create")
            assert sorted(counter.runs) == ["", "b"]
            assert sent(far) == {"call_1": ["counted"], "call_2": ["counted b"]}

    @pytest.mark.parametrize(
        ("given", "formatter", "told"),
        [
            ("", lambda args: "formatted", ""),
            ("", None, ""),
            ("No.", lambda args: "formatted", "No."),
            (None, lambda args: f"{args.kind} {args.tool_name} {args.call_id}", "approval_rejected count call_1"),
            (None, lambda args: "", ""),
            (None, lambda args: None, "Tool execution was not approved."),
            (None, lambda args: 7, "Tool execution was not approved."),
            (None, lambda args: args.nothing, "Tool execution was not approved."),
            (None, None, "Tool execution was not approved."),
        ],
    )
    async def test_j68_the_words_of_a_rejection(
        self, given: str | None, formatter: Callable[[Any], Any] | None, told: str
    ) -> None:
        counter = Counter(needs_approval=True)
        config = {"tool_error_formatter": formatter}
        async with open_session(RealtimeAgent("A", tools=[counter.tool]), config=config) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "count", "{}")))
            await read_until(session, "tool_approval_required")
            await session.reject_tool_call("call_1", rejection_message=given)
            assert await output(far) == told
            await far.received("response.create")
            assert (await read_until(session, "tool_end"))[-1].output == told
            assert counter.runs == []

    async def test_j72_calls_without_a_call_id_are_told_apart_by_their_items(self) -> None:
        counter = Counter(needs_approval=True)
        async with open_session(RealtimeAgent("A", tools=[counter.tool])) as (session, far):
            turn = call_turn("resp_1", ("1", "count", '{"word": "a"}'), ("2", "count", '{"word": "b"}'))
            far.send(*json.loads(re.sub(r'"call_id": "[12]"', '"call_id": ""', json.dumps(turn))))
            first = (await read_until(session, "tool_approval_required"))[-1]
            second = (await read_until(session, "tool_approval_required"))[-1]
            assert (first.call_id, second.call_id) == ("item_1", "item_2")
            await session.reject_tool_call("item_1")
            await session.approve_tool_call("item_2")
            await far.received("response.create")
            assert counter.runs == ["b"]
            assert sent(far) == {"item_1": ["Tool execution was not approved."], "item_2": ["counted b"]}


class UnsteadyTransport(OpenAIRealtimeTransport):
    """Its first answers to approval requests can't be sent."""

    failures = 0

    async def send_mcp_response(self, request: Any, approved: bool, reason: str | None = None) -> None:
        await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            raise TransportError("not now")
        await super().send_mcp_response(request, approved, reason)


class TestHostedApprovals:
    SERVER = HostedMCPTool({"server_label": "docs", "server_url": "https://example.com/mcp"})

    async def test_j67_an_answer_that_could_not_be_sent_can_be_given_again(self) -> None:
        wire = MemoryWire()
        transport = UnsteadyTransport(wire, name="memory", capabilities=TransportCapabilities())
        async with RealtimeSession(RealtimeAgent("A", tools=[self.SERVER]), transport=transport) as session:
            (far,) = wire.far_ends
            transport.failures = 1
            far.send(approval_request("mcpr_1"))
            await read_until(session, "tool_approval_required")
            await session.approve_tool_call("mcpr_1")
            events = await read_until(session, "tool_approval_required")
            assert [str(event.error) for event in events if event.type == "error"] == ["not now"]
            assert "conversation.item.create" not in far.types
            await session.reject_tool_call("mcpr_1", rejection_message="")
            item = (await far.received("conversation.item.create"))["item"]
            assert (item["approve"], item["reason"], item["approval_request_id"]) == (False, "", "mcpr_1")

    async def test_j67_many_decisions_and_many_requests_are_answered_once(self) -> None:
        async with open_session(RealtimeAgent("A", tools=[self.SERVER])) as (session, far):
            required: list[Any] = []
            session.on("tool_approval_required", required.append)
            far.send(approval_request("mcpr_1"), approval_request("mcpr_1"), approval_request("mcpr_2"))
            await far.heard()
            await read_until(session, lambda event: getattr(event, "call_id", "") == "mcpr_2")
            for _ in range(3):
                await session.approve_tool_call("mcpr_1")
                await session.reject_tool_call("mcpr_1")
            await session.reject_tool_call("mcpr_2")
            far.send(approval_request("mcpr_1"))
            await settled(session, far)
            answers = [frame["item"] for frame in far.frames if frame["type"] == "conversation.item.create"]
            assert [(item["approval_request_id"], item["approve"]) for item in answers] == [
                ("mcpr_1", True),
                ("mcpr_2", False),
            ]
            assert [event.call_id for event in required] == ["mcpr_1", "mcpr_2"]

    async def test_a_request_is_shown_as_it_is_when_it_is_complete(self) -> None:
        async with open_session(RealtimeAgent("A", tools=[self.SERVER])) as (session, far):
            complete = approval_request("mcpr_1", arguments='{"all": true}')
            begun = {"type": "conversation.item.added", "item": complete["item"] | {"arguments": ""}}
            far.send(begun, complete)
            required = (await read_until(session, "tool_approval_required"))[-1]
            assert (required.tool_name, required.arguments) == ("search", '{"all": true}')
            assert [item.arguments for item in session.history] == ['{"all": true}']

    @pytest.mark.parametrize("change", [{"name": "delete_all"}, {"arguments": '{"all": true}'}])
    async def test_j67_a_request_that_comes_again_for_another_call_is_an_error(self, change: dict[str, str]) -> None:
        async with open_session(RealtimeAgent("A", tools=[self.SERVER])) as (session, far):
            errors: list[str] = []
            session.on("error", lambda event: errors.append(str(event.error)))
            far.send(approval_request("mcpr_1"), approval_request("mcpr_1", **change))
            await far.heard()
            required = (await read_until(session, "tool_approval_required"))[-1]
            assert (required.tool_name, required.arguments) == ("search", "{}")
            assert len(errors) == 1
            assert "'mcpr_1' came again for another call" in errors[0]
            await settled(session, far)
            assert len(errors) == 1

    @timeless
    async def test_j60_a_decision_about_a_lost_connection_is_nobodys(self) -> None:
        asked, released = asyncio.Event(), asyncio.Event()

        async def decide(request: Any) -> bool:
            asked.set()
            await released.wait()
            return True

        server = HostedMCPTool(dict(self.SERVER.tool_config), on_approval_request=decide)
        async with open_session(RealtimeAgent("A", tools=[server])) as (session, far):
            told: list[Any] = []
            session.on("error", told.append)
            session.on("tool_approval_required", told.append)
            far.send(approval_request("mcpr_1"))
            await asked.wait()
            far.close()
            async for _ in session:
                pass
            released.set()
            await settle()
            assert told == []


class TestOutputs:
    async def test_j70_a_background_result_is_sent_and_no_answer_is_asked_for(self) -> None:
        @function_tool
        def note() -> BackgroundResult:
            return BackgroundResult({"noted": True})

        async with open_session(RealtimeAgent("A", tools=[note])) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "note", "{}")))
            assert json.loads(await output(far)) == {"noted": True}
            assert (await read_until(session, "tool_end"))[-1].output == {"noted": True}
            await settled(session, far)
            assert "response.create" not in far.types

    @pytest.mark.parametrize("arguments", ["{", "", "[]", "null", '{"word": 1}', '{"sentence": "a"}', "\x00"])
    async def test_j73_malformed_arguments_of_a_plain_tool_are_answered(self, arguments: str) -> None:
        async with open_session(RealtimeAgent("A", tools=[self.needs_a_word()])) as (_, far):
            far.send(*call_turn("resp_1", ("call_1", "say", arguments)))
            assert "the arguments of say are not valid" in await output(far)
            await far.received("response.create")

    def needs_a_word(self) -> FunctionTool:
        @function_tool
        def say(word: str) -> str:
            return word

        return say

    async def test_a_call_that_is_told_after_its_response_ended_is_answered_too(self) -> None:
        counter = Counter()
        async with open_session(RealtimeAgent("A", tools=[counter.tool])) as (session, far):
            turn = call_turn("resp_1", ("call_1", "count", "{}"))
            far.send(turn[0], response_done("resp_1"))
            await read_until(session, "agent_end")
            far.send(*turn[1:-1])
            assert await output(far) == "counted"
            await far.received("response.create")

    async def test_sending_late_is_refused_with_advice(self) -> None:
        async with open_session() as (session, far):
            far.lose()
            with pytest.raises(TransportError):
                async for _ in session:
                    pass
            with pytest.raises(NotConnectedError):
                await session.send_message("hi")
