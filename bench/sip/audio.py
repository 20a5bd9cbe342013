"""What callers say and how they hear it come back: one socket a call, and bursts of a tone whose times are noted.

A caller says eight words of 160 ms in some three seconds, and is silent for about five, as if somebody answered: a turn
every eight seconds. Silence is digital, for sound costs no more in G.711. Callers are out of step with one another, as
phones are: their packets are spread evenly over the 20 ms. Times are `time.time_ns`: a packet's coming is noted by the
kernel, so that a caller who has much to do doesn't make it late.
"""

from __future__ import annotations

import asyncio
import random
import socket
import sys
import time
from typing import Final

import numpy as np

from jackfield.audio.g711 import decode, encode

from .wire import HEADER, PACKET_BYTES, pack

_WORDS: Final = 8
_WORD_FRAMES: Final = 8
_PAUSE_FRAMES: Final = (9, 13)
"""Between two words, at least and at most: irregular, so that no word is taken for the one before it."""
_REST_FRAMES: Final = (230, 270)
_QUIET_FRAMES: Final = 4
"""So many end a word; where it falls apart, the first of its pieces counts."""
_TONE: Final = encode((16_384 * np.sin(2 * np.pi * np.arange(160) / 8)).astype("<i2").tobytes(), "ulaw")
"""1,000 Hz at -6 dBFS: its loudest sample comes again every four samples."""
_SILENCE: Final = b"\xff" * 160
_LOUD: Final = frozenset(
    np.flatnonzero(np.abs(np.frombuffer(decode(bytes(range(256)), "ulaw"), "<i2")) > 8_192).tolist()
)
_SLOTS: Final = 20
_SLOT_SECONDS: Final = 0.001
_SO_TIMESTAMPNS: Final = 35
"""Of Linux; Python has no name for it."""


class Line:
    """The audio of one call, which is sent to `remote` once that is known; a `silent` one has no words."""

    def __init__(self, number: int, *, silent: bool) -> None:
        self.said: list[int] = []
        """When each word's first packet was sent."""
        self.heard: list[int] = []
        """When each word's first packet came."""
        self._silent = silent
        self._chance = random.Random(number)
        self._quiet = _QUIET_FRAMES
        self._word = 0
        self._frames = -self._chance.randint(0, _REST_FRAMES[1])
        """Of the word; below 0, of the pause before it."""
        self._sequence = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(("127.0.0.1", 0))
        if sys.platform == "linux":
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self.local: tuple[str, int] = self._socket.getsockname()
        self.remote: tuple[str, int] | None = None
        asyncio.get_running_loop().add_reader(self._socket, self._receive)

    def send(self) -> None:
        """Say the next 20 ms."""
        if self.remote is None:
            return
        payload = _SILENCE if self._silent else self._next()
        self._sequence += 1
        self._socket.sendto(pack(self._sequence, self.local[1], payload), self.remote)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _next(self) -> bytes:
        self._frames += 1
        if self._frames <= 0:
            return _SILENCE
        if self._frames == 1:
            self.said.append(time.time_ns())
        elif self._frames == _WORD_FRAMES:
            self._word = (self._word + 1) % _WORDS
            self._frames = -self._chance.randint(*(_PAUSE_FRAMES if self._word else _REST_FRAMES))
        return _TONE

    def _receive(self) -> None:
        data, notes, _, _ = self._socket.recvmsg(2 * PACKET_BYTES, 64)
        if _LOUD.isdisjoint(data[HEADER.size : HEADER.size + 4]):
            self._quiet += 1
            return
        if self._quiet >= _QUIET_FRAMES:
            self.heard.append(_time_of(notes))
        self._quiet = 0


class Lines:
    """All calls' audio, sent in time."""

    def __init__(self) -> None:
        self._slots: list[list[Line]] = [[] for _ in range(_SLOTS)]
        self._any = asyncio.Event()

    def spread(self, lines: list[Line]) -> None:
        """Have these spoken on, and no others."""
        self._slots = [[] for _ in range(_SLOTS)]
        for n, line in enumerate(lines):
            self._slots[n * _SLOTS // len(lines)].append(line)
        if lines:
            self._any.set()
        else:
            self._any.clear()

    async def pace(self) -> None:
        """Send for ever."""
        clock = asyncio.get_running_loop().time
        while True:
            await self._any.wait()
            start, slot = clock(), 0
            while self._any.is_set():
                slot += 1
                if (wait := start + slot * _SLOT_SECONDS - clock()) > 0:
                    await asyncio.sleep(wait)
                for line in self._slots[slot % _SLOTS]:
                    line.send()


def _time_of(notes: list[tuple[int, int, bytes]]) -> int:
    """Return when a packet came, as the kernel has noted it; where it hasn't, it is now."""
    for _, kind, data in notes:
        if kind == _SO_TIMESTAMPNS:
            half = len(data) // 2
            return int.from_bytes(data[:half], sys.byteorder) * 10**9 + int.from_bytes(data[half:], sys.byteorder)
    return time.time_ns()
