"""Reaches hosted MCP servers for sessions, and turns whatever goes wrong there into what the wire has for it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from jackfield_local.engine.mcp_tools import McpServer
from jackfield_local.interfaces import HostedServer, HostedTool
from jackfield_local.mcp import McpError, McpHttpError

__all__ = ["McpHost", "McpResult"]

logger = logging.getLogger(__name__)

_FAILED: Final = McpHttpError(500, "Internal Server Error")


@frozen
class McpResult:
    """What came of a call: its `output`, or the `error` of an `mcp_call` item."""

    output: str | None = None
    error: dict[str, Any] | None = None


class McpHost:
    """Knows `servers` by what a session's `mcp` tools name them by: an address, or else a label."""

    def __init__(self, servers: Mapping[str, HostedServer]) -> None:
        self._servers = servers

    async def list_tools(self, server: McpServer) -> Sequence[HostedTool] | None:
        """Return the tools of a server, or None where there is no such server or it doesn't tell."""
        hosted = self._find(server)
        if hosted is None:
            logger.info("There is no hosted MCP server for the label %r or its address", server.label)
            return None
        try:
            return await hosted.list_tools(authorization=server.authorization, headers=server.headers)
        except McpError as error:
            logger.info("The hosted MCP server %r does not list its tools: %s", server.label, error)
        except Exception:
            logger.exception("The hosted MCP server %r failed to list its tools", server.label)
        return None

    async def call_tool(self, server: McpServer, name: str, arguments: Mapping[str, Any]) -> McpResult:
        """Call a tool of a server that has listed it."""
        hosted = self._find(server)
        assert hosted is not None
        try:
            output = await hosted.call_tool(name, arguments, authorization=server.authorization, headers=server.headers)
        except McpError as error:
            return McpResult(error=error.to_wire())
        except Exception:
            logger.exception("The hosted MCP server %r failed in a call of %r", server.label, name)
            return McpResult(error=_FAILED.to_wire())
        return McpResult(output=output)

    def _find(self, server: McpServer) -> HostedServer | None:
        return self._servers.get(server.address) or self._servers.get(server.label)
