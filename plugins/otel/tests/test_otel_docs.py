"""docs/observability.md: every name that is recorded is listed there, and the observer on it works."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from jackfield import GuardrailFunctionOutput, RealtimeAgent, RealtimeSession, function_tool, output_guardrail
from jackfield.errors import ProviderError
from jackfield.testing import Call, Disconnect, Finish, Say, ScriptedTransport, Turn, UserSays
from jackfield.transport.events import Audio, Error, McpToolCallCompleted, TurnStarted, Usage
from jackfield.transport.items import McpCallItem

PAGE = (Path(__file__).parents[3] / "docs" / "observability.md").read_text()
LISTED = set(re.findall(r"`((?:gen_ai|jackfield|error|exception)\b[\w.]*)`", PAGE.partition("### Spans")[2]))


@function_tool
def get_weather(city: str) -> str:
    return f"Sunny in {city}"


@function_tool(needs_approval=True)
def pay(euros: int) -> str:
    return f"Paid {euros}"


@output_guardrail
def about_money(context: Any, agent: Any, output: str) -> GuardrailFunctionOutput:
    return GuardrailFunctionOutput(output_info=None, tripwire_triggered="dollars" in output)


async def converse(telemetry: Any) -> None:
    """A conversation in which about everything happens."""
    agent = RealtimeAgent("Front", tools=[get_weather, pay], output_guardrails=[about_money])
    agent.handoffs.append(RealtimeAgent("Billing", tools=[get_weather]))
    details = {"text_tokens": 4, "audio_tokens": 5, "image_tokens": 1, "cached_tokens": 2}
    usage = Usage(1, 10, 10, 20, details, {"text_tokens": 4, "audio_tokens": 6})
    config = {"budget": {"max_tokens": 25, "farewell": None}}
    far_end = telemetry.far_end()
    async with telemetry.session(far_end, agent, capture=True, config=config) as session:
        asked, handed_over = asyncio.Event(), asyncio.Event()
        session.on("tool_approval_required", lambda event: asked.set())
        session.on("handoff", lambda event: handed_over.set())
        far_end.emit(UserSays("Hello?"), Turn([Say("Hello."), Call("get_weather", {"city": "Rome"})], usage=usage))
        async for event in session:
            if event.type == "audio_start":
                break
        await far_end.expect_call("request_response")
        far_end.emit(Call("pay", {"euros": 5}))
        await asked.wait()
        await session.reject_tool_call("call_2")
        await far_end.expect_call("request_response")
        far_end.emit(Turn([Say("Once upon a time")], done=False), UserSays("Stop!", after_ms=100))
        far_end.emit(Say("A hundred dollars."))
        await far_end.expect_call("interrupt")
        error = ProviderError("no", code="server_error", param="item", classification="retry_turn")
        error.__cause__ = OSError()
        far_end.emit(Turn([], done=False), Error(error), Finish("failed"))
        item = McpCallItem(item_id="mcp_1", server_label="docs", name="search")
        far_end.emit(McpToolCallCompleted(item), Call("transfer_to_billing"))
        await handed_over.wait()
        chunk = Audio(bytes(2**20), "resp_9", "item_9", 0)
        far_end.emit(TurnStarted("resp_9"), *[chunk] * 64)
        far_end.emit(Turn([Say("Bye.")], usage=usage, response_id="resp_9"), Disconnect(1011, "server error"))


async def test_all_names_are_listed(telemetry: Any) -> None:
    await converse(telemetry)
    recorded = set(telemetry.metrics())
    for span in telemetry.spans:
        recorded |= {*span.attributes, *(event.name for event in span.events)}
        recorded |= {name for event in span.events for name in event.attributes}
    for series in telemetry.metrics().values():
        recorded |= {name for attributes, _ in series for name in attributes}
    usage = {name for name in recorded if re.fullmatch(r"gen_ai\.usage\.(text|audio|image)\.(in|out)put_tokens", name)}
    assert len(usage) == 5
    assert recorded - usage - LISTED == set()
    # Without a clock nobody knows when something was heard.
    assert LISTED - recorded == {"jackfield.first_audio_played", "jackfield.observers"}


async def test_the_observer_on_it_watches(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (program,) = (block for block in blocks if "hookimpl" in block)
    module: dict[str, Any] = {}
    exec(program, module)
    (watch,) = module["jackfield_session_observers"]()
    far_end = ScriptedTransport()
    async with RealtimeSession(RealtimeAgent("Greeter"), transport=far_end, observers=[watch]) as session:
        far_end.emit(Say("Hello."))
    assert re.fullmatch(rf"{session.id}: completed after \d\.\d{{3}} s\n", capsys.readouterr().out)
