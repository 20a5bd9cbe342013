"""Who thinks: a rule-driven responder that works with any session's tools, and a scripted one."""

from __future__ import annotations

from .rules import RuleResponder
from .script import ScriptError, ScriptResponder

__all__ = ["RuleResponder", "ScriptError", "ScriptResponder"]
