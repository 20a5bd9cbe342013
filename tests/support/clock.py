"""An event loop whose time the test moves: hours pass at once, and only when the test says so.

`timeless` runs a coroutine test on such a loop. In it `advance(seconds)` lets time pass: all that is due meanwhile
happens, in order and each at its time, and it returns once nothing is left to do. `settle()` does the same without any
time passing. What runs on threads has a time of its own, and isn't waited for.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

__all__ = ["advance", "settle", "timeless"]

P = ParamSpec("P")

_PATIENCE = 20.0
"""Seconds of the wall clock after which a loop that has nothing to do, and no time to let pass, has failed."""
_SAME = 1e-9
"""Seconds by which the sums of binary fractions may differ."""


def timeless(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run the coroutine function `test` on a loop of its own whose time stands still."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=_Loop) as runner:
            runner.run(test(*args, **kwargs))

    return run


async def advance(seconds: float) -> None:
    """Let `seconds` pass."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, _Loop), "only a test that is decorated with @timeless can move time"
    await loop.clock.move(seconds, loop.create_future())


async def settle() -> None:
    """Let everything happen that needs no time."""
    await advance(0)


class _Clock(selectors.DefaultSelector):
    """Where the loop comes when it has nothing to do now, and says for how long: then, and not before, time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0
        self._target = self.now
        self._arrived: asyncio.Future[None] | None = None

    async def move(self, seconds: float, arrived: asyncio.Future[None]) -> None:
        assert self._arrived is None, "one at a time moves time"
        self._target = self.now + seconds
        self._arrived = arrived
        try:
            await arrived
        finally:
            self._arrived = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self._arrived is None or self._arrived.done():
            ready = super().select(_PATIENCE)
            assert ready, "everything waits, and nobody lets time pass"
        elif timeout is not None and self.now + timeout <= self._target + _SAME:
            self.now += timeout
        else:
            self.now = max(self.now, self._target)
            self._arrived.set_result(None)
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.clock = _Clock()
        super().__init__(self.clock)

    def time(self) -> float:
        return self.clock.now
