"""Tables: what a measure returns, how it is printed, and how it is saved as JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from textwrap import shorten, wrap
from typing import Any, Final

_PACKAGES: Final = ("jackfield", "websockets", "picows", "openai-agents", "msgspec", "pybase64", "aiortc", "av")
_WIDTH: Final = 120
"""Of a legend's lines."""


@dataclass(frozen=True)
class Column:
    """One figure of each row; `form` is a format specification, and the unit stands in the heading."""

    key: str
    heading: str
    form: str = ".1f"
    suffix: str = ""


@dataclass
class Row:
    """One subject's figures by column, or `remark`: why there are none, or what to know about them."""

    subject: str
    figures: dict[str, float] = field(default_factory=dict)
    remark: str = ""


@dataclass
class Table:
    title: str
    columns: list[Column]
    rows: list[Row]
    legend: str = ""

    def lines(self) -> Iterable[str]:
        """The table as text, a line at a time."""
        cells = [
            [row.subject, *(_cell(row, column) for column in self.columns), shorten(row.remark, 90)]
            for row in self.rows
        ]
        head = ["", *(column.heading for column in self.columns), ""]
        widths = [max(len(line[n]) for line in [head, *cells]) for n in range(len(head))]
        yield ""
        yield self.title
        for line in [head, *cells]:
            figures = (cell.rjust(width) for cell, width in zip(line[1:-1], widths[1:-1], strict=True))
            yield "  ".join([" ", line[0].ljust(widths[0]), *figures, line[-1]]).rstrip()
        yield from wrap(self.legend, _WIDTH, initial_indent="    ", subsequent_indent="    ")


def environment() -> dict[str, str]:
    """What the figures depend on, apart from the code."""
    found = {"python": platform.python_version(), "cpu": _cpu_model(), "cores": str(os.cpu_count())}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "-"
    return found


def as_json(tables: list[Table]) -> dict[str, Any]:
    """All figures, unrounded."""
    return {"environment": environment(), "tables": [asdict(table) for table in tables]}


def _cell(row: Row, column: Column) -> str:
    value = row.figures.get(column.key)
    return "-" if value is None else f"{value:{column.form}}{column.suffix}"


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
