"""The wire to a call: it begins the call, and dials its sideband socket until the call is live."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeAlias

from attrs import evolve

from jackfield.openai import Wire, WireConnection
from jackfield.transport import ConnectOptions, ConnectRefusedError, ConnectTimeoutError, RemoteClosedError

__all__ = ["Begin", "SidebandWire"]

logger = logging.getLogger("jackfield.sideband")

Begin: TypeAlias = Callable[[ConnectOptions], Awaitable[str]]
"""Creates or answers a call with the options' model and `initial_session_config`, and returns its id."""

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 1.0
_NO_STATUS = 1005


class SidebandWire:
    """`jackfield.openai.Wire` to one call. `socket` is dialled with the id that `begin` returns as `call_id`.

    A call can be joined once its media flows, and until then the far end knows nothing of it (404): so dialling goes on
    until `connect()`'s time is up.
    """

    def __init__(self, socket: Wire, begin: Begin) -> None:
        self._socket = socket
        self._begin = begin

    async def open(self, options: ConnectOptions) -> WireConnection:
        """Begin the call and join it."""
        call_id = await self._begin(options)
        joining = evolve(options, call_id=call_id, model=None)
        for pause in _pauses():
            try:
                return _CallConnection(await self._socket.open(joining))
            except (ConnectRefusedError, ConnectTimeoutError) as error:
                status = error.status if isinstance(error, ConnectRefusedError) else None
                if status != 404 and error.classification != "reconnect":
                    raise
                logger.debug("the call can't be joined yet: %s", error)
            await asyncio.sleep(pause)
        raise AssertionError("there is always another pause")


class _CallConnection:
    """A call's socket. That it closes without a code is how some far ends tell that the call is over."""

    configured = True

    def __init__(self, socket: WireConnection) -> None:
        self._socket = socket

    @property
    def secrets(self) -> Sequence[str]:
        return self._socket.secrets

    async def send(self, frame: bytes) -> None:
        await self._socket.send(frame)

    async def receive(self) -> bytes | str:
        try:
            return await self._socket.receive()
        except RemoteClosedError as closed:
            if closed.clean and closed.code == _NO_STATUS:
                raise RemoteClosedError(str(closed), code=1000, reason=closed.reason, clean=True) from None
            raise

    async def close(self) -> None:
        await self._socket.close()


def _pauses() -> Iterator[float]:
    pause = _FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * 1.5, _LONGEST_PAUSE)
