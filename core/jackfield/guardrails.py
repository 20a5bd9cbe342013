"""Output guardrails: functions that judge what an agent says, while it says it.

What a session does with their verdict is in `session.output_guardrails`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias, overload

from attrs import field, frozen

from .errors import ConfigurationError
from .invoke import call_off_loop, check_function, name_of
from .run_context import RunContextWrapper

if TYPE_CHECKING:
    from .agent import RealtimeAgent

__all__ = ["GuardrailFunctionOutput", "OutputGuardrail", "OutputGuardrailResult", "output_guardrail"]


@frozen
class GuardrailFunctionOutput:
    """A verdict: `tripwire_triggered` stops the response; `output_info` is whatever you want to know of it later."""

    output_info: Any
    tripwire_triggered: bool


GuardrailFunction: TypeAlias = Callable[
    [RunContextWrapper[Any], "RealtimeAgent", str], GuardrailFunctionOutput | Awaitable[GuardrailFunctionOutput]
]


@frozen
class OutputGuardrailResult:
    """What one guardrail said about what an agent had said so far."""

    guardrail: OutputGuardrail
    agent_output: str
    agent: RealtimeAgent
    output: GuardrailFunctionOutput


@frozen(eq=False)
class OutputGuardrail:
    """A guardrail: `guardrail_function(context, agent, text)` returns a `GuardrailFunctionOutput`.

    A coroutine function runs on the loop, a plain one on a thread. The text is all that the item holds so far, so the
    function is called again as it grows.
    """

    guardrail_function: GuardrailFunction = field(repr=False, validator=check_function)
    name: str | None = None

    def get_name(self) -> str:
        """Return its name; without one, the function's."""
        return self.name or name_of(self.guardrail_function)

    async def run(
        self, context: RunContextWrapper[Any], agent: RealtimeAgent, agent_output: str
    ) -> OutputGuardrailResult:
        """Judge `agent_output`. Raises what the function raises, and `ConfigurationError` for what is no verdict."""
        output = await call_off_loop(self.guardrail_function, context, agent, agent_output)
        if not isinstance(output, GuardrailFunctionOutput):
            raise ConfigurationError(
                f"guardrail {self.get_name()!r} returned {type(output).__name__}: it must return a"
                " GuardrailFunctionOutput"
            )
        return OutputGuardrailResult(self, agent_output, agent, output)


@overload
def output_guardrail(guardrail_function: GuardrailFunction, /) -> OutputGuardrail: ...
@overload
def output_guardrail(*, name: str | None = None) -> Callable[[GuardrailFunction], OutputGuardrail]: ...
def output_guardrail(
    guardrail_function: GuardrailFunction | None = None, /, *, name: str | None = None
) -> OutputGuardrail | Callable[[GuardrailFunction], OutputGuardrail]:
    """Make a guardrail of a function of context, agent and text. A decorator, with or without a name."""
    if guardrail_function is None:
        return lambda function: OutputGuardrail(function, name)
    return OutputGuardrail(guardrail_function, name)
