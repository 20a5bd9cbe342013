"""A small HTTP proxy that does CONNECT and nothing else."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator

from attrs import define, field

from jackfield_local.conformance.sockets import tcp_server

__all__ = ["Tunnels", "connect_proxy"]


@define
class Tunnels:
    """What the proxy was asked for."""

    port: int
    requests: list[bytes] = field(factory=list)
    reached: asyncio.Event = field(factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.asynccontextmanager
async def connect_proxy(
    *, login: str | None = None, answer: bytes | None = None, hangs: bool = False
) -> AsyncIterator[Tunnels]:
    """Run the proxy. `login` is the user:password that it wants, `answer` what it says instead of connecting."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        tunnels.requests.append(request)
        tunnels.reached.set()
        if hangs:
            await reader.read()
            return
        if answer is not None:
            writer.write(answer)
            await writer.drain()
            return
        if login is not None:
            wanted = b"Proxy-Authorization: Basic " + base64.b64encode(login.encode())
            if wanted not in request:
                writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
                await writer.drain()
                return
        host, _, port = request.split(b" ")[1].decode().rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host.strip("[]"), int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
        finally:
            far_writer.transport.abort()

    async with tcp_server(handle) as port:
        tunnels = Tunnels(port)
        yield tunnels


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
