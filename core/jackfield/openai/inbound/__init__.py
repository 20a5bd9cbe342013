"""Server events to common events: one small function for each, in a table by type.

Parse only what is used, and nothing strictly: a missing or odd field costs that field. No function keeps a reference
into the message: after it returns the message belongs to whoever listens to `*`. Beta names are aliases (the API's
preview, and servers modelled on it).
"""

from __future__ import annotations

from collections.abc import Mapping

from .fields import Handler
from .items import (
    item_added,
    item_deleted,
    item_done,
    item_retrieved,
    item_truncated,
    list_tools_failed,
    mcp_call_failed,
    output_item_added,
    output_item_done,
)
from .responses import (
    audio_delta,
    audio_done,
    heard,
    nothing,
    part_added,
    playback_cleared,
    playback_started,
    playback_stopped,
    response_created,
    response_done,
    text_delta,
    transcript_delta,
)
from .session import error_told, rate_limits, session_told, session_updated
from .speech import (
    committed,
    dtmf,
    speech_started,
    speech_stopped,
    timeout_triggered,
    transcription_completed,
    transcription_delta,
    transcription_failed,
    transcription_segment,
)

__all__ = ["HANDLERS"]

HANDLERS: Mapping[str, Handler] = {
    "session.created": session_told,
    "session.updated": session_updated,
    "error": error_told,
    "conversation.created": nothing,
    "conversation.item.added": item_added,
    "conversation.item.created": item_added,
    "conversation.item.done": item_done,
    "conversation.item.retrieved": item_retrieved,
    "conversation.item.truncated": item_truncated,
    "conversation.item.deleted": item_deleted,
    "conversation.item.input_audio_transcription.delta": transcription_delta,
    "conversation.item.input_audio_transcription.segment": transcription_segment,
    "conversation.item.input_audio_transcription.completed": transcription_completed,
    "conversation.item.input_audio_transcription.failed": transcription_failed,
    "input_audio_buffer.committed": committed,
    "input_audio_buffer.cleared": nothing,
    "input_audio_buffer.speech_started": speech_started,
    "input_audio_buffer.speech_stopped": speech_stopped,
    "input_audio_buffer.timeout_triggered": timeout_triggered,
    "input_audio_buffer.dtmf_event_received": dtmf,
    "output_audio_buffer.started": playback_started,
    "output_audio_buffer.stopped": playback_stopped,
    "output_audio_buffer.cleared": playback_cleared,
    "response.created": response_created,
    "response.done": response_done,
    "response.output_item.added": output_item_added,
    "response.output_item.done": output_item_done,
    "response.content_part.added": part_added,
    "response.content_part.done": nothing,
    "response.output_text.delta": text_delta,
    "response.output_text.done": nothing,
    "response.output_audio.delta": audio_delta,
    "response.output_audio.done": audio_done,
    "response.output_audio_transcript.delta": transcript_delta,
    "response.output_audio_transcript.done": nothing,
    "response.function_call_arguments.delta": heard,
    "response.function_call_arguments.done": nothing,
    "response.mcp_call_arguments.delta": heard,
    "response.mcp_call_arguments.done": nothing,
    "response.mcp_call.in_progress": nothing,
    "response.mcp_call.completed": nothing,
    "response.mcp_call.failed": mcp_call_failed,
    "mcp_list_tools.in_progress": nothing,
    "mcp_list_tools.completed": nothing,
    "mcp_list_tools.failed": list_tools_failed,
    "rate_limits.updated": rate_limits,
    # Beta names.
    "response.text.delta": text_delta,
    "response.text.done": nothing,
    "response.audio.delta": audio_delta,
    "response.audio.done": audio_done,
    "response.audio_transcript.delta": transcript_delta,
    "response.audio_transcript.done": nothing,
    "transcription_session.created": session_told,
    "transcription_session.updated": session_updated,
}
