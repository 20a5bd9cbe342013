"""The transports that the contract is checked on: how to make each, and how to point it at a far end.

A transport joins the suite by a row in `SUBJECTS`. What it can't do it says in its capabilities, and the checks adapt;
what lies below the contract, such as whether events are WebSocket frames, is a trait of its subject.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import httpx
from attrs import field, frozen

from jackfield.transport import ConnectRefusedError, RealtimeTransportLayer, create_transport
from jackfield_local import LocalServer
from jackfield_transports.sideband.errors import CallGoneError
from jackfield_transports.webrtc.path_watch import Patience

from .caller import Caller
from .far_connection import FarConnection, Script, ScriptedEnd, polite
from .far_end import FarEnd
from .rtc_far_end import RtcFarEnd

__all__ = ["KEY", "SOCKETS", "SUBJECTS", "Port", "Subject", "Voice"]

KEY = "canary-4f1d9c"
"""The part of every key that must turn up nowhere but in the handshake."""

Voice = Callable[[bytes], Awaitable[None]]
"""Takes what the user says next, PCM16 mono at 24,000 Hz, on whichever way that travels."""


@frozen
class Port:
    """A place that is only a port, where nobody needs to be."""

    port: int
    host: str = "127.0.0.1"
    tls: bool = False

    @property
    def url(self) -> str:
        return f"{'wss' if self.tls else 'ws'}://{self.host}:{self.port}/v1/realtime"

    @property
    def calls_url(self) -> str:
        return f"{self.endpoint}/v1/realtime/calls"

    @property
    def endpoint(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"


@frozen
class Subject:
    """One transport, with one set of options and one kind of key."""

    id: str
    transport: str
    options: Mapping[str, Any] = field(factory=dict)
    key: str = f"sk-{KEY}"

    @property
    def frames(self) -> bool:
        """Whether events are the frames of a WebSocket, with its handshake, close codes and sizes."""
        return self.transport != "webrtc"

    @property
    def joins(self) -> bool:
        """Whether it takes part in a call that somebody else has made."""
        return self.transport == "sip"

    @property
    def unknown(self) -> type[ConnectRefusedError]:
        """What it raises where the far end knows nothing of what is asked for."""
        return CallGoneError if self.joins else ConnectRefusedError

    @property
    def config_first(self) -> bool:
        """Whether the initial config is part of the handshake, so that the session itself acknowledges it."""
        return self.transport == "webrtc" and not self.key.startswith("ek_")

    @property
    def largest(self) -> int | None:
        """How many bytes an event may have; None: any number."""
        return None if self.frames else 262_144

    @property
    def load(self) -> int:
        """How many bytes are a lot at a time; a wire takes a dozen times as many before it makes its sender wait."""
        return 1024 * 1024 if self.frames else 64 * 1024

    @property
    def dial_seconds(self) -> float:
        """A time limit within which connecting gets as far as to wait for the far end's word."""
        return 0.1 if self.frames else 2.0

    @property
    def brief(self) -> Mapping[str, Any]:
        """Options with which closing doesn't wait for the far end."""
        return {"close_timeout": 0.05} if self.frames else {}

    def far_end(self, script: Script = polite, **options: Any) -> Any:
        """Make a scripted far end; `status`, `body` and `headers` refuse who comes."""
        return FarEnd(script, plays=self.joins, **options) if self.frames else RtcFarEnd(script, **options)

    def end_told(self, code: int, reason: str = "") -> tuple[int, str]:
        """Return what is told of a far end that closes with a code and a reason: a call is only hung up."""
        return (code, reason) if self.frames else (1000, "")

    def make(self, place: Any, **options: Any) -> RealtimeTransportLayer:
        """Make a transport that will connect to `place`."""
        given = {**self.options, **options}
        if self.transport == "azure":
            endpoint = getattr(place, "endpoint", None) or place.azure_endpoint
            given = {"endpoint": endpoint, "deployment": "gpt-realtime", **given}
        return create_transport(self.transport, **given)

    def where(self, place: Any, **options: Any) -> dict[str, Any]:
        """Return what `connect()` needs to be told to reach `place`."""
        given: dict[str, Any] = {"api_key": self.key, **options}
        if self.transport == "websocket":
            given.setdefault("url", f"{place.url}?model=gpt-realtime")
        elif self.joins:
            given = {"url": place.url, "call_id": "rtc_1", **given}
        elif self.transport == "webrtc":
            if isinstance(place, LocalServer):
                given["url"] = f"{place.http_url}/realtime/calls"
                if self.key.startswith("ek_"):
                    given["api_key"] = lambda: _mint(place)
            else:
                given.setdefault("url", place.calls_url)
        return given

    def elsewhere(self, place: Any) -> dict[str, Any]:
        """Return the same for a transport that was made for another place."""
        given = self.where(place)
        return {**given, "url": f"{place.url}?model=gpt-realtime"} if self.transport == "azure" else given

    @contextlib.asynccontextmanager
    async def connected(self, place: Any, **options: Any) -> AsyncIterator[RealtimeTransportLayer]:
        """Connect, yield the transport, and close it."""
        async with self.with_voice(place, **options) as (transport, _):
            yield transport

    @contextlib.asynccontextmanager
    async def with_voice(self, place: Any, **options: Any) -> AsyncIterator[tuple[RealtimeTransportLayer, Voice]]:
        """Connect, yield the transport and the user's voice, and close. Where it joins a call there is one first."""
        async with contextlib.AsyncExitStack() as stack:
            caller = None
            if self.joins and isinstance(place, LocalServer):
                caller = await stack.enter_async_context(Caller(place, self.key))
                options["call_id"] = caller.call_id
            transport = self.make(place)
            await transport.connect(**self.where(place, **options))
            stack.push_async_callback(transport.close)
            yield transport, transport.send_audio if caller is None else caller.say

    @contextlib.asynccontextmanager
    async def pair(
        self, far_end: ScriptedEnd[Any], **options: Any
    ) -> AsyncIterator[tuple[RealtimeTransportLayer, FarConnection]]:
        """Connect to a far end, and yield both ends of the connection."""
        number = len(far_end.connections)
        async with self.connected(far_end, **options) as transport:
            yield transport, await far_end.connection(number)


async def _mint(server: LocalServer) -> str:
    """Ask the server for an ephemeral key."""
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(
            f"{server.http_url}/realtime/client_secrets",
            headers={"Authorization": f"Bearer sk-{KEY}"},
            json={"session": {"type": "realtime", "model": "gpt-realtime"}},
        )
    value: str = answer.json()["value"]
    return value


_PATIENCE = Patience(quiet=0.3, grace=0.1)
"""A path that is quiet for so long is lost: the far ends here never are."""

SUBJECTS = (
    Subject("websocket", "websocket"),
    Subject("websocket-picows", "websocket", {"wire": "picows"}),
    Subject("azure", "azure"),
    Subject("webrtc", "webrtc", {"patience": _PATIENCE}),
    Subject("webrtc-ephemeral", "webrtc", {"patience": _PATIENCE}, key=f"ek_{KEY}"),
    Subject("sip", "sip", {"attach_seconds": 0.05, "rejoin_seconds": 0}),  # whose dialling again has tests of its own
)

SOCKETS = tuple(subject for subject in SUBJECTS if subject.frames)
"""Those whose events are the frames of a WebSocket."""
