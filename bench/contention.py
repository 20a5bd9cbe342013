"""Whether others had the core: what was measured while they did says little."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_STATISTICS: Final = Path("/proc/self/schedstat")


def waited_ns() -> int:
    """How long this process, since it began, was ready to run and had no core; 0 where the system doesn't tell."""
    return int(_STATISTICS.read_text().split()[1]) if _STATISTICS.exists() else 0
