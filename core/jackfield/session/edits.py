"""Edits of the history: what the application gives for one, and what of it the far end has not confirmed yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from jackfield.errors import ConfigurationError
from jackfield.transport.items import RealtimeItem, items_that_stay

__all__ = ["EditedHistory", "Edits", "items_of"]

EditedHistory: TypeAlias = tuple[Sequence[RealtimeItem], Sequence[RealtimeItem]]
"""The history as it is, and as it is to be."""


class Edits:
    """What was asked of the far end and is not confirmed by it, so that an edit begins where the last one ended."""

    def __init__(self) -> None:
        self._wanted: Sequence[RealtimeItem] = ()
        """The conversation as it was asked for last."""
        self._created: frozenset[str] = frozenset()
        """Those of it that are still to come, or to come anew."""
        self._deleted: frozenset[str] = frozenset()
        """Items that are still to go."""

    def applied(self, history: Sequence[RealtimeItem]) -> list[RealtimeItem]:
        """Return `history` as it will be when everything is confirmed."""
        known = {item.item_id: item for item in history}
        items = [
            item if item.item_id in self._created else known[item.item_id]
            for item in self._wanted
            if item.item_id in self._created or item.item_id in known
        ]
        places = {item.item_id: place for place, item in enumerate(items)}
        behind: dict[int, list[RealtimeItem]] = {}
        place = -1
        for item in history:  # what came meanwhile stands where it came
            if item.item_id in places:
                place = places[item.item_id]
            elif item.item_id not in self._deleted:
                behind.setdefault(place, []).append(item)
        applied = behind.pop(-1, [])
        for place, item in enumerate(items):
            applied += [item, *behind.get(place, [])]
        return applied

    def sent(self, old: Sequence[RealtimeItem], new: Sequence[RealtimeItem]) -> None:
        """Note an edit from `old` to `new`."""
        before, after = (frozenset(item.item_id for item in items) for items in (old, new))
        self._created = (self._created & after) | (after - items_that_stay(old, new))
        self._deleted |= before - after
        self._deleted -= self._created
        self._wanted = tuple(new)

    def confirmed(self, item_id: str) -> None:
        """Note that the far end told of an item."""
        if item_id in self._created:
            self._created -= {item_id}
            self._settle()

    def deleted(self, item_id: str) -> None:
        """Note that an item left the conversation."""
        if item_id in self._deleted:
            self._deleted -= {item_id}
            self._settle()

    def forget(self) -> None:
        """Await nothing more: the far end refused something, and nobody knows what became of the rest."""
        self._created = self._deleted = frozenset()
        self._settle()

    def _settle(self) -> None:
        if not self._created and not self._deleted:
            self._wanted = ()


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
