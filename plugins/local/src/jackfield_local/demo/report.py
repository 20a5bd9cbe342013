"""What is asserted of a conversation, and its figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median

from attrs import frozen
from rapidfuzz import fuzz

from jackfield.transport.events import Usage
from jackfield_local.demo.record import (
    AgentLine,
    CallerLine,
    Cut,
    Entry,
    HandedOver,
    PickedUp,
    Problem,
    PutThrough,
    ToolUse,
)
from jackfield_local.demo.script import Line
from jackfield_local.demo.server_process import Door

__all__ = ["Check", "Report", "make_report"]

_UNDERSTOOD = 80.0
"""How much of a line, in per cent, must have been understood."""

_FRAME_MS = 20.0
_UNDER_WAY_MS = 200.0
"""So much audio may be on its way from a far end that plays to the caller's ear."""
_LOST_MS = 200.0
"""So much of what is said at the other end of a call may not be heard, as it was picked up late."""


@frozen
class Check:
    """Something that was to happen, and whether it did."""

    passed: bool
    text: str


@frozen
class Report:
    """How a conversation went."""

    figures: Sequence[tuple[str, str]]
    checks: Sequence[Check]

    @property
    def passed(self) -> bool:
        """Whether everything that was to happen did."""
        return all(check.passed for check in self.checks)

    @property
    def failures(self) -> list[str]:
        """What was to happen and did not."""
        return [check.text for check in self.checks if not check.passed]


def make_report(
    lines: Sequence[Line],
    entries: Sequence[Entry],
    *,
    usage: Usage,
    duration_ms: float,
    seconds: float,
    recording: Path,
    doors: tuple[Door, Door] | None,
) -> Report:
    """Judge the conversation. `doors` are the one that was to be taken and the one that was, where the server tells."""
    checks = [_greeted(entries)] if any(isinstance(entry, PickedUp) for entry in entries) else []
    checks += [check for line, turn in zip(lines, _turns(entries), strict=False) for check in _judge(line, turn)]
    said = len([entry for entry in entries if isinstance(entry, CallerLine)])
    if said < len(lines):
        checks.append(Check(False, f"the conversation came to its end: {said} of {len(lines)} lines were said"))
    if doors is not None:
        wanted, taken = doors
        query = f"?{taken.query}" if taken.query else ""
        through = f"{taken.path}{query}" + (f" with the {taken.credential} header" if taken.credential else "")
        checks.append(Check(wanted == taken, f"the server was entered by {through}"))
    problems = [entry.message for entry in entries if isinstance(entry, Problem)]
    checks.append(Check(not problems, f"errors: {'; '.join(problems) or 'none'}"))
    figures = _figures(entries, usage, duration_ms, seconds)
    return Report([*figures, ("recording", f"{recording} (caller left, what he heard right)")], checks)


def _figures(entries: Sequence[Entry], usage: Usage, duration_ms: float, seconds: float) -> list[tuple[str, str]]:
    tools = [entry.name for entry in entries if isinstance(entry, ToolUse)]
    handoffs = [f"{entry.source} to {entry.target}" for entry in entries if isinstance(entry, HandedOver)]
    cuts = [entry for entry in entries if isinstance(entry, Cut)]
    waits = [entry.after_ms for entry in entries if isinstance(entry, AgentLine) and entry.after_ms is not None]
    return [
        ("turns", str(len([entry for entry in entries if isinstance(entry, CallerLine)]))),
        ("tools called", ", ".join(tools) or "none"),
        ("handoffs", ", ".join(handoffs) or "none"),
        ("interruptions", str(len(cuts))),
        (
            "answered after",
            f"{min(waits):.0f} ms at best, {median(waits):.0f} ms in the middle, {max(waits):.0f} ms at worst"
            if waits
            else "not measured: with --fast, time stands still while the server is at work",
        ),
        ("tokens", f"{usage.input_tokens} in, {usage.output_tokens} out"),
        ("duration", f"{duration_ms / 1000:.1f} s of conversation in {seconds:.1f} s"),
    ]


def _turns(entries: Sequence[Entry]) -> list[Sequence[Entry]]:
    """Cut the entries before each line of the caller."""
    starts = [index for index, entry in enumerate(entries) if isinstance(entry, CallerLine)]
    return [entries[start:end] for start, end in pairwise([*starts, len(entries)])]


def _judge(line: Line, turn: Sequence[Entry]) -> list[Check]:
    said = turn[0]
    assert isinstance(said, CallerLine), "turns are cut before them"
    understood = fuzz.ratio(line.text.lower(), (said.text or "").lower()) >= _UNDERSTOOD
    checks = [] if understood else [Check(False, f'"{line.text}" was understood as "{said.text or ""}"')]
    answers = [entry for entry in turn if isinstance(entry, AgentLine) and entry.at_ms is not None]
    if not answers:
        checks.append(Check(False, f'"{line.text}" was answered'))
    if line.tool is not None:
        checks.append(_tool_called(line, turn, answers))
    if line.hands_over_to is not None:
        passed = any(isinstance(entry, HandedOver) and entry.target == line.hands_over_to for entry in turn)
        speaker = answers[-1].agent if answers else "nobody"
        checks.append(Check(passed and speaker == line.hands_over_to, f"{line.hands_over_to} took over and spoke"))
    if line.put_through_to is not None:
        checks.append(_put_through(line.put_through_to, turn))
    if line.cuts_in_after_ms is not None:
        checks.append(_interrupted([entry for entry in turn if isinstance(entry, Cut)]))
    return checks


def _greeted(entries: Sequence[Entry]) -> Check:
    first = next((entry for entry in entries if isinstance(entry, AgentLine | CallerLine)), None)
    passed = isinstance(first, AgentLine) and first.at_ms is not None
    return Check(passed, "the agent answered the phone, and spoke first")


def _put_through(who: str, turn: Sequence[Entry]) -> Check:
    there = next((entry for entry in turn if isinstance(entry, PutThrough)), None)
    if there is None:
        return Check(False, f"the call was put through to the {who.lower()}")
    heard = 0.0 if there.line.part is None else there.line.part.played_ms
    text = f"the call was put through to {there.target}, and {heard:.0f} of {there.said_ms:.0f} ms were heard of it"
    return Check(there.line.agent == who and abs(heard - there.said_ms) <= _LOST_MS, text)


def _tool_called(line: Line, turn: Sequence[Entry], answers: Sequence[AgentLine]) -> Check:
    arguments = ", ".join(f"{name}={value}" for name, value in line.arguments.items())
    with_these = f" with {arguments}" if arguments else ""
    text = f"{line.tool} was called{with_these}, and its result was spoken"
    called = any(
        isinstance(entry, ToolUse)
        and entry.name == line.tool
        and all(str(entry.arguments.get(name, "")).lower() == value.lower() for name, value in line.arguments.items())
        for entry in turn
    )
    return Check(called and any(line.answer_has in answer.text.lower() for answer in answers), text)


def _interrupted(cuts: Sequence[Cut]) -> Check:
    if len(cuts) != 1:
        return Check(False, f"the caller interrupted the agent once: it was {len(cuts)} times")
    cut = cuts[0]
    text = f"the caller interrupted: {cut.heard_ms:.0f} ms were played, audio_end_ms said {cut.audio_end_ms}"
    if cut.confirmed_ms is not None:
        text += f", the server cut at {cut.confirmed_ms}"
    told = cut.audio_end_ms if cut.confirmed_ms is None else cut.confirmed_ms
    # A far end that plays measures by itself, and hears of it a moment later.
    apart = 0.0 if cut.generated_ms is not None else _UNDER_WAY_MS
    beside = apart if cut.reckoned else _FRAME_MS
    same = abs(cut.heard_ms - cut.audio_end_ms) < beside and abs(told - cut.audio_end_ms) <= apart
    return Check(same and 0 < cut.heard_ms < (cut.generated_ms or math.inf), text)
