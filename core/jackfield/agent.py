"""Agents: who speaks, by what instructions, with which tools, and to whom it may hand over."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs
from attrs import define, field

from .errors import ConfigurationError
from .run_context import RunContextWrapper
from .tools import FunctionTool

if TYPE_CHECKING:
    from .handoffs import Handoff

__all__ = ["Instructions", "RealtimeAgent"]

Instructions: TypeAlias = str | Callable[[RunContextWrapper[Any], "RealtimeAgent"], str | Awaitable[str]]
"""Text, or a sync or async function of the context and the agent that returns it."""


@define(eq=False)
class RealtimeAgent:
    """An agent's specification. Sessions read it and never change it; many sessions can share one.

    Lists can be filled after construction, so that agents can hand over to one another in circles.
    """

    # Said for each field: before attrs 25.4 a class's kw_only makes the name keyword-only as well.
    name: str
    instructions: Instructions | None = field(default=None, repr=False, kw_only=True)
    tools: list[FunctionTool] = field(factory=list, repr=False, kw_only=True)
    handoffs: list[RealtimeAgent | Handoff] = field(factory=list, repr=False, kw_only=True)
    handoff_description: str | None = field(default=None, repr=False, kw_only=True)
    """What the agent is for, in the words by which another one decides to hand over to it."""
    prompt: Mapping[str, Any] | None = field(default=None, repr=False, kw_only=True)
    """A stored prompt: {"id", "version"?, "variables"?}."""
    voice: str | None = field(default=None, repr=False, kw_only=True)
    """The voice for sessions that start with this agent and name none. It can't change once the model has spoken."""

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ConfigurationError(f"an agent's name is a non-empty str, not {self.name!r}")
        for attribute in ("tools", "handoffs"):
            if not isinstance(getattr(self, attribute), list):
                raise ConfigurationError(f"agent {self.name!r}: {attribute} is a list")
        self.check_tools()
        if self.instructions is not None and not isinstance(self.instructions, str) and not callable(self.instructions):
            raise ConfigurationError(f"agent {self.name!r}: instructions are a str or a function that returns one")

    def check_tools(self) -> None:
        """Raise `ConfigurationError` for what is no tool. Sessions ask again: the list can be filled meanwhile."""
        for tool in self.tools:
            if not isinstance(tool, FunctionTool):
                hint = " (decorate it with @function_tool)" if callable(tool) else ""
                raise ConfigurationError(f"agent {self.name!r}: {tool!r} is no tool{hint}")

    def clone(self, **changes: Any) -> RealtimeAgent:
        """Return a copy with `changes`. Lists that aren't changed are copied, so that the two don't share them."""
        return attrs.evolve(self, **{"tools": list(self.tools), "handoffs": list(self.handoffs), **changes})

    async def get_system_prompt(self, context: RunContextWrapper[Any]) -> str | None:
        """Return the instructions for `context`."""
        if self.instructions is None or isinstance(self.instructions, str):
            return self.instructions
        text = self.instructions(context, self)
        if inspect.isawaitable(text):
            text = await text
        if not isinstance(text, str):
            raise ConfigurationError(
                f"agent {self.name!r}: the instructions function returned {type(text).__name__}: it must return a str"
            )
        return text
