"""Hosted MCP over a real socket: the tools, approvals, answers and failures of a session, against the local server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from jackfield import HostedMCPTool, RealtimeAgent, RealtimeSession, function_tool
from jackfield.errors import ConfigurationError, ListenerError, TransportError
from jackfield.transport.events import McpApprovalRequest
from jackfield_local import (
    Call,
    Connection,
    FunctionServer,
    HostedTool,
    LocalServer,
    McpHttpError,
    McpProtocolError,
    McpToolExecutionError,
    Reply,
    ResponseContext,
    Say,
)
from support.memory_wire import read_until

pytestmark = pytest.mark.usefixtures("nothing_is_left")

SECRET = "canary-71c0d2"
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
READ = HostedTool("get_weather", "The weather in a city.", CITY, {"readOnlyHint": True})
WRITE = HostedTool("set_weather", "Change the weather in a city.", CITY)
PARIS = {"city": "Paris"}
WIRE_PARIS = '{"city":"Paris"}'


class Caller:
    """Whenever the user has written it makes these calls, and then it tells what they brought."""

    def __init__(self, *calls: Call) -> None:
        self.calls = calls or (Call("get_weather", PARIS),)

    def phrases(self, context: ResponseContext) -> Sequence[str]:
        return []

    async def respond(self, context: ResponseContext) -> Reply:
        last = max(number for number, item in enumerate(context.items) if item.get("role") == "user")
        since = context.items[last + 1 :]
        outputs = [brought(item) for item in since if item["type"] in ("mcp_call", "function_call_output")]
        return [Say(" ".join(outputs))] if outputs else list(self.calls)


def brought(item: Mapping[str, Any]) -> str:
    error = item.get("error")
    return str(item.get("output")) if error is None else f"Failed: {error['message']}"


class Weather:
    """The server's tools, and the calls that reached them."""

    def __init__(self, failure: Exception | None = None, output: str = "It rains in {city}.") -> None:
        self.calls: list[tuple[str, str]] = []
        self._failure = failure
        self._output = output

    def server(self, *, authorization: str | None = None) -> FunctionServer:
        return FunctionServer({READ: self._tool("get"), WRITE: self._tool("set")}, authorization=authorization)

    def _tool(self, what: str) -> Callable[..., str]:
        def run(city: str) -> str:
            self.calls.append((what, city))
            if self._failure is not None:
                raise self._failure
            return self._output.format(city=city)

        return run


def hosted(label: str = "weather", *, decide: Any = None, **config: Any) -> HostedMCPTool:
    config = {"server_url": f"https://{label}.example/mcp", "require_approval": "never", **config}
    return HostedMCPTool({"server_label": label, **config}, on_approval_request=decide)


def agent_with(*tools: Any, name: str = "Clerk", **options: Any) -> RealtimeAgent:
    return RealtimeAgent(name, instructions="Help.", tools=list(tools) or [hosted()], **options)


@asynccontextmanager
async def opened(
    agent: RealtimeAgent,
    responder: Any = None,
    *,
    servers: Mapping[str, Any] | None = None,
    listed: int = 1,
    tool_execution: Mapping[str, Any] | None = None,
) -> AsyncIterator[tuple[RealtimeSession, Connection]]:
    """A session in writing, once `listed` servers have listed their tools."""
    config = {"model_settings": {"output_modalities": ["text"]}, "tool_execution": dict(tool_execution or {})}
    servers = {"weather": Weather().server()} if servers is None else servers
    async with (
        LocalServer(
            responder=responder or Caller(), recognizer=None, synthesizer=None, pace=0, mcp_servers=servers
        ) as server,
        RealtimeSession(agent, api_key="any", url=f"{server.url}?model=gpt-realtime", config=config) as session,
    ):
        for _ in range(listed):
            await read_until(session, "mcp_tools_listed")
        yield session, await server.connection()


async def ask(session: RealtimeSession) -> None:
    await session.send_message("What is the weather in Paris?")


async def answer(session: RealtimeSession) -> tuple[str, list[Any]]:
    """Read up to the end of the next response that says something; return what it says, and the events."""
    events = await read_until(session, lambda event: event.type == "agent_end" and event.output)
    return events[-1].output, events


async def asked_for_approval(session: RealtimeSession) -> Any:
    return (await read_until(session, "tool_approval_required"))[-1]


async def requests(session: RealtimeSession, connection: Connection) -> int:
    """How many responses were asked for until now, once all that was under way has arrived."""
    for _ in range(2):
        await session.send_message({"role": "system", "content": "One moment."}, trigger_response=False)
        await read_until(session, lambda event: event.type == "history_added" and event.item.type == "message")
    return len(sent(connection, "response.create"))


def sent(connection: Connection, kind: str) -> list[dict[str, Any]]:
    """The session's events of that type."""
    return [event for event in connection.received if event["type"] == kind]


def approvals(connection: Connection) -> list[dict[str, Any]]:
    items = [event["item"] for event in sent(connection, "conversation.item.create")]
    return [item for item in items if item["type"] == "mcp_approval_response"]


def of(events: Sequence[Any], kind: str) -> list[Any]:
    return [event for event in events if event.type == kind]


def kinds(session: RealtimeSession) -> list[str]:
    return [item.type for item in session.history]


class TestTools:
    async def test_are_told_and_kept(self) -> None:
        agent = agent_with(hosted(allowed_tools=["set_weather"]))
        async with opened(agent, listed=0) as (session, _):
            events = await read_until(session, "mcp_tools_changed")
            (listed,) = of(events, "mcp_tools_listed")
            assert listed.server_label == "weather"
            assert [tool["name"] for tool in listed.tools] == ["get_weather", "set_weather"]
            (tool,) = events[-1].tools
            assert (tool["server_label"], tool["name"], tool["input_schema"]) == ("weather", "set_weather", CITY)
            assert session.mcp_tools == (tool,)
            (item,) = session.history
            assert (item.type, item.item_id, item.server_label) == ("mcp_list_tools", listed.item_id, "weather")

    @pytest.mark.parametrize(
        ("allowed", "names"),
        [
            (None, ["get_weather", "set_weather"]),
            (["get_weather"], ["get_weather"]),
            ({"tool_names": ["get_weather"]}, ["get_weather"]),
            ({"read_only": True}, ["get_weather"]),
            ({"read_only": False, "tool_names": ["get_weather"]}, []),
            ([], []),
        ],
    )
    async def test_are_those_that_the_model_gets(self, allowed: Any, names: list[str]) -> None:
        given: list[str] = []

        class Nosy(Caller):
            async def respond(self, context: ResponseContext) -> Reply:
                given.extend(tool["name"] for tool in context.tools)
                return [Say("Hello.")]

        async with opened(agent_with(hosted(allowed_tools=allowed)), Nosy()) as (session, _):
            await ask(session)
            await answer(session)
            assert [tool["name"] for tool in session.mcp_tools] == names == given

    async def test_of_two_servers(self) -> None:
        servers = {label: Weather().server() for label in ("weather", "climate")}
        agent = agent_with(hosted(), hosted("climate", allowed_tools=["get_weather"]))
        async with opened(agent, servers=servers, listed=2) as (session, _):
            found = [(tool["server_label"], tool["name"]) for tool in session.mcp_tools]
            assert found == [("weather", "get_weather"), ("weather", "set_weather"), ("climate", "get_weather")]

    async def test_change_with_the_agent(self) -> None:
        clerk = agent_with(hosted())
        colleague = agent_with(hosted(allowed_tools=["get_weather"]), name="Colleague")
        novice = RealtimeAgent("Novice")
        async with opened(clerk) as (session, _):
            await read_until(session, "mcp_tools_changed")
            for agent, names in ((colleague, ["get_weather"]), (novice, []), (clerk, ["get_weather", "set_weather"])):
                await session.update_agent(agent)
                events = await read_until(session, "mcp_tools_changed")
                assert [event.to_agent for event in of(events, "handoff")] == [agent]
                assert [tool["name"] for tool in events[-1].tools] == names
                assert session.mcp_tools == events[-1].tools

    async def test_are_gone_once_the_model_has_handed_over(self) -> None:
        clerk = agent_with(hosted(), handoffs=[RealtimeAgent("Novice")])
        async with opened(clerk, Caller(Call("transfer_to_novice"))) as (session, _):
            await read_until(session, "mcp_tools_changed")
            await ask(session)
            assert (await read_until(session, "mcp_tools_changed"))[-1].tools == ()
            assert session.current_agent.name == "Novice"


class TestACall:
    async def test_is_answered(self) -> None:
        weather = Weather()
        async with opened(agent_with(), servers={"weather": weather.server()}) as (session, connection):
            await ask(session)
            said, events = await answer(session)
            assert said == "It rains in Paris."
            assert weather.calls == [("get", "Paris")]
            (call,) = [event.item for event in of(events, "mcp_tool_call_completed")]
            assert (call.server_label, call.name, call.arguments) == ("weather", "get_weather", WIRE_PARIS)
            assert (call.output, call.error, call.status) == ("It rains in Paris.", None, "completed")
            assert kinds(session) == ["mcp_list_tools", "message", "mcp_call", "message"]
            assert session.history[2] == call
            assert await requests(session, connection) == 2

    async def test_two_of_one_response_are_answered_together(self) -> None:
        calls = (Call("get_weather", PARIS), Call("get_weather", {"city": "Rome"}))
        async with opened(agent_with(), Caller(*calls)) as (session, connection):
            await ask(session)
            assert (await answer(session))[0] == "It rains in Paris. It rains in Rome."
            assert await requests(session, connection) == 2

    async def test_beside_a_function_of_ours(self) -> None:
        proceed = asyncio.Event()

        @function_tool
        async def take_note() -> str:
            await proceed.wait()
            return "Noted."

        calls = (Call("take_note"), Call("get_weather", PARIS))
        async with opened(agent_with(hosted(), take_note), Caller(*calls)) as (session, connection):
            await ask(session)
            await read_until(session, "agent_end")
            assert await requests(session, connection) == 1
            proceed.set()
            assert (await answer(session))[0] == "It rains in Paris. Noted."
            assert await requests(session, connection) == 2

    @pytest.mark.parametrize(
        ("failure", "error"),
        [
            (McpToolExecutionError("No such city."), {"type": "tool_execution_error", "message": "No such city."}),
            (McpProtocolError(-32603, "Broken."), {"type": "protocol_error", "code": -32603, "message": "Broken."}),
            (McpHttpError(503, "Too busy."), {"type": "http_error", "code": 503, "message": "Too busy."}),
        ],
    )
    async def test_that_fails_is_told_and_answered(self, failure: Exception, error: Mapping[str, Any]) -> None:
        async with opened(agent_with(), servers={"weather": Weather(failure).server()}) as (session, connection):
            await ask(session)
            said, events = await answer(session)
            assert said == f"Failed: {error['message']}"
            (call,) = [event.item for event in of(events, "mcp_tool_call_completed")]
            assert (call.output, call.error) == (None, error)
            assert [(event.stage, event.item_id) for event in of(events, "mcp_failed")] == [("call", call.item_id)]
            assert call in session.history
            assert await requests(session, connection) == 2

    async def test_that_brings_nothing_is_answered(self) -> None:
        async with opened(agent_with(), servers={"weather": Weather(output="").server()}) as (session, _):
            await ask(session)
            await read_until(session, "mcp_tool_call_completed")
            assert session.history[-1].output == ""
            await read_until(session, "agent_start")

    async def test_is_answered_when_the_application_wants_it(self) -> None:
        async with opened(agent_with(), tool_execution={"respond_to_mcp_calls": False}) as (session, connection):
            await ask(session)
            await read_until(session, "agent_end")
            assert await requests(session, connection) == 1
            await session.request_response()

    async def test_that_is_interrupted(self) -> None:
        begun = asyncio.Event()

        async def hang(city: str) -> str:
            begun.set()
            await asyncio.Event().wait()
            return city

        async with opened(agent_with(), servers={"weather": FunctionServer({READ: hang})}) as (session, connection):
            await ask(session)
            await begun.wait()
            await session.interrupt()
            events = await read_until(session, "agent_end")
            assert events[-1].status == "cancelled"
            assert [event.stage for event in of(events, "mcp_failed")] == ["call"]
            assert await requests(session, connection) == 1


class TestApproval:
    async def test_is_asked_for_and_given(self) -> None:
        weather, tool = Weather(), hosted(require_approval="always")
        agent = agent_with(tool)
        async with opened(agent, servers={"weather": weather.server()}) as (session, connection):
            await ask(session)
            required = await asked_for_approval(session)
            assert (required.agent, required.tool, required.tool_name) == (agent, tool, "get_weather")
            assert required.arguments == WIRE_PARIS
            assert weather.calls == []
            await session.approve_tool_call(required.call_id)
            said, events = await answer(session)
            assert said == "It rains in Paris."
            assert weather.calls == [("get", "Paris")]
            (call,) = [event.item for event in of(events, "mcp_tool_call_completed")]
            assert call.approval_request_id == required.call_id
            assert kinds(session) == ["mcp_list_tools", "message", "mcp_call", "mcp_approval_request", "message"]
            assert session.history[3].item_id == required.call_id
            (approval,) = approvals(connection)
            assert (approval["approval_request_id"], approval["approve"]) == (required.call_id, True)
            assert await requests(session, connection) == 2

    async def test_is_refused_with_a_reason(self) -> None:
        weather = Weather()
        agent = agent_with(hosted(require_approval="always"))
        async with opened(agent, servers={"weather": weather.server()}) as (session, connection):
            await ask(session)
            required = await asked_for_approval(session)
            await session.reject_tool_call(required.call_id, rejection_message="the boss said no")
            assert (await answer(session))[0] == "Failed: The call was not approved: the boss said no"
            assert weather.calls == []
            (approval,) = approvals(connection)
            assert (approval["approve"], approval["reason"]) == (False, "the boss said no")
            assert await requests(session, connection) == 2

    async def test_is_refused_without_a_reason(self) -> None:
        async with opened(agent_with(hosted(require_approval="always"))) as (session, connection):
            await ask(session)
            await session.reject_tool_call((await asked_for_approval(session)).call_id)
            assert (await answer(session))[0] == "Failed: The call was not approved."
            assert "reason" not in approvals(connection)[0]

    async def test_stands_in_the_history(self) -> None:
        async with opened(agent_with(hosted(require_approval="always"))) as (session, _):
            for approve in (session.approve_tool_call, session.reject_tool_call):
                await ask(session)
                required = await asked_for_approval(session)
                (call,) = [item for item in session.history if item.type == "mcp_call" and item.output is None]
                assert call.status == "in_progress"
                await approve(required.call_id)
                await answer(session)
            decisions = [item.approved for item in session.history if item.type == "mcp_approval_request"]
            assert decisions == [True, False]

    @pytest.mark.parametrize(("decide", "approved"), [("approve_tool_call", True), ("reject_tool_call", False)])
    async def test_for_good(self, decide: str, approved: bool) -> None:
        weather = Weather()
        agent = agent_with(hosted(require_approval="always"))
        async with opened(agent, servers={"weather": weather.server()}) as (session, connection):
            await ask(session)
            await getattr(session, decide)((await asked_for_approval(session)).call_id, always=True)
            first, _ = await answer(session)
            await ask(session)
            second, events = await answer(session)
            assert second == first
            assert of(events, "tool_approval_required") == []
            assert [approval["approve"] for approval in approvals(connection)] == [approved, approved]
            assert len(weather.calls) == 2 * approved

    async def test_for_good_is_for_one_tool(self) -> None:
        responder = Caller()
        async with opened(agent_with(hosted(require_approval="always")), responder) as (session, _):
            await ask(session)
            await session.approve_tool_call((await asked_for_approval(session)).call_id, always=True)
            await answer(session)
            responder.calls = (Call("set_weather", PARIS),)
            await ask(session)
            assert (await asked_for_approval(session)).tool_name == "set_weather"

    async def test_of_some_tools(self) -> None:
        agent = agent_with(hosted(require_approval={"never": {"tool_names": ["get_weather"]}}))
        calls = (Call("get_weather", PARIS), Call("set_weather", PARIS))
        async with opened(agent, Caller(*calls)) as (session, connection):
            await ask(session)
            required = await asked_for_approval(session)
            assert required.tool_name == "set_weather"
            await session.approve_tool_call(required.call_id)
            assert (await answer(session))[0] == "It rains in Paris. It rains in Paris."
            assert await requests(session, connection) == 2

    async def test_of_two_calls_is_followed_by_one_answer(self) -> None:
        weather = Weather()
        calls = (Call("get_weather", PARIS), Call("set_weather", PARIS))
        agent = agent_with(hosted(require_approval="always"))
        async with opened(agent, Caller(*calls), servers={"weather": weather.server()}) as (session, connection):
            await ask(session)
            first, second = [await asked_for_approval(session) for _ in calls]
            await session.approve_tool_call(second.call_id)
            await read_until(session, "mcp_tool_call_completed")
            await session.reject_tool_call(first.call_id)
            assert (await answer(session))[0] == "Failed: The call was not approved. It rains in Paris."
            assert weather.calls == [("set", "Paris")]
            assert await requests(session, connection) == 2

    async def test_is_given_once(self) -> None:
        async with opened(agent_with(hosted(require_approval="always"))) as (session, connection):
            await ask(session)
            required = await asked_for_approval(session)
            await session.approve_tool_call(required.call_id)
            await session.reject_tool_call(required.call_id)
            assert (await answer(session))[0] == "It rains in Paris."
            await session.approve_tool_call(required.call_id)
            with pytest.raises(ConfigurationError, match="no call 'elsewhere' waits"):
                await session.approve_tool_call("elsewhere")
            assert len(approvals(connection)) == 1

    async def test_of_a_server_that_no_agent_declares_any_more(self) -> None:
        novice = RealtimeAgent("Novice")
        calls = (Call("get_weather", PARIS), Call("transfer_to_novice"))
        agent = agent_with(hosted(require_approval="always"), handoffs=[novice])
        async with opened(agent, Caller(*calls)) as (session, _):
            await ask(session)
            required = await asked_for_approval(session)
            await read_until(session, "handoff")
            await session.approve_tool_call(required.call_id)
            assert required.agent is agent
            said, events = await answer(session)
            assert "It rains in Paris." in said
            assert events[-1].agent is novice


class TestAFunctionThatApproves:
    @pytest.mark.parametrize("approved", [True, False])
    @pytest.mark.parametrize("is_async", [True, False])
    async def test_decides(self, approved: bool, is_async: bool) -> None:
        seen: list[McpApprovalRequest] = []

        def decide(request: McpApprovalRequest) -> bool:
            seen.append(request)
            return approved

        async def decide_later(request: McpApprovalRequest) -> bool:
            await asyncio.sleep(0)
            return decide(request)

        weather = Weather()
        agent = agent_with(hosted(require_approval="always", decide=decide_later if is_async else decide))
        async with opened(agent, servers={"weather": weather.server()}) as (session, connection):
            await ask(session)
            said, events = await answer(session)
            assert said == ("It rains in Paris." if approved else "Failed: The call was not approved.")
            assert len(weather.calls) == approved
            assert of(events, "tool_approval_required") == []
            (request,) = seen
            assert (request.server_label, request.name, request.arguments) == ("weather", "get_weather", WIRE_PARIS)
            assert request.item_id == approvals(connection)[0]["approval_request_id"]
            assert await requests(session, connection) == 2

    async def test_that_fails_leaves_it_to_the_application(self) -> None:
        def fail(request: McpApprovalRequest) -> bool:
            raise LookupError("who are you?")

        weather = Weather()
        agent = agent_with(hosted(require_approval="always", decide=fail))
        async with opened(agent, servers={"weather": weather.server()}) as (session, _):
            await ask(session)
            events = await read_until(session, "tool_approval_required")
            (error,) = [event.error for event in of(events, "error")]
            assert isinstance(error, ListenerError)
            assert isinstance(error.__cause__, LookupError)
            assert "who are you?" in str(error)
            assert weather.calls == []
            await session.approve_tool_call(events[-1].call_id)
            assert (await answer(session))[0] == "It rains in Paris."


class TestAServer:
    async def test_that_does_not_list_its_tools(self) -> None:
        async with opened(agent_with(hosted("elsewhere")), listed=0) as (session, _):
            failed = (await read_until(session, "mcp_failed"))[-1]
            (item,) = session.history
            assert (failed.stage, failed.item_id, item.server_label) == ("list_tools", item.item_id, "elsewhere")
            assert session.mcp_tools == ()
            await session.send_message("Never mind.")
            await read_until(session, "agent_end")

    async def test_that_does_not_let_us_in(self) -> None:
        servers = {"weather": Weather().server(authorization=SECRET)}
        async with opened(agent_with(hosted(authorization="wrong")), servers=servers, listed=0) as (session, _):
            assert (await read_until(session, "mcp_failed"))[-1].stage == "list_tools"
            assert session.mcp_tools == ()


class Guarded:
    """A server that lets nobody in without the credentials."""

    def __init__(self) -> None:
        self.admitted = 0

    async def list_tools(self, *, authorization: str | None, headers: Mapping[str, str]) -> Sequence[HostedTool]:
        self._admit(authorization, headers)
        return [READ]

    async def call_tool(
        self, name: str, arguments: Mapping[str, Any], *, authorization: str | None, headers: Mapping[str, str]
    ) -> str:
        self._admit(authorization, headers)
        return "It rains."

    def _admit(self, authorization: str | None, headers: Mapping[str, str]) -> None:
        assert (authorization, headers) == (SECRET, {"X-Key": SECRET})
        self.admitted += 1


class TestCredentials:
    async def test_reach_the_server_and_nobody_else(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG, logger="jackfield")
        guarded = Guarded()
        tool = hosted(authorization=SECRET, headers={"X-Key": SECRET}, require_approval="always")
        novice = RealtimeAgent("Novice", tools=[tool])
        agent = agent_with(tool, handoffs=[novice])
        told: list[str] = []
        async with opened(agent, servers={"weather": guarded}, listed=0) as (session, _):
            await session.send_message("What is the weather?")
            events = await read_until(session, "tool_approval_required")
            await session.approve_tool_call(events[-1].call_id)
            _, more = await answer(session)
            await session.update_agent(novice)
            more += await read_until(session, "handoff")
            told += [repr(event) for event in (*events, *more)]
            told += map(repr, (session, session.history, session.mcp_tools, session.state(), agent, tool))
        assert guarded.admitted == 2
        assert "get_weather" in "".join(told)
        assert SECRET not in "".join(told)
        assert SECRET not in caplog.text

    async def test_that_are_refused_are_not_repeated(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG, logger="jackfield")
        twice = hosted(authorization=SECRET, headers={"Authorization": SECRET})
        with pytest.raises(TransportError) as refused:
            async with opened(agent_with(twice), listed=0):
                pass
        assert "authorization" in str(refused.value)
        assert SECRET not in repr(refused.value) + str(refused.value) + caplog.text
