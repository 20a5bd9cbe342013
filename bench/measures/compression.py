"""What permessage-deflate does to audio: bytes saved and CPU spent, on speech in base64 as deltas carry it.

No socket: the frames go through the extension itself, as both ends of a connection run it (context kept between
messages, window of 15 bits, zlib's default level).
"""

from __future__ import annotations

import json
import time
from typing import Final

import pybase64
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

from bench.frames import DELTA_BYTES
from bench.report import Column, Row, Table
from bench.runner import Bench, say

_TEXT: Final = (
    "The telephone is older than most people think. Long before the first call was answered, inventors sent sound "
    "along wires with needles, reeds and magnets, and nobody believed that a voice would ever come out at the far end."
)
_COLUMNS: Final = [
    Column("size", "size of plain", ".0%"),
    Column("compress_us", "compress, us/delta"),
    Column("expand_us", "expand, us/delta"),
]


def run(bench: Bench) -> list[Table]:
    say("compression")
    try:
        from jackfield_local.speech import speak_to_pcm

        speech = speak_to_pcm(_TEXT)
    except Exception as error:  # whatever it is, there is nothing to compress, and the table says why
        return [Table("Compression of audio deltas", _COLUMNS, [Row("speech", remark=f"not available: {error}")])]
    from jackfield.audio import g711, resample

    narrow = g711.encode(resample.resample(speech, 24000, 8000), "ulaw")
    sources = {"PCM16 at 24 kHz": (speech, DELTA_BYTES), "G.711 mu-law at 8 kHz": (narrow, 800)}
    rows = [Row(title, _figures(data, size)) for title, (data, size) in sources.items()]
    legend = "Speech by espeak-ng, 100 ms a delta. Compressing costs the far end as much, and is not counted here."
    return [Table("Compression of audio deltas", _COLUMNS, rows, legend)]


def _figures(audio: bytes, size: int) -> dict[str, float]:
    chunks = (audio[start : start + size] for start in range(0, len(audio) - size + 1, size))
    frames = [Frame(Opcode.TEXT, _delta(chunk)) for chunk in chunks]
    near = PerMessageDeflate(False, False, 15, 15)
    far = PerMessageDeflate(False, False, 15, 15)
    started = time.process_time()
    small = [near.encode(frame) for frame in frames]
    compressed = time.process_time()
    for frame in small:
        far.decode(frame)
    expanded = time.process_time()
    return {
        "size": sum(len(frame.data) for frame in small) / sum(len(frame.data) for frame in frames),
        "compress_us": (compressed - started) / len(frames) * 1e6,
        "expand_us": (expanded - compressed) / len(frames) * 1e6,
    }


def _delta(chunk: bytes) -> bytes:
    event = {"type": "response.output_audio.delta", "item_id": "item_1", "delta": pybase64.b64encode(chunk).decode()}
    return json.dumps(event).encode()
