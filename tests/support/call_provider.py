"""A provider of calls in memory: what the relay asks over HTTP, and the sideband of each call in the test's hands.

There is no browser: `connect` says that one has got through. Until then nobody can join the call.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from email.message import Message
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from jackfield import ConnectOptions
from jackfield.errors import ConnectRefusedError, RemoteClosedError

from .memory_wire import PATIENCE, FarEnd

__all__ = ["ANSWER", "BASE", "CALL_ID", "KEY", "OFFER", "CallProvider", "HttpRequest"]

KEY = "sk-canary-7b20ee"
"""A key that must turn up nowhere but in the headers of requests."""
BASE = "http://provider.test/v1"
CALL_ID = "rtc_u0_abc"
OFFER = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=ice-ufrag:x\r\n"
ANSWER = b"v=0\r\no=- 2 2 IN IP4 127.0.0.1\r\ns=OAI\r\nt=0 0\r\n"


class HttpRequest:
    """One request over HTTP, as the provider has it."""

    def __init__(self, request: httpx.Request) -> None:
        self.method = request.method
        self.path = request.url.path
        self.headers = request.headers
        self.body = request.content

    def parts(self) -> dict[str, tuple[str, bytes]]:
        """Return the parts of a form by name: content type, and body as it is."""
        kind = Message()
        kind["content-type"] = self.headers["content-type"]
        boundary = b"--" + str(kind.get_param("boundary")).encode()
        found = {}
        for part in self.body.split(boundary)[1:-1]:
            head, _, body = part.partition(b"\r\n\r\n")
            fields = Message()
            for line in head.decode().strip().splitlines():
                name, _, value = line.partition(": ")
                fields[name] = value
            name = fields.get_param("name", header="content-disposition")
            found[str(name)] = (fields.get_content_type(), body.removesuffix(b"\r\n"))
        return found

    def session(self) -> dict[str, Any]:
        """Return the session that a call is to be created with."""
        session: dict[str, Any] = json.loads(self.parts()["session"][1])
        return session


class CallProvider:
    """`http` is the client to ask it with, `open_connection` the way to its sidebands."""

    def __init__(self) -> None:
        self.requests: list[HttpRequest] = []
        self.location = f"/v1/realtime/calls/{CALL_ID}?model=x"
        self.refusals: dict[str, list[httpx.Response | Exception | asyncio.Future[httpx.Response]]] = {}
        """What is answered instead, one after the other, by the last part of the path: `calls`, `hangup`."""
        self.dials = 0
        """How often somebody tried to join a call."""
        self.sidebands: list[FarEnd] = []
        self.handshakes: list[tuple[str, Mapping[str, str]]] = []
        self.http = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))
        self._connected = False
        self._news = asyncio.Event()

    def connect(self) -> None:
        """Have the browser get through: now the call can be joined."""
        self._connected = True

    def of(self, what: str) -> list[HttpRequest]:
        """Return the requests whose path ends with `what`."""
        return [request for request in self.requests if request.path.endswith(f"/{what}")]

    async def sideband(self, number: int = 0) -> FarEnd:
        """Wait until the call was joined, and return that connection."""
        await self._until(lambda: len(self.sidebands) > number)
        return self.sidebands[number]

    async def hung_up(self, count: int = 1) -> list[HttpRequest]:
        """Wait for requests to hang up, and return them."""
        await self._until(lambda: len(self.of("hangup")) >= count)
        return self.of("hangup")

    async def open_connection(self, url: str, headers: Mapping[str, str]) -> _Sideband:
        self.dials += 1
        [call_id] = parse_qs(urlsplit(url).query)["call_id"]
        if not self.is_live(call_id):
            raise ConnectRefusedError("no such call", status=404)
        self.handshakes.append((url, headers))
        far = FarEnd(ConnectOptions(call_id=call_id), polite=True)
        self.sidebands.append(far)
        self._tell()
        return _Sideband(far)

    def is_live(self, call_id: str) -> bool:
        """Whether a call can be joined."""
        return self._connected

    def answer(self, call_id: str, what: str) -> httpx.Response:
        """Do what is asked of a call, and answer. `what` is the last part of the path."""
        if what == "hangup":
            for far in self.sidebands:
                far.close()
            return httpx.Response(200)
        headers = {"location": self.location, "content-type": "application/sdp"}
        return httpx.Response(201, content=ANSWER, headers=headers)

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(HttpRequest(request))
        self._tell()
        instead = self.refusals.get(request.url.path.rpartition("/")[2])
        if instead:
            answer = instead.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return await answer if isinstance(answer, asyncio.Future) else answer
        call_id, _, what = request.url.path.rpartition("/")
        return self.answer(call_id.rpartition("/")[2], what)

    async def _until(self, condition: Any) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await self._news.wait()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


class _Sideband:
    """A sideband as the relay's side has it."""

    def __init__(self, far: FarEnd) -> None:
        self._far = far

    async def send(self, text: str) -> None:
        await self._far.take(text.encode())

    async def receive(self) -> bytes | None:
        try:
            return await self._far.give()
        except RemoteClosedError as closed:
            if closed.code == 1000:
                return None
            raise

    async def close(self) -> None:
        self._far.gone.set()
