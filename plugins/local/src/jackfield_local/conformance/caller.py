"""Somebody who calls the local server over WebRTC and speaks: there is a call then, which others can join by its id."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Self

import httpx

from jackfield.testing.conformance import PATIENCE
from jackfield_local import LocalServer
from jackfield_transports.webrtc.media import FRAME_BYTES, AudioPeer, DataChannelPort

__all__ = ["Caller"]


class Caller:
    """A call to `server`, made with `key`. In the block it is live; then it is hung up."""

    def __init__(self, server: LocalServer, key: str) -> None:
        self.call_id = ""
        self._server = server
        self._key = key
        self._words = bytearray()
        self._said = asyncio.Event()
        self._said.set()
        self._peer = AudioPeer(source=self._next_frame, sink=lambda _: None, local_only=True)
        self._port = DataChannelPort(self._peer.connection.createDataChannel("oai-events"))

    async def say(self, pcm: bytes) -> None:
        """Say `pcm` (PCM16 mono at 24,000 Hz) in real time; return when the last of it is on its way."""
        self._words += pcm
        self._said.clear()
        async with asyncio.timeout(PATIENCE + len(pcm) / 48_000):
            await self._said.wait()

    async def __aenter__(self) -> Self:
        try:
            await self._dial()
        except BaseException:
            await self._peer.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self._port.finish()
        await self._peer.close()

    async def _dial(self) -> None:
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/sdp"}
        offer = await self._peer.offer()
        async with httpx.AsyncClient(trust_env=False, headers=headers, timeout=PATIENCE) as http:
            answer = await http.post(f"{self._server.http_url}/realtime/calls?model=gpt-realtime", content=offer)
        answer.raise_for_status()
        self.call_id = answer.headers["Location"].rpartition("/")[2]
        await self._peer.accept(answer.text)
        async with asyncio.timeout(PATIENCE):
            await self._port.receive()  # the session's first event: it is live, and can be joined

    def _next_frame(self) -> bytes | None:
        if not self._words:
            self._said.set()
            return None
        frame = bytes(self._words[:FRAME_BYTES])
        del self._words[:FRAME_BYTES]
        return frame.ljust(FRAME_BYTES, b"\0")
