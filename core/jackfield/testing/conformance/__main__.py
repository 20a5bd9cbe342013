"""Writes the table of transports and their capabilities, of the reports of runs, into a document.

::

    python -m jackfield.testing.conformance out/conformance.json --into docs/transports.md
    python -m jackfield.testing.conformance out/conformance.json --into docs/transports.md --check

The table stands between two lines, `<!-- capabilities: begin -->` and `<!-- capabilities: end -->`. With `--check`
nothing is written: it fails where the document says something else.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from .report import capabilities_table

__all__ = ["main"]

_BEGIN, _END = "<!-- capabilities: begin -->\n", "<!-- capabilities: end -->\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Run it; return 0, or 1 where the document differs or has no place for the table."""
    parser = argparse.ArgumentParser(prog="python -m jackfield.testing.conformance", description=__doc__.split("\n")[0])
    parser.add_argument("reports", nargs="+", type=Path, help="what --jackfield-report wrote")
    parser.add_argument("--into", type=Path, required=True, metavar="DOCUMENT")
    parser.add_argument("--check", action="store_true", help="only tell whether the document is up to date")
    args = parser.parse_args(argv)
    subjects = [subject for path in args.reports for subject in json.loads(path.read_text("utf-8"))["subjects"]]
    document = args.into.read_text("utf-8")
    before, begin, rest = document.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        print(
            f"{args.into} has no place for the table: add the lines {_BEGIN.strip()} and {_END.strip()}",
            file=sys.stderr,
        )
        return 1
    wanted = f"{before}{_BEGIN}\n{capabilities_table(subjects)}\n{_END}{after}"
    if wanted == document:
        return 0
    if args.check:
        print(f"{args.into} is not what the run proved: write its table anew, without --check", file=sys.stderr)
        return 1
    args.into.write_text(wanted, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
