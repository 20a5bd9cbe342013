"""Handovers: the model takes a handoff, and another agent has the conversation.

On the wire: (with an input filter) the edited history, the new agent's settings, then the call's output.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from jackfield.agent import RealtimeAgent, enabled
from jackfield.errors import ConfigurationError, NotConnectedError, ToolError, TransportError
from jackfield.handoffs import Handoff, HandoffInputData
from jackfield.invoke import call_inline
from jackfield.transport.events import FunctionCall
from jackfield.transport.items import RealtimeItem, RealtimeToolCallItem

from .events import RealtimeError
from .shared import Shared
from .tool_runs import Answer
from .turns import Turn

__all__ = ["EditedHistory", "Handovers"]

EditedHistory: TypeAlias = tuple[Sequence[RealtimeItem], Sequence[RealtimeItem]]
"""The history as it is, and as the next agent is to know it."""


class Handovers:
    """The handoffs of one session. `hand_over` lets an agent take over, or raises and changes nothing."""

    def __init__(
        self, shared: Shared, hand_over: Callable[[RealtimeAgent, EditedHistory | None], Awaitable[None]]
    ) -> None:
        self._shared = shared
        self._hand_over = hand_over

    async def take(self, handoff: Handoff, call: FunctionCall, call_id: str, turn: Turn) -> Answer:
        """Take a handoff; return what the model is told of it. Where it fails the agent stays, and can say so."""
        source = turn.owner.agent
        if turn.handed_over:
            return Answer("Another handoff of this response was taken. This one was ignored.")
        turn.handed_over = True
        try:
            if not await enabled(handoff.is_enabled, self._shared.context, source):
                raise ToolError("it is not enabled any more")
            given = handoff.parse_input(call.arguments)
            if handoff.on_handoff is not None:
                arguments = (self._shared.context, given) if handoff.takes_input else (self._shared.context,)
                await call_inline(handoff.on_handoff, *arguments)
            edited = await self._filtered(handoff, given, source, call_id)
            await self._hand_over(handoff.agent, edited)
        except TransportError:
            raise
        except Exception as error:
            turn.handed_over = False
            if self._shared.scope.closed:
                raise NotConnectedError("the session was closed during a handoff") from error
            failure = ToolError(f"the handoff to agent {handoff.agent.name!r} failed: {error}")
            failure.__cause__ = error
            self._shared.stream.tell(RealtimeError(failure, self._shared.info))
            if isinstance(error, ToolError):  # words that help the model to do better
                return Answer(f"The handoff to {handoff.agent.name} failed: {error}")
            return Answer(f"An error occurred while handing over to {handoff.agent.name}. Please go on without.")
        return Answer(handoff.get_transfer_message())

    async def _filtered(
        self, handoff: Handoff, given: Any, source: RealtimeAgent, call_id: str
    ) -> EditedHistory | None:
        """Return the history as it is and as the next agent is to know it; None where nothing is to be edited."""
        if handoff.input_filter is None:
            return None
        history = self._shared.context.history
        data = HandoffInputData(
            history=history, input=given, context=self._shared.context, from_agent=source, to_agent=handoff.agent
        )
        kept = await call_inline(handoff.input_filter, data)
        if isinstance(kept, str) or not hasattr(kept, "__iter__") or inspect.isasyncgen(kept):
            raise ConfigurationError(
                f"the input_filter of {handoff.tool_name!r} returned {type(kept).__name__}: it must return items"
            )
        items = list(kept)
        ours = next(
            (item for item in history if isinstance(item, RealtimeToolCallItem) and item.call_id == call_id), None
        )
        if ours is not None and ours.item_id not in {item.item_id for item in items}:
            items.append(ours)  # its output comes next
        return history, items
