"""The user's speech: which item it becomes, and what of it was told. The provider tells of it in bits and pieces.

It gives no ids, and its transcription is not in order with what the model says. An utterance begins with whatever comes
first (voice activity, an interruption, the first words, an end by hand), and what is transcribed belongs to it until
the answer to it is over.
"""

from __future__ import annotations

from attrs import define

from jackfield.transport.events import (
    InputAudioTranscriptionCompleted,
    InputAudioTranscriptionDelta,
    ItemUpdate,
    SpeechStarted,
    SpeechStopped,
    TransportEvent,
)
from jackfield.transport.items import InputAudio, ItemStatus, UserMessageItem

from .items import Conversation

__all__ = ["UserSpeech"]


@define(eq=False)
class _Utterance:
    item_id: str
    words: str = ""
    started_told: bool = False
    stopped_told: bool = False
    answered: bool = False
    """Whether the model has begun to answer it: the next sign of speech is another utterance's."""


class UserSpeech:
    """What the user says in one session."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._current: _Utterance | None = None
        self.unclaimed = False
        """Whether audio went out that belongs to no utterance yet."""

    def started(self, audio_ms: float) -> list[TransportEvent]:
        """The user began to speak."""
        events = self._begin_next() if self._current is None or self._current.answered else []
        assert self._current is not None
        if not self._current.started_told:
            self._current.started_told = True
            events.append(SpeechStarted(self._current.item_id, round(audio_ms)))
        return events

    def stopped(self, audio_ms: float) -> list[TransportEvent]:
        """The user stopped."""
        current = self._current
        if current is None or current.answered or not current.started_told or current.stopped_told:
            return []
        current.stopped_told = True
        return [SpeechStopped(current.item_id, round(audio_ms))]

    def transcribed(self, text: str, *, finished: bool) -> list[TransportEvent]:
        """The next words that were heard; `finished`: they are the last."""
        events: list[TransportEvent] = []
        if self._current is None:
            if not text:
                return []
            events = self._begin_next()
        assert self._current is not None
        if text:
            self._current.words += text
            events.append(InputAudioTranscriptionDelta(text, self._current.item_id, 0))
        return events + (self.settle() if finished else [])

    def ended(self) -> list[TransportEvent]:
        """The application ended the user's turn by hand."""
        return self._begin_next() if self._current is None or self._current.answered else []

    def answered(self, *, asked: bool) -> list[TransportEvent]:
        """The model began to answer: what the user said, unless somebody `asked` for it."""
        events = self._begin_next() if self.unclaimed and self._current is None and not asked else []
        if self._current is not None:
            self._current.answered = True
        return events

    def settle(self) -> list[TransportEvent]:
        """Nothing more comes for the utterance."""
        current, self._current = self._current, None
        if current is None:
            return []
        words = current.words.strip()
        item = self._item(current, "completed")
        told: list[TransportEvent] = [ItemUpdate(item=item)]
        if words:
            told.append(InputAudioTranscriptionCompleted(words, current.item_id, 0))
        return told

    def settle_answered(self) -> list[TransportEvent]:
        """An answer is over, and with it the utterance that it was to."""
        return self.settle() if self._current is not None and self._current.answered else []

    def _begin_next(self) -> list[TransportEvent]:
        events = self.settle()
        self._current = _Utterance(self._conversation.new_id("item"))
        self.unclaimed = False
        return [*events, self._conversation.added(self._item(self._current, "in_progress"))]

    def _item(self, utterance: _Utterance, status: ItemStatus) -> UserMessageItem:
        content = (InputAudio(utterance.words.strip() or None),)
        return UserMessageItem(item_id=utterance.item_id, content=content, status=status)
