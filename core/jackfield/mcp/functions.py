"""The tools of MCP servers as function tools: names, schemas, calls and their results."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from jackfield.errors import ConfigurationError, ToolError
from jackfield.invoke import concurrently
from jackfield.naming import check_names
from jackfield.run_context import RunContextWrapper, ToolContext
from jackfield.tools import FunctionTool, default_tool_error_function

from .results import result_text
from .server import MCPServer, filtered
from .strict import strict_schema, without_nulls

if TYPE_CHECKING:
    from mcp.types import Tool

    from jackfield.agent import RealtimeAgent

__all__ = ["MCPConfig", "mcp_function_tools"]

_NAME_LENGTH = 64
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")


class MCPConfig(TypedDict, total=False):
    """How an agent uses the tools of its MCP servers."""

    convert_schemas_to_strict: bool
    """Close objects and require every property, wherever a schema allows for it. False."""

    failure_error_function: Callable[[ToolContext[Any], Exception], str | Awaitable[str]] | None
    """What the model is told of a failed call, as for any function tool."""

    include_server_in_tool_names: bool
    """Whether tools are named `<server>__<tool>`. False."""


async def mcp_function_tools(
    servers: Sequence[MCPServer],
    context: RunContextWrapper[Any],
    agent: RealtimeAgent[Any],
    config: Mapping[str, Any] | None = None,
) -> list[FunctionTool]:
    """Return the tools that `agent` gets from connected `servers`, in the order of the servers and their lists.

    `config` is an `MCPConfig`. The servers are asked at the same time; the first failure is raised as it is, and ends
    the asking. Raises `ConfigurationError` for two tools of one name and for a config without a meaning, and
    `ToolError` for a server that can't be asked.
    """
    config = {} if config is None else config
    _check_config(config)
    prefixed = config.get("include_server_in_tool_names", False)
    lists = await concurrently(filtered(server, context, agent) for server in servers)
    owners: dict[str, tuple[MCPServer, Tool]] = {}
    for server, tools in zip(servers, lists, strict=True):
        for tool in tools:
            name = _valid_name(f"{server.name}__{tool.name}" if prefixed else tool.name)
            if name in owners:
                raise _same_name(name, *owners[name], server, tool)
            owners[name] = (server, tool)
    return [_function_tool(name, server, tool, config) for name, (server, tool) in owners.items()]


def _function_tool(name: str, server: MCPServer, tool: Tool, config: Mapping[str, Any]) -> FunctionTool:
    schema = {"properties": {}, **tool.input_schema}  # optional in MCP, and not in the Realtime API
    strict = strict_schema(schema) if config.get("convert_schemas_to_strict", False) else None

    async def invoke(_: ToolContext[Any], arguments: str) -> str:
        given = _arguments(name, arguments)
        if strict is not None:
            given = without_nulls(given, schema, schema)
        result = await server.call_tool(tool.name, given)
        text = result_text(result)
        if result.is_error:
            raise ToolError(text or f"{name} failed and does not say why")
        return text

    return FunctionTool(
        name=name,
        description=tool.description or tool.title or "",
        params_json_schema=schema if strict is None else strict,
        on_invoke_tool=invoke,
        failure_error_function=config.get("failure_error_function", default_tool_error_function),
    )


def _arguments(name: str, arguments: str) -> dict[str, Any]:
    try:
        given = json.loads(arguments)
    except (ValueError, RecursionError) as error:
        raise ToolError(f"the arguments of {name} are not valid: they are no JSON ({error})") from error
    if not isinstance(given, dict):
        raise ToolError(f"the arguments of {name} are not valid: they are a JSON object, not {arguments:.40}")
    return given


def _valid_name(name: str) -> str:
    """Return `name` as the API takes it: MCP allows dots and more, and twice the length."""
    valid = _NOT_IN_NAMES.sub("_", name)
    if len(valid) <= _NAME_LENGTH:
        return valid
    mark = hashlib.sha256(name.encode()).hexdigest()[:8]  # so that names which differ at their ends still differ
    return f"{valid[: _NAME_LENGTH - 9]}_{mark}"


def _same_name(name: str, first: MCPServer, first_tool: Tool, second: MCPServer, tool: Tool) -> ConfigurationError:
    if first is second:
        return ConfigurationError(
            f"MCP server {first.name!r} has two tools, {first_tool.name!r} and {tool.name!r}, that would both be called"
            f" {name!r}: leave one out with its tool_filter"
        )
    fix = (
        "give the servers names of their own"
        if first.name == second.name
        else "set include_server_in_tool_names in mcp_config, or leave one out with a tool_filter"
    )
    return ConfigurationError(f"MCP servers {first.name!r} and {second.name!r} both have a tool {name!r}: {fix}")


def _check_config(config: Mapping[str, Any]) -> None:
    if not isinstance(config, Mapping):
        raise ConfigurationError(f"mcp_config is a dictionary, not {type(config).__name__}")
    check_names("mcp_config has no key", config, MCPConfig.__annotations__)
    for key in ("convert_schemas_to_strict", "include_server_in_tool_names"):
        if not isinstance(config.get(key, False), bool):
            raise ConfigurationError(f"mcp_config's {key} is True or False, not {config[key]!r}")
    explain = config.get("failure_error_function")
    if explain is not None and not callable(explain):
        raise ConfigurationError(f"mcp_config's failure_error_function is a function (context, error), not {explain!r}")
