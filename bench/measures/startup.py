"""How long it takes from starting a process to a session that is ready, imports and handshake included."""

from __future__ import annotations

import json
import time
from functools import partial
from statistics import median
from typing import Final

from bench.frames import WORKLOADS
from bench.report import Column, Table
from bench.runner import Bench, FailedError, say, start

_COLUMNS: Final = [
    Column("wall", "time vs floor", ".2f", "x"),
    Column("cpu", "CPU vs floor", ".2f", "x"),
    Column("wall_ms", "ms", ".0f"),
    Column("cpu_ms", "CPU ms", ".0f"),
]

_CODE: Final = """
import asyncio, sys
from bench.subjects import {subject} as subject
async def main():
    async with subject.connect(sys.argv[1]):
        import json, time
        print(json.dumps([time.monotonic(), time.process_time()]), flush=True)
asyncio.run(main())
"""


def run(bench: Bench) -> list[Table]:
    taken: dict[str, list[tuple[float, float]]] = {}
    for number in range(bench.rounds + 1):
        say(f"start: round {number} of {bench.rounds}" if number else "start: warming up")
        for subject in bench.subjects:
            pair = bench.attempt("startup", subject, partial(_one, bench, subject))
            if pair and number:
                taken.setdefault(subject, []).append(pair)
    floor = taken.get(bench.subjects[0], [])
    rows = []
    for subject in bench.subjects:
        pairs = taken.get(subject)
        figures = None
        if pairs and not bench.remark("startup", subject):
            both = list(zip(pairs, floor, strict=True))
            figures = {
                "wall": median(mine[0] / its[0] for mine, its in both),
                "cpu": median(mine[1] / its[1] for mine, its in both),
                "wall_ms": median(wall for wall, _ in pairs) * 1e3,
                "cpu_ms": median(cpu for _, cpu in pairs) * 1e3,
            }
        rows.append(bench.row("startup", subject, figures))
    return [Table("From starting a process to a ready session", _COLUMNS, rows)]


def _one(bench: Bench, subject: str) -> tuple[float, float]:
    """Seconds until the session was ready, by the clock and of CPU time."""
    begun = time.monotonic()
    with start(["-c", _CODE.format(subject=subject), bench.url(WORKLOADS["idle"])], bench.cpu) as process:
        assert process.stdout
        line = process.stdout.readline()
    if not line:
        raise FailedError(f"its process ended with status {process.returncode} before it was ready")
    ready, cpu = json.loads(line)
    return ready - begun, cpu
