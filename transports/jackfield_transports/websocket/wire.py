"""The wire of every transport that runs over a WebSocket: an address, and a way to dial it.

`WebsocketsDialer` dials with the `websockets` library. Another library, or a runtime that can't open sockets itself,
is another dialer: see `picows` and `foreign`.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal, Protocol, TypeAlias

from attrs import frozen
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from jackfield.openai import WireConnection
from jackfield.transport import (
    AuthenticationError,
    ConfigurationError,
    ConnectOptions,
    ConnectRefusedError,
    RemoteClosedError,
    redact,
)

from .address import Address, user_agent

__all__ = ["Addressing", "Dialer", "SocketOptions", "WebSocketWire", "WebsocketsDialer", "refused"]

Addressing: TypeAlias = Callable[[ConnectOptions], Awaitable[Address]]
"""From the options to the address. It is asked at every dial, and with it the key or token."""

_MAX_REASON = 500


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
    ssl_context: ssl.SSLContext | None = None
    """How to verify wss:// addresses; None: the system's trust store."""
    compression: str | None = None
    """None, or "deflate". Base64 of audio hardly compresses; see the benchmarks."""


class Dialer(Protocol):
    """Opens a connection to an address."""

    async def __call__(self, address: Address, options: SocketOptions) -> WireConnection:
        """Return the open connection, or raise `ConnectRefusedError` or `AuthenticationError`."""


class WebSocketWire:
    """`jackfield.openai.Wire` over a WebSocket."""

    def __init__(self, addressing: Addressing, dialer: Dialer, options: SocketOptions) -> None:
        self._addressing = addressing
        self._dialer = dialer
        self._options = options

    async def open(self, options: ConnectOptions) -> WireConnection:
        """Ask for the address, with its key or token, and dial it."""
        return await self._dialer(await self._addressing(options), self._options)


class WebsocketsDialer:
    """Dials with the `websockets` library."""

    async def __call__(self, address: Address, options: SocketOptions) -> WireConnection:
        """Dial; see `Dialer`."""
        kwargs: dict[str, Any] = {} if options.ssl_context is None else {"ssl": options.ssl_context}
        try:
            socket = await connect(
                address.url,
                additional_headers=dict(address.headers),
                user_agent_header=user_agent(),
                compression=options.compression,
                open_timeout=options.open_timeout,
                ping_interval=options.ping_interval,
                ping_timeout=options.ping_timeout,
                close_timeout=options.close_timeout,
                max_size=options.max_size,
                proxy=options.proxy,
                **kwargs,
            )
        except InvalidStatus as error:
            response = error.response
            raise refused(address, response.status_code, bytes(response.body or b"")) from None
        except InvalidURI as error:
            raise ConfigurationError(
                f"the url is no WebSocket address: {redact(str(error), *address.secrets)}"
            ) from None
        except (OSError, InvalidHandshake) as error:
            if isinstance(error, TimeoutError):
                raise
            raise ConnectRefusedError(
                f"no connection to {_host(address)}: {redact(str(error), *address.secrets) or type(error).__name__}. "
                "Check the url, the network and the proxy settings."
            ) from error
        return _WebsocketsConnection(socket, address.secrets)


class _WebsocketsConnection:
    """`WireConnection` of the `websockets` library."""

    def __init__(self, socket: ClientConnection, secrets: Sequence[str]) -> None:
        self._socket = socket
        self.secrets = secrets

    async def send(self, frame: bytes) -> None:
        try:
            await self._socket.send(frame, text=True)
        except ConnectionClosed as error:
            raise _closed(error) from None

    async def receive(self) -> bytes | str:
        try:
            return await self._socket.recv(decode=False)
        except ConnectionClosed as error:
            raise _closed(error) from None

    async def close(self) -> None:
        await self._socket.close()


def refused(address: Address, status: int, body: bytes) -> AuthenticationError | ConnectRefusedError:
    """Return the error for an upgrade that was answered with an HTTP status; the provider's text is part of it."""
    text = redact(body.decode(errors="replace").strip(), *address.secrets)[:_MAX_REASON]
    told = f"{_host(address)} refused the WebSocket with HTTP {status}" + (f": {text}" if text else "")
    if status in {401, 403}:
        return AuthenticationError(f"{told}. Check the key or token, and that it belongs to this endpoint.")
    advice = {
        404: "Check the path and the model, deployment or call_id.",
        429: "Too many connections or no quota: wait, then try again.",
    }.get(status, "Check the url.")
    error = ConnectRefusedError(f"{told}. {advice}", status=status)
    if status not in {408, 429} and status < 500:
        error.classification = "fatal"
    return error


def _closed(error: ConnectionClosed) -> RemoteClosedError:
    received = error.rcvd
    if received is None:
        return RemoteClosedError("the connection was lost without a close frame", code=1006, reason="")
    return RemoteClosedError(
        f"the far end closed with {received.code}", code=received.code, reason=received.reason, clean=True
    )


def _host(address: Address) -> str:
    return address.url.partition("?")[0]
