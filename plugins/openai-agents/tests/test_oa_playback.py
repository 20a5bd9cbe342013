"""The SDK's playback tracker: what it says was heard is what counts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from agents.exceptions import UserError
from agents.realtime import RealtimeModelSendInterrupt, RealtimePlaybackTracker

import jackfield.audio
from jackfield.testing import Say, Turn
from jackfield.transport.events import AudioInterrupted

Connect = Callable[..., Awaitable[Any]]

ANSWER = Say("Once upon a time there was a king.")  # 300 ms a word


async def interrupted(line: Any) -> list[AudioInterrupted]:
    """Interrupt everything, and return what the transport told of it."""
    told: list[AudioInterrupted] = []
    line.model.transport.on("audio_interrupted", told.append)
    await line.model.send_event(RealtimeModelSendInterrupt())
    await line.settled()
    return told


async def test_what_it_reports_was_heard(connect: Connect) -> None:
    tracker = RealtimePlaybackTracker()
    line = await connect(playback_tracker=tracker)
    await line.emit(ANSWER)
    tracker.on_play_ms("item_1", 0, 300)
    tracker.on_play_ms("item_1", 0, 200)
    [told] = await interrupted(line)
    assert (told.item_id, told.played_ms) == ("item_1", 500)
    assert tracker.get_state()["current_item_id"] is None  # it was told


async def test_without_a_report_nothing_was(connect: Connect) -> None:
    line = await connect(playback_tracker=RealtimePlaybackTracker())
    await line.emit(ANSWER)
    [told] = await interrupted(line)
    assert told.played_ms == 0


async def test_what_came_before_it_was_heard_whole(connect: Connect) -> None:
    tracker = RealtimePlaybackTracker()
    line = await connect(playback_tracker=tracker)
    await line.emit(Turn([ANSWER, ANSWER]))
    tracker.on_play_ms("item_1", 0, 2400)
    assert line.model.transport.playback("item_1").played_ms == 2400
    tracker.on_play_ms("item_2", 0, 100)
    [told] = await interrupted(line)
    assert (told.item_id, told.played_ms) == ("item_2", 100)
    assert line.model.transport.playback("item_1").played_ms == 2400


async def test_it_grows_between_two_looks(connect: Connect) -> None:
    tracker = RealtimePlaybackTracker()
    line = await connect(playback_tracker=tracker)
    await line.emit(ANSWER)
    positions = []
    for _ in range(3):
        tracker.on_play_ms("item_1", 0, 100)
        positions += [line.model.transport.playback("item_1").played_ms for _ in range(2)]
    assert positions == [100, 100, 200, 200, 300, 300]


async def test_another_item_after_an_interruption(connect: Connect) -> None:
    tracker = RealtimePlaybackTracker()
    line = await connect(playback_tracker=tracker)
    await line.emit(ANSWER)
    tracker.on_play_ms("item_1", 0, 500)
    await interrupted(line)
    await line.emit(ANSWER)
    tracker.on_play_ms("item_2", 0, 400)
    [told] = await interrupted(line)
    assert (told.item_id, told.played_ms) == ("item_2", 400)


async def test_it_counts_bytes_in_the_sessions_format(connect: Connect) -> None:
    tracker = RealtimePlaybackTracker()
    line = await connect(playback_tracker=tracker, initial_model_settings={"output_audio_format": "g711_ulaw"})
    await line.emit(ANSWER)
    tracker.on_play_bytes("item_1", 0, bytes(800))
    [told] = await interrupted(line)
    assert told.played_ms == 100


async def test_it_is_idle_after_the_connection(connect: Connect) -> None:
    tracker = RealtimePlaybackTracker()
    line = await connect(playback_tracker=tracker)
    tracker.on_play_ms("item_1", 0, 500)
    await line.model.close()
    assert tracker.get_state()["elapsed_ms"] is None


async def test_one_of_jackfields_does_as_well(connect: Connect) -> None:
    tracker = jackfield.audio.RealtimePlaybackTracker()
    line = await connect(playback_tracker=tracker)
    await line.emit(ANSWER)
    tracker.on_play_ms("item_1", 0, 500)
    [told] = await interrupted(line)
    assert told.played_ms == 500


async def test_something_else_is_refused(connect: Connect) -> None:
    with pytest.raises(UserError, match="int: give a RealtimePlaybackTracker"):
        await connect(playback_tracker=5)
