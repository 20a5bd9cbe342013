"""What is heard in the place of a lost packet."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jackfield_transports.webrtc.media.conceal import Concealer

RATE = 24_000
FRAME = 480


def tone(hz: float, start: int, count: int) -> bytes:
    time = np.arange(start, start + count) / RATE
    return (8_000 * np.sin(2 * np.pi * hz * time)).astype("<i2").tobytes()


def samples(pcm: bytes) -> Any:
    return np.frombuffer(pcm, "<i2").astype(float)


class TestConcealer:
    def test_what_comes_is_left_alone(self) -> None:
        concealer = Concealer()
        for number in range(5):
            pcm = tone(300, number * FRAME, FRAME)
            assert concealer.hear(pcm) == pcm

    def test_a_voice_goes_on_at_its_pitch(self) -> None:
        for hz in (80, 120, 200, 350):
            concealer = Concealer()
            for number in range(5):
                concealer.hear(tone(hz, number * FRAME, FRAME))
            invented = samples(concealer.conceal(FRAME))
            missing = samples(tone(hz, 5 * FRAME, FRAME))
            likeness = invented @ missing / np.sqrt((invented @ invented) * (missing @ missing))
            assert likeness > 0.9, hz

    def test_it_fades_out_and_stays_silent(self) -> None:
        concealer = Concealer()
        for number in range(5):
            concealer.hear(tone(200, number * FRAME, FRAME))
        levels = [float(np.abs(samples(concealer.conceal(FRAME))).max()) for _ in range(5)]
        assert levels == sorted(levels, reverse=True)
        assert levels[0] > 4_000 and levels[3:] == [0, 0]

    def test_no_click_where_it_begins_or_ends(self) -> None:
        concealer = Concealer()
        heard = b"".join(concealer.hear(tone(200, number * FRAME, FRAME)) for number in range(5))
        heard += concealer.conceal(FRAME)
        heard += concealer.hear(tone(200, 6 * FRAME, FRAME))
        steps = np.abs(np.diff(samples(heard)))
        steepest = np.abs(np.diff(samples(tone(200, 0, 7 * FRAME)))).max()
        assert steps.max() < 4 * steepest

    def test_before_anything_came_there_is_silence(self) -> None:
        assert not samples(Concealer().conceal(FRAME)).any()

    @given(st.lists(st.one_of(st.binary(max_size=400), st.integers(1, 2_000)), max_size=20))
    def test_durations_are_kept(self, stream: list[bytes | int]) -> None:
        concealer = Concealer()
        for part in stream:
            if isinstance(part, int):
                assert len(concealer.conceal(part)) == 2 * part
            else:
                whole = part[: len(part) & ~1]
                assert len(concealer.hear(whole)) == len(whole)
