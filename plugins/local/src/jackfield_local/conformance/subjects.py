"""The transports that speak the OpenAI dialect, as the conformance kit takes them.

Over a WebSocket, `DialectSubject("carrier-pigeon")` is all that is needed. What a transport can't do it says in its
capabilities, and the checks adapt; what lies below the contract is a trait of its subject.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from attrs import field, frozen

from jackfield.testing.conformance import CANARY, Script, Subject, polite
from jackfield.testing.conformance.subject import SUITE
from jackfield.transport import ConnectRefusedError, RealtimeTransportLayer
from jackfield_local import LocalServer
from jackfield_local.conformance.sockets import SocketFarEnd

__all__ = ["DialectSubject", "Port", "Voice", "WebSocketSubject", "azure", "sip", "webrtc", "websocket"]

_DIALECT: tuple[str, ...] = (SUITE, "jackfield_local.conformance.suite")

Voice: TypeAlias = Callable[[bytes], Awaitable[None]]
"""Takes what the user says next, PCM16 mono at 24,000 Hz, on whichever way that travels."""


@frozen
class Port:
    """A place that is only a port, where nobody needs to be."""

    port: int
    host: str = "127.0.0.1"
    tls: bool = False

    @property
    def url(self) -> str:
        """The address of a WebSocket."""
        return f"{'wss' if self.tls else 'ws'}://{self.host}:{self.port}/v1/realtime"

    @property
    def calls_url(self) -> str:
        """The address for offers."""
        return f"{self.endpoint}/v1/realtime/calls"

    @property
    def endpoint(self) -> str:
        """The address as an Azure endpoint."""
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"


def _url(place: Any) -> Mapping[str, Any]:
    return {"url": f"{place.url}?model=gpt-realtime"}


@frozen(kw_only=True)
class DialectSubject(Subject):
    """A transport that speaks the OpenAI dialect over a WebSocket, to a url. Subclasses are reached in other ways."""

    new_far_end: Any = field(default=SocketFarEnd, kw_only=False)
    connect: Callable[[Any], Mapping[str, Any]] = field(default=_url, kw_only=False)
    hurried: Mapping[str, Any] = field(factory=dict)
    suites: tuple[str, ...] = _DIALECT

    config_first: bool = False
    """Whether the initial config is part of the handshake, so that the session itself acknowledges it."""

    unknown: type[ConnectRefusedError] = ConnectRefusedError
    """What it raises where the far end knows nothing of what is asked for."""

    @property
    def frames(self) -> bool:
        """Whether events are the frames of a WebSocket, with its handshake, close codes and sizes."""
        return self.close_codes

    def far_end(self, script: Script = polite, **options: Any) -> Any:
        """Make a scripted far end; `status`, `body` and `headers` refuse who comes."""
        return self.new_far_end(script, **options)

    def end_told(self, code: int, reason: str = "") -> tuple[int, str]:
        """Return what is told of a far end that closes with a code and a reason: a call is only hung up."""
        return (code, reason) if self.close_codes else (1000, "")

    @contextlib.asynccontextmanager
    async def with_voice(self, place: Any, **options: Any) -> AsyncIterator[tuple[RealtimeTransportLayer, Voice]]:
        """Connect, yield the transport and the user's voice, and close. Where it joins a call there is one first."""
        async with self.connected(place, **options) as transport:
            yield transport, transport.send_audio


class WebSocketSubject(DialectSubject):
    """The built-in websocket transport."""

    @contextlib.contextmanager
    def joining(self, far_end: Any, call_id: str) -> Iterator[dict[str, Any]]:
        """A url is used as given; without one, it is made of the base that the environment tells."""
        before = os.environ.get("OPENAI_BASE_URL")
        os.environ["OPENAI_BASE_URL"] = far_end.url.removesuffix("/realtime")
        try:
            options = self.where(far_end, call_id=call_id)
            del options["url"]
            yield options
        finally:
            os.environ.pop("OPENAI_BASE_URL")
            if before is not None:
                os.environ["OPENAI_BASE_URL"] = before


class _AzureSubject(DialectSubject):
    """The built-in azure transport, which is made for an endpoint."""

    def make(self, far_end: Any, **options: Any) -> RealtimeTransportLayer:
        """Make it for the far end's endpoint."""
        endpoint = getattr(far_end, "endpoint", None) or getattr(far_end, "azure_endpoint", "http://127.0.0.1:9")
        return super().make(far_end, **{"endpoint": endpoint, "deployment": "gpt-realtime", **options})

    def where(self, far_end: Any, **options: Any) -> dict[str, Any]:
        """It may have been made for another far end: the url tells. The local server is reached by its endpoint."""
        given = super().where(far_end, **options)
        if isinstance(far_end, LocalServer):
            del given["url"]
        return given

    @contextlib.contextmanager
    def joining(self, far_end: Any, call_id: str) -> Iterator[dict[str, Any]]:
        """A url is used as given; without one, it is made of the endpoint."""
        yield {key: value for key, value in self.where(far_end, call_id=call_id).items() if key != "url"}


class _SipSubject(DialectSubject):
    """The built-in sip transport, which joins a call that somebody else has made."""

    @contextlib.asynccontextmanager
    async def connected(self, far_end: Any, **options: Any) -> AsyncIterator[RealtimeTransportLayer]:
        """There is somebody who calls first, if the far end is a server of calls."""
        if isinstance(far_end, LocalServer):
            async with self.with_voice(far_end, **options) as (transport, _):
                yield transport
        else:
            async with super().connected(far_end, **options) as transport:
                yield transport

    @contextlib.asynccontextmanager
    async def with_voice(self, place: Any, **options: Any) -> AsyncIterator[tuple[RealtimeTransportLayer, Voice]]:
        """The user's voice is that of who calls."""
        from .caller import Caller

        join = super().connected
        async with (
            Caller(place, str(self.key)) as caller,
            join(place, call_id=caller.call_id, **options) as transport,
        ):
            yield transport, caller.say


class _WebRTCSubject(DialectSubject):
    """The built-in webrtc transport."""

    def where(self, far_end: Any, **options: Any) -> dict[str, Any]:
        """An ephemeral key of the local server is minted there."""
        given = super().where(far_end, **options)
        if isinstance(far_end, LocalServer) and str(self.key).startswith("ek_"):
            given["api_key"] = lambda: _mint(far_end)
        return given


async def _mint(server: LocalServer) -> str:
    """Ask the server for an ephemeral key."""
    import httpx

    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(
            f"{server.http_url}/realtime/client_secrets",
            headers={"Authorization": f"Bearer sk-{CANARY}"},
            json={"session": {"type": "realtime", "model": "gpt-realtime"}},
        )
    value: str = answer.json()["value"]
    return value


_HURRIED = {"close_timeout": 0.05}


def websocket() -> Sequence[DialectSubject]:
    """Return the subjects of the websocket transport: over each library that is there."""
    subject = WebSocketSubject("websocket", hurried=_HURRIED)
    if importlib.util.find_spec("picows") is None:
        return [subject]
    return [
        subject,
        WebSocketSubject("websocket", id="websocket-picows", options={"wire": "picows"}, hurried=_HURRIED),
    ]


def azure() -> Sequence[DialectSubject]:
    """Return the subject of the azure transport."""
    return [_AzureSubject("azure", hurried=_HURRIED)]


def sip() -> Sequence[DialectSubject]:
    """Return the subject of the sip transport, without its dialling again, which has tests of its own."""
    from jackfield_transports.sideband.errors import CallGoneError

    def playing(script: Script, **options: Any) -> SocketFarEnd:
        return SocketFarEnd(script, plays=True, **options)

    return [
        _SipSubject(
            "sip",
            playing,
            lambda place: {"url": place.url, "call_id": "rtc_1"},
            options={"attach_seconds": 0.05, "rejoin_seconds": 0},
            hurried=_HURRIED,
            unknown=CallGoneError,
        )
    ]


def webrtc() -> Sequence[DialectSubject]:
    """Return the subjects of the webrtc transport: with a key that brings the session, and with one that doesn't."""
    from jackfield_transports.webrtc.path_watch import Patience

    from .peers import RtcFarEnd, SoundTrack

    def connect(place: Any) -> Mapping[str, Any]:
        return {"url": f"{place.http_url}/realtime/calls" if isinstance(place, LocalServer) else place.calls_url}

    return [
        _WebRTCSubject(
            "webrtc",
            RtcFarEnd,
            connect,
            id=name,
            key=key,
            # A path that is quiet for so long is lost: the far ends here never are.
            options={"patience": Patience(quiet=0.3, grace=0.1)},
            capturing=lambda pcm: {"audio_input": SoundTrack(pcm)},
            load_bytes=64 * 1024,
            largest_bytes=262_144,
            exact_input=False,
            exact_output=False,
            close_codes=False,
            dial_seconds=2.0,
            config_first=key.startswith("sk-"),
        )
        for name, key in (("webrtc", f"sk-{CANARY}"), ("webrtc-ephemeral", f"ek_{CANARY}"))
    ]
