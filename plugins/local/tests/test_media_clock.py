"""Silence where no audio comes, and not where it does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jackfield_local.media_clock import Gaps


def test_regular_audio_has_no_gaps() -> None:
    gaps = Gaps(0.0)
    for tick in range(1, 500):
        gaps.heard(tick * 0.02)
        assert gaps.missing(tick * 0.02 + 0.01) == 0


def test_audio_that_is_late_is_waited_for() -> None:
    gaps = Gaps(0.0)
    gaps.heard(1.0)
    assert gaps.missing(1.099) == 0
    gaps.heard(1.0995)
    assert gaps.missing(1.19) == 0


def test_silence_goes_on_in_real_time() -> None:
    gaps = Gaps(10.0)
    frames = [gaps.missing(10 + tick * 0.02) for tick in range(1, 101)]
    assert frames[:5] == [0, 0, 0, 0, 5]
    assert frames[5:] == [1] * 95


def test_it_ends_when_audio_comes_and_begins_anew() -> None:
    gaps = Gaps(0.0)
    assert gaps.missing(0.2) == 10
    gaps.heard(0.21)
    assert gaps.missing(0.3) == 0
    assert gaps.missing(0.32) == 5


def test_a_machine_that_stood_still_is_not_made_up_for() -> None:
    gaps = Gaps(0.0)
    assert gaps.missing(60.0) == 50
    assert gaps.missing(60.02) == 1


@given(st.lists(st.floats(0.0, 0.5), max_size=200))
def test_without_audio_silence_is_as_long_as_the_time(steps: list[float]) -> None:
    gaps, now, frames = Gaps(0.0), 0.0, 0
    for step in steps:
        now += step
        frames += gaps.missing(now)
        assert frames * 0.02 <= now + 1e-3
        assert now < 0.1 or frames * 0.02 > now - 0.0201
