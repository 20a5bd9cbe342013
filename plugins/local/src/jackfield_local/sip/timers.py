"""Timers by a clock that is handed in: whoever runs them is told when to come again."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

from attrs import define

__all__ = ["Timer", "Timers"]


@define(eq=False)
class Timer:
    """Something that is to happen at a time."""

    when: float
    call: Callable[[], None] | None

    def cancel(self) -> None:
        """Have it not happen."""
        self.call = None


class Timers:
    """What is to happen when. `clock` returns seconds that don't go back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = count()

    @property
    def deadline(self) -> float | None:
        """When the next is due; None where nothing waits."""
        while self._heap and self._heap[0][2].call is None:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def after(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Have `call` called in so many seconds."""
        timer = Timer(self._clock() + seconds, call)
        heapq.heappush(self._heap, (timer.when, next(self._order), timer))
        return timer

    def run(self) -> None:
        """Call what is due."""
        now = self._clock()
        while (deadline := self.deadline) is not None and deadline <= now:
            timer = heapq.heappop(self._heap)[2]
            call, timer.call = timer.call, None
            if call is not None:
                call()
