"""The contract between the session and its transports, and what a transport's author needs.

`RealtimeTransportLayer` is the contract; `events`, `items`, `TransportCapabilities` and `ConnectOptions` are its
vocabulary; `Emitter` is its listening half, ready to use; the registry finds transports by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jackfield.errors import (
    AlreadyConnectedError,
    AuthenticationError,
    ConfigurationError,
    ConnectAbortedError,
    ConnectRefusedError,
    ConnectTimeoutError,
    DuplicateTransportError,
    IncompatibleTransportError,
    JackfieldError,
    ListenerError,
    NotConnectedError,
    ProtocolError,
    ProviderError,
    RegistryError,
    RemoteClosedError,
    ResponseLostError,
    TransportError,
    TransportUnavailableError,
    UnknownTransportError,
    UnsupportedByTransportError,
    redact,
)
from jackfield.lazy import lazy_exports

from . import events, items
from .capabilities import TransportCapabilities
from .emitter import Emitter
from .event_queue import EventQueue
from .events import ConnectionStatus, TransportEvent
from .items import RealtimeItem
from .layer import Listener, RealtimeTransportLayer, UserMessage
from .options import ApiKey, BargeIn, ConnectOptions, Ready, resolve_api_key
from .session_config import UNSET, merge_session_config, normalize_session_config

if TYPE_CHECKING:
    from .hookspecs import CONTRACT_VERSION, TransportSpec, hookimpl, hookspec
    from .installed import TransportInfo
    from .registry import Registry, available_transports, create_transport

__all__ = [
    "CONTRACT_VERSION",
    "UNSET",
    "AlreadyConnectedError",
    "ApiKey",
    "AuthenticationError",
    "BargeIn",
    "ConfigurationError",
    "ConnectAbortedError",
    "ConnectOptions",
    "ConnectRefusedError",
    "ConnectTimeoutError",
    "ConnectionStatus",
    "DuplicateTransportError",
    "Emitter",
    "EventQueue",
    "IncompatibleTransportError",
    "JackfieldError",
    "Listener",
    "ListenerError",
    "NotConnectedError",
    "ProtocolError",
    "ProviderError",
    "Ready",
    "RealtimeItem",
    "RealtimeTransportLayer",
    "Registry",
    "RegistryError",
    "RemoteClosedError",
    "ResponseLostError",
    "TransportCapabilities",
    "TransportError",
    "TransportEvent",
    "TransportInfo",
    "TransportSpec",
    "TransportUnavailableError",
    "UnknownTransportError",
    "UnsupportedByTransportError",
    "UserMessage",
    "available_transports",
    "create_transport",
    "events",
    "hookimpl",
    "hookspec",
    "items",
    "merge_session_config",
    "normalize_session_config",
    "redact",
    "resolve_api_key",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "CONTRACT_VERSION": "hookspecs",
        "Registry": "registry",
        "TransportInfo": "installed",
        "TransportSpec": "hookspecs",
        "available_transports": "registry",
        "create_transport": "registry",
        "hookimpl": "hookspecs",
        "hookspec": "hookspecs",
    },
)
