"""What is proved in the same way at several places: a connect that fails, and a far end that ends the connection."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from jackfield.testing.conformance import CANARY, PATIENCE, no_leaks
from jackfield.transport import NotConnectedError, RealtimeTransportLayer, TransportError
from jackfield_local.conformance.subjects import DialectSubject

__all__ = ["connects", "fails", "remote_end"]


async def fails(
    subject: DialectSubject, place: Any, kind: type[TransportError], match: str | None = None, **options: Any
) -> TransportError:
    """Connect, which is to fail; prove that nothing is left, that it is told, and that the object connects again."""
    transport = subject.make(place)
    changes: list[Any] = []
    transport.on("connection_change", changes.append)
    async with no_leaks():
        with pytest.raises(TransportError, match=match) as caught:
            await transport.connect(**subject.where(place, **options))
    error = caught.value
    assert type(caught.value) is kind
    assert transport.status == "disconnected"
    assert [change.status for change in changes] == ["connecting", "disconnected"]
    assert changes[-1].error is caught.value
    shown = "".join(traceback.format_exception(error)) + repr(error) + repr(changes)
    assert CANARY not in shown
    assert str(error).rstrip()[-1] not in ":,"
    await connects(subject, transport)
    return error


async def connects(subject: DialectSubject, transport: RealtimeTransportLayer) -> None:
    """Prove that this object can connect to a far end that is well."""
    async with subject.far_end() as far_end:
        await transport.connect(**subject.where(far_end))
        assert transport.status == "connected"
        await transport.close()


async def remote_end(subject: DialectSubject, how: Callable[[Any], Any]) -> tuple[Any, list[Any]]:
    """End a connection from the far end; return what is told of it, and the errors that were told besides."""
    async with subject.far_end() as far_end:
        transport = subject.make(far_end)
        await transport.connect(**subject.where(far_end))
        errors: list[Any] = []
        transport.on("error", lambda event: errors.append(event.error))
        ended: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        transport.on("connection_change", ended.set_result)
        stream = transport.events()
        result = how(await far_end.connection())
        if asyncio.iscoroutine(result):
            await result
        async with asyncio.timeout(PATIENCE):
            event = await ended
            told = [event.type async for event in stream]
        assert told[-1] == "connection_change"
        assert transport.status == "disconnected"
        with pytest.raises(NotConnectedError):
            await transport.clear_audio()
        await transport.close()
        assert event.status == "disconnected" and event.initiated_by == "remote"
        return event, errors
