"""Agents: who speaks, by what instructions, with which tools, and to whom it may hand over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, cast

import attrs
from attrs import define, field

from .errors import ConfigurationError
from .guardrails import OutputGuardrail
from .hooks import RealtimeAgentHooks
from .hosted_mcp import HostedMCPTool
from .invoke import call_inline, concurrently
from .run_context import RunContextWrapper, TContext
from .tools import FunctionTool, IsEnabled

if TYPE_CHECKING:
    from .handoffs import Handoff
    from .mcp import MCPServer

__all__ = ["Instructions", "Prompt", "RealtimeAgent", "Tool", "enabled"]

Tool: TypeAlias = FunctionTool | HostedMCPTool
"""What an agent may have among its tools."""

Instructions: TypeAlias = str | Callable[[RunContextWrapper[Any], "RealtimeAgent"], str | Awaitable[str]]
"""Text, or a sync or async function of the context and the agent that returns it."""

Prompt: TypeAlias = (
    Mapping[str, Any]
    | Callable[[RunContextWrapper[Any], "RealtimeAgent"], Mapping[str, Any] | Awaitable[Mapping[str, Any]]]
)
"""A stored prompt, {"id", "version"?, "variables"?}, or a function of the context and the agent that returns it."""


@define(eq=False)
class RealtimeAgent(Generic[TContext]):
    """An agent's specification. Sessions read it and never change it; many sessions can share one.

    Lists can be filled after construction, so that agents can hand over to one another in circles.
    """

    # Said for each field: before attrs 25.4 a class's kw_only makes the name keyword-only as well.
    name: str
    instructions: Instructions | None = field(default=None, repr=False, kw_only=True)
    tools: list[Tool] = field(factory=list, repr=False, kw_only=True)
    handoffs: list[RealtimeAgent | Handoff] = field(factory=list, repr=False, kw_only=True)
    handoff_description: str | None = field(default=None, repr=False, kw_only=True)
    """What the agent is for, in the words by which another one decides to hand over to it."""
    prompt: Prompt | None = field(default=None, repr=False, kw_only=True)
    voice: str | Mapping[str, Any] | None = field(default=None, repr=False, kw_only=True)
    """The voice for sessions that start with this agent and name none. It can't change once the model has spoken."""
    output_guardrails: list[OutputGuardrail] = field(factory=list, repr=False, kw_only=True)
    """What judges whatever this agent says; those of the run come on top."""
    mcp_servers: list[MCPServer] = field(factory=list, repr=False, kw_only=True)
    """Local MCP servers, connected and cleaned up by you. Their tools are the agent's."""
    mcp_config: Mapping[str, Any] = field(factory=dict, repr=False, kw_only=True)
    """How: convert_schemas_to_strict, failure_error_function, include_server_in_tool_names."""
    hooks: RealtimeAgentHooks[TContext] | None = field(default=None, repr=False, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ConfigurationError(f"an agent's name is a non-empty str, not {self.name!r}")
        for attribute in ("tools", "handoffs", "output_guardrails", "mcp_servers"):
            if not isinstance(getattr(self, attribute), list):
                raise ConfigurationError(f"agent {self.name!r}: {attribute} is a list")
        self.check()
        if self.instructions is not None and not isinstance(self.instructions, str) and not callable(self.instructions):
            raise ConfigurationError(f"agent {self.name!r}: instructions are a str or a function that returns one")
        if self.hooks is not None and not isinstance(self.hooks, RealtimeAgentHooks):
            raise ConfigurationError(
                f"agent {self.name!r}: its hooks are RealtimeAgentHooks, not {type(self.hooks).__name__}"
            )
        if self.prompt is not None and not isinstance(self.prompt, Mapping) and not callable(self.prompt):
            raise ConfigurationError(
                f"agent {self.name!r}: prompt is a mapping with an id, or a function that returns one"
            )

    def check(self) -> None:
        """Raise `ConfigurationError` for what is no tool or no guardrail.

        Sessions ask again: the lists can be filled meanwhile.
        """
        for tool in self.tools:
            if not isinstance(tool, FunctionTool | HostedMCPTool):
                hint = " (decorate it with @function_tool)" if callable(tool) else ""
                raise ConfigurationError(f"agent {self.name!r}: {tool!r} is no tool{hint}")
        for guardrail in self.output_guardrails:
            if not isinstance(guardrail, OutputGuardrail):
                hint = " (decorate it with @output_guardrail)" if callable(guardrail) else ""
                raise ConfigurationError(f"agent {self.name!r}: {guardrail!r} is no output guardrail{hint}")

    def clone(self, **changes: Any) -> RealtimeAgent[TContext]:
        """Return a copy with `changes`. Lists that aren't changed are copied, so that the two don't share them."""
        lists = ("tools", "handoffs", "output_guardrails", "mcp_servers")
        return attrs.evolve(self, **{name: list(getattr(self, name)) for name in lists} | changes)

    async def get_system_prompt(self, context: RunContextWrapper[TContext]) -> str | None:
        """Return the instructions for `context`."""
        if self.instructions is None or isinstance(self.instructions, str):
            return self.instructions
        text = await call_inline(self.instructions, context, self)
        if not isinstance(text, str):
            raise ConfigurationError(
                f"agent {self.name!r}: the instructions function returned {type(text).__name__}: it must return a str"
            )
        return text

    async def get_prompt(self, context: RunContextWrapper[TContext]) -> dict[str, Any] | None:
        """Return the stored prompt for `context`, or None."""
        if self.prompt is None:
            return None
        prompt = self.prompt if isinstance(self.prompt, Mapping) else await call_inline(self.prompt, context, self)
        if not isinstance(prompt, Mapping) or not isinstance(prompt.get("id"), str):
            raise ConfigurationError(
                f"agent {self.name!r}: a prompt is a mapping with an id, such as {{'id': 'pmpt_...'}}"
            )
        return dict(prompt)

    async def get_mcp_tools(self, context: RunContextWrapper[TContext]) -> list[FunctionTool]:
        """Return the tools of the agent's local MCP servers."""
        if not self.mcp_servers:
            return []
        from .mcp import mcp_function_tools

        return await mcp_function_tools(self.mcp_servers, context, self, self.mcp_config)

    async def get_all_tools(self, context: RunContextWrapper[TContext]) -> list[Tool]:
        """Return the tools that are enabled: those of its MCP servers first, then its own."""
        listed, own = await concurrently((self.get_mcp_tools(context), self._own_tools(context)))
        return [*cast("list[Tool]", listed), *own]

    async def _own_tools(self, context: RunContextWrapper[TContext]) -> list[Any]:
        switches = [getattr(tool, "is_enabled", True) for tool in self.tools]
        on = await concurrently(enabled(switch, context, self) for switch in switches)
        return [tool for tool, is_on in zip(self.tools, on, strict=True) if is_on]


async def enabled(switch: IsEnabled, context: RunContextWrapper[Any], agent: RealtimeAgent[Any]) -> bool:
    """Return what an `is_enabled` says: a bool, or a function of context and agent."""
    return switch if isinstance(switch, bool) else bool(await call_inline(switch, context, agent))
