"""The `azure` transport: the wire of `websocket`, with the address and credentials of Azure OpenAI."""

from __future__ import annotations

from typing import Unpack

from jackfield_transports.websocket.transport import SocketSettings, SocketTransport

from .address import DEFAULT_SCOPE, AzureAddressing, AzureCredential, TokenProvider
from .plugin import CAPABILITIES

__all__ = ["AzureTransport"]


class AzureTransport(SocketTransport):
    """Azure OpenAI Realtime over a WebSocket.

    `endpoint` is https://<resource>.openai.azure.com or the resource's bare name (or AZURE_OPENAI_ENDPOINT),
    `deployment` the deployment's name (or `model=` at connect). Credentials, asked for at every dial: `api_key=` at
    connect or AZURE_OPENAI_API_KEY; `token`, a bearer token or a function that returns one; `credential`, an
    `azure.core` credential. The other options are those of `SocketSettings`.
    """

    def __init__(
        self,
        *,
        endpoint: str | None = None,
        deployment: str | None = None,
        token: TokenProvider | None = None,
        credential: AzureCredential | None = None,
        scope: str = DEFAULT_SCOPE,
        **settings: Unpack[SocketSettings],
    ) -> None:
        addressing = AzureAddressing(
            endpoint=endpoint, deployment=deployment, token=token, credential=credential, scope=scope
        )
        super().__init__(addressing, name="azure", capabilities=CAPABILITIES, **settings)
