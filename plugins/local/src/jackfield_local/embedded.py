"""uvicorn inside a programme that has a life of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import uvicorn

from jackfield.errors import JackfieldError

__all__ = ["EmbeddedServer", "LocalServerError"]


class LocalServerError(JackfieldError):
    """The server could not be started."""


class EmbeddedServer(uvicorn.Server):
    """uvicorn as a part of somebody else's programme: signals are not its own, and it can be made to let go."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the programme."""
        yield

    async def wait_started(self, serving: asyncio.Task[None]) -> None:
        """Wait until connections are accepted. Raises what `serving` failed with."""
        while not self.started:
            if serving.done():
                await serving
                raise LocalServerError("The server ended before it had begun.")
            await asyncio.sleep(0)

    def abort_connections(self) -> None:
        """Cut what is still open."""
        for connection in list(self.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()
