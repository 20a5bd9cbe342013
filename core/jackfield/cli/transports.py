"""`jackfield transports`: which transports there are, whether each can be used, and what it can do."""

from __future__ import annotations

import argparse
import json
import os
import sys
import textwrap
from typing import Any

import attrs

from jackfield.transport.registry import Registry, TransportInfo

from .table import format_table, terminal_width

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "list the installed transports"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--json", action="store_true", help="write JSON, for programs")


def run(args: argparse.Namespace) -> int:
    """Write the list to stdout."""
    infos = list(Registry().transports.values())
    text = json.dumps([_record(info) for info in infos], indent=2) if args.json else _table(infos)
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # The reader has seen enough. Python would complain once more when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def _table(infos: list[TransportInfo]) -> str:
    if not infos:
        return "No transports are installed: pip install jackfield"
    width = terminal_width()
    rows = [
        (
            info.name,
            info.spec.summary if info.spec else "",
            info.brief,
            ", ".join(info.spec.capabilities.names()) if info.spec else "",
        )
        for info in infos
    ]
    parts = [format_table(rows, headers=("NAME", "SUMMARY", "STATUS", "CAPABILITIES"), width=width)]
    parts += [
        textwrap.fill(f"* {said}", width, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False)
        for info in infos
        if (said := info.notice if info.installed else info.problem) and info.state != "planned"
    ]
    return "\n\n".join(parts)


def _record(info: TransportInfo) -> dict[str, Any]:
    spec = info.spec
    return {
        "name": info.name,
        "summary": spec.summary if spec else None,
        "state": info.state,
        "problem": info.problem,
        "notice": info.notice,
        "distributions": list(info.origins),
        "extra": spec.extra if spec else None,
        "contract": spec.contract if spec else None,
        "capabilities": attrs.asdict(spec.capabilities) if spec else None,
    }
