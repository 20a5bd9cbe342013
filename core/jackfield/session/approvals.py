"""Approvals: calls that wait for somebody's word, and words that were given for good."""

from __future__ import annotations

import asyncio

from attrs import define, field, frozen

from jackfield.agent import RealtimeAgent
from jackfield.bounded import remember
from jackfield.errors import ConfigurationError

__all__ = ["Approvals", "Decision"]

_REMEMBERED = 256


@frozen
class Decision:
    """A word on a call. `message` is what the model is told of a rejection, None for the default."""

    approved: bool
    message: str | None = None


@define(eq=False)
class _Pending:
    agent: RealtimeAgent
    tool_name: str
    decision: asyncio.Future[Decision] = field(factory=lambda: asyncio.get_running_loop().create_future())


class Approvals:
    """The approvals of one session.

    A single decision is bound to its call, and thereby to the call's agent and arguments. One that is given for good is
    bound to the agent and the tool's name.
    """

    def __init__(self) -> None:
        self._pending: dict[str, _Pending] = {}
        self._decided: dict[str, None] = {}
        self._for_good: dict[tuple[RealtimeAgent, str], Decision] = {}

    def for_good(self, agent: RealtimeAgent, tool_name: str) -> Decision | None:
        """Return what was decided for good about an agent's tool."""
        return self._for_good.get((agent, tool_name))

    def ask(self, call_id: str, agent: RealtimeAgent, tool_name: str) -> asyncio.Future[Decision]:
        """Let a call wait; return what will be decided."""
        pending = self._pending[call_id] = _Pending(agent, tool_name)
        return pending.decision

    def decide(self, call_id: str, decision: Decision, *, always: bool) -> None:
        """Decide on a call that waits. Deciding again changes nothing.

        Raises `ConfigurationError` for a call that never waited.
        """
        pending = self._pending.pop(call_id, None)
        if pending is None:
            if call_id in self._decided:
                return
            waiting = ", ".join(self._pending) or "none"
            raise ConfigurationError(f"no call {call_id!r} waits for approval; waiting: {waiting}")
        remember(self._decided, call_id, None, _REMEMBERED)
        if always:
            self._for_good[pending.agent, pending.tool_name] = decision
        if not pending.decision.done():
            pending.decision.set_result(decision)

    def reopen(self, call_id: str, agent: RealtimeAgent, tool_name: str) -> asyncio.Future[Decision]:
        """Let a call wait again whose decision could not be sent."""
        self._decided.pop(call_id, None)
        return self.ask(call_id, agent, tool_name)
