"""The history on its own: order, words, merging; against a model that is obviously right."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield.session.history import History
from jackfield.transport.items import (
    AssistantAudio,
    AssistantMessageItem,
    AssistantText,
    InputAudio,
    InputImage,
    InputText,
    McpCallItem,
    RealtimeItem,
    RealtimeToolCallItem,
    SystemMessageItem,
    UserMessageItem,
)


def user(item_id: str, *parts: Any) -> UserMessageItem:
    return UserMessageItem(item_id=item_id, content=parts, status="completed")


def assistant(item_id: str, *parts: Any, status: Any = "in_progress") -> AssistantMessageItem:
    return AssistantMessageItem(item_id=item_id, content=parts, status=status)


def say(history: History, item_id: str, *deltas: str, index: int = 0, written: bool = False) -> None:
    for delta in deltas:
        history.add_words(item_id, index, delta, written=written, response_id="resp_1")


def ids(history: History) -> list[str]:
    return [item.item_id for item in history]


def got(history: History, item_id: str) -> Any:
    item = history.get(item_id)
    assert item is not None
    return item


class TestOrder:
    @pytest.mark.parametrize(
        ("steps", "order"),
        [
            ([("a", ""), ("b", "")], "ab"),
            ([("a", None), ("b", None)], "ba"),
            ([("a", None), ("b", "a"), ("c", "a")], "acb"),
            ([("a", None), ("b", "nobody"), ("c", "b")], "abc"),
            ([("a", "a")], "a"),
            ([("a", ""), ("b", ""), ("a", "a")], "ab"),
        ],
        ids=["where nobody says, last", "None is first", "after another", "unknown: last", "itself", "itself again"],
    )
    def test_where_a_new_item_stands(self, steps: list[tuple[str, str | None]], order: str) -> None:
        history = History()
        for item_id, after in steps:
            history.update(user(item_id), after)
        assert ids(history) == list(order)
        assert len(history) == len(order)

    def test_a_known_item_moves_when_its_place_becomes_known(self) -> None:
        history = History()
        history.update(assistant("reply"))  # response.output_item.added knows no place
        history.update(user("question"), None)
        assert ids(history) == ["question", "reply"]
        history.update(user("late"), "question")
        history.update(assistant("reply"), "late")
        assert ids(history) == ["question", "late", "reply"]

    def test_a_known_item_stays_where_nobody_says_otherwise(self) -> None:
        history = History()
        for item_id in "abc":
            history.update(user(item_id))
        history.update(user("a"), "")
        history.update(user("b"), "nobody")
        assert ids(history) == list("abc")

    def test_new_is_told_apart_from_changed(self) -> None:
        history = History()
        assert history.update(user("a"))
        assert not history.update(user("a", InputText("hi")))
        assert history.delete("a")
        assert not history.delete("a")
        assert history.update(user("a"))

    def test_lists_are_the_readers_own(self) -> None:
        history = History()
        history.update(user("a"))
        history.items().clear()
        assert ids(history) == ["a"]


class TestWords:
    def test_are_seen_as_they_come(self) -> None:
        history = History()
        history.update(assistant("a"))
        say(history, "a", "Hel", "lo")
        assert got(history, "a").content == (AssistantAudio("Hello"),)
        say(history, "a", " there")
        assert history.items()[0] == assistant("a", AssistantAudio("Hello there"))

    def test_for_an_unknown_item_make_it(self) -> None:
        history = History()
        say(history, "a", "Hi")
        assert got(history, "a") == AssistantMessageItem(
            item_id="a", content=(AssistantAudio("Hi"),), status="in_progress", response_id="resp_1"
        )

    def test_written_and_spoken_parts_side_by_side(self) -> None:
        history = History()
        say(history, "a", "see", index=1, written=True)
        say(history, "a", "Look", index=0)
        assert got(history, "a").content == (AssistantAudio("Look"), AssistantText("see"))
        assert got(history, "a").text == "Looksee"

    def test_the_whole_transcript_replaces_the_pieces(self) -> None:
        history = History()
        say(history, "a", "Hel", "lo ther")
        history.update(assistant("a", AssistantAudio("Hello there."), status="completed"))
        assert got(history, "a").text == "Hello there."

    @pytest.mark.parametrize("parts", [(), (AssistantAudio(None),), (AssistantAudio(""),)])
    def test_survive_an_update_that_comes_without_them(self, parts: tuple[AssistantAudio, ...]) -> None:
        history = History()
        say(history, "a", "Hello")
        history.update(assistant("a", *parts, status="completed"))
        assert got(history, "a").content == (AssistantAudio("Hello"),)
        assert got(history, "a").status == "completed"

    def test_text_survives_too(self) -> None:
        history = History()
        say(history, "a", "Hello", written=True)
        history.update(assistant("a", AssistantText("")))
        assert got(history, "a").content == (AssistantText("Hello"),)

    def test_an_ended_item_does_not_begin_again(self) -> None:
        history = History()
        history.update(assistant("a", AssistantAudio("Hi"), status="completed"))
        history.update(assistant("a", status="in_progress"))
        assert got(history, "a") == assistant("a", AssistantAudio("Hi"), status="completed")

    @pytest.mark.parametrize("index", [-1, -(2**40), 64, 2**40])
    def test_of_impossible_parts_are_dropped(self, index: int) -> None:
        history = History()
        say(history, "a", "lost", index=index)
        say(history, "a", "kept")
        assert got(history, "a").content == (AssistantAudio("kept"),)

    def test_do_not_come_back_with_an_item_of_the_same_id(self) -> None:
        history = History()
        say(history, "a", "old", written=True)
        history.delete("a")
        say(history, "a", "new")
        assert got(history, "a").content == (AssistantAudio("new"),)


class TestInterrupted:
    def test_tells_what_was_heard_and_stays(self) -> None:
        history = History()
        say(history, "a", "Hello")
        assert history.interrupted("a", 0, 340, 700)
        history.update(assistant("a", AssistantAudio(None), status="completed"))
        item = got(history, "a")
        assert (item.status, item.played_ms, item.text) == ("interrupted", 340, "Hello")

    def test_only_the_assistant_is_interrupted(self) -> None:
        history = History()
        history.update(user("u"))
        assert not history.interrupted("u", 0, 0, 0)
        assert not history.interrupted("nobody", 0, 0, 0)
        assert ids(history) == ["u"]


class TestUser:
    def test_a_transcript_fills_its_part(self) -> None:
        history = History()
        history.update(user("u", InputText("look:"), InputAudio(), InputImage("data:x")))
        assert not history.transcribed("u", 1, "a cat")
        assert got(history, "u").content == (InputText("look:"), InputAudio("a cat"), InputImage("data:x"))

    @pytest.mark.parametrize("index", [0, 7, -1])
    def test_a_wrong_index_finds_what_was_spoken(self, index: int) -> None:
        history = History()
        history.update(user("u", InputText("look:"), InputAudio()))
        history.transcribed("u", index, "a cat")
        assert got(history, "u").content == (InputText("look:"), InputAudio("a cat"))

    def test_a_transcript_before_its_item(self) -> None:
        history = History()
        history.update(assistant("reply"))
        assert history.transcribed("u", 0, "hello")
        assert not history.update(user("u", InputAudio()), None)
        assert ids(history) == ["u", "reply"]
        assert got(history, "u").content == (InputAudio("hello"),)

    def test_images_are_kept_in_their_place(self) -> None:
        history = History()
        history.update(user("u", InputText("see"), InputImage("data:x"), InputText("there")))
        history.update(user("u", InputText("see"), InputText("there")))
        assert got(history, "u").content == (InputText("see"), InputImage("data:x"), InputText("there"))
        history.update(user("u", InputText("see"), InputImage(None), InputText("there")))
        assert got(history, "u").content[1] == InputImage("data:x")

    def test_another_role_replaces(self) -> None:
        history = History()
        history.update(user("x", InputText("hi")))
        history.update(SystemMessageItem(item_id="x", content=(InputText("rule"),)))
        assert got(history, "x").role == "system"


class TestTools:
    def test_a_call_keeps_its_output(self) -> None:
        history = History()
        call = RealtimeToolCallItem(item_id="c", call_id="call_1", name="f", output="4", status="completed")
        history.update(call)
        history.update(RealtimeToolCallItem(item_id="c", call_id="call_1", name="f"))
        assert history.items() == [call]

    def test_other_items_are_replaced_whole(self) -> None:
        history = History()
        history.update(McpCallItem(item_id="m", name="f"))
        done = McpCallItem(item_id="m", name="f", output="4", status="completed")
        history.update(done)
        assert history.items() == [done]


# Any order of everything

NAMES = st.sampled_from("abcdef")
PLACES = st.one_of(st.just(""), st.none(), NAMES, st.just("stranger"))
PARTS = st.lists(
    st.one_of(
        st.builds(AssistantAudio, st.none() | st.text(max_size=3)),
        st.builds(AssistantText, st.text(max_size=3)),
        st.builds(InputAudio, st.none() | st.text(max_size=3)),
        st.builds(InputImage, st.none() | st.just("data:x")),
    ),
    max_size=3,
).map(tuple)
ITEMS = st.one_of(
    st.builds(UserMessageItem, item_id=NAMES, content=PARTS),
    st.builds(SystemMessageItem, item_id=NAMES, content=PARTS),
    st.builds(
        AssistantMessageItem,
        item_id=NAMES,
        content=PARTS,
        status=st.sampled_from([None, "in_progress", "completed", "incomplete"]),
    ),
    st.builds(RealtimeToolCallItem, item_id=NAMES, call_id=st.just("call_1"), name=st.just("f")),
)
INDEXES = st.integers(-2, 4) | st.integers()
STEPS = st.one_of(
    st.tuples(st.just("update"), ITEMS, PLACES),
    st.tuples(st.just("delete"), NAMES),
    st.tuples(st.just("words"), NAMES, INDEXES, st.booleans()),
    st.tuples(st.just("transcribed"), NAMES, INDEXES),
    st.tuples(st.just("interrupted"), NAMES),
    st.tuples(st.just("look")),
)


class Order:
    """The model: a list of ids, with nothing clever about it."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    def update(self, item_id: str, after: str | None) -> None:
        known = item_id in self.ids
        says = after is None or (after in self.ids and after != item_id)
        if known and not says:
            return
        if known:
            self.ids.remove(item_id)
        self.ids.insert(0 if after is None else self.ids.index(after) + 1 if says else len(self.ids), item_id)

    def seen(self, item_id: str) -> None:
        if item_id not in self.ids:
            self.ids.append(item_id)

    def delete(self, item_id: str) -> None:
        if item_id in self.ids:
            self.ids.remove(item_id)


@given(st.lists(STEPS, max_size=30))
def test_any_order_of_anything(steps: list[Any]) -> None:
    history, order = History(), Order()
    for step in steps:
        match step:
            case "update", item, after:
                assert history.update(item, after) == (item.item_id not in order.ids)
                order.update(item.item_id, after)
            case "delete", item_id:
                assert history.delete(item_id) == (item_id in order.ids)
                order.delete(item_id)
            case "words", item_id, index, written:
                history.add_words(item_id, index, "w", written=written, response_id="r")
                if 0 <= index < 64:
                    order.seen(item_id)
            case "transcribed", item_id, index:
                assert history.transcribed(item_id, index, "t") == (item_id not in order.ids)
                order.seen(item_id)
            case "interrupted", item_id:
                history.interrupted(item_id, 0, 5, 10)
            case ("look",):
                history.items()
        assert len(history) == len(order.ids)
    assert ids(history) == order.ids
    assert [got(history, item_id).item_id for item_id in order.ids] == order.ids


@given(st.lists(st.tuples(st.integers(0, 2), st.text(max_size=4), st.booleans()), max_size=30))
def test_looking_changes_no_word(deltas: list[tuple[int, str, bool]]) -> None:
    looked_at, left_alone = History(), History()
    for index, delta, look in deltas:
        say(looked_at, "a", delta, index=index)
        say(left_alone, "a", delta, index=index)
        if look:
            looked_at.items()
    assert looked_at.items() == left_alone.items()


class Id(str):
    """An id that counts how often one is compared with another: a list that is searched does that."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other: object) -> bool:
        Id.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def cost(step: Callable[[], Any]) -> int:
    """Count, without a clock, the lines of the history's own code that `step` runs and the ids that it compares."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if not frame.f_code.co_filename.endswith("session/history.py"):
            return None
        count += event == "line"
        return trace

    before, compared = sys.gettrace(), Id.compared
    sys.settrace(trace)
    try:
        step()
    finally:
        sys.settrace(before)
    return count + Id.compared - compared


class TestCost:
    def history_of(self, size: int) -> History:
        history = History()
        previous: Id | None = None
        for number in range(size):
            item_id = Id(f"item_{number}")
            item: RealtimeItem = user(item_id) if number % 2 else assistant(item_id, AssistantAudio("words"))
            history.update(item, previous)
            previous = item_id
        say(history, Id("now"), "Hello")
        return history

    @pytest.mark.parametrize(
        "step",
        [
            lambda history: say(history, Id("now"), "x" * 10),
            lambda history: history.update(assistant(Id("new")), Id("now")),
            lambda history: history.update(assistant(Id("now"), AssistantAudio("Hello there."))),
            lambda history: history.interrupted(Id("now"), 0, 10, 20),
            lambda history: history.get(Id("now")),
        ],
        ids=["delta", "new item", "item done", "interruption", "look at one"],
    )
    def test_a_step_costs_the_same_at_any_age(self, step: Callable[[History], Any]) -> None:
        young, old = self.history_of(4), self.history_of(2_000)
        assert 0 < cost(lambda: step(old)) <= cost(lambda: step(young)) + 5  # a hash can collide

    def test_what_does_search_is_seen_to(self) -> None:
        young, old = self.history_of(4), self.history_of(2_000)
        assert cost(lambda: old.delete(Id("now"))) > cost(lambda: young.delete(Id("now"))) + 1_000

    def test_a_delta_copies_nothing_of_what_was_said_before(self) -> None:
        history = History()
        history.update(assistant("a"))
        say(history, "a", "word ")
        costs = [cost(lambda: say(history, "a", "word ")) for _ in range(500)]
        assert len(set(costs)) == 1
        assert got(history, "a").text == "word " * 501
