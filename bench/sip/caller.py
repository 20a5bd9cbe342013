"""The process of all who call: SIP by our own user agent, and audio by `audio`, which costs less than what it measures.

Run as `python -m bench.sip.caller`.
"""

from __future__ import annotations

import asyncio
import gc
import time
from typing import TYPE_CHECKING, Any, Final, TextIO

from bench.commands import cost, live, take_commands
from bench.webrtc.talk import delays

from .audio import Line, Lines

if TYPE_CHECKING:
    from jackfield_local.sip.calling import OutgoingCall
    from jackfield_local.sip.endpoint import Endpoint
    from jackfield_local.sip.events import Event
    from jackfield_local.sip.invitations import Invitation

_ANSWER_SECONDS: Final = 20.0


class Call:
    """A call that was placed."""

    def __init__(self, sip: OutgoingCall, line: Line) -> None:
        self.sip = sip
        self.line = line
        self.invited = time.monotonic_ns()
        self.answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        """When it was."""
        self.ended = asyncio.Event()


class Caller:
    """Everybody who calls."""

    def __init__(self) -> None:
        self.lines = Lines()
        self._talking: list[Line] = []
        self._endpoint: Endpoint | None = None
        self._calls: dict[Invitation, Call] = {}

    async def obey(self, do: str, **command: Any) -> dict[str, Any]:
        if do == "dial":
            return {"calls": await self._dial(**command)}
        if do == "join":
            self._join(**command)
        elif do == "words":
            return self._words(**command)
        elif do == "hang_up":
            await self._hang_up()
        return cost()

    async def _dial(self, target: str, count: int, at_once: int, silent: bool) -> list[dict[str, Any]]:
        """Make calls, so many at once; say when each was begun and answered, and by which id SIP knows it."""
        ringing = asyncio.Semaphore(at_once)
        self._talking = [Line(number, silent=silent) for number in range(count)]
        self.lines.spread(self._talking)

        async def one(line: Line) -> Call:
            async with ringing, asyncio.timeout(_ANSWER_SECONDS):
                call = await self._call(target, line)
                await call.answered
                return call

        calls = await asyncio.gather(*(one(line) for line in self._talking))
        return [
            {"id": call.sip.invite.headers["Call-ID"], "invited": call.invited, "answered": call.answered.result()}
            for call in calls
        ]

    async def _call(self, target: str, line: Line) -> Call:
        from jackfield_local.sip import sdp
        from jackfield_local.sip.endpoint import Endpoint
        from jackfield_local.sip.messages import parse_uri

        if self._endpoint is None:
            self._endpoint = Endpoint(self._take, name="caller")
            await self._endpoint.open("127.0.0.1")
        uri = parse_uri(target)
        assert uri.port
        flow = self._endpoint.udp_flow((uri.host, uri.port))
        offer = sdp.offer(line.local, version=0, codecs=(sdp.PCMU,))
        call = Call(self._endpoint.agent.invite(target, flow, offer), line)
        self._calls[call.sip] = call
        return call

    def _take(self, event: Event) -> None:
        from jackfield_local.sip import sdp
        from jackfield_local.sip.events import Answered, Ended, Refused

        call = self._calls.get(event.call)
        if call is None:
            return
        match event:
            case Answered(_, body) if body:
                call.answered.set_result(time.monotonic_ns())
                call.line.remote = sdp.agree(sdp.read(body)).remote
            case Refused(_, code, phrase):
                call.answered.set_exception(ConnectionError(f"a call was refused: {code} {phrase}"))
            case Ended():
                call.ended.set()
            case _:
                pass

    def _join(self, remotes: list[tuple[str, int]], silent: bool) -> None:
        """Talk to these, whom nobody has to call."""
        self._talking = [Line(number, silent=silent) for number in range(len(remotes))]
        for line, (host, port) in zip(self._talking, remotes, strict=True):
            line.remote = host, port
        self.lines.spread(self._talking)

    def _words(self, since: int, until: int) -> dict[str, Any]:
        """What became of the words that were said between two times: how long each took, and how many never came."""
        told = []
        for line in self._talking:
            heard = delays(line.said, line.heard)
            told += [heard.get(word) for word in line.said if since <= word < until]
        return {"delays": [delay for delay in told if delay is not None], "lost": told.count(None)}

    async def _hang_up(self) -> None:
        for call in self._calls.values():
            call.sip.bye()
        async with asyncio.timeout(_ANSWER_SECONDS):
            await asyncio.gather(*(call.ended.wait() for call in self._calls.values()))
        self._calls = {}
        self.lines.spread([])
        for line in self._talking:
            line.close()
        self._talking = []
        gc.collect()


async def main(answers: TextIO) -> None:
    caller = Caller()
    async with asyncio.TaskGroup() as group:
        pacing = group.create_task(caller.lines.pace())
        await take_commands(caller.obey, answers, {})
        pacing.cancel()


if __name__ == "__main__":
    live(main)
