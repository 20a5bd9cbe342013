"""How the conversation looks as lines of text: in a pipe, a log, or a terminal that wants no colour.

A line is written once, when all that belongs to it is known, in the order in which things were heard. `live_view` has
the same rows for terminals that can do more.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from typing import Protocol, TextIO

from attrs import field, frozen

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
from jackfield_local.demo.report import Report

__all__ = ["PlainView", "Row", "View", "clock", "row_of"]

WHO_WIDTH = 11
TIME_WIDTH = 9


class View(Protocol):
    """Shows a conversation."""

    def begin(self, title: str, place: str) -> None:
        """Say what is about to happen, and where."""
        ...

    def refresh(self, entries: Sequence[Entry]) -> None:
        """Show the entries as they stand."""
        ...

    def end(self, entries: Sequence[Entry], report: Report | None) -> None:
        """Show what is left, and the report; None where the conversation broke off."""
        ...


@frozen
class Row:
    """An entry as one row: when, who, what, remarks `below` it and `aside`. `apart`: a new turn begins with it."""

    at_ms: float | None
    who: str
    text: str
    below: Sequence[str] = field(factory=tuple)
    aside: str = ""
    apart: bool = False


def clock(ms: float) -> str:
    """Return a time as mm:ss.s."""
    tenths = int(ms // 100)
    return f"{tenths // 600:02d}:{tenths // 10 % 60:02d}.{tenths % 10}"


def row_of(entry: Entry) -> Row:
    """Return what there is to show of `entry`."""
    match entry:
        case CallerLine():
            text = "..." if entry.text is None else entry.text or "(not understood)"
            return Row(entry.at_ms, "Caller", text, apart=not entry.cuts_in)
        case AgentLine():
            waited = "" if entry.after_ms is None else f"after {entry.after_ms:.0f} ms"
            return Row(entry.at_ms, entry.agent, entry.text.strip(), aside=waited)
        case ToolUse():
            arguments = ", ".join(f"{name}={json.dumps(value)}" for name, value in entry.arguments.items())
            below = () if entry.output is None else (f"= {entry.output}",)
            return Row(entry.at_ms, "", f"> {entry.name}({arguments})", below)
        case PickedUp():
            return Row(entry.at_ms, "", "> the agent answers the phone", apart=True)
        case HandedOver():
            return Row(entry.at_ms, "", f"> {entry.source} hands over to {entry.target}")
        case PutThrough():
            return Row(entry.at_ms, "", f"> the call is put through to {entry.target}")
        case Cut():
            heard = f"heard {entry.heard_ms / 1000:.1f} s"
            if entry.generated_ms is None:
                cut = "not told yet" if entry.confirmed_ms is None else f"at {entry.confirmed_ms} ms"
                return Row(entry.at_ms, "", f"x interrupted: {heard}, the server cut {cut}")
            told = f"{heard} of {entry.generated_ms / 1000:.1f} s, audio_end_ms {entry.audio_end_ms}"
            words = f'  up to "{entry.heard_text}"' if entry.heard_text else "  not a word of it"
            return Row(entry.at_ms, "", f"x interrupted: {told}", (words,))
        case Problem():
            return Row(entry.at_ms, "", f"! {entry.message}")


class PlainView:
    """Writes to `out`, in lines of `width` characters at most."""

    def __init__(self, out: TextIO, width: int = 100) -> None:
        self._out = out
        self._width = width
        self._shown = 0

    def begin(self, title: str, place: str) -> None:
        """See `View.begin`."""
        self._write(f"{title}\n{place}\n")

    def refresh(self, entries: Sequence[Entry]) -> None:
        """See `View.refresh`. An entry waits for those before it."""
        while self._shown < len(entries) and _is_settled(entries[self._shown]):
            self._show(entries[self._shown])
            self._shown += 1

    def end(self, entries: Sequence[Entry], report: Report | None) -> None:
        """See `View.end`."""
        for entry in entries[self._shown :]:
            self._show(entry)
        self._shown = len(entries)
        if report is not None:
            width = max(len(name) for name, _ in report.figures) + 2
            self._write("\nSummary\n")
            for name, value in report.figures:
                self._write(f"  {name:<{width}}{value}\n")
            self._write("\nAs it should be\n" if report.passed else "\nNot as it should be\n")
            for check in report.checks:
                self._write(f"  {'ok ' if check.passed else 'NO '} {check.text}\n")

    def _show(self, entry: Entry) -> None:
        row = row_of(entry)
        if row.at_ms is None:
            return  # it was cut before it was heard
        text = f"{row.text}  [{row.aside}]" if row.aside else row.text
        indent = " " * (TIME_WIDTH + WHO_WIDTH)
        head = f"{clock(row.at_ms):<{TIME_WIDTH}}{row.who:<{WHO_WIDTH}}"
        lines = [textwrap.fill(text, self._width, initial_indent=head, subsequent_indent=indent + "  " * (not row.who))]
        lines += [
            textwrap.fill(line, self._width, initial_indent=indent, subsequent_indent=indent + "  ")
            for line in row.below
        ]
        self._write("\n" * row.apart + "\n".join(lines) + "\n")

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


def _is_settled(entry: Entry) -> bool:
    match entry:
        case CallerLine():
            return entry.text is not None and entry.ended_ms is not None
        case AgentLine():
            return entry.worded and (entry.at_ms is not None or (entry.part is not None and entry.part.cut))
        case ToolUse():
            return entry.output is not None
    return True
