"""An open call as a wire connection: events over the data channel, audio over RTP, and how the call ends."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from aiortc import RTCIceServer

from jackfield.audio import AudioFormat
from jackfield.transport import ConfigurationError, RemoteClosedError

from .audio_input import AudioInput, TrackReader
from .media import AudioPeer, DataChannelPort
from .microphone import Microphone
from .path_watch import PathWatch, Patience, path_lost
from .remote_track import RemoteTrack

__all__ = ["CallConnection"]

_LABEL: Final = "oai-events"
_EARLY_FRAMES: Final = 250
"""So many frames, 5 s, are kept for a listener that comes later."""
_SILENT_PEAK: Final = 64
"""Of 32,768: -54 dBFS. What the codec makes of digital silence is quieter, and speech is louder."""
_FINISH_SECONDS: Final = 0.25
"""How long closing waits for the far end to get what was sent."""


class CallConnection:
    """`jackfield.wire.MediaConnection` over one peer connection, from the first step of making it on."""

    def __init__(
        self,
        *,
        ice_servers: Sequence[RTCIceServer],
        loopback: bool,
        bit_rate: int,
        audio_input: AudioInput | None,
        patience: Patience,
        track: RemoteTrack,
    ) -> None:
        self.changed = asyncio.Event()
        """Set at every change of a state: of ICE, the connection, the channel."""
        self.call_id: str | None = None
        """The provider's id of the call, where it told one (header `Location`)."""
        self.configured = False
        self.secrets: Sequence[str] = ()
        self._microphone = Microphone(self._hurry)
        self._reader = None if audio_input is None else TrackReader(audio_input, self._microphone)
        self._track = track
        self._begun = False
        self._ended: RemoteClosedError | None = None
        self._closing: asyncio.Task[None] | None = None
        self._listener: Callable[[bytes, bool], None] | None = None
        self._early: deque[bytes] = deque(maxlen=_EARLY_FRAMES)
        self.peer = AudioPeer(
            source=self._microphone.next_frame,
            sink=self._heard,
            ice_servers=ice_servers,
            loopback=loopback,
            bit_rate=bit_rate,
            on_state=self._state_changed,
        )
        self.peer.connection.on("iceconnectionstatechange", self.changed.set)
        self.port = DataChannelPort(self.peer.connection.createDataChannel(_LABEL))
        self.port.opened.add_done_callback(lambda _: self.changed.set())
        self._watch = PathWatch(self.peer, patience)

    def made(self, call_id: str | None, *, configured: bool, secrets: Sequence[str]) -> None:
        """The call is made, and begins."""
        self.call_id, self.configured, self.secrets = call_id, configured, secrets
        self._begun = True
        self._watch.start(self.end)
        if self._reader is not None:
            self._reader.start()

    @property
    def path_down(self) -> bool:
        """Whether nothing at all arrives at the moment."""
        return self._watch.down

    # Events

    def check(self, size: int) -> None:
        """Raise `MessageTooLargeError` for an event that the far end's data channel doesn't take."""
        self.port.check(size)

    async def send(self, frame: bytes) -> None:
        """Send an event as a text message."""
        try:
            await self.port.send(frame.decode())
        except ConnectionError as error:
            raise self._lost() from error

    def send_now(self, frame: bytes) -> bool:
        """Send an event at once, where the channel isn't congested."""
        if not self.port.writable:
            return False
        try:
            self.port.send_now(frame.decode())
        except ConnectionError:
            return False
        return True

    def deliver(self, take: Callable[[bytes | str], bool]) -> None:
        """Offer each event to `take` where it comes in."""
        self.port.deliver(take)

    async def receive(self) -> bytes | str:
        """Return the next event."""
        message = await self.port.receive()
        if message is None:
            raise self._lost()
        return message

    # Audio

    async def send_audio(self, chunk: bytes, format: AudioFormat, *, flush: bool = False) -> None:  # noqa: A002
        """Send audio in `format`. Raises `ConfigurationError` where a track was given for that."""
        if self._reader is not None:
            raise ConfigurationError("this call's audio comes from audio_input: leave that out to send audio yourself")
        try:
            await self._microphone.write(chunk, format, flush=flush)
        except ConnectionError as error:
            raise self._lost() from error

    async def flush_audio(self) -> None:
        """Return once all audio that was sent is on its way."""
        await self._microphone.flush()

    def clear_audio(self) -> None:
        """Drop the audio that is not yet on its way."""
        self._microphone.clear()

    def mute(self, muted: bool) -> None:
        """Send silence instead of audio, or audio again."""
        self._microphone.muted = muted

    def hear(self, take: Callable[[bytes, bool], None]) -> None:
        """Give `take` what is heard from now on, and what came since the path was there: a model may speak first."""
        self._listener = take
        while self._early:
            self._heard(self._early.popleft())

    def _heard(self, pcm: bytes) -> None:
        if self._listener is None:
            self._early.append(pcm)
            return
        self._track.put(pcm)
        self._listener(pcm, _silent(pcm))

    def _hurry(self) -> None:
        self.peer.outgoing.hurry()

    # The end

    def end(self, closed: RemoteClosedError) -> None:
        """The far end, or the path to it, is gone."""
        if self._ended is None:
            self._ended = closed
            self.port.close()
            self._microphone.close()

    def _state_changed(self, state: str) -> None:
        self.changed.set()
        if state == "failed":
            self.end(path_lost())
        elif state == "closed":
            self.end(_hung_up())

    async def close(self) -> None:
        """Close, in bounded time; it is done also where the caller is cancelled meanwhile."""
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close(), name="jackfield webrtc hang up")
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        if self._ended is None:
            self._ended = _hung_up()
        if self._begun and not self.port.closed:
            try:
                async with asyncio.timeout(_FINISH_SECONDS):
                    await self.port.finish()
            except TimeoutError:
                pass  # a far end that takes nothing any more
        await self._watch.stop()
        if self._reader is not None:
            await self._reader.stop()
        self.port.close()
        self._microphone.close()
        self._track.end()
        await self.peer.close()

    def _lost(self) -> RemoteClosedError:
        return self._ended or _hung_up()


def _hung_up() -> RemoteClosedError:
    return RemoteClosedError("the far end hung up", code=1000, reason="", clean=True)


def _silent(pcm: bytes) -> bool:
    samples: Any = np.frombuffer(pcm, "<i2")
    return not len(samples) or bool(samples.max() < _SILENT_PEAK and samples.min() > -_SILENT_PEAK)
