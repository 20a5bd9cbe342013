"""`update_history`: editing the conversation in its place, and refusing what can't be done before anything is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from jackfield import (
    AssistantAudio,
    AssistantMessageItem,
    AssistantText,
    HandoffInputData,
    InputImage,
    InputText,
    RealtimeAgent,
    RealtimePlaybackTracker,
    RealtimeSession,
    RealtimeToolCallItem,
    UserMessageItem,
    function_tool,
    realtime_handoff,
)
from jackfield.errors import ConfigurationError, SessionStateError, UnsupportedByTransportError
from jackfield.transport.items import McpCallItem, RealtimeItem
from support.memory_wire import (
    FarEnd,
    MemoryWire,
    call_turn,
    memory_transport,
    open_session,
    spoken_turn,
    text_turn,
    user_item,
)


class Provider:
    """Holds the conversation as the far end does: it obeys, confirms, and knows when it is told nonsense."""

    def __init__(self, far: FarEnd, *, from_the_start: bool = False) -> None:
        self.far = far
        self.items: list[dict[str, Any]] = []
        self._done = 0 if from_the_start else len(far.frames)

    async def obey(self) -> None:
        """Do what was asked since the last time, and confirm it."""
        for frame in self.far.frames[self._done :]:
            ids = [item["id"] for item in self.items]
            if frame["type"] == "conversation.item.delete":
                del self.items[ids.index(frame["item_id"])]
                self.far.send({"type": "conversation.item.deleted", "item_id": frame["item_id"]})
            elif frame["type"] == "conversation.item.create" and "previous_item_id" in frame:
                item, previous = frame["item"], frame["previous_item_id"]
                assert item["id"] not in ids
                place = 0 if previous == "root" else ids.index(previous) + 1
                self.items.insert(place, item)
                after = self.items[place - 1]["id"] if place else None
                for kind in ("conversation.item.added", "conversation.item.done"):
                    self.far.send({"type": kind, "previous_item_id": after, "item": item | {"status": "completed"}})
        self._done = len(self.far.frames)
        await self.far.heard()

    @property
    def ids(self) -> list[str]:
        return [item["id"] for item in self.items]


def ids(history: Sequence[RealtimeItem]) -> list[str]:
    return [item.item_id for item in history]


def user(item_id: str, text: str = "Hi") -> UserMessageItem:
    return UserMessageItem(item_id=item_id, content=(InputText(text),), status="completed")


def wrote(item_id: str, text: str = "Yes") -> AssistantMessageItem:
    return AssistantMessageItem(item_id=item_id, content=(AssistantText(text),), status="completed")


def called(item_id: str, output: str = "4") -> RealtimeToolCallItem:
    return RealtimeToolCallItem(
        item_id=item_id, call_id=f"call_{item_id}", name="add", arguments="{}", output=output, status="completed"
    )


histories = st.lists(
    st.builds(
        lambda make, name, text: make(name, text),
        st.sampled_from([user, wrote, called]),
        st.sampled_from("abcde"),
        st.sampled_from(["one", "two"]),
    ),
    max_size=5,
    unique_by=lambda item: item.item_id,
)


def edits(far: FarEnd) -> list[tuple[str, str, str | None]]:
    """What was asked of the far end, in order: what, of which item, and behind which."""
    found = []
    for frame in far.frames:
        if frame["type"] == "conversation.item.delete":
            found.append(("delete", frame["item_id"], None))
        elif frame["type"] == "conversation.item.create":
            found.append(("create", frame["item"]["id"], frame["previous_item_id"]))
    return found


async def conversation(far: FarEnd, session: RealtimeSession) -> list[RealtimeItem]:
    """Three items: what the user wrote, what the assistant said, what the user wrote."""
    far.send(*user_item("user_1", "One"), *spoken_turn("resp_1", "item_1", previous="user_1"))
    far.send(*user_item("user_2", "Two", previous="item_1"))
    await far.heard()
    return session.history


class TestInPlace:
    @pytest.mark.parametrize(
        ("place", "after"), [(0, "root"), (1, "user_1"), (2, "item_1"), (3, "user_2")], ids=["first", "2", "3", "last"]
    )
    async def test_a_new_item_goes_behind_its_predecessor(self, place: int, after: str) -> None:
        async with open_session() as (session, far):
            history = await conversation(far, session)
            history.insert(place, user("note"))
            await session.update_history(history)
            assert edits(far) == [("create", "note", after)]
            assert "response.create" not in far.types

    async def test_several_new_ones_follow_one_another(self) -> None:
        async with open_session() as (session, far):
            first, *others = await conversation(far, session)
            await session.update_history([first, user("a"), wrote("b"), called("c"), user("d"), *others])
            assert edits(far) == [
                ("create", "a", "user_1"),
                ("create", "b", "a"),
                ("create", "c", "b"),
                ("create", "c_out", "c"),
                ("create", "d", "c_out"),
            ]

    async def test_a_changed_one_is_made_anew_where_it_was(self) -> None:
        async with open_session() as (session, far):
            first, *others = await conversation(far, session)
            await session.update_history([evolve(first, content=(InputText("Uno"),)), *others])
            assert edits(far) == [("delete", "user_1", None), ("create", "user_1", "root")]

    async def test_what_is_left_out_is_deleted_first(self) -> None:
        async with open_session() as (session, far):
            _, spoken, _ = await conversation(far, session)
            await session.update_history([spoken, user("note")])
            assert edits(far) == [("delete", "user_1", None), ("delete", "user_2", None), ("create", "note", "item_1")]

    async def test_a_call_goes_with_its_output(self) -> None:
        @function_tool
        def add() -> int:
            return 4

        async with open_session(RealtimeAgent("A", tools=[add])) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "add", "{}")))
            await far.received("response.create")
            output = {"type": "function_call_output", "id": "out_1", "call_id": "call_1", "output": "4"}
            far.send({"type": "conversation.item.added", "previous_item_id": "item_call_1", "item": output})
            await far.heard()
            before = len(far.frames)
            (call,) = session.history
            await session.update_history([call, user("note")])
            assert far.frames[before]["previous_item_id"] == "out_1"
            await session.update_history([user("note")])
            assert [frame.get("item_id") for frame in far.frames[before + 1 :]] == ["item_call_1", "out_1"]

    async def test_one_that_was_written_into_it_does_so_too(self) -> None:
        async with open_session() as (session, far):
            await session.update_history([called("c")])
            await Provider(far, from_the_start=True).obey()
            await session.update_history([])
            assert edits(far)[-2:] == [("delete", "c", None), ("delete", "c_out", None)]

    async def test_nothing_changed_nothing_sent(self) -> None:
        tracker = RealtimePlaybackTracker()
        async with open_session(playback_tracker=tracker) as (session, far):
            history = await conversation(far, session)
            tracker.on_play_ms("item_1", 0, 150)  # what was heard meanwhile is no change of the model's conversation
            await session.update_history(history)
            await session.update_history(lambda history: history)
            assert far.types == ["session.update"]


class TestByAFunction:
    async def test_it_is_given_the_history_to_do_with_as_it_likes(self) -> None:
        async with open_session() as (session, far):
            await conversation(far, session)

            def drop_the_last(history: list[RealtimeItem]) -> list[RealtimeItem]:
                assert ids(history) == ["user_1", "item_1", "user_2"]
                history.pop()
                return history

            await session.update_history(drop_the_last)
            assert edits(far) == [("delete", "user_2", None)]
            assert ids(session.history) == ["user_1", "item_1", "user_2"]  # until the far end says so

    async def test_what_it_raises_is_raised_and_nothing_sent(self) -> None:
        def fail(history: list[RealtimeItem]) -> list[RealtimeItem]:
            raise LookupError("nothing to edit")

        async with open_session() as (session, far):
            await conversation(far, session)
            with pytest.raises(LookupError, match="nothing to edit"):
                await session.update_history(fail)
            assert far.types == ["session.update"]

    async def test_any_iterable_will_do(self) -> None:
        async with open_session() as (session, far):
            await conversation(far, session)
            await session.update_history(lambda history: (item for item in history[:2]))  # type: ignore[arg-type, return-value]
            assert edits(far) == [("delete", "user_2", None)]


class TestRefused:
    @pytest.mark.parametrize(
        "new",
        [
            AssistantMessageItem(item_id="new", content=(AssistantAudio("I never said that."),)),
            AssistantMessageItem(item_id="item_1", content=(AssistantAudio("I never said that."),)),
            McpCallItem(item_id="new", name="search"),
            UserMessageItem(item_id="new", content=(InputImage(None),)),
        ],
        ids=["new speech", "changed speech", "a hosted call", "an image without one"],
    )
    @pytest.mark.parametrize("by_function", [True, False])
    async def test_what_can_not_be_created_before_anything_is_sent(self, new: RealtimeItem, by_function: bool) -> None:
        async with open_session() as (session, far):
            await conversation(far, session)
            with pytest.raises(ConfigurationError, match=new.item_id):
                await session.update_history(
                    (lambda history: [user("note"), new]) if by_function else [user("note"), new]
                )
            assert far.types == ["session.update"]
            assert ids(session.history) == ["user_1", "item_1", "user_2"]

    @pytest.mark.parametrize(
        "history",
        [
            None,
            5,
            "item_1",
            [None],
            ["item_1"],
            [{"type": "message", "role": "user", "content": []}],
            lambda history: None,
            lambda history: "item_1",
            [user("note"), user("note")],
            [user("note"), wrote("note")],
        ],
        ids=repr,
    )
    async def test_what_is_no_history(self, history: Any) -> None:
        async with open_session() as (session, far):
            await conversation(far, session)
            with pytest.raises(ConfigurationError):
                await session.update_history(history)
            assert far.types == ["session.update"]

    async def test_where_the_transport_can_not(self) -> None:
        wire = MemoryWire()
        transport = memory_transport(wire, history=False)
        async with RealtimeSession(RealtimeAgent("A"), transport=transport) as session:
            with pytest.raises(UnsupportedByTransportError):
                await session.update_history([user("note")])
            assert wire.far_ends[0].types == ["session.update"]

    async def test_out_of_time(self) -> None:
        wire = MemoryWire()
        session = RealtimeSession(RealtimeAgent("A"), transport=memory_transport(wire))
        with pytest.raises(SessionStateError):
            await session.update_history([])
        async with session:
            pass
        with pytest.raises(SessionStateError):
            await session.update_history(lambda history: history)


class TestConfirmed:
    async def test_the_history_follows(self) -> None:
        async with open_session() as (session, far):
            provider = Provider(far)
            await session.update_history([user("a"), wrote("b"), called("c")])
            await provider.obey()
            assert session.history == [user("a"), wrote("b"), called("c")]
            await session.update_history([wrote("b", "No"), user("d"), user("a")])
            await provider.obey()
            assert session.history == [wrote("b", "No"), user("d"), user("a")]
            assert provider.ids == ["b", "d", "a"]

    async def test_a_second_edit_before_the_first_is_confirmed(self) -> None:
        async with open_session() as (session, far):
            provider = Provider(far)
            await session.update_history([user("a"), user("b"), user("c")])
            await provider.obey()
            await session.update_history(lambda history: [*history, user("d")])
            await session.update_history(lambda history: [*history[1:], user("e")])
            await session.update_history(lambda history: history[1:])
            await provider.obey()
            assert provider.ids == ["c", "d", "e"]
            assert ids(session.history) == ["c", "d", "e"]

    async def test_an_edit_that_is_refused_is_no_ground_for_the_next(self) -> None:
        async with open_session() as (session, far):
            provider = Provider(far)
            await session.update_history([user("a")])
            await provider.obey()
            await session.update_history(lambda history: [*history, user("b")])
            far.frames.pop()
            error = {"type": "invalid_request_error", "code": "invalid_value", "message": "b is not to our liking"}
            far.send({"type": "error", "error": error})
            await far.heard()
            await session.update_history(lambda history: [*history, user("c")])
            await provider.obey()
            assert provider.ids == ["a", "c"]
            assert ids(session.history) == ["a", "c"]

    async def test_an_edit_that_could_not_be_sent_is_none_either(self) -> None:
        async with open_session() as (session, far):
            provider = Provider(far)
            await session.update_history([user("a")])
            await provider.obey()
            with pytest.raises(ConfigurationError):
                await session.update_history([user("b"), McpCallItem(item_id="c")])
            await session.update_history(lambda history: [*history, user("d")])
            await provider.obey()
            assert provider.ids == ["a", "d"]

    async def test_what_others_do_after_it_was_confirmed_holds(self) -> None:
        async with open_session() as (session, far):
            provider = Provider(far)
            await session.update_history([user("a"), user("b"), user("c")])
            await provider.obey()
            await session.update_history([user("a"), user("c"), user("d")])
            await provider.obey()
            far.send({"type": "conversation.item.deleted", "item_id": "d"})
            far.send(*user_item("b", "Again", previous="c"), *user_item("a", "Hi", previous="b"))
            await far.heard()
            seen: list[list[str]] = []

            def look(history: list[RealtimeItem]) -> list[RealtimeItem]:
                seen.append(ids(history))
                return history

            sent = len(far.frames)
            await session.update_history(look)
            assert seen == [["c", "b", "a"]]
            assert len(far.frames) == sent

    async def test_an_edit_whose_caller_gave_up_is_sent_all_the_same(self) -> None:
        async with open_session() as (session, far):
            provider = Provider(far)
            await session.update_history([user("a")])
            await provider.obey()
            far.stall()
            edit = asyncio.create_task(session.update_history(lambda history: [*history, user("b")]))
            await asyncio.sleep(0)
            edit.cancel()
            await asyncio.wait({edit})
            next_one = asyncio.create_task(session.update_history(lambda history: [*history, user("c")]))
            far.flow()
            await next_one
            await provider.obey()
            assert provider.ids == ["a", "b", "c"]

    async def test_a_handoffs_filter_begins_where_the_last_edit_ended(self) -> None:
        seen: list[list[str]] = []

        def keep_all(data: HandoffInputData) -> Sequence[RealtimeItem]:
            seen.append(ids(data.history))
            return data.history

        handoff = realtime_handoff(RealtimeAgent("Other"), input_filter=keep_all)
        async with open_session(RealtimeAgent("A", handoffs=[handoff])) as (session, far):
            provider = Provider(far)
            await session.update_history([user("a"), user("b")])
            await provider.obey()
            await session.update_history([user("b"), user("c")])
            far.send(*call_turn("resp_1", ("call_1", "transfer_to_other", "{}"), previous="b"))
            await far.received("response.create")
            assert seen == [["b", "item_call_1", "c"]]
            await provider.obey()
            assert provider.ids == ["b", "c"]

    async def test_what_is_said_meanwhile_stays(self) -> None:
        async with open_session() as (session, far):
            provider = Provider(far)
            await session.update_history([user("a"), user("b")])
            await provider.obey()
            await session.update_history(lambda history: [user("note"), *history])
            far.send(*text_turn("resp_1", "item_1", previous="b"))
            await provider.obey()
            assert ids(session.history) == ["note", "a", "b", "item_1"]

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.tuples(histories, st.booleans()), min_size=1, max_size=5))
    def test_any_list_after_any_other(self, steps: list[tuple[list[RealtimeItem], bool]]) -> None:
        async def edit() -> None:
            async with open_session() as (session, far):
                provider = Provider(far)
                for history, waits in steps:
                    await session.update_history(history)
                    if waits:
                        await provider.obey()
                        assert session.history == history
                await provider.obey()
                assert session.history == steps[-1][0]

        asyncio.run(edit())
