"""Local MCP servers as tools: processes and HTTP services that speak the Model Context Protocol.

It needs the extra `jackfield[mcp]`, whose package is loaded when the first server is made. MCP servers that the
provider calls itself are another thing, and need nothing of this.
"""

from .functions import MCPConfig, mcp_function_tools
from .params import MCPServerSseParams, MCPServerStdioParams, MCPServerStreamableHttpParams
from .server import MCPServer, ToolFilter, ToolFilterStatic
from .servers import MCPServerSse, MCPServerStdio, MCPServerStreamableHttp

__all__ = [
    "MCPConfig",
    "MCPServer",
    "MCPServerSse",
    "MCPServerSseParams",
    "MCPServerStdio",
    "MCPServerStdioParams",
    "MCPServerStreamableHttp",
    "MCPServerStreamableHttpParams",
    "ToolFilter",
    "ToolFilterStatic",
    "mcp_function_tools",
]
