"""The transports that the contract is checked on: how to make each, and how to point it at a far end.

A transport joins the suite by a row in `SUBJECTS`. What it can't do it says in its capabilities, and the checks adapt.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from attrs import field, frozen

from jackfield.transport import RealtimeTransportLayer, create_transport

from .far_end import FarConnection, FarEnd

__all__ = ["KEY", "SUBJECTS", "Place", "Subject"]

KEY = "sk-canary-4f1d9c"
"""A key that must turn up nowhere but in the handshake."""


class Place(Protocol):
    """Where a transport can connect: a scripted far end, or a local server."""

    @property
    def url(self) -> str: ...


@frozen
class Subject:
    """One transport, with one set of options."""

    id: str
    transport: str
    options: Mapping[str, Any] = field(factory=dict)

    def make(self, place: Any, **options: Any) -> RealtimeTransportLayer:
        """Make a transport that will connect to `place`."""
        given = {**self.options, **options}
        if self.transport == "azure":
            endpoint = getattr(place, "endpoint", None) or place.azure_endpoint
            given = {"endpoint": endpoint, "deployment": "gpt-realtime", **given}
        return create_transport(self.transport, **given)

    def where(self, place: Place, **options: Any) -> dict[str, Any]:
        """Return what `connect()` needs to be told to reach `place`."""
        given: dict[str, Any] = {"api_key": KEY, **options}
        if self.transport == "websocket":
            given.setdefault("url", f"{place.url}?model=gpt-realtime")
        return given

    @contextlib.asynccontextmanager
    async def connected(self, place: Place, **options: Any) -> AsyncIterator[RealtimeTransportLayer]:
        """Connect, yield the transport, and close it."""
        transport = self.make(place)
        await transport.connect(**self.where(place, **options))
        try:
            yield transport
        finally:
            await transport.close()

    @contextlib.asynccontextmanager
    async def pair(
        self, far_end: FarEnd, **options: Any
    ) -> AsyncIterator[tuple[RealtimeTransportLayer, FarConnection]]:
        """Connect to a far end, and yield both ends of the connection."""
        number = len(far_end.connections)
        async with self.connected(far_end, **options) as transport:
            yield transport, await far_end.connection(number)


SUBJECTS = (
    Subject("websocket", "websocket"),
    Subject("websocket-picows", "websocket", {"wire": "picows"}),
    Subject("azure", "azure"),
)
