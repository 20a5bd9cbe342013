"""Interruption and audio, as programs written for the Python agents SDK expect them: A90 to A100.

Where jackfield does better than that SDK, the test is of what jackfield does.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jackfield import AudioFormat, RealtimePlaybackState, RealtimePlaybackTracker, RealtimeSession
from jackfield.audio import UnknownAudioFormatError
from jackfield.errors import ConfigurationError
from support.clock import advance, settle, timeless
from support.memory_wire import (
    AUDIO,
    FarEnd,
    open_session,
    read_until,
    response_done,
    speaking,
    spoken_turn,
    text_turn,
    truncations,
)

SPEECH = {"type": "input_audio_buffer.speech_started", "item_id": "user_9", "audio_start_ms": 5_000}

HEARD_OUT = {"turn_detection": {"type": "server_vad", "interrupt_response": False}}

WORDS = tuple(f"word{number} " for number in range(10))
"""Ten words, and with each of them comes 100 ms of audio."""


def audio_of(response_id: str, item_id: str) -> list[dict[str, Any]]:
    """Return the audio of a spoken turn, as it is sent."""
    return [frame for frame in spoken_turn(response_id, item_id) if frame["type"] == "response.output_audio.delta"]


async def interrupt(session: RealtimeSession, far: FarEnd, how: str) -> None:
    """Interrupt by voice or by hand."""
    if how == "barge-in":
        far.send(SPEECH)
        await settle()
    else:
        await session.interrupt()


BOTH = pytest.mark.parametrize("how", ["barge-in", "interrupt()"])


class TestWhereItIsCut:
    @BOTH
    @timeless
    async def test_a90_where_the_tracker_says(self, how: str) -> None:
        tracker = RealtimePlaybackTracker()
        async with open_session(playback_tracker=tracker) as (session, far):
            far.send(*speaking(words=WORDS))
            await settle()
            tracker.on_play_ms("item_1", 0, 500)
            await interrupt(session, far, how)
            await far.received("conversation.item.truncate")
            assert truncations(far) == [("item_1", 0, 500)]
            assert (await read_until(session, "audio_interrupted"))[-1].played_ms == 500

    @BOTH
    @timeless
    async def test_a90_a_tracker_that_has_not_reported_says_that_nothing_was_heard(self, how: str) -> None:
        async with open_session(playback_tracker=RealtimePlaybackTracker()) as (session, far):
            far.send(*speaking(words=WORDS))
            await settle()
            await interrupt(session, far, how)
            assert (await read_until(session, "audio_interrupted"))[-1].played_ms == 0
            await far.received("conversation.item.truncate")
            assert truncations(far) == [("item_1", 0, 0)]

    @BOTH
    @timeless
    async def test_a91_where_the_clock_says(self, how: str) -> None:
        async with open_session() as (session, far):
            far.send(*spoken_turn("resp_1", "item_1", WORDS))
            await settle()
            await advance(0.45)
            await interrupt(session, far, how)
            await settle()
            assert truncations(far) == [("item_1", 0, 450)]

    @BOTH
    @timeless
    async def test_a91_while_it_generates_never_beyond_what_has_come(self, how: str) -> None:
        async with open_session() as (session, far):
            far.send(*speaking())
            await settle()
            await advance(3)
            await interrupt(session, far, how)
            await settle()
            assert truncations(far) == [("item_1", 0, 200)]

    @BOTH
    @timeless
    async def test_a91_once_all_was_generated_and_played_nothing_is_cut(self, how: str) -> None:
        async with open_session() as (session, far):
            far.send(*spoken_turn("resp_1", "item_1"))
            await settle()
            await advance(0.2)
            told: list[Any] = []
            session.on("audio_interrupted", told.append)
            await interrupt(session, far, how)
            await settle()
            assert (told, far.types) == ([], ["session.update"])
            assert session.history[0].status == "completed"

    @BOTH
    @timeless
    async def test_a92_at_once_is_at_nought(self, how: str) -> None:
        async with open_session() as (session, far):
            far.send(*speaking())
            await settle()
            await interrupt(session, far, how)
            await settle()
            assert truncations(far) == [("item_1", 0, 0)]

    @pytest.mark.parametrize("ms", [-1.0, float("nan"), float("inf")])
    @timeless
    async def test_a92_what_can_not_have_been_played_is_refused_where_it_is_reported(self, ms: float) -> None:
        tracker = RealtimePlaybackTracker()
        async with open_session(playback_tracker=tracker) as (session, far):
            far.send(*speaking())
            await settle()
            tracker.on_play_ms("item_1", 0, 40)
            with pytest.raises(ConfigurationError, match="ms"):
                tracker.on_play_ms("item_1", 0, ms)
            assert session.history[0].played_ms == 40
            await session.interrupt()
            assert truncations(far) == [("item_1", 0, 40)]

    @pytest.mark.parametrize("seconds", [0.0, 0.013, 0.1, 0.3, 0.999, 1.0, 7.0])
    @timeless
    async def test_a94_by_voice_and_by_hand_at_the_same_moment_at_the_same_place(self, seconds: float) -> None:
        cuts = []
        for how in ("barge-in", "interrupt()"):
            async with open_session() as (session, far):
                far.send(*speaking(words=WORDS))
                await settle()
                await advance(seconds)
                await interrupt(session, far, how)
                await settle()
                cuts.append(truncations(far))
        assert cuts[0] == cuts[1] == [("item_1", 0, min(round(seconds * 1000), 1000))]

    @timeless
    async def test_a97_what_was_told_is_what_is_cut_also_where_playback_goes_on_meanwhile(self) -> None:
        tracker = RealtimePlaybackTracker()
        async with open_session(playback_tracker=tracker) as (session, far):
            far.send(*speaking(words=WORDS))
            await settle()
            tracker.on_play_ms("item_1", 0, 120)
            told: list[int] = []

            def play_on(event: Any) -> None:
                told.append(event.played_ms)
                tracker.on_play_ms("item_1", 0, 80)

            session.on("audio_interrupted", play_on)
            await session.interrupt()
            assert told == [120]
            assert truncations(far) == [("item_1", 0, 120)]
            assert session.history[0].played_ms == 120


class TestWhatIsCancelled:
    @BOTH
    @timeless
    async def test_a93_nothing_is_going_on_and_nothing_is_sent(self, how: str) -> None:
        async with open_session() as (session, far):
            await interrupt(session, far, how)
            assert far.types == ["session.update"]

    @timeless
    async def test_a93_before_the_first_audio_there_is_only_something_to_cancel(self) -> None:
        async with open_session() as (session, far):
            far.send(speaking()[0])
            await settle()
            await session.interrupt()
            assert far.types == ["session.update", "response.cancel"]
            assert far.frames[-1]["response_id"] == "resp_1"

    @timeless
    async def test_a93_speech_before_the_first_audio_cancels_where_the_far_end_does_not(self) -> None:
        async with open_session(config={"model_settings": HEARD_OUT}, barge_in="always") as (_, far):
            far.send(speaking()[0], SPEECH)
            await far.received("response.cancel")
            assert far.types == ["session.update", "response.cancel"]

    @timeless
    async def test_a95_speech_cancels_nothing_where_the_far_end_does_that_by_itself(self) -> None:
        async with open_session() as (_, far):
            far.send(*speaking(), SPEECH)
            await far.received("conversation.item.truncate")
            await settle()
            assert far.types == ["session.update", "conversation.item.truncate"]

    @timeless
    async def test_a95_a_call_of_interrupt_cancels_for_the_far_end_heard_nobody(self) -> None:
        async with open_session() as (session, far):
            far.send(*speaking())
            await settle()
            await session.interrupt()
            assert far.types == ["session.update", "response.cancel", "conversation.item.truncate"]

    @pytest.mark.parametrize(
        ("barge_in", "sent"),
        [("always", ["response.cancel", "conversation.item.truncate"]), ("auto", []), ("never", [])],
    )
    @timeless
    async def test_a95_where_the_model_is_to_be_heard_out_barge_in_decides(
        self, barge_in: Any, sent: list[str]
    ) -> None:
        async with open_session(config={"model_settings": HEARD_OUT}, barge_in=barge_in) as (session, far):
            far.send(*speaking(), SPEECH)
            await read_until(session, "speech_started")
            await settle()
            await session.transport.clear_audio()  # whatever was to be sent went out before it
            assert far.types == ["session.update", *sent, "input_audio_buffer.clear"]

    @timeless
    async def test_a99_many_interrupts_of_one_response_are_one_cancel(self) -> None:
        async with open_session() as (session, far):
            far.send(*speaking())
            await settle()
            far.stall()
            interrupting = [asyncio.create_task(session.interrupt()) for _ in range(5)]
            await asyncio.sleep(0)
            far.flow()
            await asyncio.gather(*interrupting)
            assert far.types == ["session.update", "response.cancel", "conversation.item.truncate"]
            # The next response can be cancelled again.
            far.send(response_done("resp_1", status="cancelled"), speaking("resp_2", "item_2")[0])
            await settle()
            await session.interrupt()
            assert far.types[3:] == ["response.cancel"]
            assert far.frames[-1]["response_id"] == "resp_2"

    @timeless
    async def test_a99_one_whose_caller_gave_up_is_sent_all_the_same(self) -> None:
        async with open_session() as (session, far):
            far.send(speaking()[0])
            await settle()
            far.stall()
            interrupting = asyncio.create_task(session.interrupt())
            await asyncio.sleep(0)
            interrupting.cancel()
            await asyncio.gather(interrupting, return_exceptions=True)
            far.flow()
            await far.received("response.cancel")
            await session.interrupt()
            assert far.types == ["session.update", "response.cancel"]


class TestOneResponseOfTwo:
    @timeless
    async def test_a96_the_older_ones_playback_ends_and_the_newer_one_plays_on(self) -> None:
        async with open_session() as (session, far):
            far.send(*spoken_turn("resp_1", "item_1"), *speaking("resp_2", "item_2", previous="item_1"))
            await settle()
            told: list[Any] = []
            session.on("audio_interrupted", lambda event: told.append((event.response_id, event.item_id)))
            await advance(0.05)
            await session.transport.interrupt("resp_1")
            await settle()
            assert told == [("resp_1", "item_1")]
            assert far.types == ["session.update", "conversation.item.truncate"]
            assert truncations(far) == [("item_1", 0, 50)]
            far.send(audio_of("resp_2", "item_2")[0])
            events = await read_until(session, lambda event: event.type == "audio" and event.item_id == "item_2")
            assert [event.item_id for event in events if event.type == "audio"] == ["item_2"]
            # It began to be heard when the older one was cut, and not when that would have ended.
            await advance(0.12)
            await session.interrupt()
            assert truncations(far)[1:] == [("item_2", 0, 120)]

    @timeless
    async def test_a96_also_where_audio_is_held_back(self) -> None:
        config = {"guardrails_settings": {"hold_back_ms": 100}}
        async with open_session(config=config) as (session, far):
            far.send(*spoken_turn("resp_1", "item_1"), *speaking("resp_2", "item_2", previous="item_1"))
            await settle()
            await advance(0.05)
            await session.transport.interrupt("resp_1")
            await advance(0.12)
            await session.interrupt()
            assert truncations(far) == [("item_1", 0, 50), ("item_2", 0, 120)]

    @timeless
    async def test_a96_a_tracker_keeps_what_plays_on(self) -> None:
        tracker = RealtimePlaybackTracker()
        async with open_session(playback_tracker=tracker) as (session, far):
            far.send(*spoken_turn("resp_1", "item_1"), *speaking("resp_2", "item_2", previous="item_1"))
            await settle()
            tracker.on_play_ms("item_1", 0, 200)
            tracker.on_play_ms("item_2", 0, 30)
            await session.transport.interrupt("resp_1")
            assert tracker.get_state() == RealtimePlaybackState("item_2", 0, 30)
            await session.interrupt()
            assert tracker.get_state() == RealtimePlaybackState()
            assert truncations(far) == [("item_2", 0, 30)]

    @timeless
    async def test_a96_one_that_was_heard_to_its_end_is_nothing_to_interrupt(self) -> None:
        tracker = RealtimePlaybackTracker()
        async with open_session(playback_tracker=tracker) as (session, far):
            far.send(*spoken_turn("resp_1", "item_1"), *speaking("resp_2", "item_2", previous="item_1"))
            await settle()
            tracker.on_play_ms("item_1", 0, 200)
            await session.transport.interrupt("resp_1")
            assert far.types == ["session.update"]

    @BOTH
    @timeless
    async def test_a98_late_audio_of_what_was_interrupted_is_dropped_until_it_is_done(self, how: str) -> None:
        async with open_session() as (session, far):
            far.send(*speaking())
            await settle()
            if how == "barge-in":
                await interrupt(session, far, how)
            else:
                await session.transport.interrupt("resp_1")
            far.send(*audio_of("resp_1", "item_1"), response_done("resp_1", status="cancelled"))
            far.send(*spoken_turn("resp_2", "item_2", previous="item_1"))
            events = await read_until(session, lambda event: getattr(event, "output", "") == "Hello there.")
            heard = [(event.item_id, event.audio.data) for event in events if event.type == "audio"]
            assert heard == [("item_2", AUDIO), ("item_2", AUDIO)]

    @timeless
    async def test_a98_an_answer_in_text_is_cancelled_and_nothing_is_cut(self) -> None:
        async with open_session() as (session, far):
            far.send(*text_turn("resp_1", "item_1")[:-3])
            await settle()
            await session.transport.interrupt("resp_1")
            assert far.types == ["session.update", "response.cancel"]


class TestDurations:
    @pytest.mark.parametrize(
        ("spelling", "second"),
        [
            ("g711_ulaw", 8000),
            ("g711_alaw", 8000),
            ("G711_ULAW", 8000),
            ("pcmu", 8000),
            ("PCMA", 8000),
            ("audio/pcmu", 8000),
            ("audio/pcma", 8000),
            ({"type": "audio/pcmu"}, 8000),
            ({"type": "audio/pcma", "rate": 8000}, 8000),
            ("pcm16", 48000),
            ("pcm", 48000),
            ("audio/pcm", 48000),
            ({"type": "audio/pcm", "rate": 24000}, 48000),
            ({"type": "audio/pcm", "rate": 16000}, 32000),
        ],
        ids=str,
    )
    @timeless
    async def test_a100_a_second_is_as_many_bytes_as_the_format_says(self, spelling: Any, second: int) -> None:
        tracker = RealtimePlaybackTracker()
        config = {"model_settings": {"output_audio_format": spelling}}
        async with open_session(playback_tracker=tracker, config=config) as (session, far):
            far.send(*speaking(words=("a", "b"), audio=bytes(second)))
            await settle()
            tracker.on_play_bytes("item_1", 0, bytes(second))
            await session.interrupt()
            assert truncations(far) == [("item_1", 0, 1000)]

    @timeless
    async def test_a100_what_the_far_end_calls_what_nobody_knows_is_reckoned_as_pcm(self) -> None:
        tracker = RealtimePlaybackTracker()
        async with open_session(playback_tracker=tracker) as (session, far):
            output = {"format": {"type": "audio/opus"}}
            far.send({"type": "session.updated", "session": {"audio": {"output": output}}})
            far.send(*speaking(audio=bytes(48000)))
            await settle()
            tracker.on_play_bytes("item_1", 0, bytes(48000))
            await session.interrupt()
            assert truncations(far) == [("item_1", 0, 1000)]

    @timeless
    async def test_a100_what_the_application_calls_so_is_refused(self) -> None:
        for refuse in (AudioFormat.parse, RealtimePlaybackTracker().set_audio_format):
            with pytest.raises(UnknownAudioFormatError, match="opus"):
                refuse("audio/opus")
