"""What is measured. A measure is a module here with `run(bench) -> list[Table]`; add its name to `ORDER`."""

from __future__ import annotations

import importlib
from typing import Final, Protocol, cast

from bench.report import Table
from bench.runner import Bench

ORDER: Final = ("stream", "age", "density", "bargein", "idle", "startup", "webrtc", "sip", "compression")
"""All measures, in the order in which they are taken."""


class Measure(Protocol):
    """A module that takes figures of every subject and lays them out."""

    def run(self, bench: Bench) -> list[Table]:
        """Measure; return one table or more."""
        ...


def load(name: str) -> Measure:
    """Import a measure's module."""
    return cast("Measure", importlib.import_module(f"bench.measures.{name}"))
