"""Checks of single values: each takes where the value stands and the value, and raises `ConfigurationError`.

A message says where, what is wanted there, what was given, and how to write it. Only plain scalars are shown, and no
credentials; of everything else the type is named.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from difflib import SequenceMatcher
from reprlib import Repr
from typing import Any, NoReturn, TypeAlias, get_args

from jackfield.errors import ConfigurationError, redact
from jackfield.naming import nearest_name

__all__ = [
    "Check",
    "boolean",
    "function",
    "integer",
    "literals",
    "mapping",
    "misspelt",
    "nullable",
    "number",
    "objects",
    "one_of",
    "open_one_of",
    "refuse",
    "text",
    "texts",
]

Check: TypeAlias = Callable[[str, Any], None]
"""Takes where a value stands, as in "model_settings.speed", and the value; raises `ConfigurationError`."""

_ALIKE = 0.75
"""How alike two names are, by difflib's ratio, when one is taken for the other misspelt: server for server_vad.
Further apart are names that a provider may well have: maximal beside minimal."""

_WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+")
_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 60


def refuse(path: str, wanted: str, value: object, hint: str = "") -> NoReturn:
    """Raise the error for `value` at `path`, where `wanted` should be."""
    if isinstance(value, str):
        shown = _SHORT.repr(redact(value))
    elif value is None:
        shown, hint = "None", hint or "leave it out instead"
    else:
        shown = _SHORT.repr(value) if isinstance(value, bool | int | float) else type(value).__name__
    raise ConfigurationError(f"{path} is {wanted}, not {shown}{': ' + hint if hint else ''}")


def literals(alias: Any) -> tuple[str, ...]:
    """Return the names in a `Literal`."""
    return get_args(alias)


def misspelt(name: str, known: tuple[str, ...]) -> str | None:
    """Return that of `known` which `name` is meant to be, or None where it may be a name of its own.

    A name that has a known one whole in it is its own: azure_semantic_vad beside semantic_vad.
    """
    near = nearest_name(name, known)
    if near is None or _words(near) < _words(name):
        return None
    given, meant = name.casefold(), near.casefold()
    # In a short name two letters that changed places leave little that is alike.
    alike = sorted(given) == sorted(meant) or SequenceMatcher(None, given, meant).ratio() >= _ALIKE
    return near if alike else None


def _words(name: str) -> set[str]:
    return {word.casefold() for word in _WORD.findall(name)}


def nullable(check: Check) -> Check:
    """Let None pass, and `check` everything else."""

    def checked(path: str, value: Any) -> None:
        if value is not None:
            check(path, value)

    return checked


def boolean(path: str, value: Any) -> None:
    """True or False, and nothing that counts as one."""
    if not isinstance(value, bool):
        quoted = isinstance(value, str) and value.lower() in {"true", "false"}
        refuse(path, "True or False", value, "write it without quotes" if quoted else "")


def function(path: str, value: Any) -> None:
    """Anything that can be called."""
    if not callable(value):
        refuse(path, "a function", value)


def text(*, empty: bool = False, hint: str = "") -> Check:
    """Return the check for a str, one with something in it unless `empty`. `hint` is for what is no str."""

    def check(path: str, value: Any) -> None:
        if not isinstance(value, str):
            refuse(path, "a str", value, hint)
        if not value and not empty:
            raise ConfigurationError(f"{path} is empty: give it a value, or leave it out")

    return check


def number(low: float, high: float = math.inf) -> Check:
    """Return the check for a finite number from `low` to `high`."""
    return _number("a number", int | float, low, high)


def integer(low: int, high: float = math.inf, *, unit: str = "", other: str = "", hint: str = "") -> Check:
    """Return the check for an int from `low` to `high`.

    `unit` is what it counts, `other` what could be there instead, `hint` is for what is too low or too high.
    """
    return _number(f"an integer number of {unit}" if unit else "an integer", int, low, high, other, hint)


def _number(what: str, kind: Any, low: float, high: float, other: str = "", hint: str = "") -> Check:
    wanted = f"{what} from {low} to {high}" if high < math.inf else f"{what}, {low} or more"
    wanted += f", or {other}" if other else ""

    def check(path: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, kind):
            refuse(path, wanted, value, "write it without quotes" if _is_number(value) else "")
        if not (low <= value <= high and value < math.inf):
            refuse(path, wanted, value, hint)

    return check


def _is_number(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"\s*[-+]?\d+(\.\d*)?\s*", value) is not None


def one_of(*names: str, hint: str = "") -> Check:
    """Return the check for one of `names`, and nothing else."""
    wanted = " or ".join(repr(name) for name in names)

    def check(path: str, value: Any) -> None:
        if not isinstance(value, str) or value not in names:
            near = nearest_name(value, names) if isinstance(value, str) else None
            refuse(path, wanted, value, f"did you mean {near!r}?" if near else hint)

    return check


def open_one_of(*names: str) -> Check:
    """Return the check for one of `names` or a name that the provider may have added, but none of them misspelt."""

    def check(path: str, value: Any) -> None:
        if not isinstance(value, str) or not value:
            refuse(path, f"a name such as {' or '.join(repr(name) for name in names)}", value)
        near = None if value in names else misspelt(value, names)
        if near is not None:
            refuse(path, "a name that the provider has", value, f"did you mean {near!r}?")

    return check


def texts(item: Check | None = None, *, example: str) -> Check:
    """Return the check for a list of str, each checked by `item`. `example` is one."""
    check_item = item or text()

    def check(path: str, value: Any) -> None:
        if not isinstance(value, list | tuple):
            refuse(path, f"a list such as {example}", value, "put it into a list" if isinstance(value, str) else "")
        for index, entry in enumerate(value):
            check_item(f"{path}[{index}]", entry)

    return check


def objects(what: str) -> Check:
    """Return the check for a list of `what`. The members are checked where they are used."""

    def check(path: str, value: Any) -> None:
        if not isinstance(value, list):
            several = value is None or isinstance(value, Mapping | tuple | set | frozenset)
            refuse(path, f"a list of {what}", value, "" if several else "put it into a list")

    return check


def mapping(path: str, value: Any) -> None:
    """Any mapping whose keys are strings; its values are the user's own."""
    if not isinstance(value, Mapping):
        refuse(path, "a mapping", value)
    for key in value:
        if not isinstance(key, str):
            raise ConfigurationError(f"{path} has the key {key!r}: keys are strings")
