"""The seam below the dialect: what a wire does. `Wire` and `WireConnection` are the whole of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from jackfield.audio.formats import AudioFormat
from jackfield.errors import RemoteClosedError
from jackfield.transport.options import ConnectOptions

__all__ = [
    "ConfiguredConnection",
    "DirectConnection",
    "MediaConnection",
    "RejoiningConnection",
    "Wire",
    "WireConnection",
]


class WireConnection(Protocol):
    """One open connection that carries the frames of a dialect both ways."""

    @property
    def secrets(self) -> Sequence[str]:
        """The credentials that were used: they are cut out of whatever the far end says."""

    async def send(self, frame: bytes) -> None:
        """Send one message, UTF-8 JSON as a rule; return when it was accepted, so that a slow wire slows its sender.

        Raises `RemoteClosedError` where the connection is gone.
        """

    async def receive(self) -> bytes | str:
        """Return the next frame. Raises `RemoteClosedError`, with code and reason, when the far end has closed."""

    async def close(self) -> None:
        """Close in bounded time, whatever the far end does. Calling it again does nothing."""


@runtime_checkable
class DirectConnection(WireConnection, Protocol):
    """A connection that reads and writes without waiting for a turn of the event loop, where it can."""

    def deliver(self, take: Callable[[bytes | str], bool]) -> None:
        """Offer each frame to `take` from now on, in order.

        What it returns False for, and what comes while anything is left to `receive`, is returned by that; so is the
        end.
        """

    def send_now(self, frame: bytes) -> bool:
        """Write a frame at once; return False, and write nothing, where that would have to wait or can't be done."""


@runtime_checkable
class ConfiguredConnection(WireConnection, Protocol):
    """A connection that may have taken the session's configuration along when it was dialled."""

    @property
    def configured(self) -> bool:
        """Whether the far end was given the initial session config, so that it isn't sent again."""


@runtime_checkable
class RejoiningConnection(WireConnection, Protocol):
    """A connection to a session that outlives its sockets: where one is lost, `receive` dials another.

    `send` waits meanwhile, so that nothing is refused or out of order. What the far end said in between is lost, and
    so may be what was sent last.
    """

    def watch(self, notice: Callable[[RemoteClosedError | None], None]) -> None:
        """Call `notice` with what ended a socket when another is dialled, and with None once there is one."""


@runtime_checkable
class MediaConnection(WireConnection, Protocol):
    """A connection that carries audio beside the events, on a path of its own such as RTP.

    The far end then plays the model's audio out in real time, and holds the queue of what is not yet heard.
    """

    def check(self, size: int) -> None:
        """Raise `TransportError` for an event of so many bytes, where that is more than the path carries."""

    async def send_audio(self, chunk: bytes, format: AudioFormat, *, flush: bool = False) -> None:  # noqa: A002
        """Send audio; return when it is close enough to its turn, so that the path's time slows the sender.

        With `flush`, return once it is on its way, before another sender's has its turn. Raises `RemoteClosedError`
        where the connection is gone.
        """

    async def flush_audio(self) -> None:
        """Return once all audio that was sent is on its way."""

    def clear_audio(self) -> None:
        """Drop the audio that is not yet on its way."""

    def mute(self, muted: bool) -> None:
        """Send silence instead of audio, or audio again. Time goes on as before."""

    def hear(self, take: Callable[[bytes, bool], None]) -> None:
        """Give `take` what is heard from now on: PCM16 mono at 24,000 Hz, and whether it is only silence."""


class Wire(Protocol):
    """How a transport reaches the far end. It keeps no state of a connection: each `open` dials anew."""

    async def open(self, options: ConnectOptions) -> WireConnection:
        """Dial and return the connection.

        Raises `AuthenticationError`, `ConnectRefusedError` and the like; it is cancelled when time is up.
        """
