"""Who may come in: API keys, ephemeral keys with the session they were made for, and where clients put them.

Refusals are `ApiError`s here; how a door tells the client is the door's affair.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import field, frozen

from jackfield_local.engine.errors import ApiError

__all__ = ["ClientSecret", "Keyring", "azure_key", "browser_key", "header_key"]

_BROWSER_PREFIX: Final = "openai-insecure-api-key."
_EPHEMERAL: Final = "ek_"


@frozen
class ClientSecret:
    """An ephemeral key: it starts sessions until `expires_at` (seconds since 1970), with `session` as their default."""

    value: str = field(repr=False)
    expires_at: int
    session: Mapping[str, Any] = field(repr=False)


class Keyring:
    """Knows which keys are good: `api_key`, or any that isn't empty where that is None, and the ephemeral ones."""

    def __init__(self, api_key: str | None = None, *, clock: Callable[[], float] = time.time) -> None:
        self._api_key = api_key
        self._clock = clock
        self._secrets: dict[str, ClientSecret] = {}

    def mint(self, session: Mapping[str, Any], seconds: int) -> ClientSecret:
        """Make an ephemeral key that is good for `seconds`."""
        now = self._clock()
        self._secrets = {value: secret for value, secret in self._secrets.items() if secret.expires_at > now}
        secret = ClientSecret(_EPHEMERAL + secrets.token_hex(16), int(now + seconds), session)
        self._secrets[secret.value] = secret
        return secret

    def check(self, key: str | None) -> ClientSecret | None:
        """Return the client secret that `key` is, None for an API key. Raises `ApiError` for a key that isn't good."""
        if not key:
            message = "Missing bearer or basic authentication in header"
            raise ApiError(message)
        if key.startswith(_EPHEMERAL):
            secret = self._secrets.get(key)
            if secret is not None and secret.expires_at > self._clock():
                return secret
        elif self._api_key is None or secrets.compare_digest(key.encode(), self._api_key.encode()):
            return None
        message = f"Incorrect API key provided: {_masked(key)}. Use the key that this server was started with."
        raise ApiError(message, code="invalid_api_key")


def header_key(headers: Mapping[str, str]) -> str | None:
    """Return the key in the `Authorization` header, bearer or basic."""
    scheme, _, value = headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer":
        return value.strip() or None
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return password or user or None
    return None


def browser_key(subprotocols: Sequence[str]) -> str | None:
    """Return the key that a browser offers among its subprotocols."""
    for name in subprotocols:
        if name.startswith(_BROWSER_PREFIX):
            return name.removeprefix(_BROWSER_PREFIX) or None
    return None


def azure_key(headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
    """Return the key of an Azure client: `api-key` as a header or in the query, or a bearer token."""
    return headers.get("api-key") or query.get("api-key") or header_key(headers)


def _masked(key: str) -> str:
    return f"{key[:3]}{'*' * 8}{key[-4:]}" if len(key) > 12 else "*" * len(key)
