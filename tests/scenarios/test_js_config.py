"""Acceptance scenarios of the JavaScript SDK, 74-90: settings, handoffs, history, guardrails, and the end.

Each test carries the scenario's number. Without a test: 79 is a rule of a call's accept, and belongs to the sip
transport; 88 is one of a carrier's media stream, and comes with the transports that carry media.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jackfield import (
    AssistantAudio,
    AssistantMessageItem,
    GuardrailFunctionOutput,
    HostedMCPTool,
    InputAudio,
    InputText,
    RealtimeAgent,
    RealtimePlaybackTracker,
    RealtimeSession,
    RunContextWrapper,
    UserMessageItem,
    function_tool,
    output_guardrail,
    realtime_handoff,
)
from jackfield.errors import (
    AlreadyConnectedError,
    ConfigurationError,
    NotConnectedError,
    RemoteClosedError,
    SessionStateError,
)
from support.clock import settle, timeless
from support.memory_wire import (
    FarEnd,
    MemoryWire,
    call_turn,
    memory_transport,
    open_session,
    read_until,
    response_done,
    spoken_turn,
    text_turn,
    user_item,
)

Event = dict[str, Any]


async def first_update(agent: RealtimeAgent | None = None, **options: Any) -> Any:
    async with open_session(agent, **options) as (_, far):
        return far.frames[0]["session"]


async def first_update_with(**settings: Any) -> Any:
    return await first_update(config={"model_settings": settings})


def spoken_and_called(response_id: str, item_id: str, words: list[str], call: tuple[str, str, str]) -> list[Event]:
    """A response that speaks and then makes a call."""
    speech, calls = spoken_turn(response_id, item_id, words), call_turn(response_id, call, previous=item_id)
    output = [turn[-1]["response"]["output"][0] for turn in (speech, calls)]
    return [*speech[:-1], *calls[1:-1], response_done(response_id, output)]


class TestSettings:
    async def test_j74_another_agent_leaves_the_formats_and_everything_else_as_they_are(self) -> None:
        second = RealtimeAgent("Second", instructions="Be exact.", voice="cedar")
        settings = {"input_audio_format": "g711_ulaw", "output_audio_format": "g711_ulaw", "speed": 1.2}
        async with open_session(config={"model_settings": settings}) as (session, far):
            audio = far.frames[0]["session"]["audio"]
            assert audio["input"]["format"] == audio["output"]["format"] == {"type": "audio/pcmu"}
            await session.update_agent(second)
            update = await far.received("session.update")
            assert update["session"] == {"type": "realtime", "instructions": "Be exact.", "tools": []}

    async def test_j75_a_voice_alone_takes_nothing_else_along(self) -> None:
        bare, voiced = await first_update(), await first_update_with(voice="marin")
        assert voiced["audio"]["output"] == {"voice": "marin"}
        assert voiced["audio"]["input"] == bare["audio"]["input"]
        assert {key: value for key, value in voiced.items() if key != "audio"} == {
            key: value for key, value in bare.items() if key != "audio"
        }
        mixed = await first_update_with(voice="marin", audio={"output": {"speed": 1.25}})
        assert mixed["audio"]["output"] == {"voice": "marin", "speed": 1.25}

    @pytest.mark.parametrize(
        "settings",
        [
            {"turn_detection": None, "input_audio_transcription": None, "input_audio_noise_reduction": None},
            {"audio": {"input": {"turn_detection": None, "transcription": None, "noise_reduction": None}}},
            {"turnDetection": None, "inputAudioTranscription": None, "inputAudioNoiseReduction": None},
        ],
    )
    async def test_j76_none_switches_off(self, settings: Event) -> None:
        update = await first_update_with(**settings)
        assert update["audio"]["input"] == {"turn_detection": None, "transcription": None, "noise_reduction": None}

    @pytest.mark.parametrize("nested", [True, False])
    async def test_j76_what_is_false_or_zero_is_sent(self, nested: bool) -> None:
        detection = {
            "type": "server_vad",
            "threshold": 0.0,
            "prefix_padding_ms": 0,
            "silence_duration_ms": 0,
            "create_response": False,
            "interrupt_response": False,
        }
        settings = {"audio": {"input": {"turn_detection": detection}}} if nested else {"turn_detection": detection}
        update = await first_update_with(**settings, parallel_tool_calls=False)
        assert update["audio"]["input"]["turn_detection"] == detection
        assert update["parallel_tool_calls"] is False

    async def test_j77_of_a_tool_only_what_the_api_knows_is_sent(self) -> None:
        @function_tool(needs_approval=True, timeout=5, background=True, is_enabled=lambda context, agent: True)
        def look(city: str) -> str:
            """Look out of the window."""
            return city

        hosted = HostedMCPTool(
            {
                "server_label": "docs",
                "connector_id": "connector_1",
                "authorization": "token",
                "server_description": "D",
            },
            on_approval_request=lambda request: True,
        )
        other = realtime_handoff(RealtimeAgent("Other"), on_handoff=lambda context: None)
        update = await first_update(RealtimeAgent("A", tools=[look, hosted], handoffs=[other]))
        function, server, handoff = update["tools"]
        keys = {"type", "name", "description", "parameters"}
        assert (set(function), set(handoff)) == (keys, keys)
        assert function["description"] == "Look out of the window."
        assert server == {"type": "mcp", **hosted.tool_config}

    async def test_j78_an_agent_without_tools_clears_those_of_the_last_one(self) -> None:
        @function_tool
        def ping() -> str:
            return "pong"

        async with open_session(RealtimeAgent("A", tools=[ping], handoffs=[RealtimeAgent("B")])) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "transfer_to_b", "{}")))
            assert (await far.received("session.update"))["session"]["tools"] == []
            await session.update_agent(RealtimeAgent("C", tools=[ping]))
            assert len((await far.received("session.update"))["session"]["tools"]) == 1
            await session.update_agent(RealtimeAgent("D"))
            assert (await far.received("session.update"))["session"]["tools"] == []

    async def test_j87_tracing_is_null_where_it_is_off_and_yours_where_you_say_so(self) -> None:
        ours = {"workflow_name": "support", "group_id": "call_7", "metadata": {"tier": "gold"}}
        assert "tracing" not in await first_update()
        assert (await first_update_with(tracing=ours))["tracing"] == ours
        assert (await first_update_with(tracing="auto"))["tracing"] == "auto"
        assert (await first_update_with(tracing=None))["tracing"] is None
        for settings in ({}, {"tracing": "auto"}, {"tracing": ours}):
            update = await first_update(config={"tracing_disabled": True, "model_settings": settings})
            assert update["tracing"] is None
        async with open_session(config={"tracing_disabled": True}) as (session, far):
            await session.update_agent(RealtimeAgent("B"))
            assert "tracing" not in (await far.received("session.update"))["session"]


class TestHistory:
    async def test_j80_a_cut_item_that_comes_again_without_its_words_keeps_them(self) -> None:
        tracker = RealtimePlaybackTracker()
        async with open_session(playback_tracker=tracker) as (session, far):
            far.send(*spoken_turn("resp_1", "item_1"))
            await far.heard()
            tracker.on_play_ms("item_1", 0, 100)
            await session.interrupt()
            cut = {"id": "item_1", "type": "message", "role": "assistant", "content": [{"type": "output_audio"}]}
            far.send({"type": "conversation.item.truncated", "item_id": "item_1", "content_index": 0})
            far.send({"type": "conversation.item.retrieved", "item": cut | {"status": "completed"}})
            far.send({"type": "conversation.item.retrieved", "item": cut | {"content": []}})
            await far.heard()
            (item,) = session.history
            assert item.content == (AssistantAudio("Hello there."),)
            assert (item.status, item.played_ms, item.heard_text) == ("interrupted", 100, "Hello")

    async def test_j81_each_transcript_lands_on_its_own_item(self) -> None:
        kind = "conversation.item.input_audio_transcription.completed"
        async with open_session() as (session, far):
            far.send(*user_item("user_1"), *user_item("user_2", previous="user_1"))
            far.send({"type": kind, "item_id": "user_2", "content_index": 0, "transcript": "Second."})
            far.send(*user_item("user_3", previous="user_2"))
            far.send({"type": kind, "item_id": "user_1", "content_index": 0, "transcript": "First."})
            far.send({"type": kind, "item_id": "user_3", "content_index": 0, "transcript": "Third."})
            await far.heard()
            assert [(item.item_id, item.content) for item in session.history] == [
                ("user_1", (InputAudio("First."),)),
                ("user_2", (InputAudio("Second."),)),
                ("user_3", (InputAudio("Third."),)),
            ]

    async def test_j82_after_nothing_is_first_and_after_nobody_knows_what_is_last(self) -> None:
        async with open_session() as (session, far):
            far.send(*user_item("middle", "m"), *user_item("first", "f"))
            (added, done) = user_item("last", "l")
            del added["previous_item_id"], done["previous_item_id"]
            far.send(
                added,
                done,
                *user_item("stray", "s", previous="never seen"),
                *user_item("second", "2", previous="first"),
            )
            await far.heard()
            assert [item.item_id for item in session.history] == ["first", "second", "middle", "last", "stray"]

    async def test_j83_edits_keep_their_place_and_what_can_not_be_replayed_is_refused_first(self) -> None:
        async with open_session() as (session, far):
            far.send(*user_item("user_1", "One"), *spoken_turn("resp_1", "item_1", previous="user_1"))
            far.send(*user_item("user_2", "Two", previous="item_1"))
            await far.heard()
            first, spoken, _ = session.history
            note = UserMessageItem(item_id="note", content=(InputText("Between."),))
            changed = UserMessageItem(item_id="user_2", content=(InputText("Two and a half"),))
            await session.update_history([first, note, spoken, changed])
            created = [frame for frame in far.frames if frame["type"] == "conversation.item.create"]
            deleted = [frame["item_id"] for frame in far.frames if frame["type"] == "conversation.item.delete"]
            assert deleted == ["user_2"]
            assert [(frame["item"]["id"], frame["previous_item_id"]) for frame in created] == [
                ("note", "user_1"),
                ("user_2", "item_1"),
            ]

            before = list(far.types)
            forged = AssistantMessageItem(item_id="item_1", content=(AssistantAudio("I never said that."),))
            with pytest.raises(ConfigurationError, match="can't create anew"):
                await session.update_history([forged])
            await settle_over_the_wire(session, far)
            assert far.types == before
            assert [item.item_id for item in session.history][:3] == ["user_1", "item_1", "user_2"]

    async def test_j84_speech_before_a_handoff_is_told_at_the_end_as_its_speakers(self) -> None:
        second = RealtimeAgent("Second")
        first = RealtimeAgent("First", handoffs=[second])
        async with open_session(first) as (session, far):
            turn = spoken_and_called("resp_1", "item_1", ["One moment."], ("call_1", "transfer_to_second", "{}"))
            far.send(*turn[:-1])
            await read_until(session, "handoff")
            far.send(turn[-1])
            ended = (await read_until(session, "agent_end"))[-1]
            assert (ended.agent, ended.output) == (first, "One moment.")
            assert session.current_agent is second


async def settle_over_the_wire(session: RealtimeSession, far: FarEnd) -> None:
    """Have a written turn go by: whatever was to follow from what came before has followed."""
    far.send(*text_turn("resp_9", "item_9", previous="never seen"))
    await read_until(session, lambda event: event.type == "agent_end" and event.response_id == "resp_9")
    await far.heard()


class Judge:
    """A guardrail that trips on one word, when it is let."""

    def __init__(self, *, at_once: bool = True) -> None:
        self.asked, self.released = asyncio.Event(), asyncio.Event()
        if at_once:
            self.released.set()
        self.config = {"output_guardrails": [output_guardrail(name="judge")(self.judge)]}

    async def judge(self, context: RunContextWrapper[Any], agent: RealtimeAgent, text: str) -> GuardrailFunctionOutput:
        self.asked.set()
        await self.released.wait()
        return GuardrailFunctionOutput(None, tripwire_triggered="bad" in text)


class TestGuardrails:
    async def test_j85_a_verdict_on_an_older_response_is_told_and_leaves_the_newer_one_alone(self) -> None:
        judge = Judge(at_once=False)
        tracker = RealtimePlaybackTracker()
        async with open_session(config=judge.config, playback_tracker=tracker) as (session, far):
            far.send(*spoken_turn("resp_1", "item_1", ["bad words"]))
            await judge.asked.wait()
            newer = spoken_turn("resp_2", "item_2", ["good"], previous="item_1")
            far.send(*newer[:-3])
            await far.heard()
            tracker.on_play_ms("item_1", 0, 100)
            judge.released.set()
            tripped = (await read_until(session, "guardrail_tripped"))[-1]
            assert (tripped.response_id, tripped.item_id, tripped.message) == ("resp_1", "item_1", "bad words")
            far.send(*newer[-3:])
            await settle_over_the_wire(session, far)
            assert far.types == ["session.update"]

    @pytest.mark.parametrize("how", ["the session", "the connection"])
    @timeless
    async def test_j85_a_verdict_that_comes_after_the_end_is_nobodys(self, how: str) -> None:
        judge = Judge(at_once=False)
        async with open_session(config=judge.config) as (session, far):
            told: list[Any] = []
            session.on("guardrail_tripped", told.append)
            session.on("error", told.append)
            far.send(*text_turn("resp_1", "item_1", ["bad"]))
            await judge.asked.wait()
            if how == "the session":
                await session.close()
            else:
                far.close()
                async for _ in session:
                    pass
            judge.released.set()
            await settle()
            assert far.types == ["session.update"]
            assert told == []

    async def test_j86_words_that_are_written_are_cancelled_by_their_response(self) -> None:
        judge = Judge()
        judge.config["guardrails_settings"] = {"debounce_text_length": 1, "feedback_message": "Say it kindly."}
        async with open_session(config=judge.config) as (session, far):
            cut: list[Any] = []
            session.on("audio_interrupted", cut.append)
            far.send(*text_turn("resp_1", "item_1", ["very ", "bad ", "words"])[:-4])
            await read_until(session, "guardrail_tripped")
            assert (await far.received("response.cancel"))["response_id"] == "resp_1"
            message = await far.received("conversation.item.create")
            assert message["item"]["content"] == [{"type": "input_text", "text": "Say it kindly."}]
            far.send(response_done("resp_1", status="cancelled"))
            await far.received("response.create")
            assert far.types[1:] == ["response.cancel", "conversation.item.create", "response.create"]
            assert cut == []


class TestTheEnd:
    async def test_j89_a_connect_that_fails_takes_no_tools_from_the_live_session(self) -> None:
        @function_tool
        def ping() -> str:
            return "pong"

        agent = RealtimeAgent("A", tools=[ping])
        wire = MemoryWire()
        transport = memory_transport(wire)
        async with RealtimeSession(agent, transport=transport) as session:
            with pytest.raises(AlreadyConnectedError):
                await transport.connect()
            with pytest.raises(SessionStateError):
                await session.enter()
            with pytest.raises(AlreadyConnectedError):
                await RealtimeSession(agent, transport=transport).enter()
            (far,) = wire.far_ends
            far.send(*call_turn("resp_1", ("call_1", "ping", "{}")))
            assert (await far.received("conversation.item.create"))["item"]["output"] == "pong"
            await far.received("response.create")
            assert far.types.count("conversation.item.create") == 1

    @pytest.mark.parametrize("code", [1000, 1001, 1011, 4000, 1006])
    async def test_j90_the_far_ends_close_is_told_with_code_and_reason(self, code: int) -> None:
        async with open_session() as (session, far):
            errors: list[Any] = []
            session.on("error", lambda event: errors.append(event.error))
            far.send(*text_turn("resp_1", "item_1"))
            far.close(code, "going home")
            events: dict[str, Any] = {}
            failure: RemoteClosedError | None = None
            try:
                async for event in session:
                    events[event.type] = event
            except RemoteClosedError as error:
                failure = error
            change = events["connection_change"]
            assert (change.status, change.code, change.reason) == ("disconnected", code, "going home")
            assert change.initiated_by == "remote"
            assert "agent_end" in events
            if code == 1000:
                assert (failure, errors) == (None, [])
            else:
                assert failure is not None
                assert (failure.code, failure.reason) == (code, "going home")
                assert errors == [failure]
            with pytest.raises(NotConnectedError, match="make a new RealtimeSession"):
                await session.send_message("Are you there?")
