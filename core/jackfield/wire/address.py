"""Where a wire dials, with which credentials, and how it is refused there: for every wire over HTTP or WebSockets.

An `Address` is made anew at every dial, with a key that was asked for then. Its credentials are cut out of whatever is
told about it. Nothing here opens a socket.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Mapping
from typing import TypeVar
from urllib.parse import parse_qsl, urlsplit

from attrs import field, frozen

from jackfield.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectRefusedError,
    JackfieldError,
    redact,
)
from jackfield.transport.options import ConnectOptions, resolve_api_key

__all__ = ["Address", "asked", "asked_key", "check_url", "given_address", "refused", "unreachable"]

T = TypeVar("T")

_SECRET_NAMES = frozenset(
    {"authorization", "api-key", "api_key", "x-api-key", "x-goog-api-key", "cookie", "key", "token", "access_token"}
)
_MAX_REASON = 500


def _sendable(_: Address, __: object, headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not isinstance(value, str) or not value.isascii() or not value.isprintable():
            raise ConfigurationError(
                f"the header {name} holds what no header can, such as a line break or a letter beyond ASCII: is the "
                "key or token copied whole, and without the end of its line?"
            )


@frozen
class Address:
    """A URL, the headers of the request, and which strings in them are secret. Its repr shows no credential."""

    url: str = field(repr=lambda url: repr(url.partition("?")[0]))
    headers: Mapping[str, str] = field(factory=dict, repr=False, validator=_sendable)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def place(self) -> str:
        """The URL without its query, for messages."""
        return self.url.partition("?")[0]


def given_address(url: str, headers: Mapping[str, str]) -> Address:
    """Return the address of a url and headers that the user gave, with the credentials in them marked as secret."""
    in_headers = [value.rpartition(" ")[2] for name, value in headers.items() if name.lower() in _SECRET_NAMES]
    in_url = [value for name, value in parse_qsl(urlsplit(url).query) if name.lower() in _SECRET_NAMES]
    return Address(url, dict(headers), tuple(in_headers + in_url))


def check_url(url: str, schemes: tuple[str, ...], advice: str) -> str:
    """Return `url`; raise `ConfigurationError`, with `advice`, where it has none of the `schemes` or is no address."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigurationError(f"the url is no address: {error}") from None
    if parts.scheme not in schemes:
        raise ConfigurationError(f"the url's scheme is {parts.scheme or 'missing'}: {advice}")
    if not host or parts.fragment:
        raise ConfigurationError(f"the url has no host, or a fragment (#...): give {schemes[-1]}://host/path?query")
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError('the url holds a user or a password: give headers={"Authorization": ...} instead')
    return url


async def asked(what: str, answer: Awaitable[T]) -> T:
    """Return what a function of the application answers.

    What it raises becomes the cause of an `AuthenticationError`, as there are no credentials then.
    """
    try:
        return await answer
    except JackfieldError:
        raise
    except Exception as error:
        raise AuthenticationError(
            f"the {what} function raised {type(error).__name__}, so there are no credentials to connect with: see the "
            "cause"
        ) from error


async def asked_key(options: ConnectOptions, *variables: str) -> str:
    """Return the key to dial with, asked for now: `api_key`, or else what one of the environment's `variables` holds.

    Raises `AuthenticationError` where there is none.
    """
    key = await asked("api_key", resolve_api_key(options.api_key))
    key = key or next((value for value in map(os.environ.get, variables) if value), None)
    if not key:
        raise AuthenticationError(f"no API key: give api_key= to connect(), or set {' or '.join(variables)}")
    return key


def refused(
    address: Address, status: int, body: bytes, what: str = "the WebSocket"
) -> AuthenticationError | ConnectRefusedError:
    """Return the error for a request that was answered with an HTTP status; the far end's text is part of it.

    `what` is the thing that was refused.
    """
    text = redact(body.decode(errors="replace").strip(), *address.secrets)[:_MAX_REASON]
    told = f"{address.place} refused {what} with HTTP {status}" + (f": {text}" if text else "")
    if status in {401, 403}:
        return AuthenticationError(f"{told}. Check the key or token, and that it belongs to this endpoint.")
    if 300 <= status < 400:
        advice = "It points elsewhere, and credentials are not carried there: give the url that is meant."
    else:
        advice = {
            404: "Check the path and the model, deployment or call_id.",
            429: "Too many connections or no quota: wait, then try again.",
        }.get(status, "The far end is in trouble: try again later." if status >= 500 else "Check the url.")
    error = ConnectRefusedError(f"{told}. {advice}", status=status)
    if status not in {408, 429} and status < 500:
        error.classification = "fatal"
    return error


def unreachable(address: Address, error: Exception) -> ConnectRefusedError:
    """Return the error for a connection that could not be made: DNS, TCP, TLS, or no sense in the answer."""
    told = redact(str(error), *address.secrets).strip().rstrip(".") or type(error).__name__
    return ConnectRefusedError(
        f"no connection to {address.place}: {told}. Check the url, the network and the proxy settings."
    )
