"""What the replay server says: whole conversations as text frames, in the order in which the API says them.

Speech is noise, since nobody listens. Sizes are the API's: PCM16 in deltas of 100 ms, and a word of transcript every
300 ms. What is said in real time (`paced_server`) comes in deltas of 20 ms.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

TICK_MS: Final = 20
"""How often a session that runs in real time sends audio and is sent some."""
STAMP_BYTES: Final = 8
"""Audio that is sent in real time begins with the time of its write: `time.monotonic_ns`, in little-endian order."""

_BYTES_PER_MS: Final = 48
_DELTA_MS: Final = 100
_WORD_MS: Final = 300
DELTA_BYTES: Final = _DELTA_MS * _BYTES_PER_MS
"""Bytes of PCM16 in an audio delta, unless a workload says otherwise: 100 ms at 24 kHz."""

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
    cut_short: bool = False
    """Whether the user speaks while the answer is being generated: the server cancels it where its deltas end."""
    delta_ms: int = _DELTA_MS
    """How much audio is in a delta."""

    @property
    def audio_deltas(self) -> int:
        """Audio deltas in the whole conversation."""
        return self.turns * self.deltas

    @property
    def audio_bytes(self) -> int:
        """Bytes of decoded audio in the whole conversation."""
        return self.audio_deltas * self.delta_bytes

    @property
    def delta_bytes(self) -> int:
        """Bytes of PCM16 in an audio delta."""
        return self.delta_ms * _BYTES_PER_MS


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
    audio = [base64.b64encode(noise.randbytes(workload.delta_bytes)).decode() for _ in range(_AUDIO_VARIANTS)]
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
    deltas_a_word = _WORD_MS // workload.delta_ms
    said = [f" {_WORDS[(turn + n) % len(_WORDS)]}" for n in range(max(1, workload.deltas // deltas_a_word))]
    transcript = "".join(said).strip()
    user_item = _item(user, "user", "completed", [{"type": "input_audio", "transcript": None}])
    begun = _item(assistant, "assistant", "in_progress", [])
    status, details = "completed", None
    if workload.cut_short:
        status, details = "cancelled", {"type": "cancelled", "reason": "turn_detected"}
    left = "incomplete" if workload.cut_short else "completed"
    done = _item(assistant, "assistant", left, [{"type": "output_audio", "transcript": transcript}])

    if workload.speech_events:
        yield frame("input_audio_buffer.speech_started", audio_start_ms=turn * 2000, item_id=user)
        yield frame("input_audio_buffer.speech_stopped", audio_end_ms=turn * 2000 + 900, item_id=user)
    yield frame("input_audio_buffer.committed", previous_item_id=previous, item_id=user)
    yield frame("conversation.item.added", previous_item_id=previous, item=user_item)
    yield frame("conversation.item.done", previous_item_id=previous, item=user_item)
    yield frame("response.created", response=_response(response_id, "in_progress", [], None, None))
    yield frame("response.output_item.added", **where, item=begun)
    yield frame("conversation.item.added", previous_item_id=user, item=begun)
    yield frame("response.content_part.added", **place, part={"type": "audio", "transcript": ""})
    for n in range(workload.deltas):
        if n % deltas_a_word == 0 and n // deltas_a_word < len(said):
            word = said[n // deltas_a_word]
            yield frame("response.output_audio_transcript.delta", **place, delta=word, obfuscation="Xq3PzR0aLk")
        if n == 2:
            heard = {"item_id": user, "content_index": 0}
            prefix = "conversation.item.input_audio_transcription"
            yield frame(f"{prefix}.delta", **heard, delta="What is the weather?")
            usage = {"type": "duration", "seconds": 1}
            yield frame(f"{prefix}.completed", **heard, transcript="What is the weather?", usage=usage)
        yield frame("response.output_audio.delta", **place, delta=audio[n % len(audio)])
    if workload.cut_short:
        following = f"item_user_{turn + 1:06}"
        yield frame("input_audio_buffer.speech_started", audio_start_ms=turn * 2000, item_id=following)
        yield frame("conversation.item.truncated", item_id=assistant, content_index=0, audio_end_ms=0)
        yield frame("input_audio_buffer.speech_stopped", audio_end_ms=turn * 2000 + 900, item_id=following)
    yield frame("response.output_audio.done", **place)
    yield frame("response.output_audio_transcript.done", **place, transcript=transcript)
    yield frame("response.content_part.done", **place, part={"type": "audio", "transcript": transcript})
    yield frame("conversation.item.done", previous_item_id=user, item=done)
    yield frame("response.output_item.done", **where, item=done)
    usage = _usage(workload.deltas * workload.delta_ms)
    yield frame("response.done", response=_response(response_id, status, [done], details, usage))
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
    response_id: str,
    status: str,
    output: list[dict[str, Any]],
    details: dict[str, Any] | None,
    usage: dict[str, Any] | None,
) -> dict[str, Any]:
    return {
        "object": "realtime.response",
        "id": response_id,
        "status": status,
        "status_details": details,
        "output": output,
        "conversation_id": "conv_bench",
        "output_modalities": ["audio"],
        "max_output_tokens": "inf",
        "audio": {"output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "alloy"}},
        "usage": usage,
        "metadata": None,
    }


def _usage(audio_ms: int) -> dict[str, Any]:
    audio_tokens, text_tokens = audio_ms // 50, audio_ms // _WORD_MS + 4
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
