"""The command: `python -m bench [--quick] [--measure NAME ...] [--subject NAME ...] [--rounds N] [--json FILE]`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from . import measures, subjects
from .report import Table, environment
from .report import as_json as tables_as_json
from .runner import running


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure what jackfield costs beside the least that a client of the Realtime API can do.",
    )
    parser.add_argument("--rounds", type=int, default=7, help="rounds that are counted (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and sessions: a look, no result")
    parser.add_argument("--measure", nargs="+", choices=measures.ORDER, default=list(measures.ORDER))
    parser.add_argument("--subject", nargs="+", choices=subjects.ORDER, default=list(subjects.ORDER))
    parser.add_argument("--json", type=Path, metavar="FILE", help="save all figures, unrounded")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds must be 1 or more")
    chosen = [name for name in subjects.ORDER if name in {subjects.ORDER[0], *options.subject}]
    rounds = min(3, options.rounds) if options.quick else options.rounds

    tables: list[Table] = []
    with running(chosen, rounds, options.quick) as bench:
        for name in measures.ORDER:
            if name in options.measure:
                tables += measures.load(name).run(bench)
    print(" · ".join(f"{key} {value}" for key, value in environment().items()))
    for table in tables:
        print("\n".join(table.lines()))
    if options.json:
        options.json.write_text(json.dumps(tables_as_json(tables), indent=1) + "\n")


if __name__ == "__main__":
    main()
