"""A server that plays Gemini Live, and does exactly what a test tells it: on loopback, with no key and no model.

::

    async with GeminiServer() as server:                              # polite: it answers whatever it is asked
        session = RealtimeSession(agent, transport="gemini", **server.connect_options)

It accepts what the provider accepts and closes on what that refuses, so that a client which gets along with it has the
protocol right. It is checked with the published client, `google-genai`.
"""

from __future__ import annotations

from .connection import AUDIO, PATIENCE, ClientRefusedError, GeminiConnectionEnd, Script, accepting, polite, silent
from .server import GeminiServer

__all__ = [
    "AUDIO",
    "PATIENCE",
    "ClientRefusedError",
    "GeminiConnectionEnd",
    "GeminiServer",
    "Script",
    "accepting",
    "polite",
    "silent",
]
