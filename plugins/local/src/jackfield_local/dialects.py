"""The beta dialect, for clients that must still understand it: events of the GA API under their old names and shapes.

Only what the server sends is translated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

__all__ = ["to_beta"]

_NAMES: Final = {
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
    "conversation.item.added": "conversation.item.created",
}
_UNKNOWN: Final = {"conversation.item.done", "input_audio_buffer.timeout_triggered"}
_HOSTED: Final = ("mcp_", "response.mcp_")
_CONTENT: Final = {"output_text": "text", "output_audio": "audio"}
_FORMATS: Final = {"audio/pcm": "pcm16", "audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw"}


def to_beta(event: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """Return the events that the beta API had for one of the GA API: one, or none."""
    if event["type"] in _UNKNOWN or event["type"].startswith(_HOSTED):
        return []
    changed = {**event, "type": _NAMES.get(event["type"], event["type"])}
    if "item" in event:
        changed["item"] = _item(event["item"])
    if "response" in event:
        changed["response"] = _response(event["response"])
    if "session" in event and "audio" in event["session"]:
        changed["session"] = _session(event["session"])
    return [changed]


def _item(item: Mapping[str, Any]) -> dict[str, Any]:
    if "content" not in item:
        return dict(item)
    content = [{**part, "type": _CONTENT.get(part["type"], part["type"])} for part in item["content"]]
    return {**item, "content": content}


def _response(response: Mapping[str, Any]) -> dict[str, Any]:
    changed = {key: value for key, value in response.items() if key not in {"output_modalities", "audio"}}
    output = response["audio"]["output"]
    changed["modalities"] = _modalities(response)
    changed["voice"] = output["voice"]
    changed["output_audio_format"] = _FORMATS[output["format"]["type"]]
    changed["output"] = [_item(item) for item in response["output"]]
    return changed


def _session(session: Mapping[str, Any]) -> dict[str, Any]:
    changed = {
        key: value
        for key, value in session.items()
        if key not in {"type", "audio", "output_modalities", "max_output_tokens"}
    }
    audio_input, output = session["audio"]["input"], session["audio"].get("output")
    changed["input_audio_format"] = _FORMATS[audio_input["format"]["type"]]
    changed["input_audio_transcription"] = audio_input["transcription"]
    changed["input_audio_noise_reduction"] = audio_input["noise_reduction"]
    changed["turn_detection"] = audio_input["turn_detection"]
    if output is not None:
        changed["modalities"] = _modalities(session)
        changed["voice"] = output["voice"]
        changed["speed"] = output["speed"]
        changed["output_audio_format"] = _FORMATS[output["format"]["type"]]
        changed["max_response_output_tokens"] = session["max_output_tokens"]
        changed["temperature"] = 0.8
    return changed


def _modalities(settings: Mapping[str, Any]) -> list[str]:
    return ["audio", "text"] if settings["output_modalities"] == ["audio"] else ["text"]
