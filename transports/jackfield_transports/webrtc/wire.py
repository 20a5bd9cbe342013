"""Opens a call, step by step, each with its own time limit and its own way of saying what went wrong."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import ipaddress
import ssl as ssl_module
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Literal
from urllib.parse import urlsplit

from aiortc import RTCIceServer, RTCPeerConnection
from attrs import frozen

from jackfield.transport import ConnectOptions, ConnectRefusedError, ConnectTimeoutError
from jackfield.wire import WireConnection
from jackfield.wire.address import Address

from .audio_input import AudioInput
from .calls import Call, OfferForm, calls_address, offer_form, post_offer
from .connection import CallConnection
from .media import SdpError, max_message_size
from .path_watch import Patience
from .remote_track import RemoteTrack

__all__ = ["CallSettings", "StepLimits", "WebRTCWire"]

_OVERALL = 0.98
"""Of what is left of the whole time limit, a step gets so much at most: then it can say itself what took too long."""


@frozen(kw_only=True)
class StepLimits:
    """How long each step of connecting may take. Seconds."""

    offer: float = 6.0
    """Gathering ICE candidates; a STUN server that doesn't answer takes 5 s."""
    post: float = 10.0
    """The HTTP request with the offer."""
    ice: float = 10.0
    """Finding a network path to the far end."""
    dtls: float = 5.0
    """Agreeing on keys."""
    channel: float = 5.0
    """Opening the data channel."""


@frozen(kw_only=True)
class CallSettings:
    """How calls are made; see `WebRTCTransport`."""

    ice_servers: Sequence[RTCIceServer]
    audio_input: AudioInput | None
    configure_peer_connection: Callable[[RTCPeerConnection], object] | None
    offer_form: OfferForm
    limits: StepLimits
    patience: Patience
    bit_rate: int
    proxy: str | Literal[True] | None
    ssl: ssl_module.SSLContext | None


class WebRTCWire:
    """`jackfield.wire.Wire` over WebRTC. `remote_track` is asked for the track that what is heard goes to."""

    def __init__(self, settings: CallSettings, remote_track: Callable[[], RemoteTrack]) -> None:
        self._settings = settings
        self._remote_track = remote_track

    async def open(self, options: ConnectOptions) -> WireConnection:
        """Ask for the address, with its key, and make the call."""
        steps = _Steps(asyncio.get_running_loop().time() + options.timeout)
        address = await calls_address(options)
        settings = self._settings
        connection = CallConnection(
            ice_servers=settings.ice_servers,
            loopback=_is_loopback(address.url),
            bit_rate=settings.bit_rate,
            audio_input=settings.audio_input,
            patience=settings.patience,
            track=self._remote_track(),
        )
        try:
            await _Opening(connection, settings, steps).run(address, options)
        except BaseException:
            await connection.close()
            raise
        return connection


class _Opening:
    """The steps from a peer connection to a call."""

    def __init__(self, connection: CallConnection, settings: CallSettings, steps: _Steps) -> None:
        self._connection = connection
        self._peer = connection.peer
        self._settings = settings
        self._steps = steps

    async def run(self, address: Address, options: ConnectOptions) -> None:
        settings, limits, peer, step = self._settings, self._settings.limits, self._peer, self._steps.step
        port = self._connection.port
        if settings.configure_peer_connection is not None:
            configured = settings.configure_peer_connection(peer.connection)
            if inspect.isawaitable(configured):
                await configured
        async with step(limits.offer, "making the offer", "A STUN or TURN server doesn't answer: check ice_servers."):
            offer = await peer.offer()
        form = offer_form(settings.offer_form, address)
        async with step(limits.post, f"posting the offer to {address.place}", "Check the url and the network."):
            call = await post_offer(address, offer, options, form=form, proxy=settings.proxy, ssl=settings.ssl)
        await self._accept(call, address)
        port.max_message_size = max_message_size(call.answer)
        async with step(limits.ice, "looking for a network path (ICE)", self._why_no_path):
            await self._until(lambda: peer.connection.iceConnectionState in {"connected", "completed"})
        async with step(limits.dtls, "agreeing on keys (DTLS)", "The far end stopped answering."):
            await self._until(lambda: peer.state == "connected")
        async with step(limits.channel, "opening the data channel (SCTP)", "The far end didn't take up ours."):
            await self._until(lambda: port.opened.done() and not port.opened.cancelled())
        self._connection.made(call.call_id, configured=form == "multipart", secrets=address.secrets)

    async def _accept(self, call: Call, address: Address) -> None:
        try:
            await self._peer.accept(call.answer)
        except SdpError as error:
            failure = ConnectRefusedError(f"{address.place} answered the offer with what can't be used: {error}")
            failure.classification = "fatal"
            raise failure from error

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            ice = self._peer.connection.iceConnectionState
            if ice == "failed":
                raise ConnectRefusedError(self._why_no_path())
            if self._peer.state in {"failed", "closed"} or self._connection.port.closed:
                raise ConnectRefusedError(f"the far end ended the call while it was being made (ICE {ice})")
            self._connection.changed.clear()
            await self._connection.changed.wait()

    def _why_no_path(self) -> str:
        gathered = set(self._peer.gathered)
        if not gathered:
            return "ICE has no address to connect from: this machine has no network interface but loopback."
        servers = [url for server in self._settings.ice_servers for url in _urls(server)]
        if any(url.startswith("turn") for url in servers):
            if "relay" not in gathered:
                return "ICE found no path: the TURN server gave no relay address; check its address and credentials."
            return "ICE found no path, not even by the TURN server: is UDP, or the far end, reachable at all?"
        return (
            "ICE found no path: no TURN server was given (ice_servers=). Where UDP is blocked, use the websocket "
            "transport."
        )


class _Steps:
    """The time that connecting takes, as a whole and step by step."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline

    @contextlib.asynccontextmanager
    async def step(self, limit: float, doing: str, advice: str | Callable[[], str]) -> AsyncIterator[None]:
        left = self._deadline - asyncio.get_running_loop().time()
        seconds = min(limit, max(0.0, left) * _OVERALL)
        limited = asyncio.timeout(seconds)
        try:
            async with limited:
                yield
        except TimeoutError as error:
            if not limited.expired():
                raise
            told = advice if isinstance(advice, str) else advice()
            raise ConnectTimeoutError(f"{doing} took longer than {seconds:.2g} s. {told}", stage=doing) from error


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _urls(server: RTCIceServer) -> list[str]:
    return [server.urls] if isinstance(server.urls, str) else list(server.urls)
