"""The OpenAI Realtime dialect: for transports, and for whoever wants to speak it without one.

`OpenAIRealtimeProtocol` is the dialect and does no I/O. `OpenAIRealtimeTransport(wire)` makes a whole transport of it
and a `jackfield.wire.Wire`. `session_payload` builds the `session` object for connect, update and call accept.
"""

from __future__ import annotations

from .codec import audio_frame, decode, encode
from .error_table import CLOSE_CODES, ERROR_CODES, error_from_payload
from .interruption import Interruption, plan_interruption
from .protocol import OpenAIRealtimeProtocol
from .remote_audio import RemoteAudio
from .sequencer import ResponseSequencer, Watchdog
from .session_payload import response_payload, session_payload
from .transport import OpenAIRealtimeTransport

__all__ = [
    "CLOSE_CODES",
    "ERROR_CODES",
    "Interruption",
    "OpenAIRealtimeProtocol",
    "OpenAIRealtimeTransport",
    "RemoteAudio",
    "ResponseSequencer",
    "Watchdog",
    "audio_frame",
    "decode",
    "encode",
    "error_from_payload",
    "plan_interruption",
    "response_payload",
    "session_payload",
]
