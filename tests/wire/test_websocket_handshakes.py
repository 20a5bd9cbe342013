"""Handshakes of a WebSocket that fail in ways that only they have."""

from __future__ import annotations

import asyncio

import pytest

from jackfield.testing.conformance.checks.ends import connects
from jackfield.transport import ConnectRefusedError, ConnectTimeoutError
from jackfield_local.conformance.checks.common import fails
from jackfield_local.conformance.sockets import tcp_server
from jackfield_local.conformance.subjects import DialectSubject, Port

pytestmark = pytest.mark.usefixtures("nothing_is_left")


async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(4096):
        pass


async def test_its_own_limit_for_opening(subject: DialectSubject) -> None:
    async with tcp_server(say_nothing) as port:
        transport = subject.make(Port(port), open_timeout=0.05)
        with pytest.raises(ConnectTimeoutError, match=r"open_timeout=0\.05"):
            await transport.connect(**subject.where(Port(port)))
        await connects(subject, transport)


async def test_the_time_limit_is_told(subject: DialectSubject) -> None:
    async with tcp_server(say_nothing) as port:
        error = await fails(subject, Port(port), ConnectTimeoutError, "0.05 s", timeout=0.05)
        assert isinstance(error, ConnectTimeoutError) and error.stage == "opening the connection"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 101 Switching",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: wrong\r\n\r\n",
    ],
    ids=["half a line", "200", "no upgrade", "wrong accept"],
)
async def test_an_answer_that_is_no_upgrade(subject: DialectSubject, answer: bytes) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    async with tcp_server(handle) as port:
        await fails(subject, Port(port), ConnectRefusedError, "Check the url")
