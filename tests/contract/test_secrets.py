"""Credentials turn up in the handshake and nowhere else: not in logs, reprs, errors or events."""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import Any

import pytest

from jackfield.transport import ConnectOptions, TransportError
from support.far_connection import PATIENCE, FarConnection
from support.subjects import KEY, Subject

CONFIG = {"instructions": "Speak like a pirate"}


async def test_of_a_session_that_goes_well(subject: Subject, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(1)
    async with subject.far_end() as far_end, subject.pair(far_end, initial_session_config=CONFIG) as (transport, far):
        assert KEY in str(far.headers), "the canary is not even there"
        raw: list[Any] = []
        told: list[Any] = []
        transport.on("*", raw.append)
        transport.on("*out", raw.append)
        stream = transport.events()
        await transport.send_message("hello")
        async with asyncio.timeout(PATIENCE):
            async for event in stream:
                told.append(event)
                if event.type == "turn_done":
                    break
        options = ConnectOptions(**subject.where(far_end, headers={"api-key": subject.key}))
        shown = repr(transport) + str(transport) + repr(raw) + repr(told) + repr(options)
    assert KEY not in shown
    assert KEY not in caplog.text


async def test_that_the_far_end_repeats(subject: Subject, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(1)
    errors: list[TransportError] = []

    async def script(connection: FarConnection) -> None:
        await connection.open_session()
        await connection.receive()
        said = {"type": "invalid_request_error", "code": "invalid_value", "message": f"what is {subject.key}?"}
        await connection.send({"type": "error", "error": said})
        await connection.send_text(f'{{"broken": "{subject.key}"')
        await connection.close(4000, f"no {subject.key}")

    async with subject.far_end(script) as far_end:
        transport = subject.make(far_end)
        ended: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        transport.on("error", lambda event: errors.append(event.error))
        await transport.connect(**subject.where(far_end))
        transport.on("connection_change", ended.set_result)
        await transport.clear_audio()
        async with asyncio.timeout(PATIENCE):
            event = await ended
        await transport.close()
    assert len(errors) == (3 if subject.end_told(4000) == (4000, "") else 2)  # the end of a call is no error
    shown = "".join("".join(traceback.format_exception(error)) for error in errors)
    assert KEY not in shown + repr(errors) + repr(event)
    logging.getLogger("jackfield").warning("the log works")
    assert "the log works" in caplog.text
    assert KEY not in caplog.text


async def test_that_nobody_listens_to(subject: Subject, caplog: pytest.LogCaptureFixture) -> None:
    """An error without a listener is logged, and its text comes from outside."""

    async def script(connection: FarConnection) -> None:
        await connection.open_session()
        await connection.receive()
        await connection.send({"type": "error", "error": {"code": "odd", "message": f"what is {subject.key}?"}})
        await connection.send({"type": "rate_limits.updated", "rate_limits": []})
        await connection.receive()

    async with subject.far_end(script) as far_end, subject.connected(far_end) as transport:
        heard = asyncio.Event()
        transport.on("rate_limits_updated", lambda _: heard.set())
        await transport.clear_audio()
        async with asyncio.timeout(PATIENCE):
            await heard.wait()
    assert "odd" in caplog.text
    assert KEY not in caplog.text
