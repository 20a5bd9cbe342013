"""RTP packets into their order: at once where that is so, and after a bounded wait where something is missing."""

from __future__ import annotations

import random
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from jackfield.audio import Lost, Media, ReorderBuffer

WAIT = 0.04


def packet(number: int) -> Media:
    return Media(number & 0xFFFF, number * 960 & 0xFFFFFFFF, number.to_bytes(4, "big"))


def take(buffer: ReorderBuffer, number: int, now: float = 0.0) -> list[int | str]:
    return shown(buffer.add(packet(number), now))


def shown(due: Iterable[Media | Lost]) -> list[int | str]:
    return [f"lost {one.count}" if isinstance(one, Lost) else int.from_bytes(one.payload, "big") for one in due]


class TestOrder:
    def test_what_is_in_order_passes_at_once(self) -> None:
        buffer = ReorderBuffer()
        assert [take(buffer, number) for number in range(5)] == [[0], [1], [2], [3], [4]]
        assert buffer.deadline is None

    def test_what_overtook_waits_for_the_other(self) -> None:
        buffer = ReorderBuffer()
        assert take(buffer, 1) == [1]
        assert take(buffer, 3, now=0.010) == []
        assert buffer.deadline == 0.010 + WAIT
        assert take(buffer, 2, now=0.020) == [2, 3]
        assert buffer.deadline is None
        assert (buffer.lost, buffer.late) == (0, 0)

    def test_numbers_begin_again_after_the_last(self) -> None:
        buffer = ReorderBuffer()
        order = [65_534, 65_535, 65_537, 65_536, 65_538]
        assert [out for number in order for out in take(buffer, number)] == [65_534, 65_535, 65_536, 65_537, 65_538]


class TestLoss:
    def test_a_gap_is_given_up_in_time(self) -> None:
        buffer = ReorderBuffer()
        take(buffer, 1)
        assert take(buffer, 4, now=1.0) == []
        assert shown(buffer.expire(1.0 + WAIT - 0.001)) == []
        assert shown(buffer.expire(1.0 + WAIT)) == ["lost 2", 4]
        assert buffer.lost == 2
        assert take(buffer, 5, now=1.1) == [5], "nothing of the wait stays"

    def test_what_comes_after_that_is_late(self) -> None:
        buffer = ReorderBuffer()
        take(buffer, 1)
        take(buffer, 3, now=1.0)
        list(buffer.expire(2.0))
        assert take(buffer, 2, now=2.0) == []
        assert take(buffer, 3, now=2.0) == [], "and so is what comes twice"
        assert buffer.late == 2

    def test_a_second_gap_has_a_time_of_its_own(self) -> None:
        buffer = ReorderBuffer()
        take(buffer, 1)
        take(buffer, 3, now=1.0)
        take(buffer, 5, now=1.03)
        assert shown(buffer.expire(1.0 + WAIT)) == ["lost 1", 3]
        assert buffer.deadline == 1.0 + 2 * WAIT
        assert take(buffer, 4, now=1.05) == [4, 5]

    def test_too_many_behind_a_gap_don_t_wait(self) -> None:
        buffer = ReorderBuffer()
        take(buffer, 0)
        out = [one for number in range(2, 70) for one in take(buffer, number)]
        assert out == ["lost 1", *range(2, 70)]

    def test_a_leap_is_a_new_stream(self) -> None:
        buffer = ReorderBuffer()
        take(buffer, 1)
        take(buffer, 3)
        assert take(buffer, 30_000) == ["lost 1", 3, 30_000]
        assert take(buffer, 30_001) == [30_001]
        assert take(buffer, 12) == [12], "and so is one back"

    def test_another_source_is_a_new_stream(self) -> None:
        buffer = ReorderBuffer()
        take(buffer, 1)
        take(buffer, 3)
        assert shown(buffer.add(Media(2, 0, b"\0\0\0\x07", ssrc=99), 0.0)) == ["lost 1", 3, 7]
        assert (buffer.lost, buffer.late) == (1, 0)


@given(
    count=st.integers(1, 150),
    lost=st.sets(st.integers(1, 149), max_size=20),
    delay=st.integers(0, 2),
    start=st.integers(0, 0xFFFF),
    seed=st.integers(),
)
def test_everything_has_its_turn_once_and_in_order(
    count: int, lost: set[int], delay: int, start: int, seed: int
) -> None:
    """However packets are lost and overtake one another: what comes out is what came in, in order, gaps told."""
    chance = random.Random(seed)
    sent = [number for number in range(count) if number not in lost]
    # The first one settles where the stream begins.
    later = sorted((0.02 * number + chance.uniform(0, 0.0199 * delay), number) for number in sent[1:])
    arrivals = [(0.0, 0), *later]
    buffer = ReorderBuffer()
    out: list[int | str] = []
    for at, number in arrivals:
        while buffer.deadline is not None and buffer.deadline <= at:
            out += shown(buffer.expire(buffer.deadline))
        here = Media((start + number) & 0xFFFF, 960 * number, number.to_bytes(4, "big"))
        out += shown(buffer.add(here, at))
    while buffer.deadline is not None:
        out += shown(buffer.expire(buffer.deadline))
    position = 0
    for one in out:
        if isinstance(one, str):
            position += int(one.split()[1])
        else:
            assert one == position
            position += 1
    assert position == sent[-1] + 1
    assert buffer.late == 0, "what is late by less than the wait is not given up"
    assert [one for one in out if isinstance(one, int)] == sent


@given(st.lists(st.integers(0, 40), max_size=60))
def test_each_comes_once_and_in_order(numbers: list[int]) -> None:
    """Whatever comes, in whatever order and however often."""
    buffer = ReorderBuffer()
    out = [one for number in numbers for one in take(buffer, number)]
    while buffer.deadline is not None:
        out += shown(buffer.expire(buffer.deadline))
    heard = [one for one in out if isinstance(one, int)]
    assert heard == sorted(set(heard))
    assert set(heard) <= set(numbers)
