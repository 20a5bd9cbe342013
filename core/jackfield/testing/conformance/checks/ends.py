"""What is proved in the same way at several places: a connect that fails, and a far end that ends the connection."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from jackfield.testing.conformance.leaks import no_leaks
from jackfield.testing.conformance.subject import CANARY, Subject
from jackfield.transport import NotConnectedError, RealtimeTransportLayer, TransportError

from .watching import all_told, changes, everything, in_time

__all__ = ["connects", "fails", "remote_end"]


async def fails(subject: Subject, far_end: Any, kind: type[TransportError], **options: Any) -> TransportError:
    """Connect, which is to fail; prove that nothing is left, that it is told, and that the object connects again."""
    transport = subject.make(far_end)
    seen = changes(transport)
    async with no_leaks():
        with pytest.raises(TransportError) as caught:
            await in_time("connect() to fail", transport.connect(**subject.where(far_end, **options)))
    error = caught.value
    assert isinstance(caught.value, kind), repr(error)
    assert transport.status == "disconnected"
    assert [change.status for change in seen] == ["connecting", "disconnected"]
    assert seen[-1].error is caught.value, "connection_change doesn't tell why"
    shown = "".join(traceback.format_exception(error)) + repr(error) + repr(seen)
    assert CANARY not in shown, "the key is in the error"
    await connects(subject, transport)
    return error


async def connects(subject: Subject, transport: RealtimeTransportLayer) -> None:
    """Prove that this object can connect to a far end that is well."""
    async with subject.far_end() as far_end:
        await transport.connect(**subject.where(far_end))
        assert transport.status == "connected"
        await all_told(transport, await far_end.connection())
        await transport.close()


async def remote_end(subject: Subject, how: Callable[[Any], Any]) -> tuple[Any, list[Any]]:
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
        event = await in_time("the end to be told", ended)
        told = await in_time("the stream of events to end", everything(stream))
        assert told[-1].type == "connection_change"
        assert transport.status == "disconnected"
        with pytest.raises(NotConnectedError):
            await transport.send_message("hello")
        await transport.close()
        assert event.status == "disconnected" and event.initiated_by == "remote"
        return event, errors
