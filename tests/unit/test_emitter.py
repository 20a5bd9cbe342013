"""Listeners: order, once, off, failures, coroutines, and the iterator."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from typing import Any

import pytest

from jackfield.audio import PCM16
from jackfield.transport import Emitter, ListenerError, ProtocolError, events


def digit(name: str) -> events.DtmfReceived:
    return events.DtmfReceived(name, 0.0)


def failing(_: Any) -> None:
    raise ValueError("no luck with sk-abc123456")


@pytest.fixture
def emitter() -> Emitter:
    return Emitter()


class TestListeners:
    def test_in_the_order_in_which_they_were_added(self, emitter: Emitter) -> None:
        seen: list[str] = []
        emitter.on("dtmf_received", lambda event: seen.append("a" + event.digit))
        emitter.on("dtmf_received", lambda event: seen.append("b" + event.digit))
        emitter.on("dtmf_received", lambda event: seen.append("c" + event.digit))
        emitter.emit(digit("1"))
        emitter.emit(digit("2"))
        assert seen == ["a1", "b1", "c1", "a2", "b2", "c2"]

    def test_on_returns_the_listener_to_take_it_away_by(self, emitter: Emitter) -> None:
        seen: list[Any] = []
        listener = emitter.on("dtmf_received", seen.append)
        assert emitter.listens("dtmf_received")
        emitter.off("dtmf_received", listener)
        assert not emitter.listens("dtmf_received")
        emitter.emit(digit("1"))
        assert seen == []

    def test_off_takes_one_away_the_latest(self, emitter: Emitter) -> None:
        seen: list[Any] = []
        emitter.on("dtmf_received", seen.append)
        emitter.once("dtmf_received", seen.append)
        emitter.off("dtmf_received", seen.append)
        emitter.emit(digit("1"))
        emitter.emit(digit("2"))
        assert [event.digit for event in seen] == ["1", "2"]
        emitter.off("dtmf_received", seen.append)
        emitter.emit(digit("3"))
        assert len(seen) == 2

    def test_off_of_what_is_not_there(self, emitter: Emitter) -> None:
        emitter.off("audio", print)
        emitter.on("audio", print)
        emitter.off("audio", failing)
        assert emitter.listens("audio")

    def test_once(self, emitter: Emitter) -> None:
        seen: list[str] = []
        emitter.once("dtmf_received", lambda event: seen.append(event.digit))
        emitter.emit(digit("1"))
        emitter.emit(digit("2"))
        assert seen == ["1"]
        assert not emitter.listens("dtmf_received")

    def test_once_that_emits_its_own_type_is_called_once(self, emitter: Emitter) -> None:
        seen: list[str] = []

        def again(event: events.DtmfReceived) -> None:
            seen.append(event.digit)
            emitter.emit(digit("2"))

        emitter.once("dtmf_received", again)
        emitter.emit(digit("1"))
        assert seen == ["1"]

    def test_an_earlier_listener_that_emits_uses_up_a_later_once(self, emitter: Emitter) -> None:
        seen: list[str] = []
        emitter.on("dtmf_received", lambda event: emitter.emit(digit("2")) if event.digit == "1" else None)
        emitter.once("dtmf_received", lambda event: seen.append(event.digit))
        emitter.emit(digit("1"))
        assert seen == ["2"]

    def test_other_types_are_not_heard(self, emitter: Emitter) -> None:
        emitter.on("audio", failing)
        emitter.emit(digit("1"))

    def test_changes_while_emitting_hold_from_the_next_event(self, emitter: Emitter) -> None:
        seen: list[str] = []

        def late(event: events.DtmfReceived) -> None:
            seen.append("late" + event.digit)

        def change(event: events.DtmfReceived) -> None:
            seen.append("change" + event.digit)
            emitter.on("dtmf_received", late)
            emitter.off("dtmf_received", change)

        emitter.on("dtmf_received", change)
        emitter.on("dtmf_received", lambda event: seen.append("last" + event.digit))
        emitter.emit(digit("1"))
        emitter.emit(digit("2"))
        assert seen == ["change1", "last1", "last2", "late2"]


class TestFailures:
    def test_a_failing_listener_is_an_error_event_and_the_others_are_called(self, emitter: Emitter) -> None:
        seen: list[Any] = []
        emitter.on("dtmf_received", failing)
        emitter.on("dtmf_received", seen.append)
        emitter.on("error", seen.append)
        emitter.emit(digit("1"))
        [error, heard] = seen
        assert heard == digit("1")
        assert isinstance(error.error, ListenerError)
        assert error.error.event_type == "dtmf_received"
        assert isinstance(error.error.__cause__, ValueError)
        assert "no luck" in str(error.error)
        assert "abc123456" not in str(error.error)

    def test_of_a_raw_view_too(self, emitter: Emitter) -> None:
        seen: list[Any] = []
        emitter.on("*", failing)
        emitter.on("error", seen.append)
        emitter.emit_raw("*", dict)
        assert [event.error.event_type for event in seen] == ["*"]

    def test_a_cancelled_future_that_a_listener_looks_into(self, emitter: Emitter) -> None:
        seen: list[Any] = []

        def cancelled(_: Any) -> None:
            raise asyncio.CancelledError

        emitter.on("dtmf_received", cancelled)
        emitter.on("error", seen.append)
        emitter.emit(digit("1"))
        assert len(seen) == 1

    def test_a_failing_error_listener_is_logged_only(self, emitter: Emitter, caplog: pytest.LogCaptureFixture) -> None:
        calls: list[Any] = []

        def listener(event: events.Error) -> None:
            calls.append(event)
            failing(event)

        emitter.on("error", listener)
        with caplog.at_level(logging.ERROR, "jackfield.transport"):
            emitter.emit(events.Error(ProtocolError("broken")))
        assert len(calls) == 1
        [record] = caplog.records
        assert record.exc_info is not None
        assert isinstance(record.exc_info[1], ValueError)

    def test_an_error_without_a_listener_is_logged_not_raised(
        self, emitter: Emitter, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.ERROR, "jackfield.transport"):
            emitter.emit(events.Error(ProtocolError("broken, with Bearer abc.def")))
        [record] = caplog.records
        assert "broken" in record.getMessage()
        assert "abc.def" not in record.getMessage()

    async def test_an_error_that_an_iterator_gets_is_not_logged(
        self, emitter: Emitter, caplog: pytest.LogCaptureFixture
    ) -> None:
        iterator = emitter.events()
        emitter.emit(events.Error(ProtocolError("broken")))
        assert (await anext(iterator)).type == "error"
        assert not caplog.records

    def test_failures_can_be_told_elsewhere(self) -> None:
        failures: list[ListenerError] = []
        emitter = Emitter(failures.append)
        emitter.on("dtmf_received", failing)
        emitter.emit(digit("1"))
        assert [failure.event_type for failure in failures] == ["dtmf_received"]


class TestRaw:
    def test_each_listener_has_a_view_of_its_own(self, emitter: Emitter) -> None:
        seen: list[dict[str, Any]] = []

        def spoil(message: dict[str, Any]) -> None:
            seen.append(dict(message))
            message["item"]["id"] = "spoilt"
            message.clear()

        emitter.on("*", spoil)
        emitter.on("*", spoil)
        emitter.emit_raw("*", lambda: {"type": "x", "item": {"id": "item_1"}})
        assert len(seen) == 2
        assert all(message["type"] == "x" for message in seen)

    def test_none_is_made_where_nobody_listens(self, emitter: Emitter) -> None:
        made: list[int] = []

        def make() -> dict[str, Any]:
            made.append(1)
            return {}

        emitter.on("*out", failing)
        emitter.emit_raw("*", make)
        assert made == []

    def test_stars_are_views_and_not_all_events(self, emitter: Emitter) -> None:
        seen: list[Any] = []
        emitter.on("*", seen.append)
        emitter.emit(digit("1"))
        assert seen == []


class TestCoroutines:
    async def test_run_one_after_another_in_order(self, emitter: Emitter) -> None:
        gate = asyncio.Event()
        log: list[str] = []

        async def slow(event: events.DtmfReceived) -> None:
            log.append("begin" + event.digit)
            if event.digit == "1":
                await gate.wait()
            log.append("end" + event.digit)

        emitter.on("dtmf_received", slow)
        for name in "123":
            emitter.emit(digit(name))
        assert log == [], "the reader is not held up"
        for _ in range(5):
            await asyncio.sleep(0)
        assert log == ["begin1"]
        gate.set()
        for _ in range(10):
            await asyncio.sleep(0)
        assert log == ["begin1", "end1", "begin2", "end2", "begin3", "end3"]

    async def test_each_listener_has_its_own_line(self, emitter: Emitter) -> None:
        gate, done = asyncio.Event(), asyncio.Event()

        async def stuck(_: Any) -> None:
            await gate.wait()

        async def quick(_: Any) -> None:
            done.set()

        emitter.on("dtmf_received", stuck)
        emitter.on("dtmf_received", quick)
        emitter.emit(digit("1"))
        await done.wait()
        gate.set()

    @pytest.mark.parametrize("error", [ValueError("no"), asyncio.CancelledError()])
    async def test_a_failing_one_is_an_error_event_and_the_next_event_is_heard(
        self, emitter: Emitter, error: BaseException
    ) -> None:
        seen: list[Any] = []
        heard = asyncio.Event()

        async def listener(event: events.DtmfReceived) -> None:
            if event.digit == "1":
                raise error
            heard.set()

        emitter.on("error", seen.append)
        emitter.on("dtmf_received", listener)
        emitter.emit(digit("1"))
        emitter.emit(digit("2"))
        await heard.wait()
        [told] = seen
        assert told.error.__cause__ is error

    async def test_once_with_a_coroutine(self, emitter: Emitter) -> None:
        heard: list[str] = []
        done = asyncio.Event()

        async def listener(event: events.DtmfReceived) -> None:
            heard.append(event.digit)
            done.set()

        emitter.once("dtmf_received", listener)
        emitter.emit(digit("1"))
        emitter.emit(digit("2"))
        await done.wait()
        await asyncio.sleep(0)
        assert heard == ["1"]

    async def test_any_awaitable_will_do(self, emitter: Emitter) -> None:
        task_done = asyncio.Event()
        seen: list[Any] = []

        async def work() -> None:
            task_done.set()
            raise ValueError("no")

        told = asyncio.Event()
        emitter.on("error", seen.append)
        emitter.on("error", lambda _: told.set())
        emitter.on("dtmf_received", lambda _: asyncio.ensure_future(work()))
        emitter.emit(digit("1"))
        await told.wait()
        assert task_done.is_set()
        assert isinstance(seen[0].error.__cause__, ValueError)


class TestIterator:
    async def test_all_events_from_now_on_in_order(self, emitter: Emitter) -> None:
        emitter.emit(digit("0"))
        iterator = emitter.events()
        told = [digit("1"), events.Audio(b"ab", "r", "i", 0, PCM16), events.SpeechStarted("i", 0), digit("2")]
        for event in told:
            emitter.emit(event)
        assert [await anext(iterator) for _ in told] == told

    async def test_it_ends_after_the_disconnection(self, emitter: Emitter) -> None:
        iterator = emitter.events()
        ended = events.ConnectionChange(status="disconnected", code=1000)
        for event in (digit("1"), events.ConnectionChange(status="connected"), ended, digit("2")):
            emitter.emit(event)
        assert [event async for event in iterator][-1] is ended

    async def test_two_iterators_have_all_of_it_each(self, emitter: Emitter) -> None:
        one, two = emitter.events(), emitter.events()
        emitter.emit(digit("1"))
        assert await anext(one) == await anext(two) == digit("1")

    async def test_unread_audio_is_bounded_and_control_events_are_not_lost(self, emitter: Emitter) -> None:
        iterator = emitter.events()
        for number in range(200):
            emitter.emit(events.Audio(bytes(48_000), "r", f"item_{number}", 0, PCM16))
            emitter.emit(digit("1"))
        emitter.emit(events.ConnectionChange(status="disconnected"))
        seen = [event async for event in iterator]
        audio = [event for event in seen if isinstance(event, events.Audio)]
        assert sum(isinstance(event, events.DtmfReceived) for event in seen) == 200
        assert 0 < len(audio) <= 60
        assert audio[-1].item_id == "item_199"

    async def test_one_that_was_left_behind_collects_nothing(self, emitter: Emitter) -> None:
        async for _ in ready(emitter):
            break
        gc.collect()
        event = digit("2")
        reference = weakref.ref(event)
        emitter.emit(event)
        del event
        gc.collect()
        assert reference() is None

    async def test_a_waiting_task_that_nobody_holds_is_served(self, emitter: Emitter) -> None:
        heard = asyncio.Event()

        async def consume() -> None:
            async for _ in emitter.events():
                heard.set()

        asyncio.get_running_loop().create_task(consume())
        await asyncio.sleep(0)
        gc.collect()
        emitter.emit(digit("1"))
        await heard.wait()
        emitter.emit(events.ConnectionChange(status="disconnected"))
        await asyncio.sleep(0)


def ready(emitter: Emitter) -> Any:
    iterator = emitter.events()
    emitter.emit(digit("1"))
    return iterator
