"""A server with a SIP door, an application that is told of its calls, and a phone."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import numpy as np
import pytest

from jackfield_local import LocalServer
from jackfield_local.sip import sdp
from jackfield_local.sip.caller import FRAME_BYTES, CallFailedError, Phone, PhoneCall

SECRET = "whsec_c2VjcmV0IG9mIHRoZSB0ZXN0cw=="
SESSION = {"type": "realtime", "model": "gpt-realtime", "instructions": "Be a pirate."}
PATIENCE = 20.0


class Application:
    """What is told of calls by webhook: an HTTP server that does with each what `answer` says."""

    def __init__(self, statuses: list[int]) -> None:
        self.url = ""
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self._statuses = statuses
        self._news = asyncio.Event()

    async def request(self, number: int = 0) -> tuple[dict[str, str], bytes]:
        async with asyncio.timeout(PATIENCE):
            while len(self.requests) <= number:
                await self._news.wait()
        return self.requests[number]

    async def call_id(self, number: int = 0) -> str:
        _, body = await self.request(number)
        call_id: str = json.loads(body)["data"]["call_id"]
        return call_id

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = {
                    name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])
                }
                body = await reader.readexactly(int(headers["content-length"]))
                self.requests.append((headers, body))
                self._news.set()
                self._news = asyncio.Event()
                status = self._statuses.pop(0) if self._statuses else 200
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()


@contextlib.asynccontextmanager
async def application(*statuses: int) -> AsyncIterator[Application]:
    told = Application(list(statuses))
    server = await asyncio.start_server(told.serve, "127.0.0.1", 0)
    told.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    try:
        yield told
    finally:
        server.close()


class Voice:
    """What a caller says, 20 ms at a time, and what he hears."""

    def __init__(self) -> None:
        self.heard: list[float] = []
        self._words = bytearray()
        self._silent = asyncio.Event()
        self._silent.set()
        self._loud = asyncio.Event()

    def speak(self) -> bytes | None:
        if not self._words:
            self._silent.set()
            return None
        frame = bytes(self._words[:FRAME_BYTES]).ljust(FRAME_BYTES, b"\0")
        del self._words[:FRAME_BYTES]
        return frame

    def hear(self, pcm: bytes) -> None:
        samples = np.frombuffer(pcm, "<i2").astype(float)
        self.heard.append(float(np.sqrt(np.mean(samples * samples))))
        if self.heard[-1] > 1000:
            self._loud.set()

    async def say(self, ms: int) -> None:
        samples = np.arange(ms * 8)
        self._words += (np.sin(samples * 2 * np.pi * 180 / 8000) * 9000).astype("<i2").tobytes()
        self._silent.clear()
        await self._silent.wait()

    async def heard_something(self) -> None:
        self._loud.clear()
        async with asyncio.timeout(PATIENCE):
            await self._loud.wait()


class Talk:
    """One server, the application that is told of its calls, and a phone."""

    def __init__(self, server: LocalServer, told: Application, phone: Phone, dial: Any) -> None:
        self.server = server
        self.told = told
        self.phone = phone
        self._dial = dial

    async def post(self, call_id: str, action: str, body: Any = None, **options: Any) -> httpx.Response:
        options.setdefault("headers", {"Authorization": "Bearer test-key"})
        async with httpx.AsyncClient(timeout=PATIENCE) as http:
            url = f"{self.server.http_url}/realtime/calls/{call_id}/{action}"
            return await http.post(url, json=body, **options) if body is not None else await http.post(url, **options)

    async def accepted(self, voice: Voice | None = None, *, tcp: bool = False, **session: Any) -> tuple[PhoneCall, str]:
        """A call that is answered, and its id."""
        voice = voice or Voice()
        number = len(self.told.requests)
        uri = self.server.sip_uri + (";transport=tcp" if tcp else "")
        call = await self.phone.call(uri, voice=voice)
        call_id = await self.told.call_id(number)
        response = await self.post(call_id, "accept", {**SESSION, **session})
        assert (response.status_code, response.content) == (200, b"")
        await call.answered()
        return call, call_id

    def sideband(self, call_id: str, **options: Any) -> Any:
        return self._dial(f"{self.server.url}?call_id={call_id}", **options)


@pytest.fixture
def talk(local_server: Callable[..., Any], dial: Any) -> Callable[..., Any]:
    @contextlib.asynccontextmanager
    async def make(
        *statuses: int, codecs: tuple[sdp.Codec, ...] = (sdp.PCMU, sdp.PCMA), **options: Any
    ) -> AsyncIterator[Talk]:
        follow = options.pop("follow_refer", False)
        async with (
            application(*statuses) as told,
            local_server(sip=True, webhook_url=told.url, webhook_secret=SECRET, **options) as server,
            Phone(codecs=codecs, follow_refer=follow) as phone,
        ):
            yield Talk(server, told, phone, dial)

    return make


async def refused(call: PhoneCall) -> int:
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(CallFailedError) as caught:
            await call.answered()
    return caught.value.code


async def ended(call: PhoneCall) -> bool:
    """Wait for the end; return whether the server hung up."""
    async with asyncio.timeout(PATIENCE):
        return (await call.wait_ended()).by_peer


# The modules of this directory can't import one another, so helpers are handed out as fixtures.


@pytest.fixture(name="Voice", scope="session")
def voice_fixture() -> type[Voice]:
    return Voice


@pytest.fixture(name="refused", scope="session")
def refused_fixture() -> Callable[..., Any]:
    return refused


@pytest.fixture(name="ended", scope="session")
def ended_fixture() -> Callable[..., Any]:
    return ended
