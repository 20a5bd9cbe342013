"""Credentials turn up in the handshake and nowhere else: not in logs, reprs, errors or events."""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import Any

import pytest

from jackfield.testing.conformance.check import area
from jackfield.testing.conformance.far_end import FarConnection
from jackfield.testing.conformance.subject import CANARY, Subject
from jackfield.transport import ConnectOptions

from .watching import in_time, turn

__all__ = ["TestSecrets"]


@area("secrets")
class TestSecrets:
    async def test_of_a_session_that_goes_well(self, subject: Subject, caplog: pytest.LogCaptureFixture) -> None:
        self.need_a_key(subject)
        caplog.set_level(1)
        async with subject.far_end() as far_end, subject.connected(far_end) as transport:
            far = await far_end.connection()
            assert CANARY in str(dict(far.headers)), "the key is not even in the handshake"
            raw: list[Any] = []
            transport.on("*", raw.append)
            transport.on("*out", raw.append)
            events = transport.events()
            await transport.send_message("hello")
            told = await turn(events)
            options = ConnectOptions(**subject.where(far_end, headers={"api-key": str(subject.key)}))
            shown = repr(transport) + str(transport) + repr(raw) + repr(told) + repr(options)
        assert CANARY not in shown
        assert CANARY not in caplog.text, "the key is in the log"

    async def test_that_the_far_end_repeats(self, subject: Subject, caplog: pytest.LogCaptureFixture) -> None:
        self.need_a_key(subject)
        caplog.set_level(1)
        errors: list[Exception] = []

        async def script(connection: FarConnection) -> None:
            await connection.accept()
            while not connection.messages:
                await connection.receive()
            await connection.fail(f"what is {subject.key}?")
            await connection.close(1011, f"no {subject.key}")

        async with subject.far_end(script) as far_end:
            transport = subject.make(far_end)
            ended: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            transport.on("error", lambda event: errors.append(event.error))
            await transport.connect(**subject.where(far_end))
            transport.on("connection_change", ended.set_result)
            await transport.send_message("hello", trigger_response=False)
            event = await in_time("the end", ended)
            await transport.close()
        assert errors, "what the far end reported was not told as an error"
        shown = "".join("".join(traceback.format_exception(error)) for error in errors)
        assert CANARY not in shown + repr(errors) + repr(event), "the key is in what is told of an error"
        logging.getLogger("jackfield").warning("the log works")
        assert "the log works" in caplog.text
        assert CANARY not in caplog.text, "the key is in the log"

    async def test_that_nobody_listens_to(self, subject: Subject, caplog: pytest.LogCaptureFixture) -> None:
        """An error without a listener is logged, and its text comes from outside."""
        self.need_a_key(subject)

        async def script(connection: FarConnection) -> None:
            await connection.accept()
            while not connection.messages:
                await connection.receive()
            await connection.fail(f"what is {subject.key}?")
            await connection.close(1000, "")

        async with subject.far_end(script) as far_end:
            transport = subject.make(far_end)
            ended = asyncio.Event()
            await transport.connect(**subject.where(far_end))
            transport.on("connection_change", lambda _: ended.set())
            await transport.send_message("hello", trigger_response=False)
            await in_time("the end", ended.wait())
            await transport.close()
        assert "what is" in caplog.text, "an error that nobody listens to is not logged"
        assert CANARY not in caplog.text, "the key is in the log"

    def need_a_key(self, subject: Subject) -> None:
        if subject.key is None:
            pytest.skip("it takes no key")
