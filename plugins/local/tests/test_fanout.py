"""One session, several clients: who gets what, who is waited for, and how they part."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from jackfield_local.fanout import FanOut

HELLO = {"type": "session.created"}


def event(number: int) -> dict[str, Any]:
    return {"type": "an.event", "number": number}


class Guest:
    """A client in memory."""

    def __init__(self) -> None:
        self.frames: deque[str | None] = deque()
        self.came = asyncio.Event()
        self.got: list[dict[str, Any]] = []
        self.noted: list[dict[str, Any]] = []
        self.closed: tuple[int, str] | None = None
        self.stuck: asyncio.Event | None = None
        self.news = asyncio.Event()

    def say(self, *frames: str | None) -> None:
        self.frames.extend(frames)
        self.came.set()

    async def receive(self) -> str | None:
        while not self.frames:
            self.came.clear()
            await self.came.wait()
        return self.frames.popleft()

    def heard(self, event: dict[str, Any]) -> None:
        self.noted.append(event)

    async def send(self, event: dict[str, Any]) -> None:
        if self.stuck is not None:
            await self.stuck.wait()
        self.got.append(event)
        self.news.set()

    async def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)

    async def until(self, count: int) -> list[dict[str, Any]]:
        async with asyncio.timeout(20):
            while len(self.got) < count:
                self.news.clear()
                await self.news.wait()
        return self.got


class Gone(Guest):
    """One whose connection breaks as soon as it is sent something."""

    async def send(self, event: dict[str, Any]) -> None:
        raise ConnectionError("gone")


@asynccontextmanager
async def present(*visits: Awaitable[None]) -> AsyncIterator[list[asyncio.Future[None]]]:
    """Let guests attend while the block runs."""
    tasks = [asyncio.ensure_future(visit) for visit in visits]
    await asyncio.sleep(0)
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def soon(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0)


class TestEvents:
    async def test_everybody_gets_everything_after_a_greeting(self) -> None:
        fanout, first, second = FanOut(), Guest(), Guest()
        async with present(fanout.attend(first, HELLO), fanout.attend(second, HELLO)):
            for number in range(3):
                await fanout.send(event(number))
            for guest in (first, second):
                assert await guest.until(4) == [HELLO, *map(event, range(3))]

    async def test_who_comes_late_gets_what_follows(self) -> None:
        fanout, first, second = FanOut(), Guest(), Guest()
        async with present(fanout.attend(first, HELLO)):
            await fanout.send(event(0))
            async with present(fanout.attend(second, HELLO)):
                await fanout.send(event(1))
                assert await second.until(2) == [HELLO, event(1)]
            assert await first.until(3) == [HELLO, event(0), event(1)]

    async def test_the_first_data_channel_gets_the_beginning(self) -> None:
        fanout, early, first, again = FanOut([event(0)]), Guest(), Guest(), Guest()
        await fanout.send(event(1))
        async with present(fanout.attend(early, HELLO)):
            assert await early.until(1) == [HELLO]
            async with present(fanout.lead(first, HELLO)):
                assert await first.until(2) == [event(0), event(1)]
            async with present(fanout.lead(again, HELLO)):
                assert await again.until(1) == [HELLO]

    async def test_a_long_beginning_is_bounded(self) -> None:
        fanout, first = FanOut(), Guest()
        for number in range(3000):
            await fanout.send(event(number))
        async with present(fanout.lead(first, HELLO)):
            assert await first.until(1024) == [event(number) for number in range(3000 - 1024, 3000)]

    async def test_what_any_of_them_says_is_received_and_noted_with_its_speaker(self) -> None:
        fanout, first, second = FanOut(), Guest(), Guest()
        async with present(fanout.attend(first, HELLO), fanout.attend(second, HELLO)):
            for guest, frame in ((first, "one"), (second, "two"), (first, "three")):
                guest.say(frame)
                assert await fanout.receive() == frame
                fanout.heard({"said": frame})
        assert (first.noted, second.noted) == ([{"said": "one"}, {"said": "three"}], [{"said": "two"}])

    async def test_a_flood_of_frames_waits_where_it_comes_from(self) -> None:
        fanout, guest = FanOut(), Guest()
        guest.say(*(str(number) for number in range(1000)))
        async with present(fanout.attend(guest, HELLO)):
            await guest.until(1)
            for _ in range(100):
                await asyncio.sleep(0)
            assert len(guest.frames) > 900
            assert [await fanout.receive() for _ in range(1000)] == [str(number) for number in range(1000)]


class TestPace:
    async def test_the_session_waits_for_its_only_client(self) -> None:
        fanout, guest = FanOut(), Guest()
        guest.stuck = asyncio.Event()
        async with present(fanout.attend(guest, HELLO)):
            sending = asyncio.ensure_future(self.send(fanout, 500))
            for _ in range(2000):
                await asyncio.sleep(0)
            assert not sending.done()
            guest.stuck.set()
            await sending
            assert len(await guest.until(501)) == 501

    async def test_a_client_that_hangs_does_not_hold_up_the_others(self) -> None:
        fanout, quick, stuck = FanOut(), Guest(), Guest()
        stuck.stuck = asyncio.Event()
        async with present(fanout.attend(quick, HELLO), fanout.attend(stuck, HELLO)) as visits:
            await self.send(fanout, 5000)
            assert len(await quick.until(5001)) == 5001
            # It was let go; had it come back in time, it would have missed nothing.
            await soon(visits[1].done)
            assert (stuck.got, stuck.closed) == ([], None)
            assert not visits[0].done()

    async def test_a_client_that_was_slow_for_a_while_misses_nothing(self) -> None:
        fanout, quick, slow = FanOut(), Guest(), Guest()
        slow.stuck = asyncio.Event()
        async with present(fanout.attend(quick, HELLO), fanout.attend(slow, HELLO)):
            await self.send(fanout, 1500)
            slow.stuck.set()
            assert await slow.until(1501) == await quick.until(1501)

    async def test_the_session_waits_for_the_data_channel_and_not_for_quicker_ones(self) -> None:
        fanout, data, quick = FanOut(patience=1000), Guest(), Guest()
        data.stuck = asyncio.Event()
        async with present(fanout.lead(data, HELLO), fanout.attend(quick, HELLO)):
            sending = asyncio.ensure_future(self.send(fanout, 5000))
            await quick.until(50)
            for _ in range(2000):
                await asyncio.sleep(0)
            assert not sending.done()
            data.stuck.set()
            await sending
            assert len(await data.until(5000)) == 5000

    async def test_a_data_channel_that_hangs_is_not_waited_for_long(self) -> None:
        fanout, data, quick = FanOut(patience=0.01), Guest(), Guest()
        data.stuck = asyncio.Event()
        async with present(fanout.lead(data, HELLO), fanout.attend(quick, HELLO)):
            await self.send(fanout, 1000)
            assert len(await quick.until(1001)) == 1001
            data.stuck.set()
            assert len(await data.until(1000)) == 1000
            # And it is waited for again.
            data.stuck = asyncio.Event()
            fanout.announce(event(0))
            await quick.until(1002)
            data.stuck.set()
            await self.send(fanout, 3000)
            assert len(await data.until(4001)) == 4001

    async def test_a_new_client_frees_a_session_that_waits(self) -> None:
        fanout, stuck, quick = FanOut(), Guest(), Guest()
        stuck.stuck = asyncio.Event()
        async with present(fanout.attend(stuck, HELLO)):
            sending = asyncio.ensure_future(self.send(fanout, 500))
            for _ in range(200):
                await asyncio.sleep(0)
            async with present(fanout.attend(quick, HELLO)):
                await sending
                assert (await quick.until(2))[-1]["number"] > 0

    async def test_with_nobody_there_nothing_is_waited_for(self) -> None:
        await self.send(FanOut(), 5000)

    async def send(self, fanout: FanOut, count: int) -> None:
        for number in range(count):
            await fanout.send(event(number))


class TestParting:
    async def test_a_client_leaves_and_the_others_stay(self) -> None:
        fanout, first, second = FanOut(), Guest(), Guest()
        async with present(fanout.attend(first, HELLO), fanout.attend(second, HELLO)) as visits:
            first.say(None)
            await soon(visits[0].done)
            await fanout.send(event(1))
            assert await second.until(2) == [HELLO, event(1)]
            assert first.got == [HELLO]

    async def test_a_client_whose_connection_breaks_leaves(self) -> None:
        fanout, gone, guest = FanOut(), Gone(), Guest()
        async with present(fanout.attend(gone, HELLO), fanout.attend(guest, HELLO)) as visits:
            await soon(visits[0].done)
            await visits[0]
            await fanout.send(event(1))
            assert await guest.until(2) == [HELLO, event(1)]

    async def test_at_the_end_all_get_what_waits_and_are_told(self) -> None:
        fanout, first, second = FanOut(), Guest(), Guest()
        async with present(fanout.attend(first, HELLO), fanout.attend(second, HELLO)) as visits:
            await fanout.send(event(1))
            async with asyncio.timeout(20):
                await fanout.close(1001, "over")
            assert [guest.got for guest in (first, second)] == [[HELLO, event(1)]] * 2
            assert [guest.closed for guest in (first, second)] == [(1001, "over")] * 2
            await asyncio.gather(*visits)
        assert fanout.farewell == (1001, "over")

    async def test_the_end_does_not_wait_for_who_hangs(self) -> None:
        fanout, stuck = FanOut(), Guest()
        stuck.stuck = asyncio.Event()
        async with present(fanout.attend(stuck, HELLO)) as visits, asyncio.timeout(20):
            await fanout.close(1000, "")
            await visits[0]

    async def test_nobody_joins_after_the_end(self) -> None:
        fanout, guest = FanOut(), Guest()
        await fanout.close(1000, "")
        async with asyncio.timeout(20):
            await fanout.attend(guest, HELLO)
        assert guest.got == []

    async def test_it_ends_once(self) -> None:
        fanout = FanOut()
        await fanout.close(1001, "first")
        await fanout.close(1000, "second")
        assert fanout.farewell == (1001, "first")

    async def test_a_fault_of_a_channel_is_not_hidden(self) -> None:
        class Broken(Guest):
            async def send(self, event: dict[str, Any]) -> None:
                raise ValueError("broken")

        with pytest.RaisesGroup(ValueError):
            await FanOut().attend(Broken(), HELLO)
