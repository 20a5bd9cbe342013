"""The webrtc transport's entry in the registry. It imports nothing of the transport itself."""

from __future__ import annotations

from jackfield.transport.capabilities import TransportCapabilities
from jackfield.transport.hookspecs import CONTRACT_VERSION, TransportSpec, hookimpl

__all__ = ["CAPABILITIES", "jackfield_transports"]

CAPABILITIES = TransportCapabilities(mute=True, playback="server", truncate="server", local_media=True, dtmf=True)


@hookimpl
def jackfield_transports() -> list[TransportSpec]:
    """Offer the transport `webrtc`."""
    return [
        TransportSpec(
            name="webrtc",
            summary="OpenAI Realtime API over WebRTC",
            factory="jackfield_transports.webrtc.transport:WebRTCTransport",
            capabilities=CAPABILITIES,
            requires=("aiortc", "av", "httpx", "numpy"),
            extra="webrtc",
            contract=CONTRACT_VERSION,
        )
    ]
