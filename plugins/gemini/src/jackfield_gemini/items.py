"""Ids and order of the conversation's items: the provider has neither, so they are made here, for one connection.

They go on over the sockets of one session, and those of two sessions differ.
"""

from __future__ import annotations

import itertools
import secrets

from jackfield.transport.events import ItemUpdate
from jackfield.transport.items import RealtimeItem

__all__ = ["Conversation"]


class Conversation:
    """Names items, and knows which one is the last."""

    def __init__(self, prefix: str | None = None) -> None:
        self._prefix = secrets.token_hex(4) if prefix is None else prefix
        self._numbers = itertools.count(1)
        self.last_item_id: str | None = None
        """The item at the end; None where there is none."""

    def new_id(self, kind: str) -> str:
        """Return an id that was never given before, such as item_3f2a_7."""
        return f"{kind}_{self._prefix}_{next(self._numbers)}"

    def added(self, item: RealtimeItem) -> ItemUpdate:
        """Put an item at the end, and return the event that tells of it."""
        after, self.last_item_id = self.last_item_id, item.item_id
        return ItemUpdate(item=item, after=after)
