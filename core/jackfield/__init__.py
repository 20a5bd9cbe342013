"""jackfield: realtime voice agents, with any wire to the model.

Everything public is named here and loaded when it is first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .audio import AudioFormat, RealtimePlaybackState, RealtimePlaybackTracker
    from .errors import ConfigurationError, JackfieldError, TransportError
    from .transport import ConnectOptions, RealtimeTransportLayer, TransportCapabilities
    from .transport.registry import available_transports, create_transport

_EXPORTS = {
    "AudioFormat": "audio",
    "ConfigurationError": "errors",
    "ConnectOptions": "transport",
    "JackfieldError": "errors",
    "RealtimePlaybackState": "audio",
    "RealtimePlaybackTracker": "audio",
    "RealtimeTransportLayer": "transport",
    "TransportCapabilities": "transport",
    "TransportError": "errors",
    "available_transports": "transport.registry",
    "create_transport": "transport.registry",
}

__all__ = [
    "AudioFormat",
    "ConfigurationError",
    "ConnectOptions",
    "JackfieldError",
    "RealtimePlaybackState",
    "RealtimePlaybackTracker",
    "RealtimeTransportLayer",
    "TransportCapabilities",
    "TransportError",
    "__version__",
    "available_transports",
    "create_transport",
]


def __getattr__(name: str) -> Any:
    module = _EXPORTS.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
