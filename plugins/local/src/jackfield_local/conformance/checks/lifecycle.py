"""Connecting and closing: when a transport is ready, how it ends, and that it can begin again."""

from __future__ import annotations

import asyncio
from typing import Any

from jackfield.testing.conformance import PATIENCE, silent
from jackfield.testing.conformance.check import area
from jackfield.testing.conformance.checks.ends import remote_end
from jackfield.transport import ProviderError
from jackfield_local.conformance.dialect import DialectConnection
from jackfield_local.conformance.subjects import DialectSubject

__all__ = ["TestDialectConnect", "TestDialectEnd"]


CONFIG = {"instructions": "Speak like a pirate"}


@area("dialect")
class TestDialectConnect:
    async def test_open_tells_a_refusal_as_an_error(self, subject: DialectSubject) -> None:
        # What was asked for as an event is refused by its id; the session as such only by what is fatal to it.
        code = "invalid_model" if subject.config_first else "invalid_value"

        async def script(connection: DialectConnection) -> None:
            await connection.take_config()
            error = {"type": "invalid_request_error", "code": code, "message": "No.", "param": None}
            answers = None if subject.config_first else connection.received[0]["event_id"]
            await connection.send({"type": "error", "error": {**error, "event_id": answers}})
            await silent(connection)

        async with subject.far_end(script) as far_end:
            transport = subject.make(far_end)
            refused: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            transport.on("error", lambda event: refused.set_result(event.error))
            await transport.connect(**subject.where(far_end, ready="open", initial_session_config=CONFIG))
            async with asyncio.timeout(PATIENCE):
                error = await refused
            assert isinstance(error, ProviderError) and error.code == code
            await transport.close()


@area("dialect")
class TestDialectEnd:
    async def test_the_reason_of_a_fatal_error_is_what_it_said(self, subject: DialectSubject) -> None:
        async def expire(far: DialectConnection) -> None:
            message = "Your session hit the maximum duration of 60 minutes."
            await far.send({"type": "error", "error": {"code": "session_expired", "message": message}})
            await far.close(1001, message)

        event, errors = await remote_end(subject, expire)
        assert isinstance(event.error, ProviderError) and event.error.code == "session_expired"
        assert event.error.classification == "reconnect"
        assert errors == [event.error]
