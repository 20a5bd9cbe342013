"""The websocket transport's entry in the registry. It imports nothing of the transport itself."""

from __future__ import annotations

from jackfield.transport.capabilities import TransportCapabilities
from jackfield.transport.hookspecs import CONTRACT_VERSION, TransportSpec, hookimpl

__all__ = ["CAPABILITIES", "jackfield_transports"]

CAPABILITIES = TransportCapabilities(attach_by_call_id=True)


@hookimpl
def jackfield_transports() -> list[TransportSpec]:
    """Offer the transport `websocket`."""
    return [
        TransportSpec(
            name="websocket",
            summary="OpenAI Realtime API over a WebSocket",
            factory="jackfield_transports.websocket.transport:WebSocketTransport",
            capabilities=CAPABILITIES,
            requires=("websockets",),
            contract=CONTRACT_VERSION,
        )
    ]
