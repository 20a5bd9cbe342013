"""What the entry point `otel` of the group `jackfield.observers` leads to."""

from __future__ import annotations

from collections.abc import Iterable

from jackfield.observers import SessionObserver
from jackfield.transport import hookimpl

from .observing import observe

__all__ = ["jackfield_session_observers"]


@hookimpl
def jackfield_session_observers() -> Iterable[SessionObserver]:
    """Return the observer that uses the global providers."""
    return [observe]
