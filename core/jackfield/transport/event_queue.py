"""A queue of events with one bound that matters: unread audio, in bytes.

Control events are never dropped. Bulky ones (those put with a size: audio, raw frames) are held up to a byte budget;
past it the oldest bulky one goes, and is counted. Order is kept between the two.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Generic, TypeVar

__all__ = ["DEFAULT_BYTE_BUDGET", "EventQueue"]

T = TypeVar("T")

DEFAULT_BYTE_BUDGET = 60 * 48_000
"""Bytes of unread audio that a queue holds: 60 s of PCM16 at 24,000 Hz."""


class EventQueue(AsyncIterator[T], Generic[T]):
    """An asynchronous iterator that events are put into. Several consumers share the events between them."""

    def __init__(self, byte_budget: int = DEFAULT_BYTE_BUDGET) -> None:
        self.byte_budget = byte_budget
        self.dropped = 0
        """How many bulky events were dropped so far."""
        self.dropped_bytes = 0
        """Their size in bytes."""
        self._control: deque[tuple[int, T]] = deque()
        self._bulky: deque[tuple[int, T, int]] = deque()
        self._bulky_bytes = 0
        self._next = 0
        self._closed = False
        self._error: BaseException | None = None
        self._waiters: list[asyncio.Future[None]] = []

    def __len__(self) -> int:
        return len(self._control) + len(self._bulky)

    @property
    def closed(self) -> bool:
        """Whether the queue takes no more events. What is in it can still be read."""
        return self._closed

    def put(self, event: T, size: int = 0) -> None:
        """Add `event`; a `size` above 0 makes it bulky, and thereby droppable. Closed queues ignore it."""
        if self._closed:
            return
        self._next += 1
        if size:
            self._bulky.append((self._next, event, size))
            self._bulky_bytes += size
            while self._bulky_bytes > self.byte_budget and len(self._bulky) > 1:
                _, _, dropped = self._bulky.popleft()
                self._bulky_bytes -= dropped
                self.dropped += 1
                self.dropped_bytes += dropped
        else:
            self._control.append((self._next, event))
        if self._waiters:
            self._wake_one()

    def discard_bulky(self, unwanted: Callable[[T], bool]) -> int:
        """Drop the unread bulky events that are `unwanted` (say, audio that was cut); return how many there were."""
        kept = deque(entry for entry in self._bulky if not unwanted(entry[1]))
        count = len(self._bulky) - len(kept)
        self._bulky = kept
        self._bulky_bytes = sum(size for _, _, size in kept)
        return count

    def close(self, error: BaseException | None = None) -> None:
        """End the iteration, once what is in the queue was read; with `error`, end it by raising that, once."""
        if self._closed:
            return
        self._closed = True
        self._error = error
        while self._waiters:
            self._wake_one()

    def __aiter__(self) -> EventQueue[T]:
        return self

    async def __anext__(self) -> T:
        while not (self._control or self._bulky):
            if self._closed:
                error, self._error = self._error, None
                if error is not None:
                    raise error
                raise StopAsyncIteration
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._wake_one()  # this consumer was woken and won't look: another must
                elif waiter in self._waiters:
                    self._waiters.remove(waiter)
                raise
        return self._pop()

    def _pop(self) -> T:
        if self._bulky and (not self._control or self._bulky[0][0] < self._control[0][0]):
            _, event, size = self._bulky.popleft()
            self._bulky_bytes -= size
            return event
        return self._control.popleft()[1]

    def _wake_one(self) -> None:
        while self._waiters:
            waiter = self._waiters.pop(0)
            if not waiter.done():
                waiter.set_result(None)
                return
