"""One active response at a time: which `response.create` and `response.cancel` may go out, and when.

Pure state. The API allows one response of the default conversation at a time and refuses a second one; the server's
own turn detection starts responses too. So requests wait for their turn here. Automatic requests (after a message,
after a tool's output) coalesce; manual ones (with overrides, or raw) never do. A request that was refused because the
server had begun to speak meanwhile goes out again after that response. A watchdog frees what the server never
answered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

from attrs import define, frozen

from jackfield.bounded import remember

__all__ = ["ResponseSequencer", "SequencerState", "Watchdog"]

SequencerState: TypeAlias = Literal["idle", "requested", "active", "cancelling"]

_ACTIVE_RESPONSE = re.compile(r"\bresp_\w+")
_REMEMBERED_REQUESTS = 16
_REMEMBERED_RESPONSES = 16


@frozen(kw_only=True)
class Watchdog:
    """How long, in seconds, the server may leave something unanswered before it is taken for lost."""

    requested: float = 15.0
    """`response.create` without `response.created` or an error."""
    cancelling: float = 5.0
    """`response.cancel` without `response.done`."""
    active: float = 60.0
    """A response of which nothing more is heard."""
    rejoined: float = 3.0
    """The same, where its end may have been told while nobody listened."""


@define(eq=False)
class _Request:
    event_id: str
    response: Mapping[str, Any] | None
    manual: bool

    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = {"type": "response.create", "event_id": self.event_id}
        if self.response is not None:
            event["response"] = dict(self.response)
        return event


class ResponseSequencer:
    """The sequencer of one connection. `now` is in seconds of a clock that never goes back."""

    def __init__(self, new_event_id: Callable[[], str], watchdog: Watchdog | None = None) -> None:
        self._new_event_id = new_event_id
        self._watchdog = watchdog or Watchdog()
        self._queue: list[_Request] = []
        self._requested: _Request | None = None
        self._sent: dict[str, _Request] = {}
        self._cancels: dict[str, None] = {}
        self._cancel_when_created = False
        self._cancel: str | None = None
        self._active: str | None = None
        self._deadline: float | None = None
        self._heard = 0.0
        self._doubted = float("-inf")
        """When it was last doubtful whether the active response still is."""
        self._unanswered = False
        """Whether something entered the conversation after the request that was sent last."""
        self._over: dict[str, None] = {}
        """Responses that ended, were replaced or were given up: what still comes of them changes nothing."""

    @property
    def state(self) -> SequencerState:
        """What the default conversation's response slot is doing, as far as is known."""
        if self._active is not None:
            return "cancelling" if self._cancel is not None else "active"
        return "idle" if self._requested is None else "requested"

    @property
    def active_response_id(self) -> str | None:
        """The id of the active response; "" where one is active and its id isn't known; None where none is."""
        return self._active

    @property
    def waiting(self) -> int:
        """How many requests wait for their turn."""
        return len(self._queue)

    @property
    def deadline(self) -> float | None:
        """When `expire` wants to be called."""
        return self._deadline

    def request(
        self, response: Mapping[str, Any] | None = None, *, manual: bool, event_id: str | None = None, now: float
    ) -> list[dict[str, Any]]:
        """Ask for a response; return what may be sent now."""
        request = _Request(event_id or self._new_event_id(), response, manual)
        if response is not None and response.get("conversation") == "none":
            return [request.event()]  # out-of-band responses run beside the others
        if not manual and self._is_covered():
            return []
        if manual or not self._queue or self._queue[-1].manual:
            self._queue.append(request)
        return self._release(now)

    def input_added(self) -> None:
        """Note that something entered the conversation: what was asked for before doesn't answer it."""
        self._unanswered = True

    def cancel(self, *, now: float, event_id: str | None = None) -> list[dict[str, Any]]:
        """Cancel the active response, or the one that was requested; return what is to be sent now."""
        if self._active is None:
            self._cancel_when_created = self._requested is not None
            return []
        if self._cancel is not None:
            return []
        self._cancel = event_id or self._new_event_id()
        remember(self._cancels, self._cancel, None, _REMEMBERED_REQUESTS)
        self._deadline = now + self._watchdog.cancelling
        event: dict[str, Any] = {"type": "response.cancel", "event_id": self._cancel}
        if self._active:
            event["response_id"] = self._active
        return [event]

    def cancel_sent(self, event_id: str | None, response_id: str | None, *, now: float) -> None:
        """Note a `response.cancel` that the application wrote by itself."""
        if self._active is not None and response_id in {None, "", self._active}:
            self._cancel = event_id or ""
            self._deadline = now + self._watchdog.cancelling

    def created(self, response_id: str, *, now: float) -> list[dict[str, Any]]:
        """Note `response.created` of the default conversation. It may be ours or the server's own: both fill the slot.

        Whether a request of ours was served is only certain when no error follows for it. One that comes again, or
        after its end, is no new response.
        """
        if response_id and (response_id == self._active or (response_id in self._over and self._requested is None)):
            self._heard = now
            return []
        if self._active:
            remember(self._over, self._active, None, _REMEMBERED_RESPONSES)
        self._active = response_id
        self._cancel = None
        self._heard = now
        self._deadline = now + self._watchdog.active
        if self._cancel_when_created:
            self._cancel_when_created = False
            return self.cancel(now=now)
        return []

    def heard(self, now: float) -> None:
        """Note that something of the active response arrived."""
        self._heard = now

    def rejoined(self, *, now: float) -> list[dict[str, Any]]:
        """Note that the server went on unheard for a while; return what is to be sent again.

        Whether it got a request that it hasn't served nobody knows: silence would be worse than a word too many.
        """
        if self._active is not None:
            self._doubted = now
            self._deadline = min(self._deadline or now, now + self._watchdog.rejoined)
            return []
        if self._requested is not None:
            self._queue.insert(0, self._requested)
            self._requested = None
        return self._release(now)

    def done(self, response_id: str, *, now: float) -> list[dict[str, Any]]:
        """Note `response.done`; return the request whose turn it is."""
        if response_id and response_id != self._active and (self._active or response_id in self._over):
            return []  # a late end of an older response, or an out-of-band one
        if response_id:
            remember(self._over, response_id, None, _REMEMBERED_RESPONSES)
        if self._active is None and self._requested is None:
            return []
        self._free()
        return self._release(now)

    def refused(
        self, code: str | None, event_id: str | None, message: str, *, now: float
    ) -> tuple[bool, list[dict[str, Any]]]:
        """Note an `error`. Return whether it is dealt with hereby, and what may be sent now."""
        if event_id in self._cancels or code == "response_cancel_not_active":
            ours = event_id in self._cancels
            if self._cancel is not None and event_id in {None, self._cancel}:
                self._free()  # nothing is running: its end was lost, or it had none
                return ours, self._release(now)
            return ours, []
        request = self._refused_request(code, event_id, message)
        if request is None:
            return False, []
        self._sent.pop(request.event_id, None)
        if self._requested is request:
            self._requested = None
            self._cancel_when_created = False
            if self._active is None:
                self._deadline = None
        if code != "conversation_already_has_active_response":
            return False, self._release(now)
        if request.manual or not self._queue or self._queue[0].manual:
            self._queue.insert(0, request)  # else the automatic one behind it asks for the same
        if self._active is not None:
            return True, []
        match = _ACTIVE_RESPONSE.search(message)
        busy = match[0] if match else ""
        if busy in self._over:
            # The server holds a response whose end it has told already: that passes soon, or not at all.
            self._active, self._cancel, self._deadline = busy, "", now + self._watchdog.cancelling
            return True, []
        return True, self.created(busy, now=now)

    def expire(self, now: float) -> tuple[str | None, list[dict[str, Any]]]:
        """Give up what was never answered. Return what that was, in words, and what may be sent now."""
        if self._deadline is None or now < self._deadline:
            return None, []
        if self._active is not None and self._cancel is None:
            since, patience = self._heard, self._watchdog.active
            if since < self._doubted:
                since, patience = self._doubted, self._watchdog.rejoined
            if now < since + patience:
                self._deadline = since + patience
                return None, []
            lost = f"response {self._active or '(id unknown)'} went silent for {patience:g} s"
        elif self._active is not None:
            lost = f"response {self._active or '(id unknown)'} did not end, though cancelled or said to be over"
        else:
            lost = f"response.create was not answered for {self._watchdog.requested:g} s"
            if self._requested is not None:
                self._sent.pop(self._requested.event_id, None)
        self._free()
        return lost, self._release(now)

    def _release(self, now: float) -> list[dict[str, Any]]:
        if self._active is not None or self._requested is not None or not self._queue:
            return []
        request = self._requested = self._queue.pop(0)
        self._unanswered = False
        remember(self._sent, request.event_id, request, _REMEMBERED_REQUESTS)
        self._deadline = now + self._watchdog.requested
        return [request.event()]

    def _is_covered(self) -> bool:
        """Whether a request that is on its way answers all that is in the conversation."""
        sent = self._requested
        return sent is not None and self._active is None and not sent.manual and not self._unanswered

    def _refused_request(self, code: str | None, event_id: str | None, message: str) -> _Request | None:
        if event_id is not None:
            return self._sent.get(event_id)
        if code == "conversation_already_has_active_response" or "response.create" in message:
            return self._requested
        return None

    def _free(self) -> None:
        if self._active and self._active not in self._over:
            remember(self._over, self._active, None, _REMEMBERED_RESPONSES)
        self._active = None
        self._requested = None
        self._cancel = None
        self._cancel_when_created = False
        self._deadline = None
