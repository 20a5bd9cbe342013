"""What WebRTC calls cost beside bare aiortc with the same media: connecting, CPU time, delays, bad networks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from statistics import mean, median
from typing import Final

from bench.paced import milliseconds
from bench.report import Column, Row, Table
from bench.runner import Bench, say
from bench.webrtc import ORDER, load
from bench.webrtc.pair import Pair, Path, Talk, Words

GOALS: Final = {
    "connect": 1.1,
    "cpu": 0.75,
    "threads": 2,
    "p50_ms": 10.0,
    "p99_ms": 25.0,
    "left_ms": 2.0,
    "heard": 1.0,
}
"""What jackfield promises itself: connecting and CPU time of aiortc's; delays at `_DELAYS_AT` calls; threads at any
number; and after a bad network its delay of before, but for a hair, and every word said meanwhile."""

_CALLS: Final = (1, 5, 10)
_DELAYS_AT: Final = 5
_NETWORKS: Final[dict[str, dict[str, float]]] = {
    "good": {},
    "1 % loss": {"loss": 0.01},
    "5 % loss": {"loss": 0.05},
    "5 % loss in bursts of 4": {"loss": 0.05, "burst": 4},
    "30 ms jitter": {"jitter_ms": 30},
}
_CONNECTS_IN_A_ROW: Final = 5
_CALLS_A_NETWORK: Final = 2
_DISTURBED: Final = 0.02
"""Rounds in which others had the core for longer count where there are no better."""
_MEDIA: Final = "The media is never silent: words at -6 dBFS over coloured noise at -40 dBFS, both ways."


@dataclass
class _Taken:
    """What one kind showed in the rounds so far."""

    connects: list[list[float]] = field(default_factory=list)
    talks: dict[int, list[Talk]] = field(default_factory=lambda: {calls: [] for calls in _CALLS})
    idle: list[Talk] = field(default_factory=list)
    paths: list[list[list[Path]]] = field(default_factory=list)
    """By round and network."""


@dataclass(frozen=True)
class _Lengths:
    """How much is taken in a round; in seconds, apart from the first."""

    connects: int
    """How often some are made in a row."""
    talk: dict[int, float]
    """By number of calls."""
    idle: float
    phases: tuple[float, float, float]
    """Before a network is bad, while it is, and after."""


_FULL: Final = _Lengths(8, {1: 6, 5: 12, 10: 6}, 5, (2.5, 6, 4.5))
_QUICK: Final = _Lengths(2, {1: 2, 5: 3, 10: 2}, 2, (1.5, 3, 3))


def run(bench: Bench) -> list[Table]:
    lengths = _QUICK if bench.quick else _FULL
    # These rounds are in real time, as those of `paced`.
    rounds = math.ceil(bench.rounds / 3)
    taken = {kind: _Taken() for kind in ORDER}
    with ExitStack() as stack:
        pairs = {kind: stack.enter_context(Pair(kind, bench.cpu, bench.server_cpu)) for kind in ORDER}
        for kind, pair in pairs.items():
            if pair.missing:
                bench.missing[kind] = f"not available: {pair.missing}"
            say(f"webrtc: warming up, {load(kind).TITLE}")
            bench.attempt("webrtc", kind, partial(pair.talk, max(_CALLS), 0.5))
        for number in range(1, rounds + 1):
            say(f"webrtc: round {number} of {rounds}")
            _round(bench, pairs, lengths, taken)
    return [
        _connect_table(bench, taken),
        _cpu_table(bench, taken),
        _delay_table(bench, taken),
        _path_table(bench, taken),
    ]


def _round(bench: Bench, pairs: dict[str, Pair], lengths: _Lengths, taken: dict[str, _Taken]) -> None:
    for _ in range(lengths.connects):
        for kind, pair in pairs.items():
            if took := bench.attempt("webrtc", kind, partial(pair.connects, _CONNECTS_IN_A_ROW)):
                taken[kind].connects.append(took)
    for calls, seconds in lengths.talk.items():
        for kind, pair in pairs.items():
            if talk := bench.attempt("webrtc", kind, partial(pair.talk, calls, seconds)):
                taken[kind].talks[calls].append(talk)
    for kind, pair in pairs.items():
        if talk := bench.attempt("webrtc", kind, partial(pair.talk, _DELAYS_AT, lengths.idle, idle=True)):
            taken[kind].idle.append(talk)
    networks = list(_NETWORKS.values())
    for kind, pair in pairs.items():
        if paths := bench.attempt("webrtc", kind, partial(pair.paths, networks, _CALLS_A_NETWORK, lengths.phases)):
            taken[kind].paths.append(paths)


def _connect_table(bench: Bench, taken: dict[str, _Taken]) -> Table:
    columns = [
        Column("ratio", "vs aiortc", ".2f", "x"),
        Column("goal", "goal", ".2f", "x"),
        Column("ms", "median, ms"),
        Column("longest_ms", "longest, ms"),
    ]
    rows = []
    stock = taken[ORDER[0]].connects
    for kind in ORDER:
        row = _row(bench, kind)
        if (mine := taken[kind].connects) and not row.remark:
            row.figures = {
                "ms": median(took for each in mine for took in each) * 1e3,
                "longest_ms": max(took for each in mine for took in each) * 1e3,
            }
            if stock:
                row.figures["ratio"] = median(median(a) / median(b) for a, b in zip(mine, stock, strict=False))
            row.figures |= _goals(kind, goal="connect")
        rows.append(row)
    legend = "With no STUN, on one machine; the POST of the offer, ICE, DTLS and an open data channel included."
    return Table("WebRTC: from nothing to a call that is ready", columns, rows, legend)


def _cpu_table(bench: Bench, taken: dict[str, _Taken]) -> Table:
    columns = [
        Column("ratio", "CPU vs aiortc", ".2f", "x"),
        Column("goal", "goal", ".2f", "x"),
        Column("cpu", "CPU/call", ".2%"),
        Column("threads", "threads", ".0f"),
        Column("threads_goal", "goal", ".0f"),
        Column("waited", "disturbed", ".1%"),
    ]
    rows = []
    loads = [(f"{calls} {'call' if calls == 1 else 'calls'}", calls) for calls in _CALLS]
    for title, calls in [*loads, (f"{_DELAYS_AT} calls, idle", 0)]:
        stock = taken[ORDER[0]].talks[calls] if calls else taken[ORDER[0]].idle
        for kind in ORDER:
            row = _row(bench, kind, title)
            mine = taken[kind].talks[calls] if calls else taken[kind].idle
            if mine and not row.remark:
                row.figures = {
                    "cpu": median(talk.cpu for talk in _quiet(mine)) / (calls or _DELAYS_AT),
                    "threads": max(talk.threads for talk in mine),
                    "waited": median(talk.waited for talk in _quiet(mine)),
                    **_goals(kind, threads_goal="threads"),
                }
                if calls:
                    row.figures |= _goals(kind, goal="cpu")
                both = list(zip(mine, stock, strict=False))
                both = [pair for pair in both if all(talk.waited < _DISTURBED for talk in pair)] or both
                if both:
                    row.figures["ratio"] = median(a.cpu / b.cpu for a, b in both)
            rows.append(row)
    legend = (
        f"Of a core, the client's process alone, all its threads. {_MEDIA} Idle: digital silence, as nobody speaks. "
        "Ratio: median of rounds. Disturbed: others had the core."
    )
    return Table("WebRTC: calls in one process, both ways", columns, rows, legend)


def _delay_table(bench: Bench, taken: dict[str, _Taken]) -> Table:
    columns = [
        Column("p50_ms", "p50, ms"),
        Column("p50_goal", "goal", ".0f"),
        Column("p99_ms", "p99, ms"),
        Column("p99_goal", "goal", ".0f"),
        Column("longest_ms", "longest, ms"),
        Column("words", "words", ".0f"),
        Column("heard", "heard", ".1%"),
    ]
    rows = []
    for title in ("out", "back"):
        for kind in ORDER:
            row = _row(bench, kind, title)
            talks = _quiet(taken[kind].talks[_DELAYS_AT])
            words = _together(talk.out if title == "out" else talk.back for talk in talks)
            if words.delays and not row.remark:
                row.figures = {
                    "p50_ms": milliseconds(words.delays, 50),
                    "p99_ms": milliseconds(words.delays, 99),
                    "longest_ms": max(words.delays) / 1e6,
                    "words": len(words.delays) + words.lost,
                    "heard": _heard(words),
                    **_goals(kind, p50_goal="p50_ms", p99_goal="p99_ms"),
                }
            rows.append(row)
    legend = (
        f"{_DELAYS_AT} calls. Out: from the client's mouth (jackfield's send_audio, the return of aiortc's recv) to "
        "the far end's ear. Back: to the client's ear (an audio event, the return of recv)."
    )
    return Table("WebRTC: delay that is added between mouth and ear", columns, rows, legend)


def _path_table(bench: Bench, taken: dict[str, _Taken]) -> Table:
    columns = [
        Column("before_ms", "before, p50 ms"),
        Column("during_ms", "during"),
        Column("after_ms", "after"),
        Column("left_ms", "left, ms", "+.1f"),
        Column("left_goal", "goal", "+.0f"),
        Column("words", "words", ".0f"),
        Column("heard", "heard", ".1%"),
        Column("heard_goal", "goal", ".0%"),
    ]
    rows = []
    for n, network in enumerate(_NETWORKS):
        for kind in ORDER:
            row = _row(bench, kind, network)
            paths = [path for each in taken[kind].paths for path in each[n]]
            phases = [
                _together([path.before for path in paths]),
                _together([path.during for path in paths]),
                _together([path.after for path in paths]),
            ]
            if all(words.delays for words in phases) and not row.remark:
                before, during, after = (milliseconds(words.delays, 50) for words in phases)
                row.figures = {
                    "before_ms": before,
                    "during_ms": during,
                    "after_ms": after,
                    "left_ms": mean(_left_ms(path) for path in paths if path.before.delays and path.after.delays),
                    "words": len(phases[1].delays) + phases[1].lost,
                    "heard": _heard(phases[1]),
                    **_goals(kind, left_goal="left_ms", heard_goal="heard"),
                }
            rows.append(row)
    legend = (
        f"{_CALLS_A_NETWORK} calls on each network, all at once; both ways out are bad for a while. After: from one "
        "second after the network is good again. Left: after, less before, of each way of each call; their mean. Words "
        "and heard: said while it was bad; where all 300 ms of a word were lost on the way, nobody can hear it."
    )
    return Table("WebRTC: delay on a bad network, and what is left of it", columns, rows, legend)


def _row(bench: Bench, kind: str, title: str = "") -> Row:
    name = load(kind).TITLE
    return Row(f"{title}: {name}" if title else name, remark=bench.remark("webrtc", kind))


def _goals(kind: str, **columns: str) -> dict[str, float]:
    """The goals of these columns, for who has any."""
    return {} if kind == ORDER[0] else {column: GOALS[goal] for column, goal in columns.items()}


def _quiet(talks: Sequence[Talk]) -> Sequence[Talk]:
    return [talk for talk in talks if talk.waited < _DISTURBED] or talks


def _together(words: Iterator[Words] | Sequence[Words]) -> Words:
    all_words = list(words)
    return Words([delay for each in all_words for delay in each.delays], sum(each.lost for each in all_words))


def _left_ms(path: Path) -> float:
    return milliseconds(path.after.delays, 50) - milliseconds(path.before.delays, 50)


def _heard(words: Words) -> float:
    return len(words.delays) / (len(words.delays) + words.lost)
