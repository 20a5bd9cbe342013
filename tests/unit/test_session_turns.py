"""Turns: what the session tells of a spoken and of a written one, in what order, and what the history becomes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jackfield import RealtimeAgent, function_tool
from jackfield.errors import JackfieldError, ListenerError, ProtocolError, ProviderError
from jackfield.transport.items import AssistantAudio, AssistantText, InputAudio, InputImage, InputText
from support.memory_wire import (
    AUDIO,
    call_turn,
    open_session,
    read_until,
    response_done,
    spoken_turn,
    text_turn,
    user_item,
)


def kinds(events: list[Any], *left_out: str) -> list[str]:
    return [event.type for event in events if event.type not in {"raw_model_event", "history_updated", *left_out}]


def transcript(item_id: str, text: str, index: int = 0) -> dict[str, Any]:
    kind = "conversation.item.input_audio_transcription.completed"
    return {"type": kind, "item_id": item_id, "content_index": index, "transcript": text}


HEARD = [
    {"type": "input_audio_buffer.speech_started", "item_id": "user_1", "audio_start_ms": 100},
    {"type": "input_audio_buffer.speech_stopped", "item_id": "user_1", "audio_end_ms": 900},
    {"type": "input_audio_buffer.committed", "item_id": "user_1", "previous_item_id": None},
    *user_item("user_1"),
]


class TestASpokenTurn:
    async def test_order_of_events(self) -> None:
        async with open_session() as (session, far):
            await read_until(session, lambda event: getattr(event, "status", "") == "connected")
            turn = spoken_turn("resp_1", "item_1", ["Hello", " there."], previous="user_1", tokens=7)
            middle = 1 + [frame["type"] for frame in turn].index("response.output_audio.delta")
            words = {"type": "conversation.item.input_audio_transcription.delta", "item_id": "user_1"}
            far.send(*HEARD, *turn[:middle], words | {"content_index": 0, "delta": "Good"})
            far.send(transcript("user_1", "Good morning"), *turn[middle:])
            assert kinds(await read_until(session, "agent_end")) == [
                "speech_started",
                "speech_stopped",
                "history_added",
                "agent_start",
                "history_added",
                "transcript_delta",
                "audio_start",
                "audio",
                "transcript_delta",
                "input_audio_transcription_completed",
                "transcript_delta",
                "audio",
                "audio_end",
                "usage_update",
                "agent_end",
            ]

    async def test_what_the_events_say(self) -> None:
        agent = RealtimeAgent("Greeter")
        async with open_session(agent, context="the application's") as (session, far):
            far.send(*HEARD, *spoken_turn("resp_1", "item_1", ["Hello", " there."], previous="user_1"))
            told: dict[str, Any] = {}
            for event in await read_until(session, "agent_end"):
                told.setdefault(event.type, []).append(event)
            assert b"".join(event.audio.data for event in told["audio"]) == AUDIO * 2
            assert {(event.item_id, event.content_index) for event in told["audio"]} == {("item_1", 0)}
            assert told["audio"][0].audio.response_id == "resp_1"
            assert told["audio"][0].audio.format.rate == 24_000
            assert [(event.role, event.source, event.delta) for event in told["transcript_delta"]] == [
                ("assistant", "audio", "Hello"),
                ("assistant", "audio", " there."),
            ]
            (started,), (ended,) = told["agent_start"], told["agent_end"]
            assert (started.agent, started.response_id) == (agent, "resp_1")
            assert (ended.agent, ended.status, ended.output) == (agent, "completed", "Hello there.")
            assert [event.item.item_id for event in told["history_added"]] == ["user_1", "item_1"]
            assert (told["speech_started"][0].audio_start_ms, told["speech_stopped"][0].audio_end_ms) == (100, 900)
            infos = {id(event.info) for events in told.values() for event in events if hasattr(event, "info")}
            assert len(infos) <= 2
            assert started.info.context is session.context
            assert session.context.context == "the application's"

    async def test_the_users_words_as_they_are_heard(self) -> None:
        async with open_session() as (session, far):
            kind = "conversation.item.input_audio_transcription.delta"
            far.send(*HEARD)
            far.send(
                *({"type": kind, "item_id": "user_1", "content_index": 0, "delta": word} for word in ("Good", " day"))
            )
            far.send(transcript("user_1", "Good day."))
            events = await read_until(session, "input_audio_transcription_completed")
            deltas = [event for event in events if event.type == "transcript_delta"]
            assert [(event.role, event.source, event.delta) for event in deltas] == [
                ("user", "audio", "Good"),
                ("user", "audio", " day"),
            ]
            assert events[-1].transcript == "Good day."

    async def test_the_history_it_leaves(self) -> None:
        async with open_session() as (session, far):
            far.send(*HEARD, *spoken_turn("resp_1", "item_1", previous="user_1"), transcript("user_1", "Good day."))
            await far.heard()
            said, answered = session.history
            assert (said.role, said.content, said.status) == ("user", (InputAudio("Good day."),), "completed")
            assert answered.content == (AssistantAudio("Hello there."),)
            assert (answered.status, answered.response_id) == ("completed", "resp_1")
            assert answered.text.startswith(answered.heard_text)


class TestAWrittenTurn:
    async def test_order_of_events(self) -> None:
        async with open_session() as (session, far):
            await read_until(session, lambda event: getattr(event, "status", "") == "connected")
            await session.send_message("Hi")
            await far.received("response.create")
            far.send(*user_item("user_1", "Hi"), *text_turn("resp_1", "item_1", ["A", "B"], previous="user_1"))
            events = await read_until(session, "agent_end")
            assert kinds(events) == [
                "history_added",
                "agent_start",
                "history_added",
                "transcript_delta",
                "transcript_delta",
                "agent_end",
            ]
            assert events[-1].output == "AB"
            assert [event.source for event in events if event.type == "transcript_delta"] == ["text", "text"]
            assert [item.content for item in session.history] == [(InputText("Hi"),), (AssistantText("AB"),)]


class TestEndings:
    @pytest.mark.parametrize("status", ["completed", "cancelled", "incomplete"])
    async def test_the_status_is_told(self, status: str) -> None:
        async with open_session() as (session, far):
            far.send(spoken_turn("resp_1", "item_1")[0], response_done("resp_1", status=status))
            ended = (await read_until(session, "agent_end"))[-1]
            assert (ended.status, ended.output) == (status, "")

    async def test_a_failed_one_is_an_error_and_the_session_goes_on(self) -> None:
        async with open_session() as (session, far):
            failed = response_done("resp_1", status="failed")
            error = {"type": "server_error", "code": "rate_limit_exceeded", "message": "slow down"}
            failed["response"]["status_details"] = {"type": "failed", "error": error}
            far.send(spoken_turn("resp_1", "item_1")[0], failed)
            events = await read_until(session, "agent_end")
            (told,) = [event.error for event in events if event.type == "error"]
            assert isinstance(told, ProviderError)
            assert (told.code, told.classification) == ("rate_limit_exceeded", "retry_turn")
            assert events[-1].status == "failed"
            await session.send_message("again")
            await far.received("response.create")

    async def test_several_messages_in_one_response(self) -> None:
        async with open_session() as (session, far):
            one, two = text_turn("resp_1", "item_1", ["one"]), text_turn("resp_1", "item_2", ["two"], previous="item_1")
            output = [turn[-1]["response"]["output"][0] for turn in (one, two)]
            far.send(*one[:-1], *two[1:-1], response_done("resp_1", output))
            events = await read_until(session, "agent_end")
            assert [event.output for event in events if event.type == "agent_end"] == ["two"]
            assert len([event for event in events if event.type == "agent_start"]) == 1
            assert [item.item_id for item in session.history] == ["item_1", "item_2"]

    async def test_the_first_audio_of_each_response_is_told(self) -> None:
        async with open_session() as (session, far):
            far.send(*spoken_turn("resp_1", "item_1"), *spoken_turn("resp_2", "item_2", previous="item_1"))
            events = await read_until(session, lambda event: getattr(event, "response_id", 0) == "resp_2")
            events += await read_until(session, "agent_end")
            starts = [event for event in events if event.type == "audio_start"]
            assert [(event.response_id, event.item_id) for event in starts] == [
                ("resp_1", "item_1"),
                ("resp_2", "item_2"),
            ]


class TestTheHistoryOverTheWire:
    async def test_items_before_their_place_is_known(self) -> None:
        async with open_session() as (session, far):
            reply = {"id": "reply", "type": "message", "role": "assistant", "content": []}
            far.send({"type": "response.output_item.added", "response_id": "resp_1", "item": reply})
            far.send(*user_item("question", "Why?"))
            far.send({"type": "conversation.item.added", "previous_item_id": "question", "item": reply})
            await far.heard()
            assert [item.item_id for item in session.history] == ["question", "reply"]

    async def test_an_image_the_far_end_repeats_without_its_data(self) -> None:
        async with open_session() as (session, far):
            added, done = user_item("user_1", "Look")
            image = {"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "low"}
            added["item"] = added["item"] | {"content": [*added["item"]["content"], image]}
            far.send(added, done)
            await far.heard()
            assert session.history[0].content == (
                InputText("Look"),
                InputImage("data:image/png;base64,AA", "low"),
            )

    async def test_a_tool_call_and_its_output_are_one_item(self) -> None:
        @function_tool
        def add() -> int:
            return 4

        async with open_session(RealtimeAgent("A", tools=[add])) as (session, far):
            output = {"type": "function_call_output", "id": "out_1", "call_id": "call_1", "output": "4"}
            far.send(*call_turn("resp_1", ("call_1", "add", "{}")))
            await far.received("response.create")
            far.send({"type": "conversation.item.added", "previous_item_id": "item_call_1", "item": output})
            far.send(*user_item("user_1", "Thanks", previous="out_1"))
            await far.heard()
            call, thanks = session.history
            assert (call.name, call.output, call.status) == ("add", "4", "completed")
            assert thanks.item_id == "user_1"

    async def test_deletion(self) -> None:
        async with open_session() as (session, far):
            far.send(*user_item("user_1", "Hi"), *user_item("user_2", "Ho", previous="user_1"))
            far.send({"type": "conversation.item.deleted", "item_id": "user_1"})
            await far.heard()
            assert [item.item_id for item in session.history] == ["user_2"]

    @settings(max_examples=40, deadline=None)
    @given(st.randoms(use_true_random=False), st.integers(0, 12))
    def test_any_order_of_frames(self, random: Any, doubled: int) -> None:
        async def converse() -> None:
            frames = [
                *HEARD,
                transcript("user_1", "Hi"),
                *spoken_turn("resp_1", "item_1", previous="user_1"),
                *call_turn("resp_2", ("call_1", "f", "{}"), previous="item_1"),
                *text_turn("resp_3", "item_3", previous="item_call_1"),
                {"type": "conversation.item.deleted", "item_id": random.choice(["item_1", "user_1", "nobody"])},
            ]
            frames += random.choices(frames, k=doubled)
            random.shuffle(frames)
            async with open_session() as (session, far):
                failures: list[JackfieldError] = []
                session.on("error", lambda event: failures.append(event.error))
                far.send(*frames)
                await far.heard()
                ids = [item.item_id for item in session.history]
                assert len(ids) == len(set(ids))
                assert set(ids) <= {"user_1", "item_1", "item_call_1", "item_3"}
                # What the far end got wrong may be told; nothing of the session's own may fail.
                assert [error for error in failures if isinstance(error, ListenerError)] == []
                assert session.status == "connected"

        asyncio.run(converse())


class TestWhatTheFarEndGetsWrong:
    async def test_junk_is_an_error_and_the_session_goes_on(self) -> None:
        async with open_session() as (session, far):
            far.send_frame(b"no json")
            assert isinstance((await read_until(session, "error"))[-1].error, ProtocolError)
            far.send({"type": "response.from_the_future", "novelty": {"a": [1]}})
            raw = await read_until(session, lambda event: getattr(event, "data", {}).get("novelty") is not None)
            assert raw[-1].data["novelty"] == {"a": [1]}
            far.send(*text_turn("resp_1", "item_1"))
            await read_until(session, "agent_end")

    async def test_its_errors_are_typed(self) -> None:
        async with open_session() as (session, far):
            error = {"type": "invalid_request_error", "code": "unknown_parameter", "message": "bogus", "param": "a.b"}
            far.send({"type": "error", "error": error})
            told = (await read_until(session, "error"))[-1].error
            assert isinstance(told, ProviderError)
            assert (told.code, told.param, told.classification) == ("unknown_parameter", "a.b", "rejected")

    async def test_a_transcription_that_failed(self) -> None:
        async with open_session() as (session, far):
            kind = "conversation.item.input_audio_transcription.failed"
            far.send(*HEARD, {"type": kind, "item_id": "user_1", "content_index": 0, "error": {"message": "mumbled"}})
            told = (await read_until(session, "input_audio_transcription_failed"))[-1]
            assert "mumbled" in str(told.error)
            assert session.history[0].content == (InputAudio(None),)

    @pytest.mark.parametrize(
        ("frame", "kind", "field", "value"),
        [
            (
                {
                    "type": "input_audio_buffer.timeout_triggered",
                    "item_id": "u",
                    "audio_start_ms": 1,
                    "audio_end_ms": 2,
                },
                "input_audio_timeout_triggered",
                "audio_end_ms",
                2,
            ),
            ({"type": "input_audio_buffer.dtmf_event_received", "event": "5"}, "dtmf_received", "digit", "5"),
            ({"type": "rate_limits.updated", "rate_limits": []}, "rate_limits_updated", "rate_limits", ()),
        ],
    )
    async def test_other_news_are_passed_on(self, frame: dict[str, Any], kind: str, field: str, value: Any) -> None:
        async with open_session() as (session, far):
            far.send(frame)
            assert getattr((await read_until(session, kind))[-1], field) == value
