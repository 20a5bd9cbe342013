"""Listeners: who is called for an event, in what order, and what happens when a listener fails.

Listeners run inline, in wire order, in the order in which they were added. A coroutine listener is called inline too
and its coroutines run one after another on a task of their own, so each sees its events in order. A listener that
fails is reported as an `error` event; one that fails on an `error` event is logged. Neither reaches the emitter's
caller, which is a transport's reader.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

from attrs import define

from jackfield.errors import ListenerError, redact

from .event_queue import EventQueue
from .events import ConnectionChange, Error, TransportEvent
from .layer import Listener

__all__ = ["Emitter"]

logger = logging.getLogger("jackfield.transport")


@define(eq=False)
class _Entry:
    listener: Listener
    once: bool
    pending: deque[tuple[str, Coroutine[Any, Any, object]]] | None = None
    runner: asyncio.Task[None] | None = None


class _Subscription(AsyncIterator[TransportEvent]):
    """A queue that is fed for as long as somebody holds on to it: an iterator that was left behind costs nothing."""

    def __init__(
        self, queue: EventQueue[TransportEvent], unsubscribe: Callable[[EventQueue[TransportEvent]], None]
    ) -> None:
        self._queue = queue
        self._unsubscribe = unsubscribe

    def __anext__(self) -> Coroutine[Any, Any, TransportEvent]:
        return self._queue.__anext__()

    def __del__(self) -> None:
        self._unsubscribe(self._queue)


class Emitter:
    """The listening half of a transport: `on`, `once`, `off` and `events`, and `emit` for the transport itself."""

    def __init__(self, on_failure: Callable[[ListenerError], None] | None = None) -> None:
        """`on_failure` is told of listeners that failed; without it they are `error` events of this emitter."""
        self._on_failure = on_failure or (lambda failure: self.emit(Error(failure)))
        # Copied on every change, so that emitting needs neither a copy nor a lock.
        self._entries: dict[str, tuple[_Entry, ...]] = {}
        self._latest: _Entry | None = None
        self._queues: tuple[EventQueue[TransportEvent], ...] = ()
        self._runners: dict[asyncio.Task[None], None] = {}

    def on(self, type: str, listener: Listener) -> Listener:  # noqa: A002
        """Call `listener` with each event of `type`; return `listener`."""
        entries = self._entries.get(type, ())
        entry = self._latest
        if entry is None or entry.listener != listener or entry in entries:
            entry = self._latest = _Entry(listener, once=False)  # else one for all that a listener listens to
        self._entries[type] = (*entries, entry)
        return listener

    def once(self, type: str, listener: Listener) -> Listener:  # noqa: A002
        """Call `listener` with the next event of `type` only; return `listener`."""
        self._entries[type] = (*self._entries.get(type, ()), _Entry(listener, once=True))
        return listener

    def off(self, type: str, listener: Listener) -> None:  # noqa: A002
        """Take away what `on` or `once` added last with this `listener`; do nothing where there is none."""
        entries = self._entries.get(type, ())
        for entry in reversed(entries):
            if entry.listener == listener:
                self._remove(type, entry)
                return

    def listens(self, type: str) -> bool:  # noqa: A002
        """Tell whether anyone listens to `type` by name."""
        return type in self._entries

    def count(self, type: str) -> int:  # noqa: A002
        """Return how many listeners there are for `type`."""
        return len(self._entries.get(type, ()))

    def events(self) -> AsyncIterator[TransportEvent]:
        """Return an iterator over all events from now on; it ends after `connection_change` to `disconnected`."""
        queue: EventQueue[TransportEvent] = EventQueue()
        self._queues = (*self._queues, queue)
        return _Subscription(queue, self._unsubscribe)

    def _unsubscribe(self, queue: EventQueue[TransportEvent]) -> None:
        self._queues = tuple(other for other in self._queues if other is not queue)

    def emit(self, event: Any) -> None:
        """Hand `event` to its listeners and to all iterators."""
        kind = event.type
        entries = self._entries.get(kind)
        if entries is not None:
            for entry in entries:
                self._call(kind, entry, event)
        elif kind == "error" and not self._queues:
            logger.error("%s: %s", type(event.error).__name__, redact(str(event.error)))
        if self._queues:
            self._enqueue(event)

    def emit_raw(self, kind: str, make: Callable[[], dict[str, Any]], first: dict[str, Any] | None = None) -> None:
        """Hand each listener of `*` or `*out` a view of its own, made by `make`: mutating it harms nobody.

        The first listener gets `first`, where there is one that belongs to nobody else.
        """
        for entry in self._entries.get(kind, ()):
            view, first = make() if first is None else first, None
            self._call(kind, entry, view)

    def _enqueue(self, event: TransportEvent) -> None:
        size = len(event.data) if event.type == "audio" else 0
        for queue in self._queues:
            queue.put(event, size)
        if isinstance(event, ConnectionChange) and event.status == "disconnected":
            queues, self._queues = self._queues, ()
            for queue in queues:
                queue.close()

    def _call(self, kind: str, entry: _Entry, event: Any) -> None:
        if entry.once:
            if entry not in self._entries.get(kind, ()):
                return  # an earlier listener emitted the same type, and this one had its call then
            self._remove(kind, entry)
        try:
            result = entry.listener(event)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001
            # Whatever an application raises must not end the reader. Nothing was awaited, so a CancelledError isn't
            # the reader's own: it comes out of a cancelled future that the listener looked into.
            self._report(kind, error)
            return
        if result is not None and isinstance(result, Awaitable):
            self._schedule(kind, entry, result)

    def _schedule(self, kind: str, entry: _Entry, awaitable: Awaitable[object]) -> None:
        if entry.pending is None:
            entry.pending = deque()
        entry.pending.append((kind, _as_coroutine(awaitable)))
        if entry.runner is None:
            entry.runner = asyncio.get_running_loop().create_task(self._run(entry, entry.pending))
            self._runners[entry.runner] = None
            entry.runner.add_done_callback(self._runners.pop)

    async def _run(self, entry: _Entry, pending: deque[tuple[str, Coroutine[Any, Any, object]]]) -> None:
        try:
            while pending:
                kind, coroutine = pending.popleft()
                try:
                    await coroutine
                except asyncio.CancelledError as error:
                    runner = asyncio.current_task()
                    if runner is None or runner.cancelling():
                        raise
                    self._report(kind, error)  # the listener's own
                except Exception as error:  # noqa: BLE001
                    self._report(kind, error)
        finally:
            entry.runner = None
            while pending:
                pending.popleft()[1].close()

    def _report(self, kind: str, error: BaseException) -> None:
        if kind == "error":
            logger.error("a listener of 'error' failed", exc_info=error)
            return
        so = "The event was not lost for the others; handle the error inside the listener."
        self._on_failure(ListenerError.of(f"a listener of {kind!r}", error, so, event_type=kind))

    def _remove(self, kind: str, entry: _Entry) -> None:
        left = tuple(other for other in self._entries.get(kind, ()) if other is not entry)
        if left:
            self._entries[kind] = left
        else:
            self._entries.pop(kind, None)


async def _as_coroutine(awaitable: Awaitable[object]) -> object:
    return await awaitable
