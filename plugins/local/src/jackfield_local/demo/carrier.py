"""Who carries the audio between the caller and the agent: the seam between the conversation and the way it is held.

Here is the carrier for all transports that carry audio themselves: the session's own. A phone is the other one, for
those whose audio goes past us (`phone_carrier`).
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from jackfield import RealtimePlaybackTracker, RealtimeSession, create_transport
from jackfield.audio import PCM16, AudioFormat
from jackfield.observers import installed_observers
from jackfield.session.events import RealtimeAudio, RealtimeAudioEnd
from jackfield.transport import RealtimeTransportLayer
from jackfield_local.demo.errors import DemoError
from jackfield_local.demo.place import Place
from jackfield_local.demo.script import SETTINGS, make_agents

__all__ = ["Carrier", "Ear", "TransportCarrier"]


class Ear(Protocol):
    """What is told of a conversation as it goes on. Audio is PCM16 mono at 24,000 Hz, or in the format that is told."""

    def watch(self, session: RealtimeSession) -> None:
        """Take a session that is about to connect."""
        ...

    def pick_up(self) -> None:
        """Learn that the agent answers the phone, and speaks first."""
        ...

    def announce(self, item_id: str) -> None:
        """Learn that this item will be heard."""
        ...

    def hear(self, pcm: bytes, item_id: str, content_index: int, audio_format: AudioFormat = PCM16) -> None:
        """Hear more of a content part."""
        ...

    def hear_end(self, item_id: str, content_index: int) -> None:
        """Learn that nothing more of a content part will be heard."""
        ...

    def put_through(self, target: str, who: str, text: str, said_ms: float) -> None:
        """Learn that the call was transferred, and what is said there: an item with the id `who`."""
        ...


class Carrier(Protocol):
    """Brings a session about, and carries the audio of both sides."""

    def meet(self, ear: Ear) -> AbstractAsyncContextManager[RealtimeSession]:
        """Have the session connected in the block, and `ear` told of all there is. Raises `JackfieldError`."""
        ...

    async def send(self, pcm: bytes) -> None:
        """Carry what the caller says next to the agent: PCM16 mono at 24,000 Hz."""
        ...

    async def over(self) -> None:
        """Return when the far end has ended the conversation."""
        ...


class TransportCarrier:
    """The session's own transport, made with what `place` and `options` say. `fast`: in other than real time."""

    def __init__(
        self, name: str, place: Place, options: Mapping[str, str], tracker: RealtimePlaybackTracker, *, fast: bool
    ) -> None:
        self._transport: RealtimeTransportLayer = create_transport(name, **{**place.options, **options})
        if fast and self._transport.capabilities.playback != "client":
            raise DemoError(f"the {name} transport plays in realtime at the far end: leave out --fast")
        self._connect = place.connect
        self._tracker = tracker
        self._session: RealtimeSession | None = None

    @contextlib.asynccontextmanager
    async def meet(self, ear: Ear) -> AsyncIterator[RealtimeSession]:
        """See `Carrier.meet`."""

        def hear(event: RealtimeAudio) -> None:
            ear.hear(event.audio.data, event.item_id, event.content_index, event.audio.format)

        def hear_end(event: RealtimeAudioEnd) -> None:
            ear.hear_end(event.item_id, event.content_index)

        self._session = RealtimeSession(
            make_agents(),
            transport=self._transport,
            config={"model_settings": SETTINGS},
            playback_tracker=self._tracker,
            observers=(*installed_observers(), ear.watch),
            **self._connect,
        )
        self._session.on("audio", hear)
        self._session.on("audio_end", hear_end)
        async with self._session as session:
            yield session

    async def send(self, pcm: bytes) -> None:
        """See `Carrier.send`."""
        assert self._session is not None
        await self._session.send_audio(pcm)

    async def over(self) -> None:
        """See `Carrier.over`. Reading the session's events keeps memory bounded."""
        assert self._session is not None
        async for _ in self._session:
            pass
