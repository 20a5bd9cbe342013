"""What many sessions in one process cost, and how soon each hears: conversations in real time, both ways."""

from __future__ import annotations

from statistics import median
from typing import Final

from bench.frames import TICK_MS, Workload
from bench.paced import Pairs, milliseconds, tables
from bench.report import Column, Table
from bench.runner import Bench

GOALS: Final = {"session": {100: {"delay_goal": 1.1, "cpu_goal": 1.0}}}
"""What jackfield promises itself by number of sessions: the delays' 99th percentile, and CPU time, of the floor's."""

_COLUMNS: Final = [
    Column("delay_ratio", "p99 vs floor", ".2f", "x"),
    Column("delay_goal", "goal", ".2f", "x"),
    Column("cpu_ratio", "CPU vs floor", ".2f", "x"),
    Column("cpu_goal", "goal", ".2f", "x"),
    Column("p50_ms", "p50, ms", ".2f"),
    Column("p99_ms", "p99, ms", ".2f"),
    Column("cpu", "CPU of a core", ".0%"),
]
_SECONDS: Final = 1.5
_RATE: Final = 1000 // TICK_MS


def run(bench: Bench) -> list[Table]:
    workload = Workload("density", "", 1, int(_SECONDS * _RATE), delta_ms=TICK_MS)
    return tables(
        bench,
        "density",
        lambda _: workload,
        _lay_out,
        title=f"Density: sessions in one process: {{}}, each with {_RATE} audio deltas a second both ways",
        columns=_COLUMNS,
        legend="From the write of a delta until the application has it, decoded.",
    )


def _lay_out(sessions: int, subject: str, pairs: Pairs) -> tuple[dict[str, float], str]:
    figures = {
        "delay_ratio": median(milliseconds(mine.delays, 99) / milliseconds(its.delays, 99) for mine, its in pairs),
        "cpu_ratio": median(mine.cpu / its.cpu for mine, its in pairs),
        "p50_ms": median(milliseconds(mine.delays, 50) for mine, _ in pairs),
        "p99_ms": median(milliseconds(mine.delays, 99) for mine, _ in pairs),
        "cpu": median(mine.cpu for mine, _ in pairs),
        **GOALS.get(subject, {}).get(sessions, {}),
    }
    lost = sum(mine.lost for mine, _ in pairs)
    return figures, f"{lost:,} deltas of audio not delivered" if lost else ""
