"""How much of an answer was heard, as the history tells it: before, during and after playback, and when it is cut."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from jackfield import AssistantMessageItem, RealtimePlaybackTracker, RealtimeSession
from support.clock import advance, settle, timeless
from support.memory_wire import AUDIO, open_session, response_done, spoken_turn, text_turn

Event = dict[str, Any]

WORDS = ("One,", " two,", " three,", " four.")
"""Four words, with 100 ms of audio each."""
TEXT = "".join(WORDS)
SPEECH = {"type": "input_audio_buffer.speech_started", "item_id": "user_9", "audio_start_ms": 0}


def answer(**options: Any) -> list[Event]:
    return spoken_turn("resp_1", "item_1", WORDS, **options)


def begun(words: int = 4) -> list[Event]:
    """The answer up to the audio of its nth word."""
    turn = answer()
    chunks = [number for number, frame in enumerate(turn) if frame["type"] == "response.output_audio.delta"]
    return turn[: chunks[words - 1] + 1]


def part(index: int, words: tuple[str, ...], chunks: int = 1) -> list[Event]:
    """A further content part of the answer: words, and that many times 100 ms of audio."""
    ids = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "content_index": index}
    chunk = {"type": "response.output_audio.delta", **ids, "delta": base64.b64encode(AUDIO).decode()}
    transcripts = [{"type": "response.output_audio_transcript.delta", **ids, "delta": word} for word in words]
    return [*transcripts, *[chunk] * chunks, {"type": "response.output_audio.done", **ids}]


def the_answer(session: RealtimeSession, item_id: str = "item_1") -> AssistantMessageItem:
    (item,) = [item for item in session.history if item.item_id == item_id]
    assert isinstance(item, AssistantMessageItem)
    return item


def heard(session: RealtimeSession, item_id: str = "item_1") -> tuple[int | None, str | None]:
    item = the_answer(session, item_id)
    return item.played_ms, item.heard_text


@pytest.fixture
def tracker() -> RealtimePlaybackTracker:
    return RealtimePlaybackTracker()


class TestByTheClock:
    """Without a tracker playback is reckoned in real time from when the audio arrived."""

    @timeless
    async def test_before_its_audio_nobody_knows(self) -> None:
        async with open_session() as (session, far):
            turn = answer()
            far.send(*turn[:3])
            await settle()
            assert heard(session) == (None, None)
            far.send(turn[3], turn[4])
            await settle()
            assert [frame["type"] for frame in turn[4:6]] == [
                "response.output_audio_transcript.delta",
                "response.output_audio.delta",
            ]
            assert heard(session) == (None, None)
            assert the_answer(session).text == "One,"

    @timeless
    async def test_while_it_plays_whole_words_only(self) -> None:
        async with open_session() as (session, far):
            far.send(*answer())
            await settle()
            assert heard(session) == (0, "")
            found = []
            for _ in range(8):
                await advance(0.05)
                found.append(heard(session))
            # 22 characters are spread over 400 ms.
            assert found == [
                (50, ""),
                (100, "One,"),
                (150, "One,"),
                (200, "One, two,"),
                (250, "One, two,"),
                (300, "One, two, three,"),
                (350, "One, two, three,"),
                (400, TEXT),
            ]

    @timeless
    async def test_while_it_is_still_generated_nothing_is_heard_that_was_not_said(self) -> None:
        async with open_session() as (session, far):
            far.send(*begun(2))
            await settle()
            await advance(10)
            assert heard(session) == (200, "One, two,")
            far.send(*answer()[len(begun(2)) :])
            await settle()
            assert heard(session) == (200, "One, two,")
            await advance(0.2)
            assert heard(session) == (400, TEXT)

    @timeless
    async def test_when_it_was_heard_it_stays_so(self) -> None:
        async with open_session() as (session, far):
            far.send(*answer())
            await settle()
            await advance(3600)
            assert heard(session) == (400, TEXT)
            for number in range(2, 200):
                far.send(*spoken_turn(f"resp_{number}", f"item_{number}", ["Hi"], previous=f"item_{number - 1}"))
                await advance(1)
            assert heard(session) == (400, TEXT)
            assert heard(session, "item_100") == (100, "Hi")

    @pytest.mark.parametrize("how", ["by voice", "by hand"])
    @timeless
    async def test_when_it_is_cut_what_was_heard_is_settled(self, how: str) -> None:
        async with open_session() as (session, far):
            far.send(*begun())
            await settle()
            await advance(0.21)
            if how == "by voice":
                far.send(SPEECH)
                await settle()
            else:
                await session.interrupt()
            assert the_answer(session).status == "interrupted"
            assert heard(session) == (210, "One, two,")
            far.send(*answer()[len(begun()) : -1], response_done("resp_1", status="cancelled"))
            await advance(60)
            assert heard(session) == (210, "One, two,")
            assert the_answer(session).text == TEXT

    @timeless
    async def test_when_it_is_cut_at_once_nothing_was_heard(self) -> None:
        async with open_session() as (session, far):
            far.send(*begun(1))
            await settle()
            await session.interrupt()
            assert heard(session) == (0, "")

    @timeless
    async def test_when_it_is_cut_before_its_words_came_they_are_known_once_they_come(self) -> None:
        async with open_session() as (session, far):
            turn = answer()
            words = [frame for frame in turn if frame["type"] == "response.output_audio_transcript.delta"]
            far.send(*[frame for frame in begun() if frame not in words])
            await settle()
            await advance(0.2)
            assert heard(session) == (200, None)
            await session.interrupt()
            assert heard(session) == (200, None)
            far.send(*words, response_done("resp_1", status="cancelled"))
            await settle()
            assert heard(session) == (200, "One, two,")
            assert the_answer(session).text == TEXT

    @timeless
    async def test_the_next_answer_waits_for_this_one(self) -> None:
        async with open_session() as (session, far):
            far.send(*answer(), *spoken_turn("resp_2", "item_2", ["Five."], previous="item_1"))
            await settle()
            await advance(0.4)
            assert (heard(session), heard(session, "item_2")) == ((400, TEXT), (0, ""))
            await advance(0.1)
            assert heard(session, "item_2") == (100, "Five.")

    @timeless
    async def test_of_two_parts_the_second_follows_the_first(self) -> None:
        async with open_session() as (session, far):
            far.send(*begun(4), *part(0, (), 0), *part(1, (" five,", " nine."), 2))
            await settle()
            await advance(0.4)
            assert heard(session) == (400, TEXT)
            await advance(0.1)
            assert heard(session) == (500, f"{TEXT} five,")
            await session.interrupt()
            await advance(60)
            assert heard(session) == (500, f"{TEXT} five,")

    @timeless
    async def test_what_is_written_needs_no_hearing(self) -> None:
        async with open_session() as (session, far):
            far.send(*text_turn("resp_1", "item_1", WORDS))
            await advance(10)
            assert heard(session) == (None, None)

    @timeless
    async def test_when_the_connection_is_lost_it_plays_on_until_the_session_is_closed(self) -> None:
        async with open_session() as (session, far):
            far.send(*answer())
            await settle()
            far.close()
            await advance(0.1)
            assert heard(session) == (100, "One,")
            await advance(0.1)
            await session.close()
            await advance(10)
            assert heard(session) == (200, "One, two,")

    @timeless
    async def test_it_is_seen_in_what_is_kept_of_the_session(self) -> None:
        async with open_session() as (session, far):
            far.send(*begun())
            await settle()
            await advance(0.1)
            await session.interrupt()
            (item,) = session.state().history
            assert isinstance(item, AssistantMessageItem)
            assert (item.status, item.played_ms, item.heard_text) == ("interrupted", 100, "One,")


class TestByATracker:
    """With one only what is reported was heard, whatever the clock says."""

    @timeless
    async def test_time_alone_plays_nothing(self) -> None:
        tracker = RealtimePlaybackTracker()
        async with open_session(playback_tracker=tracker) as (session, far):
            far.send(*answer())
            await settle()
            await advance(60)
            assert heard(session) == (0, "")
            tracker.on_play_ms("item_1", 0, 100)
            assert heard(session) == (100, "One,")
            tracker.on_play_bytes("item_1", 0, AUDIO)
            assert heard(session) == (200, "One, two,")
            tracker.on_play_ms("item_1", 0, 1_000)
            assert heard(session) == (400, TEXT)

    async def test_the_cut_is_where_it_says_and_later_reports_change_nothing(
        self, tracker: RealtimePlaybackTracker
    ) -> None:
        async with open_session(playback_tracker=tracker) as (session, far):
            far.send(*begun())
            await far.heard()
            tracker.on_play_ms("item_1", 0, 150)
            await session.interrupt()
            tracker.on_play_ms("item_1", 0, 200)
            far.send(response_done("resp_1", status="cancelled"))
            await far.heard()
            assert heard(session) == (150, "One,")

    async def test_of_two_parts_each_as_it_says(self, tracker: RealtimePlaybackTracker) -> None:
        async with open_session(playback_tracker=tracker) as (session, far):
            far.send(*begun(4), *part(1, (" five,", " nine."), 2))
            await far.heard()
            tracker.on_play_ms("item_1", 0, 200)
            assert heard(session) == (200, "One, two,")
            tracker.on_play_ms("item_1", 1, 100)
            assert heard(session) == (500, f"{TEXT} five,")
            await session.interrupt()
            assert heard(session) == (500, f"{TEXT} five,")

    async def test_a_part_of_which_nothing_was_reported_was_not_heard(self, tracker: RealtimePlaybackTracker) -> None:
        async with open_session(playback_tracker=tracker) as (session, far):
            far.send(*begun(4), *part(1, (" Five.",)))
            await far.heard()
            tracker.on_play_ms("item_1", 0, 300)
            await session.interrupt()
            assert heard(session) == (300, "One, two, three,")

    async def test_what_is_written_beside_it_counts(self, tracker: RealtimePlaybackTracker) -> None:
        async with open_session(playback_tracker=tracker) as (session, far):
            ids = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "content_index": 1}
            far.send(*begun(4), {"type": "response.output_text.delta", **ids, "delta": " (See the list.)"})
            await far.heard()
            tracker.on_play_ms("item_1", 0, 200)
            assert heard(session) == (200, "One, two, (See the list.)")

    async def test_languages_without_spaces_end_anywhere(self, tracker: RealtimePlaybackTracker) -> None:
        async with open_session(playback_tracker=tracker) as (session, far):
            far.send(*spoken_turn("resp_1", "item_1", ["こんにちは", "世界です。"]))
            await far.heard()
            tracker.on_play_ms("item_1", 0, 100)
            assert heard(session) == (100, "こんにちは")
