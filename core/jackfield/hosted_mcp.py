"""Hosted MCP: servers whose tools the model's provider calls by itself. Local servers are in `mcp`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, TypeAlias

from attrs import field, frozen, validators

from .errors import ConfigurationError
from .invoke import check_function
from .naming import check_names
from .transport.events import McpApprovalRequest

__all__ = ["HostedMCPTool", "MCPToolApprovalFunction"]

MCPToolApprovalFunction: TypeAlias = Callable[[McpApprovalRequest], bool | Awaitable[bool]]
"""Decides on a call of a hosted tool. Without one the session tells `tool_approval_required`."""

_KEYS = (
    "type",
    "server_label",
    "server_url",
    "connector_id",
    "tunnel_id",
    "server_description",
    "authorization",
    "headers",
    "allowed_tools",
    "require_approval",
    "defer_loading",
    "allowed_callers",
)
_PLACES = ("server_url", "connector_id", "tunnel_id")
_FILTER_KEYS = ("tool_names", "read_only")


def _checked(config: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(config, Mapping):
        raise ConfigurationError(f"tool_config is a mapping with server_label and more, not {type(config).__name__}")
    check_names("a hosted MCP tool has no key", config, _KEYS)
    label = config.get("server_label")
    if not isinstance(label, str) or not label:
        raise ConfigurationError("a hosted MCP tool needs a server_label: a name for the server, of your choice")
    if config.get("type", "mcp") != "mcp":
        raise ConfigurationError(f"hosted MCP tool {label!r}: its type is 'mcp', not {config['type']!r}")
    for key in _PLACES:
        if config.get(key) is not None and not isinstance(config[key], str):
            raise ConfigurationError(f"hosted MCP tool {label!r}: {key} is a str, not {type(config[key]).__name__}")
    places = [key for key in _PLACES if config.get(key)]
    if len(places) > 1:
        raise ConfigurationError(f"hosted MCP tool {label!r}: give one of {' and '.join(places)}, not both")
    _check_filter(label, "allowed_tools", config.get("allowed_tools"))
    _check_approval(label, config.get("require_approval"))
    return {"type": "mcp", **{key: value for key, value in config.items() if value is not None}}


def _check_filter(label: str, key: str, value: object) -> None:
    if value is None or (isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)):
        return
    if not isinstance(value, Mapping):
        raise ConfigurationError(
            f"hosted MCP tool {label!r}: {key} is a list of tool names, or {{'tool_names': [...]}}"
        )
    check_names(f"hosted MCP tool {label!r}: {key} has no key", value, _FILTER_KEYS)
    if not value:
        raise ConfigurationError(f"hosted MCP tool {label!r}: {key} is empty: give tool_names or read_only, or omit it")
    names = value.get("tool_names")
    if names is not None and not (isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)):
        raise ConfigurationError(f"hosted MCP tool {label!r}: {key}.tool_names is a list of names, not {names!r}")
    if not isinstance(value.get("read_only", False), bool):
        raise ConfigurationError(f"hosted MCP tool {label!r}: {key}.read_only is a bool")


def _check_approval(label: str, value: object) -> None:
    if value is None or value in ("always", "never"):
        return
    if not isinstance(value, Mapping):
        raise ConfigurationError(
            f"hosted MCP tool {label!r}: require_approval is 'always', 'never', or a mapping with those keys,"
            f" not {value!r}"
        )
    check_names(f"hosted MCP tool {label!r}: require_approval has no key", value, ("always", "never"))
    if not value:
        raise ConfigurationError(f"hosted MCP tool {label!r}: require_approval is empty: give always or never")
    for key, inner in value.items():
        _check_filter(label, f"require_approval.{key}", inner)
    always, never = (_names(value.get(key)) for key in ("always", "never"))
    if both := sorted(always & never):
        raise ConfigurationError(
            f"hosted MCP tool {label!r}: {', '.join(both)} can't both always and never need approval"
        )


def _names(value: object) -> set[str]:
    if isinstance(value, Mapping):
        value = value.get("tool_names")
    return set(value) if isinstance(value, list | tuple) else set()


@frozen(eq=False)
class HostedMCPTool:
    """A hosted MCP server, declared by `tool_config` as the API has it.

    Keys: server_label, and server_url or connector_id (or neither, where the session's key was made with them),
    server_description, authorization, headers, allowed_tools, require_approval. `on_approval_request` decides on calls
    that need approval; without it the session tells `tool_approval_required`. Raises `ConfigurationError` for keys and
    values that the API wouldn't take.
    """

    tool_config: Mapping[str, Any] = field(converter=_checked, repr=lambda config: f"<{config['server_label']}>")
    on_approval_request: MCPToolApprovalFunction | None = field(
        default=None, repr=False, validator=validators.optional(check_function)
    )
    type: Literal["mcp"] = field(default="mcp", init=False, repr=False)

    @property
    def server_label(self) -> str:
        """The server's label: what its events are told by."""
        return str(self.tool_config["server_label"])

    @property
    def name(self) -> str:
        """The same as `server_label`: what the tool is called in events."""
        return self.server_label

    def allows(self, tool: Mapping[str, Any]) -> bool:
        """Tell whether `allowed_tools` lets the model see a tool of the server's, given as the server describes it."""
        allowed = self.tool_config.get("allowed_tools")
        if allowed is None:
            return True
        rule: Mapping[str, Any] = allowed if isinstance(allowed, Mapping) else {"tool_names": allowed}
        names, read_only = rule.get("tool_names"), rule.get("read_only")
        annotations = tool.get("annotations")
        reads_only = isinstance(annotations, Mapping) and annotations.get("readOnlyHint") is True
        return (names is None or tool.get("name") in names) and read_only in (None, reads_only)

    def to_wire(self) -> dict[str, Any]:
        """Return the tool as sessions declare it."""
        return dict(self.tool_config)
