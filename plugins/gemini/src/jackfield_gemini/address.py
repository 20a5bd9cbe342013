"""Where to dial and with what credentials: the Gemini API, its ephemeral tokens, Vertex AI, or an address as given."""

from __future__ import annotations

import re
from typing import Final

from attrs import frozen

from jackfield.transport import AuthenticationError, ConfigurationError, ConnectOptions, resolve_api_key
from jackfield.wire.address import Address, asked, asked_key, check_url, given_address

from .session_setup import DEFAULT_MODEL

__all__ = ["Place", "address_of"]

_SERVICE: Final = "/ws/google.ai.generativelanguage.{version}.GenerativeService.BidiGenerateContent"
_VERTEX_SERVICE: Final = "/ws/google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent"
_TOKEN: Final = "auth_tokens/"  # noqa: S105 - how the name of an ephemeral token begins
_LOCATION = re.compile(r"[a-z0-9-]+")
_ADVICE: Final = "give a WebSocket address, ws://... or wss://..."


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
    url = options.url
    if url is not None:
        check_url(url, ("ws", "wss"), _ADVICE)
    if options.headers is not None:
        return given_address(url or _service(place, ephemeral=False), options.headers)
    key = await _key(options, place)
    ephemeral = key.startswith(_TOKEN)
    if place.project is not None:
        name, value = "Authorization", f"Bearer {key}"
    elif ephemeral:
        name, value = "Authorization", f"Token {key}"
    else:
        name, value = "x-goog-api-key", key
    secrets = (key, key.removeprefix(_TOKEN)) if ephemeral else (key,)
    given = given_address(url or _service(place, ephemeral=ephemeral), {})
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
    return check_url(url, ("ws", "wss"), _ADVICE)


async def _key(options: ConnectOptions, place: Place) -> str:
    if place.project is None:
        return await asked_key(options, "GOOGLE_API_KEY", "GEMINI_API_KEY")
    key = await asked("api_key", resolve_api_key(options.api_key))
    if not key:
        raise AuthenticationError("no OAuth token: give api_key=, a function that returns one, to connect()")
    return key
