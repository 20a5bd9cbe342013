"""Hosted MCP in a session: approvals, by a function or by somebody, and which tools there are."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jackfield import HostedMCPTool, RealtimeAgent, RealtimeSession, TransportCapabilities
from jackfield.errors import ConfigurationError, ListenerError, TransportError, UnsupportedByTransportError
from jackfield.testing import Disconnect, ScriptedTransport
from jackfield.transport.events import McpApprovalRequest, McpFailed
from support.clock import settle, timeless
from support.memory_wire import FarEnd, call_turn, open_session, read_until

Event = dict[str, Any]


def server(label: str = "files", **config: Any) -> HostedMCPTool:
    on_approval_request = config.pop("on_approval_request", None)
    tool_config = {"server_label": label, "server_url": f"https://{label}.example/mcp", **config}
    return HostedMCPTool(tool_config, on_approval_request)


def agent_with(*tools: HostedMCPTool, name: str = "Helper", **fields: Any) -> RealtimeAgent:
    return RealtimeAgent(name, tools=list(tools), **fields)


def asks(
    number: int = 1, *, label: str = "files", name: str = "delete", arguments: str = '{"path": "/"}'
) -> list[Event]:
    """The server events by which the far end asks whether it may make a call."""
    item = {
        "id": f"mcpr_{number}",
        "type": "mcp_approval_request",
        "server_label": label,
        "name": name,
        "arguments": arguments,
    }
    kinds = ("conversation.item.added", "conversation.item.done")
    return [{"type": kind, "previous_item_id": None, "item": item} for kind in kinds]


def lists(label: str, *names: str) -> list[Event]:
    """The server events by which a server's tools become known."""
    tools = [{"name": name, "input_schema": {"type": "object"}} for name in names]
    item = {"id": f"mcpl_{label}", "type": "mcp_list_tools", "server_label": label, "tools": tools}
    kinds = ("conversation.item.added", "conversation.item.done")
    return [{"type": kind, "previous_item_id": None, "item": item} for kind in kinds]


async def answer(far: FarEnd) -> Event:
    """Wait for the next answer to an approval request."""
    frame = await far.received("conversation.item.create")
    item: Event = frame["item"]
    assert item["type"] == "mcp_approval_response"
    assert frame["previous_item_id"] == item["approval_request_id"]
    return item


def request(number: int = 1) -> McpApprovalRequest:
    return McpApprovalRequest(item_id=f"mcpr_{number}", server_label="files", name="delete", arguments="{}")


class TestApprovals:
    async def test_somebody_is_asked(self) -> None:
        files = server()
        agent = agent_with(files)
        async with open_session(agent) as (session, far):
            far.send(*asks())
            event = (await read_until(session, "tool_approval_required"))[-1]
            assert (event.agent, event.tool, event.tool_name) == (agent, files, "delete")
            assert (event.call_id, event.arguments) == ("mcpr_1", '{"path": "/"}')
            await session.approve_tool_call("mcpr_1")
            item = await answer(far)
            assert (item["approve"], item["approval_request_id"]) == (True, "mcpr_1")
            assert "reason" not in item

    @timeless
    async def test_a_rejection_is_no_call_to_answer(self) -> None:
        async with open_session(agent_with(server())) as (session, far):
            far.send(*asks())
            await read_until(session, "tool_approval_required")
            await session.reject_tool_call("mcpr_1", rejection_message="Not that one.")
            item = await answer(far)
            assert (item["approve"], item["reason"]) == (False, "Not that one.")
            await settle()
            assert "response.create" not in far.types

    @timeless
    async def test_a_request_that_is_told_again_is_asked_once(self) -> None:
        async with open_session(agent_with(server())) as (session, far):
            asked: list[Any] = []
            session.on("tool_approval_required", asked.append)
            far.send(*asks(), *asks())
            await settle()
            await session.approve_tool_call("mcpr_1")
            far.send(*asks())
            await settle()
            assert len(asked) == 1
            assert far.types.count("conversation.item.create") == 1

    async def test_several_wait_beside_each_other(self) -> None:
        async with open_session(agent_with(server())) as (session, far):
            far.send(*asks(1), *asks(2))
            for _ in range(2):
                await read_until(session, "tool_approval_required")
            await session.reject_tool_call("mcpr_2")
            assert (await answer(far))["approval_request_id"] == "mcpr_2"
            await session.approve_tool_call("mcpr_1")
            assert (await answer(far))["approve"] is True

    @pytest.mark.parametrize("approved", [True, False])
    async def test_for_good_means_that_tool_of_that_server(self, approved: bool) -> None:
        async with open_session(agent_with(server(), server("mail"))) as (session, far):
            far.send(*asks(1))
            await read_until(session, "tool_approval_required")
            if approved:
                await session.approve_tool_call("mcpr_1", always=True)
            else:
                await session.reject_tool_call("mcpr_1", always=True, rejection_message="Never.")
            await answer(far)
            far.send(*asks(2))
            item = await answer(far)
            assert (item["approve"], item.get("reason")) == (approved, None if approved else "Never.")
            for number, other in ((3, {"name": "read"}), (4, {"label": "mail"})):
                far.send(*asks(number, **other))
                assert (await read_until(session, "tool_approval_required"))[-1].call_id == f"mcpr_{number}"

    async def test_a_server_that_no_agent_declared(self) -> None:
        async with open_session(agent_with(server())) as (session, far):
            far.send(*asks(label="elsewhere"))
            event = (await read_until(session, "tool_approval_required"))[-1]
            assert (event.tool, event.tool_name) == (None, "delete")
            await session.reject_tool_call("mcpr_1")
            assert (await answer(far))["approve"] is False

    @timeless
    async def test_closing_leaves_it_unanswered(self) -> None:
        async with open_session(agent_with(server())) as (session, far):
            far.send(*asks())
            await read_until(session, "tool_approval_required")
        await session.approve_tool_call("mcpr_1")
        await settle()
        assert far.types == ["session.update"]


class TestByAFunction:
    @pytest.mark.parametrize("sync", [True, False])
    @pytest.mark.parametrize("approved", [True, False])
    async def test_it_decides(self, sync: bool, approved: bool) -> None:
        given: list[McpApprovalRequest] = []

        def decide(request: McpApprovalRequest) -> bool:
            given.append(request)
            return approved

        async def decide_on_the_loop(request: McpApprovalRequest) -> bool:
            return decide(request)

        files = server(on_approval_request=decide if sync else decide_on_the_loop)
        async with open_session(agent_with(files)) as (session, far):
            asked: list[Any] = []
            session.on("tool_approval_required", asked.append)
            far.send(*asks())
            assert (await answer(far))["approve"] is approved
            (request,) = given
            assert (request.server_label, request.name, request.arguments) == ("files", "delete", '{"path": "/"}')
            assert asked == []

    @pytest.mark.parametrize("failure", [LookupError("no rules, Bearer abc"), asyncio.CancelledError()])
    @timeless
    async def test_where_it_fails_somebody_is_asked(self, failure: BaseException) -> None:
        async def decide(request: McpApprovalRequest) -> bool:
            raise failure

        async with open_session(agent_with(server(on_approval_request=decide))) as (session, far):
            far.send(*asks())
            events = await read_until(session, "tool_approval_required")
            (error,) = [event.error for event in events if event.type == "error"]
            assert isinstance(error, ListenerError)
            assert "on_approval_request of 'files' raised" in str(error)
            assert "Bearer abc" not in str(error)
            assert error.__cause__ is failure
            await session.approve_tool_call("mcpr_1")
            assert (await answer(far))["approve"] is True

    async def test_what_was_decided_for_good_is_not_asked_again(self) -> None:
        decided: list[str] = []

        def decide(request: McpApprovalRequest) -> bool:
            decided.append(request.item_id)
            if len(decided) == 1:
                raise LookupError
            return True

        async with open_session(agent_with(server(on_approval_request=decide))) as (session, far):
            far.send(*asks(1))
            await read_until(session, "tool_approval_required")
            await session.reject_tool_call("mcpr_1", always=True)
            await answer(far)
            far.send(*asks(2))
            assert (await answer(far))["approve"] is False
            assert decided == ["mcpr_1"]

    async def test_a_handoff_meanwhile_leaves_it_to_the_agent_that_was_asked(self) -> None:
        thinking, decided = asyncio.Event(), asyncio.Event()

        async def decide(request: McpApprovalRequest) -> bool:
            thinking.set()
            await decided.wait()
            return True

        async with open_session(agent_with(server(on_approval_request=decide))) as (session, far):
            far.send(*asks())
            await thinking.wait()
            await session.update_agent(RealtimeAgent("Second"))
            decided.set()
            assert (await answer(far))["approve"] is True


class TestAnAnswerThatCanNotBeSent:
    @timeless
    async def test_is_told_and_can_be_given_again(self) -> None:
        far_end = ScriptedTransport(strict=False)
        far_end.fail_next("send_mcp_response", TransportError("the line is busy"))
        async with RealtimeSession(agent_with(server()), transport=far_end) as session:
            far_end.emit(request())
            await read_until(session, "tool_approval_required")
            await session.approve_tool_call("mcpr_1")
            events = await read_until(session, "tool_approval_required")
            assert [str(event.error) for event in events if event.type == "error"] == ["the line is busy"]
            assert events[-1].call_id == "mcpr_1"
            await session.reject_tool_call("mcpr_1", rejection_message="On second thoughts.")
            await settle()
            calls = [call.arguments for call in far_end.calls if call.method == "send_mcp_response"]
            assert [(call["approved"], call["reason"]) for call in calls] == [
                (True, None),
                (False, "On second thoughts."),
            ]

    @timeless
    async def test_of_a_function_goes_to_somebody(self) -> None:
        far_end = ScriptedTransport(strict=False)
        far_end.fail_next("send_mcp_response", TransportError("the line is busy"))
        agent = agent_with(server(on_approval_request=lambda request: True))
        async with RealtimeSession(agent, transport=far_end) as session:
            far_end.emit(request())
            await read_until(session, "tool_approval_required")
            await session.approve_tool_call("mcpr_1")
            await settle()
            assert [call.method for call in far_end.calls].count("send_mcp_response") == 2

    @timeless
    async def test_with_a_connection_that_is_over_is_given_up(self) -> None:
        far_end = ScriptedTransport(strict=False)
        async with RealtimeSession(agent_with(server()), transport=far_end) as session:
            asked: list[Any] = []
            session.on("tool_approval_required", asked.append)
            far_end.emit(request())
            await settle()
            far_end.emit(Disconnect(1000))
            await session.approve_tool_call("mcpr_1")
            await settle()
            assert len(asked) == 1

    @timeless
    async def test_where_the_transport_has_no_hosted_tools(self) -> None:
        far_end = ScriptedTransport(capabilities=TransportCapabilities(hosted_mcp=False), strict=False)
        async with RealtimeSession(RealtimeAgent("Helper"), transport=far_end) as session:
            far_end.emit(request())
            await read_until(session, "tool_approval_required")
            await session.approve_tool_call("mcpr_1")
            error = (await read_until(session, "error"))[-1].error
            assert isinstance(error, UnsupportedByTransportError)


class TestWhichToolsThereAre:
    async def test_they_are_told_when_a_server_lists_them(self) -> None:
        async with open_session(agent_with(server(), server("mail"))) as (session, far):
            assert session.mcp_tools == ()
            far.send(*lists("files", "read", "delete"))
            events = await read_until(session, "mcp_tools_changed")
            assert [event.server_label for event in events if event.type == "mcp_tools_listed"] == ["files"]
            named = [(tool["server_label"], tool["name"]) for tool in events[-1].tools]
            assert named == [("files", "read"), ("files", "delete")]
            far.send(*lists("mail", "send"))
            tools = (await read_until(session, "mcp_tools_changed"))[-1].tools
            assert [tool["name"] for tool in tools] == ["read", "delete", "send"]
            assert session.mcp_tools == tools

    @timeless
    async def test_nothing_is_told_where_nothing_changed(self) -> None:
        async with open_session(agent_with(server())) as (session, far):
            told: list[Any] = []
            session.on("mcp_tools_changed", told.append)
            far.send(*lists("files", "read", "delete"), *lists("files", "delete", "read"), *lists("unknown", "any"))
            await settle()
            assert len(told) == 1

    @pytest.mark.parametrize("allowed", [["read"], {"tool_names": ["read"]}])
    async def test_only_those_that_are_allowed(self, allowed: Any) -> None:
        async with open_session(agent_with(server(allowed_tools=allowed))) as (session, far):
            far.send(*lists("files", "read", "delete"))
            tools = (await read_until(session, "mcp_tools_changed"))[-1].tools
            assert [tool["name"] for tool in tools] == ["read"]

    @timeless
    async def test_a_handoff_changes_them(self) -> None:
        billing = agent_with(server("ledger"), name="Billing")
        front = agent_with(server(), handoffs=[billing])
        billing.handoffs.append(front)
        async with open_session(front) as (session, far):
            told: list[list[str]] = []
            session.on("mcp_tools_changed", lambda event: told.append([tool["name"] for tool in event.tools]))
            far.send(*lists("files", "read"))
            await settle()
            far.send(*call_turn("resp_1", ("call_1", "transfer_to_billing", "{}")))
            await settle()
            assert [tool["server_label"] for tool in far.frames[1]["session"]["tools"] if tool["type"] == "mcp"] == [
                "ledger"
            ]
            far.send(*lists("ledger", "book"))
            await settle()
            far.send(*call_turn("resp_2", ("call_2", "transfer_to_helper", "{}")))
            await settle()
            assert told == [["read"], [], ["book"], ["read"]]

    @timeless
    async def test_a_handoff_before_anything_was_listed_tells_nothing(self) -> None:
        async with open_session(agent_with(server())) as (session, _):
            told: list[Any] = []
            session.on("mcp_tools_changed", told.append)
            await session.update_agent(RealtimeAgent("Second"))
            await settle()
            assert told == []

    async def test_what_is_told_of_their_calls(self) -> None:
        async with open_session(agent_with(server())) as (session, far):
            far.send(CALLED)
            event = (await read_until(session, "mcp_tool_call_completed"))[-1]
            assert (event.item.name, event.item.output) == ("read", "text")
            far.send({"type": "mcp_list_tools.failed", "item_id": "mcpl_1"})
            assert (await read_until(session, "mcp_failed"))[-1] == McpFailed("list_tools", "mcpl_1")
            far.send({"type": "response.mcp_call.failed", "item_id": "mcp_2", "output_index": 0})
            assert (await read_until(session, "mcp_failed"))[-1] == McpFailed("call", "mcp_2")


CALLED: Event = {
    "type": "conversation.item.done",
    "previous_item_id": None,
    "item": {
        "id": "mcp_1",
        "type": "mcp_call",
        "server_label": "files",
        "name": "read",
        "arguments": "{}",
        "output": "text",
        "status": "completed",
    },
}


class TestWhoAsksForTheAnswer:
    @timeless
    async def test_the_session_unless_told_otherwise(self) -> None:
        async with open_session(agent_with(server())) as (_, far):
            far.send(CALLED)
            await settle()
            assert far.types == ["session.update", "response.create"]

    @timeless
    async def test_not_where_the_far_end_does_so_itself(self) -> None:
        config = {"tool_execution": {"respond_to_mcp_calls": False}}
        async with open_session(agent_with(server()), config=config) as (_, far):
            far.send(CALLED)
            await settle()
            assert far.types == ["session.update"]


class TestWhatItIsMadeOf:
    @pytest.mark.parametrize(
        ("config", "words"),
        [
            ({}, "server_label"),
            ({"server_label": ""}, "server_label"),
            ({"server_label": "files", "server_ulr": "x"}, "server_url"),
            ({"server_label": "files", "server_url": "x", "connector_id": "y"}, "not both"),
            ({"server_label": "files", "type": "function"}, "its type is 'mcp'"),
            ({"server_label": "files", "require_approval": "sometimes"}, "require_approval"),
            ({"server_label": "files", "require_approval": {}}, "is empty"),
            (
                {"server_label": "files", "require_approval": {"always": {"tool_names": ["a"]}, "never": ["a"]}},
                "can't both always and never",
            ),
            ({"server_label": "files", "allowed_tools": "read"}, "allowed_tools"),
            ({"server_label": "files", "allowed_tools": {"names": ["read"]}}, "tool_names"),
            ({"server_label": "files", "allowed_tools": {"tool_names": "read"}}, "tool_names"),
            ({"server_label": "files", "require_approval": {"always": {"tool_names": "delete"}}}, "tool_names"),
            ({"server_label": "files", "server_url": 5}, "server_url"),
            ("files", "mapping"),
        ],
    )
    def test_what_the_api_would_refuse(self, config: Any, words: str) -> None:
        with pytest.raises(ConfigurationError, match=words):
            HostedMCPTool(config)

    def test_who_decides_is_a_function(self) -> None:
        with pytest.raises(ConfigurationError, match="on_approval_request"):
            server(on_approval_request="always")

    def test_two_servers_of_one_label(self) -> None:
        agent = agent_with(server(), server())

        async def enter() -> None:
            async with open_session(agent):
                pass

        with pytest.raises(ConfigurationError, match="files names more than one hosted MCP server"):
            asyncio.run(enter())

    def test_no_secret_is_shown(self) -> None:
        tool = server(authorization="sk-secret", headers={"X-Key": "hush-hush"})
        assert "secret" not in repr(tool)
        assert "hush-hush" not in repr(tool)
        assert "secret" not in repr(agent_with(tool))

    async def test_it_is_declared_as_given(self) -> None:
        files = server(require_approval="never", headers=None)
        async with open_session(agent_with(files)) as (_, far):
            assert far.frames[0]["session"]["tools"] == [
                {
                    "type": "mcp",
                    "server_label": "files",
                    "server_url": "https://files.example/mcp",
                    "require_approval": "never",
                }
            ]
