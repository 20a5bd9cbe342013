"""Tools: functions that the model may call."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from typing import Any, TypeAlias, overload

import attrs
from attrs import field, frozen

from .errors import ConfigurationError, ToolError
from .run_context import ToolContext

__all__ = ["FunctionTool", "ToolExecutor", "check_tool_name", "function_tool", "tool_output_text"]

ToolExecutor: TypeAlias = ThreadPoolExecutor

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def check_tool_name(_: object, __: object, name: str) -> None:
    """Raise `ConfigurationError` for a name that the API won't take. An attrs validator."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"a tool can't be named {name!r}: a name is 1 to 64 of A-Z, a-z, 0-9, _ and - (give name_override=)"
        )


@frozen(kw_only=True, eq=False)
class FunctionTool:
    """A function that the model may call. Usually made by `@function_tool`; it can also be built by hand."""

    name: str = field(validator=check_tool_name)
    description: str = field(repr=False)
    params_json_schema: dict[str, Any] = field(repr=False)
    on_invoke_tool: Callable[[ToolContext[Any], str], Awaitable[Any]] = field(repr=False)
    """Called with the context and the arguments as JSON text; what it returns is the output."""

    def to_wire(self) -> dict[str, Any]:
        """Return the tool as sessions declare it."""
        return {
            "type": "function",
            "name": self.name,
            "description": self.description,
            "parameters": self.params_json_schema,
        }


_executor: contextvars.ContextVar[ToolExecutor | None] = contextvars.ContextVar("jackfield_tools", default=None)
"""Where the running session's sync tools run. A pool of their own: the loop's default pool carries media as well."""


@overload
def function_tool(func: Callable[..., Any], /) -> FunctionTool: ...
@overload
def function_tool(
    *,
    name_override: str | None = None,
    description_override: str | None = None,
    use_docstring_info: bool = True,
) -> Callable[[Callable[..., Any]], FunctionTool]: ...
def function_tool(
    func: Callable[..., Any] | None = None,
    /,
    *,
    name_override: str | None = None,
    description_override: str | None = None,
    use_docstring_info: bool = True,
) -> FunctionTool | Callable[[Callable[..., Any]], FunctionTool]:
    """Make a tool of a function: its name, docstring and annotations become what the model sees.

    A coroutine function runs on the loop, a plain function on a thread. A first parameter annotated with
    `RunContextWrapper` or `ToolContext` is given just that. Raises `ConfigurationError` for a function that a model
    can't call.
    """
    if func is None:
        return functools.partial(
            _function_tool,
            name_override=name_override,
            description_override=description_override,
            use_docstring_info=use_docstring_info,
        )
    return _function_tool(
        func,
        name_override=name_override,
        description_override=description_override,
        use_docstring_info=use_docstring_info,
    )


def _function_tool(
    func: Callable[..., Any],
    *,
    name_override: str | None,
    description_override: str | None,
    use_docstring_info: bool,
) -> FunctionTool:
    from .tool_schema import function_schema  # pydantic: loaded with the first tool, not with the package

    if not callable(func):
        raise ConfigurationError(f"function_tool decorates a function, not {type(func).__name__}")
    schema = function_schema(
        func, name=name_override, description=description_override, use_docstring=use_docstring_info
    )

    async def invoke(context: ToolContext[Any], arguments: str) -> Any:
        args, kwargs = schema.arguments(arguments)
        if schema.context is not None:
            args = [context if issubclass(schema.context, ToolContext) else context.run_context, *args]
        if inspect.iscoroutinefunction(func):
            return await func(*args, **kwargs)
        call = functools.partial(contextvars.copy_context().run, _call, func, args, kwargs)
        result = await asyncio.get_running_loop().run_in_executor(_executor.get(), call)
        return await result if inspect.isawaitable(result) else result

    return FunctionTool(
        name=schema.name,
        description=schema.description,
        params_json_schema=schema.parameters,
        on_invoke_tool=invoke,
    )


def use_executor(executor: ToolExecutor) -> None:
    """Run the sync tools of the current task on `executor`."""
    _executor.set(executor)


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


def _call(func: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
    try:
        return func(*args, **kwargs)
    except StopIteration as error:
        # No future can hold a StopIteration: it would leave the call without an end.
        raise ToolError(f"StopIteration: {error}") from error


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
