"""What happened in the conversation: entries in the order in which they were heard, made from a session's events.

The views draw the entries, the report judges them. Times are milliseconds since the conversation began.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from attrs import define, field

from jackfield import RealtimeSession
from jackfield.audio import PCM16, AudioFormat
from jackfield.session.events import (
    RealtimeAgentEndEvent,
    RealtimeAgentStartEvent,
    RealtimeAudioInterrupted,
    RealtimeError,
    RealtimeHandoffEvent,
    RealtimeToolEnd,
    RealtimeToolStart,
    RealtimeTranscriptDelta,
)
from jackfield.transport.events import FunctionCall, InputAudioTranscriptionCompleted, SpeechStarted, SpeechStopped
from jackfield_local.demo.speaker import Speaker, SpokenPart

__all__ = [
    "AgentLine",
    "CallerLine",
    "Cut",
    "Entry",
    "HandedOver",
    "PickedUp",
    "Problem",
    "PutThrough",
    "Record",
    "ToolUse",
    "words_heard",
]


@define(eq=False)
class CallerLine:
    """What the caller says. `text` is what the far end understood, None until it says so."""

    at_ms: float
    cuts_in: bool = False
    """Whether he doesn't let the agent finish."""
    text: str | None = None
    ended_ms: float | None = None
    """When the last sound of it was sent."""
    answered: bool = False
    """Whether he has begun to hear an answer."""


@define(eq=False)
class AgentLine:
    """What an agent says: one message, of which `part` is what the caller hears."""

    agent: str
    item_id: str
    answers: CallerLine | None = None
    """The caller's line that it belongs to."""
    text: str = ""
    worded: bool = False
    """Whether all its words are known."""
    part: SpokenPart | None = None
    after_ms: float | None = None
    """How long the caller waited for it, from his last sound to its first; None where that isn't measured."""

    @property
    def at_ms(self) -> float | None:
        """When its first sound was heard."""
        return None if self.part is None else self.part.started_at_ms

    @property
    def over(self) -> bool:
        """Whether the caller hears no more of it."""
        return self.worded and self.part is not None and self.part.over


@define(eq=False)
class ToolUse:
    """An agent uses a tool. `output` is None until the tool is done."""

    at_ms: float
    agent: str
    name: str
    arguments: Mapping[str, Any]
    call_id: str
    output: str | None = None


@define(eq=False)
class PickedUp:
    """The agent has answered the phone."""

    at_ms: float


@define(eq=False)
class HandedOver:
    """One agent gives the conversation to another."""

    at_ms: float
    source: str
    target: str


@define(eq=False)
class Cut:
    """The caller interrupted the agent. `audio_end_ms` is where the model was told that he stopped hearing it."""

    at_ms: float
    line: AgentLine
    audio_end_ms: int
    heard_ms: float
    generated_ms: float | None
    """How much of it there was; None where the far end plays it, and only it knows."""
    heard_text: str
    confirmed_ms: int | None = None
    """Where the far end says that it cut its copy, where it says so."""
    reckoned: bool = False
    """Whether `audio_end_ms` is reckoned from what the far end tells, since the session hears nothing itself."""


@define(eq=False)
class PutThrough:
    """The call was transferred. What is said there, by `line`, takes `said_ms`."""

    at_ms: float
    target: str
    line: AgentLine
    said_ms: float


@define(eq=False)
class Problem:
    """Something went wrong."""

    at_ms: float
    message: str


Entry: TypeAlias = CallerLine | AgentLine | ToolUse | PickedUp | HandedOver | Cut | PutThrough | Problem


@define(eq=False)
class Record:
    """Watches a session, gives what is heard of it to `speaker`, and keeps what happened.

    `now` returns the time in ms; `changed` is called after every change.
    """

    speaker: Speaker
    now: Callable[[], float]
    changed: Callable[[], None]
    session: RealtimeSession = field(init=False)
    entries: list[Entry] = field(factory=list)
    speaking: bool = False
    """Whether the far end hears the caller speak."""
    _lines: dict[str, AgentLine] = field(factory=dict)
    _caller_items: dict[str, CallerLine] = field(factory=dict)
    _caller: CallerLine | None = None
    _answering: set[str] = field(factory=set)
    """Responses under way that answer the caller's last line."""
    _calling: set[str] = field(factory=set)
    """Responses that call functions: another one follows."""
    _announced: set[str] = field(factory=set)
    """Items of which nothing has been heard yet, but will be."""
    _awaited: bool = False
    _follows: bool = False

    def watch(self, session: RealtimeSession) -> None:
        """See `Ear.watch`."""
        self.session = session
        for kind, listener in (
            ("audio_interrupted", self._on_interrupted),
            ("transcript_delta", self._on_words),
            ("input_audio_transcription_completed", self._on_understood),
            ("speech_started", self._on_speech_started),
            ("speech_stopped", self._on_speech_stopped),
            ("agent_start", self._on_agent_start),
            ("agent_end", self._on_agent_end),
            ("tool_start", self._on_tool_start),
            ("tool_end", self._on_tool_end),
            ("handoff", self._on_handoff),
            ("error", self._on_error),
        ):
            session.on(kind, self._told(listener))
        session.transport.on("function_call", self._on_function_call)
        session.transport.on("*", self._on_raw)

    @property
    def answered(self) -> bool:
        """Whether the far end has answered the caller's last line, and at least begins to be heard with all of that."""
        return not (self._awaited or self._answering or self._follows or self._announced)

    @property
    def answer_played_ms(self) -> float:
        """How much of the answer to the caller's last line he has heard."""
        answers = (line for line in self._lines.values() if line.part and line.answers is self._caller)
        return sum(line.part.played_ms for line in answers if line.part is not None)

    @property
    def is_put_through(self) -> bool:
        """Whether the call was transferred."""
        return any(isinstance(entry, PutThrough) for entry in self.entries)

    def pick_up(self) -> None:
        """Note that the agent has answered the phone. Who answers speaks first."""
        self.entries.append(PickedUp(self.now()))
        self._awaited = True

    def caller_begins(self, *, cuts_in: bool = False) -> None:
        """Note that the caller begins to say a line."""
        self._caller = CallerLine(self.now(), cuts_in)
        self._awaited = True
        self.entries.append(self._caller)
        self.changed()

    def caller_ended(self, at_ms: float) -> None:
        """Note when the caller's line ended."""
        assert self._caller is not None, "he began it"
        self._caller.ended_ms = at_ms
        self.changed()

    def listened(self) -> None:
        """Note what became audible since the last time: who was answered, and after how long."""
        for line in self._lines.values():
            asked = line.answers
            if asked is None or asked.answered or asked.ended_ms is None or line.at_ms is None:
                continue
            asked.answered = True
            line.after_ms = line.at_ms - asked.ended_ms

    def _told(self, listener: Callable[[Any], None]) -> Callable[[Any], None]:
        def listen(event: Any) -> None:
            listener(event)
            self.changed()

        return listen

    # What is heard

    def announce(self, item_id: str) -> None:
        """See `Ear.announce`."""
        self._announced.add(item_id)

    def hear(self, pcm: bytes, item_id: str, content_index: int, audio_format: AudioFormat = PCM16) -> None:
        """See `Ear.hear`."""
        self._announced.discard(item_id)
        part = self.speaker.write(pcm, item_id, content_index, audio_format)
        line = self._line(item_id)
        if line.part is None:
            line.part = part
        self.changed()

    def hear_end(self, item_id: str, content_index: int) -> None:
        """See `Ear.hear_end`."""
        self._announced.discard(item_id)
        self.speaker.end(item_id, content_index)
        self.changed()

    def put_through(self, target: str, who: str, text: str, said_ms: float) -> None:
        """See `Ear.put_through`."""
        line = self._lines[who] = AgentLine(who, who, text=text, worded=True)
        self._announced.add(who)
        self.entries += [PutThrough(self.now(), target, line, said_ms), line]
        self.changed()

    def _on_words(self, event: RealtimeTranscriptDelta) -> None:
        if event.role == "assistant":
            self._line(event.item_id).text += event.delta

    def _line(self, item_id: str) -> AgentLine:
        line = self._lines.get(item_id)
        if line is None:
            agent = self.session.current_agent.name
            line = self._lines[item_id] = AgentLine(agent, item_id, self._caller)
            self.entries.append(line)
        return line

    def _on_interrupted(self, event: RealtimeAudioInterrupted) -> None:
        self._announced.discard(event.item_id)
        part = self.speaker.cut(event.item_id, event.content_index)
        line = self._lines.get(event.item_id)
        if part is None or line is None:
            return
        line.worded = True
        # Where the far end plays, what came is what was heard.
        capabilities = self.session.transport.capabilities
        whole = part.received_ms if capabilities.playback == "client" else None
        self.entries.append(
            Cut(
                at_ms=self.now(),
                line=line,
                audio_end_ms=event.played_ms,
                heard_ms=part.played_ms,
                generated_ms=whole,
                heard_text="" if whole is None else words_heard(line.text, part.played_ms, whole),
                reckoned=not capabilities.audio_out,
            )
        )

    def _on_raw(self, message: Mapping[str, Any]) -> None:
        """Where the far end speaks OpenAI's dialect, it says where it cut."""
        if message.get("type") != "conversation.item.truncated":
            return
        for entry in self.entries:
            if isinstance(entry, Cut) and entry.line.item_id == message.get("item_id"):
                entry.confirmed_ms = message.get("audio_end_ms")
        self.changed()

    # Whose turn it is

    def _on_speech_started(self, event: SpeechStarted) -> None:
        self.speaking = True
        if self._caller is not None:
            self._caller_items[event.item_id] = self._caller

    def _on_speech_stopped(self, event: SpeechStopped) -> None:
        self.speaking = False
        # Only what begins from here on can be the answer.
        self._answering.clear()
        self._follows = False
        self._awaited = True

    def _on_agent_start(self, event: RealtimeAgentStartEvent) -> None:
        if not self.speaking:
            self._answering.add(event.response_id)
            self._follows = False

    def _on_function_call(self, event: FunctionCall) -> None:
        self._calling.add(event.response_id)

    def _on_agent_end(self, event: RealtimeAgentEndEvent) -> None:
        for line in self._lines.values():
            line.worded = True
        if event.response_id not in self._answering:
            return
        self._answering.discard(event.response_id)
        if event.status == "completed" and event.response_id in self._calling:
            self._follows = True
        elif event.status != "cancelled":
            self._awaited = False

    def _on_understood(self, event: InputAudioTranscriptionCompleted) -> None:
        line = self._caller_items.get(event.item_id, self._caller)
        if line is not None:
            line.text = f"{line.text} {event.transcript}".strip() if line.text else event.transcript.strip()

    # What agents do

    def _on_tool_start(self, event: RealtimeToolStart) -> None:
        use = ToolUse(self.now(), event.agent.name, event.tool.name, _arguments(event.arguments), event.call_id)
        self.entries.append(use)

    def _on_tool_end(self, event: RealtimeToolEnd) -> None:
        for entry in self.entries:
            if isinstance(entry, ToolUse) and entry.call_id == event.call_id:
                entry.output = str(event.output)

    def _on_handoff(self, event: RealtimeHandoffEvent) -> None:
        self.entries.append(HandedOver(self.now(), event.from_agent.name, event.to_agent.name))

    def _on_error(self, event: RealtimeError) -> None:
        if getattr(event.error, "classification", "rejected") != "benign":
            self.entries.append(Problem(self.now(), str(event.error)))


def words_heard(text: str, heard_ms: float, generated_ms: float) -> str:
    """Return the words that fit into what was heard of `text`, the whole of which takes `generated_ms` to say."""
    if generated_ms <= 0 or heard_ms >= generated_ms:
        return text if generated_ms > 0 else ""
    end = int(len(text) * heard_ms / generated_ms)
    # A word that was cut in two was not heard.
    while end > 0 and not text[end].isspace():
        end -= 1
    return text[:end].rstrip()


def _arguments(text: str) -> Mapping[str, Any]:
    try:
        told = json.loads(text)
    except ValueError:
        told = None
    return told if isinstance(told, dict) else {"arguments": text}
