"""A local stand-in for the OpenAI Realtime API: it hears, thinks and speaks, with no key and no internet.

`LocalServer` is the whole of it, for tests: ``async with LocalServer() as server: ...``. `jackfield serve` runs one
from the command line, and `serve_in_thread` one beside a program without an event loop. `interfaces` has the protocols
of the parts that may be replaced, `faults` what a server can be told to do wrong.

Names are imported when they are used: the commands live in this package too, and must load at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jackfield_local.clock import CLOCK_URL
    from jackfield_local.connection import Connection, ConnectionEndedError
    from jackfield_local.faults import Fault, FaultError, Faults
    from jackfield_local.interfaces import (
        Call,
        HostedServer,
        HostedTool,
        PreparingRecognizer,
        Recognizer,
        Reply,
        Responder,
        ResponseContext,
        Say,
        Synthesizer,
    )
    from jackfield_local.mcp import FunctionServer, McpError, McpHttpError, McpProtocolError, McpToolExecutionError
    from jackfield_local.server import DEFAULT_PACE, LocalServer, LocalServerError, serve_in_thread

__all__ = [
    "CLOCK_URL",
    "DEFAULT_PACE",
    "Call",
    "Connection",
    "ConnectionEndedError",
    "Fault",
    "FaultError",
    "Faults",
    "FunctionServer",
    "HostedServer",
    "HostedTool",
    "LocalServer",
    "LocalServerError",
    "McpError",
    "McpHttpError",
    "McpProtocolError",
    "McpToolExecutionError",
    "PreparingRecognizer",
    "Recognizer",
    "Reply",
    "Responder",
    "ResponseContext",
    "Say",
    "Synthesizer",
    "serve_in_thread",
]

_HOMES = {
    "clock": ("CLOCK_URL",),
    "connection": ("Connection", "ConnectionEndedError"),
    "faults": ("Fault", "FaultError", "Faults"),
    "interfaces": (
        "Call",
        "HostedServer",
        "HostedTool",
        "PreparingRecognizer",
        "Recognizer",
        "Reply",
        "Responder",
        "ResponseContext",
        "Say",
        "Synthesizer",
    ),
    "mcp": ("FunctionServer", "McpError", "McpHttpError", "McpProtocolError", "McpToolExecutionError"),
    "server": ("DEFAULT_PACE", "LocalServer", "LocalServerError", "serve_in_thread"),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"jackfield_local.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
