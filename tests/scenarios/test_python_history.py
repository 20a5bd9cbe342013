"""What users of the Python SDK rely on, A74 to A78: the history, as items come, change and are told again.

Where a scenario's outcome differs here on purpose, `docs/compatibility.md` says why.
"""

from __future__ import annotations

from typing import Any

import pytest

from jackfield import (
    AssistantAudio,
    AssistantMessageItem,
    AssistantText,
    InputAudio,
    InputImage,
    InputText,
    RealtimeAgent,
    RealtimeItem,
    RealtimeSession,
    UserMessageItem,
    function_tool,
)
from support.clock import settle, timeless
from support.memory_wire import FarEnd, call_turn, open_session, read_until, spoken_turn, text_turn, user_item

Event = dict[str, Any]


def history_events(events: list[Any]) -> list[str]:
    return [event.type for event in events if event.type.startswith("history_")]


def message(item_id: str, role: str, *content: Any, status: str = "completed") -> Event:
    return {"id": item_id, "type": "message", "role": role, "status": status, "content": list(content)}


def told_again(item: Event, kind: str = "conversation.item.retrieved", **fields: Any) -> Event:
    return {"type": kind, "item": item, **fields}


def transcribed(item_id: str, transcript: str, content_index: int = 0) -> Event:
    kind = "conversation.item.input_audio_transcription.completed"
    return {"type": kind, "item_id": item_id, "content_index": content_index, "transcript": transcript}


async def after(far: FarEnd, session: RealtimeSession, *events: Event) -> list[RealtimeItem]:
    """Return the history after these events."""
    far.send(*events)
    await far.heard()
    return session.history


class TestScenarios:
    async def test_a74_a_call_and_its_output_are_one_entry(self) -> None:
        @function_tool
        def ping() -> str:
            return "pong"

        async with open_session(RealtimeAgent("Helper", tools=[ping])) as (session, far):
            await read_until(session, "history_updated")
            changes: list[tuple[str, str, str | None]] = []

            def note(event: Any) -> None:
                item = event.item if event.type == "history_added" else event.history[0]
                changes.append((event.type, item.status, item.output))

            session.on("history_added", note)
            session.on("history_updated", note)
            far.send(*call_turn("resp_1", ("call_1", "ping", "{}")))
            await read_until(session, "tool_end")
            assert changes[0] == ("history_added", "in_progress", None)
            assert [kind for kind, _, _ in changes[1:]] == ["history_updated"] * len(changes[1:])
            assert changes[-1] == ("history_updated", "completed", "pong")
            assert [item.item_id for item in session.history] == ["item_call_1"]

    async def test_a75_a_transcript_for_an_item_that_is_not_known(self) -> None:
        async with open_session() as (session, far):
            await read_until(session, "history_updated")
            far.send(transcribed("user_1", "Hello?"))
            events = await read_until(session, "history_updated")
            assert history_events(events) == ["history_added", "history_updated"]
            (added,) = [event.item for event in events if event.type == "history_added"]
            assert added == UserMessageItem(item_id="user_1", content=(InputAudio("Hello?"),), status="completed")
            assert session.history == [added]
            # When its item comes after all, it is the same.
            assert await after(far, session, *user_item("user_1")) == [added]

    @timeless
    async def test_a75_a_transcript_for_a_part_of_a_known_item(self) -> None:
        image = "data:image/png;base64,AAAA"
        content = (
            {"type": "input_text", "text": "Look:"},
            {"type": "input_image", "image_url": image},
            {"type": "input_audio", "transcript": None},
        )
        async with open_session() as (session, far):
            far.send(told_again(message("user_1", "user", *content), "conversation.item.added", previous_item_id=None))
            await read_until(session, "history_added")
            await read_until(session, "history_updated")
            far.send(transcribed("user_1", "What is that?", 2))
            events = await read_until(session, "history_updated")
            assert history_events(events) == ["history_updated"]
            assert session.history == [
                UserMessageItem(
                    item_id="user_1",
                    content=(InputText("Look:"), InputImage(image), InputAudio("What is that?")),
                    status="completed",
                )
            ]
            await settle()

    @pytest.mark.parametrize("transcript", [None, ""])
    @pytest.mark.parametrize("role", ["user", "assistant"])
    async def test_a76_an_item_that_comes_again_without_its_words_keeps_them(
        self, role: str, transcript: str | None
    ) -> None:
        kind = "input_audio" if role == "user" else "output_audio"
        first = message("item_1", role, {"type": kind, "transcript": "Hello there."})
        again = message("item_1", role, {"type": kind, "transcript": transcript})
        async with open_session() as (session, far):
            far.send(told_again(first, "conversation.item.added"))
            before = await after(far, session)
            assert await after(far, session, told_again(again)) == before
            (part,) = before[0].content  # type: ignore[union-attr]
            assert part.transcript == "Hello there."  # type: ignore[union-attr]

    @pytest.mark.parametrize("kind", ["conversation.item.added", "conversation.item.retrieved", "with no content"])
    async def test_a76_where_there_is_no_transcript_yet_the_words_so_far_stand(self, kind: str) -> None:
        turn = spoken_turn("resp_1", "item_1", ("Hello", " there", "."))
        second = [number for number, frame in enumerate(turn) if frame["type"].endswith("transcript.delta")][1]
        parts = () if kind == "with no content" else ({"type": "output_audio", "transcript": None},)
        again = message("item_1", "assistant", *parts, status="in_progress")
        async with open_session() as (session, far):
            event = told_again(again, kind if parts else "conversation.item.added")
            (item,) = await after(far, session, *turn[: second + 1], event)
            assert isinstance(item, AssistantMessageItem)
            assert (item.text, item.status) == ("Hello there", "in_progress")
            (item,) = await after(far, session, *turn[second + 1 :], event)
            assert isinstance(item, AssistantMessageItem)
            assert (item.text, item.status) == ("Hello there.", "completed")

    async def test_a76_the_whole_transcript_stands_over_the_words_that_came_before_it(self) -> None:
        turn = spoken_turn("resp_1", "item_1", ("Helo", " their"))
        corrected = message("item_1", "assistant", {"type": "output_audio", "transcript": "Hello there."})
        done = next(number for number, frame in enumerate(turn) if frame["type"] == "conversation.item.done")
        turn[done]["item"] = turn[done + 1]["item"] = corrected
        async with open_session() as (session, far):
            (item,) = await after(far, session, *turn[: done + 2])
            assert isinstance(item, AssistantMessageItem)
            assert item.text == "Hello there."

    async def test_a77_an_item_takes_its_place_behind_the_one_before_it(self) -> None:
        async with open_session() as (session, far):
            far.send(*user_item("user_1", "One"), *user_item("user_3", "Three", previous="user_1"))
            far.send(*user_item("user_2", "Two", previous="user_1"))
            far.send(*user_item("user_9", "Nine", previous="nobody"))
            history = await after(far, session, *user_item("user_0", "Zero", previous=None))
            assert [item.item_id for item in history] == ["user_0", "user_1", "user_2", "user_3", "user_9"]

    @pytest.mark.parametrize(
        ("content", "parts"),
        [
            ("no list", ()),
            ([None, 3, "text", {"type": "output_text", "text": "kept"}], (AssistantText("kept"),)),
            ([{"type": "hologram", "data": "?"}], ()),
            ([{"type": "output_audio", "transcript": 7}], (AssistantAudio(None),)),
            ([{"type": "output_text", "text": {"deep": []}}], (AssistantText(""),)),
            (None, ()),
        ],
    )
    async def test_a78_content_that_is_malformed(
        self, content: Any, parts: tuple[Any, ...], caplog: pytest.LogCaptureFixture
    ) -> None:
        async with open_session() as (session, far):
            errors: list[Any] = []
            session.on("error", errors.append)
            item = {**message("item_1", "assistant"), "content": content}
            (kept,) = await after(far, session, told_again(item, "conversation.item.added"), told_again(item))
            assert kept == AssistantMessageItem(item_id="item_1", content=parts, status="completed")
            assert errors == []
            far.send(*text_turn("resp_1", "item_2"))
            await read_until(session, "agent_end")
        assert [record for record in caplog.records if record.levelname in {"WARNING", "ERROR"}] == []


class TestWhatIsBetterHere:
    async def test_text_enters_the_history_as_it_is_written(self) -> None:
        turn = text_turn("resp_1", "item_1")
        last = max(number for number, frame in enumerate(turn) if frame["type"] == "response.output_text.delta")
        async with open_session() as (session, far):
            (item,) = await after(far, session, *turn[:last])
            assert isinstance(item, AssistantMessageItem)
            assert (item.text, item.status, item.response_id) == ("Hello", "in_progress", "resp_1")

    async def test_an_ended_message_does_not_begin_again(self) -> None:
        async with open_session() as (session, far):
            again = message("item_1", "assistant", status="in_progress")
            (item,) = await after(far, session, *spoken_turn("resp_1", "item_1"), told_again(again))
            assert isinstance(item, AssistantMessageItem)
            assert (item.status, item.text) == ("completed", "Hello there.")

    async def test_nothing_is_asked_for_again(self) -> None:
        async with open_session() as (session, far):
            far.send(*spoken_turn("resp_1", "item_1"), *user_item("user_1", previous="item_1"))
            await after(far, session, transcribed("user_1", "Well?"))
            assert far.types == ["session.update"]

    async def test_images_survive_an_update_that_comes_without_them(self) -> None:
        image = "data:image/png;base64,AAAA"
        first = message("user_1", "user", {"type": "input_image", "image_url": image}, {"type": "input_audio"})
        again = message("user_1", "user", {"type": "input_audio", "transcript": "What is that?"})
        async with open_session() as (session, far):
            (item,) = await after(far, session, told_again(first, "conversation.item.added"), told_again(again))
            assert isinstance(item, UserMessageItem)
            assert item.content == (InputImage(image), InputAudio("What is that?"))

    @pytest.mark.parametrize("role", ["user", "system"])
    @pytest.mark.parametrize("parts", [(), ({"type": "input_text", "text": ""},)], ids=["no content", "empty text"])
    async def test_text_survives_an_update_that_comes_without_it(self, role: str, parts: tuple[Any, ...]) -> None:
        first = message("item_1", role, {"type": "input_text", "text": "Be kind."})
        again = message("item_1", role, *parts)
        async with open_session() as (session, far):
            before = await after(far, session, told_again(first, "conversation.item.added"))
            assert await after(far, session, told_again(again)) == before

    async def test_a_deleted_item_is_gone(self) -> None:
        async with open_session() as (session, far):
            far.send(*user_item("user_1", "One"), *user_item("user_2", "Two", previous="user_1"))
            history = await after(far, session, {"type": "conversation.item.deleted", "item_id": "user_1"})
            assert [item.item_id for item in history] == ["user_2"]
