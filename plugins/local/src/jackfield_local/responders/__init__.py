"""Who thinks: a rule-driven responder that works with any session's tools, and a scripted one."""

from __future__ import annotations

from jackfield_local.responders.rules import RuleResponder
from jackfield_local.responders.script import ScriptError, ScriptResponder

__all__ = ["RuleResponder", "ScriptError", "ScriptResponder"]
