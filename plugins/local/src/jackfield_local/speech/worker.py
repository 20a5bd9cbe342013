"""The process that listens: reads requests from standard input, answers on standard output, ends with its parent.

A request is a frame of JSON (`Request`) and a frame of PCM; an answer is a frame of JSON (`Answer`). A frame is a
length (4 bytes, big-endian) and so many bytes. `sphinx` is the other end.
"""

from __future__ import annotations

import os
import signal
import struct
import sys
from typing import BinaryIO, Final

import msgspec

__all__ = ["Answer", "Request", "main", "read_frame", "write_frame"]

_LENGTH: Final = struct.Struct(">I")


class Request(msgspec.Struct):
    """What to listen for; with `transcribe` false, only get ready for it."""

    phrases: list[str]
    transcribe: bool = True


class Answer(msgspec.Struct):
    """What was heard, or what went wrong."""

    text: str = ""
    error: str | None = None


def read_frame(stream: BinaryIO) -> bytes | None:
    """Return the next frame, or None at the end of the stream."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (size,) = _LENGTH.unpack(head)
    body = stream.read(size)
    return body if len(body) == size else None


def write_frame(stream: BinaryIO, body: bytes) -> None:
    """Write one frame, leaving it to the caller to flush."""
    stream.write(_LENGTH.pack(len(body)))
    stream.write(body)


def main() -> None:
    """Answer requests until standard input ends."""
    # An interrupt on the terminal reaches the whole group; when to end is the parent's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source = sys.stdin.buffer
    # Answers alone go to the pipe; a library that prints mustn't disturb them.
    sink = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    from jackfield_local.speech.decoding import PhraseDecoder

    decoder = PhraseDecoder()
    while (head := read_frame(source)) is not None and (pcm := read_frame(source)) is not None:
        request = msgspec.json.decode(head, type=Request)
        answer = Answer()
        try:
            if request.transcribe:
                answer.text = decoder.transcribe(pcm, request.phrases)
            else:
                decoder.prepare(request.phrases)
        except (RuntimeError, ValueError, KeyError) as error:
            answer.error = f"{type(error).__name__}: {error}"
        write_frame(sink, msgspec.json.encode(answer))
        sink.flush()


if __name__ == "__main__":
    main()
