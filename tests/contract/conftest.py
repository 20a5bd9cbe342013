"""Every test here runs once for each transport, and fails if it leaves a task, a socket or a thread behind."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from support.leaks import no_leaks
from support.subjects import SUBJECTS, Subject


@pytest.fixture(params=SUBJECTS, ids=lambda subject: subject.id)
def subject(request: pytest.FixtureRequest) -> Subject:
    chosen: Subject = request.param
    return chosen


@pytest.fixture(autouse=True)
async def nothing_is_left() -> AsyncIterator[None]:
    async with no_leaks():
        yield
