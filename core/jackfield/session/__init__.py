"""The session core: a conversation made of a transport's events, with history, tools and handoffs."""

from __future__ import annotations

from . import events
from .session import RealtimeSession

__all__ = ["RealtimeSession", "events"]
