"""Connecting, listening, closing: a model's life, and what it leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from agents.exceptions import UserError
from agents.realtime import RealtimeModel, RealtimeModelListener, RealtimeModelSendUserInput

from jackfield.testing import Call, Disconnect, Say, ScriptedTransport, Write
from jackfield.transport import (
    AlreadyConnectedError,
    ConnectAbortedError,
    ConnectOptions,
    ConnectRefusedError,
    NotConnectedError,
    RemoteClosedError,
    UnknownTransportError,
)
from jackfield.transport.events import Audio, ConnectionChange
from jackfield.transport.layer import Listener
from jackfield_openai_agents import TransportModel

Connect = Callable[..., Awaitable[Any]]

PATIENCE = 30.0
SECRET = "sk-canary-4f1d9c"


class TestMaking:
    def test_it_is_a_model_of_the_sdk(self) -> None:
        assert isinstance(TransportModel(ScriptedTransport()), RealtimeModel)

    @pytest.mark.parametrize("name", ["websocket", "webrtc", "azure", "sip"])
    def test_by_name(self, name: str) -> None:
        model = TransportModel(name)
        assert model.transport.name == name
        assert repr(model) == f"TransportModel({name!r})"

    def test_with_a_transports_own_options(self) -> None:
        with pytest.raises(ValueError, match="endpont"):
            TransportModel("azure", endpont="https://example.com")

    def test_a_name_that_is_none(self) -> None:
        with pytest.raises(UnknownTransportError, match="did you mean 'webrtc'"):
            TransportModel("webrct")

    def test_of_a_transport_that_was_made(self) -> None:
        far_end = ScriptedTransport()
        assert TransportModel(far_end).transport is far_end
        with pytest.raises(UserError, match="made already"):
            TransportModel(far_end, ice_servers=[])

    def test_of_something_else(self) -> None:
        with pytest.raises(UserError, match="int is no transport"):
            TransportModel(5)  # type: ignore[arg-type]


class TestConnecting:
    async def test_hands_over_what_it_was_given(self, connect: Connect) -> None:
        line = await connect(
            ScriptedTransport(strict=False),
            {"connect_options": ConnectOptions(timeout=3, barge_in="never")},
            api_key=SECRET,
            url="wss://example.com/v1/realtime",
            headers={},
        )
        [call] = line.calls("connect")
        assert (call["url"], call["api_key_given"], call["headers_given"]) == (
            "wss://example.com/v1/realtime",
            True,
            True,
        )
        assert (call["timeout"], call["barge_in"], call["ready"]) == (3, "never", "updated")

    async def test_asks_for_the_key_at_every_dial(self, connect: Connect) -> None:
        asked: list[str] = []

        async def key() -> str:
            asked.append("asked")
            return SECRET

        line = await connect(api_key=key)
        await line.model.close()
        await line.model.connect({"api_key": key})
        assert len(asked) == 2

    async def test_twice_is_refused_and_harms_nobody(self, connect: Connect) -> None:
        line = await connect()
        with pytest.raises(AlreadyConnectedError):
            await line.model.connect({})
        assert [event.type for event in await line.emit(Write("Hello."))].count("output_text_delta") == 1
        assert len(line.calls("connect")) == 1

    async def test_twice_at_once_is_refused(self, connect: Connect, witness: Callable[[], Any]) -> None:
        model = TransportModel(ScriptedTransport(strict=False))
        results = await asyncio.gather(model.connect({}), model.connect({}), return_exceptions=True)
        await model.close()
        assert [type(result) for result in results] == [type(None), AlreadyConnectedError]

    async def test_that_fails_raises_and_leaves_nothing(self, witness: Callable[[], Any]) -> None:
        far_end, told = ScriptedTransport(strict=False), witness()
        far_end.fail_next("connect", ConnectRefusedError("no route"))
        model = TransportModel(far_end)
        model.add_listener(told)
        with pytest.raises(ConnectRefusedError, match="no route"):
            await model.connect({})
        assert {"end_of_stream", "exception"} & {event.type for event in told.events} == set()
        with pytest.raises(NotConnectedError):
            await model.send_event(RealtimeModelSendUserInput("Hello"))
        told.events.clear()
        await model.connect({})
        far_end.emit(Write("Hello."))
        assert (await told.until("output_text_delta")).delta == "Hello."
        assert len(told.of("output_text_delta")) == 1
        await model.close()

    async def test_with_settings_that_cannot_be_dials_nobody(self) -> None:
        far_end = ScriptedTransport(strict=False)
        model = TransportModel(far_end)
        with pytest.raises(UserError, match="call_id or model_name"):
            await model.connect({"call_id": "rtc_1", "initial_model_settings": {"model_name": "gpt-realtime"}})
        assert far_end.calls == ()
        await model.connect({})
        await model.close()

    async def test_that_is_cancelled_leaves_nothing(self) -> None:
        asked = asyncio.Event()

        async def key() -> str:
            asked.set()
            await asyncio.Event().wait()
            return SECRET

        far_end = ScriptedTransport(strict=False)
        model = TransportModel(far_end)
        attempt = asyncio.create_task(model.connect({"api_key": key}))
        await asked.wait()
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        assert far_end.status == "disconnected"
        await model.connect({})
        await model.close()

    async def test_can_be_given_up(self) -> None:
        asked = asyncio.Event()

        async def key() -> str:
            asked.set()
            await asyncio.Event().wait()
            return SECRET

        model = TransportModel(ScriptedTransport(strict=False))
        attempt = asyncio.create_task(model.connect({"api_key": key}))
        await asked.wait()
        await model.close()
        with pytest.raises(ConnectAbortedError):
            await attempt

    async def test_events_may_come_before_it_returns(self, connect: Connect) -> None:
        line = await connect(ScriptedTransport(strict=False, connect_events=[{"type": "session.created"}]))
        kinds = [event.type for event in line.told.events][:3]
        assert kinds == ["connection_status", "connection_status", "raw_server_event"]
        assert [event.status for event in line.told.of("connection_status")] == ["connecting", "connected"]

    async def test_tells_no_secret(self, witness: Callable[[], Any]) -> None:
        far_end, told = ScriptedTransport(strict=False), witness()
        far_end.fail_next("connect", ConnectRefusedError("no route"))
        model = TransportModel(far_end)
        model.add_listener(told)
        headers = {"Authorization": f"Bearer {SECRET}"}
        with pytest.raises(ConnectRefusedError) as raised:
            await model.connect({"api_key": SECRET, "headers": headers, "url": f"wss://example.com/?key={SECRET}"})
        assert SECRET not in f"{raised.value!r} {model!r} {told.events!r}"


class TestListeners:
    async def test_are_told_once_however_often_they_were_added(self, connect: Connect) -> None:
        line = await connect()
        line.model.add_listener(line.told)
        told = await line.emit(Write("Hello."))
        assert [event.type for event in told].count("turn_started") == 1

    async def test_are_told_in_order_one_event_at_a_time(self, connect: Connect) -> None:
        order: list[tuple[str, str]] = []
        done = asyncio.Event()

        class Slow(RealtimeModelListener):
            def __init__(self, name: str) -> None:
                self.name = name

            async def on_event(self, event: Any) -> None:
                if event.type not in ("turn_started", "turn_ended"):
                    return
                order.append((self.name, f"{event.type} begins"))
                for _ in range(3):
                    await asyncio.sleep(0)
                order.append((self.name, f"{event.type} ends"))
                if (self.name, event.type) == ("two", "turn_ended"):
                    done.set()

        line = await connect()
        line.model.add_listener(Slow("one"))
        line.model.add_listener(Slow("two"))
        line.far_end.emit(Write("Hello."))
        async with asyncio.timeout(PATIENCE):
            await done.wait()
        assert order == [
            (name, f"{kind} {what}")
            for kind in ("turn_started", "turn_ended")
            for name in ("one", "two")
            for what in ("begins", "ends")
        ]

    async def test_that_were_removed_are_told_nothing_more(self, connect: Connect, witness: Callable[[], Any]) -> None:
        line, gone = await connect(), witness()
        line.model.add_listener(gone)
        line.far_end.emit(Write("Hello."))  # on its way, and not told yet
        line.model.remove_listener(gone)
        line.model.remove_listener(gone)
        await line.settled()
        assert gone.events == []

    async def test_may_come_and_go_while_they_are_told(self, connect: Connect, witness: Callable[[], Any]) -> None:
        late = witness()

        class Fickle(RealtimeModelListener):
            async def on_event(self, event: Any) -> None:
                line.model.remove_listener(self)
                line.model.add_listener(late)

        line = await connect()
        line.model.remove_listener(line.told)
        line.model.add_listener(Fickle())
        line.model.add_listener(line.told)
        await line.emit({"type": "one"}, {"type": "two"})
        assert [event.data["type"] for event in line.told.events[-3:-1]] == ["one", "two"]
        assert next(event.data["type"] for event in late.events) == "two"

    async def test_that_fail_are_told_of_and_stop_nobody(self, connect: Connect) -> None:
        failure = RuntimeError("a listener's own")

        class Failing(RealtimeModelListener):
            async def on_event(self, event: Any) -> None:
                if event.type == "turn_started":
                    raise failure

        line = await connect()
        line.model.remove_listener(line.told)
        line.model.add_listener(Failing())
        line.model.add_listener(line.told)
        told = await line.emit(Write("Hello."))
        [exception] = [event for event in told if event.type == "exception"]
        assert exception.exception is failure
        kinds = [event.type for event in told if event.type != "item_updated"]
        assert sorted(kinds[:2]) == ["exception", "turn_started"]
        assert kinds[2:] == ["output_text_delta", "usage", "turn_ended"]

    async def test_that_fail_on_everything_are_logged(self, connect: Connect, caplog: Any) -> None:
        class Failing(RealtimeModelListener):
            async def on_event(self, event: Any) -> None:
                raise RuntimeError(event.type)

        line = await connect()
        line.model.add_listener(Failing())
        with caplog.at_level(logging.ERROR, "jackfield.openai_agents"):
            told = await line.emit({"type": "one"})
        assert [event.type for event in told][:2] == ["raw_server_event", "exception"]
        assert {str(record.exc_info[1]) for record in caplog.records} == {"exception"}

    async def test_that_cancel_themselves_are_told_of(self, connect: Connect) -> None:
        class Cancelled(RealtimeModelListener):
            async def on_event(self, event: Any) -> None:
                if event.type == "turn_started":
                    raise asyncio.CancelledError

        line = await connect()
        line.model.add_listener(Cancelled())
        told = await line.emit(Write("Hello."))
        assert [event.type for event in told].count("exception") == 1
        assert told[-1].type == "turn_ended"

    async def test_that_are_far_behind_lose_audio_and_are_told(self, connect: Connect) -> None:
        go_on = asyncio.Event()

        class Stuck(RealtimeModelListener):
            async def on_event(self, event: Any) -> None:
                await go_on.wait()

        line = await connect()
        line.model.add_listener(Stuck())
        chunk = bytes(1024 * 1024)
        line.far_end.emit(*(Audio(chunk, "resp_1", f"item_{number}", 0) for number in range(40)), Write("Hello."))
        go_on.set()
        told = await line.settled()
        heard = [event.item_id for event in told if event.type == "audio"]
        assert 20 < len(heard) < 40
        assert heard[-1] == "item_39"
        assert [event.type for event in told].count("error") == 1
        assert [event.type for event in told].count("output_text_delta") == 1


class Rejoining(ScriptedTransport):
    """Tells of its connection what a test wants."""

    def on(self, type: str, listener: Listener) -> Listener:  # noqa: A002
        if type == "connection_change":
            self.changed = listener
        return super().on(type, listener)


class Counting(ScriptedTransport):
    """Knows who listens to it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.listeners: list[tuple[str, Listener]] = []

    def on(self, type: str, listener: Listener) -> Listener:  # noqa: A002
        self.listeners.append((type, listener))
        return super().on(type, listener)

    def off(self, type: str, listener: Listener) -> None:  # noqa: A002
        self.listeners.remove((type, listener))
        super().off(type, listener)


class TestTheFarEnd:
    async def test_that_hangs_up_ends_the_stream(self, connect: Connect) -> None:
        line = await connect()
        line.far_end.emit(Write("Bye."), Disconnect(1000, "bye"))
        await line.told.until("end_of_stream")
        *before, status, end = line.told.events
        assert (status.type, status.status, end.type) == ("connection_status", "disconnected", "end_of_stream")
        assert before[-1].type == "turn_ended"

    async def test_that_hangs_up_leaves_nothing_running(self, connect: Connect) -> None:
        """Also where nobody closes the model."""
        line = await connect()
        line.far_end.emit(Disconnect(1000, "bye"))
        await line.told.until("end_of_stream")
        await asyncio.sleep(0)
        assert [task for task in asyncio.all_tasks() if "model events" in task.get_name()] == []

    async def test_that_is_lost_is_an_exception(self, connect: Connect) -> None:
        line = await connect()
        line.far_end.emit(Disconnect(1011, "server error"))
        told = await line.told.until("exception")
        assert isinstance(told.exception, RemoteClosedError)
        assert line.told.events[-1] is told  # a stream that had ended would hide it
        assert line.told.of("connection_status")[-1].status == "disconnected"

    async def test_that_is_joined_again_is_told(self, connect: Connect) -> None:
        line = await connect(Rejoining(strict=False))
        line.far_end.changed(ConnectionChange(status="connecting", initiated_by="remote"))
        line.far_end.changed(ConnectionChange(status="connected"))
        assert [event.status for event in await line.settled()] == ["connecting", "connected"]

    async def test_a_transport_that_the_application_closes_ends_the_stream(self, connect: Connect) -> None:
        line = await connect()
        await line.model.transport.close()
        await line.told.until("end_of_stream")

    async def test_that_is_gone_is_sent_nothing(self, connect: Connect) -> None:
        line = await connect()
        line.far_end.emit(Disconnect(1000))
        with pytest.raises(NotConnectedError):
            await line.model.send_event(RealtimeModelSendUserInput("Hello"))

    async def test_that_is_gone_is_still_the_models_until_it_is_closed(self, connect: Connect) -> None:
        """Or the session that had it would close the connection of the next one."""
        line = await connect()
        line.far_end.emit(Disconnect(1000))
        with pytest.raises(AlreadyConnectedError):
            await line.model.connect({})
        await line.model.close()
        await line.model.connect({})


class TestClosing:
    async def test_tells_nothing(self, connect: Connect) -> None:
        line = await connect()
        await line.emit(Write("Hello."))
        told = len(line.told.events)
        await line.model.close()
        await asyncio.sleep(0)
        assert line.far_end.status == "disconnected"
        assert len(line.told.events) == told

    async def test_any_number_of_times(self, connect: Connect) -> None:
        line = await connect()
        await asyncio.gather(line.model.close(), line.model.close())
        await line.model.close()
        assert len(line.calls("close")) == 1
        await TransportModel(ScriptedTransport()).close()

    async def test_from_a_listener(self, connect: Connect) -> None:
        closed = asyncio.Event()

        class Closing(RealtimeModelListener):
            async def on_event(self, event: Any) -> None:
                if event.type == "turn_started":
                    await line.model.close()
                    closed.set()

        line = await connect()
        line.model.add_listener(Closing())
        line.far_end.emit(Write("Hello."))
        async with asyncio.timeout(PATIENCE):
            await closed.wait()
        await asyncio.sleep(0)
        assert line.told.of("output_text_delta", "turn_ended") == []

    async def test_while_a_listener_is_busy(self, connect: Connect) -> None:
        busy, cancelled = asyncio.Event(), asyncio.Event()

        class Busy(RealtimeModelListener):
            async def on_event(self, event: Any) -> None:
                if event.type == "turn_started":
                    busy.set()
                    try:
                        await asyncio.Event().wait()
                    finally:
                        cancelled.set()

        line = await connect()
        line.model.add_listener(Busy())
        line.far_end.emit(Write("Hello."))
        await busy.wait()
        await line.model.close()
        assert cancelled.is_set()

    async def test_that_fails_can_be_tried_again(self, connect: Connect) -> None:
        line = await connect()
        line.far_end.fail_next("close", OSError("no"))
        with pytest.raises(OSError, match="no"):
            await line.model.close()
        await line.model.close()
        await line.model.connect({})
        assert len(line.calls("connect")) == 2

    async def test_leaves_nothing_to_the_next_connection(self, connect: Connect) -> None:
        line = await connect()
        call = Call("get_weather", item_id="item_1", call_id="call_1")
        await line.emit(call, Say("Hello."))
        await line.model.send_event(RealtimeModelSendUserInput("Hello"))  # whose answer never comes
        await line.model.close()
        await line.model.connect({})
        kinds = [event.type for event in await line.emit(call) if event.type != "connection_status"]
        assert kinds[:3] == ["turn_started", "item_updated", "function_call"]
        assert await line.model.send_event_if(RealtimeModelSendUserInput("Hello"), lambda: True) is True

    async def test_leaves_no_listener_at_the_transport(self, connect: Connect) -> None:
        far_end = Counting(strict=False)
        far_end.fail_next("connect", ConnectRefusedError("no route"))
        with pytest.raises(ConnectRefusedError):
            await connect(far_end)
        assert far_end.listeners == []
        line = await connect(far_end)
        assert far_end.listeners != []
        await line.model.close()
        assert far_end.listeners == []


class TestWithoutAConnection:
    async def test_nothing_is_sent(self) -> None:
        model = TransportModel(ScriptedTransport())
        with pytest.raises(NotConnectedError, match="connect"):
            await model.send_event(RealtimeModelSendUserInput("Hello"))
        with pytest.raises(NotConnectedError):
            await model.send_event_if(RealtimeModelSendUserInput("Hello"), lambda: True)

    async def test_a_cancelled_close_still_ends_it(self, connect: Connect) -> None:
        line = await connect()
        closing = asyncio.create_task(line.model.close())
        closing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await closing
        await line.model.close()
        assert line.far_end.status == "disconnected"
