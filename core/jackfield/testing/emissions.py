"""What the far end can be made to say or do: common events, raw provider events, lines, and a close.

The lines themselves are in `turns`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast, get_args, runtime_checkable

from attrs import field, frozen

from jackfield.errors import ConfigurationError, JackfieldError
from jackfield.openai.error_table import close_error
from jackfield.transport.events import ConnectionChange, TransportEvent

from .calls import shown, snapshot

if TYPE_CHECKING:
    from .far_end import FarEnd

__all__ = ["Disconnect", "Echo", "Emission", "Line", "checked_emissions", "checked_raw"]

_EVENTS = get_args(TransportEvent)


@runtime_checkable
class Line(Protocol):
    """Something that happens at the far end, and the events that it amounts to. Anyone can write one."""

    def events(self, far_end: FarEnd) -> Iterable[TransportEvent]:
        """Return the events, in order. Each is told before the next one is asked for."""


@frozen
class Echo:
    """What happens at the far end because of a call, reckoned when its turn has come."""

    happens: Callable[[FarEnd], Iterable[TransportEvent]]

    def events(self, far_end: FarEnd) -> Iterable[TransportEvent]:
        """Return the events."""
        return self.happens(far_end)


@frozen
class Disconnect:
    """The far end closes the connection, with a WebSocket close `code`; 1006: it is lost.

    `error` is what the close amounts to; without it, what it does with a real provider (1000 is no error).
    """

    code: int = 1006
    reason: str = ""
    error: JackfieldError | None = field(default=None, kw_only=True)

    def cause(self) -> JackfieldError | None:
        """Return the error with which the connection ends."""
        return self.error or close_error(self.code, self.reason, None)


Emission: TypeAlias = TransportEvent | Mapping[str, Any] | Line | Disconnect
"""A common event; one of the provider's own events, for those who listen to `*`; a line, such as `Say`; or a close."""


def checked_emissions(emissions: Emission | Iterable[Emission]) -> tuple[Emission, ...]:
    """Return one emission or several as a tuple; raise `ConfigurationError` for what the far end can't say."""
    if isinstance(emissions, Iterable) and not isinstance(emissions, str | bytes | Mapping):
        return tuple(_checked(emission) for emission in emissions)
    return (_checked(emissions),)


def checked_raw(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of one of the provider's own events; raise `ConfigurationError` for what can't be one."""
    if not isinstance(event, Mapping) or not isinstance(event.get("type"), str):
        raise ConfigurationError(f"a raw event is a mapping with a string `type`, and {shown(event)} is not")
    return dict(snapshot(event))


def _checked(emission: Any) -> Emission:
    if isinstance(emission, ConnectionChange):
        raise ConfigurationError("the connection's status isn't the far end's to tell: emit Disconnect() to end it")
    if isinstance(emission, Mapping):
        return checked_raw(emission)
    if isinstance(emission, (Disconnect, *_EVENTS)) or (isinstance(emission, Line) and not isinstance(emission, type)):
        return cast("Emission", emission)
    raise ConfigurationError(
        f"the far end can't say {shown(emission)}: give common events (jackfield.transport.events), raw events as "
        "mappings, or lines such as Say('...')"
    )
