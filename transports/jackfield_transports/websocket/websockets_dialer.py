"""Dials with the `websockets` library: the default wire."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.frames import Frame, Opcode
from websockets.protocol import Event, State

from jackfield.transport import RemoteClosedError
from jackfield.wire import WireConnection
from jackfield.wire.address import Address, refused, unreachable
from jackfield_transports.endpoint import user_agent

from .failures import broken, closed, lost, silent
from .tcp import choose_proxy, hang_up, open_tunnel
from .wire import LIBRARY_LOGGER, SocketOptions

__all__ = ["WebsocketsDialer"]


class WebsocketsDialer:
    """Dials with the `websockets` library."""

    async def __call__(self, address: Address, options: SocketOptions) -> WireConnection:
        """Dial; see `Dialer`."""
        target = urlsplit(address.url)
        secure = target.scheme == "wss"
        proxy = choose_proxy(address.url, options.proxy)
        arguments: dict[str, Any] = {}
        if secure and options.ssl is not None:
            arguments["ssl"] = options.ssl
        tunnel = None
        if proxy is not None and proxy.startswith("http://"):
            port = target.port or (443 if secure else 80)
            tunnel = await open_tunnel(proxy, str(target.hostname), port, user_agent())
            proxy, arguments["sock"] = None, tunnel
        try:
            socket = await _Opening(
                address.url,
                create_connection=_Socket,
                additional_headers=dict(address.headers),
                user_agent_header=user_agent(),
                compression=options.compression,
                proxy=proxy,
                open_timeout=None,
                ping_interval=options.ping_interval,
                ping_timeout=options.ping_timeout,
                close_timeout=options.close_timeout,
                max_size=options.max_size,
                logger=logging.getLogger(LIBRARY_LOGGER),
                **arguments,
            )
        except BaseException as error:
            if tunnel is not None:
                hang_up(tunnel)
            if isinstance(error, InvalidStatus):
                status, body = error.response.status_code, bytes(error.response.body or b"")
                raise refused(address, status, body, "the WebSocket") from None
            if isinstance(error, WebSocketException):
                raise unreachable(address, error) from error
            raise
        return _Connection(socket, address.secrets, options)


class _Opening(connect):
    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc  # the library would carry the headers along, and api-key is one that it doesn't know for a secret


class _Socket(ClientConnection):
    """Hands whole messages on where they are read, and writes without waiting where there is nothing to wait for.

    The library's queue and its reader cost each message a turn of the event loop. Where the library isn't as we know it
    nothing is handed on or written here, and its own ways are taken.
    """

    _take: Callable[[bytes | str], bool] | None = None

    def hand_on(self, take: Callable[[bytes | str], bool]) -> None:
        if hasattr(self.recv_messages, "frames"):
            self._take = take

    def process_event(self, event: Event) -> None:
        if (
            self._take is not None
            and isinstance(event, Frame)
            and event.opcode is Opcode.TEXT
            and event.fin
            and not self.recv_messages.frames  # what came before, or in fragments, goes first
            and self._take(bytes(event.data))
        ):
            return
        super().process_event(event)

    def send_text_now(self, frame: bytes) -> bool:
        if self.protocol.state is not State.OPEN or getattr(self, "paused", True) or not hasattr(self, "send_data"):
            return False
        self.protocol.send_text(frame)
        self.send_data()
        return True


class _Connection:
    """`WireConnection` of the `websockets` library."""

    def __init__(self, socket: ClientConnection, secrets: Sequence[str], options: SocketOptions) -> None:
        self.secrets = secrets
        assert isinstance(socket, _Socket)
        self._socket = socket
        self._options = options

    async def send(self, frame: bytes) -> None:
        try:
            await self._socket.send(frame, text=True)
        except ConnectionClosed as error:
            raise self._closed(error) from None
        if self._socket.close_code is not None:  # it was lost while the sender waited, which send() doesn't tell
            raise self._closed(self._socket.protocol.close_exc)

    async def receive(self) -> bytes | str:
        try:
            return await self._socket.recv(decode=False)
        except ConnectionClosed as error:
            raise self._closed(error) from None

    def deliver(self, take: Callable[[bytes | str], bool]) -> None:
        self._socket.hand_on(take)

    def send_now(self, frame: bytes) -> bool:
        return self._socket.send_text_now(frame)

    async def close(self) -> None:
        try:
            # The library's own limit doesn't count the time that it waits for the network to take the close frame.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._options.close_timeout):
                    await self._socket.close()
        finally:
            self._socket.transport.abort()  # does nothing to a closed one; a cancelled close leaves it open

    def _closed(self, error: ConnectionClosed) -> RemoteClosedError:
        received, sent = error.rcvd, error.sent
        if sent is not None and not error.rcvd_then_sent and sent.code not in {1000, 1001}:
            if sent.code == 1011:
                return silent(self._options.ping_timeout)
            return broken(sent.code, sent.reason)
        if received is not None:
            return closed(received.code, received.reason)
        return lost()
