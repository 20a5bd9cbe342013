"""What the session did: one record for each call that it made on the transport.

A record is a snapshot. What the caller changes afterwards doesn't change it, and no credential is kept in it.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit, urlunsplit

from attrs import field, frozen

from jackfield.errors import redact
from jackfield.transport.options import ConnectOptions

__all__ = ["ARGUMENTS", "LIFECYCLE", "Method", "RecordedCall", "connect_arguments", "shown", "snapshot"]

Method: TypeAlias = Literal[
    "connect",
    "close",
    "send_event",
    "send_message",
    "add_image",
    "send_audio",
    "commit_audio",
    "clear_audio",
    "request_response",
    "update_session_config",
    "mute",
    "interrupt",
    "reset_history",
    "send_function_call_output",
    "send_mcp_response",
]
"""The methods of `RealtimeTransportLayer` that reach the far end."""

ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "connect": (
        "api_key_given",
        "headers_given",
        "model",
        "url",
        "call_id",
        "initial_session_config",
        "timeout",
        "ready",
        "playback_tracker",
        "barge_in",
    ),
    "close": (),
    "send_event": ("event",),
    "send_message": ("message", "trigger_response"),
    "add_image": ("image", "detail", "trigger_response"),
    "send_audio": ("chunk", "commit"),
    "commit_audio": (),
    "clear_audio": (),
    "request_response": ("response",),
    "update_session_config": ("config",),
    "mute": ("muted",),
    "interrupt": ("response_id",),
    "reset_history": ("old", "new"),
    "send_function_call_output": ("call", "output", "start_response"),
    "send_mcp_response": ("request", "approved", "reason"),
}
"""What is recorded of each method's call, defaults included."""

LIFECYCLE = frozenset({"connect", "close"})
"""Calls that an expectation may ask for, and that no other expectation trips over."""

_short = reprlib.Repr()
_short.maxlevel = 4
_short.maxdict = _short.maxlist = _short.maxtuple = 8
_short.maxstring = 120
_short.maxother = 240


def _read_only(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(arguments))


@frozen(eq=False, repr=False)
class RecordedCall:
    """One call of `method`; `arguments` by name, defaults included, and `index` its place among all calls."""

    index: int
    method: Method
    arguments: Mapping[str, Any] = field(converter=_read_only)

    def __repr__(self) -> str:
        return f"{self.method}({', '.join(f'{name}={shown(value)}' for name, value in self.arguments.items())})"


def shown(value: object) -> str:
    """Return `value` as messages show it: in short, and without what looks like a credential."""
    return redact(_short.repr(value))


def snapshot(value: Any) -> Any:
    """Return a copy of mappings, sequences and bytes, all the way down. Everything else is kept as it is.

    The credentials of hosted MCP servers (a tool's `authorization` and `headers`) are left out.
    """
    if isinstance(value, Mapping):
        hidden = {"authorization", "headers"} if value.get("type") == "mcp" else frozenset[str]()
        return {key: "***" if key in hidden else snapshot(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [snapshot(inner) for inner in value]
    if isinstance(value, tuple):
        return tuple(snapshot(inner) for inner in value)
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    return value


def connect_arguments(options: ConnectOptions) -> dict[str, Any]:
    """Return what is recorded of `connect()`: of key and headers only that they were given, of the URL only where."""
    return {
        "api_key_given": options.api_key is not None,
        "headers_given": options.headers is not None,
        "model": options.model,
        "url": None if options.url is None else _bare(options.url),
        "call_id": options.call_id,
        "initial_session_config": options.initial_session_config,
        "timeout": options.timeout,
        "ready": options.ready,
        "playback_tracker": options.playback_tracker,
        "barge_in": options.barge_in,
    }


def _bare(url: str) -> str:
    """Without user information, query and fragment: each of them may hold a key."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "***"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
