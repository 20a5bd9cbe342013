"""Plain-text tables that fit the terminal, or 100 columns where there is none."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence
from itertools import zip_longest

__all__ = ["format_table", "terminal_width"]

_GAP = 2
_NARROWEST = 10


def terminal_width() -> int:
    """Return the columns to write for: the terminal's (or `COLUMNS`), 100 when piped, never less than 60."""
    return max(60, shutil.get_terminal_size((100, 24)).columns)


def format_table(
    rows: Sequence[Sequence[str]], *, headers: Sequence[str] | None = None, width: int | None = None
) -> str:
    """Return `rows` in columns at most `width` wide in all; a text that is too long for its column is wrapped."""
    lines = [*([headers] if headers else []), *rows]
    widths = _fit([max(1, *map(len, column)) for column in zip(*lines, strict=True)], width or terminal_width())
    text = [line for row in rows for line in _wrap(row, widths)]
    if headers:
        rule = (" " * _GAP).join("-" * column for column in widths)
        text = [*_wrap(headers, widths), rule, *text]
    return "\n".join(text)


def _fit(widths: list[int], total: int) -> list[int]:
    room = total - _GAP * (len(widths) - 1)
    while sum(widths) > room and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1
    return widths


def _wrap(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    cells = [textwrap.wrap(text, width, break_on_hyphens=False) for text, width in zip(row, widths, strict=True)]
    return [
        (" " * _GAP).join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in zip_longest(*cells, fillvalue="")
    ]
