"""How a run behaves, from its configuration: guardrails, tools, tracing, budget. Checked before anything starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from attrs import frozen

from jackfield.budget import Budget
from jackfield.config import check_run_config
from jackfield.errors import ConfigurationError
from jackfield.guardrails import OutputGuardrail, OutputGuardrailResult
from jackfield.tools import ToolErrorFormatter
from jackfield.transport.session_config import UNSET

__all__ = ["FeedbackMessage", "RunSettings"]

FeedbackMessage: TypeAlias = str | Callable[[Sequence[OutputGuardrailResult]], str] | None
"""What the model is told of guardrails that tripped: text, a function of their results, or None for nothing."""


def _names_of(results: Sequence[OutputGuardrailResult]) -> str:
    return "guardrail triggered: " + ", ".join(result.guardrail.get_name() for result in results)


@frozen(kw_only=True)
class RunSettings:
    """The settings of a run, but for those of the model."""

    output_guardrails: tuple[OutputGuardrail, ...] = ()
    debounce_text_length: int = 100
    feedback_message: FeedbackMessage = _names_of
    feedback_role: Literal["user", "system"] = "user"
    hold_back_ms: int | None = None
    async_tool_calls: bool = True
    max_concurrency: int = 16
    join: Literal["response", "call"] = "response"
    pre_approval_tool_input_guardrails: bool = False
    respond_to_mcp_calls: bool = True
    tool_error_formatter: ToolErrorFormatter | None = None
    tracing_disabled: bool = False
    budget: Budget | None = None

    @classmethod
    def of(cls, config: Mapping[str, Any] | None) -> RunSettings:
        """Return the settings in a run's configuration; raise `ConfigurationError` for what can't be one."""
        check_run_config(config)
        if not config:
            return DEFAULTS
        given = {
            key: value
            for part in (config, config.get("guardrails_settings") or {}, config.get("tool_execution") or {})
            for key, value in part.items()
            if value is not UNSET and key not in ("model_settings", "guardrails_settings", "tool_execution")
        }
        given["output_guardrails"] = tuple(given.get("output_guardrails") or ())
        for guardrail in given["output_guardrails"]:
            if not isinstance(guardrail, OutputGuardrail):
                hint = " (decorate it with @output_guardrail)" if callable(guardrail) else ""
                raise ConfigurationError(f"config.output_guardrails: {guardrail!r} is no output guardrail{hint}")
        if given.get("budget") is not None:
            given["budget"] = Budget.of(given["budget"])
        return cls(**given)


DEFAULTS = RunSettings()
