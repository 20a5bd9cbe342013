"""How the conversation looks on a terminal: words light up as they are heard, and stay dark where they never were."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

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
    words_heard,
)
from jackfield_local.demo.report import Report
from jackfield_local.demo.view import TIME_WIDTH, WHO_WIDTH, clock, row_of

__all__ = ["LiveView"]

_REDRAW_SECONDS = 0.08
_AGENT_STYLES = ("green", "magenta", "yellow")
_REMARK = "bright_black"


class LiveView:
    """Draws on `console`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._shown = 0
        self._drawn_at = 0.0
        self._agents: list[str] = []

    def begin(self, title: str, place: str) -> None:
        """See `View.begin`."""
        self._console.print(Text(title, style="bold"), Text(place, style=_REMARK), sep="\n")
        self._live.start()

    def refresh(self, entries: Sequence[Entry]) -> None:
        """See `View.refresh`. What isn't over stays at the bottom and is drawn anew."""
        over = self._shown
        while over < len(entries) and _is_over(entries[over]):
            over += 1
        for entry in entries[self._shown : over]:
            self._live.update(Text(""), refresh=False)
            self._console.print(self._row(entry))
        changed = over > self._shown
        self._shown = over
        now = time.monotonic()
        if changed or now - self._drawn_at >= _REDRAW_SECONDS:
            self._drawn_at = now
            self._live.update(Group(*map(self._row, entries[over:])), refresh=True)

    def end(self, entries: Sequence[Entry], report: Report | None) -> None:
        """See `View.end`."""
        self._live.update(Text(""), refresh=True)
        self._live.stop()
        for entry in entries[self._shown :]:
            self._console.print(self._row(entry))
        self._shown = len(entries)
        if report is None:
            return
        self._console.print()
        figures = Table.grid(padding=(0, 2))
        for name, value in report.figures:
            figures.add_row(Text(f"  {name}", style=_REMARK), Text(value, overflow="fold"))
        self._console.print(figures)
        self._console.print()
        for check in report.checks:
            mark = Text("  ✓ ", style="green") if check.passed else Text("  ✗ ", style="bold red")
            self._console.print(mark + Text(check.text, style="" if check.passed else "red"))

    def _row(self, entry: Entry) -> RenderableType:
        row = row_of(entry)
        grid = Table.grid()
        grid.add_column(width=TIME_WIDTH)
        grid.add_column(width=WHO_WIDTH)
        grid.add_column(ratio=1, overflow="fold")
        at = "" if row.at_ms is None else clock(row.at_ms)
        text = self._text(entry)
        if row.aside:
            text.append(f"  {row.aside}", style=_REMARK)
        if row.apart:
            grid.add_row()
        grid.add_row(Text(at, style=_REMARK), Text(row.who, style=self._style(entry)), text)
        for line in row.below:
            remark = line.lstrip()
            grid.add_row("", "", Padding(Text(remark, style=_REMARK), (0, 0, 0, len(line) - len(remark))))
        return grid

    def _text(self, entry: Entry) -> Text:
        text = row_of(entry).text
        match entry:
            case AgentLine(part=part) if part is not None:
                heard = words_heard(text, part.played_ms, part.received_ms)
                unheard = "strike bright_black" if part.cut else _REMARK
                return Text(heard) + Text(text[len(heard) :], style=unheard)
            case ToolUse() | PickedUp() | HandedOver() | PutThrough():
                return Text("→" + text.removeprefix(">"), style="cyan")
            case Cut():
                return Text("✂" + text.removeprefix("x"), style="yellow")
            case Problem():
                return Text(text, style="bold red")
        return Text(text)

    def _style(self, entry: Entry) -> str:
        match entry:
            case CallerLine():
                return "bold cyan"
            case AgentLine(agent=name):
                if name not in self._agents:
                    self._agents.append(name)
                return f"bold {_AGENT_STYLES[self._agents.index(name) % len(_AGENT_STYLES)]}"
        return ""


def _is_over(entry: Entry) -> bool:
    match entry:
        case CallerLine():
            return entry.text is not None and entry.ended_ms is not None
        case AgentLine():
            return entry.over
        case ToolUse():
            return entry.output is not None
    return True
