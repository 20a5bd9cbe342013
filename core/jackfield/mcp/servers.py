"""The MCP servers that come with jackfield: a program on this machine, and services over HTTP."""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TextIO, cast

from jackfield.errors import ConfigurationError, ToolError

from .connection import Connection, Transport, note_refusal
from .params import (
    MCPServerSseParams,
    MCPServerStdioParams,
    MCPServerStreamableHttpParams,
    check_http_params,
    check_seconds,
    check_stdio_params,
    shown_url,
)
from .server import MCPServer, ToolFilter, check_tool_filter

if TYPE_CHECKING:
    import httpx2
    from mcp.types import CallToolResult, Tool

__all__ = ["MCPServerSse", "MCPServerStdio", "MCPServerStreamableHttp"]

_PAGES = 100
"""A list of tools with more pages than that has no end."""

_SECRET_LENGTH = 8
"""A shorter value is a setting and no secret; cutting it out would leave holes in every text."""


class _ConnectedServer(MCPServer):
    """What all of them share: the connection, and the list of tools that is kept."""

    def __init__(
        self,
        name: str,
        *,
        cache_tools_list: bool,
        client_session_timeout_seconds: float | None,
        tool_filter: ToolFilter | None,
        secrets: Iterable[str],
    ) -> None:
        _require_mcp()
        if not isinstance(name, str) or not name:
            raise ConfigurationError(f"an MCP server's name is a non-empty str, not {name!r}")
        if client_session_timeout_seconds is not None:
            check_seconds("client_session_timeout_seconds", client_session_timeout_seconds)
        check_tool_filter(tool_filter)
        self.tool_filter = tool_filter
        self.cache_tools_list = cache_tools_list
        self._name = name
        self._timeout = client_session_timeout_seconds
        self._secrets = tuple(secret for secret in secrets if len(secret) >= _SECRET_LENGTH)
        self._connection: Connection | None = None
        self._tools: list[Tool] | None = None
        self._list_version = 0

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self._name!r})"

    @property
    def name(self) -> str:
        return self._name

    async def connect(self) -> None:
        while (connection := self._connection) is not None:
            if not connection.over:
                await connection.opened()
                return
            await connection.ended()
            if self._connection is connection:
                self._connection = None
        self._connection = Connection(
            self._name,
            self._transport(),
            timeout=self._timeout,
            secrets=self._secrets,
            tools_changed=self.invalidate_tools_cache,
            subscribe=self.cache_tools_list,
        )
        await self._connection.open()

    async def cleanup(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    def invalidate_tools_cache(self) -> None:
        """Ask the server again when the tools are listed next."""
        self._tools = None
        self._list_version += 1

    async def list_tools(self) -> list[Tool]:
        if self._tools is not None:
            return list(self._tools)
        version = self._list_version
        tools = await self._connected().request("list its tools", _all_tools)
        if self.cache_tools_list and version == self._list_version:
            self._tools = tools
        return list(tools)

    async def call_tool(self, name: str, arguments: dict[str, Any] | None) -> CallToolResult:
        return await self._connected().request(f"run {name}", lambda client: client.call_tool(name, arguments))

    def _connected(self) -> Connection:
        if self._connection is None:
            raise ToolError(f"MCP server {self._name!r} is not connected: connect() it, or use it in `async with`")
        return self._connection

    @abstractmethod
    def _transport(self) -> Transport:
        """Return what a connection is made over; nothing is started or sent before it is entered."""


class MCPServerStdio(_ConnectedServer):
    """A program that is started with `connect()`, spoken to over its standard input and output, and ended.

    What it writes to its standard error goes where this process's goes.
    """

    def __init__(
        self,
        params: MCPServerStdioParams,
        cache_tools_list: bool = False,
        name: str | None = None,
        client_session_timeout_seconds: float | None = 5.0,
        tool_filter: ToolFilter | None = None,
    ) -> None:
        """`client_session_timeout_seconds` is the time for each answer, the first one included; None: no limit.

        With `cache_tools_list` the tools are listed once, and again after `invalidate_tools_cache()` or when the
        server says that they changed. Raises `ConfigurationError`.
        """
        check_stdio_params(params)
        self._params = params
        super().__init__(
            f"stdio: {params['command']}" if name is None else name,
            cache_tools_list=cache_tools_list,
            client_session_timeout_seconds=client_session_timeout_seconds,
            tool_filter=tool_filter,
            secrets=params.get("env", {}).values(),
        )

    def _transport(self) -> Transport:
        from mcp import StdioServerParameters, stdio_client

        params = StdioServerParameters(
            command=self._params["command"],
            args=list(self._params.get("args", [])),
            env=dict(self._params.get("env", {})),
            cwd=self._params.get("cwd"),
        )
        # Not sys.stderr, which may have been replaced by what a program can't be given. None is inherited as well.
        return stdio_client(params, cast(TextIO, sys.__stderr__))


class MCPServerStreamableHttp(_ConnectedServer):
    """A service that speaks MCP's streamable HTTP."""

    def __init__(
        self,
        params: MCPServerStreamableHttpParams,
        cache_tools_list: bool = False,
        name: str | None = None,
        client_session_timeout_seconds: float | None = 5.0,
        tool_filter: ToolFilter | None = None,
    ) -> None:
        """See `MCPServerStdio` for what is not in `params`."""
        check_http_params("MCPServerStreamableHttp's params", params, MCPServerStreamableHttpParams)
        self._params = params
        super().__init__(
            f"streamable_http: {shown_url(params['url'])}" if name is None else name,
            cache_tools_list=cache_tools_list,
            client_session_timeout_seconds=client_session_timeout_seconds,
            tool_filter=tool_filter,
            secrets=_secrets(params),
        )

    @asynccontextmanager
    async def _transport(self) -> AsyncIterator[Any]:
        from mcp.client.streamable_http import streamable_http_client

        async with (
            _http_client(self._params) as client,
            streamable_http_client(self._params["url"], http_client=client) as streams,
        ):
            yield streams


class MCPServerSse(_ConnectedServer):
    """A service that speaks MCP's older HTTP with server-sent events."""

    def __init__(
        self,
        params: MCPServerSseParams,
        cache_tools_list: bool = False,
        name: str | None = None,
        client_session_timeout_seconds: float | None = 5.0,
        tool_filter: ToolFilter | None = None,
    ) -> None:
        """See `MCPServerStdio` for what is not in `params`."""
        check_http_params("MCPServerSse's params", params, MCPServerSseParams)
        self._params = params
        super().__init__(
            f"sse: {shown_url(params['url'])}" if name is None else name,
            cache_tools_list=cache_tools_list,
            client_session_timeout_seconds=client_session_timeout_seconds,
            tool_filter=tool_filter,
            secrets=_secrets(params),
        )

    def _transport(self) -> Transport:
        from mcp.client.sse import sse_client

        def client(headers: Any = None, timeout: Any = None, auth: Any = None) -> httpx2.AsyncClient:
            return _http_client(self._params)

        return sse_client(self._params["url"], httpx_client_factory=client)


def _require_mcp() -> None:
    try:
        from mcp import Client  # noqa: F401 - version 1 has none
    except ImportError as error:
        raise ConfigurationError(
            "MCP servers need the mcp package, version 2 or later. Run: pip install 'jackfield[mcp]'"
        ) from error


def _http_client(params: MCPServerStreamableHttpParams | MCPServerSseParams) -> httpx2.AsyncClient:
    import httpx2

    return httpx2.AsyncClient(
        headers=dict(params.get("headers", {})),
        timeout=httpx2.Timeout(params.get("timeout", 5.0), read=params.get("sse_read_timeout", 300.0)),
        event_hooks={"response": [note_refusal]},
    )


def _secrets(params: MCPServerStreamableHttpParams | MCPServerSseParams) -> list[str]:
    values = params.get("headers", {}).values()
    return [secret for value in values for secret in (value, *value.split())]


async def _all_tools(client: Any) -> list[Tool]:
    tools: list[Tool] = []
    cursor = None
    for _ in range(_PAGES):
        page = await client.list_tools(cursor=cursor)
        tools += page.tools
        cursor = page.next_cursor
        if cursor is None:
            return tools
    raise ValueError(f"the list has more than {_PAGES} pages")
