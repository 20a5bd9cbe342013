"""Acceptance scenarios of the JavaScript SDK, 24-31: what becomes of the far end's events.

Each test carries the scenario's number.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest

from jackfield import (
    AssistantAudio,
    AssistantText,
    HostedMCPTool,
    InputImage,
    InputText,
    RealtimeAgent,
    RealtimePlaybackTracker,
)
from jackfield.errors import ListenerError
from support.memory_wire import (
    MemoryWire,
    memory_transport,
    open_session,
    read_until,
    spoken_turn,
    text_turn,
    user_item,
)


def message(item_id: str, *parts: dict[str, Any], role: str = "assistant", **more: Any) -> dict[str, Any]:
    return {"id": item_id, "type": "message", "role": role, "content": list(parts), **more}


async def test_j24_an_unknown_event_is_seen_whole_and_breaks_nothing() -> None:
    novelty = {"type": "response.from_the_future", "a": {"b": [1, None, {"c": "d"}]}, "event_id": "event_9"}
    async with open_session() as (session, far):
        seen: list[Any] = []
        session.transport.on("*", seen.append)
        far.send(novelty, *text_turn("resp_1", "item_1"))
        events = await read_until(session, "agent_end")
        assert seen[0] == novelty
        assert novelty in [event.data for event in events if event.type == "raw_model_event"]
        assert events[-1].output == "Hello there."


async def test_j25_fields_of_tomorrow_are_kept_and_what_a_listener_changes_harms_nobody() -> None:
    def forge(value: Any) -> None:
        for inner in value.values() if isinstance(value, dict) else value:
            if isinstance(inner, dict | list):
                forge(inner)
        value.clear()

    async with open_session(playback_tracker=RealtimePlaybackTracker()) as (session, far):
        seen: list[Any] = []
        session.transport.on("*", forge)
        session.transport.on("*", lambda raw: seen.append(copy.deepcopy(raw)))
        session.transport.on("*", forge)
        turn = spoken_turn("resp_1", "item_1", previous="user_1", tokens=3)
        turn[-1]["response"]["novelty"] = {"grade": 1}
        detection = {"type": "server_vad", "interrupt_response": True}
        far.send({"type": "session.updated", "session": {"audio": {"input": {"turn_detection": detection}}}})
        far.send(*user_item("user_1", "Hi"), *turn[:-1])
        far.send({"type": "input_audio_buffer.speech_started", "item_id": "user_2", "audio_start_ms": 5, "novelty": 2})
        far.send(turn[-1])
        events = await read_until(session, "agent_end")
        assert seen[-1]["response"]["novelty"] == {"grade": 1}
        assert seen[-2]["novelty"] == 2
        assert [item.content for item in session.history] == [(InputText("Hi"),), (AssistantAudio("Hello there."),)]
        assert b"".join(event.audio.data for event in events if event.type == "audio") == b""  # it was cut, and unread
        assert session.usage.total_tokens == 6
        # What the session was configured to is known as before: the far end cancels by itself.
        assert "response.cancel" not in far.types
        assert (await far.received("conversation.item.truncate"))["item_id"] == "item_1"


@pytest.mark.parametrize(
    ("kind", "given", "status"),
    [
        ("conversation.item.added", None, "in_progress"),
        ("conversation.item.added", "completed", "completed"),
        ("conversation.item.added", "incomplete", "incomplete"),
        ("conversation.item.done", None, "completed"),
        ("conversation.item.done", "in_progress", "in_progress"),
        ("conversation.item.done", "incomplete", "incomplete"),
        ("conversation.item.retrieved", None, "completed"),
        ("conversation.item.retrieved", "incomplete", "incomplete"),
        ("response.output_item.added", None, "in_progress"),
        ("response.output_item.done", None, "completed"),
        ("response.output_item.done", "incomplete", "incomplete"),
        ("response.output_item.done", "in_progress", "in_progress"),
    ],
)
async def test_j26_a_missing_status_follows_from_the_event_and_a_given_one_wins(
    kind: str, given: str | None, status: str
) -> None:
    item = message("item_1", {"type": "output_text", "text": "Hi"}, **({"status": given} if given else {}))
    async with open_session() as (session, far):
        far.send({"type": kind, "response_id": "resp_1", "item": item})
        await far.heard()
        assert [item.status for item in session.history] == [status]


@pytest.mark.parametrize("kind", ["conversation.item.done", "response.output_item.done", "conversation.item.retrieved"])
async def test_j27_both_names_of_what_the_assistant_says_are_one(kind: str) -> None:
    async with open_session() as (session, far):
        for item_id, part in (("old", "audio"), ("new", "output_audio")):
            item = message(item_id, {"type": part, "transcript": "Hello"})
            far.send({"type": kind, "response_id": "resp_1", "item": item})
        for item_id, part in (("old text", "text"), ("new text", "output_text")):
            far.send({"type": kind, "response_id": "resp_1", "item": message(item_id, {"type": part, "text": "Bye"})})
        await far.heard()
        assert [item.content for item in session.history] == [
            (AssistantAudio("Hello"),),
            (AssistantAudio("Hello"),),
            (AssistantText("Bye"),),
            (AssistantText("Bye"),),
        ]


async def test_j28_a_transcription_that_is_billed_by_its_length() -> None:
    usage = {"type": "duration", "seconds": 3.5}
    async with open_session() as (session, far):
        kind = "conversation.item.input_audio_transcription.completed"
        far.send(*user_item("user_1"))
        far.send({"type": kind, "item_id": "user_1", "content_index": 0, "transcript": "Good day.", "usage": usage})
        told = (await read_until(session, "input_audio_transcription_completed"))[-1]
        assert (told.transcript, told.usage) == ("Good day.", usage)
        assert session.history[0].content[0].transcript == "Good day."
        assert session.usage.requests == 0


async def test_j29_a_listener_of_mcp_tools_that_raises_is_told_without_secrets_and_the_session_goes_on() -> None:
    def fail(event: Any) -> None:
        raise LookupError(f"no place for {event.server_label}: sk-proj-abcdefgh12345")

    server = HostedMCPTool({"server_label": "docs", "server_url": "https://example.com/mcp"})
    listed = {"id": "mcpl_1", "type": "mcp_list_tools", "server_label": "docs", "tools": [{"name": "search"}]}
    async with open_session(RealtimeAgent("Reader", tools=[server])) as (session, far):
        session.transport.on("mcp_tools_listed", fail)
        session.on("mcp_tools_listed", fail)
        far.send({"type": "conversation.item.done", "previous_item_id": None, "item": listed})
        events = await read_until(session, "mcp_tools_changed")
        far.send(*text_turn("resp_1", "item_1"))
        events += await read_until(session, "agent_end")
        errors = [event.error for event in events if event.type == "error"]
        assert [type(error) for error in errors] == [ListenerError, ListenerError]
        assert all("no place for docs" in str(error) and "abcdefgh" not in str(error) for error in errors)
        assert [tool["name"] for tool in session.mcp_tools] == ["search"]


async def test_j30_an_error_that_nobody_listens_to_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    wire = MemoryWire()
    transport = memory_transport(wire)
    await transport.connect()
    (far,) = wire.far_ends
    far.send({"type": "error", "error": {"type": "server_error", "code": "server_error", "message": "sk-abcd12 broke"}})
    done: list[Any] = []
    transport.on("turn_done", done.append)
    far.send(*text_turn("resp_1", "item_1"))
    await far.heard()
    assert len(done) == 1
    assert "broke" in caplog.text
    assert "sk-abcd12" not in caplog.text
    await transport.close()


async def test_j31_an_image_is_part_of_the_history() -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "high"}
    hologram = {"type": "input_hologram", "url": "holo://1"}
    async with open_session() as (session, far):
        parts = ({"type": "input_text", "text": "What is this?"}, hologram, image)
        item = message("user_1", *parts, role="user", status="completed")
        far.send({"type": "conversation.item.added", "previous_item_id": None, "item": item})
        added = (await read_until(session, "history_added"))[-1]
        content = (InputText("What is this?"), InputImage("data:image/png;base64,AAAA", "high"))
        assert added.item.content == content
        assert [item.content for item in session.history] == [content]
