"""Hosted MCP over real sockets, with the official client: servers of functions, approvals, errors, credentials."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, get_args

import httpx
import pydantic
import pytest
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from openai.types.realtime import RealtimeServerEvent

from jackfield.errors import ConfigurationError
from jackfield_local import (
    CLOCK_URL,
    Call,
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
from jackfield_local.responders import RuleResponder

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = HostedTool("get_weather", "The weather in a city.", CITY, {"readOnlyHint": True})
MODEL = "?model=gpt-realtime"


def weather(city: str) -> str:
    return f"It rains in {city}."


def mcp(label: str = "weather", **fields: Any) -> dict[str, Any]:
    return {
        "type": "mcp",
        "server_label": label,
        "server_url": "https://weather.example/mcp",
        "require_approval": "never",
        **fields,
    }


# What the client's types leave out of a session, though the API sends it.
UNTYPED = {"session.id", "session.object", "session.expires_at"}
EVENT_TYPES = {
    get_args(model.model_fields["type"].annotation)[0]: pydantic.TypeAdapter(model)
    for model in get_args(get_args(RealtimeServerEvent)[0])
}


def unknown_fields(value: Any, path: str = "") -> set[str]:
    """The paths of what the official client's types don't know."""
    if isinstance(value, list):
        return {found for part in value for found in unknown_fields(part, path)}
    if not isinstance(value, pydantic.BaseModel):
        return set()
    extra = {f"{path}{name}" for name in value.model_extra or {}}
    known = value.model_fields_set - set(value.model_extra or {})
    return extra | {found for name in known for found in unknown_fields(getattr(value, name), f"{path}{name}.")}


class Peer:
    """The official client; every event that it reads is exactly what its types say."""

    def __init__(self, connection: AsyncRealtimeConnection) -> None:
        self.connection = connection
        self.events: list[dict[str, Any]] = []

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(20):
            frame = await self.connection.recv_bytes()
        event: dict[str, Any] = json.loads(frame)
        parsed = EVENT_TYPES[event["type"]].validate_json(frame, strict=True)
        assert unknown_fields(parsed) - {"obfuscation"} <= UNTYPED
        self.events.append(event)
        return event

    async def until(self, kind: str, count: int = 1) -> dict[str, Any]:
        while True:
            event = await self.next()
            count -= event["type"] == kind
            if count == 0:
                return event

    async def configure(self, *tools: dict[str, Any], **session: Any) -> None:
        """Have one hosted server listed."""
        settings: Any = {"type": "realtime", "output_modalities": ["text"], "tools": list(tools or [mcp()]), **session}
        await self.connection.session.update(session=settings)
        await self.until("mcp_list_tools.completed")

    async def say(self, text: str) -> None:
        content: Any = [{"type": "input_text", "text": text}]
        await self.connection.conversation.item.create(item={"type": "message", "role": "user", "content": content})
        await self.connection.response.create()

    async def ask_weather(self) -> None:
        await self.say("What is the weather in Paris?")

    async def answer(self) -> dict[str, Any]:
        """Ask for the answer to the calls of a response that has ended, and read it to its end."""
        await self.connection.response.create()
        response: dict[str, Any] = (await self.until("response.done"))["response"]
        return response

    async def decide(self, request: dict[str, Any], approve: bool, **fields: Any) -> None:
        answer: Any = {"type": "mcp_approval_response", "id": "mcpr_1", "approval_request_id": request["id"]}
        await self.connection.conversation.item.create(item={**answer, "approve": approve, **fields})

    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events]


@asynccontextmanager
async def peer(server: LocalServer) -> AsyncIterator[Peer]:
    async with (
        AsyncOpenAI(base_url=server.http_url, api_key="any") as client,
        # A bounded queue would hold up the goodbye of a test that leaves before it has read everything.
        client.realtime.connect(model="gpt-realtime", websocket_connection_options={"max_queue": None}) as connection,
    ):
        yield Peer(connection)


@pytest.fixture(name="hosting")
def hosting_fixture(local_server: Any) -> Any:
    """A server whose rules find the weather at a hosted server."""

    def serve(function: Any = weather, **options: Any) -> Any:
        servers = {"weather": FunctionServer({WEATHER: function})}
        return local_server(**{"responder": RuleResponder(), "mcp_servers": servers, **options})

    return serve


def text_of(response: dict[str, Any]) -> str:
    (item,) = response["output"]
    return "".join(part["text"] for part in item["content"])


class Hanging:
    """A tool that never ends by itself."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.given_up = asyncio.Event()

    async def weather(self, city: str) -> str:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.given_up.set()
        return ""


class TestACall:
    async def test_is_made_and_its_output_told(self, hosting: Any) -> None:
        async with hosting() as server, peer(server) as client:
            await client.configure()
            await client.ask_weather()
            await client.until("rate_limits.updated")
            await client.answer()
        kinds = client.kinds()
        assert [kind for kind in kinds[kinds.index("response.created") :] if not kind.endswith(".delta")] == [
            "response.created",
            "response.output_item.added",
            "conversation.item.added",
            "response.mcp_call_arguments.done",
            "response.mcp_call.in_progress",
            "response.mcp_call.completed",
            "conversation.item.done",
            "response.output_item.done",
            "response.done",
            "rate_limits.updated",
            "response.created",
            "response.output_item.added",
            "conversation.item.added",
            "response.content_part.added",
            "response.output_text.done",
            "response.content_part.done",
            "conversation.item.done",
            "response.output_item.done",
            "response.done",
        ]
        called, answered = [event["response"] for event in client.events if event["type"] == "response.done"]
        (call,) = called["output"]
        assert (call["name"], call["arguments"], call["output"]) == (
            "get_weather",
            '{"city":"Paris"}',
            "It rains in Paris.",
        )
        assert text_of(answered) == "It rains in Paris."

    async def test_the_server_begins_the_answer_where_it_is_told_to(self, hosting: Any) -> None:
        async with hosting(mcp_follow_up="server") as server, peer(server) as client:
            await client.configure()
            await client.ask_weather()
            assert text_of((await client.until("response.done", 2))["response"]) == "It rains in Paris."

    async def test_aloud(self, hosting: Any) -> None:
        async with hosting() as server, peer(server) as client:
            await client.configure(output_modalities=["audio"])
            await client.ask_weather()
            await client.until("response.done")
            await client.answer()
        assert "response.output_audio.delta" in client.kinds()

    @pytest.mark.parametrize(
        ("raised", "error"),
        [
            (
                McpProtocolError(-32603, "Broken."),
                {"type": "protocol_error", "code": -32603, "message": "Broken."},
            ),
            (McpToolExecutionError("No such city."), {"type": "tool_execution_error", "message": "No such city."}),
            (McpHttpError(503, "Too busy."), {"type": "http_error", "code": 503, "message": "Too busy."}),
            (LookupError("Not found."), {"type": "tool_execution_error", "message": "Not found."}),
            (RuntimeError(), {"type": "tool_execution_error", "message": "RuntimeError"}),
        ],
    )
    async def test_that_fails(self, hosting: Any, raised: Exception, error: dict[str, Any]) -> None:
        def fail(city: str) -> str:
            raise raised

        async with hosting(fail) as server, peer(server) as client:
            await client.configure()
            await client.ask_weather()
            failed = await client.until("response.mcp_call.failed")
            item = (await client.until("conversation.item.done"))["item"]
            assert (item["id"], item["error"], item["output"]) == (failed["item_id"], error, None)
            await client.until("response.done")
            assert text_of(await client.answer()) == error["message"]

    async def test_that_is_cancelled(self, hosting: Any) -> None:
        hanging = Hanging()
        async with hosting(hanging.weather) as server, peer(server) as client:
            await client.configure()
            await client.ask_weather()
            await hanging.begun.wait()
            await client.connection.response.cancel()
            await client.until("response.mcp_call.failed")
            done = (await client.until("response.done"))["response"]
            assert (done["status"], done["output"][0]["output"]) == ("cancelled", None)
            async with asyncio.timeout(20):
                await hanging.given_up.wait()

    async def test_ends_with_the_session(self, hosting: Any) -> None:
        hanging = Hanging()
        async with hosting(hanging.weather) as server:
            async with peer(server) as client:
                await client.configure(mcp(require_approval="always"))
                await client.ask_weather()
                await client.until("response.done")
                await client.decide(client.events[-1]["response"]["output"][1], True)
                await hanging.begun.wait()
            async with asyncio.timeout(20):
                await hanging.given_up.wait()

    async def test_a_server_for_one_response(self, hosting: Any) -> None:
        async with hosting() as server, peer(server) as client:
            question: Any = {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "What is the weather in Rome?"}],
            }
            settings: Any = {"tools": [mcp()], "output_modalities": ["text"], "input": [question]}
            await client.connection.response.create(response=settings)
            done = (await client.until("response.done"))["response"]
        assert done["output"][0]["output"] == "It rains in Rome."
        kinds = client.kinds()
        assert kinds.index("mcp_list_tools.completed") < kinds.index("response.mcp_call.in_progress")


class TestApproval:
    async def test_given(self, hosting: Any) -> None:
        async with hosting() as server, peer(server) as client:
            await client.configure(mcp(require_approval="always"))
            await client.ask_weather()
            waiting, request = (await client.until("response.done"))["response"]["output"]
            assert (request["type"], request["name"], request["arguments"]) == (
                "mcp_approval_request",
                "get_weather",
                '{"city":"Paris"}',
            )
            await client.decide(request, True)
            assert (await client.until("response.mcp_call.completed"))["item_id"] == waiting["id"]
            call = (await client.next())["item"]
            assert (call["output"], call["approval_request_id"]) == ("It rains in Paris.", request["id"])
            assert text_of(await client.answer()) == "It rains in Paris."

    async def test_refused(self, hosting: Any) -> None:
        async with hosting() as server, peer(server) as client:
            await client.configure(mcp(require_approval={"always": {"read_only": True}}))
            await client.ask_weather()
            _, request = (await client.until("response.done"))["response"]["output"]
            await client.decide(request, False, reason="we are on holiday")
            await client.until("conversation.item.done", 2)
            done = await client.answer()
        assert text_of(done) == "The call was not approved: we are on holiday"
        assert "response.mcp_call.in_progress" not in client.kinds()


class TestServers:
    async def test_one_that_nobody_knows(self, hosting: Any) -> None:
        async with hosting() as server, peer(server) as client:
            unknown: Any = {"type": "realtime", "tools": [mcp("unknown")], "output_modalities": ["text"]}
            await client.connection.session.update(session=unknown)
            failed = await client.until("mcp_list_tools.failed")
            assert client.events[-2]["item"] == {
                "id": failed["item_id"],
                "type": "mcp_list_tools",
                "server_label": "unknown",
                "tools": [],
            }
            await client.say("Thank you")
            assert text_of((await client.until("response.done"))["response"]) == "You are welcome."

    @pytest.mark.parametrize(
        ("key", "tool"),
        [
            ("weather", mcp()),
            ("https://weather.example/mcp", mcp("any label")),
            ("connector_gmail", {"type": "mcp", "server_label": "x", "connector_id": "connector_gmail"}),
        ],
    )
    async def test_what_one_goes_by(self, hosting: Any, key: str, tool: dict[str, Any]) -> None:
        async with (
            hosting(mcp_servers={key: FunctionServer({WEATHER: weather})}) as server,
            peer(server) as client,
        ):
            await client.configure(tool)
            assert [listed["name"] for listed in client.events[-2]["item"]["tools"]] == ["get_weather"]

    async def test_the_clock_is_always_there(self, local_server: Any) -> None:
        async with local_server(responder=RuleResponder()) as server, peer(server) as client:
            await client.configure(mcp("clock", server_url=CLOCK_URL))
            await client.say("What time is it?")
            (call,) = (await client.until("response.done"))["response"]["output"]
            assert call["name"] == "get_time"
            told = datetime.fromisoformat(call["output"])
            assert told.tzinfo is not None
            assert 0 <= (datetime.now(UTC) - told).total_seconds() < 3600

    @pytest.mark.parametrize(
        ("timezone", "told"), [("Mars/Olympus", "Mars/Olympus"), ("../etc/passwd", "no time zone")]
    )
    async def test_the_clock_knows_its_limits(self, local_server: Any, timezone: str, told: str) -> None:
        responder = Scripted([Call("get_time", {"timezone": timezone})])
        async with local_server(responder=responder) as server, peer(server) as client:
            await client.configure(mcp("clock", server_url=CLOCK_URL))
            await client.connection.response.create()
            error = (await client.until("response.done"))["response"]["output"][0]["error"]
            assert error["type"] == "tool_execution_error"
            assert told in error["message"]

    async def test_one_of_the_user_s_own(self, hosting: Any, caplog: pytest.LogCaptureFixture) -> None:
        async with hosting(mcp_servers={"weather": Moody()}) as server, peer(server) as client:
            await client.configure(mcp(headers={"X-Mood": "good"}))
            await client.ask_weather()
            (call,) = (await client.until("response.done"))["response"]["output"]
            assert call["output"] == "Paris with good"

            await client.answer()
            await client.configure(mcp(server_url="https://new.example", headers={"X-Mood": "bad"}))
            await client.ask_weather()
            (call,) = (await client.until("response.done"))["response"]["output"]
            assert call["error"] == {"type": "http_error", "code": 500, "message": "Internal Server Error"}
            assert "failed in a call of 'get_weather'" in caplog.text

            await client.answer()
            broken: Any = {"type": "realtime", "tools": [mcp(server_url="https://old.example")]}
            await client.connection.session.update(session=broken)
            await client.until("mcp_list_tools.failed")

    def test_what_is_no_server_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match=r"'x' is 3.*FunctionServer"):
            LocalServer(mcp_servers={"x": 3})  # type: ignore[dict-item]

    def test_an_unknown_follow_up_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match="'server' or 'client'"):
            LocalServer(mcp_follow_up="nobody")  # type: ignore[arg-type]


class Moody:
    """A hosted server that goes by its headers."""

    async def list_tools(self, *, authorization: str | None, headers: Mapping[str, str]) -> Sequence[HostedTool]:
        assert headers
        return [WEATHER]

    async def call_tool(
        self, name: str, arguments: Mapping[str, Any], *, authorization: str | None, headers: Mapping[str, str]
    ) -> str:
        if headers["X-Mood"] == "bad":
            raise ZeroDivisionError
        return f"{arguments['city']} with {headers['X-Mood']}"


class Scripted:
    """Answers with the next of its replies, and says "Done." when there are no more."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)

    def phrases(self, context: ResponseContext) -> Sequence[str]:
        return []

    async def respond(self, context: ResponseContext) -> Reply:
        return self.replies.pop(0) if self.replies else [Say("Done.")]


class TestCredentials:
    async def test_they_open_the_server_and_are_told_nobody(
        self, hosting: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG, logger="jackfield_local")
        servers = {"weather": FunctionServer({WEATHER: weather}, authorization="s3cret")}
        async with hosting(mcp_servers=servers) as server, peer(server) as client:
            await client.configure(mcp(authorization="s3cret"))
            await client.ask_weather()
            await client.until("response.done")
            await client.answer()
            connection = await server.connection()
            assert "It rains in Paris." in json.dumps(connection.sent)
            assert "s3cret" not in json.dumps(connection.sent)
            assert "s3cret" not in repr(connection) + repr(server) + repr(servers)
        assert "s3cret" not in caplog.text

    @pytest.mark.parametrize("authorization", [None, "wrong"])
    async def test_without_the_right_ones_nothing_is_listed(self, hosting: Any, authorization: str | None) -> None:
        servers = {"weather": FunctionServer({WEATHER: weather}, authorization="s3cret")}
        async with hosting(mcp_servers=servers) as server, peer(server) as client:
            settings: Any = {"type": "realtime", "tools": [mcp(authorization=authorization)]}
            await client.connection.session.update(session=settings)
            await client.until("mcp_list_tools.failed")

    async def test_a_client_secret_carries_them(self, hosting: Any) -> None:
        servers = {"weather": FunctionServer({WEATHER: weather}, authorization="s3cret")}
        async with hosting(mcp_servers=servers) as server:
            async with AsyncOpenAI(base_url=server.http_url, api_key="any") as client:
                session: Any = {"type": "realtime", "tools": [mcp(authorization="s3cret")]}
                secret = await client.realtime.client_secrets.create(session=session)
            assert "s3cret" not in secret.to_json()
            async with (
                AsyncOpenAI(base_url=server.http_url, api_key=secret.value) as browser,
                browser.realtime.connect(model="gpt-realtime") as connection,
            ):
                peer_of_browser = Peer(connection)
                await peer_of_browser.until("mcp_list_tools.completed")
                assert peer_of_browser.events[0]["session"]["tools"] == [mcp()]

    async def test_two_of_them_are_refused_at_the_door(self, hosting: Any) -> None:
        async with hosting() as server, httpx.AsyncClient() as client:
            tool = mcp(authorization="s3cret", headers={"Authorization": "s3cret"})
            body = {"session": {"type": "realtime", "tools": [tool]}}
            url = f"{server.http_url}/realtime/client_secrets"
            answer = await client.post(url, headers={"Authorization": "Bearer any"}, json=body)
        assert answer.status_code == 400
        assert "s3cret" not in answer.text


class TestFunctionServer:
    async def test_what_functions_return(self) -> None:
        async def later(city: str) -> str:
            return f"Later in {city}."

        server = FunctionServer({WEATHER: later, HostedTool("rows"): lambda: [1, {"a": None}]})
        assert await ask(server, "get_weather", city="Oslo") == "Later in Oslo."
        assert await ask(server, "rows") == '[1,{"a":null}]'

    async def test_functions_that_block_hold_nobody_up(self) -> None:
        gate = threading.Event()

        def wait() -> str:
            return str(gate.wait(20))

        async def let_go() -> None:
            gate.set()

        output, _ = await asyncio.gather(ask(FunctionServer({HostedTool("wait"): wait}), "wait"), let_go())
        assert output == "True"

    async def test_an_output_that_is_no_json(self) -> None:
        with pytest.raises(McpToolExecutionError, match="unsupported"):
            await ask(FunctionServer({HostedTool("odd"): object}), "odd")

    @pytest.mark.parametrize(
        ("name", "arguments", "message"),
        [
            ("burn", {}, "Unknown tool: burn"),
            ("get_weather", {}, "missing a required argument: 'city'"),
            ("get_weather", {"city": "Oslo", "day": 1}, "unexpected keyword argument 'day'"),
        ],
    )
    async def test_what_does_not_fit(self, name: str, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(McpProtocolError, match=message) as caught:
            await ask(FunctionServer({WEATHER: weather}), name, **arguments)
        assert caught.value.code == -32602

    async def test_tools_and_names(self) -> None:
        tools = await FunctionServer({WEATHER: weather}).list_tools(authorization=None, headers={})
        assert list(tools) == [WEATHER]
        for functions in ({WEATHER: weather, HostedTool("get_weather"): weather}, {HostedTool(""): weather}):
            with pytest.raises(ConfigurationError, match="empty or there twice"):
                FunctionServer(functions)
        with pytest.raises(ConfigurationError, match="Give the function"):
            FunctionServer({WEATHER: "It rains."})  # type: ignore[dict-item]


async def ask(server: FunctionServer, name: str, **arguments: Any) -> str:
    return await server.call_tool(name, arguments, authorization=None, headers={})


class TestPreparing:
    async def test_the_recogniser_is_told_beforehand_what_may_be_said(
        self, local_server: Any, dial: Any, StubResponder: Any, speech: Any
    ) -> None:
        async with local_server(recognizer=Prepared()) as server, dial(server.url + MODEL) as client:
            await client.update(audio={"input": {"turn_detection": None, "transcription": {"model": "whisper-1"}}})
            await client.say(speech(300))
            await client.send("input_audio_buffer.commit")
            heard = await client.until("conversation.item.input_audio_transcription.completed")
            phrases = StubResponder().phrases(None)
            assert heard["transcript"] == f"ready for {', '.join(phrases)}"

    async def test_also_of_hosted_tools(self, hosting: Any, dial: Any, speech: Any) -> None:
        async with hosting(recognizer=Prepared()) as server, dial(server.url + MODEL) as client:
            await client.update(
                tools=[mcp()], audio={"input": {"turn_detection": None, "transcription": {"model": "whisper-1"}}}
            )
            await client.until("mcp_list_tools.completed")
            await client.say(speech(300))
            await client.send("input_audio_buffer.commit")
            heard = await client.until("conversation.item.input_audio_transcription.completed")
            assert "weather" in heard["transcript"]

    async def test_one_that_fails_to_get_ready_is_used_all_the_same(
        self, local_server: Any, dial: Any, speech: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with local_server(recognizer=Unready()) as server, dial(server.url + MODEL) as client:
            await client.update(audio={"input": {"turn_detection": None, "transcription": {"model": "whisper-1"}}})
            await client.say(speech(300))
            await client.send("input_audio_buffer.commit")
            heard = await client.until("conversation.item.input_audio_transcription.completed")
            assert heard["transcript"] == "heard"
        assert "failed to get ready" in caplog.text


class Prepared:
    """Hears only what it was prepared for."""

    def __init__(self) -> None:
        self.ready: list[str] = []

    def prepare(self, phrases: Sequence[str]) -> None:
        self.ready = list(phrases)

    def transcribe(self, pcm: bytes, phrases: Sequence[str]) -> str:
        return f"ready for {', '.join(self.ready)}" if list(phrases) == self.ready else "surprised"


class Unready(Prepared):
    """Cannot prepare, and hears."""

    def prepare(self, phrases: Sequence[str]) -> None:
        raise OSError("not now")

    def transcribe(self, pcm: bytes, phrases: Sequence[str]) -> str:
        return "heard"
