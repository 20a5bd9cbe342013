"""Programs in the shapes in which users of agents SDKs know them: with the import changed, they run.

They talk to the local server through OPENAI_BASE_URL, in this process.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from jackfield import RealtimeAgent, RealtimeRunner, RealtimeSession, function_tool
from jackfield_local.conformance.responder import ANSWER, quiet_server


@pytest.fixture(autouse=True)
async def provider(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    async with quiet_server(api_key="sk-local") as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.http_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-local")
        yield


NESTED = {
    "model_settings": {
        "model_name": "gpt-realtime",
        "audio": {
            "input": {
                "format": "pcm16",
                "transcription": {"model": "gpt-4o-mini-transcribe"},
                "turn_detection": {"type": "semantic_vad", "interrupt_response": True},
            },
            "output": {"format": "pcm16", "voice": "ash"},
        },
    }
}
FLAT = {
    "model_settings": {
        "model_name": "gpt-realtime",
        "voice": "ash",
        "modalities": ["audio"],
        "input_audio_format": "pcm16",
        "output_audio_format": "pcm16",
        "input_audio_transcription": {"model": "gpt-4o-mini-transcribe"},
        "turn_detection": {"type": "semantic_vad", "interrupt_response": True},
    }
}


async def follow(session: RealtimeSession) -> list[str]:
    """Follow a session as the quickstarts do, and return the types of what it told."""
    kinds = []
    async for event in session:
        kinds.append(event.type)
        if event.type == "error":
            raise AssertionError(event.error)
        if event.type == "agent_end" and event.output:
            assert event.agent.name == "Assistant"
            assert event.output == ANSWER
            break
    return kinds


@pytest.mark.parametrize("config", [FLAT, NESTED, None], ids=["flat", "nested", "none"])
async def test_a_runner_its_run_and_a_loop(config: dict[str, Any] | None) -> None:
    agent = RealtimeAgent(name="Assistant", instructions="Be helpful.")
    runner = RealtimeRunner(starting_agent=agent, config=config)
    session = await runner.run()
    async with session:
        await session.send_message("Hello")
        kinds = await follow(session)
    for kind in (
        "history_updated",
        "raw_model_event",
        "agent_start",
        "history_added",
        "audio",
        "audio_end",
        "agent_end",
    ):
        assert kind in kinds


async def test_entering_what_run_returned_in_one_line() -> None:
    agent = RealtimeAgent(name="Assistant")
    async with await RealtimeRunner(agent).run(model_config={"initial_model_settings": {"voice": "marin"}}) as session:
        await session.send_message("Hello")
        assert "agent_end" in await follow(session)


async def test_entering_by_hand() -> None:
    @function_tool
    def get_weather(city: str) -> str:
        """Weather in a city."""
        return f"Sunny in {city}"

    session = RealtimeSession(RealtimeAgent("Assistant", tools=[get_weather]))
    assert await session.enter() is session
    try:
        await session.send_message(
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
        )
        kinds = await follow(session)
        assert [kind for kind in kinds if kind.startswith("tool")] == ["tool_start", "tool_end"]
    finally:
        await session.close()
