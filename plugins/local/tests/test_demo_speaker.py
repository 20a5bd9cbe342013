"""The demo's loudspeaker and microphone: what the caller hears and says, and when."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield.audio import AudioFormat, RealtimePlaybackTracker, read_wav
from jackfield_local.demo.caller import CallerMicrophone, spoken_line, trimmed
from jackfield_local.demo.errors import DemoError
from jackfield_local.demo.speaker import Speaker

MS = 48


def tone(ms: int, value: int = 1) -> bytes:
    return value.to_bytes(2, "little") * (ms * 24)


class Ear:
    def __init__(self) -> None:
        self.sounds: list[tuple[float, bytes]] = []
        self.tracker = RealtimePlaybackTracker()
        self.speaker = Speaker(self.tracker, lambda pcm, at_ms: self.sounds.append((at_ms, pcm)))

    @property
    def heard(self) -> bytes:
        return b"".join(pcm for _, pcm in self.sounds)


class TestSpeaker:
    def test_plays_what_it_was_given_when_time_passes(self) -> None:
        ear = Ear()
        ear.speaker.write(tone(50), "a", 0)
        assert ear.sounds == []
        ear.speaker.play(20, 1000)
        ear.speaker.play(20, 1020)
        assert ear.sounds == [(1000, tone(20)), (1020, tone(20))]
        assert not ear.speaker.silent
        ear.speaker.play(20, 1040)
        assert ear.heard == tone(50)
        assert not ear.speaker.silent, "more may come"
        ear.speaker.end("a", 0)
        assert ear.speaker.silent

    def test_a_later_part_begins_where_the_one_before_ends(self) -> None:
        ear = Ear()
        ear.speaker.write(tone(30, 1), "a", 0)
        second = ear.speaker.write(tone(30, 2), "b", 0)
        ear.speaker.play(100, 0)
        assert ear.heard == tone(30, 1) + tone(30, 2)
        assert second.started_at_ms == 30

    def test_silence_where_the_audio_ran_dry_delays_what_comes(self) -> None:
        ear = Ear()
        ear.speaker.write(tone(20), "a", 0)
        ear.speaker.play(100, 0)
        ear.speaker.write(tone(20), "a", 0)
        ear.speaker.play(20, 100)
        assert [at for at, _ in ear.sounds] == [0, 100]

    def test_a_cut_is_immediate_and_final(self) -> None:
        ear = Ear()
        ear.speaker.write(tone(1000), "a", 0)
        ear.speaker.play(300, 0)
        part = ear.speaker.cut("a", 0)
        assert part is not None
        ear.speaker.write(tone(1000), "a", 0)
        ear.speaker.play(1000, 300)
        assert ear.heard == tone(300)
        assert (part.played_ms, part.received_ms) == (300, 1000)
        assert ear.speaker.silent

    def test_what_is_behind_a_cut_part_plays_on(self) -> None:
        ear = Ear()
        ear.speaker.write(tone(100, 1), "a", 0)
        ear.speaker.write(tone(100, 2), "b", 0)
        ear.speaker.play(20, 0)
        ear.speaker.cut("a", 0)
        ear.speaker.play(20, 20)
        assert ear.sounds[-1] == (20, tone(20, 2))

    def test_cutting_the_unknown_does_nothing(self) -> None:
        assert Ear().speaker.cut("a", 0) is None

    def test_other_formats_are_refused(self) -> None:
        with pytest.raises(DemoError, match="audio/pcmu"):
            Ear().speaker.write(b"\xff" * 8, "a", 0, AudioFormat.parse("pcmu"))

    @given(
        st.lists(
            st.one_of(
                st.tuples(st.just("write"), st.sampled_from("abc"), st.integers(1, 90)),
                st.tuples(st.just("play"), st.just(""), st.integers(1, 90)),
                st.tuples(st.just("cut"), st.sampled_from("abc"), st.just(0)),
            )
        )
    )
    def test_the_tracker_is_told_of_what_was_heard_and_of_nothing_else(self, steps: list[tuple[str, str, int]]) -> None:
        ear = Ear()
        now = 0.0
        written = dict.fromkeys("abc", 0)
        for step, item_id, ms in steps:
            if step == "write":
                part = ear.speaker.part(item_id, 0)
                written[item_id] += 0 if part is not None and part.cut else ms
                ear.speaker.write(tone(ms), item_id, 0)
            elif step == "cut":
                ear.speaker.cut(item_id, 0)
            else:
                ear.speaker.play(ms, now)
                now += ms
        told = {item_id: ear.tracker.played_ms(item_id, 0) for item_id in "abc"}
        assert sum(told.values()) == pytest.approx(len(ear.heard) / MS)
        for item_id in "abc":
            part = ear.speaker.part(item_id, 0)
            assert told[item_id] == pytest.approx(part.played_ms if part else 0)
            assert told[item_id] <= written[item_id] + 1e-6
        # No two sounds at once: each begins where the one before has ended, or later.
        end = 0.0
        for at_ms, pcm in ear.sounds:
            assert at_ms >= end - 1e-6
            end = at_ms + len(pcm) / MS


class TestMicrophone:
    def test_it_never_stops(self) -> None:
        sent: list[tuple[float, bytes]] = []
        microphone = CallerMicrophone(lambda pcm, at_ms: sent.append((at_ms, pcm)))
        assert microphone.take(20, 0) == bytes(20 * MS)
        microphone.say(tone(30))
        assert microphone.remaining_ms == 30
        assert microphone.take(20, 20) == tone(20)
        assert microphone.take(20, 40) == tone(10) + bytes(10 * MS)
        assert microphone.remaining_ms == 0
        assert [at_ms for at_ms, _ in sent] == [0, 20, 40]

    def test_silence_around_a_line_is_cut_off(self) -> None:
        assert trimmed(bytes(500 * MS) + tone(200, 3000) + bytes(300 * MS)) == tone(200, 3000)
        assert trimmed(bytes(500 * MS)) == b""
        assert trimmed(b"") == b""

    def test_a_line_is_a_wav_file(self, tmp_path: Path) -> None:
        path = tmp_path / "line.wav"
        told: list[tuple[str, str]] = []

        def speak(text: str, voice: str) -> bytes:
            told.append((text, voice))
            return bytes(100 * MS) + tone(200, 3000)

        assert spoken_line("Hello.", "verse", speak, path) == tone(200, 3000)
        assert told == [("Hello.", "verse")]
        assert read_wav(path) == (tone(200, 3000), 24_000, 1)
