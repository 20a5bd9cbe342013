"""Dials with `picows`, which frames and unframes in C: the wire for many sessions in one process (extra `fast`).

It calls a listener where other libraries offer coroutines. The connection here is that listener: a message that
arrives goes into a queue, and the first of a batch wakes the reader.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
from collections import deque
from collections.abc import Callable, Sequence

from picows import (
    WSCloseCode,
    WSFrame,
    WSHandshakeError,
    WSListener,
    WSMsgType,
    WSProtocolError,
    WSTransport,
    ws_connect,
)
from picows.url import WSParsedURL

from jackfield.transport import ConfigurationError, JackfieldError, RemoteClosedError
from jackfield.wire import WireConnection
from jackfield.wire.address import Address, refused, unreachable
from jackfield_transports.endpoint import user_agent

from .failures import broken, closed, lost, silent
from .tcp import choose_proxy, connect_tcp, hang_up, open_tunnel
from .wire import LIBRARY_LOGGER, SocketOptions

__all__ = ["PicowsDialer"]

_TEXT, _BINARY, _CONTINUATION = WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION
_PONG, _CLOSE = WSMsgType.PONG, WSMsgType.CLOSE

_WRITE_LIMIT = 32 * 1024
"""Bytes that may wait for the network before a sender waits."""
_MANY_MESSAGES = 64
_FEW_MESSAGES = 16
"""With so many unread messages the socket is left alone, and with so few it is read again."""


class PicowsDialer:
    """Dials with the `picows` library."""

    async def __call__(self, address: Address, options: SocketOptions) -> WireConnection:
        """Dial; see `Dialer`. Raises `ConfigurationError` where compression is asked for: picows has none."""
        if options.compression is not None:
            raise ConfigurationError("wire='picows' can't compress: leave out compression, or use wire='websockets'")
        proxy = choose_proxy(address.url, options.proxy)
        tunnel = proxy if proxy is not None and proxy.startswith("http://") else None
        sockets: list[socket.socket] = []

        async def make_socket(target: WSParsedURL) -> socket.socket:
            if tunnel is not None:
                sock = await open_tunnel(tunnel, target.host, target.port, user_agent())
            else:
                sock = await connect_tcp(target.host, target.port)
            sockets.append(sock)
            return sock

        try:
            _, connection = await ws_connect(
                lambda: _Connection(address.secrets, options),
                address.url,
                ssl_context=options.ssl,
                websocket_handshake_timeout=None,
                logger_name=logging.getLogger(LIBRARY_LOGGER),
                max_frame_size=_limit(options),
                extra_headers={"User-Agent": user_agent(), **address.headers},
                max_redirects=0,
                proxy=None if tunnel is not None else proxy,
                socket_factory=make_socket,
            )
        except BaseException as error:
            # picows has nobody to tell of a cancelled handshake: what it opened would stay open.
            for sock in sockets:
                hang_up(sock)
            typed = _typed(address, error)
            if typed is error:
                raise
            raise typed from error
        if not isinstance(connection, _Connection):
            raise unreachable(address, EOFError("it was closed before it was upgraded"))
        return connection


class _Connection(WSListener):
    """`WireConnection` of the `picows` library, and the listener that it calls."""

    def __init__(self, secrets: Sequence[str], options: SocketOptions) -> None:
        self.secrets = secrets
        self._options = options
        self._limit = _limit(options)
        self._loop = asyncio.get_running_loop()
        self._transport: WSTransport
        self._messages: deque[bytes] = deque()
        self._paused = False
        self._reader: asyncio.Future[None] | None = None
        self._take: Callable[[bytes | str], bool] | None = None
        self._parts: list[bytes] = []
        self._parts_size = 0
        self._writable = asyncio.Event()
        self._writable.set()
        self._ended: RemoteClosedError | None = None
        self._closing = False
        self._gone = asyncio.Event()
        self._keepalive: asyncio.TimerHandle | None = None
        self._awaits_pong = False

    # What the transport calls

    async def send(self, frame: bytes) -> None:
        if self._ended is not None:
            raise self._ended
        self._transport.send(_TEXT, frame)
        if not self._writable.is_set():
            await self._writable.wait()
            if self._ended is not None:
                raise self._ended

    async def receive(self) -> bytes | str:
        while not self._messages:
            if self._ended is not None:
                raise self._ended
            self._reader = self._loop.create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        message = self._messages.popleft()
        if self._paused and len(self._messages) <= _FEW_MESSAGES:
            self._paused = False
            self._transport.underlying_transport.resume_reading()
        return message

    def deliver(self, take: Callable[[bytes | str], bool]) -> None:
        self._take = take

    def send_now(self, frame: bytes) -> bool:
        if self._ended is not None or self._closing or not self._writable.is_set():
            return False
        self._transport.send(_TEXT, frame)
        return True

    async def close(self) -> None:
        self._closing = True
        self._stop_keepalive()
        self._transport.send_close(WSCloseCode.OK)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._options.close_timeout):
                    await self._gone.wait()
        finally:
            self._transport.disconnect(graceful=False)
        with contextlib.suppress(WSProtocolError):
            await self._transport.wait_disconnected()

    # What picows calls

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        transport.underlying_transport.set_write_buffer_limits(high=_WRITE_LIMIT)
        self._plan_ping()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind is not _CLOSE and (self._ended is not None or self._closing or frame.payload_size > self._limit):
            return  # picows reads on for a moment after it has refused a frame
        if kind is _TEXT or kind is _BINARY:
            if self._parts:
                self._break_off(WSCloseCode.PROTOCOL_ERROR, "a message began within another")
            elif frame.fin:
                self._put(frame.get_payload_as_bytes())
            else:
                self._add(frame)
        elif kind is _CONTINUATION:
            if self._parts:
                self._add(frame)
            else:
                self._break_off(WSCloseCode.PROTOCOL_ERROR, "a message goes on that never began")
        elif kind is _PONG:
            self._on_pong()
        elif kind is _CLOSE:
            code = frame.get_close_code()
            self._end(_broken_off(transport) or closed(code.value or 1005, frame.get_close_reason() or ""))
            transport.send_close(code if code.value else WSCloseCode.OK)
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._end(_broken_off(transport) or lost())
        self._gone.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _add(self, frame: WSFrame) -> None:
        self._parts_size += frame.payload_size
        if self._parts_size > self._limit:
            self._break_off(WSCloseCode.MESSAGE_TOO_BIG, "the fragments are larger than max_size together")
            return
        self._parts.append(frame.get_payload_as_bytes())
        if frame.fin:
            message = b"".join(self._parts)
            self._parts, self._parts_size = [], 0
            self._put(message)

    def _break_off(self, code: WSCloseCode, reason: str) -> None:
        self._end(broken(code.value, reason))
        self._transport.send_close(code, reason)
        self._transport.disconnect()

    def _put(self, message: bytes) -> None:
        if self._take is not None and not self._messages and self._take(message):
            return
        self._messages.append(message)
        if len(self._messages) >= _MANY_MESSAGES and not self._paused:
            # What isn't read stays with the far end: neither memory nor whoever shares the loop is to suffer.
            self._paused = True
            self._transport.underlying_transport.pause_reading()
        self._wake()

    def _wake(self) -> None:
        reader = self._reader
        if reader is not None and not reader.done():
            reader.set_result(None)

    def _end(self, error: RemoteClosedError) -> None:
        self._stop_keepalive()
        if self._ended is None:
            self._ended = error
            self._writable.set()
            self._wake()

    # Is the far end alive? picows has an answer of its own, whose time limit can't be longer than its interval.

    def _plan_ping(self) -> None:
        if self._options.ping_interval is not None:
            self._keepalive = self._loop.call_later(self._options.ping_interval, self._ping)

    def _ping(self) -> None:
        self._transport.send_ping()
        self._awaits_pong, self._keepalive = True, None
        if self._options.ping_timeout is not None:
            self._keepalive = self._loop.call_later(self._options.ping_timeout, self._give_up)

    def _on_pong(self) -> None:
        if self._awaits_pong:
            self._awaits_pong = False
            self._stop_keepalive()
            self._plan_ping()

    def _give_up(self) -> None:
        self._end(silent(self._options.ping_timeout))
        self._transport.send_close(WSCloseCode.INTERNAL_ERROR, "keepalive ping timeout")
        self._transport.disconnect(graceful=False)

    def _stop_keepalive(self) -> None:
        if self._keepalive is not None:
            self._keepalive.cancel()
            self._keepalive = None


def _limit(options: SocketOptions) -> int:
    return sys.maxsize if options.max_size is None else options.max_size


def _broken_off(transport: WSTransport) -> RemoteClosedError | None:
    """Return why we closed first, where that was for what the far end did."""
    handshake = transport.close_handshake
    sent = None if handshake is None or handshake.recv_then_sent else handshake.sent
    if sent is None or sent.code is WSCloseCode.OK:
        return None
    return broken(sent.code.value, sent.reason)


def _typed(address: Address, error: BaseException) -> BaseException:
    if isinstance(error, WSHandshakeError):
        status = _status(error)
        if status in {None, 101}:
            return unreachable(address, error)
        return refused(address, status, error.raw_body or b"", "the WebSocket")
    if not isinstance(error, Exception) or isinstance(error, JackfieldError | OSError | UnicodeError):
        return error
    return unreachable(address, error)  # say, of the library that speaks SOCKS


def _status(error: WSHandshakeError) -> int | None:
    """The HTTP status, also one that has no name, which picows takes for no status at all."""
    words = (error.raw_header or b"").split(b" ", 2)
    return int(words[1]) if len(words) > 1 and words[0].startswith(b"HTTP/") and words[1].isdigit() else None
