"""A new transport's distribution, made of templates: what it is called, and the files that it has.

The templates are beside this module, by dialect. Nothing here writes: `new_transport` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath
from string import Template
from typing import Final, Literal, TypeAlias

from attrs import frozen

from jackfield import __version__
from jackfield.errors import ConfigurationError
from jackfield.transport.hookspecs import CONTRACT_VERSION

__all__ = ["DIALECTS", "DialectName", "Names", "project_files"]

DialectName: TypeAlias = Literal["openai", "own"]

DIALECTS: Final[tuple[DialectName, ...]] = ("openai", "own")
"""What the new transport speaks: the OpenAI Realtime dialect, or a protocol of its own."""

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST = 40
_SUFFIX = ".tmpl"
_PACKAGE = "package"
"""The folder that is called as the package is, in the templates."""
_DOT = "dot-"
"""How a name that begins with a dot begins there, so that no tool takes the template for the file."""


class _Template(Template):
    delimiter = "@@"  # a dollar has a meaning of its own in what is written


@frozen
class Names:
    """What a transport's name makes of everything that is called after it."""

    name: str

    @classmethod
    def of(cls, name: str) -> Names:
        """Return the names; raise `ConfigurationError` for a name that can't be a transport's."""
        for prefix in ("jackfield-", "jackfield_"):
            if name.lower().startswith(prefix):
                raise ConfigurationError(
                    f"{name!r} has the prefix that is added anyway: jackfield new-transport {name[len(prefix) :]}"
                )
        if not _NAME.fullmatch(name):
            better = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
            hint = f", such as {better!r}" if _NAME.fullmatch(better) else ""
            raise ConfigurationError(
                f"{name!r} can't be a transport's name: give small letters (a to z) and digits, in words that are "
                f"joined by hyphens, beginning with a letter{hint}"
            )
        if len(name) > _LONGEST:
            raise ConfigurationError(f"{name!r} is too long for a name that people type: {_LONGEST} letters at most")
        return cls(name)

    @property
    def distribution(self) -> str:
        """What pip is given."""
        return f"jackfield-{self.name}"

    @property
    def module(self) -> str:
        """What is imported."""
        return self.distribution.replace("-", "_")

    @property
    def class_name(self) -> str:
        """How its classes begin."""
        return "".join(word.capitalize() for word in self.name.split("-"))

    @property
    def variable(self) -> str:
        """The environment variable that has the key."""
        return f"{self.name.replace('-', '_').upper()}_API_KEY"

    @property
    def words(self) -> str:
        """The name for people: "Carrier pigeon"."""
        return self.name.replace("-", " ").capitalize()


def project_files(names: Names, dialect: DialectName) -> dict[PurePosixPath, str]:
    """Return the files of a new distribution: their places in it, and what is in them."""
    values = _values(names, dialect)
    found: dict[PurePosixPath, str] = {}
    for part in ("common", dialect):
        for place, template in _templates(files(__package__) / "templates" / part, PurePosixPath()):
            found[_place(place, names)] = _Template(template).substitute(values)
    return dict(sorted(found.items()))


def _values(names: Names, dialect: DialectName) -> Mapping[str, str]:
    runtime, tests = [_jackfield(), "websockets>=15"], ["jackfield[testing]", "pytest>=8.3"]
    if dialect == "openai":
        tests.insert(1, "jackfield-local")  # which has the far end that speaks it
    else:
        runtime.insert(0, "attrs>=24.2")
    return {
        "name": names.name,
        "distribution": names.distribution,
        "module": names.module,
        "class_name": names.class_name,
        "variable": names.variable,
        "summary": names.words,
        "url": f"wss://{names.name}.example/v1/realtime",
        "contract": CONTRACT_VERSION,
        "dependencies": _lines(runtime),
        "test_dependencies": _lines(tests),
    }


def _jackfield() -> str:
    """Return the requirement of a jackfield like this one: `jackfield.wire` may change in the next minor below 1.0."""
    major, minor = map(int, __version__.split(".")[:2])
    next_one = f"0.{minor + 1}" if major == 0 else f"{major + 1}"
    return f"jackfield>={major}.{minor},<{next_one}"


def _lines(requirements: list[str]) -> str:
    return "".join(f'    "{requirement}",\n' for requirement in requirements)


def _templates(folder: Traversable, place: PurePosixPath) -> Iterator[tuple[PurePosixPath, str]]:
    for entry in folder.iterdir():
        here = place / entry.name
        if entry.is_dir():
            yield from _templates(entry, here)
        elif entry.name.endswith(_SUFFIX):
            yield here, entry.read_text(encoding="utf-8")


def _place(template: PurePosixPath, names: Names) -> PurePosixPath:
    parts = [names.module if part == _PACKAGE else part for part in template.parts]
    parts = [f".{part.removeprefix(_DOT)}" if part.startswith(_DOT) else part for part in parts]
    return PurePosixPath(*parts[:-1], parts[-1].removesuffix(_SUFFIX))
