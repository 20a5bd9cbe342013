"""The command `jackfield`: what it does before and after one of its commands runs.

The commands are in `transports` and in other distributions; finding and loading them is `commands`' business.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from jackfield.errors import JackfieldError, redact

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (by default, this process's) and return its exit code.

    0: done. 1: it failed, and stderr says why. 2: wrong usage. 130: Ctrl-C. `--help`, `--version` and wrong usage
    leave through `SystemExit`, as argparse does.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(arguments)
    except JackfieldError as error:
        print(f"jackfield: error: {redact(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _run(arguments: list[str]) -> int:
    from .commands import Commands

    # Up to the command's name the arguments are ours; what follows is the command's.
    position = next((i for i, argument in enumerate(arguments) if not argument.startswith("-")), len(arguments))
    commands = Commands()
    parser = _parser()
    if {"-h", "--help"} & set(arguments[:position]):
        parser.epilog = commands.overview()
    parser.parse_args(arguments[:position])
    if position == len(arguments):
        parser.epilog = commands.overview()
        parser.print_help(sys.stderr)
        return 2
    name = arguments[position]
    if name not in commands.names:
        parser.error(commands.unknown(name))
    command = commands.load(name)
    command_parser = argparse.ArgumentParser(prog=f"jackfield {name}", description=command.SUMMARY)
    command.add_arguments(command_parser)
    return command.run(command_parser.parse_args(arguments[position + 1 :]))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jackfield",
        usage="jackfield [-h] [--version] COMMAND ...",
        description="Realtime voice agents: one session core, any transport to the model.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    return parser


class _Version(argparse.Action):
    """Looks the version up when it is asked for: reading a distribution's metadata takes longer than starting."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from jackfield.transport.discovery import installed_version

        print(f"jackfield {installed_version('jackfield') or '(not installed: run from a source tree)'}")
        parser.exit()
