"""The `mcp` tools of a session or a response: what they may say, and what that means.

Everything here is a function of the tool's own JSON. Which servers a session knows is in `hosted`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import field, frozen

from jackfield_local.engine.errors import ApiError, invalid_type, missing_parameter
from jackfield_local.engine.schema import Check, anything, array, boolean, enum, nullable, record, string, union
from jackfield_local.interfaces import HostedTool

__all__ = ["MCP_TOOL", "McpServer", "allows", "asks", "complete_tools", "public_tools"]

_ADDRESSES: Final = ("server_url", "connector_id", "tunnel_id")
_SECRETS: Final = ("authorization", "headers")
_CONNECTORS: Final = (
    "connector_dropbox",
    "connector_gmail",
    "connector_googlecalendar",
    "connector_googledrive",
    "connector_microsoftteams",
    "connector_outlookcalendar",
    "connector_outlookemail",
    "connector_sharepoint",
)


@frozen
class McpServer:
    """A hosted server as an `mcp` tool names it: a `label` for the conversation and an `address` out there."""

    label: str
    address: str
    authorization: str | None = field(default=None, repr=False, eq=False)
    headers: Mapping[str, str] = field(factory=dict, repr=False, eq=False)

    @classmethod
    def of(cls, tool: Mapping[str, Any]) -> McpServer:
        """Return the server of an `mcp` tool that is complete."""
        address = next(tool[name] for name in _ADDRESSES if name in tool)
        return cls(tool["server_label"], address, tool.get("authorization"), tool.get("headers") or {})


def complete_tools(
    tools: Sequence[Mapping[str, Any]], known: Mapping[str, Mapping[str, Any]], path: str
) -> list[dict[str, Any]]:
    """Return `tools`, with `mcp` tools that give no address completed from what is `known` of their label.

    Raises `ApiError` where a label is there twice, or has no address and isn't known.
    """
    labels: set[str] = set()
    completed = []
    for index, tool in enumerate(tools):
        if tool["type"] == "mcp":
            label = tool["server_label"]
            if label in labels:
                message = f"Duplicate server_label '{label}'. Each MCP server needs a label of its own."
                raise ApiError(message, code="invalid_value", param=f"{path}[{index}].server_label")
            labels.add(label)
            if not any(name in tool for name in _ADDRESSES):
                if label not in known:
                    raise missing_parameter(f"{path}[{index}].server_url")
                tool = {**known[label], **tool}  # noqa: PLW2901 - the same tool, completed
        completed.append(dict(tool))
    return completed


def public_tools(tools: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return `tools` as events may carry them: without credentials."""
    return [{name: value for name, value in tool.items() if name not in _SECRETS} for tool in tools]


def allows(mcp_tool: Mapping[str, Any], tool: HostedTool) -> bool:
    """Tell whether `allowed_tools` leaves a tool to the model."""
    allowed = mcp_tool.get("allowed_tools")
    if allowed is None:
        return True
    return _matches({"tool_names": allowed} if isinstance(allowed, list) else allowed, tool)


def asks(mcp_tool: Mapping[str, Any], tool: HostedTool) -> bool:
    """Tell whether the client must approve a call of a tool: it must, unless `require_approval` says otherwise."""
    rule = mcp_tool.get("require_approval")
    if rule is None or isinstance(rule, str):
        return rule != "never"
    always, never = rule.get("always"), rule.get("never")
    if always is not None and _matches(always, tool):
        return True
    return never is None or not _matches(never, tool)


def _matches(names_or_kind: Mapping[str, Any], tool: HostedTool) -> bool:
    names, read_only = names_or_kind.get("tool_names"), names_or_kind.get("read_only")
    reads_only = bool((tool.annotations or {}).get("readOnlyHint"))
    return (names is None or tool.name in names) and (read_only is None or read_only == reads_only)


_FILTER: Final = record({"tool_names": nullable(array(string())), "read_only": nullable(boolean)})
_REQUIRE_APPROVAL: Final = union(
    text=enum("always", "never"),
    structure=record({"always": nullable(_FILTER), "never": nullable(_FILTER)}),
)


def _allowed_tools(value: Any, path: str) -> None:
    if isinstance(value, list):
        array(string())(value, path)
    elif isinstance(value, dict):
        _FILTER(value, path)
    else:
        raise invalid_type(path, "an array or an object", value)


def _headers(value: Any, path: str) -> None:
    if not isinstance(value, dict):
        raise invalid_type(path, "an object", value)
    for name, text in value.items():
        string()(text, f"{path}.{name}")


_FIELDS: Final = record(
    {
        "type": anything,
        "server_label": string(shortest=1),
        "server_url": string(shortest=1),
        "connector_id": enum(*_CONNECTORS),
        "tunnel_id": string(shortest=1),
        "server_description": nullable(string()),
        "authorization": nullable(string()),
        "headers": nullable(_headers),
        "allowed_tools": nullable(_allowed_tools),
        "require_approval": nullable(_REQUIRE_APPROVAL),
        "defer_loading": boolean,
        "allowed_callers": nullable(array(enum("direct", "programmatic"))),
    },
    required=["server_label"],
)


def _mcp_tool(value: Any, path: str) -> None:
    _FIELDS(value, path)
    given = [name for name in _ADDRESSES if name in value]
    if len(given) > 1:
        message = f"Invalid '{path}': give only one of '{given[0]}' and '{given[1]}'."
        raise ApiError(message, code="invalid_value", param=path)
    named = {name.lower() for name in value.get("headers") or {}}
    if value.get("authorization") is not None and "authorization" in named:
        message = f"Invalid '{path}': give either 'authorization' or an Authorization header, not both."
        raise ApiError(message, code="invalid_value", param=f"{path}.authorization")


MCP_TOOL: Final[Check] = _mcp_tool
"""A tool of type "mcp"; that it has an address is checked with what the session knows, by `complete_tools`."""
