"""One connection of a transport: a generation that owns its dialect, its outbox, its tasks and its timer.

Nothing of it outlives it: `shutdown` ends the tasks, fails who waits, and closes the wire, in bounded time.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import frozen

from jackfield.errors import (
    ConfigurationError,
    JackfieldError,
    NotConnectedError,
    ProtocolError,
    RemoteClosedError,
    TransportError,
    redact,
)
from jackfield.task_scope import TaskScope
from jackfield.transport.emitter import Emitter
from jackfield.transport.events import Error, TransportEvent

from .dialect import Dialect, MediaDialect, RejoiningDialect
from .outbox import Outbox
from .wires import DirectConnection, MediaConnection, RejoiningConnection, WireConnection

__all__ = ["Connection", "Media", "close_wire"]

logger = logging.getLogger("jackfield.wire")

CLOSE_SECONDS = 2.0
"""How long closing the wire may take before it is left to itself. Wires have bounds of their own, which are shorter."""

_ENVELOPE = 512
"""Bytes of a message besides what the application put into it."""
_FRAMES_IN_A_ROW = 32
"""How many frames are taken before others on the loop have their turn."""
_ROW_SECONDS = 0.005
"""How far apart frames are that don't come in a row. Asking the loop itself when it turns would cost more."""


@frozen
class Media:
    """A path that carries audio beside the messages, and the dialect that says whose it is."""

    path: MediaConnection
    dialect: MediaDialect


class Connection:
    """What joins a wire, the dialect and the listeners while they are connected."""

    def __init__(
        self,
        wire: WireConnection,
        dialect: Dialect,
        emitter: Emitter,
        on_end: Callable[[RemoteClosedError], None],
        on_gap: Callable[[RemoteClosedError | None], None],
        *,
        awaits_ready: bool,
    ) -> None:
        self.dialect = dialect
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Resolved when the far end acknowledged the session; failed when it won't, or went away before."""
        self.ended_by: RemoteClosedError | None = None
        """How the far end closed, once it has."""
        self.rejoining = False
        """Whether the transport was told that the wire dials again, to a session that goes on meanwhile."""
        self._loop = asyncio.get_running_loop()
        self._wire = wire
        self.media: Media | None = None
        """The path that audio takes, where that is one of its own."""
        if isinstance(wire, MediaConnection):
            if not isinstance(dialect, MediaDialect):
                raise _unable(dialect, "carries audio beside its frames", "MediaDialect")
            self.media = Media(wire, dialect)
        self._rejoins: tuple[RejoiningConnection, RejoiningDialect] | None = None
        if isinstance(wire, RejoiningConnection):
            if not isinstance(dialect, RejoiningDialect):
                raise _unable(dialect, "dials again under a session", "RejoiningDialect")
            self._rejoins = (wire, dialect)
        # Looked up once: these are called for every frame.
        self._encode, self._decode = dialect.encode, dialect.decode
        self._emitter = emitter
        self._on_end = on_end
        self._on_gap = on_gap
        self._awaits_ready = awaits_ready
        self._scope = TaskScope()
        self._outbox = Outbox(wire, self._scope.spawn, self._report)
        self._timer: asyncio.TimerHandle | None = None
        self._armed: float | None = None
        self._ended = False
        self._row = 0
        """How many frames were taken where they were read, one soon after the other."""
        self._row_began = 0.0

    def start(self) -> None:
        """Begin to read, and to listen."""
        if self.media is not None:
            self.media.path.hear(self._hear)
        if self._rejoins is not None:
            self._rejoins[0].watch(self._gap)
        self._scope.spawn(self._read(), name="jackfield reader")

    def check(self, bulk: Mapping[str, Any]) -> None:
        """Raise `ConfigurationError` for what can't be encoded, `TransportError` for what the path can't carry.

        `bulk` is most of a message that is made later: room is left for the rest.
        """
        frame = self._encode(bulk)
        if self.media is not None:
            self.media.path.check(len(frame) + _ENVELOPE)

    async def send(self, messages: Sequence[Mapping[str, Any]], first: Sequence[bytes] = ()) -> None:
        """Write messages, together and in order; `first` are frames that go before them."""
        if not messages and not first:
            return
        frames = [*first, *map(self._encode, messages)]
        if self.media is not None:
            for frame in frames:
                self.media.path.check(len(frame))
        self._arm()
        await self._write(frames)

    async def send_audio(self, chunk: bytes) -> None:
        """Write audio that travels with the messages."""
        frames = self.dialect.audio(chunk)
        if frames:
            await self._write(frames, alone=True)

    async def _write(self, frames: Sequence[bytes], *, alone: bool = False) -> None:
        self._tell_out(frames)
        await self._outbox.write(frames, alone=alone)

    def tell(self, events: Iterable[TransportEvent]) -> None:
        """Hand events to the listeners."""
        for event in events:
            self._emitter.emit(event)

    async def shutdown(self, error: TransportError | None = None) -> None:
        """End it all: timer, tasks, waiting senders, wire. Idempotent and bounded."""
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._outbox.close(error or NotConnectedError("the transport was closed: call connect() before you send"))
        if not self.ready.done():
            self.ready.cancel()
        elif not self.ready.cancelled():
            self.ready.exception()  # whoever awaited it has it; nobody else is to be warned of it
        await self._scope.aclose(CLOSE_SECONDS)
        await close_wire(self._wire)

    async def _read(self) -> None:
        if isinstance(self._wire, DirectConnection):
            self._wire.deliver(self._take_pushed)
        for taken in itertools.count(1):
            try:
                frame = await self._wire.receive()
            except RemoteClosedError as closed:
                self._end(closed)
                return
            except Exception as error:  # noqa: BLE001 - a wire of the application's may raise anything
                told = redact(repr(error), *self._wire.secrets)
                failed = RemoteClosedError(f"the wire failed: {told}", code=1006, reason=told)
                failed.__cause__ = error
                self._end(failed)
                return
            self._take(frame)
            if taken % _FRAMES_IN_A_ROW == 0:
                # A wire that has read a burst doesn't wait between its frames; others on the loop have their turn too.
                await asyncio.sleep(0)

    def _take_pushed(self, frame: bytes | str) -> bool:
        """Take a frame where it was read, unless too many came in a row: others on the loop have their turn too."""
        now = self._loop.time()
        if now - self._row_began > _ROW_SECONDS:
            self._row_began, self._row = now, 0
        if self._row >= _FRAMES_IN_A_ROW:
            return False
        self._row += 1
        if not self._ended:
            self._take(frame)
        return True

    def _take(self, frame: bytes | str) -> None:
        """The hot path: one frame in, its raw view, its events, the reactions, in this order.

        What is written in reaction goes out before anybody is told, so that no listener delays a truncation; that it
        was written is told last. The frame is decoded once. The dialect keeps nothing of the message, so the first
        listener of `*` may have it for its own; the others get a decode of theirs.
        """
        try:
            message = self._decode(frame)
        except ProtocolError as error:
            self._emitter.emit(Error(error))
            return
        events: Iterable[TransportEvent]
        try:
            events = self.dialect.receive(message)
        except Exception as error:
            # Such as a playback tracker of the application's that fails: it costs this frame, and not the connection.
            logger.exception("a message could not be taken")
            kind = message.get("type") or ", ".join(message) or "nothing"
            fault = ProtocolError(f"{kind!r} could not be taken ({type(error).__name__}); it was ignored")
            events = (Error(fault),)
        reactions = self._write_reactions()
        emitter = self._emitter
        if emitter.listens("*"):
            emitter.emit_raw("*", lambda: self._decode(frame), message)
        for event in events:
            if self._ended:
                return  # a listener closed the transport: the rest of this frame is nobody's
            emitter.emit(event)
        self._tell_out(reactions)
        self._arm()
        if not self.ready.done():
            self._settle_ready()

    def _hear(self, pcm: bytes, silent: bool) -> None:
        """Take audio that came beside the events."""
        if self.media is not None and not self._ended:
            self.tell(self.media.dialect.heard(pcm, silent=silent))
            self._arm()

    def _gap(self, lost: RemoteClosedError | None) -> None:
        """The wire dials again, or has got through: what was told in between nobody heard."""
        if self._ended or self._rejoins is None:
            return
        if lost is None:
            self._rejoins[1].rejoined(self._wire.secrets)
            reactions = self._write_reactions()
            self._on_gap(None)
            self._tell_out(reactions)
            self._arm()
        else:
            lost.reason = redact(lost.reason, *self._wire.secrets)
            self._on_gap(lost)

    def _settle_ready(self) -> None:
        refusal = self.dialect.refusal
        if refusal is not None:
            self.ready.set_exception(refusal)
            if not self._awaits_ready:  # connect() has returned and can't raise it
                self._emitter.emit(Error(refusal))
        elif self.dialect.acknowledged:
            self.ready.set_result(None)

    def _end(self, closed: RemoteClosedError) -> None:
        closed.reason = redact(closed.reason, *self._wire.secrets)
        self.ended_by = closed
        if not self.ready.done():
            self.ready.set_exception(self.dialect.closed(closed.code, closed.reason) or closed)
        if not self._ended:
            self._on_end(closed)

    def _write_reactions(self) -> Sequence[bytes]:
        """Write what the dialect has to say to what it was told, or to the time that passed; return that."""
        reactions = self.dialect.data_to_send()
        if not reactions or self._ended:
            return ()
        frames = [self._encode(message) for message in reactions]
        self._outbox.post(frames)
        return frames

    def _tell_out(self, frames: Sequence[bytes]) -> None:
        if frames and self._emitter.listens("*out"):
            for frame in frames:
                self._emitter.emit_raw("*out", lambda frame=frame: self._decode(frame))  # type: ignore[misc]

    def _report(self, error: Exception) -> None:
        """A posted frame failed. The reader learns of a lost connection by itself."""
        if not isinstance(error, RemoteClosedError):
            told = error if isinstance(error, JackfieldError) else TransportError(f"sending failed: {error!r}")
            self._emitter.emit(Error(told))

    def _arm(self) -> None:
        """Keep one timer at the dialect's deadline."""
        deadline = self.dialect.deadline
        if deadline == self._armed:
            return
        self._armed = deadline
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if deadline is not None and not self._ended:
            self._timer = self._loop.call_at(deadline, self._expire)

    def _expire(self) -> None:
        self._timer, self._armed = None, None
        told = self.dialect.expire()
        reactions = self._write_reactions()
        self.tell(told)
        self._tell_out(reactions)
        self._arm()


def _unable(dialect: Dialect, what: str, kind: str) -> ConfigurationError:
    return ConfigurationError(f"the wire {what}, and {type(dialect).__name__} is no {kind}: it can't speak over it")


async def close_wire(wire: WireConnection) -> None:
    """Close `wire` in bounded time, whatever becomes of it."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await wire.close()
    except TimeoutError:
        logger.debug("closing took longer than %s s and was left to itself", CLOSE_SECONDS)
    except Exception as error:  # noqa: BLE001 - the connection is over; how its wire ends changes nothing
        logger.debug("closing failed: %r", error)
