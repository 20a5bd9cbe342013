"""What an event costs: CPU time from the first event of a conversation to the last, as fast as it can be read."""

from __future__ import annotations

from functools import partial
from statistics import median
from typing import Any, Final

from bench.frames import WORKLOADS, Workload, conversation_frames
from bench.report import Column, Row, Table
from bench.runner import Bench, FailedError, say

GOALS: Final = {
    "transport": {"long": 0.85, "short": 0.85},
    "session": {"long": 1.0, "short": 1.6},
    "session_picows": {"long": 0.45},
}
"""What jackfield promises itself, in CPU time of the floor."""

_COLUMNS: Final = [
    Column("ratio", "CPU vs floor", ".2f", "x"),
    Column("goal", "goal", ".2f", "x"),
    Column("us_per_delta", "us/audio delta"),
    Column("us_per_event", "us/event"),
    Column("events_per_cpu_s", "events/CPU s", ",.0f"),
]


def run(bench: Bench) -> list[Table]:
    workloads = [WORKLOADS[name] for name in ("long", "short", "barge")]
    taken: dict[tuple[str, str], list[float]] = {}
    lost: dict[tuple[str, str], int] = {}
    # Round 0 warms up and isn't counted.
    for number in range(bench.rounds + 1):
        say(f"streams: round {number} of {bench.rounds}" if number else "streams: warming up")
        for workload in workloads:
            for subject in bench.subjects:
                answer = bench.attempt(workload.name, subject, partial(_one, bench, subject, workload))
                if answer and number:
                    cpu = answer["marks"][-1] - answer["marks"][0]
                    taken.setdefault((workload.name, subject), []).append(cpu)
                    lost[workload.name, subject] = workload.audio_bytes - answer["audio_bytes"]
    return [_table(bench, workload, taken, lost) for workload in workloads]


def _one(bench: Bench, subject: str, workload: Workload) -> dict[str, Any]:
    answer = bench.workers[subject].tell(do="stream", url=bench.url(workload), workload=workload.name)
    if len(answer["marks"]) != workload.turns + 1:
        raise FailedError(f"{len(answer['marks']) - 1} of {workload.turns} turns were reported")
    return answer


def _table(
    bench: Bench, workload: Workload, taken: dict[tuple[str, str], list[float]], lost: dict[tuple[str, str], int]
) -> Table:
    # The rate limits that follow the last turn are not waited for.
    events = sum(1 for _ in conversation_frames(workload)) - 1
    floor = taken.get((workload.name, bench.subjects[0]), [])
    rows: list[Row] = []
    for subject in bench.subjects:
        cpu = taken.get((workload.name, subject), [])
        if bench.remark(workload.name, subject):
            rows.append(bench.row(workload.name, subject, None))
            continue
        figures = {
            "ratio": median(mine / its for mine, its in zip(cpu, floor, strict=True)),
            "us_per_delta": median(cpu) / workload.audio_deltas * 1e6,
            "us_per_event": median(cpu) / events * 1e6,
            "events_per_cpu_s": events / median(cpu),
        }
        missed = lost[workload.name, subject]
        remark = f"{missed:,} of {workload.audio_bytes:,} bytes of audio not delivered" if missed else ""
        if missed and not workload.speech_events:
            # Only an interruption excuses that: who delivers less than the floor is not compared with it.
            figures = {}
        goal = GOALS.get(subject, {}).get(workload.name)
        if goal is not None and figures:
            figures["goal"] = goal
        row = bench.row(workload.name, subject, figures)
        row.remark = remark
        rows.append(row)
    title = f"Cost of an event: {workload.title} ({workload.turns} responses, {events:,} events)"
    return Table(title, _COLUMNS, rows, "Audio deltas bear the cost of all events. Ratio: median of rounds.")
