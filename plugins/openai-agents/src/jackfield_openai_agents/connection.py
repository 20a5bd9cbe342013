"""One connection of a model: everything that is known of it, from `connect()` to its end.

Nothing of it outlives it, so that nothing has to be reset: the next connection of the same model is another object.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, get_args

from agents.realtime import (
    RealtimeModelConnectionStatusEvent,
    RealtimeModelEndOfStreamEvent,
    RealtimeModelExceptionEvent,
    RealtimeModelListener,
    RealtimeModelSendEvent,
    RealtimeModelSendToolOutput,
)
from agents.realtime.model_events import RealtimeModelRawServerEvent

from jackfield.audio import RealtimePlaybackTracker
from jackfield.transport import RealtimeTransportLayer, TransportEvent
from jackfield.transport.events import ConnectionChange, TurnStarted

from .delivery import Delivery
from .responses import Responses
from .sending import Sender
from .settings import SessionSettings
from .translation import Translation

__all__ = ["Connection"]

_KINDS: Final[tuple[str, ...]] = tuple(kind.type for kind in get_args(TransportEvent))


class Connection:
    """What is between a transport and the SDK's listeners for as long as they are connected."""

    def __init__(
        self,
        transport: RealtimeTransportLayer,
        settings: SessionSettings,
        tracker: RealtimePlaybackTracker | None,
        listeners: Callable[[], Sequence[RealtimeModelListener]],
    ) -> None:
        self.responses = Responses()
        self._transport = transport
        self._tracker = tracker
        self._translation = Translation(self.responses)
        self._sender = Sender(transport, self.responses, settings, self._answered)
        self._delivery = Delivery(listeners)
        self._established = False
        transport.on("*", self._raw)
        for kind in _KINDS:
            transport.on(kind, self._take)

    async def send(self, event: RealtimeModelSendEvent) -> None:
        """Send one of the SDK's send events."""
        await self._sender.send(event)

    async def send_if(self, event: RealtimeModelSendEvent, send_if: Callable[[], bool]) -> bool:
        """Send it where `send_if` says so; see `Sender.send_if`."""

        def still() -> bool:
            # A turn that the session doesn't know of yet makes its condition out of date.
            return not self._delivery.is_to_be_told("turn_started") and send_if()

        return await self._sender.send_if(event, still)

    def detach(self) -> None:
        """Listen no more: what the transport tells from now on is nobody's."""
        self._transport.off("*", self._raw)
        for kind in _KINDS:
            self._transport.off(kind, self._take)

    async def end(self) -> None:
        """Tell nothing more, of what was told before either."""
        await self._delivery.stop()
        if self._tracker is not None:
            self._tracker.on_interrupted()

    def _raw(self, message: dict[str, Any]) -> None:
        self._delivery.put([RealtimeModelRawServerEvent(message)])

    def _take(self, event: TransportEvent) -> None:
        if isinstance(event, ConnectionChange):
            self._changed(event)
            return
        if isinstance(event, TurnStarted) and event.in_conversation:
            self._sender.turn_began()
        self._delivery.put(self._translation.of(event))

    def _changed(self, change: ConnectionChange) -> None:
        """The far end's close ends the stream, or is an exception. A connect that fails is told by its exception."""
        if change.status == "connecting":
            self._delivery.put([RealtimeModelConnectionStatusEvent("connecting")])
        elif change.status == "connected":
            self._established = True
            self._delivery.put([RealtimeModelConnectionStatusEvent("connected")])
        elif change.status == "disconnected" and self._established:
            self._delivery.put([RealtimeModelConnectionStatusEvent("disconnected")])
            if change.error is None:
                self._delivery.put([RealtimeModelEndOfStreamEvent()])
            else:
                # And nothing after it: a session whose stream has ended doesn't raise what it was told.
                self._delivery.put([RealtimeModelExceptionEvent(change.error, "the connection was lost")])
            self._delivery.finish()

    def _answered(self, event: RealtimeModelSendToolOutput) -> None:
        self._delivery.put(self._translation.answered(event.tool_call, event.output))
