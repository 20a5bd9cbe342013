"""What phone calls cost: the time until the agent is there, calls a second, CPU time, and the delay of an echo."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Final, TypeVar

from bench.paced import milliseconds
from bench.report import Column, Row, Table
from bench.runner import Bench, say
from bench.sip import ORDER, TITLES
from bench.sip.processes import Answer, Processes, Rush, Talk

GOALS: Final = {"cpu": 0.005, "threads": 2, "p50_ms": 15.0}
"""What jackfield promises itself: of a core for each live call, and threads, at any number of calls; the echo's delay
at `_DELAYS_AT` calls."""

_CALLS: Final = (10, 50, 150)
_DELAYS_AT: Final = 50
_DISTURBED: Final = 0.02
"""Rounds in which others had the core for longer count where there are no better."""


@dataclass
class _Taken:
    """What one kind showed in the rounds so far."""

    answers: list[Answer] = field(default_factory=list)
    rushes: list[Rush] = field(default_factory=list)
    talks: dict[int, list[Talk]] = field(default_factory=lambda: {calls: [] for calls in _CALLS})
    silent: dict[int, list[Talk]] = field(default_factory=lambda: {calls: [] for calls in _CALLS})
    """With nobody who says a word."""


@dataclass(frozen=True)
class _Lengths:
    """How much is taken in a round."""

    answers: int
    rush: int
    """Calls."""
    talk: dict[int, float]
    """Seconds, by number of calls."""
    silent: float
    """Seconds of each number of calls."""


_FULL: Final = _Lengths(20, 150, {10: 15, 50: 12, 150: 10}, 5)
_QUICK: Final = _Lengths(5, 50, {10: 4, 50: 4, 150: 4}, 2)
_T = TypeVar("_T", Rush, Talk)


def run(bench: Bench) -> list[Table]:
    lengths = _QUICK if bench.quick else _FULL
    # These rounds are in real time, as those of `paced`.
    rounds = math.ceil(bench.rounds / 3)
    taken = {kind: _Taken() for kind in ORDER}
    with ExitStack() as stack:
        kinds: dict[str, Processes] = {}
        for kind in ORDER:
            say(f"sip: warming up, {TITLES[kind]}")
            processes = stack.enter_context(Processes(kind, bench.cpu, bench.server_cpu))
            if processes.missing:
                bench.missing[kind] = f"not available: {processes.missing}"
            bench.attempt("sip", kind, partial(processes.talk, _CALLS[0], 1.5))
            kinds[kind] = processes
        for number in range(1, rounds + 1):
            say(f"sip: round {number} of {rounds}")
            _round(bench, kinds, lengths, taken)
    return [
        _answer_table(bench, taken["door"].answers),
        _rush_table(bench, taken["door"].rushes, lengths.rush),
        _cpu_table(bench, taken),
        _echo_table(bench, taken),
    ]


def _round(bench: Bench, kinds: dict[str, Processes], lengths: _Lengths, taken: dict[str, _Taken]) -> None:
    door = kinds["door"]
    taken["door"].answers += bench.attempt("sip", "door", partial(door.answers, lengths.answers)) or []
    if rush := bench.attempt("sip", "door", partial(door.rush, lengths.rush)):
        taken["door"].rushes.append(rush)
    for calls, seconds in lengths.talk.items():
        for kind, processes in kinds.items():
            if talk := bench.attempt("sip", kind, partial(processes.talk, calls, seconds)):
                taken[kind].talks[calls].append(talk)
    for calls in _CALLS:
        for kind, processes in kinds.items():
            if talk := bench.attempt("sip", kind, partial(processes.talk, calls, lengths.silent, silent=True)):
                taken[kind].silent[calls].append(talk)


def _answer_table(bench: Bench, answers: Sequence[Answer]) -> Table:
    columns = [
        Column("answered_ms", "INVITE to 200, ms"),
        Column("answered_p90_ms", "p90"),
        Column("joined_ms", "200 to joined, ms"),
        Column("joined_p90_ms", "p90"),
        Column("longest_ms", "longest"),
    ]
    row = _row(bench, "door")
    if answers and not row.remark:
        answered = [answer.answered for answer in answers]
        joined = [answer.joined for answer in answers]
        row.figures = {
            "answered_ms": milliseconds(answered, 50),
            "answered_p90_ms": milliseconds(answered, 90),
            "joined_ms": milliseconds(joined, 50),
            "joined_p90_ms": milliseconds(joined, 90),
            "longest_ms": max(joined) / 1e6,
        }
    legend = (
        "One call at a time; medians. A SipCallServer gets the webhook, accepts and joins: the caller's 200 is sent "
        "before the accept's own answer, and joined is when on_session is called."
    )
    return Table("SIP: from ringing to an agent who is there", columns, [row], legend)


def _rush_table(bench: Bench, rushes: Sequence[Rush], calls: int) -> Table:
    columns = [
        Column("rate", "calls/s", ".0f"),
        Column("least", "least", ".0f"),
        Column("most", "most", ".0f"),
        Column("door_ms", "door's CPU/call, ms"),
        Column("agent_ms", "agent's CPU/call, ms"),
        Column("waited", "disturbed", ".1%"),
    ]
    row = _row(bench, "door")
    if (quiet := _quiet(rushes)) and not row.remark:
        rates = [calls / rush.seconds for rush in quiet]
        row.figures = {
            "rate": median(rates),
            "least": min(rates),
            "most": max(rates),
            "door_ms": median(rush.door for rush in quiet) / calls * 1e3,
            "agent_ms": median(rush.agent for rush in quiet) / calls * 1e3,
            "waited": median(rush.waited for rush in quiet),
        }
    legend = (
        f"{calls} calls, ten of which ring at any time, until the agent has joined the last; those that are answered "
        "go on. The agent shares its core with all callers. Median of rounds."
    )
    return Table("SIP: calls that are accepted in a second", columns, [row], legend)


def _cpu_table(bench: Bench, taken: dict[str, _Taken]) -> Table:
    columns = [
        Column("ratio", "CPU vs floor", ".2f", "x"),
        Column("cpu", "CPU/call", ".3%"),
        Column("least", "least", ".3%"),
        Column("most", "most", ".3%"),
        Column("goal", "goal", ".3%"),
        Column("threads", "threads", ".0f"),
        Column("threads_goal", "goal", ".0f"),
        Column("waited", "disturbed", ".1%"),
    ]
    rows = []
    for calls, silent in [(calls, silent) for silent in (False, True) for calls in _CALLS]:
        talks = {kind: (each.silent if silent else each.talks)[calls] for kind, each in taken.items()}
        floor = talks[ORDER[0]]
        for kind, mine in talks.items():
            row = _row(bench, kind, f"{calls} calls, silent" if silent else f"{calls} calls")
            if mine and not row.remark:
                costs = [talk.cpu / calls for talk in _quiet(mine)]
                row.figures = {
                    "cpu": median(costs),
                    "least": min(costs),
                    "most": max(costs),
                    "threads": max(talk.threads for talk in mine),
                    "waited": median(talk.waited for talk in _quiet(mine)),
                    **_goals(kind, goal="cpu", threads_goal="threads"),
                }
                both = list(zip(mine, floor, strict=False))
                both = [pair for pair in both if all(talk.waited < _DISTURBED for talk in pair)] or both
                if both:
                    row.figures["ratio"] = median(a.cpu / b.cpu for a, b in both)
            rows.append(row)
    legend = (
        "Of a core, the door's process alone, all its threads. Media both ways in packets of 20 ms, a turn of the "
        "caller's every eight seconds (silent: none at all), an agent's sideband on each call. Floor: sockets and a "
        "clock that send back what came last, with no signalling and no sessions. Median of rounds. Disturbed: others "
        "had the core."
    )
    return Table("SIP: live calls in one process", columns, rows, legend)


def _echo_table(bench: Bench, taken: dict[str, _Taken]) -> Table:
    columns = [
        Column("p50_ms", "p50, ms"),
        Column("least", "least"),
        Column("most", "most"),
        Column("goal", "goal", ".0f"),
        Column("p99_ms", "p99, ms"),
        Column("longest_ms", "longest, ms"),
        Column("words", "words", ".0f"),
        Column("heard", "heard", ".1%"),
    ]
    rows = []
    for calls in _CALLS:
        for kind in ORDER:
            row = _row(bench, kind, f"{calls} calls")
            quiet = _quiet(taken[kind].talks[calls])
            if quiet and not row.remark:
                delays = [delay for talk in quiet for delay in talk.delays]
                by_round = [milliseconds(talk.delays, 50) for talk in quiet]
                words = len(delays) + sum(talk.lost for talk in quiet)
                row.figures = {
                    "p50_ms": milliseconds(delays, 50),
                    "least": min(by_round),
                    "most": max(by_round),
                    "p99_ms": milliseconds(delays, 99),
                    "longest_ms": max(delays) / 1e6,
                    "words": words,
                    "heard": len(delays) / words,
                    **(_goals(kind, goal="p50_ms") if calls == _DELAYS_AT else {}),
                }
            rows.append(row)
    legend = (
        "From the caller's socket back to it: RTP in, turn detection, an engine that says what it hears, and the "
        "clock, for which a packet waits 10 ms on average and 20 at the most. Least and most: of the rounds' p50."
    )
    return Table("SIP: delay of a word that comes back", columns, rows, legend)


def _row(bench: Bench, kind: str, title: str = "") -> Row:
    name = TITLES[kind]
    return Row(f"{title}: {name}" if title else name, remark=bench.remark("sip", kind))


def _goals(kind: str, **columns: str) -> dict[str, float]:
    """The goals of these columns, for who has any."""
    return {} if kind == ORDER[0] else {column: GOALS[goal] for column, goal in columns.items()}


def _quiet(taken: Sequence[_T]) -> Sequence[_T]:
    return [each for each in taken if each.waited < _DISTURBED] or taken
