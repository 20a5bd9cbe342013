"""`OpenAIRealtimeTransport`: a wire and the OpenAI Realtime dialect, joined into a transport.

For whoever speaks the dialect this is the whole of a transport: websocket, azure and sip are wires of a few dozen
lines.
"""

from __future__ import annotations

import asyncio

from jackfield.transport.capabilities import TransportCapabilities
from jackfield.transport.options import ConnectOptions
from jackfield.wire import MediaConnection, Wire, WireConnection, WireTransport

from .protocol import OpenAIRealtimeProtocol
from .sequencer import Watchdog

__all__ = ["OpenAIRealtimeTransport"]


class OpenAIRealtimeTransport(WireTransport[OpenAIRealtimeProtocol]):
    """A transport for every wire that carries the OpenAI Realtime dialect.

    `watchdog` says how long the far end may leave a response unanswered. With `negotiated_formats` the media path
    settles the audio's formats.
    """

    def __init__(
        self,
        wire: Wire,
        *,
        name: str,
        capabilities: TransportCapabilities,
        watchdog: Watchdog | None = None,
        negotiated_formats: bool = False,
    ) -> None:
        def new_dialect(options: ConnectOptions, connection: WireConnection) -> OpenAIRealtimeProtocol:
            return OpenAIRealtimeProtocol(
                capabilities=capabilities,
                clock=asyncio.get_running_loop().time,
                playback_tracker=options.playback_tracker,
                barge_in=options.barge_in,
                watchdog=watchdog,
                negotiated_formats=negotiated_formats,
                audio_apart=isinstance(connection, MediaConnection),
                secrets=connection.secrets,
            )

        super().__init__(wire, new_dialect, name=name, capabilities=capabilities)
