"""`open_connection`: sockets that the application opens itself."""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from jackfield.testing.conformance import PATIENCE
from jackfield.transport import (
    AuthenticationError,
    ConfigurationError,
    ConnectRefusedError,
    ConnectTimeoutError,
    RemoteClosedError,
    create_transport,
)
from jackfield_local.conformance.responder import ANSWER, quiet_server
from support.programs import run_program

pytestmark = pytest.mark.usefixtures("nothing_is_left")

KEY = "sk-canary-31ce"
CREATED = json.dumps({"type": "session.created", "event_id": "e", "session": {"id": "s"}})
EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "fetch_upgrade.py"


class Socket:
    """An open connection, with plain functions where it can and coroutines where it must."""

    def __init__(self, *frames: Any) -> None:
        self.frames: deque[Any] = deque(frames or (CREATED,))
        self.sent: list[Any] = []
        self.closed = 0
        self.news = asyncio.Event()

    def push(self, frame: Any) -> None:
        self.frames.append(frame)
        self.news.set()

    def send(self, text: Any) -> Any:
        self.sent.append(text)

    async def receive(self) -> Any:
        while not self.frames:
            self.news.clear()
            await self.news.wait()
        frame = self.frames.popleft()
        if isinstance(frame, BaseException):
            raise frame
        return frame

    def close(self) -> Any:
        self.closed += 1


class LateSocket(Socket):
    """The same with coroutines everywhere."""

    async def send(self, text: Any) -> None:
        await asyncio.sleep(0)
        self.sent.append(text)

    async def close(self) -> None:
        await asyncio.sleep(0)
        self.closed += 1


@pytest.mark.parametrize("kind", [Socket, LateSocket])
@pytest.mark.parametrize("late", [False, True])
async def test_carries_a_session(kind: type[Socket], late: bool) -> None:
    socket = kind()
    opened: list[tuple[str, Mapping[str, str]]] = []

    def open_at_once(url: str, headers: Mapping[str, str]) -> Socket:
        opened.append((url, headers))
        return socket

    async def open_later(url: str, headers: Mapping[str, str]) -> Socket:
        await asyncio.sleep(0)
        return open_at_once(url, headers)

    transport = create_transport("websocket", open_connection=open_later if late else open_at_once)
    await transport.connect(api_key=KEY, model="gpt-realtime")
    assert opened == [("wss://api.openai.com/v1/realtime?model=gpt-realtime", {"Authorization": f"Bearer {KEY}"})]
    await transport.send_event({"type": "x.text", "text": "ü"})
    assert [type(text) for text in socket.sent] == [str]
    assert json.loads(socket.sent[0]) == {"type": "x.text", "text": "ü"}
    heard = asyncio.Event()
    transport.on("rate_limits_updated", lambda _: heard.set())
    socket.push(b'{"type": "rate_limits.updated", "rate_limits": []}')
    async with asyncio.timeout(PATIENCE):
        await heard.wait()
    await transport.close()
    assert socket.closed == 1


@pytest.mark.parametrize(
    ("last", "code", "error"),
    [
        (None, 1000, type(None)),
        (StopAsyncIteration(), 1000, type(None)),
        (OSError("gone"), 1006, RemoteClosedError),
        (ValueError("odd"), 1006, RemoteClosedError),
        (42, 1006, RemoteClosedError),
        (RemoteClosedError("told", code=4000, reason="why"), 4000, RemoteClosedError),
    ],
)
async def test_its_end_is_told(last: Any, code: int, error: type[Any]) -> None:
    socket = Socket()
    transport = create_transport("websocket", open_connection=lambda *_: socket)
    ended: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    await transport.connect(api_key=KEY)
    transport.on("connection_change", ended.set_result)
    socket.push(last)
    async with asyncio.timeout(PATIENCE):
        event = await ended
    assert (event.code, type(event.error)) == (code, error)
    await transport.close()
    assert socket.closed == 1


async def test_a_send_that_fails_is_a_lost_connection() -> None:
    class Broken(Socket):
        def send(self, text: Any) -> None:
            raise OSError(f"no way for {KEY}")

    transport = create_transport("websocket", open_connection=lambda *_: Broken())
    await transport.connect(api_key=KEY)
    with pytest.raises(RemoteClosedError, match="no way") as caught:
        await transport.clear_audio()
    assert KEY not in str(caught.value)
    await transport.close()


async def test_a_close_that_hangs_is_left_to_itself() -> None:
    class Hanging(Socket):
        async def close(self) -> None:
            await asyncio.Event().wait()

    transport = create_transport("websocket", open_connection=lambda *_: Hanging())
    await transport.connect(api_key=KEY)
    async with asyncio.timeout(PATIENCE):
        await transport.close()
    assert transport.status == "disconnected"


class TestOpeningFails:
    async def fails(self, open_connection: Any, kind: type[Exception], match: str, **options: Any) -> BaseException:
        transport = create_transport("websocket", open_connection=open_connection)
        with pytest.raises(kind, match=match) as caught:
            await transport.connect(api_key=KEY, **options)
        assert transport.status == "disconnected"
        assert KEY not in str(caught.value)
        return caught.value

    async def test_for_a_reason_of_its_own(self) -> None:
        def refuse(*_: Any) -> Any:
            raise AuthenticationError("the worker knows no such key")

        await self.fails(refuse, AuthenticationError, "the worker knows")

    @pytest.mark.parametrize("error", [OSError("no network"), ValueError(f"no {KEY}"), KeyError("x")])
    async def test_for_any_reason(self, error: Exception) -> None:
        async def refuse(*_: Any) -> Any:
            raise error

        failure = await self.fails(refuse, ConnectRefusedError, "no connection to wss://api.openai.com")
        assert failure.__cause__ is error

    @pytest.mark.parametrize(("thing", "missing"), [(None, "send"), ("text", "receive"), (object(), "close")])
    async def test_for_what_is_no_connection(self, thing: Any, missing: str) -> None:
        await self.fails(lambda *_: thing, ConfigurationError, missing)

    async def test_for_hanging(self) -> None:
        async def hang(*_: Any) -> Any:
            await asyncio.Event().wait()

        await self.fails(hang, ConnectTimeoutError, "timeout", timeout=0.02)


class TestExample:
    async def run(self, question: str, **environment: str) -> tuple[int | None, str, str]:
        return await run_program(sys.executable, EXAMPLE, question, environment=environment)

    async def test_asks_and_prints_the_answer(self) -> None:
        async with quiet_server(api_key=KEY) as server:
            code, out, err = await self.run("Hello?", OPENAI_BASE_URL=server.http_url, OPENAI_API_KEY=KEY)
            assert (code, out, err) == (0, f"{ANSWER}\n", "")
            connection = server.connections[0]
            assert [event["type"] for event in connection.received] == [
                "session.update",
                "conversation.item.create",
                "response.create",
            ]
            assert connection.close_code == 1000

    async def test_tells_a_refusal(self) -> None:
        async with quiet_server(api_key="another") as server:
            code, out, err = await self.run("Hello?", OPENAI_BASE_URL=server.http_url, OPENAI_API_KEY=KEY)
            assert (code, out) == (1, "")
            assert "AuthenticationError" in err.splitlines()[-1]
            assert KEY not in err


async def test_its_errors_show_no_key() -> None:
    """Also not in the chain that a traceback prints, as far as it is ours."""
    socket = Socket(CREATED, OSError(KEY))
    transport = create_transport("websocket", open_connection=lambda *_: socket)
    errors: list[Exception] = []
    transport.on("error", lambda event: errors.append(event.error))
    await transport.connect(api_key=KEY, ready="open")
    while not errors:
        await asyncio.sleep(0)
    assert KEY not in "".join(traceback.format_exception_only(errors[0]))
    await transport.close()
