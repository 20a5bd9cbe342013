"""What the replay server says: whole conversations as text frames, in the order in which the API says them.

Speech is noise, since nobody listens. Sizes are the API's: 100 ms of PCM16 in a delta, a word of transcript for every
third of them.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

DELTA_BYTES: Final = 4800
"""Bytes of PCM16 in an audio delta: 100 ms at 24 kHz."""

_AUDIO_VARIANTS: Final = 16
_WORDS: Final = ("well", "the", "weather", "in", "town", "is", "sunny", "and", "warm", "today", "with", "a", "breeze")


@dataclass(frozen=True)
class Workload:
    """A conversation: how many turns, and how many audio deltas in the answer of each."""

    name: str
    title: str
    turns: int
    deltas: int
    speech_events: bool = False
    """Whether the server tells that the user speaks. The answer before is then still playing: it is interrupted."""

    @property
    def audio_deltas(self) -> int:
        """Audio deltas in the whole conversation."""
        return self.turns * self.deltas

    @property
    def audio_bytes(self) -> int:
        """Bytes of decoded audio in the whole conversation."""
        return self.audio_deltas * DELTA_BYTES


WORKLOADS: Final = {
    workload.name: workload
    for workload in (
        Workload("long", "long streams: 400 deltas a response", 10, 400),
        Workload("short", "short turns: 10 deltas a response", 200, 10),
        Workload("barge", "short turns, each interrupting the answer before", 200, 10, speech_events=True),
        Workload("aging", "one long session of short turns", 600, 10),
        Workload("idle", "no turn at all", 0, 0),
    )
}


def session_frames() -> tuple[str, str]:
    """Return `session.created` and `session.updated`."""
    session = _session()
    return (
        _frame("session.created", "event_session_0", session=session),
        _frame("session.updated", "event_session_1", session=session),
    )


def conversation_frames(workload: Workload) -> Iterator[str]:
    """Yield every frame of the conversation, from the first turn's commit to the last turn's rate limits."""
    noise = random.Random(4711)
    audio = [base64.b64encode(noise.randbytes(DELTA_BYTES)).decode() for _ in range(_AUDIO_VARIANTS)]
    previous: str | None = None
    for turn in range(workload.turns):
        yield from _turn_frames(workload, turn, previous, audio)
        previous = f"item_assistant_{turn:06}"


def _turn_frames(workload: Workload, turn: int, previous: str | None, audio: list[str]) -> Iterator[str]:
    number = 0

    def frame(kind: str, **fields: Any) -> str:
        nonlocal number
        number += 1
        return _frame(kind, f"event_{turn:06}_{number:04}", **fields)

    user, assistant, response_id = f"item_user_{turn:06}", f"item_assistant_{turn:06}", f"resp_{turn:06}"
    place = {"response_id": response_id, "item_id": assistant, "output_index": 0, "content_index": 0}
    where = {"response_id": response_id, "output_index": 0}
    said = [f" {_WORDS[(turn + n) % len(_WORDS)]}" for n in range(max(1, workload.deltas // 3))]
    transcript = "".join(said).strip()
    user_item = _item(user, "user", "completed", [{"type": "input_audio", "transcript": None}])
    begun = _item(assistant, "assistant", "in_progress", [])
    done = _item(assistant, "assistant", "completed", [{"type": "output_audio", "transcript": transcript}])

    if workload.speech_events:
        yield frame("input_audio_buffer.speech_started", audio_start_ms=turn * 2000, item_id=user)
        yield frame("input_audio_buffer.speech_stopped", audio_end_ms=turn * 2000 + 900, item_id=user)
    yield frame("input_audio_buffer.committed", previous_item_id=previous, item_id=user)
    yield frame("conversation.item.added", previous_item_id=previous, item=user_item)
    yield frame("conversation.item.done", previous_item_id=previous, item=user_item)
    yield frame("response.created", response=_response(response_id, "in_progress", [], None))
    yield frame("response.output_item.added", **where, item=begun)
    yield frame("conversation.item.added", previous_item_id=user, item=begun)
    yield frame("response.content_part.added", **place, part={"type": "audio", "transcript": ""})
    for n in range(workload.deltas):
        if n % 3 == 0 and n // 3 < len(said):
            yield frame("response.output_audio_transcript.delta", **place, delta=said[n // 3], obfuscation="Xq3PzR0aLk")
        if n == 2:
            heard = {"item_id": user, "content_index": 0}
            prefix = "conversation.item.input_audio_transcription"
            yield frame(f"{prefix}.delta", **heard, delta="What is the weather?")
            usage = {"type": "duration", "seconds": 1}
            yield frame(f"{prefix}.completed", **heard, transcript="What is the weather?", usage=usage)
        yield frame("response.output_audio.delta", **place, delta=audio[n % len(audio)])
    yield frame("response.output_audio.done", **place)
    yield frame("response.output_audio_transcript.done", **place, transcript=transcript)
    yield frame("response.content_part.done", **place, part={"type": "audio", "transcript": transcript})
    yield frame("conversation.item.done", previous_item_id=user, item=done)
    yield frame("response.output_item.done", **where, item=done)
    yield frame("response.done", response=_response(response_id, "completed", [done], _usage(workload.deltas)))
    limits = [{"name": "tokens", "limit": 40000, "remaining": 39000, "reset_seconds": 1.5}]
    yield frame("rate_limits.updated", rate_limits=limits)


def _frame(kind: str, event_id: str, **fields: Any) -> str:
    return json.dumps({"type": kind, "event_id": event_id, **fields}, separators=(",", ":"))


def _item(item_id: str, role: str, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": item_id,
        "object": "realtime.item",
        "type": "message",
        "status": status,
        "role": role,
        "content": content,
    }


def _response(
    response_id: str, status: str, output: list[dict[str, Any]], usage: dict[str, Any] | None
) -> dict[str, Any]:
    return {
        "object": "realtime.response",
        "id": response_id,
        "status": status,
        "status_details": None,
        "output": output,
        "conversation_id": "conv_bench",
        "output_modalities": ["audio"],
        "max_output_tokens": "inf",
        "audio": {"output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "alloy"}},
        "usage": usage,
        "metadata": None,
    }


def _usage(deltas: int) -> dict[str, Any]:
    audio_tokens, text_tokens = 2 * deltas, deltas // 3 + 4
    return {
        "total_tokens": 120 + audio_tokens + text_tokens,
        "input_tokens": 120,
        "output_tokens": audio_tokens + text_tokens,
        "input_token_details": {
            "text_tokens": 100,
            "audio_tokens": 20,
            "image_tokens": 0,
            "cached_tokens": 64,
            "cached_tokens_details": {"text_tokens": 64, "audio_tokens": 0, "image_tokens": 0},
        },
        "output_token_details": {"text_tokens": text_tokens, "audio_tokens": audio_tokens},
    }


def _session() -> dict[str, Any]:
    pcm = {"type": "audio/pcm", "rate": 24000}
    detection = {"threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 200, "idle_timeout_ms": None}
    switches = {"create_response": True, "interrupt_response": True}
    return {
        "type": "realtime",
        "object": "realtime.session",
        "id": "sess_bench",
        "model": "gpt-realtime",
        "output_modalities": ["audio"],
        "instructions": "You are a helpful assistant.",
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "expires_at": 4102444800,
        "audio": {
            "input": {
                "format": pcm,
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": {"type": "server_vad", **detection, **switches},
            },
            "output": {"format": pcm, "voice": "alloy", "speed": 1.0},
        },
        "include": None,
    }
