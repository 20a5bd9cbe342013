"""Gemini Live for jackfield: transport `gemini`, the protocol BidiGenerateContent over a WebSocket.

`create_transport("gemini")` is how it is had. `GeminiTransport` and `GeminiDialect` are here for who builds upon them,
`testing` has a server that plays the provider, and `stand_in` one that converses, with no key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from .dialect import GeminiDialect
    from .transport import GeminiTransport

__all__ = ["GeminiDialect", "GeminiTransport", "__version__"]


def __getattr__(name: str) -> Any:
    """Load what is heavy when it is used: the package is imported whenever transports are listed."""
    if name == "GeminiDialect":
        from .dialect import GeminiDialect

        return GeminiDialect
    if name == "GeminiTransport":
        from .transport import GeminiTransport

        return GeminiTransport
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
