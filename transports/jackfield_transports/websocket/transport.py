"""The `websocket` transport: the OpenAI Realtime API, or whoever speaks its dialect, over a WebSocket."""

from __future__ import annotations

import ssl as ssl_module
from typing import Any, Literal, TypeAlias, TypedDict, Unpack

from jackfield.naming import check_names
from jackfield.openai import OpenAIRealtimeTransport, Watchdog
from jackfield.transport import ConfigurationError, TransportCapabilities

from .address import openai_address
from .foreign import ForeignDialer, OpenConnection
from .plugin import CAPABILITIES
from .wire import Addressing, Dialer, SocketOptions, WebSocketWire

__all__ = ["SocketSettings", "SocketTransport", "WebSocketTransport", "WireName", "choose_dialer", "socket_wire"]

WireName: TypeAlias = Literal["websockets", "picows"]


class SocketSettings(TypedDict, total=False):
    """The options of every transport over a WebSocket. Their defaults are in `SocketOptions`."""

    wire: WireName
    """The library below: `websockets`, or `picows` (extra `fast`)."""
    open_connection: OpenConnection | None
    """A function of url and headers that opens the connection, where the runtime does that in its own way."""
    open_timeout: float | None
    ping_interval: float | None
    ping_timeout: float | None
    close_timeout: float
    max_size: int | None
    proxy: str | Literal[True] | None
    ssl: ssl_module.SSLContext | None
    compression: Literal["deflate"] | None
    watchdog: Watchdog | None
    """How long the far end may leave a response unanswered."""


class SocketTransport(OpenAIRealtimeTransport):
    """The dialect over a WebSocket, wherever it leads: what such transports differ in is the address."""

    def __init__(
        self,
        addressing: Addressing,
        *,
        name: str,
        capabilities: TransportCapabilities,
        **settings: Unpack[SocketSettings],
    ) -> None:
        super().__init__(
            socket_wire(addressing, name, settings),
            name=name,
            capabilities=capabilities,
            watchdog=settings.get("watchdog"),
        )


class WebSocketTransport(SocketTransport):
    """OpenAI Realtime over a WebSocket. Where to connect, and with which key, is told to `connect()`.

    The options are those of `SocketSettings`.
    """

    def __init__(self, **settings: Unpack[SocketSettings]) -> None:
        super().__init__(openai_address, name="websocket", capabilities=CAPABILITIES, **settings)


def socket_wire(addressing: Addressing, name: str, settings: SocketSettings) -> WebSocketWire:
    """Return the wire of the transport `name` with these settings; raise `ConfigurationError` where they can't be."""
    check_names(f"transport {name!r} has no option", settings, list(SocketSettings.__annotations__))
    given: dict[str, Any] = {key: value for key, value in settings.items() if key != "watchdog"}
    dialer = choose_dialer(given.pop("wire", "websockets"), given.pop("open_connection", None))
    return WebSocketWire(addressing, dialer, SocketOptions(**given))


def choose_dialer(wire: str, open_connection: OpenConnection | None) -> Dialer:
    """Return the dialer for these options; raise `ConfigurationError` for a wire that isn't known or not installed."""
    if open_connection is not None:
        return ForeignDialer(open_connection)
    if wire == "websockets":
        from .websockets_dialer import WebsocketsDialer

        return WebsocketsDialer()
    if wire == "picows":
        try:
            from .picows_dialer import PicowsDialer
        except ImportError as error:
            raise ConfigurationError(
                f"wire='picows' needs an extra ({error}): pip install 'jackfield[fast]'"
            ) from error
        return PicowsDialer()
    raise ConfigurationError(f"wire={wire!r} is not a wire: choose 'websockets' or 'picows'")
