"""The wire to a call: it begins the call, dials its sideband until the call is live, and again where that is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, TypeAlias

from attrs import evolve

from jackfield.openai import CLOSE_CODES
from jackfield.transport import (
    ConnectOptions,
    ConnectRefusedError,
    ConnectTimeoutError,
    RemoteClosedError,
    TransportError,
)
from jackfield.wire import Wire, WireConnection

from .errors import CallGoneError

__all__ = ["Begin", "SidebandWire"]

logger = logging.getLogger("jackfield.sideband")

Begin: TypeAlias = Callable[[ConnectOptions], Awaitable[str]]
"""Creates or answers a call with the options' model and `initial_session_config`, and returns its id."""

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 1.0
_NO_STATUS: Final = 1005
_STEADY_SECONDS: Final = 5.0
"""A socket that was lost sooner than this after it was dialled gets no new time for dialling another."""


class SidebandWire:
    """`jackfield.wire.Wire` to one call. `socket` is dialled with the id that `begin` returns as `call_id`.

    A call can be joined once its media flows, and until then the far end knows nothing of it (404): so dialling goes on
    for `attach_seconds`, or until `connect()`'s time is up. A socket that is lost while the call goes on is dialled
    again for `rejoin_seconds`; a far end that then knows nothing of the call says that it is over.
    `configured` says whether `begin` hands the session's configuration over.
    """

    def __init__(
        self,
        socket: Wire,
        begin: Begin,
        *,
        configured: bool = True,
        attach_seconds: float | None = None,
        rejoin_seconds: float = 0.0,
    ) -> None:
        self._socket = socket
        self._begin = begin
        self._configured = configured
        self._attach_seconds = attach_seconds
        self._rejoin_seconds = rejoin_seconds

    async def open(self, options: ConnectOptions) -> WireConnection:
        """Begin the call and join it."""
        call_id = await self._begin(options)
        joining = evolve(options, call_id=call_id, model=None)
        limit = self._attach_seconds
        give_up = None if limit is None else _now() + limit
        for pause in _pauses():
            try:
                socket = await self._socket.open(joining)
                return _CallConnection(socket, self._socket, joining, self._rejoin_seconds, self._configured)
            except (ConnectRefusedError, ConnectTimeoutError) as error:
                if not _may_help(error, not_yet=True):
                    raise
                if give_up is not None and _now() + pause > give_up:
                    if _status(error) == 404:
                        told = f"{error} It was tried for {limit:g} s: the call is over, or never was."
                        raise CallGoneError(told, status=404) from error
                    raise
                logger.debug("the call can't be joined yet: %s", error)
            await asyncio.sleep(pause)
        raise AssertionError("there is always another pause")


class _CallConnection:
    """A call's socket, and the next one. That it closes without a code is how some far ends tell of the call's end."""

    def __init__(
        self, socket: WireConnection, wire: Wire, options: ConnectOptions, rejoin_seconds: float, configured: bool
    ) -> None:
        self.configured = configured
        self.secrets = socket.secrets
        """Those of every socket so far: a far end may repeat an old key, too."""
        self._socket = socket
        self._wire = wire
        self._options = options
        self._rejoin_seconds = rejoin_seconds
        self._notice: Callable[[RemoteClosedError | None], None] = lambda _: None
        self._there = asyncio.Event()
        self._there.set()
        self._dialled_at = _now()
        self._give_up = 0.0

    def watch(self, notice: Callable[[RemoteClosedError | None], None]) -> None:
        self._notice = notice

    async def send(self, frame: bytes) -> None:
        while True:
            await self._there.wait()
            socket = self._socket
            try:
                await socket.send(frame)
                return
            except RemoteClosedError as closed:
                if not self._is_lost(closed):
                    raise
                if self._socket is socket:
                    self._there.clear()  # the reader meets the same end, and dials

    async def receive(self) -> bytes | str:
        while True:
            try:
                return await self._socket.receive()
            except RemoteClosedError as closed:
                if closed.clean and closed.code in (1000, _NO_STATUS):
                    raise _over(closed.reason) from None
                if not self._is_lost(closed):
                    raise
                await self._rejoin(closed)

    async def close(self) -> None:
        await self._socket.close()

    def _is_lost(self, closed: RemoteClosedError) -> bool:
        """Whether it was the socket's end, and not the call's."""
        if closed.clean and closed.code in (1000, _NO_STATUS):
            return False
        known = CLOSE_CODES.get(closed.code or 1006, "reconnect") if self._rejoin_seconds else "fatal"
        return known == "reconnect"

    async def _rejoin(self, closed: RemoteClosedError) -> None:
        """Dial until there is another socket; raise how it ended where there is none."""
        self._there.clear()
        if self._give_up == 0.0 or _now() - self._dialled_at > _STEADY_SECONDS:
            self._give_up = _now() + self._rejoin_seconds
        logger.warning("a call's sideband was lost (code %s): it is dialled again", closed.code)
        self._notice(closed)
        await self._socket.close()
        failure: TransportError | None = None
        for pause in _pauses():
            if _now() + pause > self._give_up:
                raise closed from failure
            await asyncio.sleep(pause)
            try:
                async with asyncio.timeout_at(self._give_up):
                    self._socket = await self._wire.open(self._options)
                break
            except TransportError as error:
                if _status(error) == 404:
                    raise _over("the call is over") from None
                failure = error
                if not _may_help(error):
                    raise closed from failure
            except TimeoutError:
                raise closed from failure
        self.secrets = tuple(dict.fromkeys((*self.secrets, *self._socket.secrets)))
        self._dialled_at = _now()
        logger.warning("a call's sideband was joined again: what happened in between is not known")
        self._notice(None)
        self._there.set()


def _may_help(error: Exception, *, not_yet: bool = False) -> bool:
    """Whether dialling again may get through."""
    if not isinstance(error, ConnectRefusedError | ConnectTimeoutError):
        return False
    return error.classification == "reconnect" or (not_yet and _status(error) == 404)


def _status(error: Exception) -> int | None:
    return error.status if isinstance(error, ConnectRefusedError) else None


def _over(reason: str) -> RemoteClosedError:
    return RemoteClosedError("the call is over", code=1000, reason=reason, clean=True)


def _pauses() -> Iterator[float]:
    pause = _FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def _now() -> float:
    return asyncio.get_running_loop().time()
