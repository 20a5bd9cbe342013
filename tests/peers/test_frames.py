"""The judge of server events itself: it lets right ones pass, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from .frames import faults_of

SPEECH_STARTED: dict[str, Any] = {
    "type": "input_audio_buffer.speech_started",
    "event_id": "event_1",
    "audio_start_ms": 120,
    "item_id": "item_1",
}
ITEM: dict[str, Any] = {"id": "item_1", "type": "message", "role": "user", "content": []}


@pytest.mark.parametrize(
    "event",
    [
        SPEECH_STARTED,
        {"type": "conversation.item.added", "event_id": "event_1", "previous_item_id": None, "item": ITEM},
        {
            "type": "response.output_text.delta",
            "event_id": "event_1",
            "response_id": "resp_1",
            "item_id": "item_1",
            "output_index": 0,
            "content_index": 0,
            "delta": "Hello",
            "obfuscation": "x5Fm2",
        },
        {"type": "input_audio_buffer.dtmf_event_received", "event": "5", "received_at": 1763710000},
    ],
    ids=lambda event: event["type"],
)
def test_right_events_pass(event: dict[str, Any]) -> None:
    assert faults_of(event) == []


@pytest.mark.parametrize(
    ("event", "fault"),
    [
        ({**SPEECH_STARTED, "type": "input_audio_buffer.speech_begun"}, "no such server event"),
        ({**SPEECH_STARTED, "audio_start_ms": "120"}, "audio_start_ms: Input should be a valid integer"),
        ({**SPEECH_STARTED, "event_id": None}, "event_id: Input should be a valid string"),
        ({name: SPEECH_STARTED[name] for name in ("type", "event_id", "audio_start_ms")}, "item_id: Field required"),
        ({**SPEECH_STARTED, "audio_start": 120}, "audio_start: no such field"),
        (
            {"type": "conversation.item.added", "event_id": "event_1", "item": {**ITEM, "colour": "red"}},
            "item.colour: no such field",
        ),
        (
            {
                "type": "conversation.item.done",
                "event_id": "event_1",
                "item": {**ITEM, "content": [{"type": "input_text", "text": "Hi", "size": 2}]},
            },
            "item.content[].size: no such field",
        ),
    ],
)
def test_faults_are_found(event: dict[str, Any], fault: str) -> None:
    (found,) = faults_of(event)
    assert fault in found
