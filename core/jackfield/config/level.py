"""A level of the configuration: a mapping, the keys that it may have, and what to say about any other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import field, frozen

from jackfield.errors import ConfigurationError
from jackfield.naming import nearest_name
from jackfield.transport.session_config import UNSET

from .values import Check, misspelt, refuse

__all__ = ["Level", "Rule"]

Rule = Callable[[str, Mapping[str, Any]], None]
"""Takes where a mapping stands and what it has, its keys spelt as the API has them; raises `ConfigurationError`."""


def _nowhere(key: str) -> str | None:
    return None


@frozen(kw_only=True, eq=False)
class Level:
    """A mapping's keys and the check of each. It is itself a check, so that levels nest.

    A value of `UNSET` is not looked at: the key isn't given.
    """

    keys: Mapping[str, Check]
    """The keys in snake_case."""

    retired: Mapping[str, Check] = field(factory=dict)
    """Keys that are no more, and the check that says so. They are not suggested."""

    wanted: str
    """What this level's value is, for what is no mapping."""

    camel_case: bool = True
    """Whether keys can be spelt in camelCase. That is so in all that goes through `normalize_session_config`."""

    vendor_keys: bool = False
    """Whether keys that aren't known are passed on. Misspelt ones are not."""

    bare_paths: bool = False
    """Whether the values stand under their keys alone, without this level's own path before them."""

    unknown: str = ""
    """What else can be done with a key that isn't known."""

    elsewhere: Callable[[str], str | None] = _nowhere
    """Where a key that isn't known here does belong."""

    rule: Rule | None = None
    """What must hold between keys, asked once each of them is right."""

    required: tuple[str, ...] = ()
    """Keys that must be there."""

    _spellings: dict[str, str] = field(init=False, repr=False)

    @_spellings.default
    def _(self) -> dict[str, str]:
        camel = {_camel_case(key): key for key in self.keys} if self.camel_case else {}
        return camel | {key: key for key in (*self.keys, *self.retired)}

    def __call__(self, path: str, value: Any) -> None:
        """Check `value`, which stands at `path`."""
        if not isinstance(value, Mapping):
            refuse(path, self.wanted, value)
        given: dict[str, Any] = {}
        for key, inner in value.items():
            known = self._known(path, key)
            if inner is UNSET:
                continue
            if known is not None:
                check = self.keys.get(known) or self.retired[known]
                check(key if self.bare_paths else f"{path}.{key}", inner)
            if known == key or known not in given:  # where both spellings are given, the API's own wins
                given[known or key] = inner
        for key in self.required:
            if key not in given:
                raise ConfigurationError(f"{path} has no {key!r}: it is {self.wanted}")
        if self.rule is not None:
            self.rule(path, given)

    def _known(self, path: str, key: Any) -> str | None:
        """Return the API's spelling of `key`, None for a vendor's, and raise `ConfigurationError` for any other."""
        if not isinstance(key, str):
            raise ConfigurationError(f"{path} has the key {key!r}: keys are strings")
        known = self._spellings.get(key)
        if known is not None:
            return known
        meant = misspelt(key, tuple(self.keys))
        if meant is None and self.vendor_keys:
            return None
        raise ConfigurationError(f"{path} has no key {key!r}: {self._instead(key, meant)}")

    def _instead(self, key: str, meant: str | None) -> str:
        tail = f" ({self.unknown})" if self.unknown else ""
        if meant is not None:
            return f"did you mean {meant!r}?" + (tail if self.vendor_keys else "")
        home = self.elsewhere(key)
        if home is not None:
            return f"it belongs into {home}"
        near = nearest_name(key, self.keys)
        hint = f"did you mean {near!r}?" if near else f"known are {', '.join(self.keys)}"
        return hint + tail


def _camel_case(key: str) -> str:
    head, *tail = key.split("_")
    return head + "".join(word.capitalize() for word in tail)
