"""The signalling: an SDP offer is posted, and the answer and the call's id come back (API: POST /realtime/calls)."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import ssl as ssl_module
from collections.abc import AsyncIterator, Mapping
from contextvars import ContextVar
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlencode, urlsplit

import httpx
from attrs import frozen

from jackfield.openai import encode, session_payload
from jackfield.transport import ConfigurationError, ConnectOptions, ConnectRefusedError, redact
from jackfield_transports.endpoint import (
    DEFAULT_MODEL,
    Address,
    base_url,
    check_url,
    given_address,
    openai_key,
    refused,
    user_agent,
)

__all__ = ["Call", "OfferForm", "call_id_of", "calls_address", "offer_form", "post_offer"]

OfferForm: TypeAlias = Literal["auto", "sdp", "multipart"]
"""How the offer is posted: alone (`application/sdp`), or with the session (`multipart/form-data`)."""

_LARGEST_ANSWER: Final = 256 * 1024

_quiet: ContextVar[bool] = ContextVar("jackfield_webrtc_quiet", default=False)
"""Set while our own request is under way: httpx logs its URL, and there may be a key in that."""
logging.getLogger("httpx").addFilter(lambda record: not _quiet.get())


@frozen
class Call:
    """A call that was created. `call_id` is None where the far end doesn't tell it."""

    answer: str
    call_id: str | None


async def calls_address(options: ConnectOptions) -> Address:
    """Return where the offer is posted to; the key is asked for now.

    `url` is used as given. Without it the base is OPENAI_BASE_URL, or the OpenAI API. With `headers`, even empty ones,
    no Authorization is added. Raises `AuthenticationError` without a key, `ConfigurationError` for a bad url.
    """
    if options.call_id is not None:
        raise ConfigurationError(
            "a WebRTC call can't be joined by its call_id, only made: leave it out, or attach over the websocket"
        )
    url = _calls_url(options)
    if options.headers is not None:
        return given_address(url, options.headers)
    key = await openai_key(options)
    return Address(url, {"Authorization": f"Bearer {key}"}, (key,))


def offer_form(form: OfferForm, address: Address) -> Literal["sdp", "multipart"]:
    """Return how the offer is posted. An ephemeral key brings its session along; others are sent with one."""
    if form != "auto":
        return form
    return "sdp" if any(secret.startswith("ek_") for secret in address.secrets) else "multipart"


async def post_offer(
    address: Address,
    offer: str,
    options: ConnectOptions,
    *,
    form: Literal["sdp", "multipart"],
    proxy: str | Literal[True] | None,
    ssl: ssl_module.SSLContext | None,
) -> Call:
    """Post the offer and return the call. The caller keeps the time limit: it cancels.

    Raises `AuthenticationError` or `ConnectRefusedError` with what the provider says.
    """
    url, headers = address.url, {"User-Agent": user_agent(), **address.headers}
    parts: dict[str, Any]
    if form == "multipart":
        session = encode(_session(options)).decode()
        parts = {
            "files": {
                "sdp": (None, offer, "application/sdp"),
                "session": (None, session, "application/json"),
            }
        }
    else:
        headers["Content-Type"] = "application/sdp"
        parts = {"content": offer.encode()}  # byte for byte: providers trip over a trimmed one
        if options.url is None and options.model is not None:
            url = f"{url}?{urlencode({'model': options.model})}"
    settings: dict[str, Any] = {"timeout": None, "verify": _verification(url, ssl)}
    if proxy is not True:
        settings |= {"trust_env": False, "proxy": proxy}
    quiet = _quiet.set(True)
    try:
        async with (
            _sockets_closed() as extensions,
            httpx.AsyncClient(**settings) as client,
            client.stream("POST", url, headers=headers, extensions=extensions, **parts) as response,
        ):
            body = await _read(response)
            status, location = response.status_code, response.headers.get("location", "")
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        told = redact(str(error), *address.secrets).strip().rstrip(".") or type(error).__name__
        raise ConnectRefusedError(
            f"the offer could not be posted to {address.place}: {told}. Check the url, the network and the proxy "
            "settings."
        ) from error
    finally:
        _quiet.reset(quiet)
    if not 200 <= status < 300:
        raise refused(address, status, body, "the call")
    return Call(body.decode(errors="replace"), call_id_of(location))


def call_id_of(location: str) -> str | None:
    """Return the call's id from a `Location` header: the last part of the path that is one; proxies may add parts."""
    parts = [part for part in urlsplit(location).path.split("/") if part.startswith("rtc_")]
    return parts[-1] if parts else None


def _calls_url(options: ConnectOptions) -> str:
    advice = "give the HTTP address that offers are posted to, such as https://host/v1/realtime/calls"
    if options.url is not None:
        return check_url(options.url, ("http", "https"), advice)
    base = base_url()
    if base.startswith("ws"):
        base = "http" + base.removeprefix("ws")
    return check_url(f"{base}/realtime/calls", ("http", "https"), advice)


def _session(options: ConnectOptions) -> Mapping[str, Any]:
    session = session_payload(options.initial_session_config or {}, with_model=True, formats=False)
    return {**session, "model": options.model or session.get("model") or DEFAULT_MODEL}


@contextlib.asynccontextmanager
async def _sockets_closed() -> AsyncIterator[dict[str, Any]]:
    """Yield the extensions of a request whose sockets are closed in the end.

    A request that is cancelled in its TLS handshake leaves its socket to the garbage collector (httpcore 1.0).
    """
    streams: list[Any] = []

    async def note(event: str, info: Mapping[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            streams.append(info["return_value"])

    try:
        yield {"trace": note}
    finally:
        for stream in streams:
            await stream.aclose()


async def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > _LARGEST_ANSWER:
            break  # no answer is that long; what there is tells what went wrong
    return bytes(body[:_LARGEST_ANSWER])


def _verification(url: str, ssl: ssl_module.SSLContext | None) -> ssl_module.SSLContext | bool:
    if ssl is not None:
        return ssl
    # Loading the trust store takes longer than the rest of the request: not for an address that has no TLS.
    return _trust_store(os.environ.get("SSL_CERT_FILE", "")) if urlsplit(url).scheme == "https" else False


@functools.lru_cache(maxsize=4)
def _trust_store(cert_file: str) -> ssl_module.SSLContext:
    """The system's trust store, which OpenSSL finds by itself, SSL_CERT_FILE included."""
    return ssl_module.create_default_context()
