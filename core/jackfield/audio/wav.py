"""WAV files: read, write, and record a conversation in stereo (caller left, agent right).

16-bit PCM throughout. Needs nothing but the standard library. Who said what when is the caller's business: the
recorder puts audio where it is told to.
"""

from __future__ import annotations

import struct
import wave
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self, TypeAlias

from jackfield.errors import ConfigurationError, JackfieldError

__all__ = ["StereoRecorder", "WavError", "read_wav", "write_wav"]

StrPath: TypeAlias = str | PathLike[str]
Buffer: TypeAlias = bytes | bytearray | memoryview

_HEADER_BYTES: Final = 44
_FRAME_BYTES: Final = 4
_MAX_DATA_BYTES: Final = 0xFFFF_FFFF - _HEADER_BYTES
_COPY_FRAMES: Final = 1 << 16


class WavError(JackfieldError):
    """A file isn't a WAV file that can be read, or a recording is over."""


def read_wav(path: StrPath) -> tuple[bytes, int, int]:
    """Return a WAV file's audio as 16-bit PCM, its sample rate in Hz and its number of channels.

    More than one channel are interleaved. Samples of 8, 24 and 32 bits are brought to 16. Raises `WavError` for what
    is no WAV file with PCM, and `OSError` where the file can't be opened.
    """
    try:
        with wave.open(str(path), "rb") as file:
            width = file.getsampwidth()
            data = file.readframes(file.getnframes())
            return _to_16_bits(data, width), file.getframerate(), file.getnchannels()
    except (wave.Error, EOFError) as error:
        raise WavError(
            f"{path} can't be read as WAV with PCM samples: {str(error) or 'the file ends too early'}. "
            "Convert it, for example with: ffmpeg -i INPUT -c:a pcm_s16le OUTPUT.wav"
        ) from error


def write_wav(path: StrPath, pcm: Buffer, rate: int, channels: int = 1) -> None:
    """Write 16-bit PCM as a WAV file; `rate` is in Hz, and channels are interleaved.

    Raises `ConfigurationError` where `pcm` isn't made of whole frames, and `OSError` where the file can't be written.
    """
    if rate < 1 or channels < 1:
        raise ConfigurationError(f"A WAV file of {channels} channels at {rate} Hz can't be: both must be 1 or more.")
    if len(pcm) % (2 * channels):
        raise ConfigurationError(
            f"{len(pcm)} bytes are no whole number of frames of {2 * channels} bytes. "
            "Pass 16-bit samples, the same number for each channel."
        )
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm)


class StereoRecorder:
    """Records a conversation to a stereo WAV file, each side placed by time.

    Times are milliseconds since the recording's start. Within a channel nothing is overwritten: what comes too early,
    as a model's audio does that arrives faster than it plays, is queued after what is there already; a gap is silence.
    The file itself is the queue, so that memory doesn't grow with the recording. Writing is synchronous; it goes to
    the operating system's cache. The file is valid once `close()` was called.

    `rate` is the sample rate in Hz of both channels. A chunk that comes no more than `tolerance_ms` after the end of
    the one before continues it without a gap, so that jittery delivery doesn't tear one utterance apart.
    """

    def __init__(self, path: StrPath, rate: int = 24000, *, tolerance_ms: float = 0.0) -> None:
        if rate < 1:
            raise ConfigurationError(f"{rate} Hz is not a sample rate. Pass 24000, for example.")
        self.path = Path(path)
        self.rate = rate
        self._tolerance = round(tolerance_ms * rate / 1000)
        self._ends = [0, 0]
        self._odd = [b"", b""]
        self._file: BinaryIO | None = self.path.open("w+b")
        self._file.write(_header(rate, 0))

    @property
    def duration_ms(self) -> float:
        """How long the recording is so far, in milliseconds: the end of the longer channel."""
        return max(self._ends) * 1000 / self.rate

    def write_left(self, pcm: Buffer, at_ms: float) -> None:
        """Put the caller's 16-bit mono PCM at a time, or after what is there already.

        Raises `WavError` after `close()`, and `ConfigurationError` where the file would outgrow WAV's 4 GiB.
        """
        self._write(0, pcm, at_ms)

    def write_right(self, pcm: Buffer, at_ms: float) -> None:
        """Put the agent's 16-bit mono PCM at a time, or after what is there already; raises as `write_left`."""
        self._write(1, pcm, at_ms)

    def cut_right(self, at_ms: float) -> None:
        """Drop what the agent's channel holds after a time: it was interrupted, and that was never played.

        Raises `WavError` after `close()`.
        """
        file = self._opened()
        start = self._position(at_ms)
        self._odd[1] = b""
        end = self._ends[1]
        for offset in range(start, end, _COPY_FRAMES):
            self._splice(file, 1, offset, bytes(2 * min(_COPY_FRAMES, end - offset)))
        self._ends[1] = min(start, end)

    def close(self) -> None:
        """Finish the file: both channels end together, at the later end. Closing again does nothing."""
        file, self._file = self._file, None
        if file is None:
            return
        with file:
            frames = max(self._ends)
            # Shorter where a cut took the end away, longer never: writes have grown the file.
            file.truncate(_HEADER_BYTES + frames * _FRAME_BYTES)
            file.seek(0)
            file.write(_header(self.rate, frames * _FRAME_BYTES))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _opened(self) -> BinaryIO:
        if self._file is None:
            raise WavError(f"The recording {self.path} is closed. Make a new StereoRecorder to record more.")
        return self._file

    def _position(self, at_ms: float) -> int:
        return max(0, round(at_ms * self.rate / 1000))

    def _write(self, channel: int, pcm: Buffer, at_ms: float) -> None:
        file = self._opened()
        data = self._odd[channel] + bytes(pcm)
        whole = len(data) & ~1
        end = self._ends[channel]
        position = self._position(at_ms)
        start = position if position > end + self._tolerance else end
        if (start + whole // 2) * _FRAME_BYTES > _MAX_DATA_BYTES:
            raise ConfigurationError(
                f"Audio at {at_ms:.0f} ms would make the WAV file longer than 4 GiB. "
                "Times count from the recording's start; start a new file for a longer recording."
            )
        self._odd[channel] = data[whole:]
        if whole:
            self._splice(file, channel, start, data[:whole])
            self._ends[channel] = start + whole // 2

    def _splice(self, file: BinaryIO, channel: int, start: int, mono: bytes) -> None:
        """Put mono samples into one channel of the file, and leave the other channel as it is."""
        offset = _HEADER_BYTES + start * _FRAME_BYTES
        file.seek(offset)
        block = bytearray(file.read(2 * len(mono)))
        block.extend(bytes(2 * len(mono) - len(block)))
        memoryview(block).cast("h")[channel::2] = memoryview(mono).cast("h")
        file.seek(offset)
        # Seeking past the end and writing there leaves zeros between, which are silence.
        file.write(block)


def _header(rate: int, data_bytes: int) -> bytes:
    """Return the 44 bytes before the samples of a stereo WAV file with 16-bit PCM."""
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        data_bytes + _HEADER_BYTES - 8,
        b"WAVE",
        b"fmt ",
        16,
        1,
        2,
        rate,
        rate * _FRAME_BYTES,
        _FRAME_BYTES,
        16,
        b"data",
        data_bytes,
    )


def _to_16_bits(data: bytes, width: int) -> bytes:
    if width == 2:
        return data
    count = len(data) // width
    pcm = bytearray(2 * count)
    if width == 1:
        # 8-bit samples are unsigned, with silence at 128.
        pcm[1::2] = data.translate(bytes(value ^ 0x80 for value in range(256)))
    else:
        pcm[0::2] = data[width - 2 : count * width : width]
        pcm[1::2] = data[width - 1 : count * width : width]
    return bytes(pcm)
