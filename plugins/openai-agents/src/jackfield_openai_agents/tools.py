"""The SDK's tools and handoffs as the functions that the model is told of.

Both hold functions of the application: they are read, and never copied or encoded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from agents.exceptions import UserError
from agents.handoffs import Handoff
from agents.tool import FunctionTool, Tool, ensure_function_tool_supports_responses_only_features

__all__ = ["function_tools"]


def function_tools(tools: Iterable[Tool], handoffs: Iterable[Handoff[Any, Any]]) -> list[dict[str, Any]]:
    """Return the session's tools for what is enabled of `tools` and `handoffs`.

    Raises `UserError` for a tool that is no function, one that only the Responses API can run, and for two of one name.
    """
    functions = [_function(tool) for tool in tools if not _is_off(tool)]
    functions += [
        _described(handoff.tool_name, handoff.tool_description, handoff.input_json_schema)
        for handoff in handoffs
        if handoff.is_enabled is not False
    ]
    taken_twice = [name for name, count in Counter(function["name"] for function in functions).items() if count > 1]
    if taken_twice:
        raise UserError(
            f"tools and handoffs need names of their own, and there are several called {', '.join(taken_twice)}: "
            "rename all but one"
        )
    return functions


def _is_off(tool: Tool) -> bool:
    # What a function says of it the session has asked already.
    return isinstance(tool, FunctionTool) and tool.is_enabled is False


def _function(tool: Tool) -> dict[str, Any]:
    if not isinstance(tool, FunctionTool):
        raise UserError(
            f"the tool {tool.name!r} is a {type(tool).__name__}: a realtime session runs function tools only"
        )
    ensure_function_tool_supports_responses_only_features(tool, backend_name="realtime models")
    return _described(tool.name, tool.description, tool.params_json_schema)


def _described(name: str, description: str, parameters: dict[str, Any]) -> dict[str, Any]:
    return {"type": "function", "name": name, "description": description, "parameters": parameters}
