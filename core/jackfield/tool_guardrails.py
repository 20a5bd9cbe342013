"""Tool guardrails: functions that judge a tool's call before it runs, and its output before the model gets it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar, overload

from attrs import field, frozen

from .errors import ConfigurationError
from .invoke import call_off_loop, check_function, name_of

if TYPE_CHECKING:
    from .agent import RealtimeAgent
    from .run_context import ToolContext

__all__ = [
    "ToolGuardrailFunctionOutput",
    "ToolInputGuardrail",
    "ToolInputGuardrailData",
    "ToolOutputGuardrail",
    "ToolOutputGuardrailData",
    "tool_input_guardrail",
    "tool_output_guardrail",
]


@frozen(kw_only=True)
class ToolGuardrailFunctionOutput:
    """A verdict on a tool's call or output. Make it with `allow`, `reject_content` or `raise_exception`."""

    behavior: Literal["allow", "reject_content", "raise_exception"] = "allow"
    message: str = ""
    """What the model gets in place of the tool's output, for `reject_content`."""
    output_info: Any = None

    @classmethod
    def allow(cls, output_info: Any = None) -> ToolGuardrailFunctionOutput:
        """Let it pass."""
        return cls(output_info=output_info)

    @classmethod
    def reject_content(cls, message: str, output_info: Any = None) -> ToolGuardrailFunctionOutput:
        """Give the model `message` in place of the tool's output, and go on."""
        return cls(behavior="reject_content", message=message, output_info=output_info)

    @classmethod
    def raise_exception(cls, output_info: Any = None) -> ToolGuardrailFunctionOutput:
        """End the session with an error."""
        return cls(behavior="raise_exception", output_info=output_info)


@frozen
class ToolInputGuardrailData:
    """What an input guardrail judges: `context.tool_arguments` are the arguments, as JSON text."""

    context: ToolContext[Any]
    agent: RealtimeAgent


@frozen
class ToolOutputGuardrailData(ToolInputGuardrailData):
    """What an output guardrail judges: `output` is what the tool returned."""

    output: Any


Data = TypeVar("Data", ToolInputGuardrailData, ToolOutputGuardrailData)
Verdict: TypeAlias = ToolGuardrailFunctionOutput | Awaitable[ToolGuardrailFunctionOutput]
InputFunction: TypeAlias = Callable[[ToolInputGuardrailData], Verdict]
OutputFunction: TypeAlias = Callable[[ToolOutputGuardrailData], Verdict]


@frozen(eq=False)
class _ToolGuardrail(Generic[Data]):
    guardrail_function: Callable[[Data], Verdict] = field(repr=False, validator=check_function)
    name: str | None = None

    def get_name(self) -> str:
        """Return its name; without one, the function's."""
        return self.name or name_of(self.guardrail_function)

    async def run(self, data: Data) -> ToolGuardrailFunctionOutput:
        """Return the verdict. Raises what the function raises, and `ConfigurationError` for what is no verdict."""
        verdict = await call_off_loop(self.guardrail_function, data)
        if not isinstance(verdict, ToolGuardrailFunctionOutput):
            raise ConfigurationError(
                f"tool guardrail {self.get_name()!r} returned {type(verdict).__name__}: it must return a"
                " ToolGuardrailFunctionOutput"
            )
        return verdict


@frozen(eq=False)
class ToolInputGuardrail(_ToolGuardrail[ToolInputGuardrailData]):
    """Judges a call before its tool runs. A coroutine function runs on the loop, a plain one on a thread."""


@frozen(eq=False)
class ToolOutputGuardrail(_ToolGuardrail[ToolOutputGuardrailData]):
    """Judges what a tool returned before the model gets it. It runs as a `ToolInputGuardrail` does."""


@overload
def tool_input_guardrail(function: InputFunction, /) -> ToolInputGuardrail: ...
@overload
def tool_input_guardrail(*, name: str | None = None) -> Callable[[InputFunction], ToolInputGuardrail]: ...
def tool_input_guardrail(
    function: InputFunction | None = None, /, *, name: str | None = None
) -> ToolInputGuardrail | Callable[[InputFunction], ToolInputGuardrail]:
    """Make an input guardrail of a function of `ToolInputGuardrailData`."""
    if function is None:
        return lambda given: ToolInputGuardrail(given, name)
    return ToolInputGuardrail(function, name)


@overload
def tool_output_guardrail(function: OutputFunction, /) -> ToolOutputGuardrail: ...
@overload
def tool_output_guardrail(*, name: str | None = None) -> Callable[[OutputFunction], ToolOutputGuardrail]: ...
def tool_output_guardrail(
    function: OutputFunction | None = None, /, *, name: str | None = None
) -> ToolOutputGuardrail | Callable[[OutputFunction], ToolOutputGuardrail]:
    """Make an output guardrail of a function of `ToolOutputGuardrailData`."""
    if function is None:
        return lambda given: ToolOutputGuardrail(given, name)
    return ToolOutputGuardrail(function, name)
