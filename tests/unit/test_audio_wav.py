"""`jackfield.audio.wav`: files in and out, and the stereo recorder against a model of what it should hold."""

from __future__ import annotations

import struct
import wave
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jackfield.audio.wav import StereoRecorder, WavError, read_wav, write_wav
from jackfield.errors import ConfigurationError

RATE = 8000  # 8 samples a millisecond


def pcm(value: int, ms: float) -> bytes:
    return struct.pack("<h", value) * round(ms * RATE / 1000)


def channels(path: Path) -> tuple[list[int], list[int]]:
    """Read a recording with the standard library: the left samples, and the right ones."""
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, RATE)
        data = file.readframes(file.getnframes())
        assert len(data) == 4 * file.getnframes()
    assert path.stat().st_size == 44 + len(data)
    values = list(struct.unpack(f"<{len(data) // 2}h", data))
    return values[0::2], values[1::2]


def ms_of(samples: list[int]) -> list[int]:
    """One value a millisecond; all samples of it must agree."""
    groups = [samples[start : start + 8] for start in range(0, len(samples), 8)]
    assert all(len(set(group)) == 1 for group in groups)
    return [group[0] for group in groups]


@settings(deadline=None)
@given(data=st.binary(max_size=400), count=st.integers(1, 3), rate=st.integers(1, 192_000))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, data: bytes, count: int, rate: int) -> None:
    path = tmp_path_factory.mktemp("wav") / "file.wav"
    data = data[: len(data) // (2 * count) * 2 * count]
    write_wav(path, data, rate, count)
    assert read_wav(path) == (data, rate, count)
    assert read_wav(str(path)) == (data, rate, count)


@pytest.mark.parametrize(
    ("width", "data"),
    [
        (1, b"\x00\x80\xff"),
        (2, b"\x00\x80\x00\x00\x00\x7f"),
        (3, b"\x99\x00\x80\x99\x00\x00\x99\x00\x7f"),
        (4, b"\x99\x99\x00\x80\x99\x99\x00\x00\x99\x99\x00\x7f"),
    ],
)
def test_other_widths_are_brought_to_16_bits(tmp_path: Path, width: int, data: bytes) -> None:
    path = tmp_path / "file.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(width)
        file.setframerate(RATE)
        file.writeframes(data)
    assert read_wav(path) == (struct.pack("<3h", -32768, 0, 0x7F00), RATE, 1)


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", b"not a WAV file, but long enough to look into it", b"ID3" + bytes(99)]
)
def test_what_is_no_wav_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.wav"
    path.write_bytes(content)
    with pytest.raises(WavError, match=r"file\.wav"):
        read_wav(path)


def test_a_missing_file_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_wav(tmp_path / "nothing.wav")


def test_broken_frames_are_not_written(tmp_path: Path) -> None:
    path = tmp_path / "file.wav"
    with pytest.raises(ConfigurationError, match="frames"):
        write_wav(path, b"\x00\x00", RATE, channels=2)
    with pytest.raises(ConfigurationError, match="1 or more"):
        write_wav(path, b"", 0)
    assert not path.exists()


def test_each_side_is_placed_by_time(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    with StereoRecorder(path, RATE) as recorder:
        recorder.write_left(pcm(1, 2), 1)
        recorder.write_right(pcm(2, 3), 4)
        assert recorder.duration_ms == 7
    left, right = channels(path)
    assert ms_of(left) == [0, 1, 1, 0, 0, 0, 0]
    assert ms_of(right) == [0, 0, 0, 0, 2, 2, 2]


def test_a_burst_is_queued_and_heard_in_order(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    with StereoRecorder(path, RATE) as recorder:
        for value in (1, 2, 3):
            recorder.write_right(pcm(value, 2), 1)
        recorder.write_right(pcm(4, 1), -5)
    left, right = channels(path)
    assert ms_of(right) == [0, 1, 1, 2, 2, 3, 3, 4]
    assert ms_of(left) == [0] * 8


def test_an_interruption_drops_what_was_not_heard_and_the_next_answer_follows(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    with StereoRecorder(path, RATE) as recorder:
        recorder.write_left(pcm(7, 10), 0)
        recorder.write_right(pcm(1, 8), 1)
        recorder.cut_right(4)
        recorder.write_right(pcm(2, 2), 6)
    left, right = channels(path)
    assert ms_of(right) == [0, 1, 1, 1, 0, 0, 2, 2, 0, 0]
    assert ms_of(left) == [7] * 10


def test_a_cut_at_the_end_makes_the_file_shorter_again(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    with StereoRecorder(path, RATE) as recorder:
        recorder.write_left(pcm(7, 3), 0)
        recorder.write_right(pcm(1, 90), 0)
        recorder.cut_right(2)
        recorder.cut_right(50)
    left, right = channels(path)
    assert ms_of(right) == [1, 1, 0]
    assert ms_of(left) == [7, 7, 7]


def test_half_samples_are_joined_and_not_across_a_cut(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    with StereoRecorder(path, RATE) as recorder:
        recorder.write_right(b"\x01\x02\x03", 0)
        recorder.write_right(b"\x04", 0)
        recorder.write_right(b"\x05", 0)
        recorder.cut_right(1)
        recorder.write_right(b"\x06\x07", 0)
    assert channels(path)[1] == [0x0201, 0x0403, 0x0706]


def test_small_gaps_are_closed_on_request(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    with StereoRecorder(path, RATE, tolerance_ms=2) as recorder:
        recorder.write_left(pcm(1, 2), 0)
        recorder.write_left(pcm(2, 2), 4)
        recorder.write_left(pcm(3, 2), 7)
    assert ms_of(channels(path)[0]) == [1, 1, 2, 2, 0, 0, 0, 3, 3]


def test_an_empty_recording_is_a_valid_file(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    StereoRecorder(path, RATE).close()
    assert channels(path) == ([], [])


def test_after_close_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    recorder = StereoRecorder(path, RATE)
    recorder.write_left(pcm(1, 1), 0)
    recorder.close()
    recorder.close()
    for write in (recorder.write_left, recorder.write_right):
        with pytest.raises(WavError, match="closed"):
            write(pcm(1, 1), 0)
    with pytest.raises(WavError, match="closed"):
        recorder.cut_right(0)
    assert channels(path) == ([1] * 8, [0] * 8)


def test_times_that_no_wav_file_holds_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    with StereoRecorder(path, RATE) as recorder:
        with pytest.raises(ConfigurationError, match="4 GiB"):
            recorder.write_left(pcm(1, 1), 1.8e12)
        recorder.write_left(pcm(2, 1), 0)
    assert ms_of(channels(path)[0]) == [2]


operations = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["left", "right"]),
            st.integers(-5, 60),
            st.lists(st.integers(-32768, 32767), max_size=60),
        ),
        st.tuples(st.just("cut"), st.integers(-5, 60), st.just([])),
    ),
    max_size=12,
)


@settings(deadline=None)
@given(operations)
def test_any_sequence_gives_what_a_simple_model_gives(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, list[int]]]
) -> None:
    path = tmp_path_factory.mktemp("wav") / "call.wav"
    model: dict[str, list[int]] = {"left": [], "right": []}
    with StereoRecorder(path, RATE) as recorder:
        for what, at_ms, values in steps:
            if what == "cut":
                recorder.cut_right(at_ms)
                del model["right"][max(0, at_ms) * 8 :]
                continue
            data = struct.pack(f"<{len(values)}h", *values)
            (recorder.write_left if what == "left" else recorder.write_right)(data, at_ms)
            if values:
                track = model[what]
                track += [0] * (at_ms * 8 - len(track))
                track += values
    length = max(map(len, model.values()))
    assert channels(path) == tuple(track + [0] * (length - len(track)) for track in model.values())
