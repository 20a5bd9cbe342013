"""Handovers: the model takes a handoff, and another agent has the conversation.

On the wire: (with an input filter) the edited history, the new agent's settings, then the call's output.
"""

from __future__ import annotations

import asyncio
from typing import Any

from jackfield.agent import RealtimeAgent, enabled
from jackfield.errors import ToolError
from jackfield.handoffs import Handoff, HandoffInputData
from jackfield.invoke import call_inline
from jackfield.transport.events import FunctionCall
from jackfield.transport.items import RealtimeToolCallItem

from .agents import Agents
from .edits import EditedHistory, items_of
from .shared import Shared
from .tool_runs import Answer
from .turns import Turn

__all__ = ["Handovers"]


class Handovers:
    """The handoffs of one session."""

    def __init__(self, shared: Shared, agents: Agents) -> None:
        self._shared = shared
        self._agents = agents

    async def take(self, handoff: Handoff, call: FunctionCall, turn: Turn) -> Answer:
        """Take a handoff; return what the model is told of it. Where it fails the agent stays, and can say so."""
        if turn.handed_over:
            return Answer("Another handoff of this response was taken. This one was ignored.")
        turn.handed_over = True
        try:
            await self._take(handoff, call, turn.owner.agent)
        except (Exception, asyncio.CancelledError) as error:
            if self._shared.over or self._shared.ends(error):
                raise
            turn.handed_over = False
            return self._failed(handoff, error)
        return Answer(handoff.get_transfer_message())

    async def _take(self, handoff: Handoff, call: FunctionCall, source: RealtimeAgent) -> None:
        context = self._shared.context
        if not await enabled(handoff.is_enabled, context, source):
            raise ToolError("it is not enabled any more")
        given = handoff.parse_input(call.arguments)
        if handoff.on_handoff is not None:
            await call_inline(handoff.on_handoff, *((context, given) if handoff.takes_input else (context,)))
        edited = None if handoff.input_filter is None else await self._filtered(handoff, given, source)
        await self._agents.take_over(handoff.agent, edited)

    async def _filtered(self, handoff: Handoff, given: Any, source: RealtimeAgent) -> EditedHistory:
        assert handoff.input_filter is not None
        history = self._agents.history()
        data = HandoffInputData(
            history=list(history), input=given, context=self._shared.context, from_agent=source, to_agent=handoff.agent
        )
        kept = await call_inline(handoff.input_filter, data)
        items = items_of(kept, f"what the input_filter of {handoff.tool_name!r} returned")
        known = {item.item_id for item in items}
        items += [
            item  # its output is still to come, and belongs to it
            for item in history
            if isinstance(item, RealtimeToolCallItem) and item.output is None and item.item_id not in known
        ]
        return history, items

    def _failed(self, handoff: Handoff, error: BaseException) -> Answer:
        failure = ToolError(f"the handoff to agent {handoff.agent.name!r} failed: {str(error) or type(error).__name__}")
        failure.__cause__ = error
        self._shared.tell_error(failure)
        if isinstance(error, ToolError):  # words that help the model to do better
            return Answer(f"The handoff to {handoff.agent.name} failed: {error}")
        return Answer(f"An error occurred while handing over to {handoff.agent.name}. Please go on without.")
