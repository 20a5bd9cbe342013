"""The stand-in that converses: the local server, in Gemini's protocol."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("jackfield_local")

from jackfield import RealtimeAgent, RealtimeSession, function_tool
from jackfield.transport import AuthenticationError, create_transport
from jackfield_gemini.stand_in import stand_in
from jackfield_local import LocalServer


@function_tool
def get_weather(city: str) -> str:
    """The weather in a city, today.

    Args:
        city: Name of the city.

    """
    return f"It is sunny in {city}, with twenty two degrees."


def agents() -> RealtimeAgent:
    billing = RealtimeAgent(
        "Billing",
        instructions="You are the billing desk. Greet the caller and help with bills and refunds.",
        handoff_description="Answers questions about bills, invoices and refunds.",
    )
    return RealtimeAgent(
        "Reception",
        instructions="You are the reception of a hotel. Greet the caller, and answer in a sentence or two.",
        tools=[get_weather],
        handoffs=[billing],
        voice="marin",
    )


async def test_a_conversation(watch: Any) -> None:
    async with stand_in() as connect, RealtimeSession(agents(), transport="gemini", **connect) as session:
        await session.send_message("What is the weather in Paris?")
        told = await watch.up_to(session, "tool_start", "tool_end", "audio", "agent_end", "agent_end")
        assert next(event for event in told if event.type == "tool_end").output.startswith("It is sunny in Paris")
        assert "sunny" in session.history[-1].text.lower()
        assert session.usage.total_tokens > 0

        await session.send_message("Tell me about the history of the telephone.")
        await watch.first(session, "audio")
        await session.send_message("I have a question about my bill.")
        await watch.up_to(session, "audio_interrupted", "handoff", "agent_end", "agent_end", "agent_end")
        assert session.current_agent.name == "Billing"


async def test_turns_by_hand(watch: Any) -> None:
    async with (
        LocalServer(recognizer=None, synthesizer=None, api_key="right") as server,
        stand_in(server.url, "right") as connect,
    ):
        client = create_transport("gemini")
        events = client.events()
        config = {"turn_detection": None, "input_audio_transcription": {"model": "whisper-1"}}
        await client.connect(**connect, initial_session_config=config)
        await client.send_audio(b"\x10\x20" * 12_000, commit=True)
        told = await watch.up_to(events, "input_audio_transcription_completed", "audio", "turn_done")
        users = [event.item for event in told if event.type == "item_update" and event.item.role == "user"]
        said = next(event for event in told if event.type == "input_audio_transcription_completed")
        assert {item.item_id for item in users} == {said.item_id}
        await client.close()


async def test_a_wrong_key() -> None:
    async with stand_in(api_key="right") as connect:
        with pytest.raises(AuthenticationError):
            await create_transport("gemini").connect(**{**connect, "api_key": "wrong"})


async def test_no_server_behind() -> None:
    async with stand_in("ws://127.0.0.1:9/v1/realtime", "any") as connect:
        with pytest.raises(Exception, match="no server behind"):
            await create_transport("gemini").connect(**connect)
