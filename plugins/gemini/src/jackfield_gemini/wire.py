"""The wire: a session's sockets, one after another. It dials the next one where a session outlives the last.

The first frame on a socket is the setup, and nothing else may follow before it is acknowledged: whoever sends waits.
On another socket the setup is the one that takes the session up, and the wire sends it by itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

from jackfield.transport import (
    ConnectOptions,
    ConnectRefusedError,
    ConnectTimeoutError,
    ProtocolError,
    RemoteClosedError,
    TransportError,
)
from jackfield.wire import decode_json
from jackfield.wire.address import Address

from .address import Place, address_of
from .socket import Socket, SocketOptions, dial

__all__ = ["GeminiConnection", "GeminiWire", "Resumption"]

logger = logging.getLogger("jackfield.gemini")

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 2.0
_STEADY_SECONDS: Final = 5.0
"""A socket that was lost sooner than this after it was dialled gets no new time for dialling another."""


class Resumption(Protocol):
    """What a connection has to know of its session: the dialect."""

    @property
    def leaves(self) -> bool:
        """Whether now is the time to dial anew, before the far end closes."""

    def parted(self) -> None:
        """Note that the socket is lost, and another one is dialled."""

    def reopening(self, code: int | None) -> bytes | None:
        """Return the frame that takes the session up after a close with `code`; None where it can't be."""


class GeminiWire:
    """`jackfield.wire.Wire` to Gemini Live. `check` raises for options that can't be, before anything is dialled."""

    def __init__(
        self,
        place: Place,
        options: SocketOptions,
        *,
        rejoin_seconds: float,
        check: Callable[[ConnectOptions], object],
    ) -> None:
        self._place = place
        self._options = options
        self._rejoin_seconds = rejoin_seconds
        self._check = check

    async def open(self, options: ConnectOptions) -> GeminiConnection:
        """Ask for the key, and dial."""
        self._check(options)

        async def dial_anew() -> tuple[Address, Socket]:
            address = await address_of(options, self._place)
            return address, await dial(address, self._options)

        address, socket = await dial_anew()
        return GeminiConnection(address, socket, dial_anew, self._rejoin_seconds)


class GeminiConnection:
    """A session's socket, and the next one."""

    def __init__(self, address: Address, socket: Socket, dial_anew: Callable[[], Any], rejoin_seconds: float) -> None:
        self.secrets: tuple[str, ...] = address.secrets
        """Those of every socket so far: a far end may repeat an old key, too."""
        self._socket = socket
        self._dial_anew = dial_anew
        self._rejoin_seconds = rejoin_seconds
        self._resumption: Resumption | None = None
        self._notice: Callable[[RemoteClosedError | None], None] = lambda _: None
        self._set_up = False
        """Whether the first setup was sent; the others are sent by `receive`."""
        self._accepted = asyncio.Event()
        """Set while the session is open on the socket."""
        self._ended: RemoteClosedError | None = None
        """Why nothing will be sent any more: whoever waits is told."""
        self._unread: deque[bytes] = deque()
        self._dialled_at = _now()
        self._give_up = 0.0

    def resume_with(self, resumption: Resumption) -> None:
        """Have the session taken up on another socket, in its words."""
        self._resumption = resumption

    def watch(self, notice: Callable[[RemoteClosedError | None], None]) -> None:
        """See `jackfield.wire.RejoiningConnection`."""
        self._notice = notice

    async def send(self, frame: bytes) -> None:
        """Send a frame: the setup at once, and others while the session is open."""
        if not self._set_up:
            self._set_up = True
            await self._socket.send(frame)
            return
        while True:
            await self._accepted.wait()
            if self._ended is not None:
                raise self._ended
            socket = self._socket
            try:
                await socket.send(frame)
                return
            except RemoteClosedError as closed:
                if self._reopening(closed.code) is None:
                    raise
                if self._socket is socket:
                    self._accepted.clear()  # the reader meets the same end, and dials

    async def receive(self) -> bytes | str:
        """Return the next frame, of whichever socket."""
        try:
            return await self._receive()
        except RemoteClosedError as closed:
            self._end(closed)
            raise

    async def _receive(self) -> bytes:
        while True:
            if self._unread:
                return self._unread.popleft()
            if self._accepted.is_set() and self._resumption is not None and self._resumption.leaves:
                told = "the far end goes away, and the session is taken up elsewhere"
                leaving = RemoteClosedError(told, code=1001, reason="goAway", clean=True)
                if self._reopening(leaving.code) is not None:
                    await self._rejoin(leaving)
                    continue
            try:
                frame = await self._socket.receive()
            except RemoteClosedError as closed:
                await self._rejoin(closed)
                continue
            if not self._accepted.is_set() and _accepts(frame):
                self._accepted.set()
            return frame

    async def close(self) -> None:
        """Close the socket."""
        self._end(RemoteClosedError("the connection was closed here", code=1000, reason="", clean=True))
        await self._socket.close()

    def _end(self, closed: RemoteClosedError) -> None:
        self._ended = self._ended or closed
        self._accepted.set()

    def _reopening(self, code: int | None) -> bytes | None:
        if not self._rejoin_seconds or self._resumption is None:
            return None
        return self._resumption.reopening(code)

    async def _rejoin(self, closed: RemoteClosedError) -> None:
        """Dial until the session is open on another socket; raise how it ended where it can't be."""
        reopening = self._reopening(closed.code)
        if reopening is None:
            raise closed
        self._accepted.clear()
        if self._give_up == 0.0 or _now() - self._dialled_at > _STEADY_SECONDS:
            self._give_up = _now() + self._rejoin_seconds
        logger.warning("a session's socket was lost or is left (code %s): another one is dialled", closed.code)
        if self._resumption is not None:
            self._resumption.parted()
        self._notice(closed)
        await self._socket.close()
        failure: TransportError | None = None
        for pause in _pauses():
            try:
                async with asyncio.timeout_at(self._give_up):
                    await self._reopen(reopening)
                break
            except TimeoutError:
                raise closed from failure
            except TransportError as error:
                failure = error
                if not _may_help(error) or _now() + pause > self._give_up:
                    raise closed from failure
            await asyncio.sleep(pause)
        self._dialled_at = _now()
        logger.warning("a session was taken up again: what happened in between is not known")
        self._notice(None)
        self._accepted.set()

    async def _reopen(self, reopening: bytes) -> None:
        """Dial, and have the setup acknowledged. What comes before that is read later."""
        address, socket = await self._dial_anew()
        self.secrets = tuple(dict.fromkeys((*self.secrets, *address.secrets)))
        unread: list[bytes] = []
        try:
            await socket.send(reopening)
            while not unread or not _accepts(unread[-1]):
                unread.append(await socket.receive())
        except BaseException:
            await socket.close()
            raise
        self._socket = socket
        self._unread.extend(unread)


def _accepts(frame: bytes | str) -> bool:
    """Return whether a frame acknowledges the setup."""
    if b'"setupComplete"' not in (frame.encode() if isinstance(frame, str) else frame):
        return False
    try:
        return "setupComplete" in decode_json(frame)
    except ProtocolError:
        return False


def _may_help(error: TransportError) -> bool:
    """Return whether dialling again may get through."""
    if isinstance(error, RemoteClosedError):
        return error.code not in (1007, 1008)
    return isinstance(error, ConnectRefusedError | ConnectTimeoutError) and error.classification == "reconnect"


def _pauses() -> Iterator[float]:
    pause = _FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def _now() -> float:
    return asyncio.get_running_loop().time()
