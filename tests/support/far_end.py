"""A far end that does exactly what a test tells it: a WebSocket server that records what it gets and plays a script.

It is polite by default: it opens a session, acknowledges updates, and answers `response.create` with a spoken turn.
For what is wrong below the WebSocket (no answer, half an answer, a reset) there is `tcp_server`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http
import itertools
import json
import logging
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

__all__ = ["AUDIO", "FarConnection", "FarEnd", "polite", "tcp_server"]

AUDIO = bytes(range(256)) * 18
"""What the polite far end says: 96 ms of PCM16 at 24,000 Hz, of every byte value."""

Script = Callable[["FarConnection"], Awaitable[None]]

_QUIET = logging.getLogger("support.far_end")
"""The far end writes no headers into a log in which a test looks for keys."""
_QUIET.setLevel(logging.CRITICAL)

_PING = b"\x89"
"""How a ping's frame begins."""

PATIENCE = 30.0
"""Seconds after which a test that waits has failed. Nothing is measured by it."""


class FarConnection:
    """One connection, seen from the far end."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.received: list[dict[str, Any]] = []
        self.finished = asyncio.Event()
        self._ids = itertools.count(1)
        self._news = asyncio.Condition()

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
    def close_code(self) -> int | None:
        return self.socket.close_code

    def types(self) -> list[str]:
        return [event["type"] for event in self.received]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.received if event["type"] == kind]

    async def expect(self, kind: str, count: int = 1) -> dict[str, Any]:
        """Wait until `count` events of this type have come; return the last of them."""
        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(lambda: len(self.of(kind)) >= count)
        return self.of(kind)[count - 1]

    async def send(self, *events: dict[str, Any]) -> None:
        """Send events, with ids of their own where they have none."""
        for event in events:
            await self.socket.send(json.dumps({"event_id": f"event_{next(self._ids)}", **event}))

    async def send_text(self, text: str) -> None:
        await self.socket.send(text)

    async def open_session(self, **session: Any) -> None:
        shape = {"type": "realtime", "object": "realtime.session", "id": "sess_1", "model": "gpt-realtime", **session}
        await self.send({"type": "session.created", "session": shape})

    async def receive(self) -> dict[str, Any]:
        """Receive the next event and record it. Raises ConnectionClosed."""
        event: dict[str, Any] = json.loads(await self.socket.recv())
        async with self._news:
            self.received.append(event)
            self._news.notify_all()
        return event

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self.socket.close(code, reason)

    def reset(self) -> None:
        """Break the TCP connection, as a crash would."""
        sock = self.socket.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.transport.abort()

    def half_close(self) -> None:
        """Say that nothing more will be sent, and go on reading."""
        self.socket.transport.write_eof()

    def stall(self) -> None:
        """Stop reading, also what the network has already brought."""
        self.socket.transport.pause_reading()

    def resume(self) -> None:
        self.socket.transport.resume_reading()

    async def pings(self, count: int) -> None:
        """Wait until so many more pings have come."""
        assert isinstance(self.socket, _CountingConnection)
        async with asyncio.timeout(PATIENCE):
            for _ in range(count):
                await self.socket.pinged.acquire()

    async def say(self, audio: bytes = AUDIO, *, response_id: str = "resp_1", chunk: int = 1200) -> None:
        """Play a whole spoken response."""
        item = {"id": f"item_of_{response_id}", "type": "message", "role": "assistant", "status": "in_progress"}
        place = {"response_id": response_id, "item_id": item["id"], "output_index": 0, "content_index": 0}
        response = {"id": response_id, "object": "realtime.response", "status": "in_progress", "output": []}
        await self.send({"type": "response.created", "response": {**response, "conversation_id": "conv_1"}})
        await self.send(
            {"type": "response.output_item.added", "response_id": response_id, "output_index": 0, "item": item},
            {"type": "response.output_audio_transcript.delta", "delta": "Hello.", **place},
        )
        for start in range(0, len(audio), chunk):
            delta = base64.b64encode(audio[start : start + chunk]).decode()
            await self.send({"type": "response.output_audio.delta", "delta": delta, **place})
        await self.send({"type": "response.output_audio.done", **place})
        content = [{"type": "output_audio", "transcript": "Hello."}]
        output = [{**item, "status": "completed", "content": content}]
        done = {**response, "status": "completed", "output": output, "conversation_id": "conv_1"}
        await self.send({"type": "response.done", "response": done})


async def polite(connection: FarConnection) -> None:
    """Do as the API does, as far as a transport sees it."""
    await connection.open_session()
    numbers = itertools.count(1)
    while True:
        event = await connection.receive()
        if event["type"] == "session.update":
            await connection.send({"type": "session.updated", "session": {"id": "sess_1", **event["session"]}})
        elif event["type"] == "response.create":
            await connection.say(response_id=f"resp_{next(numbers)}")


class FarEnd:
    """A WebSocket server on loopback. `script` plays each connection; the connection is closed when it returns.

    `status` and `body` refuse the upgrade; `answers_pings` off makes it deaf to them; `compression` is what it would
    agree to.
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
    ) -> None:
        self.script = script
        self.status = status
        self.body = body
        self.headers = dict(headers or {})
        self.connections: list[FarConnection] = []
        self.requests: list[Request] = []
        self._answers_pings = answers_pings
        self._ssl = ssl_context
        self._server: Server | None = None
        self._news = asyncio.Condition()
        self._port = 0

    @property
    def port(self) -> int:
        return self._port

    @property
    def url(self) -> str:
        return f"{'ws' if self._ssl is None else 'wss'}://127.0.0.1:{self._port}/v1/realtime"

    @property
    def endpoint(self) -> str:
        """The address as an Azure endpoint."""
        return f"{'http' if self._ssl is None else 'https'}://127.0.0.1:{self._port}"

    async def connection(self, number: int = 0) -> FarConnection:
        """Wait for the connection of that number."""
        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(lambda: len(self.connections) > number)
        return self.connections[number]

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
        connection = FarConnection(socket)
        async with self._news:
            self.connections.append(connection)
            self._news.notify_all()
        try:
            with contextlib.suppress(ConnectionClosed):
                await self.script(connection)
        finally:
            connection.finished.set()


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
