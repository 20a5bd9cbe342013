"""An application that is told of phone calls by webhook, and does with each what a test says."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import httpx

__all__ = ["SESSION", "CallApplication", "call_application"]

SESSION = {"type": "realtime", "model": "gpt-realtime"}
Handler: TypeAlias = Callable[["CallApplication", str], Awaitable[object]]


class CallApplication:
    """Its `url` is the webhook's; `api` is the server's, once that is known. `calls` are the ids of all calls."""

    def __init__(self, handler: Handler) -> None:
        self.url = ""
        self.api = ""
        self.calls: list[str] = []
        self.answers: list[int] = []
        """Status codes of what was done with calls."""
        self._handler = handler
        self._http = httpx.AsyncClient(
            trust_env=False,
            timeout=20,
            headers={"Authorization": "Bearer test-key"},
            limits=httpx.Limits(max_keepalive_connections=0),
        )
        self._work: set[asyncio.Task[object]] = set()

    async def post(self, call_id: str, action: str, body: Any = None) -> int:
        """Do something with a call, and return the HTTP status."""
        answer = await self._http.post(f"{self.api}/realtime/calls/{call_id}/{action}", json=body or {})
        self.answers.append(answer.status_code)
        return answer.status_code

    async def accept(self, call_id: str) -> int:
        return await self.post(call_id, "accept", SESSION)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = int(head.partition("content-length:")[2].partition("\r\n")[0])
                call_id = json.loads(await reader.readexactly(length))["data"]["call_id"]
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                self.calls.append(call_id)
                task = asyncio.ensure_future(self._handler(self, call_id))
                self._work.add(task)
                task.add_done_callback(self._work.discard)
        writer.close()

    async def close(self) -> None:
        await asyncio.gather(*self._work)
        await self._http.aclose()


@contextlib.asynccontextmanager
async def call_application(handler: Handler) -> AsyncIterator[CallApplication]:
    """Run an application; `handler` is called with it and the id of each call."""
    application = CallApplication(handler)
    server = await asyncio.start_server(application.serve, "127.0.0.1", 0)
    application.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/webhook"
    try:
        yield application
    finally:
        server.close()
        await application.close()
