"""The parts of a session, put together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from attrs import frozen

from jackfield.agent import RealtimeAgent
from jackfield.audio.tracker import RealtimePlaybackTracker
from jackfield.budget import Budget
from jackfield.hooks import RealtimeRunHooks

from .agents import Agents
from .approvals import Approvals
from .budget_watch import BudgetWatch
from .conversation import Conversation
from .edits import Edits
from .handovers import Handovers
from .history import History
from .hold_back import HoldBack, ReleaseTracker
from .hook_calls import HookCalls
from .hosted import HostedTools
from .metrics import Metrics
from .output_guardrails import OutputGuardrails
from .shared import Shared
from .tool_calls import ToolCalls
from .tool_runs import ToolRuns
from .turns import Turns

__all__ = ["Parts", "assemble"]


@frozen(eq=False)
class Parts:
    """What a session consists of, beside what its parts share."""

    conversation: Conversation
    hosted: HostedTools
    approvals: Approvals
    hooks: HookCalls
    metrics: Metrics
    hold_back: HoldBack | None
    budget: BudgetWatch | None

    def close(self) -> None:
        """Let go of timers, and of what waits. Calling it again does nothing."""
        self.metrics.close()
        if self.budget is not None:
            self.budget.close()
        if self.hold_back is not None:
            self.hold_back.close()


def assemble(
    shared: Shared,
    history: History,
    edits: Edits,
    agents: Agents,
    *,
    run_hooks: RealtimeRunHooks[Any] | None,
    tracker: RealtimePlaybackTracker | None,
    finish: Callable[[Budget], Awaitable[None]],
) -> Parts:
    """Put a session's parts together."""
    settings, stream = shared.settings, shared.stream
    turns = Turns(agents.current)
    approvals = Approvals()
    hooks = HookCalls(shared, run_hooks)
    guardrails = OutputGuardrails(shared, turns)
    metrics = Metrics(shared.info, stream.tell, shared.transport.playback)
    stream.on_audio_taken = metrics.delivered
    tool_calls = ToolCalls(shared, turns, ToolRuns(shared, hooks, approvals), Handovers(shared, agents))
    hosted = HostedTools(shared, approvals, agents.current, turns, tool_calls.settle)

    def taken(source: RealtimeAgent[Any], target: RealtimeAgent[Any]) -> None:
        hooks.handed_over(source, target)
        hosted.refresh()

    agents.on_taken = taken
    hold_back = budget = None
    if settings.hold_back_ms is not None:
        released = tracker if isinstance(tracker, ReleaseTracker) else None
        hold_back = HoldBack(guardrails, settings.hold_back_ms / 1000, stream.tell, released)
    if settings.budget is not None:
        budget = BudgetWatch(settings.budget, shared.info, stream.tell, finish, shared.scope.spawn)
    conversation = Conversation(
        shared,
        history,
        edits,
        turns,
        tool_calls=tool_calls,
        hosted=hosted,
        guardrails=guardrails,
        hooks=hooks,
        metrics=metrics,
        hold_back=hold_back,
        budget=budget,
    )
    return Parts(conversation, hosted, approvals, hooks, metrics, hold_back, budget)
