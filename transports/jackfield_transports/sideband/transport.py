"""A transport for a call whose media passes us by: what comes here are its events, and what goes is our part in it."""

from __future__ import annotations

from typing import Unpack

from jackfield.openai import OpenAIRealtimeTransport
from jackfield.transport import TransportCapabilities
from jackfield_transports.websocket.transport import SocketSettings, socket_wire
from jackfield_transports.websocket.wire import Addressing

from .wire import Begin, SidebandWire

__all__ = ["CAPABILITIES", "SidebandTransport"]

CAPABILITIES = TransportCapabilities(
    audio_in=False, audio_out=False, playback="server", truncate="server", attach_by_call_id=True
)
"""Audio flows between the caller and the far end, which also plays it, and cuts what is interrupted."""


class SidebandTransport(OpenAIRealtimeTransport):
    """The dialect over the sideband socket of a call that `connect()` begins.

    `begin` creates or answers the call with the initial session config, which is then not sent again when the call is
    joined: an update by then would set the caller's running turn back, undo what the caller's own side has changed, and
    could be refused as a whole for a voice that was heard already. Where it doesn't, `configured` is false.
    `addressing` leads to the call whose id is the options' `call_id`. See `SidebandWire` for the times.
    """

    def __init__(
        self,
        begin: Begin,
        addressing: Addressing,
        *,
        name: str,
        capabilities: TransportCapabilities = CAPABILITIES,
        configured: bool = True,
        attach_seconds: float | None = None,
        rejoin_seconds: float = 0.0,
        **settings: Unpack[SocketSettings],
    ) -> None:
        wire = SidebandWire(
            socket_wire(addressing, name, settings),
            begin,
            configured=configured,
            attach_seconds=attach_seconds,
            rejoin_seconds=rejoin_seconds,
        )
        super().__init__(
            wire,
            name=name,
            capabilities=capabilities,
            watchdog=settings.get("watchdog"),
            negotiated_formats=True,
        )
