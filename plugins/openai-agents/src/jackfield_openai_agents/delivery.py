"""From what a transport tells to the SDK's listeners: one event at a time, in the order of the wire.

A transport calls its listeners where it reads, and those of the SDK are coroutines that may take their time: so there
is a queue between the two, and one task that empties it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from agents.realtime import (
    RealtimeModelAudioEvent,
    RealtimeModelErrorEvent,
    RealtimeModelEvent,
    RealtimeModelExceptionEvent,
    RealtimeModelListener,
)
from agents.realtime.model_events import RealtimeModelRawServerEvent

from jackfield.transport import EventQueue, ListenerError

__all__ = ["Delivery"]

logger = logging.getLogger("jackfield.openai_agents")

BYTE_BUDGET: Final = 32 * 1024 * 1024
"""Unread audio that is held, both as such and as the frames that it came in: several minutes of it."""

STOP_SECONDS: Final = 2.0
"""How long a listener that is cancelled may take to end before it is left to itself."""


class Delivery:
    """The queue and the task of one connection. `listeners` are asked for anew for each event."""

    def __init__(self, listeners: Callable[[], Sequence[RealtimeModelListener]]) -> None:
        self._listeners = listeners
        self._queue: EventQueue[RealtimeModelEvent] = EventQueue(BYTE_BUDGET)
        self._waiting: Counter[str] = Counter()
        self._told_dropped = 0
        self._stopped = False
        self._task = asyncio.get_running_loop().create_task(self._run(), name="jackfield model events")

    def put(self, events: Iterable[RealtimeModelEvent]) -> None:
        """Tell `events`, after all that is still to be told."""
        for event in events:
            self._waiting[event.type] += 1
            self._queue.put(event, _size(event))
        if self._queue.dropped and not self._told_dropped:
            told = "the listeners are more than several minutes of audio behind: the oldest of it is dropped"
            self._queue.put(RealtimeModelErrorEvent({"message": told}))
            self._waiting["error"] += 1
        self._told_dropped = self._queue.dropped

    def is_to_be_told(self, kind: str) -> bool:
        """Tell whether the listeners don't know yet of an event of that type."""
        return self._waiting[kind] > 0

    def finish(self) -> None:
        """Take no more events; those that are in the queue are told."""
        self._queue.close()

    async def stop(self) -> None:
        """Tell nothing more, and end the task, in bounded time."""
        self._stopped = True
        self._queue.close()
        if self._task is asyncio.current_task():
            return  # a listener of ours closes the model: the task ends when it returns
        self._task.cancel()
        await asyncio.wait({self._task}, timeout=STOP_SECONDS)

    async def _run(self) -> None:
        async for event in self._queue:
            if self._stopped:
                return
            await self._tell(event)
            self._waiting[event.type] -= 1

    async def _tell(self, event: RealtimeModelEvent) -> None:
        for listener in self._listeners():
            failure = await _failure_of(listener, event)
            if failure is None:
                continue
            if isinstance(event, RealtimeModelExceptionEvent):
                logger.error("a listener failed on an exception event", exc_info=failure)
            else:
                await self._tell(RealtimeModelExceptionEvent(failure, f"a listener failed on a {event.type} event"))


async def _failure_of(listener: RealtimeModelListener, event: RealtimeModelEvent) -> Exception | None:
    try:
        await listener.on_event(event)
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        return ListenerError.of("a listener", error, "The others were told.", event_type=event.type)  # its own
    except Exception as error:  # noqa: BLE001 - whatever it is, the reader goes on and the application is told
        return error
    return None


def _size(event: RealtimeModelEvent) -> int:
    if isinstance(event, RealtimeModelAudioEvent):
        return len(event.data)
    if isinstance(event, RealtimeModelRawServerEvent):
        delta: Any = event.data.get("delta") if isinstance(event.data, dict) else None
        return len(delta) if isinstance(delta, str) and "audio.delta" in event.data.get("type", "") else 0
    return 0
