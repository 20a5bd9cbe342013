"""Handoffs: how one agent gives the conversation to another, told to the model as a tool."""

from __future__ import annotations

import json
import re
from typing import Any

from attrs import field, frozen

from .agent import RealtimeAgent
from .errors import ConfigurationError
from .tools import check_tool_name

__all__ = ["Handoff", "realtime_handoff"]

_NO_INPUT: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}


@frozen(kw_only=True, eq=False)
class Handoff:
    """A way to another agent. The model takes it by calling the tool `tool_name`."""

    agent: RealtimeAgent
    tool_name: str = field(validator=check_tool_name)
    tool_description: str

    def to_wire(self) -> dict[str, Any]:
        """Return the handoff as sessions declare it: a function without parameters."""
        return {
            "type": "function",
            "name": self.tool_name,
            "description": self.tool_description,
            "parameters": _NO_INPUT,
        }

    def transfer_message(self) -> str:
        """Return what the model is told when the handoff is done."""
        return json.dumps({"assistant": self.agent.name}, ensure_ascii=False)


def realtime_handoff(
    agent: RealtimeAgent,
    *,
    tool_name_override: str | None = None,
    tool_description_override: str | None = None,
) -> Handoff:
    """Make a handoff to `agent`, where its bare mention in `handoffs` won't do."""
    if not isinstance(agent, RealtimeAgent):
        raise ConfigurationError(f"a handoff goes to a RealtimeAgent, not to {type(agent).__name__}")
    name = "transfer_to_" + re.sub(r"\W", "_", agent.name, flags=re.ASCII).lower()
    described = f"Handoff to the {agent.name} agent to handle the request. {agent.handoff_description or ''}".strip()
    return Handoff(
        agent=agent,
        tool_name=tool_name_override or name[:64],
        tool_description=tool_description_override or described,
    )
