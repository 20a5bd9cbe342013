"""Rounds of conversations in real time, as the measures `density` and `bargein` take them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from statistics import median
from typing import Final, TypeAlias

from .frames import TICK_MS, Workload
from .report import Column, Row, Table
from .runner import Bench, FailedError, PacedServer, say

_CHECKS: Final = [
    Column("late_ms", "server late, p99, ms", ".2f"),
    Column("waited", "disturbed", ".0%"),
]
_DISTURBED: Final = 0.01
"""What spoils the 99th percentile: rounds in which others had the core for longer count where there are no better."""
_SETTLE_S: Final = 0.3
"""Openings, and whatever is done for the first time, aren't counted."""
_WARMING_UP: Final = Workload("warming up", "", 5, 5, cut_short=True, delta_ms=TICK_MS)


@dataclass(frozen=True)
class Taken:
    """What one subject showed in one round."""

    delays: list[int]
    """Of each audio delta, from the server's write until an application has it, in ns."""
    cpu: float
    """CPU time in seconds per second."""
    lost: int
    """How many audio deltas were never heard."""
    lateness: list[int]
    """Of each audio delta, how late the server itself was, in ns."""
    truncations: list[int]
    """Of each interruption, from the server's write of `speech_started` until it has read the truncation, in ns."""
    unanswered: int
    """How many interruptions weren't followed by a truncation."""
    waited: float
    """The part of the time in which another process had the core, the server's or the subject's."""


Pairs: TypeAlias = list[tuple[Taken, Taken]]
"""A subject's rounds, each with the floor's round beside it."""


def tables(
    bench: Bench,
    measure: str,
    workload: Callable[[int], Workload],
    lay_out: Callable[[int, str, Pairs], tuple[dict[str, float], str]],
    *,
    title: str,
    columns: list[Column],
    legend: str,
) -> list[Table]:
    """Take rounds with `workload`, of every number of sessions, and return a table for each.

    `lay_out` turns a subject's rounds with so many sessions into the figures and the remark of its row. As these rounds
    can't be hurried, their number is a third of the other measures'.
    """
    rounds = math.ceil(bench.rounds / 3)
    legend = f"{legend} Ratio: median of rounds. Disturbed: others had the core."
    made: list[Table] = []
    with bench.paced_server() as server:
        say(f"{measure}: warming up")
        for subject in bench.subjects:
            bench.attempt(measure, subject, partial(_one, bench, server, subject, 1, _WARMING_UP))
        for sessions in (1, 100) if bench.quick else (1, 20, 100):
            name = f"{measure} {sessions}"
            taken: dict[str, list[Taken]] = {}
            for number in range(1, rounds + 1):
                say(f"{measure}: round {number} of {rounds}, sessions: {sessions}")
                for subject in bench.subjects:
                    one = partial(_one, bench, server, subject, sessions, workload(sessions))
                    if result := bench.attempt(name, subject, one):
                        taken.setdefault(subject, []).append(result)
            rows = list(_rows(bench, name, taken, partial(lay_out, sessions)))
            made.append(Table(title.format(sessions), [*columns, *_CHECKS], rows, legend))
    return made


def milliseconds(nanoseconds: Sequence[int], percent: float) -> float:
    """The percentile in ms, by the nearest rank."""
    return sorted(nanoseconds)[math.ceil(len(nanoseconds) * percent / 100) - 1] / 1e6


def _rows(
    bench: Bench,
    name: str,
    taken: dict[str, list[Taken]],
    lay_out: Callable[[str, Pairs], tuple[dict[str, float], str]],
) -> Iterator[Row]:
    floor = taken.get(bench.subjects[0], [])
    for subject in bench.subjects:
        row = bench.row(name, subject, None)
        pairs = list(zip(taken.get(subject, []), floor, strict=False))
        pairs = [pair for pair in pairs if all(one.waited < _DISTURBED for one in pair)] or pairs
        if pairs and not row.remark:
            row.figures, row.remark = lay_out(subject, pairs)
            row.figures["late_ms"] = median(milliseconds(mine.lateness, 99) for mine, _ in pairs)
            row.figures["waited"] = median(mine.waited for mine, _ in pairs)
        yield row


def _one(bench: Bench, server: PacedServer, subject: str, sessions: int, workload: Workload) -> Taken:
    server.tell(do="play", sessions=sessions, workload=asdict(workload))
    worker = bench.workers[subject]
    heard = worker.tell(do="converse", url=server.url, sessions=sessions, turns=workload.turns, settle=_SETTLE_S)
    told = server.tell(do="report")
    if not heard["delays"]:
        raise FailedError("no audio was heard")
    return Taken(
        delays=heard["delays"],
        cpu=heard["cpu"],
        lost=len(told["lateness"]) - heard["heard"],
        lateness=told["lateness"],
        truncations=told["truncations"],
        unanswered=told["unanswered"],
        waited=max(heard["waited"], told["waited"]),
    )
