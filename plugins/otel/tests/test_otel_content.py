"""Content: nothing that was said, given or returned is recorded unless it was asked for. Credentials never are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jackfield import (
    ConfigurationError,
    GuardrailFunctionOutput,
    RealtimeAgent,
    function_tool,
    output_guardrail,
)
from jackfield.errors import ProviderError, RemoteClosedError
from jackfield.testing import Call, Disconnect, Say, Turn, UserSays
from jackfield.transport.events import Error
from jackfield_otel import observer

VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
KEY = "sk-canary-0123456789"


@output_guardrail
def about_money(context: Any, agent: Any, output: str) -> GuardrailFunctionOutput:
    return GuardrailFunctionOutput(output_info="canary-info", tripwire_triggered="dollars" in output)


@function_tool
def look_up(name: str, by: str = "") -> dict[str, str]:
    if name == "canary-raise":
        raise ValueError("canary-error")
    return {"found": f"canary-result for {name}", "key": KEY}


async def converse(telemetry: Any, capture: bool | None) -> None:
    """A conversation with a canary in everything that holds words."""
    agent = RealtimeAgent(
        "Greeter", instructions="canary-instructions", tools=[look_up], output_guardrails=[about_money]
    )
    far_end = telemetry.far_end()
    options = {"api_key": KEY, "headers": {"X-Canary": "canary-header"}, "capture": capture}
    async with telemetry.session(far_end, agent, **options) as session:
        await session.send_message("canary-written")
        await far_end.expect_call("send_message")
        far_end.emit(UserSays("canary-spoken"), Call("look_up", {"name": "canary-argument"}))
        await far_end.expect_call("request_response")
        far_end.emit(Say(f"canary-answer {KEY}"), Call("look_up", {"name": "canary-raise", "by": KEY}))
        await far_end.expect_call("request_response")
        far_end.emit(Error(ProviderError(f"canary-provider {KEY}", code="invalid_value", param="item")))
        far_end.emit(Say(f"canary-price: ten dollars for {KEY}"))
        await far_end.expect_call("interrupt")
        far_end.emit(Disconnect(error=RemoteClosedError(f"no more of {KEY}", code=1006, reason="")))


async def test_there_is_none_by_default(telemetry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    await converse(telemetry, capture=None)
    assert "execute_tool look_up" in telemetry.everything()
    assert "canary" not in telemetry.everything()


async def test_it_is_recorded_where_it_is_asked_for(telemetry: Any) -> None:
    await converse(telemetry, capture=True)
    recorded = telemetry.everything()
    for words in ("written", "spoken", "argument", "result", "answer", "provider", "price"):
        assert f"canary-{words}" in recorded, words
    for secret in (KEY, "canary-header", "canary-info"):
        assert secret not in recorded
    assert "canary" not in repr(telemetry.metrics())
    assert telemetry.span("invoke_agent Greeter").status.description == "no more of ***"


async def test_it_has_the_shape_of_the_conventions(telemetry: Any) -> None:
    far_end = telemetry.far_end()
    async with telemetry.session(far_end, RealtimeAgent("Greeter", tools=[look_up]), capture=True):
        far_end.emit(UserSays('Who is "Ada"?'), Turn([Say("One moment."), Call("look_up", {"name": "Ada"})]))
        await far_end.expect_call("request_response")
        far_end.emit(Turn([Say("A mathematician.")], done=False), UserSays("Thanks.", after_ms=100), Say("Bye."))
    called, answered, thanked = (
        [json.loads(turn.attributes[f"gen_ai.{side}.messages"]) for side in ("input", "output")]
        for turn in telemetry.named("chat gpt-realtime")
    )
    assert called == [
        [{"role": "user", "parts": [{"type": "text", "content": 'Who is "Ada"?'}]}],
        [
            {
                "role": "assistant",
                "parts": [
                    {"type": "text", "content": "One moment."},
                    {"type": "tool_call", "id": "call_1", "name": "look_up", "arguments": '{"name": "Ada"}'},
                ],
                "finish_reason": "tool_call",
            }
        ],
    ]
    result = '{"found": "canary-result for Ada", "key": "***"}'
    assert answered == [
        [{"role": "tool", "parts": [{"type": "tool_call_response", "id": "call_1", "response": result}]}],
        [
            {
                "role": "assistant",
                "parts": [{"type": "text", "content": "A mathematician."}],
                "finish_reason": "cancelled",
            }
        ],
    ]
    assert thanked[0] == [{"role": "user", "parts": [{"type": "text", "content": "Thanks."}]}]
    tool = telemetry.span("execute_tool look_up").attributes
    assert tool["gen_ai.tool.call.arguments"] == '{"name": "Ada"}'
    assert tool["gen_ai.tool.call.result"] == result


async def test_what_is_answered_is_what_came_since_the_last_answer(telemetry: Any) -> None:
    far_end = telemetry.far_end()
    async with telemetry.session(far_end, RealtimeAgent("Greeter", tools=[look_up]), capture=True) as session:
        far_end.emit(Say("Welcome."))
        await session.send_message("Hello.")
        await session.send_message("Who is Ada?")
        far_end.emit(Turn([Call("look_up", {"name": "Ada"}), Call("look_up", {"name": "Bob"})]))
        await far_end.expect_call("request_response")
        far_end.emit(Say("Mathematicians."))
    answered = [
        [
            part.get("content") or part["id"]
            for message in json.loads(turn.attributes["gen_ai.input.messages"])
            for part in message["parts"]
        ]
        for turn in telemetry.named("chat gpt-realtime")
    ]
    assert answered == [[], ["Hello.", "Who is Ada?"], ["call_1", "call_2"]]


@pytest.mark.parametrize(
    ("value", "recorded"),
    [
        ("true", True),
        (" True ", True),
        ("SPAN_ONLY", True),
        ("span_and_event", True),
        ("", False),
        ("false", False),
        ("1", False),
        ("NO_CONTENT", False),
        ("EVENT_ONLY", False),
    ],
)
async def test_the_environment_may_ask_for_it(
    telemetry: Any, monkeypatch: pytest.MonkeyPatch, value: str, recorded: bool
) -> None:
    monkeypatch.setenv(VARIABLE, value)
    await say(telemetry, capture=None)
    assert ("canary" in telemetry.everything()) is recorded


@pytest.mark.parametrize(("value", "capture"), [("true", False), ("false", True)])
async def test_the_program_has_the_last_word(
    telemetry: Any, monkeypatch: pytest.MonkeyPatch, value: str, capture: bool
) -> None:
    monkeypatch.setenv(VARIABLE, value)
    await say(telemetry, capture=capture)
    assert ("canary" in telemetry.everything()) is capture


async def say(telemetry: Any, capture: bool | None) -> None:
    far_end = telemetry.far_end()
    async with telemetry.session(far_end, capture=capture):
        far_end.emit(Say("canary"))


@pytest.mark.parametrize("choice", ["false", 1, object()])
def test_what_is_no_choice_is_refused(choice: Any) -> None:
    with pytest.raises(ConfigurationError, match="capture_content"):
        observer(capture_content=choice)
