"""The conversation: what the transport tells, made into history and session events.

It names no provider's event. What reacts to the conversation (tools, guardrails, hooks, metrics) is told from here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from jackfield.errors import ProviderError
from jackfield.transport import events as ev
from jackfield.transport.items import AssistantMessageItem, RealtimeItem

from . import events as se
from .budget_watch import BudgetWatch
from .edits import Edits
from .history import History
from .hold_back import HoldBack
from .hook_calls import HookCalls
from .hosted import HostedTools
from .metrics import Metrics
from .output_guardrails import OutputGuardrails
from .shared import Shared
from .tool_calls import ToolCalls
from .turns import Turns

__all__ = ["Conversation"]

_RAW_OVERHEAD = 512
"""What an unread raw event is reckoned to hold beside its audio, in bytes."""
_WORDS_OVERHEAD = 256
"""What an unread delta of words is reckoned to hold beside its text, in bytes."""


class Conversation:
    """One session's conversation. `handlers` are its ears."""

    def __init__(
        self,
        shared: Shared,
        history: History,
        edits: Edits,
        turns: Turns,
        *,
        tool_calls: ToolCalls,
        hosted: HostedTools,
        guardrails: OutputGuardrails,
        hooks: HookCalls,
        metrics: Metrics,
        hold_back: HoldBack | None,
        budget: BudgetWatch | None,
    ) -> None:
        self._shared = shared
        self._info = shared.info
        self._tell = shared.stream.tell
        self._tell_history = shared.stream.tell_history
        self._history = history
        self._edits = edits
        self._turns = turns
        self._tool_calls = tool_calls
        self._hosted = hosted
        self._guardrails = guardrails
        self._hooks = hooks
        self._metrics = metrics
        self._hold_back = hold_back
        self._budget = budget
        self._speaking: str | None = None
        self._part: tuple[str, int] = ("", 0)

    def handlers(self) -> dict[str, Callable[[Any], None]]:
        """Return what is to be called for each of the transport's events.

        Those that come often have a method each. The others share one: a method that is held on to costs memory, in
        every session.
        """
        often: dict[str, Callable[[Any], None]] = {
            "*": self._raw,
            "audio": self._audio,
            "audio_transcript_delta": self._transcript_delta,
        }
        return dict.fromkeys(_RARE, self._rare) | often

    def _rare(self, event: Any) -> None:
        _RARE[event.type](self, event)

    def _pass_on(self, event: Any) -> None:
        self._tell(event)

    # Audio

    def _raw(self, message: Mapping[str, Any]) -> None:
        delta = message.get("delta")
        size = _RAW_OVERHEAD + (len(delta) if isinstance(delta, str) else 0)
        self._tell(se.RealtimeRawModelEvent(message, self._info), size)

    def _audio(self, event: ev.Audio) -> None:
        item_id, index = event.item_id, event.content_index
        if self._part != (item_id, index) or self._speaking != event.response_id:
            self._audio_begins(event)
        told = se.RealtimeAudio(event, item_id, index, self._info)
        if self._hold_back is not None:
            if not self._guardrails.stopped(event.response_id):
                self._hold_back.tell(told, event.response_id, item_id, len(event.data))
        else:
            self._tell(told, len(event.data))

    def _audio_begins(self, event: ev.Audio) -> None:
        """The first audio of a content part, and perhaps of its response."""
        self._part = (event.item_id, event.content_index)
        self._history.audio_begins(event.item_id, event.content_index, event.response_id)
        self._metrics.delta(event.response_id)
        self._metrics.audio_part(event.response_id, *self._part)
        if self._speaking != event.response_id:
            self._speaking = event.response_id
            start = se.RealtimeAudioStart(self._info, event.item_id, event.content_index, event.response_id)
            self._behind_audio(start, event.response_id, event.item_id)

    def _audio_done(self, event: ev.AudioDone) -> None:
        end = se.RealtimeAudioEnd(self._info, event.item_id, event.content_index)
        self._behind_audio(end, event.response_id, event.item_id)

    def _behind_audio(self, event: Any, response_id: str, item_id: str = "") -> None:
        """Tell what has its place among the audio, which may be held back."""
        if self._hold_back is None:
            self._tell(event)
        else:
            self._hold_back.tell(event, response_id, item_id)

    def _audio_interrupted(self, event: ev.AudioInterrupted) -> None:
        cut = (event.item_id, event.content_index)
        self._shared.stream.discard_audio(lambda unread: (unread.item_id, unread.content_index) == cut)
        if self._hold_back is not None:
            self._hold_back.drop(event.response_id)
        self._metrics.interrupted(event.response_id)
        self._tell(
            se.RealtimeAudioInterrupted(
                self._info, event.item_id, event.content_index, event.played_ms, event.response_id
            )
        )
        if self._history.interrupted(event.item_id, event.content_index, event.played_ms, event.received_ms):
            self._tell_history()

    # Words

    def _transcript_delta(self, event: ev.AudioTranscriptDelta) -> None:
        self._words(event, "audio")

    def _text_delta(self, event: ev.OutputTextDelta) -> None:
        self._words(event, "text")

    def _words(self, event: ev.AudioTranscriptDelta | ev.OutputTextDelta, source: Literal["audio", "text"]) -> None:
        self._history.add_words(
            event.item_id,
            event.content_index,
            event.delta,
            written=source == "text",
            response_id=event.response_id,
        )
        self._metrics.delta(event.response_id)
        words = se.RealtimeTranscriptDelta(
            "assistant", source, event.delta, event.item_id, event.content_index, self._info, event.response_id
        )
        self._tell(words, _WORDS_OVERHEAD + len(event.delta))
        self._guardrails.words(event.response_id, event.item_id, event.delta)

    def _input_delta(self, event: ev.InputAudioTranscriptionDelta) -> None:
        words = se.RealtimeTranscriptDelta("user", "audio", event.delta, event.item_id, event.content_index, self._info)
        self._tell(words, _WORDS_OVERHEAD + len(event.delta))

    def _input_transcript(self, event: ev.InputAudioTranscriptionCompleted) -> None:
        is_new = self._history.transcribed(event.item_id, event.content_index, event.transcript)
        self._tell(event)
        self._tell_item(event.item_id, is_new=is_new)

    # Items

    def _item_update(self, event: ev.ItemUpdate) -> None:
        self._edits.confirmed(event.item.item_id)
        is_new = self._history.update(event.item, event.after)
        self._tell_item(event.item.item_id, is_new=is_new)

    def _tell_item(self, item_id: str, *, is_new: bool) -> None:
        item = self._history.get(item_id) if is_new else None
        if item is not None:
            self._tell(se.RealtimeHistoryAdded(item, self._info))
        self._tell_history()

    def _item_deleted(self, event: ev.ItemDeleted) -> None:
        self._edits.deleted(event.item_id)
        if self._history.delete(event.item_id):
            self._tell_history()

    # Turns

    def _speech_stopped(self, event: ev.SpeechStopped) -> None:
        self._metrics.speech_stopped(event)
        self._tell(event)

    def _timeout(self, event: ev.InputAudioTimeoutTriggered) -> None:
        self._tell(
            se.RealtimeInputAudioTimeoutTriggered(self._info, event.item_id, event.audio_start_ms, event.audio_end_ms)
        )

    def _turn_started(self, event: ev.TurnStarted) -> None:
        turn = self._turns.begin(event.response_id, in_conversation=event.in_conversation)
        self._metrics.started(event.response_id, turn.owner.agent.name)
        self._history.settle()
        self._guardrails.started(event.response_id, turn.owner)
        self._tell(se.RealtimeAgentStartEvent(turn.owner.agent, self._info, event.response_id))
        self._hooks.response_started(turn.owner)

    def _turn_done(self, event: ev.TurnDone) -> None:
        turn = self._turns.of(event.response_id)
        if self._speaking == event.response_id:
            self._speaking = None
        text = _last_text(event.output)
        end = se.RealtimeAgentEndEvent(turn.owner.agent, self._info, event.response_id, event.status, text)
        self._behind_audio(end, event.response_id)
        self._guardrails.ended(event.response_id)
        self._hooks.response_ended(turn.owner, event, text)
        self._metrics.done(event)
        self._hosted.turn_done(turn, event)
        self._tool_calls.turn_done(turn)

    def _function_call(self, event: ev.FunctionCall) -> None:
        self._tool_calls.call(event)

    def _mcp_tools_listed(self, event: ev.McpToolsListed) -> None:
        self._hosted.listed(event)

    def _mcp_approval_request(self, event: ev.McpApprovalRequest) -> None:
        self._hosted.approval_requested(event)

    def _mcp_tool_call_completed(self, event: ev.McpToolCallCompleted) -> None:
        self._hosted.completed(event)

    def _usage(self, event: ev.UsageUpdate) -> None:
        context = self._shared.context
        context.usage = context.usage + event.usage
        self._tell(event)
        if self._budget is not None:
            self._budget.used(context.usage)

    def _error(self, event: ev.Error) -> None:
        if isinstance(event.error, ProviderError):
            self._edits.forget()
        self._tell(se.RealtimeError(event.error, self._info))


def _last_text(output: tuple[RealtimeItem, ...]) -> str:
    for item in reversed(output):
        if isinstance(item, AssistantMessageItem) and item.text:
            return item.text
    return ""


_RARE: Mapping[str, Callable[[Conversation, Any], None]] = {
    "audio_done": Conversation._audio_done,
    "audio_interrupted": Conversation._audio_interrupted,
    "output_text_delta": Conversation._text_delta,
    "input_audio_transcription_delta": Conversation._input_delta,
    "input_audio_transcription_completed": Conversation._input_transcript,
    "input_audio_timeout_triggered": Conversation._timeout,
    "item_update": Conversation._item_update,
    "item_deleted": Conversation._item_deleted,
    "turn_started": Conversation._turn_started,
    "turn_done": Conversation._turn_done,
    "function_call": Conversation._function_call,
    "usage_update": Conversation._usage,
    "error": Conversation._error,
    "speech_stopped": Conversation._speech_stopped,
    "mcp_tools_listed": Conversation._mcp_tools_listed,
    "mcp_approval_request": Conversation._mcp_approval_request,
    "mcp_tool_call_completed": Conversation._mcp_tool_call_completed,
    "speech_started": Conversation._pass_on,
    "input_audio_transcription_failed": Conversation._pass_on,
    "dtmf_received": Conversation._pass_on,
    "rate_limits_updated": Conversation._pass_on,
    "mcp_failed": Conversation._pass_on,
}
"""What is done about each of the transport's other events."""
