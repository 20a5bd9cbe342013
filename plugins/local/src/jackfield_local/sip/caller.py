"""A phone: it places calls and answers them, says what it is given, hears, presses keys, and goes where it is referred.

For tests and the demo. A call is in `phone_call`.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Coroutine, Mapping
from types import TracebackType
from typing import Final, Self

from attrs import frozen

from jackfield_local.sip import sdp
from jackfield_local.sip.called import IncomingCall
from jackfield_local.sip.endpoint import Endpoint
from jackfield_local.sip.events import Event, Invited
from jackfield_local.sip.media_clock import MediaClock
from jackfield_local.sip.messages import parse_uri
from jackfield_local.sip.phone_call import FRAME_BYTES, CallFailedError, PhoneCall, Silence, Voice

__all__ = ["FRAME_BYTES", "CallFailedError", "Phone", "PhoneCall", "Silence", "Voice"]

_DEFAULT_PORT: Final = 5060


@frozen
class _Way:
    """Where a URI leads to."""

    host: str
    port: int
    transport: str


class Phone:
    """A phone on `host`. `follow_refer`: it calls the target of a REFER, and says how that went.

    `codecs` are what it offers, the best first. `answers` makes who answers when it is called; without that it is busy.
    `calls` are all of its calls.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        name: str = "caller",
        follow_refer: bool = False,
        codecs: tuple[sdp.Codec, ...] = (sdp.PCMU, sdp.PCMA),
        answers: Callable[[], Voice] | None = None,
    ) -> None:
        self.clock = MediaClock()
        self.calls: list[PhoneCall] = []
        self._host = host
        self._name = name
        self._follows = follow_refer
        self._codecs = codecs
        self._endpoint: Endpoint | None = None
        self._answers = answers
        self._work: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()

    @property
    def endpoint(self) -> Endpoint:
        """The phone's SIP."""
        assert self._endpoint is not None, "use `async with Phone() as phone`"
        return self._endpoint

    @property
    def uri(self) -> str:
        """What to call."""
        host, port = self.endpoint.local
        return f"sip:{self._name}@{f'[{host}]' if ':' in host else host}:{port}"

    async def call(
        self, target: str, *, voice: Voice | None = None, headers: Mapping[str, str] | None = None
    ) -> PhoneCall:
        """Call a SIP URI, over TCP where it says so.

        It returns once the INVITE is on its way. Raises `ValueError` for what is no SIP URI of an address, and
        `OSError`.
        """
        way = _way(target)
        flow = (
            await self.endpoint.connect((way.host, way.port))
            if way.transport == "tcp"
            else self.endpoint.udp_flow((way.host, way.port))
        )
        call = PhoneCall(self, voice or Silence())
        await call.place(target, flow, self._codecs, headers or {})
        self._note(call)
        return call

    async def nth_call(self, number: int) -> PhoneCall:
        """Wait for the call of that number, counted from 0, and return it."""
        while len(self.calls) <= number:
            await self._news.wait()
        return self.calls[number]

    def follow(self, call: PhoneCall, target: str) -> None:
        """Do what a REFER asks for; the call does so."""
        if self._follows:
            self._begin(self._transfer(call, target))

    async def __aenter__(self) -> Self:
        self._endpoint = Endpoint(self._take, name=self._name, follows_refer=True)
        await self._endpoint.open(self._host)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for task in self._work:
            task.cancel()
        if self._work:
            await asyncio.wait(self._work)
        for call in self.calls:
            call.hang_up()
        await self.endpoint.close()
        for call in self.calls:
            call.close()

    def _take(self, event: Event) -> None:
        if isinstance(event, Invited):
            assert isinstance(event.call, IncomingCall)
            self._take_call(event.call, event.offer)
            return
        for call in self.calls:
            if call.sip is event.call:
                call.take(event)

    def _take_call(self, sip: IncomingCall, body: bytes | None) -> None:
        if self._answers is None:
            sip.reject(486)
            return
        sip.ring()
        self._begin(self._answer(PhoneCall(self, self._answers()), sip, body))

    async def _answer(self, call: PhoneCall, sip: IncomingCall, body: bytes | None) -> None:
        await call.answer(sip, body)
        self._note(call)

    async def _transfer(self, call: PhoneCall, target: str) -> None:
        try:
            call.transfer = await self.call(target, voice=call.voice)
            await call.transfer.answered()
        except CallFailedError as error:
            call.sip.notify(error.code, "Failed")
        except (ValueError, OSError):
            call.sip.notify(404, "Not Found")
        else:
            call.sip.notify(200, "OK")

    def _note(self, call: PhoneCall) -> None:
        self.calls.append(call)
        self._news.set()
        self._news = asyncio.Event()

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)


def _way(target: str) -> _Way:
    uri = parse_uri(target)
    if uri.scheme != "sip":
        raise ValueError(f"{target!r} can't be called: it is no SIP URI")
    host = uri.host.strip("[]")
    if host == "localhost":
        host = "127.0.0.1"
    ipaddress.ip_address(host)
    return _Way(host, uri.port or _DEFAULT_PORT, (uri.parameters.get("transport") or "udp").lower())
