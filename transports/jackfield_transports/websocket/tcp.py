"""A TCP connection to the far end, direct or through the tunnel of an HTTP proxy. Cancelling leaves no socket behind.

Which proxy is used is decided here for every dialer. Proxies that speak SOCKS or TLS are left to the WebSocket
library; a plain HTTP one is not, as what the libraries leave open on a cancelled tunnel differs.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ipaddress
import socket
from typing import Any, Literal, TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from jackfield.transport import ConfigurationError, ConnectRefusedError

__all__ = ["Proxy", "choose_proxy", "connect_tcp", "hang_up", "open_tunnel"]

Proxy: TypeAlias = str | Literal[True] | None
"""True: as the environment says; a URL; None: none."""

_SCHEMES = frozenset({"http", "https", "socks4", "socks4a", "socks5", "socks5h"})
_MAX_HEAD = 16 * 1024


def choose_proxy(url: str, option: Proxy) -> str | None:
    """Return the URL of the proxy for `url`, or None.

    In the environment a proxy for ws or wss comes first, then SOCKS, then those for https and, for ws://, http.
    Raises `ConfigurationError` for what is no proxy URL.
    """
    chosen = _environment_proxy(url) if option is True else option
    if chosen is None:
        return None
    parts = urlsplit(chosen)
    try:
        valid = parts.scheme in _SCHEMES and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid:
        raise ConfigurationError(
            f"the proxy {_shown(parts)} is no proxy's url: give http://host:port, https://, socks5:// or socks4://, or "
            "proxy=None for none"
        )
    return chosen


async def connect_tcp(host: str, port: int) -> socket.socket:
    """Return a connected, non-blocking socket; raise OSError."""
    loop = asyncio.get_running_loop()
    failure: OSError = OSError(f"{host} has no address")
    for family, kind, protocol, address in await _resolve(host, port):
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError as error:
            failure = error  # an address family that this machine doesn't have
            continue
        try:
            sock.setblocking(False)
            await loop.sock_connect(sock, address)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure


async def open_tunnel(proxy: str, host: str, port: int, user_agent: str) -> socket.socket:
    """Return a socket that the HTTP proxy has connected to `host` (method CONNECT).

    Raises OSError where the proxy can't be reached, `ConnectRefusedError` where it won't.
    """
    parts = urlsplit(proxy)
    loop = asyncio.get_running_loop()
    sock = await connect_tcp(str(parts.hostname), parts.port or 80)
    try:
        await loop.sock_sendall(sock, _connect_request(parts, host, port, user_agent))
        status = _status(await _head(sock), parts)
        if not 200 <= status < 300:
            raise _refusal(parts, status)
    except BaseException:
        sock.close()
        raise
    return sock


def hang_up(sock: socket.socket) -> None:
    """End a connection whose socket a library may have taken over: its owner sees an end of file and closes it."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _environment_proxy(url: str) -> str | None:
    parts = urlsplit(url)
    if proxy_bypass(parts.netloc):
        return None
    known = getproxies()
    for scheme in ("wss", "socks", "https") if parts.scheme == "wss" else ("ws", "socks", "https", "http"):
        proxy = known.get(scheme)
        if proxy:
            return "socks5h://" + proxy.removeprefix("http://") if scheme == "socks" else proxy
    return None


async def _resolve(host: str, port: int) -> list[tuple[Any, Any, int, Any]]:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return [(family, kind, protocol, target) for family, kind, protocol, _, target in found]
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    return [(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, (host, port))]


def _connect_request(proxy: SplitResult, host: str, port: int, user_agent: str) -> bytes:
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}", f"User-Agent: {user_agent}"]
    if proxy.username is not None:
        credentials = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(credentials.encode()).decode()}")
    return "\r\n".join([*lines, "", ""]).encode()


async def _head(sock: socket.socket) -> bytes:
    """Read up to the blank line. Nothing follows it: through the tunnel we speak first."""
    loop = asyncio.get_running_loop()
    head = b""
    while b"\r\n\r\n" not in head and len(head) < _MAX_HEAD:
        received = await loop.sock_recv(sock, 4096)
        if not received:
            break
        head += received
    return head


def _status(head: bytes, proxy: SplitResult) -> int:
    words = head.partition(b"\r\n")[0].split(b" ", 2)
    if b"\r\n\r\n" not in head or not words[0].startswith(b"HTTP/") or len(words) < 2 or not words[1].isdigit():
        raise ConnectRefusedError(f"the proxy {_shown(proxy)} gave no HTTP answer. Check that its url is a proxy's.")
    return int(words[1])


def _refusal(proxy: SplitResult, status: int) -> ConnectRefusedError:
    advice = (
        "Check the user and the password in its url."
        if status == 407
        else "Check that it may reach the far end, or name the far end's host in no_proxy."
    )
    error = ConnectRefusedError(f"the proxy {_shown(proxy)} refused with HTTP {status}. {advice}", status=status)
    if status < 500:
        error.classification = "fatal"
    return error


def _shown(proxy: SplitResult) -> str:
    """The proxy's address without its user and password."""
    return f"{proxy.scheme}://{proxy.netloc.rpartition('@')[2]}"
