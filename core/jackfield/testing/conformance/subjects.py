"""The subjects that distributions declare, so that the kit runs on a transport by its name.

An entry point of the group `jackfield.conformance`, named after the transport, leads to a function that returns its
subjects, or to them: "jackfield_pigeon.conformance:SUBJECTS".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from jackfield.errors import ConfigurationError
from jackfield.transport.discovery import (
    EntryPointSource,
    entry_points_by_name,
    installed_entry_points,
    load_entry_point,
    origin_of,
)

from .subject import SUITE, Subject

__all__ = ["ENTRY_POINT_GROUP", "installed_subjects", "suites"]

ENTRY_POINT_GROUP: Final = "jackfield.conformance"
"""The entry-point group that subjects are declared in."""


def installed_subjects(transport: str, source: EntryPointSource = installed_entry_points) -> Sequence[Subject]:
    """Return the subjects that are declared for a transport; none where nobody declares any.

    Raises `RegistryError` for a declaration that can't be loaded, `ConfigurationError` for one that holds no subjects.
    """
    found: list[Subject] = []
    for point in entry_points_by_name(source, ENTRY_POINT_GROUP).get(transport, ()):
        loaded = load_entry_point(point)
        subjects = loaded() if callable(loaded) else loaded
        if isinstance(subjects, Subject):
            subjects = [subjects]
        if not isinstance(subjects, Sequence) or not all(isinstance(subject, Subject) for subject in subjects):
            raise ConfigurationError(f"{point.value} of {origin_of(point)} holds no Subject, nor several")
        found += subjects
    return found


def suites(transports: Sequence[str]) -> list[str]:
    """Return the modules of checks that these transports are held to."""
    named = [suite for name in transports for subject in installed_subjects(name) for suite in subject.suites]
    return list(dict.fromkeys([SUITE, *named]))
