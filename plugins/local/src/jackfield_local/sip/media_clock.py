"""One clock for the audio of all calls: every 20 ms, by deadlines that don't drift, it has each of them send.

A timer for each call would cost more than the call. It runs while there are calls.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

__all__ = ["FRAME_SECONDS", "MediaClock"]

logger = logging.getLogger(__name__)

FRAME_SECONDS: Final = 0.02


class MediaClock:
    """Calls what was added every 20 ms, with how many frames are due: more than one where this machine stood still."""

    def __init__(self) -> None:
        self._ticking: dict[Callable[[int], None], None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._start = 0.0
        self._frames = 0

    def add(self, tick: Callable[[int], None]) -> None:
        """Have `tick` called from now on."""
        self._ticking[tick] = None
        if self._timer is None:
            self._start = asyncio.get_running_loop().time()
            self._frames = 0
            self._schedule()

    def remove(self, tick: Callable[[int], None]) -> None:
        """Have it called no more."""
        self._ticking.pop(tick, None)
        if not self._ticking and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(self._start + (self._frames + 1) * FRAME_SECONDS, self._run)

    def _run(self) -> None:
        # A timer may be called a hair before its time.
        due = round((asyncio.get_running_loop().time() - self._start) / FRAME_SECONDS - 0.4)
        frames = max(1, due - self._frames)
        self._frames += frames
        self._schedule()
        for tick in list(self._ticking):
            try:
                tick(frames)
            except Exception:
                logger.exception("The audio of a call failed")
                self.remove(tick)
