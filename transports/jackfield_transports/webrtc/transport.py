"""The `webrtc` transport: the OpenAI Realtime API over WebRTC, events on a data channel and audio over RTP."""

from __future__ import annotations

import ssl as ssl_module
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from aiortc import MediaStreamTrack, RTCIceServer, RTCPeerConnection
from aiortc.rtcicetransport import parse_stun_turn_uri

from jackfield.audio import PCM16, dtmf_tones
from jackfield.openai import OpenAIRealtimeTransport, Watchdog
from jackfield.transport import ConfigurationError, NotConnectedError

from .audio_input import AudioInput, track_of
from .calls import OfferForm
from .connection import CallConnection
from .media import MediaCounts, MediaPath
from .path_watch import Patience
from .plugin import CAPABILITIES
from .remote_track import RemoteTrack
from .wire import CallSettings, StepLimits, WebRTCWire

__all__ = ["IceServer", "WebRTCTransport"]

IceServer: TypeAlias = RTCIceServer | str | Mapping[str, Any]
"""A STUN or TURN server: aiortc's record, a URL, or a mapping as browsers take it: urls, username, credential."""


class WebRTCTransport(OpenAIRealtimeTransport):
    """OpenAI Realtime over WebRTC, by aiortc.

    Audio goes out over Opus, paced in real time: `send_audio` takes what every transport takes, and waits where it is
    more than 200 ms ahead. `audio_input` is a `MediaStreamTrack`, or a `MediaPlayer`, to take it from instead; it
    stays yours and is never stopped here. What the model says comes as `audio` events (PCM16 mono, 24,000 Hz), and as
    the track `remote_track`.

    `ice_servers` are STUN and TURN servers; none unless given. `configure_peer_connection` is called, and awaited
    where it is a coroutine function, with the `RTCPeerConnection` before the offer is made. `offer_form` says how the
    offer is posted: "multipart", with the session; "sdp", alone; "auto": alone where the key is an ephemeral one,
    which brings its session along. `limits` bounds each step of connecting, `patience` how long the path may be down.
    `bit_rate` is that of the user's voice, in bits a second. `proxy` is for the HTTP request: True, as the environment
    says; a URL; None, none. `ssl` says how the provider is verified; None: by the system's trust store.
    """

    def __init__(
        self,
        *,
        ice_servers: Sequence[IceServer] = (),
        audio_input: AudioInput | None = None,
        configure_peer_connection: Callable[[RTCPeerConnection], object] | None = None,
        offer_form: OfferForm = "auto",
        limits: StepLimits | None = None,
        patience: Patience | None = None,
        bit_rate: int = 48_000,
        proxy: str | Literal[True] | None = True,
        ssl: ssl_module.SSLContext | None = None,
        watchdog: Watchdog | None = None,
    ) -> None:
        if offer_form not in {"auto", "sdp", "multipart"}:
            raise ConfigurationError(f'offer_form={offer_form!r} is not a form: give "auto", "sdp" or "multipart"')
        if not 6_000 <= bit_rate <= 510_000:
            raise ConfigurationError(
                f"bit_rate={bit_rate!r} is none that Opus has: give 6,000 to 510,000 bits a second"
            )
        if audio_input is not None:
            track_of(audio_input)
        settings = CallSettings(
            ice_servers=[_ice_server(server) for server in ice_servers],
            audio_input=audio_input,
            configure_peer_connection=configure_peer_connection,
            offer_form=offer_form,
            limits=limits or StepLimits(),
            patience=patience or Patience(),
            bit_rate=bit_rate,
            proxy=proxy,
            ssl=ssl,
        )
        self._remote_track: RemoteTrack | None = None
        super().__init__(
            WebRTCWire(settings, self._live_track),
            name="webrtc",
            capabilities=CAPABILITIES,
            watchdog=watchdog,
            negotiated_formats=True,
        )

    @property
    def remote_track(self) -> MediaStreamTrack:
        """What the model says, as a track: PCM16 mono at 24,000 Hz, silence included, until the connection ends.

        It can be had before `connect()`; once it has ended, this is the one of the next connection.
        """
        return self._live_track()

    @property
    def peer_connection(self) -> RTCPeerConnection | None:
        """The live peer connection; None where there is none."""
        call = self._call()
        return None if call is None else call.peer.connection

    @property
    def call_id(self) -> str | None:
        """The provider's id of the live call, by which a server can join it; None where it told none."""
        call = self._call()
        return None if call is None else call.call_id

    @property
    def media_path(self) -> MediaPath | None:
        """Which way received audio takes, `own` or aiortc's `stock`, and why; None while there is no connection."""
        call = self._call()
        return None if call is None else call.peer.media_path

    @property
    def media_counts(self) -> MediaCounts:
        """What became of the packets that were received on the live connection."""
        call = self._call()
        return MediaCounts() if call is None else call.peer.counts

    @property
    def path_down(self) -> bool:
        """Whether nothing at all arrives at the moment. The connection ends when that lasts longer than `patience`."""
        call = self._call()
        return call is not None and call.path_down

    async def send_dtmf(self, digits: str) -> None:
        """Press keys: their tones are sent in the user's audio, 100 ms each (ITU-T Q.23).

        Raises `ConfigurationError` for what is on no keypad.
        """
        tones = dtmf_tones(digits)
        media = self.media
        if media is None:
            raise NotConnectedError(f"the webrtc transport is {self.status}: call connect() before you send")
        await media.send_audio(tones, PCM16)

    def _live_track(self) -> RemoteTrack:
        if self._remote_track is None or self._remote_track.readyState != "live":
            self._remote_track = RemoteTrack()
        return self._remote_track

    def _call(self) -> CallConnection | None:
        media = self.media
        return media if isinstance(media, CallConnection) else None


def _ice_server(given: IceServer) -> RTCIceServer:
    server = _server_record(given)
    for url in [server.urls] if isinstance(server.urls, str) else server.urls:
        try:
            parse_stun_turn_uri(url)
        except ValueError as error:
            raise ConfigurationError(
                f"the ICE server {url!r} has no address that can be used ({error}): give stun:host:port, "
                "turn:host:port?transport=udp or the like"
            ) from error
    return server


def _server_record(given: IceServer) -> RTCIceServer:
    if isinstance(given, RTCIceServer):
        return given
    if isinstance(given, str):
        return RTCIceServer(urls=given)
    try:
        return RTCIceServer(**given)
    except TypeError as error:
        known = ", ".join(repr(name) for name in given)
        raise ConfigurationError(
            f"an ICE server has urls, and perhaps username, credential and credentialType; this one has {known}"
        ) from error
