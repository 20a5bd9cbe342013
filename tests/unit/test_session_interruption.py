"""Interruption as a session sees it: what is cut, what was heard, and what is dropped from the stream."""

from __future__ import annotations

from typing import Any

import pytest

from jackfield import RealtimePlaybackTracker, RealtimeSession
from support.memory_wire import AUDIO, FarEnd, open_session, read_until, response_done, speaking, spoken_turn, text_turn

SPEECH = {"type": "input_audio_buffer.speech_started", "item_id": "user_9", "audio_start_ms": 5_000}


def audio_of(events: list[Any], item_id: str) -> bytes:
    return b"".join(event.audio.data for event in events if event.type == "audio" and event.item_id == item_id)


async def say(session: RealtimeSession, far: FarEnd, how: str) -> None:
    """Interrupt by voice or by hand."""
    if how == "barge-in":
        far.send(SPEECH)
        await far.heard()
    else:
        await session.interrupt()


@pytest.fixture
def tracker() -> RealtimePlaybackTracker:
    return RealtimePlaybackTracker()


BOTH = pytest.mark.parametrize("how", ["barge-in", "interrupt()"])


class TestWhileItSpeaks:
    @BOTH
    async def test_the_item_is_cut_where_the_user_stopped_hearing_it(
        self, tracker: RealtimePlaybackTracker, how: str
    ) -> None:
        async with open_session(playback_tracker=tracker) as (session, far):
            far.send(*speaking())
            await read_until(session, "audio")
            tracker.on_play_ms("item_1", 0, 120)
            await say(session, far, how)
            told = (await read_until(session, "audio_interrupted"))[-1]
            assert (told.item_id, told.content_index, told.played_ms) == ("item_1", 0, 120)
            assert told.response_id == "resp_1"
            truncate = await far.received("conversation.item.truncate")
            assert (truncate["item_id"], truncate["content_index"], truncate["audio_end_ms"]) == ("item_1", 0, 120)
            # The far end cancels by itself where it heard the user; otherwise it must be told.
            assert far.types.count("response.cancel") == (how != "barge-in")
            (item,) = session.history
            assert (item.status, item.played_ms, item.text) == ("interrupted", 120, "Hello there.")

    @BOTH
    async def test_unread_audio_of_the_part_is_dropped_and_no_other(
        self, tracker: RealtimePlaybackTracker, how: str
    ) -> None:
        async with open_session(playback_tracker=tracker) as (session, far):
            far.send(*spoken_turn("resp_0", "item_0"), *speaking(previous="item_0"))
            await far.heard()
            tracker.on_play_ms("item_0", 0, 200)
            await say(session, far, how)
            events = await read_until(session, "audio_interrupted")
            assert audio_of(events, "item_0") == AUDIO * 2
            assert audio_of(events, "item_1") == b""
            assert events[-1].item_id == "item_1"
            assert [event.item_id for event in events if event.type == "audio_start"] == ["item_0", "item_1"]

    @BOTH
    async def test_audio_that_comes_late_is_dropped_until_the_next_response(
        self, tracker: RealtimePlaybackTracker, how: str
    ) -> None:
        async with open_session(playback_tracker=tracker) as (session, far):
            turn = spoken_turn("resp_1", "item_1")
            far.send(*speaking())
            await far.heard()
            await say(session, far, how)
            late = [frame for frame in turn if frame["type"] == "response.output_audio.delta"]
            far.send(*late, response_done("resp_1", status="cancelled"))
            far.send(*spoken_turn("resp_2", "item_2", previous="item_1"))
            events = await read_until(session, lambda event: getattr(event, "output", "") == "Hello there.")
            assert audio_of(events, "item_1") == b""
            assert audio_of(events, "item_2") == AUDIO * 2
            ends = [(event.response_id, event.status) for event in events if event.type == "agent_end"]
            assert ends == [("resp_1", "cancelled"), ("resp_2", "completed")]

    async def test_what_is_told_stays_when_the_item_ends(self, tracker: RealtimePlaybackTracker) -> None:
        async with open_session(playback_tracker=tracker) as (session, far):
            turn = spoken_turn("resp_1", "item_1")
            far.send(*speaking())
            await far.heard()
            tracker.on_play_ms("item_1", 0, 50)
            await session.interrupt()
            far.send(*turn[len(speaking()) :])
            await read_until(session, "agent_end")
            (item,) = session.history
            assert (item.status, item.played_ms) == ("interrupted", 50)


class TestOtherMoments:
    @BOTH
    async def test_nothing_is_said_nothing_is_sent(self, how: str) -> None:
        async with open_session() as (session, far):
            await say(session, far, how)
            assert far.types == ["session.update"]

    async def test_before_the_first_audio(self) -> None:
        async with open_session() as (session, far):
            far.send(speaking()[0])
            await far.heard()
            await session.interrupt()
            assert far.types == ["session.update", "response.cancel"]
            assert (await far.received("response.cancel"))["response_id"] == "resp_1"

    @BOTH
    async def test_after_generation_while_it_still_plays(self, tracker: RealtimePlaybackTracker, how: str) -> None:
        async with open_session(playback_tracker=tracker) as (session, far):
            far.send(*spoken_turn("resp_1", "item_1"))
            await far.heard()
            tracker.on_play_ms("item_1", 0, 70)
            await say(session, far, how)
            truncate = await far.received("conversation.item.truncate")
            assert truncate["audio_end_ms"] == 70
            assert "response.cancel" not in far.types
            assert session.history[0].status == "interrupted"

    @BOTH
    async def test_after_all_was_played(self, tracker: RealtimePlaybackTracker, how: str) -> None:
        async with open_session(playback_tracker=tracker) as (session, far):
            far.send(*spoken_turn("resp_1", "item_1"))
            await far.heard()
            tracker.on_play_ms("item_1", 0, 200)
            await say(session, far, how)
            assert far.types == ["session.update"]
            assert session.history[0].status == "completed"

    async def test_a_written_answer_is_cancelled_and_nothing_truncated(self) -> None:
        async with open_session() as (session, far):
            far.send(*text_turn("resp_1", "item_1")[:-3])
            await far.heard()
            await session.interrupt()
            assert far.types == ["session.update", "response.cancel"]

    async def test_where_the_model_is_to_be_heard_out_speech_interrupts_nothing(self) -> None:
        settings = {"turn_detection": {"interrupt_response": False}}
        async with open_session(config={"model_settings": settings}) as (session, far):
            far.send(*speaking(), SPEECH)
            events = await read_until(session, "speech_started")
            await far.heard()
            assert far.types == ["session.update"]
            assert audio_of(events, "item_1") == AUDIO * 2

    async def test_speech_is_told_before_what_it_interrupts(self, tracker: RealtimePlaybackTracker) -> None:
        async with open_session(playback_tracker=tracker) as (session, far):
            far.send(*speaking(), SPEECH)
            kinds = [event.type for event in await read_until(session, "audio_interrupted")]
            assert kinds[-2:] == ["speech_started", "audio_interrupted"]
