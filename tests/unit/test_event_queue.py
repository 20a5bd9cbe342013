"""The queue of events: order, its one bound, several consumers, cancellation and closing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield.transport import EventQueue


async def drain(queue: EventQueue[Any]) -> list[Any]:
    return [event async for event in queue]


async def waiting(queue: EventQueue[Any], count: int = 1) -> list[asyncio.Task[Any]]:
    """Return tasks that wait for the queue's next event."""

    async def take() -> Any:
        return await anext(queue)

    tasks = [asyncio.create_task(take()) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


@given(puts=st.lists(st.tuples(st.booleans(), st.integers(1, 60)), max_size=40), budget=st.integers(1, 120))
def test_order_is_kept_control_is_kept_and_bytes_are_bounded(puts: list[tuple[bool, int]], budget: int) -> None:
    async def scenario() -> None:
        queue: EventQueue[tuple[int, bool, int]] = EventQueue(budget)
        for number, (bulky, size) in enumerate(puts):
            queue.put((number, bulky, size), size if bulky else 0)
        length = len(queue)
        queue.close()
        seen = await drain(queue)
        assert len(seen) == length
        assert [event[0] for event in seen] == sorted(event[0] for event in seen)
        control = [event for event in seen if not event[1]]
        assert len(control) == sum(not bulky for bulky, _ in puts)
        kept = [event for event in seen if event[1]]
        everything = [(number, True, size) for number, (bulky, size) in enumerate(puts) if bulky]
        assert kept == everything[len(everything) - len(kept) :], "the oldest go first"
        assert len(kept) <= 1 or sum(event[2] for event in kept) <= budget
        assert queue.dropped == len(everything) - len(kept)
        assert queue.dropped_bytes == sum(size for _, _, size in everything[: queue.dropped])
        if everything:
            assert kept, "the newest is kept, whatever its size"

    asyncio.run(scenario())


async def test_reading_makes_room() -> None:
    queue: EventQueue[int] = EventQueue(100)
    for number in range(50):
        queue.put(number, 60)
        assert await anext(queue) == number
    assert queue.dropped == 0


async def test_unwanted_audio_is_discarded_and_the_room_is_free_again() -> None:
    queue: EventQueue[str] = EventQueue(100)
    queue.put("a1", 40)
    queue.put("control")
    queue.put("b1", 40)
    assert queue.discard_bulky(lambda event: event.startswith("a")) == 1
    queue.put("b2", 60)
    assert queue.dropped == 0
    queue.close()
    assert await drain(queue) == ["control", "b1", "b2"]


async def test_a_waiting_consumer_is_woken() -> None:
    queue: EventQueue[str] = EventQueue()
    [task] = await waiting(queue)
    queue.put("a")
    assert await task == "a"


async def test_several_consumers_share_the_events() -> None:
    queue: EventQueue[int] = EventQueue()
    tasks = await waiting(queue, 3)
    for number in range(3):
        queue.put(number)
    assert sorted(await asyncio.gather(*tasks)) == [0, 1, 2]
    assert len(queue) == 0


async def test_a_consumer_that_is_cancelled_while_it_waits_takes_nothing() -> None:
    queue: EventQueue[str] = EventQueue()
    [first, second] = await waiting(queue, 2)
    first.cancel()
    await asyncio.sleep(0)
    queue.put("a")
    assert await second == "a"
    assert first.cancelled()


async def test_a_consumer_that_is_cancelled_when_it_was_just_woken_wakes_another() -> None:
    queue: EventQueue[str] = EventQueue()
    [first, second] = await waiting(queue, 2)
    queue.put("a")
    first.cancel()
    assert await asyncio.wait_for(second, 5) == "a"
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_an_event_that_another_consumer_took_first_is_waited_for_anew() -> None:
    queue: EventQueue[str] = EventQueue()
    [task] = await waiting(queue)
    queue.put("a")
    assert await anext(queue) == "a"
    await asyncio.sleep(0)
    assert not task.done()
    queue.put("b")
    assert await task == "b"


async def test_an_event_that_was_discarded_is_waited_for_anew() -> None:
    queue: EventQueue[str] = EventQueue()
    [task] = await waiting(queue)
    queue.put("a", 10)
    queue.discard_bulky(lambda _: True)
    await asyncio.sleep(0)
    assert not task.done()
    queue.put("b")
    assert await task == "b"


async def test_closing_ends_the_iteration_after_what_is_queued() -> None:
    queue: EventQueue[str] = EventQueue()
    queue.put("a")
    queue.put("b", 5)
    queue.close()
    queue.put("c")
    assert queue.closed
    assert await drain(queue) == ["a", "b"]
    assert await drain(queue) == []


async def test_closing_wakes_all_who_wait() -> None:
    queue: EventQueue[str] = EventQueue()
    tasks = await waiting(queue, 3)
    queue.close()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [StopAsyncIteration] * 3


async def test_an_error_comes_after_what_is_queued_and_once() -> None:
    queue: EventQueue[str] = EventQueue()
    queue.put("a")
    queue.close(ConnectionError("gone"))
    queue.close(ValueError("too late"))
    assert await anext(queue) == "a"
    with pytest.raises(ConnectionError, match="gone"):
        await anext(queue)
    assert await drain(queue) == []


async def test_one_of_those_who_wait_gets_the_error() -> None:
    queue: EventQueue[str] = EventQueue()
    tasks = await waiting(queue, 3)
    queue.close(ConnectionError("gone"))
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == [
        "ConnectionError",
        "StopAsyncIteration",
        "StopAsyncIteration",
    ]


async def test_many_producers_and_consumers_lose_nothing() -> None:
    queue: EventQueue[int] = EventQueue()

    async def produce(start: int) -> None:
        for number in range(start, start + 100):
            queue.put(number, 1 if number % 3 else 0)
            if number % 7 == 0:
                await asyncio.sleep(0)

    async with asyncio.TaskGroup() as consumers:
        consuming = [consumers.create_task(drain(queue)) for _ in range(3)]
        async with asyncio.TaskGroup() as producers:
            for start in (0, 100, 200):
                producers.create_task(produce(start))
        queue.close()
    assert sorted(number for task in consuming for number in task.result()) == list(range(300))
