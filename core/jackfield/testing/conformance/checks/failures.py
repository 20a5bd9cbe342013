"""A connect that fails: it raises the right error, leaves nothing behind, and the object connects again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jackfield.testing.conformance.check import area
from jackfield.testing.conformance.far_end import FarConnection, polite, silent
from jackfield.testing.conformance.leaks import no_leaks, settled
from jackfield.testing.conformance.subject import Subject
from jackfield.transport import (
    AuthenticationError,
    ConfigurationError,
    ConnectRefusedError,
    ConnectTimeoutError,
    RemoteClosedError,
    TransportError,
)

from .ends import fails

__all__ = ["TestCredentials", "TestCycles", "TestFailedConnect"]

CONFIG = {"instructions": "Speak like a pirate"}


@area("failures")
class TestFailedConnect:
    async def test_nobody_listens(self, subject: Subject) -> None:
        async with subject.far_end() as far_end:
            gone = far_end
            options = subject.where(far_end)
        error = await fails(subject, gone, ConnectRefusedError, **options)
        assert error.classification == "reconnect"

    async def test_the_acknowledgement_never_comes(self, subject: Subject) -> None:
        async with subject.far_end(silent) as far_end:
            options = {"timeout": subject.dial_seconds, "initial_session_config": CONFIG}
            error = await fails(subject, far_end, ConnectTimeoutError, **options)
            assert isinstance(error, ConnectTimeoutError) and error.stage, "the step that took too long isn't named"
            assert error.classification == "reconnect"

    @pytest.mark.parametrize("how", ["close", "reset"])
    async def test_the_far_end_goes_away_meanwhile(self, subject: Subject, how: str) -> None:
        async def script(connection: FarConnection) -> None:
            while not connection.instructions:
                await connection.receive()
            if how == "close":
                await connection.close(1000, "")
            else:
                connection.reset()

        async with subject.far_end(script) as far_end:
            error = await fails(subject, far_end, RemoteClosedError, initial_session_config=CONFIG)
            assert isinstance(error, RemoteClosedError)
            assert error.code == (1000 if how == "close" else subject.abnormal_code)

    @pytest.mark.parametrize(
        ("status", "kind", "classification"),
        [
            (401, AuthenticationError, "fatal"),
            (403, AuthenticationError, "fatal"),
            (404, ConnectRefusedError, "fatal"),
            (429, ConnectRefusedError, "reconnect"),
            (503, ConnectRefusedError, "reconnect"),
        ],
    )
    async def test_it_is_refused(
        self, subject: Subject, status: int, kind: type[TransportError], classification: str
    ) -> None:
        async with subject.far_end() as far_end:
            try:
                far_end.refuse(status)
            except NotImplementedError:
                pytest.skip("nothing of it goes over HTTP")
            error = await fails(subject, far_end, kind)
            assert error.classification == classification
            assert str(status) in str(error)


@area("failures")
class TestCredentials:
    async def test_are_asked_for_at_every_dial(self, subject: Subject) -> None:
        asked: list[str] = []

        def sync() -> str:
            asked.append("sync")
            return str(subject.key)

        async def later() -> str:
            await asyncio.sleep(0)
            asked.append("async")
            return str(subject.key)

        self.need_a_key(subject)
        async with subject.far_end() as far_end:
            transport = subject.make(far_end)
            for key in (sync, later, later):
                await transport.connect(**subject.where(far_end, api_key=key))
                await transport.close()
        assert asked == ["sync", "async", "async"]

    async def test_a_function_that_raises(self, subject: Subject) -> None:
        def broken() -> str:
            raise RuntimeError("the vault is sealed")

        self.need_a_key(subject)
        async with subject.far_end() as far_end:
            error = await fails(subject, far_end, AuthenticationError, api_key=broken)
            assert "sealed" in str(error.__cause__), "the cause is lost"
            assert far_end.connections == []

    async def test_a_function_that_hangs(self, subject: Subject) -> None:
        async def hanging() -> str:
            await asyncio.Event().wait()
            return str(subject.key)

        self.need_a_key(subject)
        async with subject.far_end() as far_end:
            await fails(subject, far_end, ConnectTimeoutError, api_key=hanging, timeout=0.02)
            assert far_end.connections == []

    async def test_an_option_that_there_is_not(self, subject: Subject) -> None:
        async with subject.far_end() as far_end:
            transport = subject.make(far_end)
            with pytest.raises(ConfigurationError, match="instrutions"):
                await transport.connect(**subject.where(far_end), instrutions="Hello")
            assert transport.status == "disconnected"
            assert far_end.connections == []

    def need_a_key(self, subject: Subject) -> None:
        if subject.key is None:
            pytest.skip("it takes no key")


@area("leaks")
class TestCycles:
    async def test_leave_nothing_however_they_end(self, subject: Subject) -> None:
        async def one(transport: Any, far_end: Any, number: int) -> None:
            connected = len(far_end.connections)
            match number % 3:
                case 0:
                    await transport.connect(**subject.where(far_end))
                    await transport.send_message("hello")
                    await transport.close()
                case 1:
                    await transport.connect(**subject.where(far_end))
                    (await far_end.connection(connected)).reset()
                    assert await settled(lambda: transport.status == "disconnected")
                case 2:
                    far_end.script = silent
                    attempt = asyncio.create_task(transport.connect(**subject.where(far_end)))
                    await far_end.connection(connected)
                    await transport.close()
                    assert isinstance((await asyncio.gather(attempt, return_exceptions=True))[0], TransportError)
                    far_end.script = polite

        async with subject.far_end() as far_end:
            transport = subject.make(far_end)
            await one(transport, far_end, 0)
            async with no_leaks():
                for number in range(30):
                    await one(transport, far_end, number)
            await transport.close()
