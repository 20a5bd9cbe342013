"""Misbehaviour on command: a fault changes the stream of outgoing events, or how a connection begins.

`server.faults.add("drop:response.created")` in Python does what `jackfield serve --fault drop:response.created` does. A
fault works on every connection that is made after it was added; `connections=1` limits it to the next one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeAlias

from attrs import define, field, frozen

from jackfield.errors import ConfigurationError
from jackfield_local.dialects import to_beta
from jackfield_local.sdp_faults import JUNK_ANSWER, NO_DATA, NO_MEDIA, SdpFault

__all__ = [
    "FAULTS",
    "Abort",
    "Action",
    "Close",
    "Fault",
    "FaultError",
    "Faults",
    "FrameFilter",
    "HalfClose",
    "Pause",
    "Raw",
    "make_fault",
]


class FaultError(ConfigurationError):
    """There is no such fault, or its argument doesn't fit; the message lists those there are."""


@frozen
class Raw:
    """A frame that is sent as it is: text or binary."""

    data: str | bytes


@frozen
class Pause:
    """Nothing is sent for so many seconds."""

    seconds: float


@frozen
class Close:
    """The connection is closed with a code and a reason."""

    code: int
    reason: str


@frozen
class Abort:
    """The TCP connection is reset."""


@frozen
class HalfClose:
    """The server's half of the TCP connection ends; nothing more comes from it."""


Action: TypeAlias = dict[str, Any] | Raw | Pause | Close | Abort | HalfClose
"""One thing that happens to an outgoing stream; a dict is an event that is sent."""

FrameFilter: TypeAlias = Callable[[Action], Iterable[Action]]
"""Turns one action into those that take its place; it has the state of one connection."""


@define(eq=False)
class Fault:
    """A fault by its name, as it was asked for. `connections`: how many more connections it works on, None for all."""

    name: str
    make_filter: Callable[[], FrameFilter] | None = None
    http_status: int | None = None
    session_seconds: float | None = None
    answer_seconds: float | None = None
    sdp: SdpFault | None = None
    accepts_blindly: bool = False
    connections: int | None = None


@define
class Faults:
    """The faults that a server has at the moment."""

    _faults: list[Fault] = field(factory=list)

    def add(self, fault: Fault | str, *, connections: int | None = None) -> Fault:
        """Add a fault, given as one or as text (`NAME` or `NAME:ARGUMENT`). Raises `FaultError`."""
        added = make_fault(fault) if isinstance(fault, str) else fault
        if connections is not None:
            added.connections = connections
        self._faults.append(added)
        return added

    def remove(self, fault: Fault) -> None:
        """Take a fault back, if it is still there; connections that it works on keep it."""
        if fault in self._faults:
            self._faults.remove(fault)

    def clear(self) -> None:
        """Take all faults back."""
        self._faults.clear()

    def for_connection(self) -> list[Fault]:
        """Return the faults of a new connection, and count it."""
        chosen = list(self._faults)
        for fault in chosen:
            if fault.connections is not None:
                fault.connections -= 1
                if fault.connections <= 0:
                    self._faults.remove(fault)
        return chosen


def make_fault(text: str) -> Fault:
    """Return the fault that `text` asks for: `NAME` or `NAME:ARGUMENT`. Raises `FaultError`."""
    name, _, argument = text.partition(":")
    make = FAULTS.get(name)
    if make is None:
        raise FaultError(f"There is no fault {name!r}. Use one of: {', '.join(FAULTS)}.")
    try:
        fault = make(argument)
    except ValueError as error:
        raise FaultError(f"Fault {text!r} has a wrong argument: {error}. {make.__doc__}") from error
    fault.name = text
    return fault


def _drop(argument: str) -> Fault:
    """`drop:AFTER` breaks the connection after so many events, or after an event of that type."""
    return Fault("drop", lambda: _after(argument, [Abort()]))


def _half_close(argument: str) -> Fault:
    """`half-close:AFTER` ends the server's half of the TCP connection."""
    return Fault("half-close", lambda: _after(argument, [HalfClose(), Pause(math.inf)]))


def _stall(argument: str) -> Fault:
    """`stall:AFTER` keeps the connection open and sends nothing more."""
    return Fault("stall", lambda: _after(argument, [Pause(math.inf)]))


def _close(argument: str) -> Fault:
    """`close:CODE` or `close:CODE:AFTER` closes with that WebSocket code, after the first event unless told."""
    code, _, after = argument.partition(":")
    number = int(code or "1011")
    return Fault("close", lambda: _after(after, [Close(number, f"closed by the fault {number}")]))


def _junk(argument: str) -> Fault:
    """`junk:AFTER` sends frames that are no events: broken JSON, other JSON, binary, nothing."""
    frames = [Raw("{not json"), Raw("[1, 2]"), Raw("null"), Raw("{}"), Raw(b"\x00\xff binary"), Raw("")]
    return Fault("junk", lambda: _after(argument, frames))


def _unknown(argument: str) -> Fault:
    """`unknown:AFTER` sends events of types that nobody knows, and known ones with contents that nobody expects."""
    events: list[Action] = [
        {"type": "session.mood.updated", "event_id": "event_unknown_1", "mood": {"level": 11}},
        {"type": "response.hologram.delta", "event_id": "event_unknown_2", "response_id": "resp_x", "delta": [1, 2]},
        {"type": "conversation.item.added", "event_id": "event_unknown_3", "item": {"id": "item_x", "type": "dance"}},
    ]
    return Fault("unknown", lambda: _after(argument, events))


def _slow(argument: str) -> Fault:
    """`slow:N` sends at most N events a second."""
    seconds = 1 / _positive(argument or "10")
    return Fault("slow", lambda: _each(lambda event: [Pause(seconds), event]))


def _slow_bytes(argument: str) -> Fault:
    """`slow-bytes:N` sends at most about N bytes a second."""
    rate = _positive(argument or "16000")
    return Fault("slow-bytes", lambda: _each(lambda event: [Pause(len(str(event)) / rate), event]))


def _duplicate(argument: str) -> Fault:
    """`duplicate` or `duplicate:TYPE` sends events twice."""
    return Fault("duplicate", lambda: _each(lambda event: [event] * (2 if _is(event, argument) else 1)))


def _lose(argument: str) -> Fault:
    """`lose:TYPE` never sends events of that type."""
    if not argument:
        raise ValueError("it needs an event type")
    return Fault("lose", lambda: _each(lambda event: [] if _is(event, argument) else [event]))


def _reorder(argument: str) -> Fault:
    """`reorder:TYPE` sends each event of that type (response.created unless told) after the one that follows it."""
    return Fault("reorder", lambda: _delayed(argument or "response.created", None))


def _late_transcription(argument: str) -> Fault:
    """`late-transcription` holds the input transcription back until the response to it is done."""
    kind = "conversation.item.input_audio_transcription."
    return Fault("late-transcription", lambda: _delayed(kind, "response.done"))


def _extra(argument: str) -> Fault:
    """`extra` puts unknown fields into every event, and into the objects inside."""
    return Fault("extra", lambda: _each(lambda event: [_with_extras(event)]))


def _rename(argument: str) -> Fault:
    """`rename:OLD=NEW` renames a field in every event that has it at its top."""
    old, _, new = argument.partition("=")
    if not old or not new:
        raise ValueError("it needs two names, OLD=NEW")
    return Fault("rename", lambda: _each(lambda event: [{new if k == old else k: v for k, v in event.items()}]))


def _beta(argument: str) -> Fault:
    """`beta` speaks the beta dialect: its event names and session shape."""
    return Fault("beta", lambda: _each(to_beta))


def _http(argument: str) -> Fault:
    """`http:STATUS` refuses a WebSocket, or an offer of WebRTC, with that HTTP status, 429 unless told."""
    status = int(argument or "429")
    if not 400 <= status <= 599:
        raise ValueError("the status of a refusal is from 400 to 599")
    return Fault("http", http_status=status)


def _late_answer(argument: str) -> Fault:
    """`late-answer:SECONDS` answers an offer of WebRTC that late only, 10 s unless told."""
    return Fault("late-answer", answer_seconds=_positive(argument or "10"))


def _junk_answer(argument: str) -> Fault:
    """`junk-answer` answers an offer of WebRTC with 201 and something that is no SDP."""
    return Fault("junk-answer", sdp=JUNK_ANSWER)


def _no_media(argument: str) -> Fault:
    """`no-media` answers an offer of WebRTC so that no media path ever comes to be."""
    return Fault("no-media", sdp=NO_MEDIA)


def _no_data_channel(argument: str) -> Fault:
    """`no-data-channel` answers an offer of WebRTC so that there is audio, and the data channel never opens."""
    return Fault("no-data-channel", sdp=NO_DATA)


def _blind_accept(argument: str) -> Fault:
    """`blind-accept` answers the accept of a phone call with 200 though it says no `type`, and breaks the call off."""
    return Fault("blind-accept", accepts_blindly=True)


def _expire(argument: str) -> Fault:
    """`expire:SECONDS` lets sessions last that long only."""
    return Fault("expire", session_seconds=_positive(argument or "1"))


FAULTS: Final[dict[str, Callable[[str], Fault]]] = {
    "drop": _drop,
    "half-close": _half_close,
    "stall": _stall,
    "close": _close,
    "http": _http,
    "late-answer": _late_answer,
    "junk-answer": _junk_answer,
    "no-media": _no_media,
    "no-data-channel": _no_data_channel,
    "blind-accept": _blind_accept,
    "expire": _expire,
    "slow": _slow,
    "slow-bytes": _slow_bytes,
    "reorder": _reorder,
    "duplicate": _duplicate,
    "lose": _lose,
    "late-transcription": _late_transcription,
    "junk": _junk,
    "unknown": _unknown,
    "extra": _extra,
    "rename": _rename,
    "beta": _beta,
}
"""Faults by name; each makes one from the text after the colon, and its docstring tells how to ask for it."""


def _after(argument: str, then: Iterable[Action]) -> FrameFilter:
    """Return a filter that adds `then` once: after the N-th event, or after the first of a type."""
    kind, count = ("", int(argument)) if argument.isdigit() else (argument, 1)
    left = [max(1, count)]

    def apply(action: Action) -> Iterator[Action]:
        yield action
        if left[0] and isinstance(action, dict) and _is(action, kind):
            left[0] -= 1
            if left[0] == 0:
                yield from then

    return apply


def _each(change: Callable[[dict[str, Any]], Iterable[Action]]) -> FrameFilter:
    """Return a filter that changes every event and lets the rest pass."""

    def apply(action: Action) -> Iterable[Action]:
        return change(action) if isinstance(action, dict) else [action]

    return apply


def _delayed(prefix: str, until: str | None) -> FrameFilter:
    """Return a filter that holds events back until one of type `until` was sent, or any other."""
    held: list[Action] = []

    def apply(action: Action) -> Iterator[Action]:
        if isinstance(action, dict) and action["type"].startswith(prefix):
            held.append(action)
            return
        yield action
        if isinstance(action, dict) and (until is None or action["type"] == until):
            yield from held
            held.clear()

    return apply


def _is(event: dict[str, Any], kind: str) -> bool:
    return not kind or event["type"] == kind


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < math.inf:
        raise ValueError("the number must be positive")
    return number


def _with_extras(event: dict[str, Any]) -> dict[str, Any]:
    changed = {**event, "x_unexpected": {"nested": [1, None, "two"]}}
    for key in ("item", "response", "session", "part"):
        if isinstance(event.get(key), dict):
            changed[key] = {**event[key], "x_unexpected": True}
    return changed
