"""The session core: a conversation made of a transport's events, with history, tools, guardrails and handoffs."""

from __future__ import annotations

from . import events
from .preview import initial_session_config
from .session import RealtimeSession
from .settings import DEFAULT_MODEL_SETTINGS
from .state import SessionState

__all__ = ["DEFAULT_MODEL_SETTINGS", "RealtimeSession", "SessionState", "events", "initial_session_config"]
