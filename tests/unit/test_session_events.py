"""The event stream: what coalesces, what adds up, what it holds for those who read late, and what harms nobody."""

from __future__ import annotations

from typing import Any

import pytest

from jackfield import RealtimeAgent, ToolContext, function_tool
from jackfield.transport.event_queue import DEFAULT_BYTE_BUDGET
from support.memory_wire import (
    AUDIO,
    call_turn,
    open_session,
    read_until,
    response_done,
    spoken_turn,
    text_turn,
    user_item,
)


class TestHistoryUpdated:
    async def test_many_changes_are_one_event_until_it_is_read(self) -> None:
        async with open_session() as (session, far):
            await read_until(session, "history_updated")
            for number in range(20):
                far.send(*user_item(f"item_{number}", "Hi"))
            await far.heard()
            far.close()
            events = [event async for event in session]
            updates = [event for event in events if event.type == "history_updated"]
            assert len(updates) == 1
            assert len([event for event in events if event.type == "history_added"]) == 20

    async def test_it_shows_the_history_as_it_is_when_it_is_looked_at(self) -> None:
        async with open_session() as (session, far):
            (update,) = await read_until(session, "history_updated")
            assert update.history == []
            far.send(*user_item("item_1", "Hi"))
            await far.heard()
            assert [item.item_id for item in update.history] == ["item_1"]
            update.history.clear()
            assert len(update.history) == len(session.history) == 1

    async def test_the_next_change_after_reading_is_told_again(self) -> None:
        async with open_session() as (session, far):
            for number in range(3):
                far.send(*user_item(f"item_{number}", "Hi"))
                await far.heard()
                update = (await read_until(session, "history_updated"))[-1]
                assert len(update.history) == number + 1

    async def test_a_listener_has_every_change_and_the_stream_still_one(self) -> None:
        async with open_session() as (session, far):
            await read_until(session, "history_updated")
            lengths: list[int] = []
            session.on("history_updated", lambda event: lengths.append(len(event.history)))
            for number in range(20):
                far.send(user_item(f"item_{number}", "Hi")[0])
            await far.heard()
            far.close()
            kinds = [event.type async for event in session]
            assert lengths == list(range(1, 21))
            assert kinds.count("history_updated") == 1

    async def test_words_are_in_it_as_they_come(self) -> None:
        async with open_session() as (session, far):
            seen: list[str] = []
            session.on("transcript_delta", lambda event: seen.append(session.history[0].text))
            far.send(*spoken_turn("resp_1", "item_1", ["a", "b", "c"]))
            await far.heard()
            assert seen == ["a", "ab", "abc"]


class TestUsage:
    async def test_adds_up_and_is_known_when_the_turn_ends(self) -> None:
        @function_tool
        def spent(context: ToolContext[Any]) -> int:
            return context.usage.total_tokens

        async with open_session(RealtimeAgent("A", tools=[spent])) as (session, far):
            totals: list[int] = []
            session.on("agent_end", lambda event: totals.append(event.info.context.usage.total_tokens))
            far.send(*spoken_turn("resp_1", "item_1", tokens=5), response_done("resp_2", status="cancelled", tokens=1))
            events = await read_until(session, lambda event: getattr(event, "status", "") == "cancelled")
            assert [event.usage.total_tokens for event in events if event.type == "usage_update"] == [10, 2]
            far.send(*call_turn("resp_3", ("call_1", "spent", "{}"))[:-1])
            output = await far.received("conversation.item.create")
            assert output["item"]["output"] == "12"
            far.send(response_done("resp_3", tokens=10))
            await far.heard()
            assert totals == [10, 12, 32]
            usage = session.usage
            assert (usage.requests, usage.input_tokens, usage.output_tokens) == (3, 16, 16)

    async def test_starts_at_nothing(self) -> None:
        async with open_session() as (session, _):
            assert session.usage.requests == session.usage.total_tokens == 0


class TestRawEvents:
    async def test_each_comes_before_what_it_amounts_to(self) -> None:
        async with open_session() as (session, far):
            far.send(*spoken_turn("resp_1", "item_1", tokens=1))
            events = await read_until(session, "agent_end")
            cause = {
                "agent_start": "response.created",
                "history_added": "response.output_item.added",
                "transcript_delta": "response.output_audio_transcript.delta",
                "audio_start": "response.output_audio.delta",
                "audio": "response.output_audio.delta",
                "audio_end": "response.output_audio.done",
                "usage_update": "response.done",
                "agent_end": "response.done",
            }
            last, checked = "", set()
            for event in events:
                if event.type == "raw_model_event":
                    last = event.data["type"]
                elif event.type in cause:
                    assert last == cause[event.type]
                    checked.add(event.type)
            assert checked == set(cause)

    async def test_they_are_whole_and_every_frame_is_one(self) -> None:
        async with open_session() as (session, far):
            turn = [*text_turn("resp_1", "item_1"), {"type": "later.addition", "a": None, "b": {"c": [1]}}]
            far.send(*turn)
            far.close()
            raw = [event.data async for event in session if event.type == "raw_model_event"]
            assert raw[-len(turn) :] == turn

    async def test_changing_them_harms_nobody(self) -> None:
        def vandalise(data: Any) -> None:
            for key in list(data):
                if isinstance(data[key], dict):
                    vandalise(data[key])
                data[key] = None

        async with open_session(RealtimeAgent("A")) as (session, far):
            wild: list[Any] = []
            session.transport.on("*", vandalise)
            session.transport.on("*", wild.append)
            session.on("raw_model_event", lambda event: vandalise(event.data))
            far.send(*user_item("user_1", "Hi"), *spoken_turn("resp_1", "item_1", previous="user_1", tokens=2))
            events = await read_until(session, "agent_end")
            assert b"".join(event.audio.data for event in events if event.type == "audio") == AUDIO * 2
            assert events[-1].output == "Hello there."
            assert [item.item_id for item in session.history] == ["user_1", "item_1"]
            assert session.usage.total_tokens == 4
            assert wild[-1]["type"] == "response.done"


class TestASessionThatNobodyReads:
    async def test_keeps_audio_within_its_budget_and_every_control_event(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        second = b"\1\0" * 24_000
        words = [f"{number} " for number in range(90)]
        async with open_session() as (session, far):
            turn = spoken_turn("resp_1", "item_1", words, audio=second)
            heard: list[int] = []
            session.on("audio", lambda event: heard.append(len(event.audio.data)))
            far.send(*turn)
            await far.heard()
            dropped = session.dropped
            far.close()
            events = [event async for event in session]

            audio = [event for event in events if event.type == "audio"]
            raw = [event for event in events if event.type == "raw_model_event"]
            deltas = [event for event in events if event.type == "transcript_delta"]
            # All in base64 and in bytes: what is kept is the newest, and fits.
            kept = sum(len(event.audio.data) for event in audio)
            kept += sum(len(event.data.get("delta", "")) for event in raw)
            assert DEFAULT_BYTE_BUDGET / 2 < kept <= DEFAULT_BYTE_BUDGET
            before = 2  # session.created and session.updated
            lost = (len(turn) + before - len(raw)) + (len(words) - len(audio)) + (len(words) - len(deltas))
            assert dropped == lost > 0
            # Listeners had everything, and no control event was dropped.
            assert heard == [len(second)] * len(words)
            assert [event.delta for event in deltas] == words[-len(deltas) :]
            assert session.history[0].text == "".join(words)
            kinds = [event.type for event in events]
            for kind in ("agent_start", "audio_start", "history_added", "audio_end", "agent_end"):
                assert kinds.count(kind) == 1
            assert kinds[-1] == "connection_change"
            # The reader is told, in one event.
            [told] = [event for event in events if event.type == "events_dropped"]
            assert told.count == dropped
            assert told.size > DEFAULT_BYTE_BUDGET / 2

    async def test_who_reads_in_time_loses_nothing(self) -> None:
        second = b"\1\0" * 24_000
        async with open_session() as (session, far):
            size = 0
            for number in range(90):
                turn = spoken_turn(f"resp_{number}", f"item_{number}", ["x"], audio=second)
                far.send(*turn)
                for event in await read_until(session, "agent_end"):
                    size += len(event.audio.data) if event.type == "audio" else 0
            assert session.dropped == 0
            assert size == 90 * len(second)
