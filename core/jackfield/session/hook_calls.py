"""Calling the application's hooks, those of the run first, one after another and in the order of the events."""

from __future__ import annotations

import asyncio
from typing import Any

from jackfield.agent import RealtimeAgent
from jackfield.errors import ListenerError
from jackfield.hooks import RealtimeRunHooks
from jackfield.invoke import call_inline
from jackfield.run_context import ToolContext
from jackfield.tools import FunctionTool
from jackfield.transport.events import TurnDone

from .settings import PreparedAgent
from .shared import Shared

__all__ = ["HookCalls"]


class HookCalls:
    """The hooks of one session. Where there are none it costs nothing."""

    def __init__(self, shared: Shared, run_hooks: RealtimeRunHooks[Any] | None) -> None:
        self._shared = shared
        self._run = run_hooks
        self._turn: asyncio.Lock | None = None

    def response_started(self, owner: PreparedAgent) -> None:
        """An agent begins a response."""
        agent = owner.agent
        if agent.hooks is None and self._run is None:
            return
        context = self._shared.context
        prompt = (context, agent, owner.instructions, context.history)
        self._soon(
            self._call("on_agent_start", "on_start", agent, context, agent),
            self._call("on_llm_start", "on_llm_start", agent, *prompt),
        )

    def response_ended(self, owner: PreparedAgent, done: TurnDone, output: str) -> None:
        """An agent's response ended."""
        agent = owner.agent
        if agent.hooks is None and self._run is None:
            return
        context = self._shared.context
        self._soon(
            self._call("on_llm_end", "on_llm_end", agent, context, agent, done),
            self._call("on_agent_end", "on_end", agent, context, agent, output),
        )

    def handed_over(self, source: RealtimeAgent, target: RealtimeAgent) -> None:
        """The conversation passed on."""
        context = self._shared.context
        calls: list[tuple[Any, Any]] = []
        if self._run is not None:
            calls.append((self._run.on_handoff, (context, source, target)))
        if target.hooks is not None:
            calls.append((target.hooks.on_handoff, (context, target, source)))
        self._soon(calls)

    async def tool_starts(self, context: ToolContext[Any], agent: RealtimeAgent, tool: FunctionTool) -> None:
        """A tool is about to run."""
        await self._now(self._call("on_tool_start", "on_tool_start", agent, context, agent, tool))

    async def tool_ended(
        self, context: ToolContext[Any], agent: RealtimeAgent, tool: FunctionTool, result: Any
    ) -> None:
        """A tool ended."""
        await self._now(self._call("on_tool_end", "on_tool_end", agent, context, agent, tool, result))

    def _call(self, of_run: str, of_agent: str, agent: RealtimeAgent, *arguments: Any) -> list[tuple[Any, Any]]:
        hooks = ((self._run, of_run), (agent.hooks, of_agent))
        return [(getattr(owner, name), arguments) for owner, name in hooks if owner is not None]

    def _soon(self, *calls: list[tuple[Any, Any]]) -> None:
        wanted = [call for group in calls for call in group]
        if wanted:
            self._shared.scope.spawn(self._now(wanted), name="hooks")

    async def _now(self, calls: list[tuple[Any, Any]]) -> None:
        if not calls:
            return
        self._turn = self._turn or asyncio.Lock()
        async with self._turn:  # those who wait get it in the order in which they came
            for function, arguments in calls:
                try:
                    await call_inline(function, *arguments)
                except (Exception, asyncio.CancelledError) as error:
                    if self._shared.ends(error):
                        raise
                    self._failed(function, error)  # whatever the application raises costs this hook

    def _failed(self, function: Any, error: BaseException) -> None:
        name = getattr(function, "__qualname__", repr(function))
        kind = getattr(function, "__name__", "hook")
        self._shared.tell_error(ListenerError.of(f"the hook {name}", error, "The session goes on.", event_type=kind))
