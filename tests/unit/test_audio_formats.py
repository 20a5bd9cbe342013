"""`jackfield.audio.formats`: names and arithmetic."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield.audio.formats import PCM16, PCMA, PCMU, AudioFormat, UnknownAudioFormatError
from jackfield.errors import ConfigurationError

rates = st.integers(min_value=1, max_value=768_000)
formats = st.one_of(st.sampled_from([PCM16, PCMU, PCMA]), st.builds(AudioFormat, st.just("audio/pcm"), rates))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (PCMA, PCMA),
        ("pcm16", PCM16),
        ("pcm", PCM16),
        ("audio/pcm", PCM16),
        (" Audio/PCM ", PCM16),
        ("g711_ulaw", PCMU),
        ("G711_ULAW", PCMU),
        ("pcmu", PCMU),
        ("audio/pcmu", PCMU),
        ("g711_alaw", PCMA),
        ("pcma", PCMA),
        ("audio/pcma", PCMA),
        ({"type": "audio/pcm", "rate": 24000}, PCM16),
        ({"type": "audio/pcm"}, PCM16),
        ({"type": "audio/pcm", "rate": None}, PCM16),
        ({"type": "audio/pcm", "rate": 16000}, AudioFormat("audio/pcm", 16000)),
        ({"type": "audio/pcmu", "rate": 8000}, PCMU),
        (SimpleNamespace(type="audio/pcma"), PCMA),
        (SimpleNamespace(type="audio/pcm", rate=48000), AudioFormat("audio/pcm", 48000)),
    ],
)
def test_every_spelling_is_understood(value: object, expected: AudioFormat) -> None:
    assert AudioFormat.parse(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        "opus",
        "",
        None,
        24000,
        {},
        {"type": None},
        {"type": ["audio/pcm"]},
        {"rate": 24000},
        SimpleNamespace(type=3),
        b"audio/pcm",
    ],
)
def test_an_unknown_format_is_refused_and_the_valid_ones_are_named(value: object) -> None:
    with pytest.raises(UnknownAudioFormatError) as caught:
        AudioFormat.parse(value)
    assert isinstance(caught.value, ConfigurationError)
    assert isinstance(caught.value, ValueError)
    for name in ("audio/pcm", "audio/pcmu", "audio/pcma", "pcm16", "g711_ulaw", "g711_alaw"):
        assert name in str(caught.value)


@pytest.mark.parametrize("rate", [0, -8000, "24000", 24000.0, True, 10**9])
def test_a_rate_that_is_none_is_refused(rate: object) -> None:
    with pytest.raises(UnknownAudioFormatError, match="Hz"):
        AudioFormat.parse({"type": "audio/pcm", "rate": rate})


@pytest.mark.parametrize("type_", ["audio/pcmu", "audio/pcma"])
def test_g711_has_one_rate(type_: str) -> None:
    with pytest.raises(UnknownAudioFormatError, match="8000"):
        AudioFormat.parse({"type": type_, "rate": 16000})


def test_the_constructor_checks_as_well() -> None:
    with pytest.raises(UnknownAudioFormatError, match="audio/pcm"):
        AudioFormat("pcm16", 24000)  # type: ignore[arg-type]


def test_the_wire_has_a_rate_for_pcm_only() -> None:
    assert PCM16.to_wire() == {"type": "audio/pcm", "rate": 24000}
    assert PCMU.to_wire() == {"type": "audio/pcmu"}
    assert PCMA.to_wire() == {"type": "audio/pcma"}


@given(formats)
def test_what_goes_to_the_wire_is_understood_again(format_: AudioFormat) -> None:
    assert AudioFormat.parse(format_.to_wire()) == format_


def test_sizes_are_those_of_the_api() -> None:
    assert (PCM16.bytes_per_sample, PCM16.bytes_per_ms, PCM16.bytes_per_second) == (2, 48.0, 48_000)
    assert (PCMU.bytes_per_sample, PCMU.bytes_per_ms, PCMU.bytes_per_second) == (1, 8.0, 8_000)
    assert PCM16.duration_ms(4800) == 100.0
    assert PCMA.duration_ms(160) == 20.0
    assert PCM16.bytes_for_ms(20) == 960
    assert PCMU.bytes_for_ms(20) == 160


@given(formats, st.integers(min_value=0, max_value=10**9))
def test_duration_and_bytes_are_inverse_on_whole_samples(format_: AudioFormat, samples: int) -> None:
    nbytes = samples * format_.bytes_per_sample
    assert format_.bytes_for_ms(format_.duration_ms(nbytes)) == nbytes


@given(formats, st.floats(min_value=0, max_value=10**7))
def test_bytes_are_whole_samples_and_not_more_than_asked(format_: AudioFormat, ms: float) -> None:
    nbytes = format_.bytes_for_ms(ms)
    assert nbytes % format_.bytes_per_sample == 0
    assert format_.duration_ms(nbytes) <= ms + 1e-3 + 1e-9 * ms
    assert format_.duration_ms(nbytes + format_.bytes_per_sample) > ms - 1e-9 * ms


def test_silence_is_each_formats_own_zero() -> None:
    assert PCM16.silence(10) == bytes(480)
    assert PCMU.silence(10) == b"\xff" * 80
    assert PCMA.silence(10) == b"\xd5" * 80
    assert PCM16.silence(0) == PCM16.silence(-5) == b""


def test_importing_it_loads_no_numpy() -> None:
    code = "import sys, jackfield.audio.formats; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
