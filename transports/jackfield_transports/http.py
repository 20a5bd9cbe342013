"""Requests of the Realtime API over HTTP, for transports whose calls begin that way. Imported with httpx, late."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import ssl as ssl_module
from collections.abc import AsyncIterator, Mapping
from contextvars import ContextVar
from typing import Any, Final, Literal
from urllib.parse import urlsplit
from urllib.request import getproxies

import httpx
import orjson

from jackfield.openai import error_from_payload
from jackfield.transport import ConnectTimeoutError, JackfieldError, ProviderError
from jackfield.wire.address import Address, check_url, refused, unreachable

from .endpoint import base_url, user_agent

__all__ = ["call_id_of", "http_base", "http_client", "post"]

_LARGEST_ANSWER: Final = 256 * 1024
_ADVICE: Final = "give the API's HTTP address, such as https://host/v1"

_quiet: ContextVar[bool] = ContextVar("jackfield_quiet_http", default=False)
"""Set while a request of ours is under way: httpx logs its URL, and there may be a key in that."""
logging.getLogger("httpx").addFilter(lambda record: not _quiet.get())


def http_base(base: str | None = None) -> str:
    """Return the base of the API as an HTTP address: `base`, or OPENAI_BASE_URL, or OpenAI's own."""
    base = (base or base_url()).rstrip("/")
    if base.startswith("ws"):
        base = "http" + base.removeprefix("ws")
    return check_url(base, ("http", "https"), _ADVICE)


def http_client(
    url: str, *, proxy: str | Literal[True] | None, ssl: ssl_module.SSLContext | None, timeout: float | None = None
) -> httpx.AsyncClient:
    """Return a client for addresses such as `url`.

    `proxy` is True for what the environment says, a URL, or None; `ssl` verifies the far end, by default with the
    system's trust store.
    """
    # An environment without proxies says nothing, and reading it takes httpx longer than the rest of a client.
    asked = proxy is True and bool(getproxies())
    given = None if proxy is True else proxy
    return httpx.AsyncClient(timeout=timeout, verify=_verification(url, ssl), trust_env=asked, proxy=given)


async def post(
    client: httpx.AsyncClient,
    address: Address,
    what: str,
    *,
    headers: Mapping[str, str] | None = None,
    **content: Any,
) -> tuple[str, bytes]:
    """Post to `address`; return the `Location` header and the body of what is answered. Redirects are not followed.

    `what` is what would be refused, such as "the call". Raises `ConnectTimeoutError`, or `AuthenticationError` or
    `ConnectRefusedError`, whose cause is the provider's `ProviderError` where it said why.
    """
    sent = {"User-Agent": user_agent(), **(headers or {}), **address.headers}
    quiet = _quiet.set(True)
    try:
        async with (
            _sockets_closed() as extensions,
            client.stream(
                "POST", address.url, headers=sent, extensions=extensions, follow_redirects=False, **content
            ) as got,
        ):
            body = await _read(got)
    except httpx.TimeoutException as error:
        told = f"{address.place} did not answer in time: see its state and the network, and try again"
        raise ConnectTimeoutError(told, stage="asking over HTTP") from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise unreachable(address, error) from error
    finally:
        _quiet.reset(quiet)
    if got.is_success:
        return got.headers.get("location", ""), body
    raise refused(address, got.status_code, body, what) from _told(address, body)


def call_id_of(location: str) -> str | None:
    """Return the call's id from a `Location` header: the last part of the path that is one; proxies may add parts."""
    parts = [part for part in urlsplit(location).path.split("/") if part.startswith("rtc_")]
    return parts[-1] if parts else None


def _verification(url: str, ssl: ssl_module.SSLContext | None) -> ssl_module.SSLContext | bool:
    if ssl is not None:
        return ssl
    # Loading the trust store takes longer than a request: not for an address that has no TLS.
    return _trust_store(os.environ.get("SSL_CERT_FILE", "")) if urlsplit(url).scheme == "https" else False


@functools.lru_cache(maxsize=4)
def _trust_store(cert_file: str) -> ssl_module.SSLContext:
    """The system's trust store, which OpenSSL finds by itself, SSL_CERT_FILE included."""
    return ssl_module.create_default_context()


@contextlib.asynccontextmanager
async def _sockets_closed() -> AsyncIterator[dict[str, Any]]:
    """Yield the extensions of a request whose sockets are closed where it is cancelled.

    One that is cancelled in its TLS handshake leaves its socket to the garbage collector (httpcore 1.0).
    """
    streams: list[Any] = []

    async def note(event: str, info: Mapping[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            streams.append(info["return_value"])

    try:
        yield {"trace": note}
    except BaseException:
        for stream in streams:
            await stream.aclose()
        raise


async def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > _LARGEST_ANSWER:
            break  # no answer is that long; what there is tells what went wrong
    return bytes(body[:_LARGEST_ANSWER])


def _told(address: Address, body: bytes) -> JackfieldError | None:
    """Return what the provider says of a refusal, where it says it as the API does."""
    try:
        error = orjson.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return None
    told = error_from_payload(error, *address.secrets) if isinstance(error, dict) else None
    return told if isinstance(told, ProviderError) else None
