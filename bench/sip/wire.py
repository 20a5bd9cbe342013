"""The least of RTP: packets of 20 ms of G.711, without anything that is optional."""

from __future__ import annotations

import struct
from typing import Final

HEADER: Final = struct.Struct("!BBHII")
FRAME_BYTES: Final = 160
PACKET_BYTES: Final = HEADER.size + FRAME_BYTES


def pack(number: int, ssrc: int, payload: bytes) -> bytes:
    """Return packet `number` of a stream."""
    return HEADER.pack(0x80, 0, number & 0xFFFF, number * FRAME_BYTES & 0xFFFFFFFF, ssrc) + payload
