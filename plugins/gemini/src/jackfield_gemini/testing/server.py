"""The server: it listens on loopback, keeps the connections, and can refuse them."""

from __future__ import annotations

import asyncio
import http
import logging
import ssl as ssl_module
from typing import Any, Final, Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from .connection import PATIENCE, ClientRefusedError, GeminiConnectionEnd, Script, polite

__all__ = ["GeminiServer"]

_SERVICES: Final = (
    ".GenerativeService.BidiGenerateContent",
    ".GenerativeService.BidiGenerateContentConstrained",
    ".LlmBidiService/BidiGenerateContent",
)
_PATH: Final = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"

_QUIET = logging.getLogger("jackfield.gemini.testing")
"""The server writes no headers into a log in which a test looks for keys."""
_QUIET.setLevel(logging.CRITICAL)


class GeminiServer:
    """Gemini Live on loopback, in an `async with` block. `script` plays each connection.

    With `api_key` other keys are refused, as the provider does it: by a close after the setup. `status` and `body`
    refuse the upgrade. With `binary` off it sends text frames, and with `ssl` it speaks TLS.
    """

    def __init__(
        self,
        script: Script = polite,
        *,
        api_key: str | None = None,
        status: int | None = None,
        body: str = "",
        binary: bool = True,
        ssl: ssl_module.SSLContext | None = None,
        port: int = 0,
    ) -> None:
        self.script = script
        self.status = status
        self.body = body
        self.connections: list[GeminiConnectionEnd] = []
        """All connections so far."""
        self.handles: set[str] = set()
        """The handles with which a session can be taken up."""
        self.port = port
        self._api_key = api_key
        self._binary = binary
        self._ssl = ssl
        self._server: Server | None = None
        self._connected = asyncio.Condition()

    @property
    def url(self) -> str:
        """The address to connect to."""
        return f"{'ws' if self._ssl is None else 'wss'}://127.0.0.1:{self.port}{_PATH}"

    @property
    def base_url(self) -> str:
        """The address without the service, for clients that add it."""
        return f"{'http' if self._ssl is None else 'https'}://127.0.0.1:{self.port}"

    @property
    def connect_options(self) -> dict[str, Any]:
        """What `connect()` needs to be told."""
        return {"url": self.url, "api_key": self._api_key or "AIzaNoKeyIsNeeded"}

    async def __aenter__(self) -> Self:
        self._server = await serve(
            self._handle,
            "127.0.0.1",
            self.port,
            process_request=self._judge,
            ssl=self._ssl,
            ping_interval=None,
            close_timeout=1,
            max_size=None,
            logger=_QUIET,
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        for connection in self.connections:
            if not connection.finished.is_set():
                connection.abort()
        self._server.close()
        await self._server.wait_closed()

    async def connection(self, number: int = 0) -> GeminiConnectionEnd:
        """Wait for the connection of that number, counted from 0."""
        try:
            async with asyncio.timeout(PATIENCE), self._connected:
                await self._connected.wait_for(lambda: len(self.connections) > number)
        except TimeoutError:
            raise AssertionError(f"the server waited in vain for connection {number}") from None
        return self.connections[number]

    def _judge(self, connection: ServerConnection, request: Request) -> Response | None:
        path = request.path.partition("?")[0]
        status = self.status
        if status is None and not path.endswith(_SERVICES):
            status = 404
        if status is None:
            return None
        response = connection.respond(http.HTTPStatus.BAD_REQUEST, self.body)
        response.status_code = status
        response.reason_phrase = http.HTTPStatus(status).phrase if status in set(http.HTTPStatus) else "Odd"
        return response

    async def _handle(self, websocket: ServerConnection) -> None:
        connection = GeminiConnectionEnd(websocket, handles=self.handles, api_key=self._api_key, binary=self._binary)
        async with self._connected:
            self.connections.append(connection)
            self._connected.notify_all()
        try:
            await self.script(connection)
        except (ConnectionClosed, ClientRefusedError):
            pass  # the client went away, or was sent away, which ends every script
        finally:
            connection.finished.set()
            connection.tell()
