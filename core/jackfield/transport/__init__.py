"""The contract between the session and its transports, and what a transport's author needs.

`RealtimeTransportLayer` is the contract; `events`, `items`, `TransportCapabilities` and `ConnectOptions` are its
vocabulary; `Emitter` is its listening half, ready to use; the registry finds transports by name.
"""

from __future__ import annotations

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

from . import events, items
from .capabilities import TransportCapabilities
from .emitter import Emitter
from .event_queue import EventQueue
from .events import ConnectionStatus, TransportEvent
from .items import RealtimeItem
from .layer import Listener, RealtimeTransportLayer, UserMessage
from .options import ApiKey, ConnectOptions, Ready, resolve_api_key

__all__ = [
    "AlreadyConnectedError",
    "ApiKey",
    "AuthenticationError",
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
    "RegistryError",
    "RemoteClosedError",
    "ResponseLostError",
    "TransportCapabilities",
    "TransportError",
    "TransportEvent",
    "TransportUnavailableError",
    "UnknownTransportError",
    "UnsupportedByTransportError",
    "UserMessage",
    "events",
    "items",
    "redact",
    "resolve_api_key",
]
