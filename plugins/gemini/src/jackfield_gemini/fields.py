"""Reading the provider's messages: whatever isn't of its type counts as absent. Nothing here raises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, TypeVar

__all__ = ["Message", "flag_of", "integer_of", "list_of", "mapping_of", "seconds_of", "text_of", "trim"]

Message: TypeAlias = Mapping[str, Any]

K = TypeVar("K")
V = TypeVar("V")

_NOTHING: Mapping[str, Any] = {}


def text_of(message: Message, key: str) -> str:
    """Return the string at `key`, or ""."""
    value = message.get(key)
    return value if isinstance(value, str) else ""


def flag_of(message: Message, key: str) -> bool:
    """Return whether `key` is true, and nothing but true."""
    return message.get(key) is True


def integer_of(message: Message, key: str) -> int:
    """Return the integer at `key`, or 0. Proto-JSON writes 64-bit ones as strings."""
    value = message.get(key)
    if type(value) is int:
        return value
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20 else 0


def mapping_of(message: Message, key: str) -> Message:
    """Return the object at `key`, or an empty one."""
    value = message.get(key)
    return value if isinstance(value, Mapping) else _NOTHING


def list_of(message: Message, key: str) -> list[Any]:
    """Return the list at `key`, or an empty one."""
    value = message.get(key)
    return value if isinstance(value, list) else []


def seconds_of(message: Message, key: str) -> float | None:
    """Return the duration at `key` ("9.5s") in seconds, or None."""
    value = text_of(message, key)
    try:
        seconds = float(value.removesuffix("s")) if value.endswith("s") else None
    except ValueError:
        return None
    return seconds if seconds is not None and 0 <= seconds < 1e9 else None


def trim(known: dict[K, V], limit: int) -> None:
    """Let the oldest of `known` go, past `limit`: a far end may say as much as it likes."""
    while len(known) > limit:
        del known[next(iter(known))]
