"""The playback ledger, against a reference that plays millisecond by millisecond."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield.audio import PCM16, PCMA, PCMU, AudioFormat, PartPlayback, PlaybackLedger, RealtimePlaybackTracker


class Clock:
    """Seconds, moved by hand in whole milliseconds."""

    def __init__(self) -> None:
        self.ms = 5000

    def __call__(self) -> float:
        return self.ms / 1000


class Player:
    """The reference: a queue of one-millisecond slices, one of which is played each millisecond."""

    def __init__(self) -> None:
        self.queue: list[str] = []
        self.received: dict[str, int] = {}
        self.played: dict[str, int] = {}
        self.settled: dict[str, int] = {}
        self.ended: set[str] = set()

    def receive(self, item: str, ms: int) -> None:
        self.received[item] = self.received.get(item, 0) + ms
        if item not in self.settled:
            self.queue += [item] * ms

    def wait(self, ms: int) -> None:
        now, self.queue = self.queue[:ms], self.queue[ms:]
        for item in now:
            self.played[item] = self.played.get(item, 0) + 1

    def cut(self, items: Iterable[str]) -> None:
        cut = set(items)
        self.queue = [item for item in self.queue if item not in cut]
        for item in cut:
            self.settled[item] = self.played.get(item, 0)

    def end(self, item: str) -> None:
        if item in self.received:
            self.ended.add(item)

    def audible(self) -> list[str]:
        return [
            item
            for item, received in self.received.items()
            if item not in self.settled and (item not in self.ended or self.played.get(item, 0) < received)
        ]


ITEMS = ["item_a", "item_b", "item_c", "item_d"]
steps = st.lists(
    st.one_of(
        st.tuples(st.just("receive"), st.integers(1, 400)),
        st.tuples(st.just("wait"), st.integers(1, 700)),
        st.tuples(st.just("next"), st.just(0)),
        st.tuples(st.just("cut"), st.just(0)),
        st.tuples(st.just("cut_first"), st.just(0)),
        st.tuples(st.just("end"), st.just(0)),
    ),
    max_size=30,
)


@given(steps=steps, format=st.sampled_from([PCM16, PCMU, PCMA]))
def test_like_a_loudspeaker(steps: list[tuple[str, int]], format: AudioFormat) -> None:  # noqa: A002
    clock, player = Clock(), Player()
    ledger = PlaybackLedger(clock)
    current = 0
    for kind, ms in steps:
        item = ITEMS[current]
        match kind:
            case "receive":
                player.receive(item, ms)
                ledger.received("resp", item, 0, format.bytes_for_ms(ms), format)
            case "wait":
                player.wait(ms)
                clock.ms += ms
            case "next":
                current = min(current + 1, len(ITEMS) - 1)
            case "cut" | "cut_first":
                parts = ledger.audible()
                if kind == "cut_first":
                    parts = parts[:1]
                assert [part.item_id for part in parts] == player.audible()[: len(parts)]
                ledger.cut(parts)
                player.cut(part.item_id for part in parts)
            case "end":
                player.end(item)
                ledger.done(item, 0)
        for known in player.received:
            position = ledger.position(known, 0)
            assert position is not None
            assert position.audio_end_ms == player.settled.get(known, player.played.get(known, 0))
            assert position.received_ms == player.received[known]
            assert position.played_ms <= position.received_ms
        assert [part.item_id for part in ledger.audible()] == player.audible()


@given(
    chunks=st.lists(st.tuples(st.integers(0, 5000), st.floats(0, 0.5)), max_size=20),
    format=st.sampled_from([PCM16, PCMU, AudioFormat("audio/pcm", 22050), AudioFormat("audio/pcm", 44100)]),
)
def test_no_more_was_heard_than_was_received(chunks: list[tuple[int, float]], format: AudioFormat) -> None:  # noqa: A002
    now = 0.1
    ledger = PlaybackLedger(lambda: now)
    total = 0
    for size, pause in chunks:
        total += size
        ledger.received("resp", "item", 0, size, format)
        now += pause
        position = ledger.position("item", 0)
        assert position is not None
        assert 0 <= position.played_ms <= position.received_ms == format.duration_ms(total)
        assert 0 <= position.audio_end_ms <= position.received_ms + 1e-6
        assert isinstance(position.audio_end_ms, int)
    now += 1000
    ledger.done("item", 0)
    assert ledger.audible() == []


class TestArithmetic:
    @pytest.mark.parametrize(
        ("format", "size"),
        [(PCM16, 48_000), (PCMU, 8_000), (PCMA, 8_000), (AudioFormat("audio/pcm", 16_000), 32_000)],
    )
    def test_a_second_is_a_second(self, format: AudioFormat, size: int) -> None:  # noqa: A002
        clock = Clock()
        ledger = PlaybackLedger(clock)
        ledger.received("resp", "item", 0, size, format)
        clock.ms += 700
        position = ledger.position("item", 0)
        assert position is not None
        assert (position.received_ms, position.audio_end_ms) == (1000, 700)

    def test_content_parts_of_one_item_have_their_own_account(self) -> None:
        clock = Clock()
        ledger = PlaybackLedger(clock)
        ledger.received("resp", "item", 0, 4800)
        ledger.received("resp", "item", 1, 4800)
        clock.ms += 150
        assert [(part.content_index, part.audio_end_ms) for part in ledger.audible()] == [(0, 100), (1, 50)]

    def test_each_in_its_own_format(self) -> None:
        clock = Clock()
        ledger = PlaybackLedger(clock)
        ledger.received("resp_1", "item_1", 0, 4800, PCM16)
        ledger.received("resp_2", "item_2", 0, 800, PCMU)
        clock.ms += 130
        assert [part.audio_end_ms for part in ledger.audible()] == [100, 30]

    def test_interleaved_parts_play_as_they_came(self) -> None:
        clock = Clock()
        ledger = PlaybackLedger(clock)
        for item in ("a", "b", "a"):
            ledger.received("resp", item, 0, 4800)
        clock.ms += 250
        assert [(part.item_id, part.audio_end_ms) for part in ledger.audible()] == [("a", 150), ("b", 100)]

    def test_unknown_is_none(self) -> None:
        assert PlaybackLedger(Clock()).position("item", 0) is None


class TestEnds:
    def test_generated_and_played_is_not_audible(self) -> None:
        clock = Clock()
        ledger = PlaybackLedger(clock)
        ledger.received("resp", "item", 0, 4800)
        clock.ms += 100
        assert [part.audio_end_ms for part in ledger.audible()] == [100], "more may come"
        ledger.response_done("resp")
        assert ledger.audible() == []

    def test_the_end_of_a_response_is_not_that_of_another(self) -> None:
        clock = Clock()
        ledger = PlaybackLedger(clock)
        ledger.received("resp_1", "item_1", 0, 4800)
        ledger.received("resp_2", "item_2", 0, 4800)
        clock.ms += 1000
        ledger.response_done("resp_1")
        assert [part.item_id for part in ledger.audible()] == ["item_2"]
        assert ledger.audible("resp_1") == []

    def test_only_one_response_is_cut(self) -> None:
        clock = Clock()
        ledger = PlaybackLedger(clock)
        ledger.received("resp_1", "item_1", 0, 48_000)
        ledger.received("resp_2", "item_2", 0, 48_000)
        clock.ms += 200
        ledger.cut(ledger.audible("resp_1"))
        clock.ms += 300
        assert [(part.item_id, part.audio_end_ms) for part in ledger.audible()] == [("item_2", 300)]

    def test_what_comes_after_a_cut_is_not_heard(self) -> None:
        clock = Clock()
        ledger = PlaybackLedger(clock)
        ledger.received("resp", "item", 0, 48_000)
        clock.ms += 200
        ledger.cut(ledger.audible())
        ledger.received("resp", "item", 0, 48_000)
        clock.ms += 5000
        position = ledger.position("item", 0)
        assert position is not None
        assert position.audio_end_ms == 200
        assert ledger.audible() == []
        ledger.received("resp", "next", 0, 4800)
        clock.ms += 60
        assert [part.audio_end_ms for part in ledger.audible()] == [60], "nothing of the cut part delays the next one"

    def test_a_late_cut_of_something_unknown(self) -> None:
        ledger = PlaybackLedger(Clock())
        ledger.cut([PartPlayback("resp", "gone", 0, 100.0, 50.0, True)])
        assert ledger.position("gone", 0) is None


class TestFarEndPlays:
    """Server-side playback: the ledger knows when it began and ended, and what the far end says was heard."""

    def test_time_passes_while_it_plays(self) -> None:
        clock = Clock()
        ledger = PlaybackLedger(clock)
        ledger.playing("resp", "item", 0)
        ledger.response_done("resp")
        clock.ms += 400
        [part] = ledger.audible()
        assert part.audio_end_ms == 400
        assert ledger.stopped("item", 0)
        clock.ms += 400
        position = ledger.position("item", 0)
        assert position is not None
        assert position.audio_end_ms == 400
        assert position.played_ms == position.received_ms
        assert ledger.audible() == []
        assert not ledger.stopped("item", 0)

    def test_what_the_far_end_says_is_better(self) -> None:
        clock = Clock()
        ledger = PlaybackLedger(clock)
        ledger.playing("resp", "item", 0)
        clock.ms += 400
        ledger.truncated("item", 0, 320)
        position = ledger.position("item", 0)
        assert position is not None
        assert position.audio_end_ms == 320

    @pytest.mark.parametrize(("told", "known"), [(-5, 0), (10**9, 100)])
    def test_within_reason(self, told: int, known: int) -> None:
        ledger = PlaybackLedger(Clock())
        ledger.received("resp", "item", 0, 4800)
        ledger.truncated("item", 0, told)
        position = ledger.position("item", 0)
        assert position is not None
        assert position.played_ms == known


class TestWhenItBegan:
    def began(self, ledger: PlaybackLedger, item: str) -> float | None:
        position = ledger.position(item, 0)
        assert position is not None
        return position.started_at

    def test_with_the_first_chunk_and_behind_what_plays(self) -> None:
        clock = Clock()
        ledger = PlaybackLedger(clock)
        ledger.received("resp", "item_1", 0, 4800)
        ledger.received("resp", "item_2", 0, 4800)
        assert self.began(ledger, "item_1") == 5.0
        assert self.began(ledger, "item_2") is None, "it waits"
        clock.ms += 150
        assert self.began(ledger, "item_2") == pytest.approx(5.1)

    def test_a_cut_lets_what_waits_begin(self) -> None:
        clock = Clock()
        ledger = PlaybackLedger(clock)
        ledger.received("resp_1", "item_1", 0, 4800)
        ledger.received("resp_2", "item_2", 0, 4800)
        clock.ms += 20
        ledger.cut(ledger.audible("resp_1"))
        assert self.began(ledger, "item_2") == pytest.approx(5.02)
        assert self.began(ledger, "item_1") == 5.0

    def test_with_a_tracker_it_is_the_first_report(self) -> None:
        tracker = RealtimePlaybackTracker()
        ledger = PlaybackLedger(Clock(), tracker)
        ledger.received("resp", "item_1", 0, 4800)
        assert self.began(ledger, "item_1") is None
        tracker.on_play_ms("item_1", 0, 20)
        first = self.began(ledger, "item_1")
        tracker.on_play_ms("item_1", 0, 20)
        assert first is not None
        assert self.began(ledger, "item_1") == first


class TestReported:
    """With a tracker the ledger believes the application, and nothing else."""

    def test_positions_are_those_reported(self) -> None:
        clock, tracker = Clock(), RealtimePlaybackTracker()
        ledger = PlaybackLedger(clock, tracker)
        assert ledger.reported
        ledger.received("resp", "item", 0, 48_000)
        clock.ms += 900
        assert [part.audio_end_ms for part in ledger.audible()] == [0]
        tracker.on_play_ms("item", 0, 480)
        tracker.on_play_bytes("item", 0, bytes(960))
        assert [part.audio_end_ms for part in ledger.audible()] == [500]

    def test_bytes_are_counted_in_the_sessions_format(self) -> None:
        tracker = RealtimePlaybackTracker()
        tracker.set_audio_format("g711_ulaw")
        tracker.on_play_bytes("item", 0, bytes(8000))
        assert tracker.played_ms("item", 0) == 1000

    def test_too_much_is_reported(self) -> None:
        tracker = RealtimePlaybackTracker()
        ledger = PlaybackLedger(Clock(), tracker)
        ledger.received("resp", "item", 0, 4800)
        tracker.on_play_ms("item", 0, 5000)
        position = ledger.position("item", 0)
        assert position is not None
        assert position.played_ms == position.received_ms == 100

    def test_a_report_for_the_next_item_says_that_this_one_was_played(self) -> None:
        tracker = RealtimePlaybackTracker()
        ledger = PlaybackLedger(Clock(), tracker)
        ledger.received("resp", "a", 0, 4800)
        ledger.received("resp", "b", 0, 4800)
        ledger.response_done("resp")
        tracker.on_play_ms("a", 0, 60)
        tracker.on_play_ms("b", 0, 20)
        assert [(part.item_id, part.audio_end_ms) for part in ledger.audible()] == [("b", 20)]

    def test_a_report_after_the_cut_changes_nothing(self) -> None:
        tracker = RealtimePlaybackTracker()
        ledger = PlaybackLedger(Clock(), tracker)
        ledger.received("resp", "a", 0, 48_000)
        tracker.on_play_ms("a", 0, 300)
        ledger.cut(ledger.audible())
        tracker.on_play_ms("a", 0, 300)
        ledger.received("resp_2", "b", 0, 4800)
        position = ledger.position("a", 0)
        assert position is not None
        assert position.audio_end_ms == 300
        assert [(part.item_id, part.audio_end_ms) for part in ledger.audible()] == [("b", 0)]

    def test_the_state_tells_what_is_played_now(self) -> None:
        tracker = RealtimePlaybackTracker()
        assert tracker.get_state().current_item_id is None
        tracker.on_play_ms("item", 2, 20)
        tracker.on_play_ms("item", 2, 20)
        state = tracker.get_state()
        assert (state.current_item_id, state.current_item_content_index, state.elapsed_ms) == ("item", 2, 40)
        tracker.on_interrupted()
        assert tracker.get_state().elapsed_ms is None

    def test_a_cut_tells_the_tracker(self) -> None:
        tracker = RealtimePlaybackTracker()
        ledger = PlaybackLedger(Clock(), tracker)
        ledger.received("resp", "item", 0, 4800)
        tracker.on_play_ms("item", 0, 20)
        ledger.cut(ledger.audible())
        assert tracker.get_state().current_item_id is None

    def test_audio_callbacks_report_from_threads(self) -> None:
        tracker = RealtimePlaybackTracker()
        ledger = PlaybackLedger(Clock(), tracker)
        for item in ("a", "b"):
            ledger.received("resp", item, 0, 48_000_000)
        start = threading.Barrier(5)

        def report(item: str) -> None:
            start.wait()
            for _ in range(2000):
                tracker.on_play_ms(item, 0, 1)

        threads = [threading.Thread(target=report, args=(item,)) for item in "abab"]
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            for thread in threads:
                thread.start()
            start.wait()
            for _ in range(200):
                for part in ledger.audible():
                    assert part.played_ms <= part.received_ms
                tracker.get_state()
            for thread in threads:
                thread.join()
        finally:
            sys.setswitchinterval(interval)
        assert tracker.played_ms("a", 0) == tracker.played_ms("b", 0) == 4000


class TestBounds:
    """A long conversation costs no more than a short one."""

    @pytest.mark.parametrize("ending", ["played", "cut", "never", "stopped", "truncated", "unreported"])
    def test_ten_thousand_items(self, ending: str) -> None:
        clock = Clock()
        ledger = PlaybackLedger(clock, RealtimePlaybackTracker() if ending == "unreported" else None)
        for number in range(10_000):
            place: tuple[str, int] = (f"item_{number}", 0)
            if ending in {"stopped", "truncated"}:
                ledger.playing("resp", *place)
            else:
                ledger.received("resp", *place, 4800)
            clock.ms += 50
            match ending:
                case "played" | "unreported":
                    ledger.done(*place)
                    clock.ms += 60
                case "cut":
                    ledger.cut(ledger.audible())
                case "stopped":
                    ledger.stopped(*place)
                case "truncated":
                    ledger.truncated(*place, 50)
        known = [number for number in range(10_000) if ledger.position(f"item_{number}", 0) is not None]
        assert known[-1] == 9999
        assert len(known) <= 400
        assert len(ledger.audible()) <= 300

    def test_parts_that_were_forgotten_late_are_still_answered_for_a_while(self) -> None:
        clock = Clock()
        ledger = PlaybackLedger(clock)
        positions: list[Any] = []
        for number in range(20):
            ledger.received("resp", f"item_{number}", 0, 4800)
            ledger.done(f"item_{number}", 0)
            clock.ms += 200
            positions.append(ledger.position("item_0", 0))
        assert {position.audio_end_ms for position in positions} == {100}

    def test_the_tracker(self) -> None:
        tracker = RealtimePlaybackTracker()
        for number in range(10_000):
            tracker.on_play_ms(f"item_{number}", 0, 20)
        known = sum(tracker.played_ms(f"item_{number}", 0) > 0 for number in range(10_000))
        assert 0 < known <= 100
        assert tracker.last_reported == ("item_9999", 0)
