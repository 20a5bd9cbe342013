"""Whether an event costs more in an old session: the last tenth of a long one against its first tenth."""

from __future__ import annotations

from functools import partial
from statistics import median
from typing import Final

from bench.frames import WORKLOADS
from bench.report import Column, Table
from bench.runner import Bench, say

_COLUMNS: Final = [
    Column("growth", "last / first tenth", ".2f", "x"),
    Column("first_us", "first, us/turn", ",.0f"),
    Column("last_us", "last, us/turn", ",.0f"),
]


def run(bench: Bench) -> list[Table]:
    workload = WORKLOADS["aging"]
    tenth = workload.turns // 10
    taken: dict[str, list[tuple[float, float]]] = {}
    rounds = max(1, min(3, bench.rounds))
    for number in range(1, rounds + 1):
        say(f"age: round {number} of {rounds}")
        for subject in bench.subjects:
            command = {"do": "stream", "url": bench.url(workload), "workload": workload.name}
            answer = bench.attempt(workload.name, subject, partial(bench.workers[subject].tell, **command))
            if answer:
                marks = answer["marks"]
                pair = (marks[tenth] - marks[0], marks[-1] - marks[-1 - tenth])
                taken.setdefault(subject, []).append(pair)
    rows = []
    for subject in bench.subjects:
        pairs = taken.get(subject)
        figures = None
        if pairs:
            figures = {
                "growth": median(last / first for first, last in pairs),
                "first_us": median(first for first, _ in pairs) / tenth * 1e6,
                "last_us": median(last for _, last in pairs) / tenth * 1e6,
            }
        rows.append(bench.row(workload.name, subject, figures))
    title = f"Cost with age: a session of {workload.turns} turns, {workload.deltas} audio deltas each"
    return [
        Table(
            title,
            _COLUMNS,
            rows,
            "1.00x: what came before costs nothing. All comes at once, so that every answer is still being played.",
        )
    ]
