"""What is remembered of a far end, with a bound: it may send as much as it likes, and never end anything."""

from __future__ import annotations

from collections import Counter
from typing import TypeVar

__all__ = ["count", "remember"]

K = TypeVar("K")
T = TypeVar("T")

_REMEMBERED = 64
_MAX_NAME = 100
_COUNTED_NAMES = 128


def remember(known: dict[K, T], key: K, value: T, limit: int = _REMEMBERED) -> None:
    """Put `value` into `known`; past `limit` the oldest go, which a far end that never ends anything would leave."""
    known[key] = value
    while len(known) > limit:
        del known[next(iter(known))]


def count(counter: Counter[str], name: str) -> None:
    """Count `name`; names past a bound are counted together, for the far end may make up as many as it likes."""
    name = name[:_MAX_NAME]
    counter[name if name in counter or len(counter) < _COUNTED_NAMES else "(others)"] += 1
