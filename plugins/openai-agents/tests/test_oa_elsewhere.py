"""Sessions of the SDK on Azure and on phone calls, on one runner in turn, and by an address that is given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimeRunner, RealtimeSession

from jackfield.transport import AuthenticationError, UnsupportedByTransportError, create_transport
from jackfield_local import Call, LocalServer, Reply, ResponseContext, Say
from jackfield_openai_agents import TransportModel

PATIENCE = 30.0


@function_tool
def get_weather(city: str) -> str:
    """Weather in a city."""
    return f"Sunny in {city}"


class Weatherman:
    def phrases(self, context: ResponseContext) -> Sequence[str]:
        return []

    async def respond(self, context: ResponseContext) -> Reply:
        last = context.items[-1]
        return [Say(f"It is: {last['output']}.")] if "output" in last else [Call("get_weather", {"city": "Paris"})]


@pytest.fixture
async def server() -> AsyncIterator[LocalServer]:
    async with LocalServer(responder=Weatherman(), recognizer=None, synthesizer=None, pace=0) as server:
        yield server


def agent() -> RealtimeAgent[Any]:
    return RealtimeAgent(name="Weatherman", instructions="Tell the weather.", tools=[get_weather])


async def until(session: RealtimeSession, kind: str, count: int = 1) -> list[Any]:
    told: list[Any] = []
    async with asyncio.timeout(PATIENCE):
        async for event in session:
            told.append(event)
            assert event.type != "error", event
            if [event.type for event in told].count(kind) == count:
                return told
    raise AssertionError(f"the session ended without {kind}")


def answer(told: list[Any]) -> str:
    """The words of the last item."""
    last = next(event.history for event in reversed(told) if event.type == "history_updated")[-1]
    return "".join(part.transcript or "" for part in last.content)


async def test_azure(server: LocalServer) -> None:
    model = TransportModel("azure", endpoint=server.azure_endpoint, deployment="gpt-realtime")
    runner = RealtimeRunner(agent(), model=model)
    async with await runner.run(model_config={"api_key": "a-key"}) as session:
        await session.send_message("What is the weather in Paris?")
        assert answer(await until(session, "agent_end", 2)) == "It is: Sunny in Paris."
    assert server.connections[-1].request_headers["api-key"] == "a-key"


class TestACall:
    async def test_is_joined_and_led(self, server: LocalServer) -> None:
        """The caller and the session are two ends of one conversation: audio is the caller's, tools the session's."""
        caller = create_transport("webrtc")
        heard = asyncio.Event()
        caller.on("audio", lambda event: heard.set())
        url = f"{server.http_url}/realtime/calls"
        await caller.connect(api_key="sk-local", url=url, initial_session_config={"voice": "marin"})
        call_id: str = caller.call_id  # type: ignore[attr-defined]
        runner = RealtimeRunner(agent(), model=TransportModel("sip"))
        config: Any = {"api_key": "sk-local", "url": f"{server.url}?call_id={call_id}", "call_id": call_id}
        try:
            async with await runner.run(model_config=config) as session:
                with pytest.raises(UnsupportedByTransportError, match="audio_in"):
                    await session.send_audio(bytes(480))
                await session.send_message("What is the weather in Paris?")
                told = await until(session, "agent_end", 2)
                assert answer(told) == "It is: Sunny in Paris."
                assert [event.type for event in told].count("tool_end") == 1
                assert "audio" not in {event.type for event in told}
                async with asyncio.timeout(PATIENCE):
                    await heard.wait()
                settings = [event["session"] for event in server.connections[-1].sent if "session" in event]
                assert settings[-1]["audio"]["output"]["voice"] == "marin"  # it was accepted with that
                assert settings[-1]["instructions"] == "Tell the weather."
                await caller.close()
                async with asyncio.timeout(PATIENCE):
                    last = [event async for event in session][-1]
                assert last.data.type == "end_of_stream"
        finally:
            await caller.close()


class TestAnAddressOfOnesOwn:
    async def test_is_used_as_it_is(self, server: LocalServer) -> None:
        runner = RealtimeRunner(agent(), model=TransportModel("websocket"))
        config: Any = {
            "url": f"{server.url}?model=gpt-realtime-mini",
            "headers": {"Authorization": "Bearer other", "X-Test": "1"},
        }
        async with await runner.run(model_config=config):
            connection = server.connections[-1]
            assert connection.query["model"] == "gpt-realtime-mini"
            assert connection.request_headers["authorization"] == "Bearer other"
            assert connection.request_headers["x-test"] == "1"

    async def test_a_key_may_be_a_function(self, server: LocalServer) -> None:
        async def key() -> str:
            return "sk-fetched"

        runner = RealtimeRunner(agent(), model=TransportModel("websocket"))
        config: Any = {"url": f"{server.url}?model=gpt-realtime-mini", "api_key": key}
        async with await runner.run(model_config=config):
            assert server.connections[-1].request_headers["authorization"] == "Bearer sk-fetched"

    @pytest.mark.parametrize("transport", ["websocket", "webrtc"])
    async def test_without_a_key_nobody_is_dialled(self, server: LocalServer, transport: str) -> None:
        runner = RealtimeRunner(agent(), model=TransportModel(transport))
        with pytest.raises(AuthenticationError, match="no API key"):
            async with await runner.run():
                pass
        assert server.connections == []


@pytest.mark.parametrize("transport", ["websocket", "webrtc"])
async def test_sessions_follow_one_another_on_one_runner(
    server: LocalServer, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.http_url)
    runner = RealtimeRunner(agent(), model=TransportModel(transport))
    for _ in range(2):
        async with await runner.run(model_config={"api_key": "sk-local"}) as session:
            await session.send_message("What is the weather in Paris?")
            told = await until(session, "agent_end", 2)
            assert answer(told) == "It is: Sunny in Paris."
            history = next(event.history for event in reversed(told) if event.type == "history_updated")
            assert [item.type for item in history] == ["message", "function_call", "message"]


@pytest.mark.parametrize("transport", ["websocket", "webrtc"])
async def test_a_close_of_ones_own_is_not_told(
    server: LocalServer, transport: str, witness: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.http_url)
    model, told = TransportModel(transport), witness()
    model.add_listener(told)
    await model.connect({"api_key": "sk-local"})
    await told.until("connection_status", 2)
    await model.close()
    assert [event.status for event in told.of("connection_status")] == ["connecting", "connected"]
    assert told.of("end_of_stream", "exception") == []


async def test_a_refused_session_is_raised(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.http_url)
    runner = RealtimeRunner(agent(), model=TransportModel("websocket"))
    settings: Any = {"voice": "marin", "max_output_tokens": -5}
    config: Any = {"api_key": "sk-canary", "initial_model_settings": settings}
    with pytest.raises(Exception, match="max_output_tokens") as raised:
        async with await runner.run(model_config=config):
            pass
    assert "sk-canary" not in repr(raised.value)
