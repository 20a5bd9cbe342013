"""Which path leads to what: the Starlette application, and the WebSocket protocol that it is served with."""

from __future__ import annotations

import asyncio

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route, WebSocketRoute
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from jackfield_local.calls import Calls
from jackfield_local.doors import Doors
from jackfield_local.rest import Secrets, http_error
from jackfield_local.sip.rest import PhoneCalls

__all__ = ["WebSocketProtocol", "make_app"]


def make_app(doors: Doors, secrets: Secrets, calls: Calls, phone_calls: PhoneCalls) -> Starlette:
    """Return the application."""
    # Pages call from any origin, and read the id of their call in a header.
    cors = Middleware(
        CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"], expose_headers=["Location"]
    )
    return Starlette(
        routes=[
            WebSocketRoute("/v1/realtime", doors.realtime),
            WebSocketRoute("/openai/v1/realtime", doors.azure),
            WebSocketRoute("/openai/realtime", doors.azure_preview),
            Route("/v1/realtime/client_secrets", secrets.openai, methods=["POST"]),
            Route("/openai/v1/realtime/client_secrets", secrets.azure, methods=["POST"]),
            Route("/v1/realtime/calls", calls.create, methods=["POST"]),
            Route("/v1/realtime/calls/{call_id}/hangup", calls.hang_up, methods=["POST"]),
            Route("/v1/realtime/calls/{call_id}/accept", phone_calls.accept, methods=["POST"]),
            Route("/v1/realtime/calls/{call_id}/reject", phone_calls.reject, methods=["POST"]),
            Route("/v1/realtime/calls/{call_id}/refer", phone_calls.refer, methods=["POST"]),
        ],
        middleware=[cors],
        exception_handlers={HTTPException: http_error},
    )


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol, which also tells the application what it is connected to, so that a fault can cut it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Put the transport into the connection's state."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}
