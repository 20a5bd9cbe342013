"""Time: seconds of the event loop's clock, in which sessions measure, as nanoseconds since the epoch."""

from __future__ import annotations

import asyncio
import time

__all__ = ["Clock"]


class Clock:
    """The clock of one session. The distance to the epoch is taken once.

    So all times of a session fit together, whatever becomes of the system's clock meanwhile.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._epoch = time.time_ns() - _nanoseconds(self._loop.time())

    def seconds(self) -> float:
        """Return the loop's time, in seconds."""
        return self._loop.time()

    def now(self) -> int:
        """Return the time, in ns since the epoch."""
        return self.at(self._loop.time())

    def at(self, seconds: float) -> int:
        """Return a time of the loop's clock, in ns since the epoch."""
        return self._epoch + _nanoseconds(seconds)


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1_000_000_000)
