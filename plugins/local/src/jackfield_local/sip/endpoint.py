"""The sockets of a user agent: one port for UDP and TCP, and its timers on the event loop."""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
from collections.abc import Callable
from typing import Any, Final

from jackfield_local.sip.events import Event
from jackfield_local.sip.flow import Flow, HostPort
from jackfield_local.sip.framing import PING, PONG, FramingError, StreamFramer
from jackfield_local.sip.user_agent import UserAgent

__all__ = ["Endpoint"]

logger = logging.getLogger(__name__)

_LARGEST_BACKLOG: Final = 1024 * 1024
"""Bytes that may wait for a peer who reads nothing, before it is dropped."""
_MOST_CONNECTIONS: Final = 1_000
_TRIES: Final = 16
_ANY: Final = ("0.0.0.0", "::")  # noqa: S104 - what a user may have asked for


class Endpoint:
    """A user agent on the network. `on_event` is called with its events, in the event loop's own time.

    What is done with a call (`call.accept(...)`, for example) goes out at the next turn of the loop.
    """

    def __init__(self, on_event: Callable[[Event], None], **options: Any) -> None:
        loop = asyncio.get_running_loop()
        self._agent = UserAgent(clock=loop.time, wake=self._wake, **options)
        self._loop = loop
        self._on_event = on_event
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self._connections: dict[int, _Connection] = {}
        self._numbers = itertools.count(1)
        self._timer: asyncio.TimerHandle | None = None
        self._woken: asyncio.Handle | None = None
        self.local: HostPort = ("", 0)
        """Where peers reach us."""

    @property
    def agent(self) -> UserAgent:
        """The user agent."""
        return self._agent

    async def open(self, host: str, port: int = 0, *, listen_tcp: bool = True) -> None:
        """Open the port, 0 for a free one. Raises `OSError`."""
        udp, tcp = _bind(host, port, listen_tcp=listen_tcp)
        try:
            self.local = udp.getsockname()[:2]
            self._udp, _ = await self._loop.create_datagram_endpoint(lambda: _Datagrams(self), sock=udp)
            if tcp is not None:
                self._tcp = await self._loop.create_server(lambda: _Connection(self), sock=tcp)
        except BaseException:
            udp.close()
            if tcp is not None:
                tcp.close()
            await self.close()
            raise

    def udp_flow(self, remote: HostPort) -> Flow:
        """Return the way to a peer over UDP."""
        host, port = self.local
        if host in _ANY:
            host = self._facing(remote)
        return Flow("UDP", (host, port), remote)

    async def connect(self, remote: HostPort) -> Flow:
        """Connect to a peer over TCP, and return the way. Raises `OSError`."""
        _, connection = await self._loop.create_connection(lambda: _Connection(self), *remote)
        return connection.flow

    async def close(self) -> None:
        """Send what is to be sent, and close everything; calls that there are end without a word."""
        if self._woken is not None:
            self._flush()
        for handle in (self._timer, self._woken):
            if handle is not None:
                handle.cancel()
        self._timer = self._woken = None
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
        for connection in list(self._connections.values()):
            connection.close()
        # Sockets are closed in the loop's next turn.
        await asyncio.sleep(0)

    def receive(self, data: bytes, flow: Flow) -> None:
        """Take a message; the protocols call this."""
        try:
            self._agent.receive(data, flow)
        except Exception:
            logger.exception("A SIP message could not be dealt with")

    def connected(self, connection: _Connection) -> int:
        """Take note of a new connection, and return its number; 0 where there are too many."""
        if len(self._connections) >= _MOST_CONNECTIONS:
            return 0
        number = next(self._numbers)
        self._connections[number] = connection
        return number

    def disconnected(self, flow: Flow) -> None:
        """Take note that a connection is gone."""
        if self._connections.pop(flow.connection, None) is not None:
            self._agent.lost(flow)

    def _facing(self, remote: HostPort) -> str:
        """Return the address of this machine that a peer sees, where we listen on all of them."""
        family = socket.AF_INET6 if ":" in remote[0] else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect(remote)
            host: str = sock.getsockname()[0]
            return host

    def _wake(self) -> None:
        if self._woken is None:
            self._woken = self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._woken = None
        for data, flow in self._agent.take_messages():
            self._send(data, flow)
        for event in self._agent.take_events():
            try:
                self._on_event(event)
            except Exception:
                logger.exception("A SIP event could not be dealt with")
        self._set_timer()

    def _send(self, data: bytes, flow: Flow) -> None:
        if flow.transport == "UDP":
            if self._udp is not None and not self._udp.is_closing():
                self._udp.sendto(data, flow.remote)
        elif (connection := self._connections.get(flow.connection)) is not None:
            connection.send(data)
        else:
            self._agent.lost(flow)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._agent.deadline
        if deadline is not None and self._udp is not None and not self._udp.is_closing():
            self._timer = self._loop.call_at(deadline, self._advance)

    def _advance(self) -> None:
        self._timer = None
        self._agent.advance()
        if self._woken is None:
            self._set_timer()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self._endpoint.receive(data, self._endpoint.udp_flow((addr[0], addr[1])))

    def error_received(self, exc: Exception) -> None:
        # Who is gone doesn't answer either: the transactions find out by themselves.
        logger.debug("A SIP message could not be delivered: %s", exc)


class _Connection(asyncio.Protocol):
    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._framer = StreamFramer()
        self._transport: asyncio.Transport | None = None
        self.flow = Flow("TCP", endpoint.local, ("", 0))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        number = self._endpoint.connected(self)
        remote = transport.get_extra_info("peername") or ("", 0)
        local = (transport.get_extra_info("sockname")[0], self._endpoint.local[1])
        self.flow = Flow("TCP", local, (remote[0], remote[1]), number)
        if not number:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        try:
            for message in self._framer.feed(data):
                if message == PING:
                    self.send(PONG)
                else:
                    self._endpoint.receive(message, self.flow)
        except FramingError as error:
            logger.debug("A connection is of no more use: %s", error)
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._endpoint.disconnected(self.flow)

    def send(self, data: bytes) -> None:
        assert self._transport is not None
        if self._transport.is_closing():
            return
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > _LARGEST_BACKLOG:
            self._transport.abort()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _bind(host: str, port: int, *, listen_tcp: bool) -> tuple[socket.socket, socket.socket | None]:
    """Return sockets for UDP and TCP of one number."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for remaining in range(_TRIES, 0, -1):
        udp = socket.socket(family, socket.SOCK_DGRAM)
        try:
            udp.setblocking(False)
            udp.bind((host, port))
            if not listen_tcp:
                return udp, None
            tcp = socket.create_server((host, udp.getsockname()[1]), family=family, backlog=128)
        except OSError:
            udp.close()
            # A free port for UDP may be in use for TCP.
            if port or remaining == 1:
                raise
        else:
            tcp.setblocking(False)
            return udp, tcp
    raise AssertionError("the last try has raised")
