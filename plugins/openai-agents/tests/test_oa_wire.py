"""The SDK's own runner and session, over a WebSocket and over WebRTC, with the local server at the other end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from agents import GuardrailFunctionOutput, function_tool
from agents.guardrail import OutputGuardrail
from agents.realtime import RealtimeAgent, RealtimeModelSendRawMessage, RealtimePlaybackTracker

from jackfield.transport import RemoteClosedError
from jackfield_local import Call, Reply, ResponseContext, Say

Stage = Callable[..., Awaitable[Any]]

PATIENCE = 30.0
OURS = ["websocket", "webrtc"]
ANSWER = "It is sunny in Paris."
PIECE = bytes(range(256)) * 75  # 400 ms that are no silence


def last(context: ResponseContext) -> Any:
    """What the answer is to: the text of a message, or the output of a tool."""
    item = context.items[-1]
    if item["type"] == "function_call_output":
        return item["output"]
    part = item["content"][0]
    return part.get("text") or part.get("transcript")


def says(text: str) -> Callable[[ResponseContext], Reply]:
    return lambda context: [Say(text)]


def kinds(events: list[Any]) -> list[str]:
    return [event.type for event in events if event.type not in ("raw_model_event", "history_updated", "audio")]


def history(events: list[Any]) -> list[Any]:
    """The history as it was told last."""
    return next(event.history for event in reversed(events) if event.type == "history_updated")


def words(item: Any) -> str:
    return "".join(getattr(part, "transcript", None) or getattr(part, "text", None) or "" for part in item.content)


class TestQuickstart:
    async def test_a_message_is_answered(self, stage: Stage) -> None:
        agent = RealtimeAgent(name="Assistant", instructions="Answer in one sentence.")
        scene = await stage(agent, says(ANSWER))
        await scene.session.send_message("Hello?")
        told = await scene.until("agent_end", "audio_end")
        assert kinds(told)[:3] == ["history_added", "agent_start", "history_added"]
        assert sorted(kinds(told)[3:]) == ["agent_end", "audio_end"]
        question, answer = history(scene.events)
        assert (question.role, words(question)) == ("user", "Hello?")
        assert (answer.role, words(answer)) == ("assistant", ANSWER)
        heard = [event for event in told if event.type == "audio"]
        assert sum(len(event.audio.data) for event in heard) > 48_000  # a second: the sentence has more than a word
        assert {event.item_id for event in heard} == {answer.item_id}
        usage = told[-1].info.context.usage
        assert usage.requests == 1 and usage.total_tokens > 0

    async def test_the_session_is_configured_as_the_sdk_does(self, stage: Stage) -> None:
        agent = RealtimeAgent(name="Assistant", instructions="Be kind.")
        scene = await stage(agent, says(ANSWER), config={"model_settings": {"voice": "marin"}})
        await scene.session.send_message("Hello?")
        await scene.until("agent_end")
        told = [event for event in scene.connection.sent if event["type"] in ("session.created", "session.updated")]
        session = told[-1]["session"]
        assert session["instructions"] == "Be kind."
        assert session["model"] == "gpt-realtime-2.1"
        assert session["tracing"] == "auto"
        assert session["audio"]["output"]["voice"] == "marin"
        assert session["audio"]["input"]["transcription"]["model"] == "gpt-4o-mini-transcribe"
        turn_detection = session["audio"]["input"]["turn_detection"]
        assert (turn_detection["type"], turn_detection["interrupt_response"]) == ("semantic_vad", True)

    async def test_turns_follow_one_another(self, stage: Stage) -> None:
        scene = await stage(RealtimeAgent(name="Echo"), lambda context: [Say(f"I heard {last(context)}")])
        for word in ("one", "two"):
            await scene.session.send_message(word)
            await scene.until("agent_end")
        spoken = [words(item) for item in history(scene.events) if item.role == "assistant"]
        assert spoken == ["I heard one", "I heard two"]

    async def test_what_the_user_says_is_transcribed(self, stage: Stage) -> None:
        agent = RealtimeAgent(name="Assistant")
        config = {"model_settings": {"turn_detection": None}}
        scene = await stage(agent, lambda context: [Say(f"I heard {last(context)}")], config=config, phrases=["hello"])
        await scene.session.send_audio(PIECE)
        await scene.session.send_audio(PIECE, commit=True)
        await scene.session.model.send_event(_raw("response.create"))
        await scene.until("agent_end")
        said, answer = history(scene.events)
        assert (said.role, words(said)) == ("user", "Hello")
        assert words(answer) == "I heard Hello"

    async def test_a_commit_by_hand_is_one(self, stage: Stage) -> None:
        """A raw message, as the SDK's demo sends it: where audio has a path of its own it waits for that."""
        config = {"model_settings": {"turn_detection": None}}
        scene = await stage(RealtimeAgent(name="Assistant"), says(ANSWER), config=config, phrases=["hello"])
        await scene.session.send_audio(PIECE)
        await scene.session.model.send_event(_raw("input_audio_buffer.commit"))
        async with asyncio.timeout(PATIENCE):
            await scene.connection.sent_event("input_audio_buffer.committed")
            await scene.connection.sent_event("conversation.item.input_audio_transcription.completed")


def _raw(kind: str, **other: Any) -> Any:
    return RealtimeModelSendRawMessage({"type": kind, **({"other_data": other} if other else {})})


@function_tool
def get_weather(city: str) -> str:
    """Weather in a city."""
    return f"Sunny in {city}"


def asks_for_weather(context: ResponseContext) -> Reply:
    if context.items[-1]["type"] == "function_call_output":
        return [Say(f"It is: {last(context)}.")]
    return [Call("get_weather", {"city": "Paris"})]


class TestTools:
    @pytest.mark.parametrize("in_the_background", [True, False])
    async def test_a_tool_is_run_and_its_output_spoken(self, stage: Stage, in_the_background: bool) -> None:
        agent = RealtimeAgent(name="Weatherman", tools=[get_weather])
        scene = await stage(agent, asks_for_weather, config={"async_tool_calls": in_the_background})
        await scene.session.send_message("What is the weather in Paris?")
        told = await scene.until("agent_end", "agent_end")
        [started] = [event for event in told if event.type == "tool_start"]
        [ended] = [event for event in told if event.type == "tool_end"]
        assert started.tool is get_weather
        assert json.loads(ended.arguments) == {"city": "Paris"}
        assert ended.output == "Sunny in Paris"
        _, call, answer = history(scene.events)
        assert (call.type, call.status, call.output) == ("function_call", "completed", "Sunny in Paris")
        assert words(answer) == "It is: Sunny in Paris."
        creations = scene.sent("response.create")
        assert len(creations) == 2

    async def test_the_model_is_told_of_it(self, stage: Stage) -> None:
        seen: list[Any] = []

        def reply(context: ResponseContext) -> Reply:
            seen.extend(context.tools)
            return [Say(ANSWER)]

        scene = await stage(RealtimeAgent(name="Weatherman", tools=[get_weather]), reply)
        await scene.session.send_message("Hello")
        await scene.until("agent_end")
        [tool] = seen
        assert (tool["type"], tool["name"], tool["description"]) == ("function", "get_weather", "Weather in a city.")
        assert tool["parameters"] == get_weather.params_json_schema

    async def test_two_calls_of_one_response_are_answered_once(self, stage: Stage) -> None:
        def reply(context: ResponseContext) -> Reply:
            if context.items[-1]["type"] == "function_call_output":
                return [Say("Both are sunny.")]
            return [Call("get_weather", {"city": "Paris"}), Call("get_weather", {"city": "Rome"})]

        scene = await stage(RealtimeAgent(name="Weatherman", tools=[get_weather]), reply)
        await scene.session.send_message("What is the weather in Paris and in Rome?")
        told = await scene.until("tool_end", "tool_end", "agent_end", "agent_end")
        outputs = [event.output for event in told if event.type == "tool_end"]
        assert sorted(outputs) == ["Sunny in Paris", "Sunny in Rome"]
        assert words(history(scene.events)[-1]) == "Both are sunny."
        assert len(scene.sent("response.create")) == 2


class TestHandoffs:
    async def test_another_agent_goes_on(self, stage: Stage) -> None:
        billing = RealtimeAgent(name="Billing", instructions="Be exact.", tools=[get_weather])
        front = RealtimeAgent(name="Front", instructions="Be kind.", handoffs=[billing])
        seen: list[tuple[str, list[str]]] = []

        def reply(context: ResponseContext) -> Reply:
            seen.append((context.instructions, [tool["name"] for tool in context.tools]))
            if context.items[-1]["type"] == "function_call_output":
                return [Say("Which invoice is it?")]
            return [Call("transfer_to_billing", {})]

        scene = await stage(front, reply)
        await scene.session.send_message("My invoice is wrong.")
        told = await scene.until("handoff", "agent_end", "agent_end")
        [handoff] = [event for event in told if event.type == "handoff"]
        assert (handoff.from_agent, handoff.to_agent) == (front, billing)
        assert [event.agent.name for event in told if event.type == "agent_end"] == ["Front", "Billing"]
        assert seen == [("Be kind.", ["transfer_to_billing"]), ("Be exact.", ["get_weather"])]
        order = [event["type"] for event in scene.sent("session.update", "conversation.item.create")]
        assert order[-2:] == ["session.update", "conversation.item.create"]
        *_, call, answer = history(scene.events)
        assert json.loads(call.output) == {"assistant": "Billing"}
        assert words(answer) == "Which invoice is it?"


def mentions(word: str) -> OutputGuardrail[Any]:
    async def check(context: Any, agent: Any, output: str) -> GuardrailFunctionOutput:
        return GuardrailFunctionOutput(output_info=None, tripwire_triggered=word in output)

    return OutputGuardrail(guardrail_function=check, name=f"no_{word}")


class TestGuardrails:
    async def test_what_trips_one_is_cut_and_made_good(self, stage: Stage) -> None:
        agent = RealtimeAgent(name="Shop", output_guardrails=[mentions("dollars")])

        def reply(context: ResponseContext) -> Reply:
            if "guardrail triggered: no_dollars" in last(context):
                return [Say("I may not say.")]
            return [Say("It costs a hundred dollars, and that is a lot of money for a thing such as this one.")]

        config = {"guardrails_settings": {"debounce_text_length": 10}}
        scene = await stage(agent, reply, config=config)
        await scene.session.send_message("What does it cost?")
        told = await scene.until("guardrail_tripped", "agent_end", "agent_end")
        [tripped] = [event for event in told if event.type == "guardrail_tripped"]
        assert [result.guardrail.get_name() for result in tripped.guardrail_results] == ["no_dollars"]
        assert "dollars" in tripped.message
        _, wrong, feedback, right = history(scene.events)
        if scene.plays:
            [interrupted] = [event for event in told if event.type == "audio_interrupted"]
            assert interrupted.item_id == wrong.item_id
        else:  # the far end may not have begun to play it: then nothing came here that could be cut
            async with asyncio.timeout(PATIENCE):
                await scene.connection.received_event("output_audio_buffer.clear")
        assert words(feedback) == "guardrail triggered: no_dollars"
        assert words(right) == "I may not say."

    @pytest.mark.parametrize("stage", ["websocket"], indirect=True)  # where generating can be slowed down
    async def test_what_is_still_being_said_is_cancelled(self, stage: Stage) -> None:
        agent = RealtimeAgent(name="Shop", output_guardrails=[mentions("dollars")])

        def reply(context: ResponseContext) -> Reply:
            return [Say("I may not say." if "triggered" in last(context) else f"A hundred dollars. {LONG}")]

        config = {"guardrails_settings": {"debounce_text_length": 10}}
        scene = await stage(agent, reply, config=config, pace=1)
        await scene.session.send_message("What does it cost?")
        told = await scene.until("guardrail_tripped", "audio_interrupted", "agent_end", "agent_end")
        [cancel] = scene.sent("response.cancel")
        started = [
            event.data for event in told if event.type == "raw_model_event" and event.data.type == "turn_started"
        ]
        assert cancel["response_id"] == started[0].response_id
        heard = [event for event in told if event.type == "audio"]
        cut = next(number for number, event in enumerate(told) if event.type == "audio_interrupted")
        assert {event.audio.response_id for event in told[cut:] if event.type == "audio"} == {started[1].response_id}
        assert heard[0].audio.response_id == started[0].response_id
        assert words(history(scene.events)[-1]) == "I may not say."

    async def test_what_trips_none_is_heard(self, stage: Stage) -> None:
        agent = RealtimeAgent(name="Shop", output_guardrails=[mentions("dollars")])
        scene = await stage(agent, says(ANSWER), config={"guardrails_settings": {"debounce_text_length": 5}})
        await scene.session.send_message("Hello?")
        told = await scene.until("agent_end", "audio_end")
        assert not {"guardrail_tripped", "audio_interrupted"} & {event.type for event in told}
        assert len(scene.sent("response.create")) == 1

    @pytest.mark.parametrize("stage", OURS, indirect=True)  # the SDK's own tells of the cancel that comes too late
    async def test_written_words_are_judged_too(self, stage: Stage) -> None:
        agent = RealtimeAgent(name="Shop", output_guardrails=[mentions("dollars")])
        config = {"model_settings": {"modalities": ["text"]}, "guardrails_settings": {"debounce_text_length": 10}}

        def reply(context: ResponseContext) -> Reply:
            return [Say("I may not say." if "triggered" in last(context) else "It costs a hundred dollars.")]

        scene = await stage(agent, reply, config=config)
        await scene.session.send_message("What does it cost?")
        told = await scene.until("guardrail_tripped", "agent_end", "agent_end")
        assert "audio_interrupted" not in {event.type for event in told}
        assert words(history(scene.events)[-1]) == "I may not say."


class TestApprovals:
    @pytest.mark.parametrize("approved", [True, False])
    async def test_a_call_waits_for_a_decision(self, stage: Stage, approved: bool) -> None:
        paid: list[int] = []

        @function_tool(needs_approval=True)
        def pay(euros: int) -> str:
            paid.append(euros)
            return f"Paid {euros}"

        def reply(context: ResponseContext) -> Reply:
            if context.items[-1]["type"] == "function_call_output":
                return [Say(last(context))]
            return [Call("pay", {"euros": 5})]

        scene = await stage(RealtimeAgent(name="Cashier", tools=[pay]), reply)
        await scene.session.send_message("Pay, please.")
        *_, asked = await scene.until("agent_end", "tool_approval_required")
        asked = next(event for event in scene.events if event.type == "tool_approval_required")
        assert (asked.tool, json.loads(asked.arguments), paid) == (pay, {"euros": 5}, [])
        if approved:
            await scene.session.approve_tool_call(asked.call_id)
        else:
            await scene.session.reject_tool_call(asked.call_id, rejection_message="Not today.")
        await scene.until("tool_end", "agent_end")
        assert paid == ([5] if approved else [])
        *_, call, answer = history(scene.events)
        assert (call.status, call.output) == ("completed", "Paid 5" if approved else "Not today.")
        assert words(answer) == call.output


LONG = "Once upon a time there was a king who had a castle, and in the castle there was a tower, and in it a room."


class TestInterruption:
    async def test_a_story_is_stopped(self, stage: Stage) -> None:
        scene = await stage(RealtimeAgent(name="Storyteller"), says(LONG), pace=1)
        await scene.session.send_message("Tell me a story.")
        await scene.until("audio")
        await scene.session.interrupt()
        told = await scene.until("audio_interrupted")
        assert told[-1].item_id == history(scene.events)[-1].item_id
        async with asyncio.timeout(PATIENCE):
            if scene.plays:
                await scene.connection.received_event("conversation.item.truncate")
            else:
                await scene.connection.received_event("output_audio_buffer.clear")
        assert len(scene.sent("conversation.item.truncate", "output_audio_buffer.clear")) == 1


class TestPlayback:
    @pytest.mark.parametrize("stage", ["the SDK's own", "websocket"], indirect=True)  # elsewhere the far end plays
    async def test_what_the_tracker_says_was_heard(self, stage: Stage) -> None:
        tracker = RealtimePlaybackTracker()
        scene = await stage(RealtimeAgent(name="Storyteller"), says(LONG), model_config={"playback_tracker": tracker})
        await scene.session.send_message("Tell me a story.")
        told = await scene.until("agent_end", "audio_end")
        first = next(event for event in told if event.type == "audio")
        tracker.on_play_bytes(first.item_id, first.content_index, bytes(48 * 300))
        await scene.session.interrupt()
        async with asyncio.timeout(PATIENCE):
            cut = await scene.connection.received_event("conversation.item.truncate")
        assert (cut["item_id"], cut["content_index"], cut["audio_end_ms"]) == (first.item_id, 0, 300)


class TestSurprises:
    @pytest.mark.parametrize("stage", OURS, indirect=True)  # to the SDK's own an unknown event is an error
    async def test_are_survived(self, stage: Stage) -> None:
        scene = await stage(RealtimeAgent(name="Assistant"), says(ANSWER))
        unknown = {"type": "from.the.future", "event_id": "event_x", "what": [1, {"is": None}]}
        await scene.connection.inject(unknown)
        await scene.session.send_message("Hello?")
        told = await scene.until("agent_end")
        frames = [event.data.data for event in told if _is_raw(event)]
        assert unknown in frames
        sent = [event["type"] for event in scene.connection.sent]
        assert [frame["type"] for frame in frames] == sent[: len(frames)]

    @pytest.mark.parametrize("stage", OURS, indirect=True)
    async def test_junk_is_an_error_and_no_end(self, stage: Stage) -> None:
        scene = await stage(RealtimeAgent(name="Assistant"), says(ANSWER))
        await scene.connection.inject("junk")
        with pytest.raises(AssertionError, match="an error was told"):
            await scene.until("agent_end")
        await scene.session.send_message("Hello?")
        await scene.until("agent_end")


def _is_raw(event: Any) -> bool:
    return bool(event.type == "raw_model_event" and event.data.type == "raw_server_event")


class TestTheEnd:
    async def test_a_far_end_that_closes_ends_the_iteration(self, stage: Stage) -> None:
        scene = await stage(RealtimeAgent(name="Assistant"), says(ANSWER))
        await scene.connection.close(1000)
        async with asyncio.timeout(PATIENCE):
            told = [event async for event in scene.session]
        last_told = [event.data.type for event in told if event.type == "raw_model_event"][-2:]
        assert last_told == ["connection_status", "end_of_stream"]

    @pytest.mark.parametrize("stage", ["websocket"], indirect=True)  # a call that breaks off looks like a hang-up
    async def test_a_lost_connection_is_raised(self, stage: Stage) -> None:
        scene = await stage(RealtimeAgent(name="Assistant"), says(ANSWER))
        await scene.connection.drop()
        with pytest.raises(RemoteClosedError):
            async with asyncio.timeout(PATIENCE):
                async for _ in scene.session:
                    pass
