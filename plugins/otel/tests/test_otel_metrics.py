"""Metrics: what is counted and measured over sessions, and by which attributes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield import RealtimeAgent, function_tool
from jackfield.errors import ConnectRefusedError, ProviderError, RemoteClosedError
from jackfield.testing import Call, Disconnect, Finish, Say, Turn, UserSays
from jackfield.transport.events import Audio, Error, TurnStarted, Usage
from jackfield_otel.usage import token_counts

LABELS = {
    "gen_ai.provider.name": "scripted",
    "gen_ai.request.model": "gpt-realtime",
    "jackfield.transport.name": "scripted",
}


@function_tool
def get_weather(city: str) -> str:
    return f"Sunny in {city}"


async def test_of_turns(telemetry: Any) -> None:
    far_end = telemetry.far_end()
    async with telemetry.session(far_end) as session:
        far_end.emit(UserSays("Hello?"), Say("Hello."))
        async for event in session:
            if event.type == "audio_start":
                break
        far_end.emit(Turn([Say("And then")], done=False), UserSays("Stop!", after_ms=100))
    hello, stopped = session.metrics.turns
    metrics = telemetry.metrics()
    ours = LABELS | {"gen_ai.agent.name": "Greeter"}
    assert metrics["jackfield.responses"] == [
        ({**ours, "jackfield.response.status": "completed"}, 1),
        ({**ours, "jackfield.response.status": "cancelled"}, 1),
    ]
    assert metrics["jackfield.interruptions"] == [(ours, 1)]
    assert metrics["gen_ai.client.operation.duration"] == [
        ({**ours, "gen_ai.operation.name": "chat"}, (2, pytest.approx(hello.duration + stopped.duration)))
    ]
    assert metrics["jackfield.turn.time_to_first_delta"] == [
        (ours, (2, pytest.approx(hello.time_to_first_delta + stopped.time_to_first_delta)))
    ]
    assert metrics["jackfield.turn.time_to_first_audio"] == [(ours, (1, pytest.approx(hello.time_to_first_audio)))]


async def test_of_a_response_that_fails(telemetry: Any) -> None:
    error = ProviderError("too much of it", code="rate_limit_exceeded", classification="retry_turn")
    far_end = telemetry.far_end()
    async with telemetry.session(far_end):
        far_end.emit(Turn([], done=False), Error(error), Finish("failed"))
    ((attributes, (count, _)),) = telemetry.metrics()["gen_ai.client.operation.duration"]
    assert (attributes["error.type"], count) == ("rate_limit_exceeded", 1)


async def test_of_tools(telemetry: Any) -> None:
    far_end = telemetry.far_end()
    async with telemetry.session(far_end, RealtimeAgent("Greeter", tools=[get_weather])):
        far_end.emit(Turn([Call("get_weather", {"city": "Paris"}), Call("get_weather", {"city": "Rome"})]))
        await far_end.expect_call("request_response")
    spans = telemetry.named("execute_tool get_weather")
    assert telemetry.metrics()["gen_ai.execute_tool.duration"] == [
        (
            {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.agent.name": "Greeter",
                "gen_ai.tool.name": "get_weather",
                "gen_ai.tool.type": "function",
            },
            (2, pytest.approx(sum(span.end_time - span.start_time for span in spans) / 1e9, abs=1e-6)),
        )
    ]


async def test_of_tools_that_are_not_answered(telemetry: Any) -> None:
    @function_tool
    async def wait_for_ever() -> None:
        await asyncio.Event().wait()

    far_end = telemetry.far_end()
    async with telemetry.session(far_end, RealtimeAgent("Greeter", tools=[wait_for_ever])) as session:
        started = asyncio.Event()
        session.on("tool_start", lambda event: started.set())
        far_end.emit(Call("wait_for_ever"))
        await started.wait()
    ((attributes, (count, _)),) = telemetry.metrics()["gen_ai.execute_tool.duration"]
    assert (attributes["error.type"], count) == ("unanswered", 1)


@pytest.mark.parametrize(
    ("metric", "span"),
    [
        ("gen_ai.client.operation.duration", "chat gpt-realtime"),
        ("gen_ai.client.token.usage", "chat gpt-realtime"),
        ("jackfield.turn.time_to_first_delta", "chat gpt-realtime"),
        ("jackfield.tokens", "chat gpt-realtime"),
        ("jackfield.responses", "chat gpt-realtime"),
        ("jackfield.interruptions", "chat gpt-realtime"),
        ("gen_ai.execute_tool.duration", "execute_tool get_weather"),
        ("gen_ai.invoke_agent.duration", "invoke_agent Greeter"),
        ("jackfield.errors", "invoke_agent Greeter"),
    ],
)
async def test_lead_to_spans(telemetry: Any, metric: str, span: str) -> None:
    far_end = telemetry.far_end()
    async with telemetry.session(far_end, RealtimeAgent("Greeter", tools=[get_weather])):
        parts = [Say("One moment."), Call("get_weather", {"city": "Paris"})]
        far_end.emit(Turn(parts, usage=Usage(1, 2, 1, 3)), UserSays("Now!", after_ms=100))
        await far_end.expect_call("request_response")
        far_end.emit(Error(ProviderError("no")))
    assert telemetry.exemplars(metric) == {telemetry.span(span).context.span_id}


async def test_of_tokens(telemetry: Any) -> None:
    usage = Usage(
        1,
        30,
        20,
        50,
        {"text_tokens": 10, "audio_tokens": 18, "cached_tokens_details": {"audio_tokens": 6}},
        {"text_tokens": 5, "audio_tokens": 15},
    )
    far_end = telemetry.far_end()
    async with telemetry.session(far_end):
        far_end.emit(Turn([Say("Hello.")], usage=usage), Turn([Say("Hello?")], usage=usage))
    metrics = telemetry.metrics()
    kinds = {
        tuple(
            attributes[f"{name}"]
            for name in ("gen_ai.token.type", "jackfield.token.modality", "jackfield.token.cached")
        ): count
        for attributes, count in metrics["jackfield.tokens"]
    }
    assert kinds == {
        ("input", "text", False): 20,
        ("input", "audio", False): 24,
        ("input", "audio", True): 12,
        ("input", "unknown", False): 4,
        ("output", "text", False): 10,
        ("output", "audio", False): 30,
    }
    assert metrics["gen_ai.client.token.usage"] == [
        ({**LABELS, "gen_ai.operation.name": "chat", "gen_ai.token.type": "input"}, (2, 60)),
        ({**LABELS, "gen_ai.operation.name": "chat", "gen_ai.token.type": "output"}, (2, 40)),
    ]


counts = st.integers(-5, 1000) | st.none() | st.booleans() | st.just("many")
modalities = st.sampled_from(["text_tokens", "audio_tokens", "image_tokens", "cached_tokens"])
details = st.dictionaries(modalities | st.just("cached_tokens_details"), counts | st.dictionaries(modalities, counts))


@given(st.integers(0, 1000), st.integers(0, 1000), details, details)
def test_each_token_counts_once(read: int, written: int, given: Mapping[str, Any], made: Mapping[str, Any]) -> None:
    usage = Usage(1, read, written, read + written, given, made)
    by_side = {"input": 0, "output": 0}
    for count, kind in token_counts(usage):
        assert count > 0
        by_side[str(kind["gen_ai.token.type"])] += count
    assert by_side == {"input": read, "output": written}


async def test_numbers_that_make_no_sense_are_not_told(telemetry: Any) -> None:
    usage = Usage(1, 2, 1, 3, {"text_tokens": -1, "audio_tokens": True, "image_tokens": "many"}, {"audio_tokens": 1})
    far_end = telemetry.far_end()
    async with telemetry.session(far_end):
        far_end.emit(Turn([Say("Hello.")], usage=usage))
    told = {name: count for name, count in telemetry.span("chat gpt-realtime").attributes.items() if "usage" in name}
    assert told == {
        "gen_ai.usage.input_tokens": 2,
        "gen_ai.usage.output_tokens": 1,
        "gen_ai.usage.audio.output_tokens": 1,
    }


async def test_of_errors(telemetry: Any) -> None:
    far_end = telemetry.far_end()
    async with telemetry.session(far_end) as session:
        refusal = Error(ProviderError("no", code="invalid_value"))
        far_end.emit(refusal, refusal)
        told = asyncio.Event()
        session.on("error", lambda event: told.set())
        far_end.emit(Call("no_such_tool"))
        await told.wait()
        far_end.emit(Disconnect(1011, "server error"))
    refused = telemetry.far_end(connect_events=[], connect_error=ConnectRefusedError("no route"))
    with pytest.raises(ConnectRefusedError):
        await telemetry.session(refused).enter()
    found = [
        (attributes["error.type"], attributes["jackfield.error.classification"], count)
        for attributes, count in telemetry.metrics()["jackfield.errors"]
    ]
    assert found == [
        ("invalid_value", "rejected", 2),
        ("ToolError", "none", 1),
        (RemoteClosedError.__name__, "reconnect", 1),
        ("ConnectRefusedError", "reconnect", 1),
    ]


async def test_of_sessions(telemetry: Any) -> None:
    live = [({"jackfield.transport.name": "scripted"}, 1)]
    async with telemetry.session(telemetry.far_end()):
        assert telemetry.metrics()["jackfield.sessions.live"] == live
        far_end = telemetry.far_end()
        async with telemetry.session(far_end):
            assert telemetry.metrics()["jackfield.sessions.live"][0][1] == 2
            far_end.emit(Disconnect(1006))
            assert telemetry.metrics()["jackfield.sessions.live"] == live
    metrics = telemetry.metrics()
    assert metrics["jackfield.sessions.live"][0][1] == 0
    durations = {
        attributes.get("error.type"): count for attributes, (count, _) in metrics["gen_ai.invoke_agent.duration"]
    }
    assert durations == {None: 1, "RemoteClosedError": 1}


class TestDroppedEvents:
    async def test_of_a_stream_that_is_read_too_slowly(self, telemetry: Any) -> None:
        far_end = telemetry.far_end()
        async with telemetry.session(far_end) as session:
            reading = aiter(session)
            await anext(reading)
            flood(far_end)
            assert session.dropped > 1
        assert telemetry.metrics()["jackfield.events.dropped"] == [
            ({"jackfield.transport.name": "scripted"}, session.dropped)
        ]
        assert "jackfield.events_dropped" in telemetry.events(telemetry.span("invoke_agent Greeter"))

    async def test_of_a_stream_that_nobody_reads(self, telemetry: Any) -> None:
        far_end = telemetry.far_end()
        async with telemetry.session(far_end) as session:
            flood(far_end)
            assert session.dropped > 1
        assert "jackfield.events.dropped" not in telemetry.metrics()


def flood(far_end: Any) -> None:
    """More audio than a stream holds unread."""
    far_end.emit(TurnStarted("resp_1"))
    chunk = Audio(bytes(2**20), "resp_1", "item_1", 0)
    for _ in range(64):
        far_end.emit(chunk)
