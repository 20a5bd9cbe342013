"""The process of the floor: asyncio's datagram sockets, one a call, and a clock that has each of them send every 20 ms.

It sends back what it was sent last, and silence where nothing came: no signalling, no session, no turns. Run as
`python -m bench.sip.floor`.
"""

from __future__ import annotations

import asyncio
import gc
from typing import Any, Final, TextIO

from bench.commands import cost, live, take_commands

from .wire import FRAME_BYTES, HEADER, pack

_FRAME_SECONDS: Final = 0.02
_SILENCE: Final = b"\xff" * FRAME_BYTES


class Port(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.transport: asyncio.DatagramTransport | None = None
        self._remote: tuple[str, int] | None = None
        self._payload: bytes | None = None
        self._number = 0

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._remote = addr
        self._payload = data[HEADER.size :]

    def tick(self) -> None:
        if self._remote is None or self.transport is None:
            return
        self._number += 1
        self.transport.sendto(pack(self._number, 1, self._payload or _SILENCE), self._remote)
        self._payload = None


class Floor:
    """All ports."""

    def __init__(self) -> None:
        self._ports: list[Port] = []

    async def obey(self, do: str, count: int = 0) -> dict[str, Any]:
        if do == "open":
            return {"remotes": [await self._open() for _ in range(count)]}
        if do == "close":
            for port in self._ports:
                assert port.transport
                port.transport.close()
            self._ports = []
            gc.collect()
        return cost()

    async def echo(self) -> None:
        clock = asyncio.get_running_loop().time
        start, frames = clock(), 0
        while True:
            frames += 1
            await asyncio.sleep(start + frames * _FRAME_SECONDS - clock())
            for port in self._ports:
                port.tick()

    async def _open(self) -> tuple[str, int]:
        loop = asyncio.get_running_loop()
        transport, port = await loop.create_datagram_endpoint(Port, local_addr=("127.0.0.1", 0))
        port.transport = transport
        self._ports.append(port)
        host, number = transport.get_extra_info("sockname")
        return host, number


async def main(answers: TextIO) -> None:
    floor = Floor()
    async with asyncio.TaskGroup() as group:
        echo = group.create_task(floor.echo())
        await take_commands(floor.obey, answers, {})
        echo.cancel()


if __name__ == "__main__":
    live(main)
