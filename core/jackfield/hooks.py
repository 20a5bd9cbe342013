"""Hooks: methods of the application that are called when something happens to an agent.

Override what you need; each may be a function or a coroutine function. They are called one after another, in the order
of the session's events. `on_tool_start` and `on_tool_end` are awaited before the call goes on; nothing waits for the
others. One that raises is told as an `error` event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from .run_context import RunContextWrapper, TContext, ToolContext

if TYPE_CHECKING:
    from .agent import RealtimeAgent
    from .tools import FunctionTool
    from .transport.events import TurnDone
    from .transport.items import RealtimeItem

__all__ = ["RealtimeAgentHooks", "RealtimeRunHooks"]


class RealtimeAgentHooks(Generic[TContext]):
    """Hooks of one agent (`RealtimeAgent.hooks`)."""

    async def on_start(self, context: RunContextWrapper[TContext], agent: RealtimeAgent[TContext]) -> None:
        """The agent begins a response (session event `agent_start`)."""

    async def on_end(self, context: RunContextWrapper[TContext], agent: RealtimeAgent[TContext], output: Any) -> None:
        """A response of the agent ended; `output` is the text of its last message (session event `agent_end`)."""

    async def on_handoff(
        self, context: RunContextWrapper[TContext], agent: RealtimeAgent[TContext], source: RealtimeAgent[TContext]
    ) -> None:
        """The agent was given the conversation by `source` (session event `handoff`)."""

    async def on_tool_start(
        self, context: ToolContext[TContext], agent: RealtimeAgent[TContext], tool: FunctionTool
    ) -> None:
        """A tool of the agent is about to run (session event `tool_start`)."""

    async def on_tool_end(
        self, context: ToolContext[TContext], agent: RealtimeAgent[TContext], tool: FunctionTool, result: Any
    ) -> None:
        """A tool of the agent ended; its output goes out next (before the session event `tool_end`)."""

    async def on_llm_start(
        self,
        context: RunContextWrapper[TContext],
        agent: RealtimeAgent[TContext],
        system_prompt: str | None,
        input_items: list[RealtimeItem],
    ) -> None:
        """The model begins a response, by these instructions and to this conversation."""

    async def on_llm_end(
        self, context: RunContextWrapper[TContext], agent: RealtimeAgent[TContext], response: TurnDone
    ) -> None:
        """The model ended a response, in whatever way."""


class RealtimeRunHooks(Generic[TContext]):
    """Hooks of a whole run (`RealtimeSession(hooks=)`, `RealtimeRunner(hooks=)`), whichever agent speaks."""

    async def on_agent_start(self, context: RunContextWrapper[TContext], agent: RealtimeAgent[TContext]) -> None:
        """An agent begins a response (session event `agent_start`)."""

    async def on_agent_end(
        self, context: RunContextWrapper[TContext], agent: RealtimeAgent[TContext], output: Any
    ) -> None:
        """A response ended; `output` is the text of its last message (session event `agent_end`)."""

    async def on_handoff(
        self,
        context: RunContextWrapper[TContext],
        from_agent: RealtimeAgent[TContext],
        to_agent: RealtimeAgent[TContext],
    ) -> None:
        """The conversation passed from one agent to another (session event `handoff`)."""

    async def on_tool_start(
        self, context: ToolContext[TContext], agent: RealtimeAgent[TContext], tool: FunctionTool
    ) -> None:
        """A tool is about to run (session event `tool_start`)."""

    async def on_tool_end(
        self, context: ToolContext[TContext], agent: RealtimeAgent[TContext], tool: FunctionTool, result: Any
    ) -> None:
        """A tool ended; its output goes out next (before the session event `tool_end`)."""

    async def on_llm_start(
        self,
        context: RunContextWrapper[TContext],
        agent: RealtimeAgent[TContext],
        system_prompt: str | None,
        input_items: list[RealtimeItem],
    ) -> None:
        """The model begins a response, by these instructions and to this conversation."""

    async def on_llm_end(
        self, context: RunContextWrapper[TContext], agent: RealtimeAgent[TContext], response: TurnDone
    ) -> None:
        """The model ended a response, in whatever way."""
