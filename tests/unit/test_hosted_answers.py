"""What hosted calls brought is answered once for all calls of a response, in whatever form the far end tells it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from jackfield import HostedMCPTool, RealtimeAgent, RealtimeSession, TransportCapabilities, function_tool
from jackfield.errors import ConfigurationError
from jackfield.testing import ScriptedTransport
from support.clock import settle, timeless
from support.memory_wire import FarEnd, call_turn, open_session, response_done

Event = dict[str, Any]

SERVER = HostedMCPTool({"server_label": "files", "server_url": "https://files.example/mcp"})


@function_tool
def note() -> str:
    return "Noted."


def call_item(number: int, *, output: str | None = None, error: Any = None, approved: bool = True) -> Event:
    request = f"mcpr_{number}" if approved else None
    fields = {"server_label": "files", "name": "read", "arguments": "{}", "approval_request_id": request}
    return {"id": f"mcp_{number}", "type": "mcp_call", **fields, "output": output, "error": error}


def request_item(number: int) -> Event:
    fields = {"server_label": "files", "name": "read", "arguments": "{}"}
    return {"id": f"mcpr_{number}", "type": "mcp_approval_request", **fields}


def done(item: Event) -> Event:
    return {"type": "conversation.item.done", "previous_item_id": None, "item": item}


def created(response_id: str = "resp_1") -> Event:
    return {"type": "response.created", "response": {"id": response_id, "conversation_id": "conv_1", "output": []}}


def asking(*numbers: int, with_calls: bool, status: str = "completed") -> list[Event]:
    """A response that asks for approvals; the items of the calls are there before, or come when they were made."""
    output = [request_item(number) for number in numbers]
    if with_calls:
        output += [call_item(number) for number in numbers]
    return [created(), *map(done, output), response_done("resp_1", output, status=status)]


@asynccontextmanager
async def opened(**options: Any) -> AsyncIterator[tuple[RealtimeSession, FarEnd]]:
    async with open_session(RealtimeAgent("Clerk", tools=[SERVER, note]), **options) as found:
        yield found


async def requests(far: FarEnd) -> int:
    await settle()
    return far.types.count("response.create")


@pytest.mark.parametrize("with_calls", [True, False])
class TestApprovals:
    @timeless
    async def test_the_last_of_the_calls_is_waited_for(self, with_calls: bool) -> None:
        async with opened() as (session, far):
            far.send(*asking(1, 2, with_calls=with_calls))
            await settle()
            await session.approve_tool_call("mcpr_1")
            await session.approve_tool_call("mcpr_2")
            far.send(done(call_item(2, output="")))
            assert await requests(far) == 0
            far.send(done(call_item(1, error="It failed.")), done(call_item(1, error="It failed.")))
            assert await requests(far) == 1

    @timeless
    async def test_a_rejection_is_answered_whether_or_not_its_call_tells(self, with_calls: bool) -> None:
        async with opened() as (session, far):
            far.send(*asking(1, with_calls=with_calls))
            await settle()
            await session.reject_tool_call("mcpr_1")
            assert await requests(far) == 1
            assert far.types == ["session.update", "conversation.item.create", "response.create"]
            if with_calls:
                error = {"type": "tool_execution_error", "message": "It was not approved."}
                far.send(done(call_item(1, error=error)))
            assert await requests(far) == 1

    @timeless
    async def test_what_is_decided_before_the_response_ends(self, with_calls: bool) -> None:
        async with opened() as (session, far):
            *before, end = asking(1, 2, with_calls=with_calls)
            far.send(*before)
            await settle()
            await session.approve_tool_call("mcpr_1")
            await session.reject_tool_call("mcpr_2")
            far.send(done(call_item(1, output="text")))
            assert await requests(far) == 0
            far.send(end)
            assert await requests(far) == 1

    @timeless
    async def test_of_a_response_that_was_cut_short_each_is_answered(self, with_calls: bool) -> None:
        async with opened() as (session, far):
            far.send(*asking(1, with_calls=with_calls, status="cancelled"))
            await settle()
            await session.approve_tool_call("mcpr_1")
            assert await requests(far) == 0
            far.send(done(call_item(1, output="text")))
            assert await requests(far) == 1

    @timeless
    async def test_each_is_answered_where_that_is_wanted(self, with_calls: bool) -> None:
        async with opened(config={"tool_execution": {"join": "call"}}) as (session, far):
            far.send(*asking(1, 2, with_calls=with_calls))
            await settle()
            await session.approve_tool_call("mcpr_1")
            far.send(done(call_item(1, output="text")))
            assert await requests(far) == 1


class TestCallsWithoutApproval:
    @timeless
    async def test_beside_a_function_of_ours(self) -> None:
        async with opened() as (_, far):
            hosted = call_item(1, output="text", approved=False)
            *before, end = call_turn("resp_1", ("call_1", "note", "{}"))
            end["response"]["output"].append(hosted)
            far.send(*before, done(hosted))
            assert await requests(far) == 0
            far.send(end)
            assert await requests(far) == 1
            assert far.types == ["session.update", "conversation.item.create", "response.create"]

    @timeless
    async def test_that_run_when_their_response_is_over(self) -> None:
        async with opened() as (_, far):
            open_calls = [call_item(number, approved=False) for number in (1, 2)]
            far.send(created(), *map(done, open_calls), response_done("resp_1", open_calls))
            far.send(done(call_item(1, output="text", approved=False)))
            assert await requests(far) == 0
            far.send(done(call_item(2, output="text", approved=False)))
            assert await requests(far) == 1

    @timeless
    async def test_of_a_response_that_was_cancelled_are_not_answered(self) -> None:
        async with opened() as (_, far):
            hosted = call_item(1, output="text", approved=False)
            far.send(created(), done(hosted), response_done("resp_1", [hosted], status="cancelled"))
            assert await requests(far) == 0

    @timeless
    async def test_one_that_was_cut_short_keeps_no_answer(self) -> None:
        async with opened() as (_, far):
            *before, end = call_turn("resp_1", ("call_1", "note", "{}"))
            end["response"]["output"].append(call_item(1, approved=False))
            end["response"]["status"] = "incomplete"
            far.send(*before, end)
            assert await requests(far) == 1


async def test_a_transport_without_hosted_servers_is_refused_before_anything_is_sent() -> None:
    far_end = ScriptedTransport(capabilities=TransportCapabilities(hosted_mcp=False))
    with pytest.raises(ConfigurationError, match="files"):
        await RealtimeSession(RealtimeAgent("Clerk", tools=[SERVER]), transport=far_end).enter()
    assert far_end.calls == ()
    async with RealtimeSession(RealtimeAgent("Novice"), transport=far_end) as session:
        with pytest.raises(ConfigurationError, match="files"):
            await session.update_agent(RealtimeAgent("Clerk", tools=[SERVER]))
