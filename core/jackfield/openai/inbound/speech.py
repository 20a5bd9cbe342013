"""The user's side: speech that starts and stops, its transcription, keys that are pressed.

Each handler is named after the event that it takes; the table in this package says which.
"""

from __future__ import annotations

from collections.abc import Mapping

from jackfield.openai.error_table import error_from_payload
from jackfield.openai.interruption import reaction_to_speech
from jackfield.openai.state import ConnectionState
from jackfield.openai.wire_items import copied, text_of
from jackfield.transport import events as ev

from .fields import NOTHING, Events, Message, integer_of, mapping_of, number_of

__all__ = [
    "committed",
    "dtmf",
    "speech_started",
    "speech_stopped",
    "timeout_triggered",
    "transcription_completed",
    "transcription_delta",
    "transcription_failed",
    "transcription_segment",
]


def transcription_delta(state: ConnectionState, message: Message) -> Events:
    item_id, index = text_of(message, "item_id"), integer_of(message, "content_index")
    return (ev.InputAudioTranscriptionDelta(text_of(message, "delta"), item_id, index),)


def transcription_segment(state: ConnectionState, message: Message) -> Events:
    item_id, index = text_of(message, "item_id"), integer_of(message, "content_index")
    return (ev.InputAudioTranscriptionDelta(text_of(message, "text"), item_id, index),)


def transcription_completed(state: ConnectionState, message: Message) -> Events:
    usage = message.get("usage")
    return (
        ev.InputAudioTranscriptionCompleted(
            text_of(message, "transcript"),
            text_of(message, "item_id"),
            integer_of(message, "content_index"),
            copied(usage) if isinstance(usage, Mapping) else None,
        ),
    )


def transcription_failed(state: ConnectionState, message: Message) -> Events:
    payload = {"message": "the transcription failed", **mapping_of(message, "error")}
    error = error_from_payload(payload, *state.secrets)
    item_id, index = text_of(message, "item_id"), integer_of(message, "content_index")
    return (ev.InputAudioTranscriptionFailed(error, item_id, index),)


def speech_started(state: ConnectionState, message: Message) -> Events:
    events: list[ev.TransportEvent] = [
        ev.SpeechStarted(text_of(message, "item_id"), integer_of(message, "audio_start_ms"))
    ]
    reaction = reaction_to_speech(state.turn_detection, state.barge_in)
    if reaction != "ignore":
        frames, told = state.interrupt(cancel=reaction == "cancel")
        state.reactions += frames
        events += told
    return events


def committed(state: ConnectionState, message: Message) -> Events:
    state.sequencer.input_added()
    return NOTHING


def speech_stopped(state: ConnectionState, message: Message) -> Events:
    return (ev.SpeechStopped(text_of(message, "item_id"), integer_of(message, "audio_end_ms")),)


def timeout_triggered(state: ConnectionState, message: Message) -> Events:
    return (
        ev.InputAudioTimeoutTriggered(
            text_of(message, "item_id"), integer_of(message, "audio_start_ms"), integer_of(message, "audio_end_ms")
        ),
    )


def dtmf(state: ConnectionState, message: Message) -> Events:
    digit = text_of(message, "event") or text_of(message, "digit")
    return (ev.DtmfReceived(digit, number_of(message, "received_at")),)
