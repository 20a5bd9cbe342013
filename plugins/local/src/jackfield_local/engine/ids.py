"""Identifiers and padding, made cheaply: one of each goes with every audio delta."""

from __future__ import annotations

import functools
import random
import string
from typing import Final

__all__ = ["IdSource"]

_ALPHABET: Final = string.ascii_letters + string.digits
_PADDING_LENGTHS: Final = (11, 12, 13, 14)


class IdSource:
    """Makes the ids of one session; with a `seed`, the same ones every time."""

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.Random(seed)  # noqa: S311 - ids must be distinct, not unguessable
        self._prefix = self._letters(12)
        self._count = 0

    def new(self, prefix: str) -> str:
        """Return a new id such as `item_Bq3…`; `prefix` comes without the underscore."""
        return f"{prefix}_{self._letters(21)}"

    def event(self) -> str:
        """Return the id of one server event."""
        self._count += 1
        return f"event_{self._prefix}{self._count:08x}"

    def padding(self) -> str:
        """Return an obfuscation string: noise that hides the length of a delta from whoever watches the wire."""
        choose = self._random.random
        start = int(choose() * 2000)
        return self._noise[start : start + _PADDING_LENGTHS[int(choose() * 4)]]

    @functools.cached_property
    def _noise(self) -> str:
        return self._letters(2048)

    def _letters(self, length: int) -> str:
        return "".join(self._random.choices(_ALPHABET, k=length))
