"""`jackfield.audio.resample`: the same bytes for any chunking, no drift, little delay, and clean sound."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from jackfield.audio.resample import Resampler, resample
from jackfield.errors import ConfigurationError

API_RATES = [8000, 16000, 24000, 48000]
PAIRS = [(a, b) for a in API_RATES for b in API_RATES if a != b]
ODD_PAIRS = [(22050, 24000), (24000, 22050), (44100, 24000), (11025, 8000), (44101, 48000)]
DOWN = [(a, b) for a, b in [*PAIRS, *ODD_PAIRS] if a > b]

pairs = st.sampled_from([*PAIRS, *ODD_PAIRS, (24000, 24000)])
pcm_bytes = st.binary(max_size=4000)


def tone(hz: float, rate: int, seconds: float = 0.5, level: float = 16000) -> bytes:
    times = np.arange(int(rate * seconds)) / rate
    return np.rint(level * np.sin(2 * np.pi * hz * times)).astype("<i2").tobytes()


def middle(pcm: bytes) -> NDArray[np.float64]:
    values = np.frombuffer(pcm, "<i2").astype(float)
    return values[len(values) // 10 : -len(values) // 10]


def fit(pcm: bytes, hz: float, rate: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Split a sound into the best fitting sine of one frequency, and the rest."""
    values = middle(pcm)
    angle = 2 * np.pi * hz * np.arange(len(values)) / rate
    basis = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    sine = basis @ np.linalg.lstsq(basis, values, rcond=None)[0]
    return sine, values - sine


def decibels(power: float) -> float:
    return 10 * float(np.log10(max(power, 1e-9)))


@settings(deadline=None)
@given(pair=pairs, pcm=pcm_bytes, cuts=st.lists(st.integers(0, 4000)))
@example(pair=(8000, 24000), pcm=bytes(range(256)) * 8, cuts=list(range(2048)))
@example(pair=(48000, 8000), pcm=bytes(range(256)) * 8, cuts=list(range(1, 2048, 3)))
def test_any_chunking_gives_the_same_bytes(pair: tuple[int, int], pcm: bytes, cuts: list[int]) -> None:
    bounds = [0, *sorted(min(cut, len(pcm)) for cut in cuts), len(pcm)]
    resampler = Resampler(*pair)
    chunks = [resampler.process(pcm[start:end]) for start, end in pairwise(bounds)]
    assert b"".join(chunks) + resampler.flush() == resample(pcm, *pair)


@settings(deadline=None)
@given(
    rates=st.tuples(st.integers(1000, 768_000), st.integers(1000, 768_000)),
    samples=st.integers(0, 300),
)
@example(rates=(48000, 24000), samples=1)
@example(rates=(48000, 24000), samples=3)
@example(rates=(1000, 768_000), samples=2)
@example(rates=(768_000, 1000), samples=300)
def test_length_is_kept_for_any_pair_of_rates(rates: tuple[int, int], samples: int) -> None:
    in_rate, out_rate = rates
    converted = resample(bytes(2 * samples), in_rate, out_rate)
    assert len(converted) == 2 * round(Fraction(samples * out_rate, in_rate))


@pytest.mark.parametrize(("in_rate", "out_rate"), [*PAIRS, *ODD_PAIRS])
def test_no_drift_over_many_chunks(in_rate: int, out_rate: int) -> None:
    """While streaming, the output never lags by more than the stated delay and the sample being made."""
    resampler = Resampler(in_rate, out_rate)
    chunk = bytes(2 * (in_rate // 50))
    received = sent = 0
    for _ in range(100):
        received += len(chunk) // 2
        sent += len(resampler.process(chunk)) // 2
        lag_ms = 1000 * (received / in_rate - sent / out_rate)
        assert 0 <= lag_ms <= resampler.delay_ms + 1e-9
    sent += len(resampler.flush()) // 2
    assert sent == round(Fraction(received * out_rate, in_rate))


@pytest.mark.parametrize(("in_rate", "out_rate"), PAIRS)
def test_delay_is_two_ms_at_most(in_rate: int, out_rate: int) -> None:
    assert 0 < Resampler(in_rate, out_rate).delay_ms <= 2.0


@pytest.mark.parametrize(("in_rate", "out_rate"), [*PAIRS, *ODD_PAIRS])
def test_sound_stays_where_it_was(in_rate: int, out_rate: int) -> None:
    """An impulse comes out at the same time: the filter's delay is made up for."""
    pulse = np.zeros(in_rate // 10)
    pulse[in_rate // 20] = 30000
    out = np.frombuffer(resample(pulse.astype("<i2").tobytes(), in_rate, out_rate), "<i2").astype(float)
    at_seconds = (out * np.arange(len(out))).sum() / out.sum() / out_rate
    assert at_seconds == pytest.approx(in_rate // 20 / in_rate, abs=2e-6)


@pytest.mark.parametrize(("rate", "via"), PAIRS)
def test_a_round_trip_leaves_a_clean_tone(rate: int, via: int) -> None:
    back = resample(resample(tone(1000, rate), rate, via), via, rate)
    sine, rest = fit(back, 1000, rate)
    assert decibels(np.mean(sine**2) / np.mean(rest**2)) >= 80
    assert decibels(np.mean(sine**2) / (16000**2 / 2)) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(("in_rate", "out_rate"), DOWN)
def test_what_the_slower_side_cannot_hold_is_removed(in_rate: int, out_rate: int) -> None:
    """From 1.15 of the Nyquist frequency on, less than -70 dB is left."""
    first, last = 1.15 * out_rate / 2, 0.99 * in_rate / 2
    for hz in np.linspace(min(first, last), last, 15 if first < last else 0):
        left = middle(resample(tone(hz, in_rate), in_rate, out_rate))
        assert decibels(np.mean(left**2) / (16000**2 / 2)) <= -70, hz


@pytest.mark.parametrize(("in_rate", "out_rate"), [*PAIRS, *ODD_PAIRS])
def test_the_pass_band_is_flat_and_has_no_images(in_rate: int, out_rate: int) -> None:
    for share in (0.02, 0.25, 0.5, 0.85):
        hz = share * min(in_rate, out_rate) / 2
        sine, rest = fit(resample(tone(hz, in_rate), in_rate, out_rate), hz, out_rate)
        assert decibels(np.mean(sine**2) / (16000**2 / 2)) == pytest.approx(0, abs=0.1)
        assert decibels(np.mean(rest**2) / np.mean(sine**2)) <= -70


@settings(deadline=None)
@given(pair=pairs, level=st.integers(-32768, 32767))
def test_a_constant_stays_that_constant(pair: tuple[int, int], level: int) -> None:
    pcm = np.full(pair[0] // 50, level, "<i2").tobytes()
    assert set(middle(resample(pcm, *pair))) == {level}


@pytest.mark.parametrize(("in_rate", "out_rate"), PAIRS)
def test_overshoot_is_clipped_and_never_wraps(in_rate: int, out_rate: int) -> None:
    """A full-scale square wave overshoots when it is band-limited; each plateau keeps its sign."""
    square = np.where(np.arange(in_rate // 10) // (in_rate // 100) % 2, -32768, 32767).astype("<i2").tobytes()
    out = np.frombuffer(resample(square, in_rate, out_rate), "<i2").astype(int)
    period = out_rate // 100
    for plateau in range(1, len(out) // period - 1):
        inner = out[plateau * period + period // 4 : (plateau + 1) * period - period // 4]
        assert (inner < -20000).all() if plateau % 2 else (inner > 20000).all()


def test_equal_rates_pass_bytes_through_at_once() -> None:
    resampler = Resampler(24000, 24000)
    assert resampler.delay_ms == 0
    assert resampler.process(b"\x01\x02\x03") == b"\x01\x02"
    assert resampler.process(b"\x04") == b"\x03\x04"
    assert resampler.flush() == b""


def test_half_a_sample_at_the_end_is_dropped() -> None:
    assert resample(b"\x10\x20\x30", 24000, 24000) == b"\x10\x20"
    assert resample(tone(440, 8000) + b"\x7f", 8000, 24000) == resample(tone(440, 8000), 8000, 24000)


@pytest.mark.parametrize("end", ["flush", "reset"])
def test_a_stream_starts_afresh_after_the_last(end: str) -> None:
    resampler = Resampler(8000, 24000)
    resampler.process(tone(440, 8000) + b"\x55")
    getattr(resampler, end)()
    assert resampler.process(tone(1000, 8000)) + resampler.flush() == resample(tone(1000, 8000), 8000, 24000)


def test_two_streams_share_nothing() -> None:
    one, two = Resampler(16000, 24000), Resampler(16000, 24000)
    first, second = tone(440, 16000), tone(1000, 16000)
    out_one = out_two = b""
    for start in range(0, len(first), 640):
        out_one += one.process(first[start : start + 640])
        out_two += two.process(memoryview(second)[start : start + 640])
    assert out_one + one.flush() == resample(first, 16000, 24000)
    assert out_two + two.flush() == resample(bytearray(second), 16000, 24000)


@pytest.mark.parametrize(
    "rates", [(0, 24000), (24000, -1), (24000, 999), (768_001, 24000), (24000.5, 8000), ("8k", 8000)]
)
def test_a_rate_that_is_none_is_refused(rates: tuple[int, int]) -> None:
    with pytest.raises(ConfigurationError, match="not a sample rate"):
        Resampler(*rates)
