"""A whole recorded conversation: every frame is one of the API, and the right events follow in the right order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import asdict
from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent
from pydantic import TypeAdapter

from jackfield.openai import OpenAIRealtimeProtocol
from jackfield.transport import ProviderError, TransportCapabilities, events, items
from support.api_types import undeclared

SERVER_EVENTS: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
CLIENT_EVENTS: TypeAdapter[Any] = TypeAdapter(RealtimeClientEvent)
CONVERSATION = Path(__file__).parent.parent / "data" / "conversation.jsonl"
"""One frame a line, with the time in seconds at which it passed. Written by hand after the API's own sequences."""


def recorded() -> Iterator[dict[str, Any]]:
    with CONVERSATION.open(encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines)


class TestRecordedConversation:
    """One conversation that has everything.

    Audio, transcription, a function call, an interruption, MCP with approval, an image, text, a response out of band,
    failures and the end of the session.
    """

    def test_every_frame_is_one_of_the_api(self) -> None:
        kinds = set()
        for line in recorded():
            if "event" in line:
                adapter = SERVER_EVENTS if line["from"] == "server" else CLIENT_EVENTS
                event = adapter.validate_python(line["event"])
                assert event.type == line["event"]["type"]
                kinds.add(event.type)
                if line["from"] == "client":
                    assert undeclared(event) == []
        assert len(kinds) > 45

    def test_the_right_events_in_order(self) -> None:
        now = 0.0
        dialect = OpenAIRealtimeProtocol(capabilities=TransportCapabilities(), clock=lambda: now)
        told: dict[str, list[str]] = {}
        reactions: list[dict[str, Any]] = []
        section: list[str] = []
        for line in recorded():
            if "note" in line:
                section = told.setdefault(line["note"], [])
                continue
            now = line["at"]
            event = line["event"]
            if line["from"] == "server":
                section += [brief(event) for event in dialect.receive(event)]
                reactions += dialect.data_to_send()
            elif event["type"] == "conversation.item.truncate":
                # This one is the dialect's own: what it wrote is what was recorded.
                [sent] = reactions
                assert {**sent, "event_id": ""} == {**event, "event_id": ""}
                reactions = []
            else:
                assert dialect.event(event) == [event], "the recording was not allowed to send this now"
        assert reactions == []
        assert dialect.sequencer.state == "idle"
        assert not dialect.unknown_types
        assert dict(dialect.unknown_codes) == {}
        assert told == EXPECTED


def brief(event: Any) -> str:
    """Return an event as a short line."""
    match event:
        case events.ItemUpdate():
            item = event.item
            shown = f"{item.item_id} {getattr(item, 'status', None) or ''}".strip()
            if isinstance(item, items.RealtimeToolCallItem) and item.output is not None:
                shown += f" = {item.output}"
            return f"item_update {shown}" + (f" after {event.after}" if event.after != "" else "")
        case events.Audio():
            return f"audio {event.item_id} {len(event.data)}"
        case events.Error():
            code = event.error.code if isinstance(event.error, ProviderError) else None
            return f"error {code} {event.error.classification}"  # type: ignore[attr-defined]
        case events.TurnStarted():
            return f"turn_started {event.response_id}"
        case events.TurnDone():
            return f"turn_done {event.response_id} {event.status}"
        case events.RateLimitsUpdated():
            return "rate_limits_updated"
        case events.UsageUpdate():
            return f"usage_update {event.usage.total_tokens}"
        case events.InputAudioTranscriptionCompleted() | events.InputAudioTranscriptionFailed():
            return f"{event.type} {event.item_id}"
        case events.McpToolsListed():
            return f"mcp_tools_listed {event.tools[0]['name']}"
        case events.McpToolCallCompleted():
            return f"mcp_tool_call_completed {event.item.output}"
    values = asdict(event, recurse=False)
    return " ".join([event.type, *(str(value) for value in values.values())])


EXPECTED: dict[str, list[str]] = {
    "session start": [],
    "tools of a hosted MCP server": [
        "item_update mcpl_1 after None",
        "item_update mcpl_1 after None",
        "mcp_tools_listed search",
    ],
    "a spoken turn that calls a function": [
        "speech_started item_U1 180",
        "speech_stopped item_U1 1500",
        "item_update item_U1 completed after mcpl_1",
        "item_update item_U1 completed after mcpl_1",
        "turn_started resp_1",
        "item_update item_F1 in_progress after item_U1",
        "input_audio_transcription_delta What is the weather item_U1 0",
        "item_update item_F1 in_progress after item_U1",
        "item_update item_F1 in_progress",
        'function_call get_weather {"city":"Paris"} call_1 item_F1 resp_1',
        "usage_update 90",
        "turn_done resp_1 completed",
        "input_audio_transcription_completed item_U1",
        "rate_limits_updated",
        "item_update item_F1 completed = Sunny, 21 degrees",
    ],
    "the spoken answer": [
        "turn_started resp_2",
        "item_update item_A1 in_progress",
        "item_update item_A1 in_progress after item_F1",
        "audio_transcript_delta It is sunny resp_2 item_A1 0",
        "audio item_A1 960",
        "audio_transcript_delta  in Paris. resp_2 item_A1 0",
        "audio item_A1 960",
        "audio_done resp_2 item_A1 0",
        "item_update item_A1 completed after item_F1",
        "item_update item_A1 completed",
        "usage_update 140",
        "turn_done resp_2 completed",
        "rate_limits_updated",
    ],
    "a long answer, interrupted by the user": [
        "item_update item_U2 completed after item_A1",
        "item_update item_U2 completed after item_A1",
        "turn_started resp_3",
        "item_update item_A2 in_progress",
        "item_update item_A2 in_progress after item_U2",
        "audio_transcript_delta Once upon a time resp_3 item_A2 0",
        "audio item_A2 960",
        "audio item_A2 960",
        "audio item_A2 960",
        "speech_started item_U3 9000",
        "audio_interrupted resp_3 item_A2 0 30 60",
        "audio_done resp_3 item_A2 0",
        "item_update item_A2 incomplete after item_U2",
        "item_update item_A2 incomplete",
        "usage_update 140",
        "turn_done resp_3 cancelled",
        "speech_stopped item_U3 9800",
        "item_update item_U3 completed after item_A2",
        "item_update item_U3 completed after item_A2",
        "turn_started resp_4",
        "input_audio_transcription_failed item_U3",
        "error server_error retry_turn",
        "turn_done resp_4 failed",
    ],
    "an MCP call that wants approval": [
        "turn_started resp_5",
        "item_update mcpr_1",
        "item_update mcpr_1 after item_U3",
        "item_update mcpr_1 after item_U3",
        'mcp_approval_request mcpr_1 docs search {"query":"realtime"}',
        "item_update mcpr_1",
        "usage_update 160",
        "turn_done resp_5 completed",
        "item_update mcpr_1",
        "item_update mcp_1 in_progress after mcpr_1",
        "item_update mcp_1 completed after mcpr_1",
        "mcp_tool_call_completed [3 pages]",
    ],
    "an image, and a written answer": [
        "item_update item_U4 completed after mcp_1",
        "item_update item_U4 completed after mcp_1",
        "turn_started resp_7",
        "item_update item_A3 in_progress",
        "item_update item_A3 in_progress after item_U4",
        "output_text_delta A cat. resp_7 item_A3 0",
    ],
    "beside it, a response out of band": [
        "turn_started resp_8",
        "output_text_delta calm resp_8 item_B1 0",
        "usage_update 52",
        "turn_done resp_8 completed",
        "item_update item_A3 completed after item_U4",
        "item_update item_A3 completed",
        "usage_update 315",
        "turn_done resp_7 completed",
        "rate_limits_updated",
    ],
    "housekeeping: a refused request, retrieve, delete, a manual turn, silence": [
        "error response_cancel_not_active benign",
        "item_update item_U1 completed",
        "item_deleted item_A3",
        "input_audio_timeout_triggered item_U6 20000 26000",
        "error session_expired reconnect",
    ],
}
