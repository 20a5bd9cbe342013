"""The `azure` transport: the wire of `websocket`, with the address and credentials of Azure OpenAI."""

from __future__ import annotations

import ssl as ssl_module
from typing import Literal

from jackfield.openai import BargeIn, OpenAIRealtimeTransport, Watchdog
from jackfield_transports.websocket.foreign import OpenConnection
from jackfield_transports.websocket.transport import WireName, choose_dialer
from jackfield_transports.websocket.wire import SocketOptions, WebSocketWire

from .address import DEFAULT_SCOPE, AzureAddressing, AzureCredential, TokenProvider
from .plugin import CAPABILITIES

__all__ = ["AzureTransport"]


class AzureTransport(OpenAIRealtimeTransport):
    """Azure OpenAI Realtime over a WebSocket.

    `endpoint` is https://<resource>.openai.azure.com or the resource's bare name (or AZURE_OPENAI_ENDPOINT),
    `deployment` the deployment's name (or `model=` at connect). Credentials, asked for at every dial: `api_key=` at
    connect or AZURE_OPENAI_API_KEY; `token`, a bearer token or a function that returns one; `credential`, an
    `azure.core` credential. The rest is as for the `websocket` transport.
    """

    def __init__(
        self,
        *,
        endpoint: str | None = None,
        deployment: str | None = None,
        token: TokenProvider | None = None,
        credential: AzureCredential | None = None,
        scope: str = DEFAULT_SCOPE,
        wire: WireName = "websockets",
        open_connection: OpenConnection | None = None,
        open_timeout: float | None = 10.0,
        ping_interval: float | None = 20.0,
        ping_timeout: float | None = 20.0,
        close_timeout: float = 1.0,
        max_size: int | None = 32 * 1024 * 1024,
        proxy: str | Literal[True] | None = True,
        ssl: ssl_module.SSLContext | None = None,
        compression: Literal["deflate"] | None = None,
        barge_in: BargeIn = "auto",
        watchdog: Watchdog | None = None,
    ) -> None:
        addressing = AzureAddressing(
            endpoint=endpoint, deployment=deployment, token=token, credential=credential, scope=scope
        )
        options = SocketOptions(
            open_timeout=open_timeout,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            max_size=max_size,
            proxy=proxy,
            ssl_context=ssl,
            compression=compression,
        )
        super().__init__(
            WebSocketWire(addressing, choose_dialer(wire, open_connection), options),
            name="azure",
            capabilities=CAPABILITIES,
            barge_in=barge_in,
            watchdog=watchdog,
        )
