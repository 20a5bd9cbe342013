"""Where to dial and with what credentials: the Gemini API, its ephemeral tokens, Vertex AI, or an address as given."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from attrs import field, frozen

from jackfield.transport import (
    AuthenticationError,
    ConfigurationError,
    ConnectOptions,
    JackfieldError,
    UnsupportedByTransportError,
    resolve_api_key,
)

from .session_setup import DEFAULT_MODEL

__all__ = ["Address", "Place", "address_of"]

_SERVICE: Final = "/ws/google.ai.generativelanguage.{version}.GenerativeService.BidiGenerateContent"
_VERTEX_SERVICE: Final = "/ws/google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent"
_TOKEN: Final = "auth_tokens/"  # noqa: S105 - how the name of an ephemeral token begins
_LOCATION = re.compile(r"[a-z0-9-]+")
_SECRET_NAMES: Final = frozenset(
    {"authorization", "x-goog-api-key", "cookie", "key", "api_key", "token", "access_token"}
)


@frozen
class Address:
    """A URL, the headers of the request, and which strings in them are secret. Its repr shows no credential."""

    url: str = field(repr=lambda url: repr(url.partition("?")[0]))
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def place(self) -> str:
        """The URL without its query, for messages."""
        return self.url.partition("?")[0]


@frozen(kw_only=True)
class Place:
    """The endpoint that a transport goes to, unless it is given a url."""

    base_url: str | None = None
    api_version: str = "v1beta"
    project: str | None = None
    """Of Google Cloud: with it the endpoint is Vertex AI's, and keys are OAuth tokens."""
    location: str = "us-central1"

    def __attrs_post_init__(self) -> None:
        if not _LOCATION.fullmatch(self.location):
            raise ConfigurationError(f"location={self.location!r} is no location: give one such as 'us-central1'")
        if not re.fullmatch(r"v\d+\w*", self.api_version):
            raise ConfigurationError(f"api_version={self.api_version!r} is no version: give one such as 'v1beta'")

    def model(self, name: str | None) -> str:
        """Return the full name of a model."""
        name = name or DEFAULT_MODEL
        if "/" in name:
            return name
        if self.project is not None:
            return f"projects/{self.project}/locations/{self.location}/publishers/google/models/{name}"
        return f"models/{name}"


async def address_of(options: ConnectOptions, place: Place) -> Address:
    """Return the address for `options`; the key is asked for now.

    A `url` is used as given. With `headers`, even empty ones, no credential is added. Raises `AuthenticationError`
    without a key, `ConfigurationError` for a bad url.
    """
    if options.call_id is not None:
        raise UnsupportedByTransportError(
            "Gemini has no calls to attach to: leave call_id out (capability attach_by_call_id)"
        )
    url = options.url
    if url is not None:
        _check(url)
    if options.headers is not None:
        return _given(url or _service(place, ephemeral=False), options.headers)
    key = await _key(options, place)
    ephemeral = key.startswith(_TOKEN)
    if place.project is not None:
        name, value = "Authorization", f"Bearer {key}"
    elif ephemeral:
        name, value = "Authorization", f"Token {key}"
    else:
        name, value = "x-goog-api-key", key
    if not value.isascii() or not value.isprintable():
        raise ConfigurationError(
            "the key holds what no header can, such as a line break or a letter beyond ASCII: is it copied whole, and "
            "without the end of its line?"
        )
    secrets = (key, key.removeprefix(_TOKEN)) if ephemeral else (key,)
    given = _given(url or _service(place, ephemeral=ephemeral), {})
    return Address(given.url, {name: value}, (*secrets, *given.secrets))


def _service(place: Place, *, ephemeral: bool) -> str:
    if place.project is not None:
        base = place.base_url or f"wss://{place.location}-aiplatform.googleapis.com"
        path = _VERTEX_SERVICE
    else:
        base = place.base_url or "wss://generativelanguage.googleapis.com"
        version = "v1alpha" if ephemeral else place.api_version
        path = _SERVICE.format(version=version) + ("Constrained" if ephemeral else "")
    if base.startswith("http"):
        base = "ws" + base.removeprefix("http")
    url = base.rstrip("/") + path
    _check(url)
    return url


async def _key(options: ConnectOptions, place: Place) -> str:
    try:
        key = await resolve_api_key(options.api_key)
    except JackfieldError:
        raise
    except Exception as error:
        raise AuthenticationError(
            f"the api_key function raised {type(error).__name__}, so there are no credentials to connect with: see the "
            "cause"
        ) from error
    if not key and place.project is None:
        key = os.environ.get("GOOGLE_API_KEY") or os.environ.get("GEMINI_API_KEY")
    if key:
        return key
    if place.project is not None:
        raise AuthenticationError("no OAuth token: give api_key=, a function that returns one, to connect()")
    raise AuthenticationError("no API key: give api_key= to connect(), or set GEMINI_API_KEY")


def _given(url: str, headers: Mapping[str, str]) -> Address:
    in_headers = [value.rpartition(" ")[2] for name, value in headers.items() if name.lower() in _SECRET_NAMES]
    in_url = [value for name, value in parse_qsl(urlsplit(url).query) if name.lower() in _SECRET_NAMES]
    return Address(url, dict(headers), tuple(in_headers + in_url))


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigurationError(f"the url is no address: {error}") from None
    if parts.scheme not in ("ws", "wss"):
        raise ConfigurationError(
            f"the url's scheme is {parts.scheme or 'missing'}: give a WebSocket address, ws://... or wss://..."
        )
    if not host or parts.fragment:
        raise ConfigurationError("the url has no host, or a fragment (#...): give wss://host/path")
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError('the url holds a user or a password: give headers={"Authorization": ...} instead')
