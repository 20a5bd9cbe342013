"""Which view suits the terminal, or the pipe, that the demo writes to."""

from __future__ import annotations

import os
from typing import TextIO

from jackfield_local.demo.view import PlainView, View

__all__ = ["choose_view"]


def choose_view(out: TextIO, *, plain: bool = False) -> View:
    """Return the live view for a terminal, else (in a pipe, in CI, with NO_COLOR) plain lines."""
    if plain or not out.isatty() or os.environ.get("NO_COLOR") or os.environ.get("CI"):
        return PlainView(out)
    if os.environ.get("TERM", "dumb") == "dumb" or not _can_write("✓→✂", out):
        return PlainView(out)
    from rich.console import Console

    from jackfield_local.demo.live_view import LiveView

    return LiveView(Console(file=out, highlight=False))


def _can_write(text: str, out: TextIO) -> bool:
    try:
        text.encode(out.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
