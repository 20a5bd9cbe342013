"""The dialect, event by event: what the kit asks of those who speak it, on every transport that does."""

from __future__ import annotations

import pytest

from jackfield_local.conformance.checks import *  # noqa: F403
from support.subjects import SUBJECTS


@pytest.fixture(params=SUBJECTS, ids=str)
def jackfield_subject(request: pytest.FixtureRequest) -> object:
    return request.param
