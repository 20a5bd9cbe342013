"""The truth check: five clients hold the conversation of `conversation`, and agree with the server about it.

Three of them are the official ones, written without this server in mind. Each test asks one thing of every client.
"""

from __future__ import annotations

import base64

import numpy as np

from .conversation import TURNS, Conversation
from .frames import faults_of
from .observations import Failed, Interrupted, ToolRan, UserSaid


def test_the_server_understands_what_was_spoken(conversation: Conversation) -> None:
    spoken = [turn.says for turn in TURNS.values()]
    recognized = conversation.of("conversation.item.input_audio_transcription.completed")
    assert [event["transcript"] for event in recognized] == spoken
    assert [conversation.told(name, UserSaid) for name in TURNS] == [[UserSaid(words)] for words in spoken]


def test_a_spoken_question_is_answered_in_speech(conversation: Conversation) -> None:
    assert conversation.text("question") == TURNS["question"].answer
    _assert_speech(conversation.speech("question"), seconds=(6, 20))
    assert conversation.of("response.done", "question")[0]["response"]["status"] == "completed"


def test_the_tool_is_run_by_the_client_and_its_result_is_spoken(conversation: Conversation) -> None:
    assert conversation.log.of(ToolRan) == [ToolRan("get_weather", {"city": "Paris"})]
    assert conversation.told("tool", ToolRan)
    outputs = [
        event["item"]
        for event in conversation.received
        if event["type"] == "conversation.item.create" and event["item"]["type"] == "function_call_output"
    ]
    calls = conversation.of("response.function_call_arguments.done")
    assert [output["call_id"] for output in outputs] == [call["call_id"] for call in calls]
    assert conversation.text("tool") == TURNS["tool"].answer
    _assert_speech(conversation.speech("tool"), seconds=(1, 6))


def test_speaking_up_stops_an_answer_that_is_being_generated(conversation: Conversation) -> None:
    cancelled = conversation.of("response.done", "story")[0]["response"]
    assert cancelled["status"] == "cancelled"
    assert cancelled["status_details"]["reason"] == "turn_detected"
    (message,) = cancelled["output"]
    assert message["status"] == "incomplete"
    assert len(message["content"][0]["transcript"]) < len(TURNS["story"].answer)
    _assert_truncated(conversation, "story", by="thanks")


def test_speaking_up_stops_an_answer_that_is_only_played_any_more(conversation: Conversation) -> None:
    assert conversation.of("response.done", "question")[0]["response"]["status"] == "completed"
    _assert_truncated(conversation, "question", by="tool")


def test_the_conversation_goes_on_after_an_interruption(conversation: Conversation) -> None:
    assert conversation.text("thanks") == TURNS["thanks"].answer
    _assert_speech(conversation.speech("thanks"), seconds=(0.5, 4))
    assert conversation.sent.index(conversation.of("response.done", "story")[0]) < conversation.sent.index(
        conversation.of("response.created", "thanks")[0]
    )


def test_the_client_delivers_every_byte_of_an_answer(conversation: Conversation) -> None:
    for turn in ("question", "tool", "thanks"):
        deltas = conversation.of("response.output_audio.delta", turn)
        encoded = [event["delta"] for event in deltas]
        assert conversation.speech(turn) == b"".join(map(_decoded, encoded))


def test_every_event_of_the_server_is_of_an_official_type(conversation: Conversation) -> None:
    assert len(conversation.sent) > 100
    assert [fault for event in conversation.sent for fault in faults_of(event)] == []


def test_nothing_that_the_client_sent_is_refused(conversation: Conversation) -> None:
    assert [event["error"] for event in conversation.of("error")] == []
    assert conversation.log.of(Failed) == []


def _assert_truncated(conversation: Conversation, turn: str, *, by: str) -> None:
    """Assert that the client cut the answer of a turn within what it was sent, and had its application stop playing."""
    sent_ms = sum(len(_decoded(event["delta"])) for event in conversation.of("response.output_audio.delta", turn)) / 48
    item_id = conversation.item_id(turn)
    asked = [
        event
        for event in conversation.received
        if event["type"] == "conversation.item.truncate" and event["item_id"] == item_id
    ]
    done = [event for event in conversation.of("conversation.item.truncated") if event["item_id"] == item_id]
    assert [event["audio_end_ms"] for event in done] == [event["audio_end_ms"] for event in asked]
    assert len(done) == 1
    assert 0 <= done[0]["audio_end_ms"] < sent_ms
    assert conversation.told(by, Interrupted)


def _assert_speech(pcm: bytes, *, seconds: tuple[float, float]) -> None:
    """Assert that `pcm` lasts that long and is loud for much of it, without being one long noise."""
    least, most = seconds
    assert least < len(pcm) / 48_000 < most
    frames = np.frombuffer(pcm[: len(pcm) - len(pcm) % 960], dtype="<i2").reshape(-1, 480).astype(np.float64)
    loud = np.sqrt((frames**2).mean(axis=1)) > 500
    assert 0.3 < loud.mean() < 0.98


def _decoded(delta: str) -> bytes:
    return base64.b64decode(delta)
