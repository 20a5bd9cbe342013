"""The wire of every transport that runs over a WebSocket: an address, and a way to dial it.

Which library dials is `websockets_dialer`'s or `picows_dialer`'s business; `foreign` is for runtimes that can't open
sockets themselves. What they have in common is here, in `failures` and in `tcp`.
"""

from __future__ import annotations

import asyncio
import logging
import ssl as ssl_module
from collections.abc import Awaitable, Callable
from typing import Literal, Protocol, TypeAlias

from attrs import frozen

from jackfield.transport import ConfigurationError, ConnectOptions, redact
from jackfield.wire import WireConnection
from jackfield.wire.address import Address, unreachable

from .failures import too_slow

__all__ = ["LIBRARY_LOGGER", "Addressing", "Dialer", "SocketOptions", "WebSocketWire"]

Addressing: TypeAlias = Callable[[ConnectOptions], Awaitable[Address]]
"""From the options to the address. It is asked at every dial, and with it the key or token."""

LIBRARY_LOGGER = "jackfield.websocket.library"
"""The logger that the WebSocket library writes to. Below INFO the libraries write headers and messages, hence keys and
what was said: that takes setting the level of this very logger, and not just of one above it."""

logging.getLogger(LIBRARY_LOGGER).setLevel(logging.WARNING)


@frozen(kw_only=True)
class SocketOptions:
    """How the socket behaves. Times in seconds, sizes in bytes."""

    open_timeout: float | None = 10.0
    """For TCP, TLS and the handshake."""
    ping_interval: float | None = 20.0
    """How often to ask whether the far end is alive; None: never."""
    ping_timeout: float | None = 20.0
    """How long it may take to answer; None: for ever."""
    close_timeout: float = 1.0
    """How long to wait for the far end's half of the close."""
    max_size: int | None = 32 * 1024 * 1024
    """Largest message that is accepted; None: any."""
    proxy: str | Literal[True] | None = True
    """True: as the environment says (https_proxy, no_proxy...); a URL; None: no proxy."""
    ssl: ssl_module.SSLContext | None = None
    """How to verify wss:// addresses; None: the system's trust store."""
    compression: str | None = None
    """None, or "deflate". Base64 of audio hardly compresses; see the benchmarks."""


class Dialer(Protocol):
    """Opens a connection to an address."""

    async def __call__(self, address: Address, options: SocketOptions) -> WireConnection:
        """Return the open connection, or raise `ConnectRefusedError`, `AuthenticationError` or OSError.

        `open_timeout` is the caller's to keep: it cancels.
        """


class WebSocketWire:
    """`jackfield.wire.Wire` over a WebSocket."""

    def __init__(self, addressing: Addressing, dialer: Dialer, options: SocketOptions) -> None:
        self._addressing = addressing
        self._dialer = dialer
        self._options = options

    async def open(self, options: ConnectOptions) -> WireConnection:
        """Ask for the address, with its key or token, and dial it."""
        address = await self._addressing(options)
        limit = asyncio.timeout(self._options.open_timeout)
        try:
            async with limit:
                return await self._dialer(address, self._options)
        except OSError as error:  # TimeoutError is one
            if limit.expired():
                raise too_slow(address, self._options.open_timeout) from None
            raise unreachable(address, error) from error
        except UnicodeError as error:
            told = redact(str(error), *address.secrets)
            raise ConfigurationError(f"the host in the url is no host name: {told}") from error
