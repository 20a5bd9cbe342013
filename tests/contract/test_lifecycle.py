"""Connecting and closing: when a transport is ready, how it ends, and that it can begin again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jackfield.transport import (
    AlreadyConnectedError,
    ConnectAbortedError,
    NotConnectedError,
    ProviderError,
    RealtimeTransportLayer,
    RemoteClosedError,
    UnsupportedByTransportError,
)
from support.checks import remote_end
from support.far_connection import PATIENCE, FarConnection, polite
from support.leaks import settled
from support.subjects import Subject

CONFIG = {"instructions": "Speak like a pirate"}


async def mute_forever(connection: FarConnection) -> None:
    """Accept the connection, read what comes, and say nothing."""
    while True:
        await connection.receive()


def changes(transport: RealtimeTransportLayer) -> list[Any]:
    seen: list[Any] = []
    transport.on("connection_change", seen.append)
    return seen


class TestConnect:
    async def test_tells_how_it_goes(self, subject: Subject) -> None:
        async with subject.far_end() as far_end:
            transport = subject.make(far_end)
            seen = changes(transport)
            assert transport.status == "disconnected"
            transport.on("connection_change", lambda event: states.append((event.status, transport.status)))
            states: list[tuple[str, str]] = []
            await transport.connect(**subject.where(far_end))
            assert transport.status == "connected"
            await transport.close()
            assert transport.status == "disconnected"
            assert [event.status for event in seen] == ["connecting", "connected", "disconnecting", "disconnected"]
            assert all(told == is_now for told, is_now in states)
            assert seen[-1].initiated_by == "local" and seen[-1].error is None

    async def test_is_ready_when_the_config_was_acknowledged(self, subject: Subject) -> None:
        order: list[str] = []

        async def script(connection: FarConnection) -> None:
            order.append((await connection.take_config())["instructions"])
            await connection.acknowledge()
            await mute_forever(connection)

        async with subject.far_end(script) as far_end:
            async with subject.pair(far_end, initial_session_config=CONFIG) as (_, far):
                order.append("ready")
            assert far.types() == ([] if subject.config_first else ["session.update"])
        assert order == ["Speak like a pirate", "ready"]

    async def test_without_a_config_the_session_is_enough(self, subject: Subject) -> None:
        async with subject.far_end() as far_end, subject.pair(far_end) as (transport, far):
            assert transport.status == "connected"
            await transport.send_event({"type": "input_audio_buffer.clear"})
            await far.expect("input_audio_buffer.clear")
            assert far.types() == ["input_audio_buffer.clear"]

    async def test_open_does_not_wait_for_the_far_end(self, subject: Subject) -> None:
        async with (
            subject.far_end(mute_forever) as far_end,
            subject.pair(far_end, ready="open", initial_session_config=CONFIG) as (transport, far),
        ):
            assert transport.status == "connected"
            assert (await far.configured())["instructions"] == CONFIG["instructions"]

    async def test_open_tells_a_refusal_as_an_error(self, subject: Subject) -> None:
        # What was asked for as an event is refused by its id; the session as such only by what is fatal to it.
        code = "invalid_model" if subject.config_first else "invalid_value"

        async def script(connection: FarConnection) -> None:
            await connection.take_config()
            error = {"type": "invalid_request_error", "code": code, "message": "No.", "param": None}
            answers = None if subject.config_first else connection.received[0]["event_id"]
            await connection.send({"type": "error", "error": {**error, "event_id": answers}})
            await mute_forever(connection)

        async with subject.far_end(script) as far_end:
            transport = subject.make(far_end)
            refused: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            transport.on("error", lambda event: refused.set_result(event.error))
            await transport.connect(**subject.where(far_end, ready="open", initial_session_config=CONFIG))
            async with asyncio.timeout(PATIENCE):
                error = await refused
            assert isinstance(error, ProviderError) and error.code == code
            await transport.close()

    async def test_a_second_one_leaves_the_live_one_intact(self, subject: Subject) -> None:
        async with subject.far_end() as far_end, subject.pair(far_end) as (transport, far):
            with pytest.raises(AlreadyConnectedError, match="close"):
                await transport.connect(**subject.where(far_end))
            await transport.clear_audio()
            await far.expect("input_audio_buffer.clear")
            assert len(far_end.connections) == 1

    async def test_a_second_one_leaves_the_first_alone_while_it_connects(self, subject: Subject) -> None:
        async with subject.far_end(mute_forever) as far_end:
            transport = subject.make(far_end)
            first = asyncio.create_task(transport.connect(**subject.where(far_end)))
            far = await far_end.connection()
            with pytest.raises(AlreadyConnectedError):
                await transport.connect(**subject.where(far_end))
            await far.open_session()
            await first
            assert transport.status == "connected"
            await transport.close()

    async def test_the_same_object_connects_again(self, subject: Subject) -> None:
        async with subject.far_end() as far_end:
            transport = subject.make(far_end)
            for number in range(3):
                await transport.connect(**subject.where(far_end))
                far = await far_end.connection(number)
                await transport.clear_audio()
                await far.expect("input_audio_buffer.clear")
                await transport.close()
                assert transport.status == "disconnected"

    async def test_it_connects_again_from_the_listener_that_hears_of_the_end(self, subject: Subject) -> None:
        async with subject.far_end() as far_end:
            transport = subject.make(far_end)
            again: asyncio.Future[None] = asyncio.get_running_loop().create_future()

            async def reconnect(event: Any) -> None:
                if event.status == "disconnected" and event.initiated_by == "remote":
                    await transport.connect(**subject.where(far_end))
                    again.set_result(None)

            transport.on("connection_change", reconnect)
            await transport.connect(**subject.where(far_end))
            await (await far_end.connection()).close(1012, "restart")
            async with asyncio.timeout(PATIENCE):
                await again
            await transport.clear_audio()
            await (await far_end.connection(1)).expect("input_audio_buffer.clear")
            await transport.close()

    async def test_cancelling_it_leaves_a_transport_that_connects(self, subject: Subject) -> None:
        async with subject.far_end(mute_forever) as far_end:
            transport = subject.make(far_end)
            attempt = asyncio.create_task(transport.connect(**subject.where(far_end, initial_session_config=CONFIG)))
            far = await far_end.connection()
            await far.configured()
            attempt.cancel()
            with pytest.raises(asyncio.CancelledError):
                await attempt
            assert transport.status == "disconnected"
            async with asyncio.timeout(PATIENCE):
                await far.finished.wait()
            far_end.script = polite
            await transport.connect(**subject.where(far_end))
            await transport.close()

    async def test_cancelling_it_again_and_again_is_no_worse(self, subject: Subject) -> None:
        async with subject.far_end(mute_forever) as far_end:
            transport = subject.make(far_end)
            attempt = asyncio.create_task(transport.connect(**subject.where(far_end, initial_session_config=CONFIG)))
            await (await far_end.connection()).configured()
            closing = []
            for _ in range(20):
                attempt.cancel()
                closing.append(asyncio.create_task(transport.close()))
                await asyncio.sleep(0)
            with pytest.raises((asyncio.CancelledError, ConnectAbortedError)):
                await attempt
            await asyncio.gather(*closing)
            assert transport.status == "disconnected"

    async def test_a_close_that_comes_with_the_acknowledgement(self, subject: Subject) -> None:
        async def script(connection: FarConnection) -> None:
            await connection.open_session()
            await connection.close(1013, "try later")

        async with subject.far_end(script) as far_end:
            transport = subject.make(far_end)
            # Either the close is there before connect() is done, or right after it.
            try:
                await transport.connect(**subject.where(far_end))
            except RemoteClosedError as error:
                assert error.code == subject.end_told(1013)[0]
            assert await settled(lambda: transport.status == "disconnected")
            with pytest.raises(NotConnectedError):
                await transport.clear_audio()
            await transport.close()


class TestClose:
    async def test_is_idempotent(self, subject: Subject) -> None:
        async with subject.far_end() as far_end:
            transport = subject.make(far_end)
            await transport.close()
            await transport.connect(**subject.where(far_end))
            far = await far_end.connection()
            seen = changes(transport)
            await asyncio.gather(transport.close(), transport.close())
            await transport.close()
            assert [event.status for event in seen] == ["disconnecting", "disconnected"]
            async with asyncio.timeout(PATIENCE):
                await far.finished.wait()
            assert far.close_code == 1000

    async def test_what_was_sent_before_arrives(self, subject: Subject) -> None:
        async with subject.far_end() as far_end:
            transport = subject.make(far_end)
            await transport.connect(**subject.where(far_end))
            for number in range(3):
                await transport.send_event({"type": "x.numbered", "number": number, "load": "x" * (subject.load // 2)})
            await transport.close()
            far = await far_end.connection()
            async with asyncio.timeout(PATIENCE):
                await far.finished.wait()
            assert [event["number"] for event in far.of("x.numbered")] == [0, 1, 2]

    async def test_does_not_wait_for_a_far_end_that_does_not_answer(self, subject: Subject) -> None:
        async with subject.far_end() as far_end:
            transport = subject.make(far_end, **subject.brief)
            await transport.connect(**subject.where(far_end))
            (await far_end.connection()).stall()
            async with asyncio.timeout(PATIENCE):
                await transport.close()
            assert transport.status == "disconnected"

    async def test_during_connect_aborts_it(self, subject: Subject) -> None:
        async with subject.far_end(mute_forever) as far_end:
            transport = subject.make(far_end)
            attempt = asyncio.create_task(transport.connect(**subject.where(far_end, initial_session_config=CONFIG)))
            await (await far_end.connection()).configured()
            await asyncio.gather(transport.close(), transport.close())
            assert transport.status == "disconnected"
            with pytest.raises(ConnectAbortedError, match=r"close\(\)"):
                await attempt
            far_end.script = polite
            await transport.connect(**subject.where(far_end))
            await transport.close()

    async def test_right_after_connect_was_called_aborts_it(self, subject: Subject) -> None:
        async with subject.far_end() as far_end:
            transport = subject.make(far_end)
            attempt = asyncio.create_task(transport.connect(**subject.where(far_end)))
            await asyncio.sleep(0)
            await transport.close()
            with pytest.raises(ConnectAbortedError):
                await attempt
            assert transport.status == "disconnected"

    async def test_cancelling_it_does_not_stop_the_closing(self, subject: Subject) -> None:
        async with subject.far_end() as far_end:
            transport = subject.make(far_end)
            await transport.connect(**subject.where(far_end))
            far = await far_end.connection()
            closing = asyncio.create_task(transport.close())
            await asyncio.sleep(0)
            closing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await closing
            async with asyncio.timeout(PATIENCE):
                await far.finished.wait()
            await transport.close()
            assert transport.status == "disconnected"

    async def test_from_a_listener(self, subject: Subject) -> None:
        async with subject.far_end() as far_end:
            transport = subject.make(far_end)
            closed = asyncio.Event()

            async def hang_up(_: Any) -> None:
                await transport.close()
                closed.set()

            transport.on("turn_started", hang_up)
            await transport.connect(**subject.where(far_end))
            await transport.request_response()
            async with asyncio.timeout(PATIENCE):
                await closed.wait()
            assert transport.status == "disconnected"

    async def test_sending_afterwards_is_refused(self, subject: Subject) -> None:
        async with subject.far_end() as far_end, subject.connected(far_end) as transport:
            await transport.close()
            for send in (
                transport.send_event({"type": "response.create"}),
                transport.send_message("hello"),
                transport.commit_audio(),
                transport.clear_audio(),
                transport.request_response(),
                transport.interrupt(),
                transport.reset_history([], []),
            ):
                with pytest.raises(NotConnectedError, match=r"connect\(\)"):
                    await send


class TestRemoteEnd:
    async def test_a_clean_close_is_no_error(self, subject: Subject) -> None:
        event, errors = await remote_end(subject, lambda far: far.close(1000, "bye"))
        assert (event.code, event.reason) == subject.end_told(1000, "bye")
        assert event.error is None
        assert errors == []

    async def test_a_reset_is_one(self, subject: Subject) -> None:
        event, errors = await remote_end(subject, lambda far: far.reset())
        assert event.code == 1006
        assert isinstance(event.error, RemoteClosedError) and event.error is errors[0]
        assert event.error.classification == "reconnect" and not event.error.clean

    async def test_the_reason_of_a_fatal_error_is_what_it_said(self, subject: Subject) -> None:
        async def expire(far: FarConnection) -> None:
            message = "Your session hit the maximum duration of 60 minutes."
            await far.send({"type": "error", "error": {"code": "session_expired", "message": message}})
            await far.close(1001, message)

        event, errors = await remote_end(subject, expire)
        assert isinstance(event.error, ProviderError) and event.error.code == "session_expired"
        assert event.error.classification == "reconnect"
        assert errors == [event.error]


async def test_mute_is_refused_where_it_is_no_capability(subject: Subject) -> None:
    async with subject.far_end() as far_end, subject.connected(far_end) as transport:
        if transport.capabilities.mute:
            await transport.mute(True)
            assert transport.muted is True
            await transport.mute(False)
            assert transport.muted is False
        else:
            assert transport.muted is None
            with pytest.raises(UnsupportedByTransportError, match="mute"):
                await transport.mute(True)
