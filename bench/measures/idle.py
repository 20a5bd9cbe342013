"""What a session costs while nothing happens: resident memory, as the slope over many sessions in one process."""

from __future__ import annotations

from functools import partial
from typing import Final

from bench.frames import WORKLOADS
from bench.report import Column, Table
from bench.runner import Bench, say

_COLUMNS: Final = [
    Column("kib", "KiB/session"),
    Column("over_floor", "over floor, KiB"),
    Column("process_mib", "process, MiB"),
]


def run(bench: Bench) -> list[Table]:
    url = bench.url(WORKLOADS["idle"])
    # The first sessions pay for what is loaded once; the slope begins after them.
    counts = [20, 70] if bench.quick else [50, 250]
    found: dict[str, dict[str, float]] = {}
    say("idle sessions")
    for subject in bench.subjects:
        if bench.remark("idle", subject):
            continue
        with bench.fresh_worker(subject) as worker:
            answer = bench.attempt("idle", subject, partial(worker.tell, do="idle", url=url, counts=counts))
        if answer:
            first, last = answer["resident_kib"]
            slope = (last - first) / (counts[1] - counts[0])
            found[subject] = {"kib": slope, "process_mib": last / 1024}
    floor = found.get(bench.subjects[0])
    for figures in found.values():
        if floor:
            figures["over_floor"] = figures["kib"] - floor["kib"]
    rows = [bench.row("idle", subject, found.get(subject)) for subject in bench.subjects]
    return [Table(f"Memory of an idle session ({counts[1] - counts[0]} sessions)", _COLUMNS, rows)]
