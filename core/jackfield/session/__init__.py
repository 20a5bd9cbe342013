"""The session core: a conversation made of a transport's events, with history, tools, guardrails and handoffs."""

from __future__ import annotations

from . import events
from .session import RealtimeSession
from .settings import DEFAULT_MODEL_SETTINGS
from .state import SessionState

__all__ = ["DEFAULT_MODEL_SETTINGS", "RealtimeSession", "SessionState", "events"]
