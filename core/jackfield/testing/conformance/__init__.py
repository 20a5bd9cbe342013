"""The conformance kit: whether a transport keeps the contract, by checks that pytest runs.

::

    # tests/test_conformance.py
    import pytest
    from jackfield.testing.conformance import Subject
    from jackfield.testing.conformance.checks import *
    from .loft import Loft                                  # a FarEnd that speaks your provider's protocol

    @pytest.fixture
    def jackfield_subject():
        return Subject("carrier-pigeon", Loft, lambda loft: {"url": loft.url})

or `pytest --jackfield-transport carrier-pigeon`, where an entry point declares the subject. `docs/conformance.md` says
what is checked, and how to read the report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jackfield.lazy import lazy_exports

if TYPE_CHECKING:
    from .check import Proof, area, claims, lacks
    from .far_end import AUDIO, PATIENCE, FarConnection, FarEnd, Script, answering, listening, polite, silent
    from .leaks import no_leaks, settled
    from .report import Report, SubjectReport, capabilities_table
    from .subject import CANARY, Subject
    from .subjects import installed_subjects

__all__ = [
    "AUDIO",
    "CANARY",
    "PATIENCE",
    "FarConnection",
    "FarEnd",
    "Proof",
    "Report",
    "Script",
    "Subject",
    "SubjectReport",
    "answering",
    "area",
    "capabilities_table",
    "claims",
    "installed_subjects",
    "lacks",
    "listening",
    "no_leaks",
    "polite",
    "settled",
    "silent",
]

__getattr__ = lazy_exports(
    __name__,
    {
        **dict.fromkeys(("Proof", "area", "claims", "lacks"), "check"),
        **dict.fromkeys(
            ("AUDIO", "PATIENCE", "FarConnection", "FarEnd", "Script", "answering", "listening", "polite", "silent"),
            "far_end",
        ),
        **dict.fromkeys(("no_leaks", "settled"), "leaks"),
        **dict.fromkeys(("Report", "SubjectReport", "capabilities_table"), "report"),
        **dict.fromkeys(("CANARY", "Subject"), "subject"),
        "installed_subjects": "subjects",
    },
)
