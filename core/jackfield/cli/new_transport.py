"""`jackfield new-transport NAME`: a distribution with a transport in it that passes the conformance kit as it is."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import shutil
import tempfile
from pathlib import Path
from typing import Final

from jackfield.errors import ConfigurationError
from jackfield.transport.discovery import installed_version
from jackfield.transport.registry import Registry

from .scaffold import DIALECTS, Names, project_files

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "write the distribution of a new transport, which passes the conformance kit as it is"

_OURS: Final = frozenset({"gemini", "local", "openai-agents", "otel", "testing", "transports"})
"""What has the name `jackfield-NAME`, or would be in the way of it, whether it is installed or not."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("name", metavar="NAME", help='the transport\'s name, such as "carrier-pigeon"')
    parser.add_argument(
        "--directory", type=Path, metavar="DIR", help="where to write it (default: jackfield-NAME, in this directory)"
    )
    parser.add_argument(
        "--dialect",
        choices=DIALECTS,
        default="openai",
        help="what it speaks: the OpenAI Realtime dialect, over a wire of its own; or a protocol of its own, with a "
        "dialect and a far end to replace (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Write it, and say what to do next."""
    names = Names.of(args.name)
    _check_free(names)
    directory: Path = args.directory or Path(names.distribution)
    _write({directory / place: text for place, text in project_files(names, args.dialect).items()}, directory)
    print(_next_steps(names, directory, args.dialect))
    return 0


def _check_free(names: Names) -> None:
    known = Registry().transports.get(names.name)
    if known is not None:
        raise ConfigurationError(
            f"there is a transport {names.name!r} already, of {' and '.join(known.origins)}, and only one can have "
            "the name: choose another one"
        )
    version = installed_version(names.distribution)
    if version is not None or names.name in _OURS:
        there = f"{names.distribution} {version}" if version is not None else names.distribution
        raise ConfigurationError(
            f"the distribution of a transport {names.name!r} would be called {names.distribution}, and there is a "
            f"{there} already: choose another name"
        )


def _write(files: dict[Path, str], directory: Path) -> None:
    """Write all files, or none: they are written beside the directory, which then takes its place."""
    if directory.is_symlink() or (directory.exists() and not directory.is_dir()):
        raise ConfigurationError(f"{directory} is there, and no directory: give another one with --directory")
    try:
        if directory.is_dir() and any(directory.iterdir()):
            raise ConfigurationError(f"{directory} is there, and not empty: give another one with --directory")
        directory.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    except OSError as error:
        raise _unwritable(directory, error) from error
    try:
        whole = beside / directory.name
        for path, text in files.items():
            place = whole / path.relative_to(directory)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8", newline="\n")
        whole.replace(directory)  # an empty directory gives way
    except OSError as error:
        raise _unwritable(directory, error) from error
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(beside)


def _unwritable(directory: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(f"{directory} can't be written: {error.strerror or error}. Nothing was")


def _next_steps(names: Names, directory: Path, dialect: str) -> str:
    there = shlex.quote(str(directory))
    does = {
        "openai": "speaks the OpenAI Realtime dialect: src/{module}/wire.py is yours",
        "own": "speaks a protocol that is made up: put your provider's into src/{module}/dialect.py",
    }[dialect].format(module=names.module)
    lines = [
        f"{directory} has a transport {names.name!r}. It {does}.",
        "",
        "Next:",
        f"  cd {there}",
        "  pip install -e '.[test]'",
        "  pytest                    # the conformance kit: it passes now, and is to do so when you are done",
        f"  jackfield transports      # lists {names.name}",
    ]
    if dialect == "openai":
        lines.append(
            f"  jackfield demo --transport {names.name}    # talks to it: needs pip install 'jackfield-local[speech]'"
        )
    return "\n".join([*lines, "", "docs/writing-a-transport.md of jackfield goes on from here."])
