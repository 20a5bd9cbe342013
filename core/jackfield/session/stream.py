"""What a session tells, and to whom: one stream to iterate, and listeners beside it.

Control events are never dropped. `history_updated` is one event until it is read. Bulky events (audio, words, raw) are
held up to a byte budget; what is dropped is counted, and told.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

from jackfield.errors import ListenerError, redact
from jackfield.transport.emitter import Emitter
from jackfield.transport.event_queue import EventQueue
from jackfield.transport.items import RealtimeItem

from . import events as se

__all__ = ["SessionStream"]

logger = logging.getLogger("jackfield.session")


class SessionStream(AsyncIterator[Any]):
    """The telling side of one session. `on_audio_taken` is told of the first audio of a response that is taken."""

    def __init__(self, info: se.RealtimeEventInfo, history: Callable[[], list[RealtimeItem]]) -> None:
        self._info = info
        self._history = history
        self._queue: EventQueue[Any] = EventQueue()
        self._emitter = Emitter(self._listener_failed)
        self._history_told = False
        self._drops_told = False
        self._drops = (0, 0)
        """What had been dropped when it was announced last: events, bytes."""
        self._was_read = False
        self._watchers_of_errors = 0
        self.on_audio_taken: Callable[[str], None] | None = None

    @property
    def emitter(self) -> Emitter:
        """The listeners."""
        return self._emitter

    @property
    def dropped(self) -> int:
        """How many bulky events were dropped so far."""
        return self._queue.dropped

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Take those who begin to listen now for observers: an error that nobody else takes is logged all the same."""
        others = self._emitter.count("error")
        try:
            yield
        finally:
            self._watchers_of_errors = self._emitter.count("error") - others

    def tell(self, event: Any, size: int = 0) -> None:
        """Tell `event`. A `size` in bytes makes it bulky: it may be dropped where nobody reads."""
        kind = event.type
        if self._emitter.listens(kind):
            self._emitter.emit(event)
        if kind == "error":
            self._log_unheard(event)
        if kind == "audio_start" and (self._emitter.listens("audio") or self._emitter.listens(kind)):
            self._audio_taken(event)  # who listens has it now
        self._queue.put(event, size)
        if size and not self._drops_told and self._queue.dropped != self._drops[0]:
            self._announce_drops()

    def _log_unheard(self, event: se.RealtimeError) -> None:
        if not self._was_read and self._emitter.count("error") <= self._watchers_of_errors:
            error = event.error
            logger.error("%s: %s (nobody listens to 'error')", type(error).__name__, redact(str(error)))

    def tell_history(self) -> None:
        """Tell that the history changed."""
        updated = se.RealtimeHistoryUpdated(self._history, self._info)
        if self._emitter.listens("history_updated"):
            self._emitter.emit(updated)
        if not self._history_told:  # one in the stream stands for all, until it is read
            self._history_told = True
            self._queue.put(updated)

    def discard_audio(self, unwanted: Callable[[se.RealtimeAudio], bool]) -> None:
        """Take unread audio out that is not to be heard any more."""
        self._queue.discard_bulky(lambda unread: unread.type == "audio" and unwanted(unread))

    def end(self, error: BaseException | None = None) -> None:
        """Take nothing more. What was told is still read; then iterating ends, or raises `error`."""
        self._queue.close(error)

    def __aiter__(self) -> SessionStream:
        self._was_read = True
        return self

    async def __anext__(self) -> Any:
        # No generator: one that is cancelled while it waits, by a time limit say, would be over for good.
        event = await self._queue.__anext__()
        see = _ON_READ.get(event.type)
        return event if see is None else see(self, event)

    def _announce_drops(self) -> None:
        """One announcement in the stream stands for all drops, until it is read."""
        self._drops_told = True
        dropped = self._dropped_since()
        if self._was_read:
            logger.warning(
                "a session's events are read too slowly, or no more: audio, words and raw events are dropped"
            )
            if self._emitter.listens("events_dropped"):
                self._emitter.emit(dropped)
        self._queue.put(dropped)

    def _dropped_since(self) -> se.RealtimeEventsDropped:
        count, size = self._drops
        return se.RealtimeEventsDropped(self._queue.dropped - count, self._queue.dropped_bytes - size, self._info)

    def _history_read(self, event: Any) -> Any:
        self._history_told = False
        return event

    def _audio_taken(self, event: se.RealtimeAudioStart) -> Any:
        if self.on_audio_taken is not None:
            self.on_audio_taken(event.response_id)
        return event

    def _drops_read(self, _: Any) -> se.RealtimeEventsDropped:
        """More may have been dropped since it was told."""
        dropped = self._dropped_since()
        self._drops = (self._queue.dropped, self._queue.dropped_bytes)
        self._drops_told = False
        return dropped

    def _listener_failed(self, failure: ListenerError) -> None:
        self.tell(se.RealtimeError(failure, self._info))


_ON_READ: Mapping[str, Callable[[SessionStream, Any], Any]] = {
    "history_updated": SessionStream._history_read,
    "events_dropped": SessionStream._drops_read,
    "audio_start": SessionStream._audio_taken,
}
"""What is done when an event of that type is taken from the stream; what it returns is what is taken."""
