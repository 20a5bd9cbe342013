"""A far end that does exactly what a test tells it: a WebSocket server that records what it gets and plays a script.

What it says is in `dialect`. For what is wrong below the WebSocket (no answer, half an answer, a reset)
there is `tcp_server`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http
import logging
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from jackfield.testing.conformance import PATIENCE, FarEnd, Script, polite
from jackfield_local.conformance.dialect import DialectConnection

__all__ = ["SocketConnection", "SocketFarEnd", "tcp_server"]

_QUIET = logging.getLogger("jackfield_local.conformance")
"""The far end writes no headers into a log in which a test looks for keys."""
_QUIET.setLevel(logging.CRITICAL)

_PING = b"\x89"
"""How a ping's frame begins."""


class SocketConnection(DialectConnection):
    """One WebSocket. `plays`: what is said goes to a call, and here it is only told of."""

    def __init__(self, socket: ServerConnection, *, plays: bool = False) -> None:
        super().__init__()
        self.socket = socket
        self._plays = plays

    @property
    def headers(self) -> Mapping[str, str]:
        return self.request.headers

    @property
    def request(self) -> Request:
        assert self.socket.request is not None
        return self.socket.request

    @property
    def path(self) -> str:
        return self.request.path

    @property
    def close_code(self) -> int | None:  # type: ignore[override]
        return self.socket.close_code

    @property
    def heard(self) -> bytes:
        return b"".join(base64.b64decode(event["audio"]) for event in self.of("input_audio_buffer.append"))

    async def send_text(self, text: str) -> None:
        await self.socket.send(text)

    async def send_binary(self, data: bytes) -> None:
        await self.socket.send(data)

    @property
    def call_id(self) -> str | None:
        return next(iter(parse_qs(urlsplit(self.path).query).get("call_id", ())), None)

    async def finish(self, *, response_id: str = "resp_1", cancelled: bool = False) -> None:
        await super().finish(response_id=response_id, cancelled=cancelled)
        if self._plays:  # in no time
            kind = "cleared" if cancelled else "stopped"
            await self.send({"type": f"output_audio_buffer.{kind}", "response_id": response_id})

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self.socket.close(code, reason)

    def reset(self) -> None:
        sock = self.socket.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.transport.abort()

    def half_close(self) -> None:
        """Say that nothing more will be sent, and go on reading."""
        self.socket.transport.write_eof()

    def stall(self) -> None:
        self.socket.transport.pause_reading()

    def resume(self) -> None:
        self.socket.transport.resume_reading()

    async def pings(self, count: int) -> None:
        """Wait until so many more pings have come."""
        assert isinstance(self.socket, _CountingConnection)
        async with asyncio.timeout(PATIENCE):
            for _ in range(count):
                await self.socket.pinged.acquire()

    async def _next(self) -> str | bytes:
        return await self.socket.recv()

    async def _send_audio(self, audio: bytes, response_id: str, chunk: int) -> None:
        place = {"response_id": response_id, "item_id": f"item_of_{response_id}", "output_index": 0, "content_index": 0}
        if self._plays:
            part = {"type": "audio", "transcript": ""}
            await self.send({"type": "response.content_part.added", "part": part, **place})
            await self.send({"type": "output_audio_buffer.started", "response_id": response_id})
            return
        for start in range(0, len(audio), chunk):
            delta = base64.b64encode(audio[start : start + chunk]).decode()
            await self.send({"type": "response.output_audio.delta", "delta": delta, **place})


class SocketFarEnd(FarEnd[SocketConnection]):
    """A WebSocket server on loopback. `script` plays each connection; the connection is closed when it returns.

    `status` and `body` refuse the upgrade; `answers_pings` off makes it deaf to them; with `plays` the connections are
    those of calls, whose audio doesn't pass through them.
    """

    def __init__(
        self,
        script: Script = polite,
        *,
        status: int | None = None,
        body: str = "",
        headers: Mapping[str, str] | None = None,
        ssl_context: ssl.SSLContext | None = None,
        answers_pings: bool = True,
        plays: bool = False,
    ) -> None:
        super().__init__(script)
        self.status = status
        self.body = body
        self.headers = dict(headers or {})
        self.requests: list[Request] = []
        self._answers_pings = answers_pings
        self._plays = plays
        self._ssl = ssl_context
        self._server: Server | None = None
        self._port = 0

    @property
    def port(self) -> int:
        return self._port

    def refuse(self, status: int | None) -> None:
        self.status = status

    @property
    def url(self) -> str:
        return f"{'ws' if self._ssl is None else 'wss'}://127.0.0.1:{self._port}/v1/realtime"

    @property
    def endpoint(self) -> str:
        """The address as an Azure endpoint."""
        return f"{'http' if self._ssl is None else 'https'}://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        self._server = await serve(
            self._handle,
            "127.0.0.1",
            self._port,
            process_request=self._judge,
            ssl=self._ssl,
            ping_interval=None,
            close_timeout=1,
            max_size=None,
            logger=_QUIET,
            create_connection=_CountingConnection if self._answers_pings else _DeafConnection,
        )
        self._port = next(iter(self._server.sockets)).getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        for connection in self.connections:
            if not connection.finished.is_set():
                connection.socket.transport.abort()
        self._server.close()
        await self._server.wait_closed()

    def _judge(self, connection: ServerConnection, request: Request) -> Response | None:
        self.requests.append(request)
        if self.status is None:
            return None
        phrase = http.HTTPStatus(self.status).phrase if self.status in set(http.HTTPStatus) else "Odd"
        response = connection.respond(http.HTTPStatus.BAD_REQUEST, self.body)
        response.status_code, response.reason_phrase = self.status, phrase
        response.headers.update(self.headers)
        return response

    async def _handle(self, socket: ServerConnection) -> None:
        await self.play(SocketConnection(socket, plays=self._plays), ConnectionClosed)


class _CountingConnection(ServerConnection):
    """Counts the pings that it gets."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pinged = asyncio.Semaphore(0)

    def data_received(self, data: bytes) -> None:
        if data[:1] == _PING:
            self.pinged.release()
        super().data_received(data)


class _DeafConnection(_CountingConnection):
    """Answers no ping: as if it had never come. A ping is short and comes by itself."""

    def data_received(self, data: bytes) -> None:
        if data[:1] == _PING:
            self.pinged.release()
        else:
            super().data_received(data)


@contextlib.asynccontextmanager
async def tcp_server(
    handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """Serve raw TCP on loopback and yield the port. Connections that are still open at the end are aborted."""
    writers: set[asyncio.StreamWriter] = set()
    tasks: set[asyncio.Task[Any]] = set()

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        writers.add(writer)
        tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await handle(reader, writer)
        finally:
            tasks.discard(task)
            writers.discard(writer)
            writer.transport.abort()

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await server.wait_closed()
