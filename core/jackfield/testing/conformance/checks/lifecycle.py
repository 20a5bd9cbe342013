"""Connecting and closing: when a transport is ready, how it ends, and that it can begin again."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from jackfield.testing.conformance.check import area
from jackfield.testing.conformance.far_end import FarConnection, polite, silent
from jackfield.testing.conformance.leaks import settled
from jackfield.testing.conformance.stepping import at_turn
from jackfield.testing.conformance.subject import Subject
from jackfield.transport import (
    AlreadyConnectedError,
    ConnectAbortedError,
    ConnectOptions,
    NotConnectedError,
    RemoteClosedError,
)

from .ends import remote_end
from .watching import all_told, changes, everything, in_time

__all__ = ["TestClose", "TestConnect", "TestEveryStep", "TestRemoteEnd"]

CONFIG = {"instructions": "Speak like a pirate"}


async def hold_back(connection: FarConnection) -> None:
    """Wait for the configuration, and acknowledge nothing."""
    while not connection.instructions:
        await connection.receive()
    await silent(connection)


@area("lifecycle")
class TestConnect:
    async def test_tells_how_it_goes(self, subject: Subject) -> None:
        async with subject.far_end() as far_end:
            transport = subject.make(far_end)
            states: list[tuple[str, str]] = []
            seen = changes(transport)
            transport.on("connection_change", lambda event: states.append((event.status, transport.status)))
            await transport.connect(**subject.where(far_end))
            await transport.close()
            assert [event.status for event in seen] == ["connecting", "connected", "disconnecting", "disconnected"]
            assert all(told == is_now for told, is_now in states), "status and connection_change don't agree"
            assert seen[-1].initiated_by == "local" and seen[-1].error is None

    async def test_is_ready_when_the_config_was_acknowledged(self, subject: Subject) -> None:
        order: list[str] = []

        async def script(connection: FarConnection) -> None:
            while not connection.instructions:
                await connection.receive()
            order.append(connection.instructions[0])
            await connection.accept()
            await silent(connection)

        async with subject.pair(script, initial_session_config=CONFIG) as (_, far):
            order.append("ready")
            assert order == [CONFIG["instructions"], "ready"]
            assert list(far.instructions) == [CONFIG["instructions"]], "the config was told more than once"

    async def test_without_a_config_the_session_is_enough(self, subject: Subject) -> None:
        async with subject.pair() as (transport, _):
            assert transport.status == "connected"

    async def test_open_does_not_wait_for_the_far_end(self, subject: Subject) -> None:
        async with subject.pair(silent, ready="open", initial_session_config=CONFIG) as (transport, far):
            assert transport.status == "connected"
            await far.until(lambda: list(far.instructions) == [CONFIG["instructions"]], "the configuration")

    async def test_a_second_one_leaves_the_live_one_intact(self, subject: Subject) -> None:
        async with subject.far_end() as far_end, subject.connected(far_end) as transport:
            with pytest.raises(AlreadyConnectedError, match="close"):
                await transport.connect(**subject.where(far_end))
            assert transport.status == "connected"
            await all_told(transport, await far_end.connection())
            assert len(far_end.connections) == 1

    async def test_a_second_one_leaves_the_first_alone_while_it_connects(self, subject: Subject) -> None:
        async with subject.far_end(silent) as far_end:
            transport = subject.make(far_end)
            attempt = asyncio.create_task(transport.connect(**subject.where(far_end)))
            far = await far_end.connection()
            with pytest.raises(AlreadyConnectedError):
                await transport.connect(**subject.where(far_end))
            await far.accept()
            await attempt
            assert transport.status == "connected"
            await transport.close()

    async def test_the_same_object_connects_again(self, subject: Subject) -> None:
        async with subject.far_end() as far_end:
            transport = subject.make(far_end)
            for number in range(3):
                await transport.connect(**subject.where(far_end))
                far = await far_end.connection(number)
                await transport.send_message(f"number {number}", trigger_response=False)
                await far.until(lambda far=far: far.messages, "a message")
                assert list(far.messages) == [f"number {number}"]
                told: list[Any] = []
                transport.on("output_text_delta", told.append)
                await far.write("once", response_id=f"resp_{number}")
                await all_told(transport, far)
                transport.off("output_text_delta", told.append)
                assert len(told) == 1, "after another connect() events are told more than once"
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
            await (await far_end.connection()).close(1000, "bye")
            await in_time("the second connection", again)
            await all_told(transport, await far_end.connection(1))
            await transport.close()

    async def test_cancelling_it_leaves_a_transport_that_connects(self, subject: Subject) -> None:
        async with subject.far_end(hold_back) as far_end:
            transport = subject.make(far_end)
            attempt = asyncio.create_task(transport.connect(**subject.where(far_end, initial_session_config=CONFIG)))
            far = await far_end.connection()
            await far.until(lambda: far.instructions, "the configuration")
            attempt.cancel()
            with pytest.raises(asyncio.CancelledError):
                await attempt
            assert transport.status == "disconnected"
            await in_time("the far end to see that it is over", far.finished.wait())
            far_end.script = polite
            await transport.connect(**subject.where(far_end))
            await transport.close()

    async def test_cancelling_it_again_and_again_is_no_worse(self, subject: Subject) -> None:
        async with subject.far_end(hold_back) as far_end:
            transport = subject.make(far_end)
            attempt = asyncio.create_task(transport.connect(**subject.where(far_end, initial_session_config=CONFIG)))
            far = await far_end.connection()
            await far.until(lambda: far.instructions, "the configuration")
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
            await connection.accept()
            if not connection.instructions:
                await connection.receive()
            await connection.close(1000, "bye")

        async with subject.far_end(script) as far_end:
            transport = subject.make(far_end)
            # Either the close is there before connect() is done, or right after it.
            with contextlib.suppress(RemoteClosedError):
                await transport.connect(**subject.where(far_end, initial_session_config=CONFIG))
            assert await settled(lambda: transport.status == "disconnected")
            with pytest.raises(NotConnectedError):
                await transport.send_message("hello")
            await transport.close()


@area("lifecycle")
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
            await in_time("the far end to see the close", far.finished.wait())
            assert far.close_code == 1000, "it left without a goodbye"

    async def test_what_was_sent_before_arrives(self, subject: Subject) -> None:
        texts = [f"{number} {'x' * (subject.load_bytes // 2)}" for number in range(3)]
        async with subject.far_end() as far_end:
            transport = subject.make(far_end)
            await transport.connect(**subject.where(far_end))
            for text in texts:
                await transport.send_message(text, trigger_response=False)
            await transport.close()
            far = await far_end.connection()
            await in_time("the far end to see the close", far.finished.wait())
            assert [len(text) for text in far.messages] == [len(text) for text in texts]

    async def test_does_not_wait_for_a_far_end_that_does_not_answer(self, subject: Subject) -> None:
        async with subject.far_end() as far_end:
            transport = subject.make(far_end, **subject.hurried)
            await transport.connect(**subject.where(far_end))
            (await far_end.connection()).stall()
            await in_time("close()", transport.close())
            assert transport.status == "disconnected"

    async def test_during_connect_aborts_it(self, subject: Subject) -> None:
        async with subject.far_end(hold_back) as far_end:
            transport = subject.make(far_end)
            attempt = asyncio.create_task(transport.connect(**subject.where(far_end, initial_session_config=CONFIG)))
            far = await far_end.connection()
            await far.until(lambda: far.instructions, "the configuration")
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
            await in_time("the far end to see the close", far.finished.wait())
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
            await in_time("close() in a listener", closed.wait())
            assert transport.status == "disconnected"

    async def test_sending_afterwards_is_refused(self, subject: Subject) -> None:
        async with subject.far_end() as far_end, subject.connected(far_end) as transport:
            far = await far_end.connection()
            await transport.close()
            for send in (
                transport.send_event(far.own_message(1)),
                transport.send_message("hello"),
                transport.commit_audio(),
                transport.request_response(),
                transport.interrupt(),
            ):
                with pytest.raises(NotConnectedError, match=r"connect\(\)"):
                    await send

    async def test_ends_the_stream_of_events(self, subject: Subject) -> None:
        async with subject.far_end() as far_end:
            transport = subject.make(far_end)
            stream = transport.events()
            await transport.connect(**subject.where(far_end))
            await transport.close()
            told = await in_time("the stream of events to end", everything(stream))
            assert [event.status for event in told if event.type == "connection_change"][-1] == "disconnected"
            assert told[-1].type == "connection_change"


@area("lifecycle")
class TestRemoteEnd:
    async def test_a_clean_close_is_no_error(self, subject: Subject) -> None:
        event, errors = await remote_end(subject, lambda far: far.close(1000, "bye"))
        assert event.code == 1000
        assert event.reason == ("bye" if subject.close_codes else "")
        assert event.error is None
        assert errors == []

    async def test_a_reset_is_one(self, subject: Subject) -> None:
        event, errors = await remote_end(subject, lambda far: far.reset())
        assert event.code == subject.abnormal_code
        assert isinstance(event.error, RemoteClosedError) and event.error is errors[0]
        assert event.error.classification == "reconnect" and not event.error.clean


@area("lifecycle")
class TestEveryStep:
    """The same at each turn that the event loop makes on the way, whatever happens in it."""

    @pytest.mark.parametrize("how", ["cancel", "close"])
    async def test_of_connecting_can_be_the_last(self, subject: Subject, how: str) -> None:
        async with subject.far_end() as far_end:
            turn = 1
            while not await self.abort_at(subject, far_end, turn, how):
                turn += 1
            assert turn > 5

    async def abort_at(self, subject: Subject, far_end: Any, turn: int, how: str) -> bool:
        """Stop a connect at a turn of the event loop; return whether it had got through by then."""
        transport = subject.make(far_end)
        closing: list[asyncio.Task[None]] = []
        cancelled = False

        def stop() -> None:
            nonlocal cancelled
            if how == "cancel":
                cancelled = attempt.cancel()
            else:
                closing.append(asyncio.create_task(transport.close()))

        options = ConnectOptions(**subject.where(far_end, initial_session_config=CONFIG))
        attempt = asyncio.create_task(transport.connect(options))
        with at_turn(turn, stop):
            await asyncio.wait({attempt})
        if cancelled:
            with pytest.raises(asyncio.CancelledError):
                await attempt
        elif closing:
            await closing[0]
            error = attempt.exception()
            assert error is None or isinstance(error, ConnectAbortedError)
        else:
            await attempt
            await transport.close()
            return True
        assert transport.status == "disconnected", f"stopped at turn {turn} of the loop"
        await far_end.let_go()
        return False
