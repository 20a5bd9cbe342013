"""The azure transport's entry in the registry. It imports nothing of the transport itself."""

from __future__ import annotations

from jackfield.transport.capabilities import TransportCapabilities
from jackfield.transport.hookspecs import CONTRACT_VERSION, TransportSpec, hookimpl

__all__ = ["CAPABILITIES", "jackfield_transports"]

CAPABILITIES = TransportCapabilities(attach_by_call_id=True)


@hookimpl
def jackfield_transports() -> list[TransportSpec]:
    """Offer the transport `azure`."""
    # The extra `azure` brings azure-identity, which only some kinds of credential need: it is not required.
    return [
        TransportSpec(
            name="azure",
            summary="Azure OpenAI Realtime API over a WebSocket",
            factory="jackfield_transports.azure.transport:AzureTransport",
            capabilities=CAPABILITIES,
            requires=("websockets",),
            contract=CONTRACT_VERSION,
        )
    ]
