"""What an MCP server is to an agent, and which of its tools the agent gets. How to reach one is not here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypedDict

from jackfield.errors import ConfigurationError
from jackfield.invoke import call_inline
from jackfield.naming import check_names
from jackfield.run_context import RunContextWrapper

if TYPE_CHECKING:
    from mcp.types import CallToolResult, Tool

    from jackfield.agent import RealtimeAgent

__all__ = ["MCPServer", "ToolFilter", "ToolFilterStatic", "check_tool_filter", "filtered"]


class ToolFilterStatic(TypedDict, total=False):
    """Tools by the names that the server gives them. Where a name is in both lists, it is blocked."""

    allowed_tool_names: list[str]
    """These and no others."""

    blocked_tool_names: list[str]
    """All but these."""


ToolFilter: TypeAlias = (
    "ToolFilterStatic | Callable[[RunContextWrapper[Any], RealtimeAgent[Any], Tool], bool | Awaitable[bool]]"
)
"""Lists of names, or a sync or async function of the context, the agent and the tool: whether the agent gets it."""


class MCPServer(ABC):
    """An MCP server, as agents use it.

    It is connected by whoever made it, once, and can then serve many agents and sessions at a time. `async with`
    connects it and cleans it up.
    """

    tool_filter: ToolFilter | None = None
    """Which tools an agent gets. None: all of them."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What the server is called in errors and, where asked for, in the names of its tools."""

    @abstractmethod
    async def connect(self) -> None:
        """Reach the server, ready to be asked; nothing to do where it is connected. Raises `ToolError`.

        A connect that fails or is cancelled leaves nothing behind, and can be tried again.
        """

    @abstractmethod
    async def cleanup(self) -> None:
        """Let go of the server, in bounded time: idempotent, from any task, also while `connect()` is under way."""

    @abstractmethod
    async def list_tools(self) -> list[Tool]:
        """Return all tools that the server has; `tool_filter` has no say here. Raises `ToolError`."""

    @abstractmethod
    async def call_tool(self, name: str, arguments: dict[str, Any] | None) -> CallToolResult:
        """Call the tool that the server knows as `name`.

        A tool that fails says so in the result (`is_error`). Raises `ToolError` where there is no result, and
        `ToolTimeoutError` where it took too long.
        """

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cleanup()


def check_tool_filter(tool_filter: object) -> None:
    """Raise `ConfigurationError` for what is no tool filter."""
    if tool_filter is None or callable(tool_filter):
        return
    if not isinstance(tool_filter, Mapping):
        raise ConfigurationError(
            f"tool_filter is a dictionary of names or a function (context, agent, tool) -> bool, not {tool_filter!r}"
        )
    check_names("tool_filter has no key", tool_filter, ToolFilterStatic.__annotations__)
    for key, names in tool_filter.items():
        if isinstance(names, str) or not all(isinstance(name, str) for name in names):
            raise ConfigurationError(f"tool_filter's {key} is a list of tool names, not {names!r}")


async def filtered(server: MCPServer, context: RunContextWrapper[Any], agent: RealtimeAgent[Any]) -> list[Tool]:
    """Return the tools of `server` that `agent` gets, in the server's order."""
    tools = await server.list_tools()
    wanted = server.tool_filter
    if wanted is None:
        return tools
    if not callable(wanted):
        blocked = wanted.get("blocked_tool_names", ())
        allowed = wanted.get("allowed_tool_names", [tool.name for tool in tools])
        return [tool for tool in tools if tool.name in allowed and tool.name not in blocked]
    return [tool for tool in tools if await call_inline(wanted, context, agent, tool)]
