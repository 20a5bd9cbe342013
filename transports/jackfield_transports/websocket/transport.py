"""The `websocket` transport: the OpenAI Realtime API, or whoever speaks its dialect, over a WebSocket."""

from __future__ import annotations

import ssl as ssl_module
from typing import Literal, TypeAlias

from jackfield.openai import BargeIn, OpenAIRealtimeTransport, Watchdog
from jackfield.transport import ConfigurationError

from .address import openai_address
from .foreign import ForeignDialer, OpenConnection
from .plugin import CAPABILITIES
from .wire import Dialer, SocketOptions, WebSocketWire

__all__ = ["WebSocketTransport", "WireName", "choose_dialer"]

WireName: TypeAlias = Literal["websockets", "picows"]


class WebSocketTransport(OpenAIRealtimeTransport):
    """OpenAI Realtime over a WebSocket. Where to connect, and with which key, is told to `connect()`.

    `wire` chooses the library below: `websockets`, or `picows` (extra `fast`). `open_connection(url, headers)` replaces
    both where the runtime opens sockets in its own way. `socket` options (times in seconds, sizes in bytes) are those
    of `SocketOptions`. `barge_in` and `watchdog` are those of `OpenAIRealtimeTransport`.
    """

    def __init__(
        self,
        *,
        wire: WireName = "websockets",
        open_connection: OpenConnection | None = None,
        open_timeout: float | None = 10.0,
        ping_interval: float | None = 20.0,
        ping_timeout: float | None = 20.0,
        close_timeout: float = 1.0,
        max_size: int | None = 32 * 1024 * 1024,
        proxy: str | Literal[True] | None = True,
        ssl: ssl_module.SSLContext | None = None,
        compression: Literal["deflate"] | None = None,
        barge_in: BargeIn = "auto",
        watchdog: Watchdog | None = None,
    ) -> None:
        options = SocketOptions(
            open_timeout=open_timeout,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            max_size=max_size,
            proxy=proxy,
            ssl_context=ssl,
            compression=compression,
        )
        super().__init__(
            WebSocketWire(openai_address, choose_dialer(wire, open_connection), options),
            name="websocket",
            capabilities=CAPABILITIES,
            barge_in=barge_in,
            watchdog=watchdog,
        )


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
