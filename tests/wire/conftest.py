"""Every test here fails if it leaves a task, a socket or a thread behind."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from support.leaks import no_leaks
from support.subjects import SOCKETS, Subject


@pytest.fixture(params=["websockets", "picows"])
def wire(request: pytest.FixtureRequest) -> str:
    """Each library that dials."""
    name: str = request.param
    return name


@pytest.fixture(params=SOCKETS, ids=lambda subject: subject.id)
def subject(request: pytest.FixtureRequest) -> Subject:
    """Each transport whose events are the frames of a WebSocket."""
    chosen: Subject = request.param
    return chosen


@pytest.fixture
async def nothing_is_left() -> AsyncIterator[None]:
    async with no_leaks():
        yield
