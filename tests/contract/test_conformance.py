"""The contract: the conformance kit, on every transport that comes with jackfield."""

from __future__ import annotations

import pytest

from jackfield.testing.conformance.checks import *  # noqa: F403
from support.subjects import SUBJECTS


@pytest.fixture(params=SUBJECTS, ids=str)
def jackfield_subject(request: pytest.FixtureRequest) -> object:
    return request.param
