"""The hosted MCP servers that a session has been told of: whose tools are listed, and which the model may use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, field, frozen

from jackfield_local.engine.conversation import Conversation, Item
from jackfield_local.engine.mcp_tools import McpServer, allows, asks
from jackfield_local.engine.outbox import ListTools, Outbox
from jackfield_local.interfaces import Call, HostedTool

__all__ = ["HostedServers", "Target"]


@frozen
class Target:
    """What a call of a hosted tool leads to. `offered` is False for a tool that the model wasn't given."""

    server_label: str
    server: McpServer | None
    offered: bool
    needs_approval: bool


@define(eq=False)
class _Import:
    """A server of the session, and its tools once they are listed; `tool` is the whole `mcp` tool, with credentials."""

    tool: dict[str, Any] = field(repr=False)
    server: McpServer
    tools: tuple[HostedTool, ...] = ()


class HostedServers:
    """Keeps the servers of one session, each listed once: when the session or a response first names it."""

    def __init__(self, outbox: Outbox, conversation: Conversation) -> None:
        self._outbox = outbox
        self._conversation = conversation
        self._imports: dict[McpServer, _Import] = {}
        self._listing: dict[str, tuple[_Import, Item]] = {}
        self._of_session: set[McpServer] = set()

    @property
    def known(self) -> Mapping[str, Mapping[str, Any]]:
        """The complete `mcp` tools by label, which later ones need only name. They hold credentials."""
        return {found.server.label: found.tool for found in self._imports.values()}

    def use(self, tools: Sequence[dict[str, Any]]) -> None:
        """Go by the complete `tools` of a session: list what is new, forget what is gone."""
        servers = self._import(tools, for_response=False)
        for server in self._of_session - servers:
            self._imports.pop(server, None)
        self._of_session = servers

    def use_in_response(self, tools: Sequence[dict[str, Any]]) -> None:
        """Add the complete `tools` of one response to what is known, and list what is new."""
        self._import(tools, for_response=True)

    def listed(self, item_id: str, tools: Sequence[HostedTool] | None) -> None:
        """Take the outcome of a `ListTools`: the tools, or None where there is no getting them."""
        found, item = self._listing.pop(item_id)
        if tools is not None:
            found.tools = tuple(tools)
            item.wire["tools"] = [_to_wire(tool) for tool in tools]
        previous = self._conversation.before(item)
        self._outbox.emit("conversation.item.done", previous_item_id=previous, item=item.to_wire())
        self._outbox.emit(f"mcp_list_tools.{'failed' if tools is None else 'completed'}", item_id=item_id)

    def offered(self, tools: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Return what a model may call by the `tools` of a session or response: see `ResponseContext.tools`."""
        offered: list[Mapping[str, Any]] = []
        for tool in tools:
            if tool["type"] == "mcp":
                offered += [_as_function(tool["server_label"], hosted) for hosted in self._allowed(tool)]
            else:
                offered.append(tool)
        return offered

    def target(self, tools: Sequence[Mapping[str, Any]], call: Call) -> Target | None:
        """Return what `call` leads to by the `tools` of a response, None for a function of the client's."""
        functions = [tool["name"] for tool in tools if tool["type"] == "function"]
        if call.server_label is None and call.name in functions:
            return None
        for tool in tools:
            if tool["type"] == "mcp" and call.server_label in (None, tool["server_label"]):
                for hosted in self._allowed(tool):
                    if hosted.name == call.name:
                        server = self._imports[McpServer.of(tool)].server
                        return Target(server.label, server, True, asks(tool, hosted))
        return None if call.server_label is None else Target(call.server_label, None, False, False)

    def _import(self, tools: Sequence[dict[str, Any]], *, for_response: bool) -> set[McpServer]:
        servers = set()
        for tool in tools:
            if tool["type"] != "mcp":
                continue
            server = McpServer.of(tool)
            servers.add(server)
            found = self._imports.get(server)
            if found is not None:
                found.tool, found.server = tool, server
                continue
            found = self._imports[server] = _Import(tool, server)
            self._list(found, for_response=for_response)
        return servers

    def _list(self, found: _Import, *, for_response: bool) -> None:
        item_id = self._outbox.ids.new("item")
        item = Item({"id": item_id, "type": "mcp_list_tools", "server_label": found.server.label, "tools": []})
        self._listing[item_id] = (found, item)
        self._outbox.emit("mcp_list_tools.in_progress", item_id=item_id)
        previous = self._conversation.append(item)
        self._outbox.emit("conversation.item.added", previous_item_id=previous, item=item.to_wire())
        self._outbox.effect(ListTools(found.server, item_id, for_response))

    def _allowed(self, tool: Mapping[str, Any]) -> list[HostedTool]:
        found = self._imports.get(McpServer.of(tool))
        return [] if found is None else [hosted for hosted in found.tools if allows(tool, hosted)]


def _to_wire(tool: HostedTool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description,
        "input_schema": dict(tool.input_schema),
        "annotations": None if tool.annotations is None else dict(tool.annotations),
    }


def _as_function(server_label: str, tool: HostedTool) -> dict[str, Any]:
    return {
        "type": "mcp",
        "server_label": server_label,
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.input_schema),
        "annotations": tool.annotations,
    }
