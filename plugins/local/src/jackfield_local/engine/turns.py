"""The user's turns: what becomes of input audio, by turn detection, by the client's commits, and by silence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pybase64

from jackfield_local.engine.conversation import Conversation, Item, Recording
from jackfield_local.engine.errors import ApiError
from jackfield_local.engine.input_audio import InputAudio, TurnEnded, TurnStarted
from jackfield_local.engine.media import Media
from jackfield_local.engine.outbox import Outbox, Recognize, WatchIdle
from jackfield_local.engine.responses import Responses
from jackfield_local.engine.usage import transcription_usage

__all__ = ["Turns"]


class Turns:
    """The input side of one session, heard as `media`. `start_response` is called where a turn is to be answered."""

    def __init__(
        self,
        session: Mapping[str, Any],
        outbox: Outbox,
        conversation: Conversation,
        responses: Responses,
        start_response: Callable[[], None],
        media: Media,
    ) -> None:
        self._settings = session["audio"]["input"]
        self._answers = session["type"] == "realtime"
        self._outbox = outbox
        self._conversation = conversation
        self._responses = responses
        self._start_response = start_response
        self._media = media
        self._input = InputAudio(self._settings, media)
        self._next_item_id: str | None = None
        self._transcribing: dict[str, dict[str, Any]] = {}

    @property
    def speaking(self) -> bool:
        """Whether the user is in the middle of a turn."""
        return self._input.speaking

    def configure(self, session: Mapping[str, Any]) -> None:
        """Go by new session settings."""
        self._settings = session["audio"]["input"]
        if self._input.configure(self._settings):
            self._next_item_id = None
        if not self._idle_seconds():
            self._outbox.effect(WatchIdle(None))

    def append(self, audio: str) -> None:
        """Take base64 audio in the session's input format. Raises `ApiError` where it isn't base64."""
        try:
            data = pybase64.b64decode(audio, validate=True)
        except ValueError as error:
            message = "Invalid 'audio'. Expected base64-encoded audio bytes."
            raise ApiError(message, code="invalid_value", param="audio") from error
        self._take(self._input.append(data))

    def hear(self, audio: bytes) -> None:
        """Take audio as it comes from a media path."""
        self._take(self._input.append_media(audio))

    def commit(self) -> None:
        """Make what is buffered a user item. Raises `ApiError` where it is too little."""
        self._commit(self._input.commit())

    def clear(self) -> None:
        """Throw away what is buffered."""
        self._input.clear()
        self._next_item_id = None
        self._outbox.emit("input_audio_buffer.cleared")

    def response_done(self, playing_seconds: float) -> None:
        """Start to wait for the user, who will have heard the answer in `playing_seconds`."""
        idle = self._idle_seconds()
        if idle and not self._input.speaking:
            self._outbox.effect(WatchIdle(playing_seconds + idle))

    def idle_elapsed(self) -> None:
        """Answer the user's silence."""
        idle = self._idle_seconds()
        if not idle or self._input.speaking or self._responses.default is not None:
            return
        end_ms = self._input.heard_ms
        start_ms = max(0, end_ms - int(idle * 1000))
        self._next_item_id = self._outbox.ids.new("item")
        self._outbox.emit(
            "input_audio_buffer.timeout_triggered",
            audio_start_ms=start_ms,
            audio_end_ms=end_ms,
            item_id=self._next_item_id,
        )
        self._commit(self._input.take(last_ms=int(idle * 1000)))
        self._start_response()

    def recognized(self, item_id: str, text: str) -> None:
        """Learn what was said in an item, and tell the client where it asked for transcription."""
        item = self._conversation.get(item_id)
        settings = self._transcribing.pop(item_id, None)
        if item is None:
            return
        item.heard = text
        if settings is None:
            return
        item.wire["content"][0]["transcript"] = text
        place = {"item_id": item_id, "content_index": 0}
        name = "conversation.item.input_audio_transcription"
        for delta in [text] if settings["model"] == "whisper-1" else _words(text):
            self._outbox.emit(f"{name}.delta", **place, delta=delta, obfuscation=self._outbox.ids.padding())
        used = transcription_usage(settings, item.recordings[0].ms, text)
        self._outbox.emit(f"{name}.completed", **place, transcript=text, usage=used)

    def recognition_failed(self, item_id: str, message: str) -> None:
        """Learn that an item could not be recognised."""
        if self._transcribing.pop(item_id, None) is None or self._conversation.get(item_id) is None:
            return
        error = {"type": "transcription_error", "code": "audio_unintelligible", "message": message, "param": None}
        self._outbox.emit(
            "conversation.item.input_audio_transcription.failed", item_id=item_id, content_index=0, error=error
        )

    def _take(self, turns: Iterable[TurnStarted | TurnEnded]) -> None:
        for turn in turns:
            if isinstance(turn, TurnStarted):
                self._speech_started(turn)
            else:
                self._speech_stopped(turn)

    def _speech_started(self, turn: TurnStarted) -> None:
        self._outbox.effect(WatchIdle(None))
        self._next_item_id = self._outbox.ids.new("item")
        self._outbox.emit(
            "input_audio_buffer.speech_started", audio_start_ms=turn.audio_start_ms, item_id=self._next_item_id
        )
        if self._settings["turn_detection"].get("interrupt_response", True):
            self._responses.interrupt()

    def _speech_stopped(self, turn: TurnEnded) -> None:
        self._outbox.emit(
            "input_audio_buffer.speech_stopped", audio_end_ms=turn.audio_end_ms, item_id=self._next_item_id
        )
        self._commit(turn.audio)
        if self._settings["turn_detection"].get("create_response", True):
            self._start_response()

    def _commit(self, audio: bytes) -> None:
        item_id = self._next_item_id or self._outbox.ids.new("item")
        self._next_item_id = None
        wire_format = self._settings["format"]
        recording = Recording(wire_format, self._media.to_wire(wire_format, audio))
        recording.ms = self._media.ms(len(audio))
        item = Item(
            {
                "id": item_id,
                "type": "message",
                "status": "completed",
                "role": "user",
                "content": [{"type": "input_audio", "transcript": None}],
            },
            {0: recording},
        )
        previous = self._conversation.append(item)
        self._conversation.bound_audio()
        self._outbox.emit("input_audio_buffer.committed", previous_item_id=previous, item_id=item_id)
        self._outbox.emit("conversation.item.added", previous_item_id=previous, item=item.to_wire())
        self._outbox.emit("conversation.item.done", previous_item_id=previous, item=item.to_wire())
        transcription = self._settings["transcription"]
        if transcription is not None and transcription.get("model"):
            self._transcribing[item_id] = transcription
        if self._answers or item_id in self._transcribing:
            self._outbox.effect(Recognize(item_id, audio, self._media))

    def _idle_seconds(self) -> float:
        """Return the idle timeout, 0 where there is none."""
        detection = self._settings["turn_detection"] or {}
        return (detection.get("idle_timeout_ms") or 0) / 1000


def _words(text: str) -> list[str]:
    words = text.split(" ")
    return [word if index == 0 else f" {word}" for index, word in enumerate(words)] if text else []
