"""Tools: functions that the model may call."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias, overload

import attrs
from attrs import field, frozen

from .errors import ConfigurationError
from .run_context import ToolContext

__all__ = ["FunctionTool", "ToolExecutor", "function_tool", "tool_output_text"]

ToolExecutor: TypeAlias = ThreadPoolExecutor


@frozen(kw_only=True, eq=False)
class FunctionTool:
    """A function that the model may call. Usually made by `@function_tool`; it can also be built by hand."""

    name: str = field(validator=attrs.validators.matches_re(r"[A-Za-z0-9_-]{1,64}"))
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
    `RunContextWrapper` or `ToolContext` is given the context. Raises `ConfigurationError` for a function that a model
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
        if schema.takes_context:
            args = [context, *args]
        if inspect.iscoroutinefunction(func):
            return await func(*args, **kwargs)
        call = functools.partial(contextvars.copy_context().run, func, *args, **kwargs)
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
    """Return a tool's result as the text that the model gets: a str as it is, everything else as JSON."""
    if isinstance(output, str):
        return output
    return json.dumps(output, ensure_ascii=False, default=_jsonable)


def _jsonable(value: Any) -> Any:
    if attrs.has(type(value)):
        return attrs.asdict(value)
    if callable(dump := getattr(value, "model_dump", None)):
        return dump(mode="json")
    if fields := getattr(value, "__dataclass_fields__", None):
        return {name: getattr(value, name) for name in fields}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    return str(value)
