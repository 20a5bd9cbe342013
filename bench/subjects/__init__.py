"""Who is measured. A subject is a module here with the members of `base.Subject`; add its name to `ORDER`."""

from __future__ import annotations

import importlib
from typing import Final, cast

from .base import Subject

ORDER: Final = (
    "floor",
    "floor_picows",
    "transport",
    "transport_picows",
    "session",
    "session_picows",
    "agents_sdk",
)
"""All subjects, in the order of the tables. The first is what the others are compared with."""


def load(name: str) -> Subject:
    """Import a subject's module; what it measures is imported when it is used."""
    return cast("Subject", importlib.import_module(f"bench.subjects.{name}"))
