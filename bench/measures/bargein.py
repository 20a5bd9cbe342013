"""How soon a client cuts the answer when the user begins to speak, as the server sees it."""

from __future__ import annotations

from statistics import median
from typing import Final

from bench.frames import TICK_MS, Workload
from bench.paced import Pairs, milliseconds, tables
from bench.report import Column, Table
from bench.runner import Bench

GOALS: Final = {"session": 1.2}
"""What jackfield promises itself, in the floor's 99th percentile."""

_COLUMNS: Final = [
    Column("ratio", "p99 vs floor", ".2f", "x"),
    Column("goal", "goal", ".2f", "x"),
    Column("p50_ms", "p50, ms", ".2f"),
    Column("p99_ms", "p99, ms", ".2f"),
    Column("cpu", "CPU of a core", ".0%"),
]
_TURNS: Final = {1: (15, 3), 20: (6, 9), 100: (2, 49)}
"""Turns, and audio deltas in each, by number of sessions: the fewer sessions, the sooner each is interrupted."""


def run(bench: Bench) -> list[Table]:
    return tables(
        bench,
        "bargein",
        _workload,
        _lay_out,
        title="Barge-in: sessions in one process: {}, each interrupted while it is told an answer",
        columns=_COLUMNS,
        legend="From the write of speech_started until conversation.item.truncate was read.",
    )


def _workload(sessions: int) -> Workload:
    turns, deltas = _TURNS[sessions]
    return Workload("bargein", "", turns, deltas, cut_short=True, delta_ms=TICK_MS)


def _lay_out(_: int, subject: str, pairs: Pairs) -> tuple[dict[str, float], str]:
    unanswered = sum(mine.unanswered for mine, _ in pairs)
    remark = f"{unanswered:,} interruptions without a truncation" if unanswered else ""
    answered = [
        (milliseconds(mine.truncations, 50), milliseconds(mine.truncations, 99), milliseconds(its.truncations, 99))
        for mine, its in pairs
        if mine.truncations and its.truncations
    ]
    figures = {"cpu": median(mine.cpu for mine, _ in pairs)}
    if answered:
        figures["ratio"] = median(p99 / floor for _, p99, floor in answered)
        figures["p50_ms"] = median(p50 for p50, _, _ in answered)
        figures["p99_ms"] = median(p99 for _, p99, _ in answered)
        if subject in GOALS:
            figures["goal"] = GOALS[subject]
    return figures, remark
