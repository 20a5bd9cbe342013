"""Sessions, agents, tools, handoffs, guardrails and thin clients over `gemini`: only the name is another one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from jackfield import (
    GuardrailFunctionOutput,
    RealtimeAgent,
    RealtimeRunner,
    RealtimeSession,
    function_tool,
    output_guardrail,
)
from jackfield.transport import ConfigurationError, ProviderError, create_transport
from jackfield_gemini.testing import AUDIO, GeminiConnectionEnd, GeminiServer, accepting


@function_tool
def get_weather(city: str) -> str:
    """Weather in a city."""
    return f"Sunny in {city}"


@function_tool
def get_time(zone: str | None = None) -> str:
    """The time."""
    return "noon"


def calling(*calls: tuple[str, Any, str], words: str = "It is sunny.") -> Callable[[GeminiConnectionEnd], Any]:
    """Answer the first request with calls, and the others with words."""

    async def script(connection: GeminiConnectionEnd) -> None:
        await connection.accept()
        answered = 0
        while True:
            await connection.receive()
            while connection.requests > answered:
                answered += 1
                if answered == 1 and calls:
                    await connection.call_all(*calls)
                else:
                    await connection.say(words)

    return script


async def test_a_tool_is_called_and_answered_once(watch: Any) -> None:
    agent = RealtimeAgent("Greeter", instructions="Greet the user.", tools=[get_weather, get_time])
    calls = (("get_weather", {"city": "Paris"}, "call_1"), ("get_time", {}, "call_2"))
    async with (
        GeminiServer(calling(*calls)) as server,
        RealtimeSession(agent, transport="gemini", **server.connect_options) as session,
    ):
        far = await server.connection()
        assert far.instructions == ["Greet the user."] and far.tools == ["get_weather", "get_time"]
        await session.send_message("What is the weather in Paris, and the time?")
        await watch.up_to(session, "tool_end", "tool_end", "agent_end", "agent_end")
        assert far.outputs == {"call_1": "Sunny in Paris", "call_2": "noon"}
        assert len(far.tool_responses) == 1, "the model waits for both, and is told both at once"
        assert far.requests == 2
        kinds = [getattr(item, "role", item.type) for item in session.history]
        assert kinds == ["user", "function_call", "function_call", "assistant"]
        assert [item.output for item in session.history if item.type == "function_call"] == ["Sunny in Paris", "noon"]
        assert session.history[-1].text == "It is sunny."


async def test_an_unknown_tool_is_answered_too(watch: Any) -> None:
    async with (
        GeminiServer(calling(("get_lost", {}, "call_1"))) as server,
        RealtimeSession(RealtimeAgent("Greeter"), transport="gemini", **server.connect_options) as session,
    ):
        await session.send_message("Get lost.")
        await watch.up_to(session, "agent_end", "agent_end")
        assert "get_lost" in server.connections[0].outputs["call_1"]


async def test_another_agent_takes_over(watch: Any) -> None:
    billing = RealtimeAgent("Billing", instructions="You are the billing desk.", tools=[get_time])
    agent = RealtimeAgent("Reception", instructions="You are the reception.", handoffs=[billing], voice="Puck")
    async with (
        GeminiServer(calling(("transfer_to_billing", {}, "call_1"))) as server,
        RealtimeSession(agent, transport="gemini", **server.connect_options) as session,
    ):
        far = await server.connection()
        await session.send_message("I have a question about my bill.")
        await watch.up_to(session, "handoff", "agent_end", "agent_end")
        assert session.current_agent.name == "Billing"
        assert far.instructions == ["You are the reception.", "You are the billing desk."]
        assert far.tools == ["get_time"]
        sent = [next(iter(message)) for message in far.received]
        assert sent == ["setup", "clientContent", "contextUpdate", "toolResponse"]


async def test_a_guardrail_stops_an_answer(watch: Any) -> None:
    @output_guardrail
    def no_sun(_: Any, __: Any, output: str) -> GuardrailFunctionOutput:
        return GuardrailFunctionOutput(output_info=None, tripwire_triggered="sunny" in output)

    async def script(connection: GeminiConnectionEnd) -> None:
        await connection.accept()
        while not connection.requests:
            await connection.receive()
        await connection.speak("It is sunny. " * 12)
        while connection.requests < 2:
            await connection.receive()
        await connection.user_interrupts()
        await connection.finish(interrupted=True)
        await connection.say("I can't tell.")
        while True:
            await connection.receive()

    agent = RealtimeAgent("Greeter", output_guardrails=[no_sun])
    async with (
        GeminiServer(script) as server,
        RealtimeSession(agent, transport="gemini", **server.connect_options) as session,
    ):
        await session.send_message("What is the weather in Paris?")
        told = await watch.up_to(session, "guardrail_tripped", "agent_end", "agent_end")
        ends = [event for event in told if event.type == "agent_end"]
        assert [end.status for end in ends] == ["cancelled", "completed"]
        assert "guardrail" in server.connections[0].messages[-1]


async def test_the_user_interrupts(watch: Any) -> None:
    async with (
        GeminiServer(accepting) as server,
        RealtimeSession(RealtimeAgent("Greeter"), transport="gemini", **server.connect_options) as session,
    ):
        far = await server.connection()
        await session.send_audio(AUDIO)
        await far.transcribe("Tell me a story.", finished=False)
        await far.speak("Once upon a time", AUDIO * 20)
        await watch.first(session, "audio")
        await far.user_interrupts()
        await far.finish(interrupted=True)
        await far.transcribe("Stop.", finished=False)
        await far.say("I stop.")
        told = await watch.up_to(session, "audio_interrupted", "agent_end", "agent_end")
        cut = next(event for event in told if event.type == "audio_interrupted")
        assert cut.played_ms < 96 * 20
        said = [(item.role, getattr(item.content[0], "transcript", None)) for item in session.history]
        assert said == [
            ("user", "Tell me a story."),
            ("assistant", "Once upon a time"),
            ("user", "Stop."),
            ("assistant", "I stop."),
        ]
        assert session.history[1].item_id == cut.item_id


async def test_a_call_that_is_taken_back_costs_nothing(watch: Any) -> None:
    started, gate = asyncio.Event(), asyncio.Event()

    @function_tool
    async def slow() -> str:
        """Takes its time."""
        started.set()
        await gate.wait()
        return "done"

    async with (
        GeminiServer(accepting) as server,
        RealtimeSession(
            RealtimeAgent("Greeter", tools=[slow]), transport="gemini", **server.connect_options
        ) as session,
    ):
        far = await server.connection()
        call_id = await far.call("slow")
        await started.wait()
        await far.cancel_calls(call_id)
        await watch.all_told(session.transport, far)
        gate.set()
        error = await watch.first(session, "error")
        assert error.error.code == "tool_call_cancelled"
        await far.say("What were we saying?")
        await watch.up_to(session, "agent_end")
        await session.send_message("Hello?")
        await far.until_requested()
        assert far.outputs == {} and far.requests == 1


async def test_usage_is_added_up(watch: Any) -> None:
    async with (
        GeminiServer(calling(("get_weather", {"city": "Paris"}, "call_1"))) as server,
        RealtimeSession(
            RealtimeAgent("Greeter", tools=[get_weather]), transport="gemini", **server.connect_options
        ) as session,
    ):
        await session.send_message("What is the weather in Paris?")
        await watch.up_to(session, "agent_end", "agent_end")
        await session.send_message("And now?")
        await watch.up_to(session, "agent_end")
        assert session.usage.total_tokens == 240 and session.usage.requests == 2


async def test_the_runner_and_its_settings(watch: Any) -> None:
    config = {
        "model_settings": {
            "model_name": "gemini-next",
            "voice": "Puck",
            "turn_detection": {"type": "server_vad", "interrupt_response": True},
            "provider_data": {"gemini": {"proactivity": {"proactiveAudio": True}}, "temperature": 0.5},
        }
    }
    async with GeminiServer() as server:
        runner = RealtimeRunner(starting_agent=RealtimeAgent("Greeter"), config=config, transport="gemini")
        session = await runner.run(model_config=server.connect_options)
        async with session:
            setup = await (await server.connection()).until_set_up()
            assert setup["model"] == "models/gemini-next"
            assert setup["proactivity"] == {"proactiveAudio": True}
            assert setup["generationConfig"]["temperature"] == 0.5
            voice = setup["generationConfig"]["speechConfig"]["voiceConfig"]["prebuiltVoiceConfig"]
            assert voice == {"voiceName": "Puck"}


async def test_a_session_goes_on_over_another_socket(watch: Any) -> None:
    async with (
        GeminiServer(accepting) as server,
        RealtimeSession(RealtimeAgent("Greeter"), transport="gemini", **server.connect_options) as session,
    ):
        far = await server.connection()
        await far.resumable()
        await far.say("One.")
        await watch.up_to(session, "agent_end")
        await far.go_away()
        again = await server.connection(1)
        await again.until_set_up()
        await session.send_message("Go on.")
        await again.until_message()
        await again.say("Two.")
        await watch.up_to(session, "agent_end")
        words = [item.text for item in session.history if getattr(item, "role", "") == "assistant"]
        assert words == ["One.", "Two."]


async def test_what_gemini_cannot_do_is_said_before_anything_is_sent() -> None:
    hosted = RealtimeAgent("Greeter")
    async with GeminiServer() as server:
        for settings in ({"tool_choice": "required"}, {"speed": 1.5}):
            session = RealtimeSession(
                hosted, transport="gemini", initial_model_settings=settings, **server.connect_options
            )
            with pytest.raises(ConfigurationError, match="Gemini has no"):
                async with session:
                    raise AssertionError("it was let in")
        assert server.connections == []


async def test_a_thin_client(watch: Any) -> None:
    async with GeminiServer() as server:
        client = create_transport("gemini")
        await client.connect(**server.connect_options, initial_session_config={"instructions": "Speak like a pirate"})
        events = client.events()
        heard: list[bytes] = []
        client.on("audio", lambda event: heard.append(event.data))
        await client.send_audio(AUDIO, commit=True)
        await watch.up_to(events, "turn_done")
        await client.send_message("Hello?")
        await watch.up_to(events, "turn_done")
        assert b"".join(heard) == AUDIO * 2
        assert server.connections[0].instructions == ["Speak like a pirate"]
        await client.close()


async def test_a_socket_that_goes_away_is_kept_until_a_tool_is_done(watch: Any) -> None:
    started, gate = asyncio.Event(), asyncio.Event()

    @function_tool
    async def slow() -> str:
        """Takes its time."""
        started.set()
        await gate.wait()
        return "done"

    agent = RealtimeAgent("Greeter", tools=[slow])
    async with (
        GeminiServer(accepting) as server,
        RealtimeSession(agent, transport="gemini", **server.connect_options) as session,
    ):
        far = await server.connection()
        await far.resumable()
        call_id = await far.call("slow")
        await started.wait()
        await far.go_away()
        await watch.all_told(session.transport, far)
        assert len(server.connections) == 1
        gate.set()
        assert await far.until_answered(call_id) == {call_id: "done"}
        await far.say("It is done.")
        again = await server.connection(1)
        await again.until_set_up()
        assert again.tools == ["slow"]
        await watch.up_to(session, "agent_end", "agent_end")
        assert session.history[-1].text == "It is done."


async def test_a_call_that_is_lost_with_its_socket_is_told_and_the_session_goes_on(watch: Any) -> None:
    gate = asyncio.Event()

    @function_tool
    async def slow() -> str:
        """Takes its time."""
        await gate.wait()
        return "done"

    agent = RealtimeAgent("Greeter", tools=[slow])
    async with (
        GeminiServer(accepting) as server,
        RealtimeSession(agent, transport="gemini", **server.connect_options) as session,
    ):
        far = await server.connection()
        await far.resumable()
        await far.call("slow")
        await watch.up_to(session, "tool_start")
        far.reset()
        again = await server.connection(1)
        await again.until_set_up()
        await watch.first(session, "connection_change", lambda change: change.status == "connected")
        gate.set()
        error = await watch.first(session, "error", lambda event: isinstance(event.error, ProviderError))
        assert error.error.code == "tool_call_lost"
        await session.send_message("Where were we?")
        await again.until_message()
        await again.say("Here.")
        await watch.up_to(session, "agent_end")
        assert again.outputs == {} and again.requests == 1
