"""A transport made of two parts: a wire that carries frames, and a dialect that knows what they mean.

`Wire` dials; `Dialect` is what one connection knows of a provider's protocol, without I/O; `WireTransport` joins the
two and is the whole of a transport: lifecycle, order, backpressure, listeners. Who speaks the OpenAI dialect over
another wire takes `jackfield.openai.OpenAIRealtimeTransport`; who speaks to another provider writes a `Dialect`.
"""

from __future__ import annotations

from .dialect import Dialect, MediaDialect, NewDialect, RejoiningDialect
from .json import decode_json, encode_json
from .transport import WireTransport
from .wires import (
    ConfiguredConnection,
    DirectConnection,
    MediaConnection,
    RejoiningConnection,
    Wire,
    WireConnection,
)

__all__ = [
    "ConfiguredConnection",
    "Dialect",
    "DirectConnection",
    "MediaConnection",
    "MediaDialect",
    "NewDialect",
    "RejoiningConnection",
    "RejoiningDialect",
    "Wire",
    "WireConnection",
    "WireTransport",
    "decode_json",
    "encode_json",
]
