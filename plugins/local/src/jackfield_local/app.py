"""Which path leads to what: the Starlette application, and the WebSocket protocol that it is served with."""

from __future__ import annotations

import asyncio

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route, WebSocketRoute
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from jackfield_local.doors import Doors
from jackfield_local.rest import Secrets, http_error

__all__ = ["WebSocketProtocol", "make_app"]


def make_app(doors: Doors, secrets: Secrets) -> Starlette:
    """Return the application."""
    return Starlette(
        routes=[
            WebSocketRoute("/v1/realtime", doors.realtime),
            WebSocketRoute("/openai/v1/realtime", doors.azure),
            WebSocketRoute("/openai/realtime", doors.azure_preview),
            Route("/v1/realtime/client_secrets", secrets.openai, methods=["POST"]),
            Route("/openai/v1/realtime/client_secrets", secrets.azure, methods=["POST"]),
        ],
        exception_handlers={HTTPException: http_error},
    )


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol, which also tells the application what it is connected to, so that a fault can cut it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Put the transport into the connection's state."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}
