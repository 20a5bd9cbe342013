"""Edits of the history: what the application gives for one, checked before anything is sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from jackfield.errors import ConfigurationError
from jackfield.transport.items import RealtimeItem

__all__ = ["items_of"]


def items_of(given: object, what: str) -> list[RealtimeItem]:
    """Return the items in `given`; raise `ConfigurationError`, which says `what` it is, where it is something else."""
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise ConfigurationError(f"{what} is a list of items, not {type(given).__name__}")
    items = list(given)
    for item in items:
        if not isinstance(item, RealtimeItem):
            told = type(item).__name__
            raise ConfigurationError(f"{what} holds a {told}, which is no item: make a UserMessageItem, for example")
    counted = Counter(item.item_id for item in items)
    if twice := sorted(item_id for item_id, count in counted.items() if count > 1):
        raise ConfigurationError(f"{what} holds {', '.join(twice)} more than once")
    return items
