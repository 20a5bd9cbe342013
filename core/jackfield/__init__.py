"""jackfield: realtime voice agents, with any wire to the model.

Everything public is named here and loaded when it is first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .lazy import lazy_exports

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .agent import RealtimeAgent
    from .audio import AudioFormat, RealtimePlaybackState, RealtimePlaybackTracker
    from .errors import ConfigurationError, JackfieldError, TransportError
    from .handoffs import Handoff, realtime_handoff
    from .run_context import RunContextWrapper, ToolContext
    from .runner import RealtimeRunner
    from .session import RealtimeSession
    from .tools import FunctionTool, function_tool
    from .transport import ConnectOptions, RealtimeTransportLayer, TransportCapabilities
    from .transport.registry import available_transports, create_transport

_EXPORTS = {
    "FunctionTool": "tools",
    "Handoff": "handoffs",
    "RealtimeAgent": "agent",
    "RealtimeRunner": "runner",
    "RealtimeSession": "session",
    "RunContextWrapper": "run_context",
    "ToolContext": "run_context",
    "function_tool": "tools",
    "realtime_handoff": "handoffs",
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
    "FunctionTool",
    "Handoff",
    "JackfieldError",
    "RealtimeAgent",
    "RealtimePlaybackState",
    "RealtimePlaybackTracker",
    "RealtimeRunner",
    "RealtimeSession",
    "RealtimeTransportLayer",
    "RunContextWrapper",
    "ToolContext",
    "TransportCapabilities",
    "TransportError",
    "__version__",
    "available_transports",
    "create_transport",
    "function_tool",
    "realtime_handoff",
]


__getattr__ = lazy_exports(__name__, _EXPORTS)


def __dir__() -> list[str]:
    return sorted(__all__)
