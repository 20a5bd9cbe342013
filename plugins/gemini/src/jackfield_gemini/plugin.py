"""The transport's entry in the registry. It imports nothing of the transport itself."""

from __future__ import annotations

from jackfield.transport import TransportCapabilities, TransportSpec, hookimpl

__all__ = ["CAPABILITIES", "jackfield_transports"]

CAPABILITIES = TransportCapabilities(
    playback="client",
    truncate="server",  # the provider reckons with playback in real time, and can be told nothing of it
    history=False,
    hosted_mcp=False,
    clear_audio=False,
    response_overrides=False,
    cancel=False,
)
"""What Gemini Live can do. What isn't claimed is refused before anything is sent."""


@hookimpl
def jackfield_transports() -> list[TransportSpec]:
    """Offer the transport `gemini`."""
    return [
        TransportSpec(
            name="gemini",
            summary="Gemini Live (BidiGenerateContent) over a WebSocket",
            factory="jackfield_gemini.transport:GeminiTransport",
            capabilities=CAPABILITIES,
            requires=("numpy", "websockets"),
            contract="1.1",
        )
    ]
