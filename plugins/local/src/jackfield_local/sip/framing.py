"""Messages in a stream (RFC 3261, section 18.3): Content-Length says where each ends.

Blank lines between messages are keep-alives (RFC 5626, section 3.5.1): a pair of them asks for one back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

__all__ = ["PING", "PONG", "FramingError", "StreamFramer"]

PING: Final = b"\r\n\r\n"
PONG: Final = b"\r\n"

_LARGEST_HEAD: Final = 64 * 1024
_LARGEST_BODY: Final = 64 * 1024
_BLANK_LINE: Final = re.compile(rb"\r?\n\r?\n")
_LENGTH: Final = re.compile(rb"^(?:content-length|l)[ \t]*:[ \t]*(\d{1,9})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


class FramingError(ValueError):
    """Nobody can say where the next message begins: the connection is of no more use."""


class StreamFramer:
    """Cuts what one connection brings into messages."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take what came, and yield the messages it completes; `PING` stands for a keep-alive that wants an answer.

        Raises `FramingError`.
        """
        self._data += data
        while True:
            if self._data.startswith(PING):
                del self._data[: len(PING)]
                yield PING
                continue
            if PING.startswith(self._data):
                return  # nothing, a part of a ping, or a pong
            stray = len(self._data) - len(self._data.lstrip(b"\r\n"))
            del self._data[:stray]
            message = self._next()
            if message is None:
                return
            yield message

    def _next(self) -> bytes | None:
        end = _BLANK_LINE.search(self._data)
        if end is None:
            if len(self._data) > _LARGEST_HEAD:
                raise FramingError("the headers have no end")
            return None
        lengths = _LENGTH.findall(self._data[: end.start()])
        if not lengths:
            raise FramingError("a message in a stream needs a Content-Length")
        length = int(lengths[0])
        if length > _LARGEST_BODY:
            raise FramingError("the body is too large")
        if len(self._data) < end.end() + length:
            return None
        message = bytes(self._data[: end.end() + length])
        del self._data[: end.end() + length]
        return message
