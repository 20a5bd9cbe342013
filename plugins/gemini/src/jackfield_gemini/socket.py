"""One WebSocket to the provider: how it is dialled, and what goes wrong with it, as typed errors."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl as ssl_module
from typing import Any, Final, Literal

from attrs import frozen
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

import jackfield
from jackfield.transport import (
    ConfigurationError,
    ConnectTimeoutError,
    RemoteClosedError,
    redact,
)
from jackfield.wire.address import Address, refused, unreachable

__all__ = ["Socket", "SocketOptions", "dial"]

_LIBRARY_LOGGER: Final = logging.getLogger("jackfield.gemini.library")
"""Below INFO the library writes headers and messages, hence keys: that takes setting this very logger."""
_LIBRARY_LOGGER.setLevel(logging.WARNING)

_MAX_REASON: Final = 500


@frozen(kw_only=True)
class SocketOptions:
    """How the socket behaves. Times in seconds, sizes in bytes."""

    open_timeout: float | None = 10.0
    """For TCP, TLS and the handshake."""
    ping_interval: float | None = 30.0
    """How often to ask whether the far end is alive; None: never."""
    ping_timeout: float | None = 90.0
    """How long it may take to answer; None: for ever. This provider's answers may take half a minute."""
    close_timeout: float = 1.0
    """How long to wait for the far end's half of the close."""
    max_size: int | None = 32 * 1024 * 1024
    """Largest message that is accepted; None: any."""
    proxy: str | Literal[True] | None = True
    """True: as the environment says; a URL; None: no proxy."""
    ssl: ssl_module.SSLContext | None = None
    """How to verify wss:// addresses; None: the system's trust store."""


async def dial(address: Address, options: SocketOptions) -> Socket:
    """Return an open socket; raise `AuthenticationError`, `ConnectRefusedError` or `ConnectTimeoutError`."""
    arguments: dict[str, Any] = {}
    if options.ssl is not None and address.url.startswith("wss:"):
        arguments["ssl"] = options.ssl
    limit = asyncio.timeout(options.open_timeout)
    try:
        async with limit:
            connection = await _Opening(
                address.url,
                additional_headers=dict(address.headers),
                user_agent_header=f"jackfield/{jackfield.__version__}",
                compression=None,
                proxy=options.proxy,
                open_timeout=None,
                ping_interval=options.ping_interval,
                ping_timeout=options.ping_timeout,
                close_timeout=options.close_timeout,
                max_size=options.max_size,
                logger=_LIBRARY_LOGGER,
                **arguments,
            )
    except InvalidStatus as error:
        raise refused(address, error.response.status_code, bytes(error.response.body or b"")) from None
    except TimeoutError as error:
        if limit.expired():
            raise ConnectTimeoutError(
                f"opening the connection to {address.place} took longer than open_timeout={options.open_timeout:g} s. "
                "Check the url and the network, or give a larger open_timeout.",
                stage="opening the connection",
            ) from None
        raise unreachable(address, error) from error
    except (OSError, WebSocketException, EOFError) as error:
        raise unreachable(address, error) from error
    except UnicodeError as error:
        told = redact(str(error), *address.secrets)
        raise ConfigurationError(f"the host in the url is no host name: {told}") from error
    return Socket(connection, options)


class _Opening(connect):
    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc  # the library would carry the headers along, and with them the key


class Socket:
    """An open WebSocket. What ends it is told as `RemoteClosedError`."""

    def __init__(self, connection: ClientConnection, options: SocketOptions) -> None:
        self._connection = connection
        self._options = options

    async def send(self, frame: bytes) -> None:
        """Send a message; a slow far end slows its sender."""
        try:
            await self._connection.send(frame, text=True)
        except ConnectionClosed as error:
            raise self._closed(error) from None
        if self._connection.close_code is not None:  # it was lost while the sender waited, which send() doesn't tell
            raise self._closed(self._connection.protocol.close_exc)

    async def receive(self) -> bytes:
        """Return the next message; the provider sends its JSON in binary ones."""
        try:
            return await self._connection.recv(decode=False)
        except ConnectionClosed as error:
            raise self._closed(error) from None

    async def close(self) -> None:
        """Close, in bounded time."""
        try:
            # The library's own limit doesn't count the time that it waits for the network to take the close frame.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._options.close_timeout):
                    await self._connection.close()
        finally:
            self._connection.transport.abort()  # does nothing to a closed one; a cancelled close leaves it open

    def _closed(self, error: ConnectionClosed) -> RemoteClosedError:
        received, sent = error.rcvd, error.sent
        if sent is not None and not error.rcvd_then_sent and sent.code not in {1000, 1001}:
            return _given_up(sent.code, sent.reason, self._options.ping_timeout)
        if received is not None:
            told = f"the far end closed with {received.code}"
            return RemoteClosedError(told, code=received.code, reason=received.reason, clean=True)
        return RemoteClosedError("the connection was lost without a close frame", code=1006, reason="")


def _given_up(code: int, reason: str, ping_timeout: float | None) -> RemoteClosedError:
    """Return what it amounts to that we closed, with `code`."""
    if code == 1011:
        limit = "" if ping_timeout is None else f" within {ping_timeout:g} s"
        return RemoteClosedError(
            f"the far end did not answer a ping{limit}; the connection was given up",
            code=1006,
            reason="no answer to a ping",
        )
    if code == 1009:
        told = "the far end sent a message larger than max_size"
        return RemoteClosedError(f"{told}: give a larger max_size, if that is to be", code=code, reason=told)
    return RemoteClosedError(f"the far end broke the WebSocket protocol: {reason}", code=code, reason=reason)
