"""An event loop that can be stopped at each of its turns: what happens between any two of them can be tried out.

Every check runs on such a loop. `at_turn(n, do)` has `do` called before the n-th turn from now. A loop that waits makes
no turns: each of them is one in which something happened.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import selectors
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, ParamSpec

__all__ = ["SteppingLoop", "at_turn", "stepwise", "turn_loops"]

P = ParamSpec("P")


def stepwise(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run the coroutine function `test`, which is no check, on such a loop."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=SteppingLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


@contextlib.contextmanager
def at_turn(number: int, do: Callable[[], object]) -> Iterator[None]:
    """Call `do` before the turn of that number, counted from now, if the block lasts that long."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SteppingLoop), "only a check's own loop can be stopped at a turn"
    counter = loop.counter
    counter.stop_at, counter.do = counter.turns + number, do
    try:
        yield
    finally:
        counter.stop_at = None


async def turn_loops(count: int = 100) -> None:
    """Give everybody on the loop so many turns."""
    for _ in range(count):
        await asyncio.sleep(0)


class _Counter(selectors.DefaultSelector):
    """Where the loop comes between two turns."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = 0
        self.stop_at: int | None = None
        self.do: Callable[[], object] = lambda: None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(timeout)
        self.turns += 1
        if self.turns == self.stop_at:
            self.do()
        return ready


class SteppingLoop(asyncio.SelectorEventLoop):
    """A loop that counts its turns."""

    def __init__(self) -> None:
        self.counter = _Counter()
        super().__init__(self.counter)
