"""The commands of `jackfield`: its own, and those that other distributions bring.

A distribution brings one with an entry point of the group `jackfield.commands`. The entry point's name is the
command's; its value is a module with the members of `Command`, which should import cheaply: `jackfield --help` loads
every one, apart from every other, to show its `SUMMARY`, and running a command loads that one only. The names of
jackfield's own commands can't be taken.
"""

from __future__ import annotations

import argparse
import textwrap
from functools import cached_property
from importlib.metadata import EntryPoint
from typing import Final, Protocol, cast

from jackfield.errors import RegistryError
from jackfield.naming import nearest_name
from jackfield.transport.discovery import (
    EntryPointSource,
    describe_error,
    entry_points_by_name,
    installed_entry_points,
    load_entry_point,
    origin_of,
)

from .table import format_table, terminal_width

__all__ = ["ENTRY_POINT_GROUP", "Command", "Commands"]

ENTRY_POINT_GROUP: Final = "jackfield.commands"
"""The entry-point group that commands are declared in."""

_OWN: Final = {
    name: EntryPoint(name, module, ENTRY_POINT_GROUP)
    for name, module in {
        "new-transport": "jackfield.cli.new_transport",
        "transports": "jackfield.cli.transports",
    }.items()
}

_KNOWN: Final = {"demo": "jackfield-local", "serve": "jackfield-local"}
"""Which distribution brings a command of that name, for the hint where it isn't installed."""


class Command(Protocol):
    """What a command's module has."""

    SUMMARY: str
    """What it does, in half a line."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare its arguments."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it and return the exit code. A `JackfieldError` ends it with that message and the exit code 1."""


class Commands:
    """The commands that there are: jackfield's own and those that `source` declares."""

    def __init__(self, source: EntryPointSource = installed_entry_points) -> None:
        self._source = source

    @cached_property
    def names(self) -> list[str]:
        """Their names, sorted. Nothing is loaded."""
        return sorted({**_OWN, **self._declared})

    def load(self, name: str) -> Command:
        """Return the command of that name, or raise `RegistryError` that says what is wrong with it."""
        if name in _OWN:
            return cast("Command", _OWN[name].load())
        first, *others = self._declared[name]
        if others:
            origins = " and ".join(map(origin_of, self._declared[name]))
            raise RegistryError(f"the command {name!r} is offered by {origins}: uninstall one of them")
        try:
            module = load_entry_point(first)
        except RegistryError as error:
            fix = f": pip install --upgrade {first.dist.name}" if first.dist else ""
            raise RegistryError(f"the command {name!r} can't be used: {error}. Install it anew{fix}") from error
        missing = [member for member in ("SUMMARY", "add_arguments", "run") if not hasattr(module, member)]
        if missing:
            raise RegistryError(
                f"the command {name!r} can't be used:"
                f" {first.value} of {origin_of(first)} has no {', '.join(missing)}, which a command has"
            )
        return cast("Command", module)

    def overview(self) -> str:
        """Return the commands and what they do, as a list for people."""
        table = format_table([(name, self._summary(name)) for name in self.names], width=terminal_width() - 2)
        ignored = [
            f"\n{origin_of(point)} also offers {name!r}: it is not used, jackfield's own command has that name"
            for name in _OWN
            for point in self._declared.get(name, ())
        ]
        return f"commands:\n{textwrap.indent(table, '  ')}\n\njackfield COMMAND --help says more.{''.join(ignored)}"

    def unknown(self, name: str) -> str:
        """Return what to tell someone who asked for the command `name`, which isn't there."""
        if name in _KNOWN:
            return f"the command {name!r} is not installed: pip install {_KNOWN[name]}"
        near = nearest_name(name, [*self.names, *_KNOWN])
        if near is None:
            return f"there is no command {name!r}: choose from {', '.join(self.names)}"
        brings = "" if near in self.names else f" It comes with: pip install {_KNOWN[near]}"
        return f"there is no command {name!r}: did you mean {near!r}?{brings}"

    @cached_property
    def _declared(self) -> dict[str, tuple[EntryPoint, ...]]:
        return entry_points_by_name(self._source, ENTRY_POINT_GROUP)

    def _summary(self, name: str) -> str:
        try:
            return self.load(name).SUMMARY
        except RegistryError as error:
            cause = error.__cause__ and error.__cause__.__cause__
            return f"(broken: {describe_error(cause) if cause else error})"
