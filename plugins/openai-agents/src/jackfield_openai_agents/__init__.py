"""Transports for the sessions of OpenAI's Agents SDK: WebRTC, Azure, SIP, and any that is installed.

`TransportModel` is a `RealtimeModel` of that SDK: `RealtimeRunner(agent, model=TransportModel("webrtc"))`. The agents,
tools, handoffs, guardrails and the session are the SDK's own; only the way to the model is jackfield's.
"""

from __future__ import annotations

from .model import TransportModel
from .version import __version__

__all__ = ["TransportModel", "__version__"]
