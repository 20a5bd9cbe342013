"""What a kind of calls is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from aiortc import RTCPeerConnection

    from .talk import Ear, Mouth


class Call(Protocol):
    """One end of a call. It says what its mouth has, 20 ms every 20 ms, and gives what it hears to its ear."""

    @property
    def connection(self) -> RTCPeerConnection:
        """What the audio goes over."""
        ...

    async def close(self) -> None:
        """End it."""
        ...


class Kind(Protocol):
    """A module: both ends of a kind of calls. What it measures is imported when it is used."""

    TITLE: str
    SAID_HZ: int
    """Samples a second of what its mouths say."""
    HEARD_HZ: int
    """Samples a second, of all channels together, of what its ears hear."""

    def missing(self) -> str | None:
        """Why it can't be measured here, or None if it can."""
        ...

    async def dial(self, url: str, mouth: Mouth, ear: Ear) -> Call:
        """Make a call: post the offer to `url`, and return once audio and events can go both ways."""
        ...

    async def answer(self, offer: str, mouth: Mouth, ear: Ear) -> tuple[str, Call]:
        """Take a call: return the answer to the offer, and the call."""
        ...
