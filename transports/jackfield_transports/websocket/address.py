"""Where to dial and with what credentials: the address of the OpenAI Realtime API."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Mapping
from typing import TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

from attrs import field, frozen

import jackfield
from jackfield.transport import (
    AuthenticationError,
    ConfigurationError,
    ConnectOptions,
    JackfieldError,
    resolve_api_key,
)

__all__ = [
    "DEFAULT_BASE_URL",
    "DEFAULT_MODEL",
    "Address",
    "asked",
    "check_websocket_url",
    "given_address",
    "openai_address",
    "user_agent",
]

T = TypeVar("T")

DEFAULT_BASE_URL = "wss://api.openai.com/v1"
DEFAULT_MODEL = "gpt-realtime"
_SECRET_NAMES = frozenset({"authorization", "api-key", "x-api-key", "cookie", "key", "token", "access_token"})


def _sendable(_: Address, __: object, headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not isinstance(value, str) or not value.isascii() or not value.isprintable():
            raise ConfigurationError(
                f"the header {name} holds what no header can, such as a line break or a letter beyond ASCII: is the "
                "key or token copied whole, and without the end of its line?"
            )


@frozen
class Address:
    """A URL, the headers of the handshake, and which strings in them are secret. Its repr shows no credential."""

    url: str = field(repr=lambda url: repr(url.partition("?")[0]))
    headers: Mapping[str, str] = field(factory=dict, repr=False, validator=_sendable)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def place(self) -> str:
        """The URL without its query, for messages."""
        return self.url.partition("?")[0]


async def openai_address(options: ConnectOptions) -> Address:
    """Return the address for `options`; the key is asked for now.

    `url` is used as given. Without it the base is OPENAI_BASE_URL, or the OpenAI API. With `headers`, even empty ones,
    no Authorization is added. Raises `AuthenticationError` without a key, `ConfigurationError` for a bad url.
    """
    url = _url(options)
    if options.headers is not None:
        return given_address(url, options.headers)
    key = await asked("api_key", resolve_api_key(options.api_key)) or os.environ.get("OPENAI_API_KEY")
    if not key:
        raise AuthenticationError("no API key: give api_key= to connect(), or set OPENAI_API_KEY")
    return Address(url, {"Authorization": f"Bearer {key}"}, (key,))


def given_address(url: str, headers: Mapping[str, str]) -> Address:
    """Return the address of a url and headers that the user gave, with the credentials in them marked as secret."""
    in_headers = [value.rpartition(" ")[2] for name, value in headers.items() if name.lower() in _SECRET_NAMES]
    in_url = [value for name, value in parse_qsl(urlsplit(url).query) if name.lower() in _SECRET_NAMES]
    return Address(url, dict(headers), tuple(in_headers + in_url))


def check_websocket_url(url: str) -> str:
    """Return `url`; raise `ConfigurationError` where it is no ws:// or wss:// address."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigurationError(f"the url is no address: {error}") from None
    if parts.scheme not in {"ws", "wss"}:
        raise ConfigurationError(
            f"the url's scheme is {parts.scheme or 'missing'}: give a WebSocket address, ws://... or wss://... "
            "(an http address belongs into OPENAI_BASE_URL)"
        )
    if not host or parts.fragment:
        raise ConfigurationError("the url has no host, or a fragment (#...): give wss://host/path?query")
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


def user_agent() -> str:
    """Return what we call ourselves in the handshake."""
    return f"jackfield/{jackfield.__version__}"


def _url(options: ConnectOptions) -> str:
    if options.url is not None:
        return check_websocket_url(options.url)
    if options.call_id is not None and options.model is not None:
        raise ConfigurationError("call_id joins a call whose model is settled: leave out model, or call_id")
    base = (os.environ.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL).rstrip("/")
    if base.startswith("http"):
        base = "ws" + base.removeprefix("http")
    query = {"model": options.model or DEFAULT_MODEL} if options.call_id is None else {"call_id": options.call_id}
    return check_websocket_url(f"{base}/realtime?{urlencode(query)}")
