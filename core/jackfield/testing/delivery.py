"""The far side of a scripted transport: its connection, and how what the far end says reaches the listeners."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy

from jackfield.errors import JackfieldError, NotConnectedError
from jackfield.transport.emitter import Emitter
from jackfield.transport.events import ConnectionChange, ConnectionStatus, Error, TransportEvent

from .emissions import Disconnect, Emission, Line
from .far_end import FarEnd

__all__ = ["Delivery"]


class Delivery:
    """What the far end says, in order: each emission is told whole before the next one."""

    def __init__(self, *, audio_out: bool, progress: asyncio.Event, broke: Callable[[Exception], None]) -> None:
        """`progress` is set whenever all was told; `broke` is told of an emission that fails with nobody to raise to.

        Without `audio_out` the model's audio is played, and nobody is told of it.
        """
        self.emitter = Emitter()
        self.status: ConnectionStatus = "disconnected"
        self.far_end: FarEnd | None = None
        """That of the connection, or of the last one."""
        self.outgoing: deque[Emission] = deque()
        """What is still to be told."""
        self._audio_out = audio_out
        self._progress = progress
        self._broke = broke
        self._delivering = False

    def live(self) -> FarEnd:
        """Return the far end; raise `NotConnectedError` where there is none."""
        if self.status != "connected" or self.far_end is None:
            raise NotConnectedError(f"the scripted transport is {self.status}: call connect() before you send")
        return self.far_end

    def deliver(self) -> None:
        """Tell all that is to be told. Called by a listener it does nothing: who called the listener goes on."""
        if self._delivering:
            return
        self._delivering = True
        try:
            while self.outgoing:
                self._tell(self.outgoing.popleft())
        finally:
            self._delivering = False
            self._progress.set()

    def deliver_later(self) -> None:
        """Do the same from the loop, where nobody takes an exception."""
        try:
            self.deliver()
        except Exception as error:  # noqa: BLE001 - the test gets it where it looks next
            self._broke(error)

    def tell(self, events: Iterable[TransportEvent]) -> None:
        """Tell common events at once."""
        far_end = self.live()
        for event in events:
            far_end.observe(event)
            if self._audio_out or event.type != "audio":
                self.emitter.emit(event)

    def change(self, status: ConnectionStatus, *, code: int | None = None, error: JackfieldError | None = None) -> None:
        """Change the status from this side."""
        self.status = status
        self.emitter.emit(ConnectionChange(status=status, code=code, error=error))

    def hang_up(self) -> None:
        """End the connection from this side. What was to be told is nobody's any more."""
        self.outgoing.clear()
        self.change("disconnecting")
        self.change("disconnected", code=1000)

    def _tell(self, emission: Emission) -> None:
        if isinstance(emission, Disconnect):
            self._lose(emission)
        elif isinstance(emission, Mapping):
            self.emitter.emit_raw("*", lambda: deepcopy(dict(emission)))
        elif isinstance(emission, Line):
            self.tell(emission.events(self.live()))
        else:
            self.tell([emission])

    def _lose(self, disconnect: Disconnect) -> None:
        error = disconnect.cause()
        self.outgoing.clear()
        self.status = "disconnected"
        if error is not None:
            self.emitter.emit(Error(error))
        self.emitter.emit(
            ConnectionChange(
                status="disconnected",
                code=disconnect.code,
                reason=disconnect.reason,
                initiated_by="remote",
                error=error,
            )
        )
