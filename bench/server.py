"""The replay server: a WebSocket server that says prepared conversations as fast as they are read.

Run as a process of its own: `python -m bench.server`; it prints its port. A client chooses the conversation by the
first part of the path, is told `session.created`, gets `session.updated` for its `session.update`, and with its first
`input_audio_buffer.append` the whole conversation starts. All else that it says is read and ignored.

Frames are encoded once, and written as they are: the protocol object of `websockets` does the handshake and reads.
"""

from __future__ import annotations

import asyncio
import struct
from contextlib import suppress
from functools import cache
from typing import Final

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from .frames import WORKLOADS, conversation_frames, session_frames

_WRITE_BYTES: Final = 1 << 18


def encode(text: str) -> bytes:
    """Return a text message as one WebSocket frame of a server (RFC 6455, section 5.2)."""
    payload = text.encode()
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", 0x81, size) + payload
    if size < 1 << 16:
        return struct.pack("!BBH", 0x81, 126, size) + payload
    return struct.pack("!BBQ", 0x81, 127, size) + payload


@cache
def _conversation(name: str) -> list[bytes]:
    """The conversation's bytes, in pieces that are worth a write."""
    pieces, piece = [], bytearray()
    for text in conversation_frames(WORKLOADS[name]):
        piece += encode(text)
        if len(piece) >= _WRITE_BYTES:
            pieces.append(bytes(piece))
            piece.clear()
    return [*pieces, bytes(piece)]


class _Client:
    """One connection: reads what the client says, and answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._protocol = ServerProtocol(max_size=None)
        self._workload = ""
        self._started = False

    async def serve(self) -> None:
        created, updated = (encode(text) for text in session_frames())
        while data := await self._reader.read(1 << 16):
            self._protocol.receive_data(data)
            for event in self._protocol.events_received():
                if isinstance(event, Request):
                    self._workload = event.path.strip("/").split("/")[0]
                    self._protocol.send_response(self._protocol.accept(event))
                    self._flush()
                    self._writer.write(created)
                elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                    # The event's type stands at one of a few places, according to the client's JSON encoder.
                    head = bytes(event.data)
                    if b'"session.update"' in head:
                        self._writer.write(updated)
                    elif not self._started and b'"input_audio_buffer.append"' in head:
                        self._started = True
                        await self._replay()
            self._flush()
            if self._protocol.close_expected():
                return

    async def _replay(self) -> None:
        for piece in _conversation(self._workload):
            self._writer.write(piece)
            await self._writer.drain()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._writer.write(data)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    # A client may go without a word: that is the end of a round and no failure of the server.
    try:
        with suppress(ConnectionError):
            await _Client(reader, writer).serve()
    finally:
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    for name in WORKLOADS:
        _conversation(name)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
