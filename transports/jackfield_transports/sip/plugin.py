"""The sip transport's entry in the registry. It imports nothing of the transport itself."""

from __future__ import annotations

from jackfield.transport.capabilities import TransportCapabilities
from jackfield.transport.hookspecs import CONTRACT_VERSION, TransportSpec, hookimpl

__all__ = ["CAPABILITIES", "jackfield_transports"]

CAPABILITIES = TransportCapabilities(
    audio_in=False, audio_out=False, playback="server", truncate="server", attach_by_call_id=True, dtmf=True
)
"""The media flows between the phone network and the provider; what we hold is the call's events."""


@hookimpl
def jackfield_transports() -> list[TransportSpec]:
    """Announce the transport `sip`."""
    return [
        TransportSpec(
            name="sip",
            summary="Phone calls that OpenAI answers over SIP",
            factory="jackfield_transports.sip.transport:SipTransport",
            capabilities=CAPABILITIES,
            requires=("httpx", "standardwebhooks", "starlette"),
            extra="sip",
            contract=CONTRACT_VERSION,
        )
    ]
