"""A session from a runtime that can't open sockets itself: an edge worker, say, which upgrades a `fetch`.

    python docs/examples/fetch_upgrade.py "What is the weather in Paris?"

It talks to OPENAI_BASE_URL with OPENAI_API_KEY; `jackfield serve` prints both for the local server. The first half is
what a program on such a runtime needs. The second half stands in for the runtime, so that this runs anywhere; it needs
aiohttp. In a worker, `fetch` and its WebSocket are there already.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import aiohttp

from jackfield import create_transport
from jackfield.transport import AuthenticationError, ConnectRefusedError, RemoteClosedError


async def main(question: str) -> None:
    """Ask one question and print the answer."""
    transport = create_transport("websocket", open_connection=open_connection)
    await transport.connect(initial_session_config={"instructions": "Answer in one sentence."})
    try:
        events = transport.events()
        await transport.send_message(question)
        async for event in events:
            if event.type == "audio_transcript_delta":
                print(event.delta, end="", flush=True)
            elif event.type == "turn_done":
                print()
                break
    finally:
        await transport.close()


async def open_connection(url: str, headers: Mapping[str, str]) -> FetchedSocket:
    """Upgrade a fetch; this is what the transport is given."""
    # A fetch knows http and https only; the upgrade makes a WebSocket of it.
    response = await fetch("http" + url.removeprefix("ws"), {**headers, "Upgrade": "websocket"})
    if response.web_socket is None:
        refused = f"the upgrade was answered with HTTP {response.status}: {await response.text()}"
        raise AuthenticationError(refused) if response.status in {401, 403} else ConnectRefusedError(refused)
    return FetchedSocket(response.web_socket)


class FetchedSocket:
    """A worker's WebSocket, which has listeners, as the three functions that a transport wants."""

    def __init__(self, web_socket: Any) -> None:
        self._web_socket = web_socket
        self._arrived: asyncio.Queue[str | RemoteClosedError] = asyncio.Queue()
        self._gone = asyncio.Event()
        web_socket.add_event_listener("message", lambda event: self._arrived.put_nowait(event.data))
        web_socket.add_event_listener("close", self._on_close)
        web_socket.accept()

    def send(self, text: str) -> None:
        """Send one event. A worker's socket has no backpressure to offer."""
        self._web_socket.send(text)

    async def receive(self) -> str:
        """Return the next event."""
        arrived = await self._arrived.get()
        if isinstance(arrived, RemoteClosedError):
            raise arrived
        return arrived

    async def close(self) -> None:
        """Close, and wait for the far end's half of it; the transport doesn't wait for long."""
        self._web_socket.close(1000, "")
        await self._gone.wait()

    def _on_close(self, event: Any) -> None:
        told = f"the far end closed with {event.code}"
        closed = RemoteClosedError(told, code=event.code, reason=event.reason, clean=event.was_clean)
        self._arrived.put_nowait(closed)
        self._gone.set()


# What follows stands in for the runtime.


async def fetch(url: str, headers: Mapping[str, str]) -> FetchResponse:
    """Do as a worker's fetch: a response, and in it a socket where the far end has upgraded."""
    session = aiohttp.ClientSession()
    try:
        socket = await session.ws_connect(url, headers=headers, max_msg_size=0)
    except aiohttp.WSServerHandshakeError as error:
        await session.close()
        return FetchResponse(error.status, None, error.message)
    except BaseException:
        await session.close()
        raise
    return FetchResponse(101, WorkerSocket(session, socket), "")


class FetchResponse:
    """What a fetch resolves to."""

    def __init__(self, status: int, web_socket: WorkerSocket | None, body: str) -> None:
        self.status = status
        self.web_socket = web_socket
        self._body = body

    async def text(self) -> str:
        """Return the body."""
        return self._body


class WorkerSocket:
    """A WebSocket as workers have it: nothing in it is awaited."""

    def __init__(self, session: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._session = session
        self._socket = socket
        self._listeners: dict[str, list[Callable[[Any], None]]] = {"message": [], "close": []}
        self._outgoing: asyncio.Queue[str | None] = asyncio.Queue()
        self._goodbye: tuple[int, str] | None = None
        self._running: asyncio.Task[None] | None = None

    def add_event_listener(self, kind: str, listener: Callable[[Any], None]) -> None:
        """Call `listener` for each event of this kind."""
        self._listeners[kind].append(listener)

    def accept(self) -> None:
        """Begin: from now on there are events."""
        self._running = asyncio.get_running_loop().create_task(self._run())

    def send(self, text: str) -> None:
        """Send a text."""
        self._outgoing.put_nowait(text)

    def close(self, code: int, reason: str) -> None:
        """Close after what was sent."""
        self._goodbye = (code, reason)
        self._outgoing.put_nowait(None)

    async def _run(self) -> None:
        async with self._session, asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(self._write())
            async for message in self._socket:
                self._tell("message", SimpleNamespace(data=message.data))
            if self._goodbye is None:
                writing.cancel()
        code = self._socket.close_code or 1006
        self._tell("close", SimpleNamespace(code=code, reason="", was_clean=code != 1006))

    async def _write(self) -> None:
        with contextlib.suppress(ConnectionError):
            while (text := await self._outgoing.get()) is not None:
                await self._socket.send_str(text)
            code, reason = self._goodbye or (1000, "")
            await self._socket.close(code=code, message=reason.encode())

    def _tell(self, kind: str, event: Any) -> None:
        for listener in self._listeners[kind]:
            listener(event)


if __name__ == "__main__":
    asyncio.run(main(" ".join(sys.argv[1:]) or "Hello, who are you?"))
