"""The budget of a session: it warns, and then ends the conversation politely."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from jackfield.budget import Budget
from jackfield.transport.events import Usage

from .events import RealtimeBudgetExceeded, RealtimeBudgetWarning, RealtimeEventInfo

__all__ = ["BudgetWatch"]

Kind = Literal["tokens", "seconds", "cost"]


class BudgetWatch:
    """Watches one budget. `finish` ends the session; it is called once."""

    def __init__(
        self,
        budget: Budget,
        info: RealtimeEventInfo,
        tell: Callable[[Any], None],
        finish: Callable[[Budget], Awaitable[None]],
        spawn: Callable[..., object],
    ) -> None:
        self._budget = budget
        self._info = info
        self._tell = tell
        self._finish = finish
        self._spawn = spawn
        self._warned: set[Kind] = set()
        self._exceeded = False
        self._timers: list[asyncio.TimerHandle] = []

    def start(self) -> None:
        """Count the seconds from now on."""
        limit = self._budget.max_seconds
        if limit is None:
            return
        loop = asyncio.get_running_loop()
        for share in sorted({self._budget.warn_at, 1.0}):
            self._timers.append(loop.call_later(limit * share, self._check, "seconds", limit * share, limit))

    def used(self, total: Usage) -> None:
        """Note what all responses have used so far."""
        budget = self._budget
        if budget.max_tokens is not None:
            self._check("tokens", total.total_tokens, budget.max_tokens)
        if budget.max_cost is not None and budget.prices is not None:
            self._check("cost", budget.prices.cost(total), budget.max_cost)

    def close(self) -> None:
        """Stop counting."""
        for timer in self._timers:
            timer.cancel()

    def _check(self, kind: Kind, used: float, limit: float) -> None:
        if self._exceeded:
            return
        if used >= limit:
            self._exceeded = True
            self._tell(RealtimeBudgetExceeded(kind, used, limit, self._info))
            self._spawn(self._finish(self._budget), name="budget")
        elif used >= limit * self._budget.warn_at and kind not in self._warned:
            self._warned.add(kind)
            self._tell(RealtimeBudgetWarning(kind, used, limit, self._info))
