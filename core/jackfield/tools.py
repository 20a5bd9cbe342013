"""Tools: functions that the model may call. What the far end runs by itself (hosted MCP) is in `hosted_mcp`."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

import attrs
from attrs import field, frozen

from .errors import ConfigurationError, ToolTimeoutError
from .invoke import call_off_loop
from .naming import check_names
from .run_context import RunContextWrapper, ToolContext
from .tool_guardrails import ToolInputGuardrail, ToolOutputGuardrail

if TYPE_CHECKING:
    from .agent import RealtimeAgent

__all__ = [
    "BackgroundResult",
    "DocstringStyle",
    "FunctionTool",
    "IsEnabled",
    "NeedsApproval",
    "ToolErrorFormatter",
    "ToolErrorFormatterArgs",
    "check_tool_name",
    "default_tool_error_function",
    "function_tool",
    "tool_output_text",
]

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SCHEMA_OPTIONS = ("name_override", "description_override", "docstring_style", "use_docstring_info", "strict_mode")

IsEnabled: TypeAlias = bool | Callable[[RunContextWrapper[Any], "RealtimeAgent"], bool | Awaitable[bool]]
"""Whether a tool or handoff is there: asked when the model is told of it, and again when it is called."""

NeedsApproval: TypeAlias = bool | Callable[[RunContextWrapper[Any], dict[str, Any], str], bool | Awaitable[bool]]
"""Whether a call waits for approval; a function is given the context, the parsed arguments and the call id."""

FailureFunction: TypeAlias = Callable[[ToolContext[Any], Exception], str | Awaitable[str]]
TimeoutFunction: TypeAlias = Callable[[ToolContext[Any], ToolTimeoutError], str | Awaitable[str]]
DocstringStyle: TypeAlias = Literal["google", "numpy", "sphinx"]


def check_tool_name(_: object, __: object, name: str) -> None:
    """Raise `ConfigurationError` for a name that the API won't take. An attrs validator."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"a tool can't be named {name!r}: a name is 1 to 64 of A-Z, a-z, 0-9, _ and - (give name_override=)"
        )


def default_tool_error_function(context: ToolContext[Any], error: Exception) -> str:
    """Return what the model is told of a tool that failed, unless the tool says otherwise."""
    told = str(error) or type(error).__name__
    return f"An error occurred while running the tool. Please try again. Error: {told}"


@frozen
class BackgroundResult:
    """Return it from a tool whose output the model should know of and not answer now: no response is asked for."""

    output: Any


@frozen
class ToolErrorFormatterArgs:
    """What a `tool_error_formatter` is told: what happened to which call, and what the model will hear otherwise."""

    kind: Literal["approval_rejected", "not_found", "timeout", "failure"]
    tool_type: Literal["function"]
    tool_name: str
    call_id: str
    default_message: str
    run_context: RunContextWrapper[Any] = field(repr=False)


ToolErrorFormatter: TypeAlias = Callable[[ToolErrorFormatterArgs], str | Awaitable[str | None] | None]
"""Makes the model's words of a call that came to nothing; None leaves the default ones."""


def _tool_timeout(_: FunctionTool, __: object, timeout: float | None) -> None:
    if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0):
        raise ConfigurationError(f"timeout={timeout!r} is no time limit of a tool: give seconds above 0, or None")


def _timeout_behavior(_: FunctionTool, __: object, behavior: str) -> None:
    if behavior not in ("error_as_result", "raise_exception"):
        raise ConfigurationError(
            f'timeout_behavior={behavior!r} is not known: give "error_as_result" or "raise_exception"'
        )


def _guardrails(_: FunctionTool, attribute: Any, given: Sequence[object]) -> None:
    kind = ToolInputGuardrail if attribute.name == "tool_input_guardrails" else ToolOutputGuardrail
    for guardrail in given:
        if not isinstance(guardrail, kind):
            hint = f" (decorate it with @{attribute.name[:-1]})" if callable(guardrail) else ""
            raise ConfigurationError(f"{attribute.name} holds {guardrail!r}, which is none{hint}")


@frozen(kw_only=True, eq=False)
class FunctionTool:
    """A function that the model may call. Usually made by `@function_tool`; it can also be built by hand."""

    name: str = field(validator=check_tool_name)
    description: str = field(repr=False)
    params_json_schema: dict[str, Any] = field(repr=False)
    on_invoke_tool: Callable[[ToolContext[Any], str], Awaitable[Any]] = field(repr=False)
    """Called with the context and the arguments as JSON text; what it returns is the output."""
    is_enabled: IsEnabled = field(default=True, repr=False)
    needs_approval: NeedsApproval = field(default=False, repr=False)
    tool_input_guardrails: Sequence[ToolInputGuardrail] = field(default=(), repr=False, validator=_guardrails)
    tool_output_guardrails: Sequence[ToolOutputGuardrail] = field(default=(), repr=False, validator=_guardrails)
    failure_error_function: FailureFunction | None = field(default=default_tool_error_function, repr=False)
    """What the model is told of an exception. None: the exception ends the session, and iterating it raises it."""
    timeout: float | None = field(default=None, repr=False, validator=_tool_timeout)
    """Seconds that a call may take. A function on a thread can't be stopped: its result is then ignored."""
    timeout_behavior: Literal["error_as_result", "raise_exception"] = field(
        default="error_as_result", repr=False, validator=_timeout_behavior
    )
    timeout_error_function: TimeoutFunction | None = field(default=None, repr=False)
    background: bool = field(default=False, repr=False)
    """The model doesn't wait for it: the answer to the response's other calls is asked for without it, and once more
    when it is done."""

    def to_wire(self) -> dict[str, Any]:
        """Return the tool as sessions declare it."""
        return {
            "type": "function",
            "name": self.name,
            "description": self.description,
            "parameters": self.params_json_schema,
        }


@overload
def function_tool(func: Callable[..., Any], /) -> FunctionTool: ...
@overload
def function_tool(
    *,
    name_override: str | None = None,
    description_override: str | None = None,
    docstring_style: DocstringStyle | None = None,
    use_docstring_info: bool = True,
    strict_mode: bool = True,
    is_enabled: IsEnabled = True,
    needs_approval: NeedsApproval = False,
    tool_input_guardrails: Sequence[ToolInputGuardrail] = (),
    tool_output_guardrails: Sequence[ToolOutputGuardrail] = (),
    failure_error_function: FailureFunction | None = default_tool_error_function,
    timeout: float | None = None,
    timeout_behavior: Literal["error_as_result", "raise_exception"] = "error_as_result",
    timeout_error_function: TimeoutFunction | None = None,
    background: bool = False,
) -> Callable[[Callable[..., Any]], FunctionTool]: ...
def function_tool(
    func: Callable[..., Any] | None = None,
    /,
    *,
    name_override: str | None = None,
    description_override: str | None = None,
    docstring_style: DocstringStyle | None = None,
    use_docstring_info: bool = True,
    strict_mode: bool = True,
    **behaviour: Any,
) -> FunctionTool | Callable[[Callable[..., Any]], FunctionTool]:
    """Make a tool of a function: its name, docstring and annotations become what the model sees.

    A coroutine function runs on the loop, a plain function on a thread. A first parameter annotated with
    `RunContextWrapper` or `ToolContext` is given just that. `docstring_style` is found out where it isn't given;
    without `strict_mode` arguments that the function doesn't know are ignored instead of refused. The other options are
    the fields of `FunctionTool`. Raises `ConfigurationError` for a function that a model can't call.
    """
    known = [attribute.name for attribute in attrs.fields(FunctionTool)][4:]
    check_names("function_tool has no option", behaviour, [*known, *_SCHEMA_OPTIONS])
    make = functools.partial(
        _function_tool,
        name=name_override,
        description=description_override,
        docstring_style=docstring_style,
        use_docstring=use_docstring_info,
        strict=strict_mode,
        behaviour=behaviour,
    )
    return make if func is None else make(func)


def _function_tool(
    func: Callable[..., Any],
    *,
    name: str | None,
    description: str | None,
    docstring_style: DocstringStyle | None,
    use_docstring: bool,
    strict: bool,
    behaviour: Mapping[str, Any],
) -> FunctionTool:
    from .tool_schema import function_schema  # pydantic: loaded with the first tool, not with the package

    if not callable(func):
        raise ConfigurationError(f"function_tool decorates a function, not {type(func).__name__}")
    schema = function_schema(
        func,
        name=name,
        description=description,
        docstring_style=docstring_style,
        use_docstring=use_docstring,
        strict=strict,
    )

    async def invoke(context: ToolContext[Any], arguments: str) -> Any:
        args, kwargs = schema.arguments(arguments)
        if schema.context is not None:
            args = [context if issubclass(schema.context, ToolContext) else context.run_context, *args]
        return await call_off_loop(func, *args, **kwargs)

    return FunctionTool(
        name=schema.name,
        description=schema.description,
        params_json_schema=schema.parameters,
        on_invoke_tool=invoke,
        **behaviour,
    )


def tool_output_text(output: Any) -> str:
    """Return a tool's result as the text that the model gets: a str as it is, everything else as JSON.

    What JSON can't hold (a circle, a key that is no string) becomes its `str()`: a result is never lost. Lone
    surrogates, which no wire carries, become escapes.
    """
    if isinstance(output, str):
        text = output
    else:
        try:
            text = json.dumps(output, ensure_ascii=False, default=_jsonable)
        except (TypeError, ValueError, RecursionError):
            text = str(output)
    return text.encode("utf-8", "backslashreplace").decode()


def _jsonable(value: Any) -> Any:
    if isinstance(value, type):
        return str(value)
    if attrs.has(type(value)):
        return attrs.asdict(value, recurse=False)
    if callable(dump := getattr(value, "model_dump", None)):
        return dump(mode="json")
    if fields := getattr(value, "__dataclass_fields__", None):
        return {name: getattr(value, name) for name in fields}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    return str(value)
