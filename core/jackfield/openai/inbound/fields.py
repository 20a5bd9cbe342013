"""Reading a message's fields: whatever isn't of its type counts as absent. Nothing here raises."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from jackfield.audio.formats import AudioFormat, UnknownAudioFormatError
from jackfield.openai.state import ConnectionState
from jackfield.openai.wire_items import copied, text_of
from jackfield.transport import events as ev

__all__ = [
    "NOTHING",
    "Events",
    "Handler",
    "Message",
    "audio_format",
    "integer_of",
    "mapping_of",
    "number_of",
    "usage_of",
]

Events: TypeAlias = Iterable[ev.TransportEvent]
Message: TypeAlias = Mapping[str, Any]
Handler: TypeAlias = Callable[[ConnectionState, Message], Events]

NOTHING: tuple[ev.TransportEvent, ...] = ()
"""What a message amounts to that is nobody's news."""


def integer_of(message: Message, key: str) -> int:
    """Return the integer at `key`, or 0."""
    value = message.get(key)
    return value if type(value) is int else 0


def number_of(message: Message, key: str) -> float:
    """Return the number at `key`, or 0.0."""
    value = message.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0


def mapping_of(message: Message, key: str) -> Mapping[str, Any]:
    """Return the object at `key`, or an empty one."""
    value = message.get(key)
    return value if isinstance(value, Mapping) else {}


def audio_format(told: Any, otherwise: AudioFormat) -> AudioFormat:
    """Return the format that was told, in whatever spelling, or `otherwise`."""
    if isinstance(told, Mapping):
        told = {"type": text_of(told, "type"), "rate": integer_of(told, "rate") or None}
    if not isinstance(told, str | Mapping):
        return otherwise
    try:
        return AudioFormat.parse(told)
    except UnknownAudioFormatError:
        return otherwise


def usage_of(told: Any) -> ev.Usage | None:
    """Return the usage of one response, or None where none was told."""
    if not isinstance(told, Mapping):
        return None
    spent, made = integer_of(told, "input_tokens"), integer_of(told, "output_tokens")
    return ev.Usage(
        requests=1,
        input_tokens=spent,
        output_tokens=made,
        total_tokens=integer_of(told, "total_tokens") or spent + made,
        input_tokens_details=copied(mapping_of(told, "input_token_details")),
        output_tokens_details=copied(mapping_of(told, "output_token_details")),
    )
