"""Handoffs in a session: what goes out in which order, and who owns what is said and called meanwhile."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from jackfield import RealtimeAgent, RunContextWrapper, function_tool, realtime_handoff
from jackfield.errors import ToolError
from support.memory_wire import call_turn, open_session, read_until, text_turn


@function_tool
def ping() -> str:
    """Answer."""
    return "pong"


@function_tool
def refund() -> str:
    """Give money back."""
    return "refunded"


def desk() -> tuple[RealtimeAgent, RealtimeAgent]:
    """Return a front desk with a tool, and the billing desk that it may hand over to."""
    billing = RealtimeAgent("Billing", instructions="Be exact.", tools=[refund], handoff_description="Money.")
    return RealtimeAgent("Front", instructions="Be kind.", tools=[ping], handoffs=[billing]), billing


TRANSFER = ("call_1", "transfer_to_billing", "{}")


class TestHandingOver:
    async def test_order_on_the_wire(self) -> None:
        front, _ = desk()
        async with open_session(front) as (_, far):
            far.send(*call_turn("resp_1", TRANSFER))
            await far.received("response.create")
            assert far.types[1:] == ["session.update", "conversation.item.create", "response.create"]
            _, update, output, _ = far.frames
            assert update["session"] == {"type": "realtime", "instructions": "Be exact.", "tools": [refund.to_wire()]}
            assert output["item"]["call_id"] == "call_1"
            assert json.loads(output["item"]["output"]) == {"assistant": "Billing"}

    async def test_what_is_told(self) -> None:
        front, billing = desk()
        async with open_session(front) as (session, far):
            far.send(*call_turn("resp_1", TRANSFER))
            await far.received("response.create")
            far.send(*text_turn("resp_2", "item_2", previous="item_call_1"))
            events = await read_until(session, lambda event: getattr(event, "output", "") == "Hello there.")
            (handoff,) = [event for event in events if event.type == "handoff"]
            assert (handoff.from_agent, handoff.to_agent) == (front, billing)
            turns = [(event.type, event.agent) for event in events if event.type in {"agent_start", "agent_end"}]
            assert turns == [
                ("agent_start", front),
                ("agent_end", front),
                ("agent_start", billing),
                ("agent_end", billing),
            ]
            assert not [event for event in events if event.type in {"tool_start", "tool_end", "error"}]
            assert session.current_agent is billing
            assert session.history[0].output == '{"assistant": "Billing"}'

    async def test_the_end_names_the_source_though_the_target_has_taken_over_before_it(self) -> None:
        front, billing = desk()
        async with open_session(front) as (session, far):
            turn = call_turn("resp_1", TRANSFER)
            far.send(*turn[:-1])
            await read_until(session, "handoff")
            assert session.current_agent is billing
            far.send(turn[-1])
            assert (await read_until(session, "agent_end"))[-1].agent is front

    async def test_a_call_of_the_same_response_that_comes_late_is_the_sources(self) -> None:
        front, _ = desk()
        async with open_session(front) as (session, far):
            turn = call_turn("resp_1", TRANSFER, ("call_2", "ping", "{}"))
            second = next(number for number, frame in enumerate(turn) if "item_call_2" in json.dumps(frame))
            far.send(*turn[:second])
            await read_until(session, "handoff")
            await far.received("conversation.item.create")
            far.send(*turn[second:])
            output = await far.received("conversation.item.create")
            assert output["item"]["output"] == "pong"
            await far.received("response.create")
            assert far.types.count("response.create") == 1

    async def test_a_slow_call_of_the_source_holds_the_answer_back(self) -> None:
        finish = asyncio.Event()

        @function_tool
        async def slow() -> str:
            await finish.wait()
            return "slow"

        front, billing = desk()
        front.tools.append(slow)
        async with open_session(front) as (session, far):
            far.send(*call_turn("resp_1", ("call_2", "slow", "{}"), TRANSFER))
            await read_until(session, "handoff")
            await far.received("conversation.item.create")
            await far.heard()
            assert "response.create" not in far.types
            finish.set()
            assert (await read_until(session, "tool_end"))[-1].agent is front
            await far.received("response.create")
            far.send(*call_turn("resp_2", ("call_3", "refund", "{}")))
            assert (await read_until(session, "tool_end"))[-1].agent is billing

    async def test_a_target_without_tools_and_instructions_clears_them(self) -> None:
        front, _ = desk()
        front.handoffs.append(RealtimeAgent("Nobody"))
        async with open_session(front) as (_, far):
            far.send(*call_turn("resp_1", ("call_1", "transfer_to_nobody", "{}")))
            update = await far.received("session.update")
            assert update["session"] == {"type": "realtime", "instructions": "", "tools": []}

    async def test_there_and_back(self) -> None:
        front, billing = desk()
        billing.handoffs.append(front)
        async with open_session(front) as (session, far):
            far.send(*call_turn("resp_1", TRANSFER))
            await far.received("response.create")
            far.send(*call_turn("resp_2", ("call_2", "transfer_to_front", "{}")))
            await far.received("response.create")
            assert session.current_agent is front
            far.send(*call_turn("resp_3", ("call_3", "ping", "{}")))
            await far.received("response.create")
            assert far.frames[-2]["item"]["output"] == "pong"

    async def test_made_by_hand_and_instructions_made_when_it_happens(self) -> None:
        def instructions(context: RunContextWrapper[list[str]], agent: RealtimeAgent) -> str:
            return f"Known: {', '.join(context.context)}"

        known = ["name"]
        target = RealtimeAgent("Specialist", instructions=instructions)
        front = RealtimeAgent("Front", handoffs=[realtime_handoff(target, tool_name_override="call_specialist")])
        async with open_session(front, context=known) as (_, far):
            known.append("address")
            far.send(*call_turn("resp_1", ("call_1", "call_specialist", "{}")))
            assert (await far.received("session.update"))["session"]["instructions"] == "Known: name, address"


class TestFailing:
    async def check(self, target: RealtimeAgent, words: str) -> None:
        front = RealtimeAgent("Front", handoffs=[target])
        async with open_session(front) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "transfer_to_target", "{}")))
            error = (await read_until(session, "error"))[-1].error
            assert isinstance(error, ToolError)
            assert words in str(error)
            output = await far.received("conversation.item.create")
            assert output["item"]["output"].startswith("An error occurred while handing over to Target")
            await far.received("response.create")
            assert far.types.count("session.update") == 1
            assert session.current_agent is front

    async def test_a_target_that_is_not_valid(self) -> None:
        await self.check(RealtimeAgent("Target", tools=[ping, ping]), "ping names more than one")

    async def test_a_target_whose_instructions_fail(self) -> None:
        def failing(context: RunContextWrapper[Any], agent: RealtimeAgent) -> str:
            raise LookupError("no instructions")

        await self.check(RealtimeAgent("Target", instructions=failing), "no instructions")
