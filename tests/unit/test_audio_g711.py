"""`jackfield.audio.g711`: exact against an independent implementation, and against known values of the standard."""

from __future__ import annotations

import importlib
import struct
import subprocess
import sys
import textwrap
import warnings
from types import ModuleType
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jackfield.audio.g711 import decode, encode
from jackfield.errors import ConfigurationError

Law = Literal["ulaw", "alaw"]
laws = st.sampled_from(["ulaw", "alaw"])
ALL_SAMPLES = struct.pack("<65536h", *range(-32768, 32768))
ALL_CODES = bytes(range(256))


@pytest.fixture
def audioop() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return importlib.import_module("audioop")
        except ImportError:
            pytest.skip("this interpreter has no audioop")


def samples(pcm: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(pcm) // 2}h", pcm)


@pytest.mark.parametrize("law", ["ulaw", "alaw"])
def test_every_sample_is_coded_as_audioop_codes_it(law: Law, audioop: ModuleType) -> None:
    expected = audioop.lin2ulaw(ALL_SAMPLES, 2) if law == "ulaw" else audioop.lin2alaw(ALL_SAMPLES, 2)
    assert encode(ALL_SAMPLES, law) == expected


@pytest.mark.parametrize("law", ["ulaw", "alaw"])
def test_every_code_is_decoded_as_audioop_decodes_it(law: Law, audioop: ModuleType) -> None:
    expected = audioop.ulaw2lin(ALL_CODES, 2) if law == "ulaw" else audioop.alaw2lin(ALL_CODES, 2)
    assert decode(ALL_CODES, law) == expected


def test_known_values() -> None:
    """Silence and full scale, so that something is checked also where there is no audioop."""
    pcm = struct.pack("<3h", 0, 32767, -32768)
    assert encode(pcm, "ulaw") == b"\xff\x80\x00"
    assert encode(pcm, "alaw") == b"\xd5\xaa\x2a"
    assert samples(decode(b"\xff\x7f\x80\x00", "ulaw")) == (0, 0, 32124, -32124)
    assert samples(decode(b"\xd5\x55\xaa\x2a", "alaw")) == (8, -8, 32256, -32256)


@pytest.mark.parametrize("law", ["ulaw", "alaw"])
def test_a_decoded_code_is_coded_as_the_same_value_again(law: Law) -> None:
    once = decode(ALL_CODES, law)
    assert decode(encode(once, law), law) == once


@settings(deadline=None)
@given(law=laws, pcm=st.lists(st.integers(-32768, 32767)))
def test_the_error_is_at_most_half_a_step(law: Law, pcm: list[int]) -> None:
    """Steps double with each segment: the error stays below 1/32 of the sample, and small near zero."""
    coded = encode(struct.pack(f"<{len(pcm)}h", *pcm), law)
    assert len(coded) == len(pcm)
    for before, after in zip(pcm, samples(decode(coded, law)), strict=True):
        assert abs(before - after) <= max(16, abs(before) / 31 + 8)


def test_bytes_like_objects_will_do() -> None:
    assert encode(bytearray(4), "ulaw") == encode(memoryview(bytes(4)), "ulaw") == b"\xff\xff"
    assert decode(bytearray(b"\xff"), "ulaw") == decode(memoryview(b"\xff"), "ulaw") == bytes(2)
    assert encode(b"", "alaw") == decode(b"", "alaw") == b""


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="two bytes a sample"):
        encode(b"\x00\x00\x00", "ulaw")


def test_an_unknown_law_is_refused() -> None:
    for law in ("mulaw", ""):
        with pytest.raises(ConfigurationError, match="'ulaw' or 'alaw'"):
            encode(b"", law)  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match="'ulaw' or 'alaw'"):
            decode(b"", law)  # type: ignore[arg-type]


def test_without_numpy_the_extra_is_named() -> None:
    """Importing works, using says what to install; in another interpreter, since numpy is loaded in this one."""
    code = textwrap.dedent("""
        import sys
        sys.modules["numpy"] = None
        from jackfield.audio import g711, resample
        for use in (lambda: g711.encode(b"", "ulaw"), lambda: resample.Resampler(8000, 24000)):
            try:
                use()
            except ImportError as error:
                print(type(error).__name__, error)
    """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.count("MissingAudioDependencyError") == 2
    assert done.stdout.count("pip install 'jackfield[audio]'") == 2
