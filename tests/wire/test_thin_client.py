"""The thin client: a transport alone, without agents, tools, guardrails or a history."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import textwrap
from typing import Any

import pytest

from jackfield import create_transport
from jackfield.testing.conformance import AUDIO, PATIENCE
from jackfield_local.conformance.responder import ANSWER, quiet_server
from jackfield_local.conformance.sockets import SocketFarEnd

pytestmark = pytest.mark.usefixtures("nothing_is_left")

KEY = "sk-canary-08fe"

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


async def test_the_program_of_the_design(monkeypatch: pytest.MonkeyPatch) -> None:
    played = bytearray()
    pcm16 = bytes(range(256)) * 10
    async with SocketFarEnd() as far_end:
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{far_end.port}/v1")

        client = create_transport("websocket")
        await client.connect(
            api_key=KEY, model="gpt-realtime", initial_session_config={"instructions": "Speak like a pirate"}
        )
        client.on("audio", lambda event: played.extend(event.data))
        await client.send_audio(pcm16)

        far = await far_end.connection()
        await far.expect("input_audio_buffer.append")
        assert [event["type"] for event in far.received] == ["session.update", "input_audio_buffer.append"]
        assert far.received[0]["session"] == {"type": "realtime", "instructions": "Speak like a pirate"}
        done = asyncio.Event()
        client.on("turn_done", lambda _: done.set())
        await far.say()
        async with asyncio.timeout(PATIENCE):
            await done.wait()
        assert played == AUDIO
        await client.close()


async def test_a_function_call_answered_by_hand() -> None:
    async with quiet_server() as server:
        client = create_transport("websocket")
        await client.connect(
            url=f"{server.url}?model=gpt-realtime", api_key=KEY, initial_session_config={"tools": [WEATHER]}
        )
        calls: list[Any] = []

        async def answer(call: Any) -> None:
            calls.append(call)
            weather = {"weather": "sunny", "city": json.loads(call.arguments)["city"]}
            await client.send_function_call_output(call, json.dumps(weather))

        client.on("function_call", answer)
        events = client.events()
        await client.send_message("What is the weather in Paris?")
        said, outputs = "", []
        async with asyncio.timeout(PATIENCE):
            async for event in events:
                if event.type == "audio_transcript_delta":
                    said += event.delta
                elif event.type == "item_update" and event.item.type == "function_call" and event.item.output:
                    outputs.append(event.item.output)
                elif event.type == "turn_done" and said:
                    break
        assert said == ANSWER
        assert [(call.name, json.loads(call.arguments)) for call in calls] == [("get_weather", {"city": "Paris"})]
        assert json.loads(outputs[0]) == {"weather": "sunny", "city": "Paris"}
        await client.close()


PROGRAM = """
    import asyncio, os
    from jackfield import create_transport

    async def main():
        client = create_transport("websocket")
        heard = asyncio.Event()
        client.on("turn_done", lambda event: heard.set())
        await client.connect(api_key="k", initial_session_config={"instructions": "Speak like a pirate"})
        await client.send_audio(bytes(480))
        await client.send_message("hello")
        await heard.wait()
        await client.interrupt()
        await client.close()

    asyncio.run(main())
    import json, sys
    print(json.dumps(sorted(sys.modules)))
"""

UPPER_HALF = ("agent", "handoffs", "run_context", "runner", "session", "tool_schema", "tools", "cli")


async def test_it_imports_nothing_of_the_upper_half(monkeypatch: pytest.MonkeyPatch) -> None:
    async with SocketFarEnd() as far_end:
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{far_end.port}/v1")
        run = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", textwrap.dedent(PROGRAM)],
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE,
        )
        modules = set(json.loads(run.stdout))
        types = far_end.connections[0].types()
    assert {"jackfield.openai.transport", "jackfield_transports.websocket.transport"} <= modules
    ours = {name for name in modules if name.startswith("jackfield.")}
    assert {name for name in ours if name.split(".")[1] in UPPER_HALF} == set()
    foreign = {
        "pydantic",
        "docstring_parser",
        "openai",
        "numpy",
        "picows",
        "starlette",
        "rich",
        "httpx",
        "jackfield_local",
    }
    assert modules & foreign == set()
    assert types[:4] == [
        "session.update",
        "input_audio_buffer.append",
        "conversation.item.create",
        "response.create",
    ]
