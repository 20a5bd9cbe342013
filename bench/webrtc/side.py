"""The process at one end of calls: it makes or takes them as it is told, line by line, and says what it cost.

Run as `python -m bench.webrtc.side KIND ROLE`; the role is `client` or `far_end`, and a far end tells its port.
Commands come as JSON on stdin, one a line, answers go to stdout. Calls go on between commands. A call's offer is posted
to `/talk/NUMBER/...`, or `/idle/NUMBER/...`.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from typing import TYPE_CHECKING, Any, Final, TextIO

from bench.commands import cost, live, take_commands

from . import load
from .base import Call, Kind
from .talk import Ear, Mouth

if TYPE_CHECKING:
    from aiohttp import web

    from jackfield_local.network import Network

_DIAL_SECONDS: Final = 20.0


class Side:
    """One end of calls, by their numbers."""

    def __init__(self, kind: Kind, role: str) -> None:
        self._kind = kind
        self._role = role
        self._calls: dict[int, tuple[Call, Mouth, Ear]] = {}
        self._networks: dict[int, Network] = {}
        self._dialled = 0
        self._closing: set[asyncio.Task[None]] = set()

    async def obey(self, do: str, **command: Any) -> dict[str, Any]:
        if do == "dial":
            return await self._dial(**command)
        if do == "impair":
            self._impair(**command)
        elif do == "words":
            return {str(number): [mouth.said, ear.heard] for number, (_, mouth, ear) in self._calls.items()}
        elif do == "hang_up":
            await asyncio.gather(*(self._close(number) for number in list(self._calls)))
            gc.collect()
        return cost()

    async def listen(self) -> int:
        """Take calls from now on; return the port that offers are posted to."""
        from aiohttp import web

        application = web.Application()
        application.router.add_post("/{rhythm}/{number}/v1/realtime/calls", self._answer)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port: int = runner.addresses[0][1]
        return port

    async def _dial(self, server: str, count: int, rhythm: str) -> dict[str, Any]:
        """Make calls, one after the other; say how long each took from nothing to ready, in seconds."""
        took: list[float] = []
        for _ in range(count):
            self._dialled += 1
            number = self._dialled
            mouth, ear = self._mouth_and_ear(number, rhythm)
            started = time.perf_counter()
            async with asyncio.timeout(_DIAL_SECONDS):
                call = await self._kind.dial(f"{server}/{rhythm}/{number}/v1/realtime/calls", mouth, ear)
            took.append(time.perf_counter() - started)
            self._calls[number] = call, mouth, ear
        gc.collect()
        return {"took": took, "numbers": list(self._calls)}

    async def _answer(self, request: web.Request) -> web.Response:
        from aiohttp import web

        # With a session beside it, or alone; taken apart by hand, so that either costs the same here.
        offer = "v=0" + (await request.text()).partition("v=0")[2].partition("\r\n--")[0]
        number = int(request.match_info["number"])
        mouth, ear = self._mouth_and_ear(number, request.match_info["rhythm"])
        answer, call = await self._kind.answer(offer, mouth, ear)
        self._calls[number] = call, mouth, ear
        call.connection.on("connectionstatechange", lambda: self._state_changed(number))
        headers = {"Location": f"/v1/realtime/calls/rtc_{number}"}
        return web.Response(status=201, text=answer, content_type="application/sdp", headers=headers)

    def _mouth_and_ear(self, number: int, rhythm: str) -> tuple[Mouth, Ear]:
        return Mouth(self._seed(number), self._kind.SAID_HZ, idle=rhythm == "idle"), Ear(self._kind.HEARD_HZ)

    def _seed(self, number: int) -> int:
        """Chance is another one at each end of each call, and the same for every kind."""
        return 2 * number + (self._role == "far_end")

    def _impair(self, numbers: list[int], how: dict[str, float]) -> None:
        from jackfield_local.network import Impairment, impair

        for number in numbers:
            impairment = Impairment(**how, seed=self._seed(number))
            if network := self._networks.get(number):
                network.impairment = impairment
            else:
                self._networks[number] = impair(self._calls[number][0].connection, impairment)

    def _state_changed(self, number: int) -> None:
        if number in self._calls and self._calls[number][0].connection.connectionState in {"failed", "closed"}:
            closing = asyncio.create_task(self._close(number))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def _close(self, number: int) -> None:
        call, _, _ = self._calls.pop(number)
        self._networks.pop(number, None)
        await call.close()


async def main(answers: TextIO) -> None:
    kind, role = load(sys.argv[1]), sys.argv[2]
    greeting: dict[str, Any] = {"missing": kind.missing()}
    side = Side(kind, role)
    if role == "far_end" and not greeting["missing"]:
        greeting["port"] = await side.listen()
    await take_commands(side.obey, answers, greeting)


if __name__ == "__main__":
    live(main)
