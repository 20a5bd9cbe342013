"""Entry points: which ones are installed, and loading one of them so that its failure stays its own.

Shared by everything that plugs in by name: transports (`registry`) and commands (`jackfield.cli`). What a loaded plugin
must look like is theirs to know.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from importlib.metadata import EntryPoint
from typing import TypeAlias

from jackfield.errors import RegistryError, redact

__all__ = [
    "EntryPointSource",
    "describe_error",
    "distribution_of",
    "entry_points_by_name",
    "installed_entry_points",
    "installed_version",
    "load_entry_point",
    "missing_modules",
    "origin_of",
]

EntryPointSource: TypeAlias = Callable[[str], Iterable[EntryPoint]]
"""Returns the entry points of a group."""


def installed_entry_points(group: str) -> Iterable[EntryPoint]:
    """Return the entry points of `group` that this interpreter's distributions declare."""
    return metadata.entry_points(group=group)


def installed_version(distribution: str) -> str | None:
    """Return the version of `distribution`, or None where it isn't installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def entry_points_by_name(source: EntryPointSource, group: str) -> dict[str, tuple[EntryPoint, ...]]:
    """Return the entry points of `group` by name, sorted. More than one for a name: several offer it.

    A line that one distribution repeats word by word counts once.
    """
    found: dict[str, dict[tuple[str | None, str], EntryPoint]] = {}
    for entry_point in source(group):
        key = (distribution_of(entry_point), entry_point.value)
        found.setdefault(entry_point.name, {})[key] = entry_point
    return {name: tuple(found[name].values()) for name in sorted(found)}


def distribution_of(entry_point: EntryPoint) -> str | None:
    """Return the name of the distribution that declares `entry_point`, where it is known."""
    return None if entry_point.dist is None else entry_point.dist.name


def origin_of(entry_point: EntryPoint) -> str:
    """Return where an entry point comes from, for messages: "jackfield-pigeon 0.3"."""
    if entry_point.dist is None:
        return f"an unnamed distribution ({entry_point.value})"
    return f"{entry_point.dist.name} {entry_point.dist.version}"


def load_entry_point(entry_point: EntryPoint) -> object:
    """Import what `entry_point` names; whatever goes wrong there becomes the cause of a `RegistryError`."""
    try:
        return entry_point.load()
    except (Exception, SystemExit) as error:
        raise RegistryError(
            f"{entry_point.value} of {origin_of(entry_point)} can't be imported: {describe_error(error)}"
        ) from error


def describe_error(error: BaseException) -> str:
    """Return what `error` says, in one line, with its type and without credentials."""
    # Some exceptions carry records beside their text (attrs' validators do); the text comes first.
    text = str(error.args[0] if error.args and isinstance(error.args[0], str) else error)
    text = redact(" ".join(text.split()))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def missing_modules(names: Iterable[str]) -> list[str]:
    """Return those of `names` (modules, dotted or not) that are not there to be imported. Nothing is imported."""
    return [name for name in names if not _is_there(name)]


def _is_there(name: str) -> bool:
    if name in sys.modules:
        return sys.modules[name] is not None
    # importlib.util.find_spec imports the parents of a dotted name, which may be as heavy as the module itself.
    path: Sequence[str] | None = None
    parts = name.split(".")
    for depth in range(1, len(parts) + 1):
        full_name = ".".join(parts[:depth])
        specs = (finder.find_spec(full_name, path) for finder in sys.meta_path)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is None:
            return False
        path = spec.submodule_search_locations
        if path is None and depth < len(parts):
            return False
    return True
