"""An event loop that can leap: time passes as ever, and `leap(seconds)` lets it pass at once, with all that is due.

Unlike `clock` it needs no test that moves time for anything to happen: sockets are real, and what comes over them is
waited for. A leap goes from one thing that is due to the next, once nothing is under way any more between sockets on
this machine.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

__all__ = ["leap", "leaping"]

P = ParamSpec("P")

_UNDER_WAY = 0.0005
"""Seconds after which nothing is on its way between two sockets of this machine."""


def leaping(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run the coroutine function `test` on a loop of its own that can leap."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=_Loop) as runner:
            runner.run(test(*args, **kwargs))

    return run


async def leap(seconds: float) -> None:
    """Let `seconds` pass at once."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, _Loop), "only a test that is decorated with @leaping can leap"
    loop.clock.until = loop.time() + seconds
    await asyncio.sleep(seconds)


class _Clock(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.ahead = 0.0
        self.until = 0.0

    def now(self) -> float:
        return time.monotonic() + self.ahead

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= _UNDER_WAY or self.now() >= self.until:
            return super().select(timeout)
        ready = super().select(_UNDER_WAY)
        if not ready:
            self.ahead += min(timeout - _UNDER_WAY, self.until - self.now())
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.clock = _Clock()
        super().__init__(self.clock)

    def time(self) -> float:
        return self.clock.now()
