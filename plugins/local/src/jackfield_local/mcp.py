"""Hosted MCP servers to give to a `LocalServer`: one made of Python functions, and what a server may raise.

What a server is to a session is in `interfaces.HostedServer`; how sessions reach it, in `mcp_host`.
"""

from __future__ import annotations

import asyncio
import inspect
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from jackfield.errors import ConfigurationError, JackfieldError
from jackfield_local.interfaces import HostedTool

__all__ = ["FunctionServer", "McpError", "McpHttpError", "McpProtocolError", "McpToolExecutionError"]

_INVALID_PARAMS: Final = -32602
"""JSON-RPC's code for arguments that don't fit, which MCP uses for unknown tools as well."""


class McpError(JackfieldError, ABC):
    """What a hosted server says instead of an answer; `message` reaches the client and the model."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    @abstractmethod
    def to_wire(self) -> dict[str, Any]:
        """Return the `error` of an `mcp_call` item."""


class McpProtocolError(McpError):
    """The server answered with a JSON-RPC error: `code` is one of JSON-RPC's or MCP's, -32602 for bad arguments."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code

    def to_wire(self) -> dict[str, Any]:
        """Return the `error` of an `mcp_call` item."""
        return {"type": "protocol_error", "code": self.code, "message": self.message}


class McpToolExecutionError(McpError):
    """The tool ran and failed."""

    def to_wire(self) -> dict[str, Any]:
        """Return the `error` of an `mcp_call` item."""
        return {"type": "tool_execution_error", "message": self.message}


class McpHttpError(McpError):
    """The server couldn't be reached, or refused: `code` is the HTTP status."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code

    def to_wire(self) -> dict[str, Any]:
        """Return the `error` of an `mcp_call` item."""
        return {"type": "http_error", "code": self.code, "message": self.message}


class FunctionServer:
    """A hosted server made of functions, each with the tool that it is: `FunctionServer({HostedTool("now"): now})`.

    A function gets the call's arguments by name. It may be a coroutine function; others run on a thread. What it
    returns is the output, as JSON where it is no string. An `McpError` that it raises reaches the client as it is, any
    other exception as an `McpToolExecutionError` of the same text. With `authorization`, requests that don't bring
    that token get HTTP status 401.
    """

    def __init__(self, functions: Mapping[HostedTool, Callable[..., Any]], *, authorization: str | None = None) -> None:
        self._functions: dict[str, Callable[..., Any]] = {}
        self._tools = tuple(functions)
        self._authorization = authorization
        for tool, function in functions.items():
            if not tool.name or tool.name in self._functions:
                raise ConfigurationError(f"Tool name {tool.name!r} is empty or there twice. Give each its own.")
            if not callable(function):
                raise ConfigurationError(f"Tool {tool.name!r} is {function!r}. Give the function that does its work.")
            self._functions[tool.name] = function

    async def list_tools(self, *, authorization: str | None, headers: Mapping[str, str]) -> Sequence[HostedTool]:
        """Return the tools. Raises `McpHttpError` for a wrong token."""
        self._admit(authorization)
        return self._tools

    async def call_tool(
        self, name: str, arguments: Mapping[str, Any], *, authorization: str | None, headers: Mapping[str, str]
    ) -> str:
        """Call the function of that name and return its output. Raises `McpError`."""
        self._admit(authorization)
        function = self._functions.get(name)
        if function is None:
            raise McpProtocolError(_INVALID_PARAMS, f"Unknown tool: {name}")
        try:
            inspect.signature(function).bind(**arguments)
        except TypeError as error:
            raise McpProtocolError(_INVALID_PARAMS, f"Invalid arguments for tool {name}: {error}") from error
        try:
            if inspect.iscoroutinefunction(function):
                output = await function(**arguments)
            else:
                output = await asyncio.to_thread(function, **arguments)
            return output if isinstance(output, str) else msgspec.json.encode(output).decode()
        except McpError:
            raise
        except Exception as error:
            raise McpToolExecutionError(str(error) or type(error).__name__) from error

    def _admit(self, authorization: str | None) -> None:
        if self._authorization is None:
            return
        if not secrets.compare_digest((authorization or "").encode(), self._authorization.encode()):
            raise McpHttpError(401, "Unauthorized")
