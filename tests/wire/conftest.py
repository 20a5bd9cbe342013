"""Every test here fails if it leaves a task, a socket or a thread behind."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from jackfield.testing.conformance import no_leaks
from jackfield_local.conformance.subjects import DialectSubject
from support.subjects import SOCKETS


@pytest.fixture(params=["websockets", "picows"])
def wire(request: pytest.FixtureRequest) -> str:
    """Each library that dials."""
    name: str = request.param
    return name


@pytest.fixture(params=SOCKETS, ids=lambda subject: subject.id)
def subject(request: pytest.FixtureRequest) -> DialectSubject:
    """Each transport whose events are the frames of a WebSocket."""
    chosen: DialectSubject = request.param
    return chosen


@pytest.fixture
async def nothing_is_left() -> AsyncIterator[None]:
    async with no_leaks():
        yield
