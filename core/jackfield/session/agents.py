"""Who has the conversation: the agent that it starts with, and those that take over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from jackfield.agent import RealtimeAgent
from jackfield.errors import NotConnectedError, SessionStateError
from jackfield.transport.items import RealtimeItem

from .checks import check_agent_fits, check_takeover
from .edits import EditedHistory, Edits
from .events import RealtimeHandoffEvent
from .settings import ModelSettings, PreparedAgent, initial_config, prepare_agent, takeover_config
from .shared import Shared

__all__ = ["Agents"]


class Agents:
    """The agents of one session. `on_taken(source, target)` is called when another one has the conversation."""

    def __init__(self, shared: Shared, settings: ModelSettings, edits: Edits) -> None:
        self._shared = shared
        self._settings = settings
        self._edits = edits
        self._prepared: PreparedAgent | None = None
        self._turn: asyncio.Lock | None = None
        self._under_way: dict[asyncio.Task[None], None] = {}
        self.on_taken: Callable[[RealtimeAgent[Any], RealtimeAgent[Any]], None] | None = None

    @property
    def started(self) -> bool:
        """Whether an agent has the conversation."""
        return self._prepared is not None

    def current(self) -> PreparedAgent:
        """Return who has the conversation now."""
        assert self._prepared is not None, "set before the transport tells anything"
        return self._prepared

    async def start(self, agent: RealtimeAgent[Any], *, joins_call: bool) -> dict[str, Any]:
        """Give the conversation to its first agent; return what the far end is to be told of it first."""
        settings, run = self._settings, self._shared.settings
        prepared = await prepare_agent(agent, self._shared.context, settings=settings, guardrails=run.output_guardrails)
        check_agent_fits(self._shared.transport, prepared)
        config = initial_config(prepared, settings, joins_call=joins_call, traces=not run.tracing_disabled)
        self._prepared = prepared
        return config

    async def take_over(self, agent: RealtimeAgent[Any], edited: EditedHistory | None = None) -> None:
        """Let another agent have the conversation. Where it isn't valid nothing changes and nothing is sent."""
        shared = self._shared
        check_takeover(shared.transport, agent)
        prepared = await prepare_agent(agent, shared.context, guardrails=shared.settings.output_guardrails)
        check_agent_fits(shared.transport, prepared)
        # Shielded: what was begun is sent, also where the caller gives up, and then the session is to know of it.
        task = asyncio.get_running_loop().create_task(self._give_to(prepared, edited))
        self._under_way[task] = None
        task.add_done_callback(self._under_way.pop)
        await asyncio.shield(task)

    def history(self) -> list[RealtimeItem]:
        """Return the conversation as the far end will have it once it has done what was asked."""
        return self._edits.applied(self._shared.context.history)

    async def edit(self, old: Sequence[RealtimeItem], new: Sequence[RealtimeItem]) -> None:
        """Edit the far end's conversation from `old` to `new`."""
        self._edits.sent(old, new)  # before it is sent: the answers may come while it is on its way
        try:
            await self._shared.transport.reset_history(old, new)
        except Exception:  # who merely gives up has sent it all the same
            self._edits.forget()
            raise

    async def _give_to(self, prepared: PreparedAgent, edited: EditedHistory | None) -> None:
        shared = self._shared
        self._turn = self._turn or asyncio.Lock()
        async with self._turn:
            if shared.scope.closed:
                raise SessionStateError("the session was closed before the agent took over")
            if shared.over:
                raise NotConnectedError("the connection ended before the agent took over")
            source = self.current()
            if edited is not None:
                await self.edit(*edited)
            await shared.transport.update_session_config(takeover_config(prepared, source, self._settings))
            self._prepared = prepared
        shared.stream.tell(RealtimeHandoffEvent(source.agent, prepared.agent, shared.info))
        if self.on_taken is not None:
            self.on_taken(source.agent, prepared.agent)
