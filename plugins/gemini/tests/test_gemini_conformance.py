"""The conformance kit on `gemini`: what every transport keeps, this one keeps."""

from __future__ import annotations

import pytest

from jackfield.testing.conformance import Subject
from jackfield.testing.conformance.checks import *  # noqa: F403
from jackfield_gemini.conformance import SUBJECTS


@pytest.fixture(params=SUBJECTS, ids=str)
def jackfield_subject(request: pytest.FixtureRequest) -> Subject:
    subject: Subject = request.param
    return subject
