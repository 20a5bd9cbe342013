"""Where to dial and with what credentials: Azure OpenAI's GA Realtime endpoint.

The path is /openai/v1/realtime?model=<deployment>, without api-version. The preview path is refused, with the right
one in the message.
"""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeAlias
from urllib.parse import parse_qs, urlencode, urlsplit

from attrs import field, frozen

from jackfield.transport import AuthenticationError, ConfigurationError, ConnectOptions, resolve_api_key
from jackfield.wire.address import Address, asked, given_address
from jackfield_transports.websocket.address import check_websocket_url

__all__ = ["DEFAULT_SCOPE", "AzureAddressing", "AzureCredential", "TokenProvider"]

DEFAULT_SCOPE = "https://cognitiveservices.azure.com/.default"

TokenProvider: TypeAlias = str | Callable[[], str | Awaitable[str]]
"""A bearer token, or a sync or async function that returns one. A sync function is called on a thread: it may block."""


class AzureCredential(Protocol):
    """A credential of `azure.core`: `get_token(scope)` returns, or awaits to, an object with `token`."""

    def get_token(self, *scopes: str) -> Any:
        """Return an access token for `scopes`."""


@frozen(kw_only=True)
class AzureAddressing:
    """From connect options to the address on Azure; asked at every dial, and with it the key or the token."""

    endpoint: str | None = None
    deployment: str | None = None
    token: TokenProvider | None = field(default=None, repr=False)
    credential: AzureCredential | None = field(default=None, repr=False)
    scope: str = DEFAULT_SCOPE

    async def __call__(self, options: ConnectOptions) -> Address:
        """Return the address for `options`.

        Raises `ConfigurationError` for a preview URL, or where endpoint or deployment is missing;
        `AuthenticationError` where there are no credentials.
        """
        url = self._url(options)
        if options.headers is not None:
            return given_address(url, options.headers)
        name, value, secret = await self._authorization(options)
        return Address(url, {name: value}, (secret,))

    def _url(self, options: ConnectOptions) -> str:
        if options.url is not None:
            return check_websocket_url(_ga_only(options.url, options.model or self.deployment))
        endpoint = self.endpoint or os.environ.get("AZURE_OPENAI_ENDPOINT")
        if not endpoint:
            raise ConfigurationError(
                "no Azure endpoint: give endpoint= (https://<resource>.openai.azure.com, or just the resource's name), "
                "or set AZURE_OPENAI_ENDPOINT"
            )
        base = _base(_ga_only(endpoint, options.model or self.deployment))
        if options.call_id is not None:
            return f"{base}/openai/v1/realtime?{urlencode({'call_id': options.call_id})}"
        deployment = options.model or self.deployment
        if not deployment:
            raise ConfigurationError("no deployment: give deployment=, or model= with the deployment's name")
        return f"{base}/openai/v1/realtime?{urlencode({'model': deployment})}"

    async def _authorization(self, options: ConnectOptions) -> tuple[str, str, str]:
        given = [
            name
            for name, value in (("api_key", options.api_key), ("token", self.token), ("credential", self.credential))
            if value is not None
        ]
        if len(given) > 1:
            raise ConfigurationError(f"{' and '.join(given)} are both given: which one is meant? Leave one of them out")
        if self.token is not None:
            token = await asked("token", _token(self.token))
            return "Authorization", f"Bearer {token}", token
        if self.credential is not None:
            token = await asked("credential's get_token", _credential_token(self.credential, self.scope))
            return "Authorization", f"Bearer {token}", token
        key = await asked("api_key", resolve_api_key(options.api_key)) or os.environ.get("AZURE_OPENAI_API_KEY")
        if not key:
            raise AuthenticationError(
                "no Azure credentials: give api_key= to connect(), token= or credential= to the transport, or set "
                "AZURE_OPENAI_API_KEY"
            )
        return "api-key", key, key


def _base(endpoint: str) -> str:
    """A resource's bare name, or any form of its address, to the WebSocket address of the host."""
    if "://" not in endpoint:
        is_host = "." in endpoint or ":" in endpoint
        endpoint = f"wss://{endpoint}" if is_host else f"wss://{endpoint}.openai.azure.com"
    parts = urlsplit(endpoint)
    scheme = {"https": "wss", "http": "ws"}.get(parts.scheme, parts.scheme)
    return check_websocket_url(f"{scheme}://{parts.netloc}")


def _ga_only(url: str, deployment: str | None) -> str:
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    if parts.path.rstrip("/").endswith("/openai/realtime") or "api-version" in query:
        name = deployment or query.get("deployment", query.get("model", ["<deployment>"]))[0]
        raise ConfigurationError(
            f"this is the preview Realtime address of Azure, which speaks another dialect. Use the GA one: "
            f"{_base(url)}/openai/v1/realtime?model={name}"
        )
    return url


async def _token(token: TokenProvider) -> str:
    if isinstance(token, str):
        return token
    # Official sync providers ask over the network: off the loop with them.
    told = token() if inspect.iscoroutinefunction(token) else await asyncio.to_thread(token)
    if inspect.isawaitable(told):
        told = await told
    if not isinstance(told, str):
        raise ConfigurationError(f"the token provider returned {type(told).__name__}: it must return a str")
    return told


async def _credential_token(credential: AzureCredential, scope: str) -> str:
    get_token = credential.get_token
    told = get_token(scope) if inspect.iscoroutinefunction(get_token) else await asyncio.to_thread(get_token, scope)
    if inspect.isawaitable(told):
        told = await told
    token = getattr(told, "token", None)
    if not isinstance(token, str):
        raise ConfigurationError(
            f"the credential's get_token returned {type(told).__name__}, which has no token: give an azure.core "
            "credential"
        )
    return token
