"""Turns: a span for each response, from the end of the user's speech until it was heard or cut."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context

from jackfield import RealtimeAgentEndEvent, RealtimeAgentStartEvent, RealtimeAudioInterrupted
from jackfield.errors import JackfieldError
from jackfield.session.turn_metrics import TurnMetrics
from jackfield.transport.events import Usage
from jackfield.transport.items import RealtimeItem

from .content import messages_of
from .errors import error_type
from .names import (
    AGENT_NAME,
    CONVERSATION_ID,
    ERROR_TYPE,
    INPUT_MESSAGES,
    OPERATION_NAME,
    OUTPUT_MESSAGES,
    REQUEST_MODEL,
    RESPONSE_ID,
    RESPONSE_STATUS,
    Attributes,
)
from .recording import Recording
from .usage import usage_attributes

__all__ = ["Turns"]

_REMEMBERED = 64
"""Turns whose tools may still start, and turns that are open at a time."""

_MILESTONES = {
    "speech_stopped_at": "jackfield.speech_stopped",
    "created_at": "jackfield.response_created",
    "first_delta_at": "jackfield.first_delta",
    "first_audio_delivered_at": "jackfield.first_audio_delivered",
    "first_audio_played_at": "jackfield.first_audio_played",
    "done_at": "jackfield.response_done",
}
"""Each milestone of `TurnMetrics`, and the span event that it is."""


@define(eq=False)
class _Turn:
    span: Span
    context: Context
    metrics: TurnMetrics
    """It is filled in as things happen."""
    events: list[tuple[int, str, Attributes]] = field(factory=list)
    error: str | None = None
    """The type of the error with which the response failed."""
    cut: bool = False
    over: bool = False
    """Whether its metrics were told. One that was cut ends only when that was told as well."""


class Turns:
    """The turns of one session."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._open: dict[str, _Turn] = {}
        self._contexts: dict[str, Context] = {}

    def context(self, response_id: str) -> Context:
        """Return the context of a turn, also of one that is over; that of the session where it isn't known."""
        return self._contexts.get(response_id, self._recording.context)

    def started(self, event: RealtimeAgentStartEvent, metrics: TurnMetrics) -> None:
        """A response began."""
        recording = self._recording
        if event.response_id in self._open:
            return
        asked = metrics.created_at if metrics.speech_stopped_at is None else metrics.speech_stopped_at
        model = recording.labels.get(REQUEST_MODEL)
        span = recording.tracer.start_span(
            "chat" if model is None else f"chat {model}",
            recording.context,
            SpanKind.CLIENT,
            {
                OPERATION_NAME: "chat",
                **recording.labels,
                AGENT_NAME: event.agent.name,
                CONVERSATION_ID: recording.conversation_id,
                RESPONSE_ID: event.response_id,
            },
            start_time=recording.clock.now() if asked is None else recording.clock.at(asked),
        )
        context = set_span_in_context(span, recording.context)
        self._open[event.response_id] = _Turn(span, context, metrics)
        self._contexts[event.response_id] = context
        if len(self._open) > _REMEMBERED:
            self._end(next(iter(self._open)))
        if len(self._contexts) > _REMEMBERED:
            del self._contexts[next(iter(self._contexts))]

    def used(self, response_id: str, usage: Usage) -> None:
        """It is known what a response cost."""
        turn = self._open.get(response_id)
        if turn is not None:
            turn.span.set_attributes(usage_attributes(usage))

    def ended(self, event: RealtimeAgentEndEvent, latest_error: JackfieldError | None) -> None:
        """The far end generates nothing more of a response."""
        turn = self._open.get(event.response_id)
        if turn is not None and event.status == "failed":
            turn.error = "failed" if latest_error is None else error_type(latest_error)

    def interrupted(self, event: RealtimeAudioInterrupted) -> None:
        """A content part of a response was cut."""
        turn = self._open.get(event.response_id)
        if turn is None:
            return
        clock = self._recording.clock
        cut_at = None if turn.cut else turn.metrics.interrupted_at
        turn.events.append(
            (
                clock.now() if cut_at is None else clock.at(cut_at),
                "jackfield.audio_interrupted",
                {"jackfield.item.id": event.item_id, "jackfield.played_ms": event.played_ms},
            )
        )
        turn.cut = True
        if turn.over:
            self._end(event.response_id)

    def measured(self, metrics: TurnMetrics, history: Sequence[RealtimeItem]) -> None:
        """A turn was heard to its end, or was cut: its milestones are known. `history` is empty without content."""
        turn = self._open.get(metrics.response_id)
        if turn is None:
            return
        turn.over = True
        turn.metrics = metrics
        self._count(turn)
        self._describe(turn, history)
        if metrics.interrupted_at is None or turn.cut:
            self._end(metrics.response_id)

    def add_event(self, response_id: str, name: str, attributes: Attributes) -> bool:
        """Put an event on a turn's span; return False where that turn is over, or isn't known."""
        turn = self._open.get(response_id)
        if turn is None:
            return False
        turn.events.append((self._recording.clock.now(), name, attributes))
        return True

    def close(self) -> None:
        """End what is open."""
        for response_id in list(self._open):
            self._end(response_id)

    def _count(self, turn: _Turn) -> None:
        instruments, metrics = self._recording.instruments, turn.metrics
        labels = {**self._recording.labels, AGENT_NAME: metrics.agent}
        instruments.responses.add(1, {**labels, RESPONSE_STATUS: metrics.status}, turn.context)
        if metrics.interrupted_at is not None:
            instruments.interruptions.add(1, labels, turn.context)
        if metrics.time_to_first_delta is not None:
            instruments.time_to_first_delta.record(metrics.time_to_first_delta, labels, turn.context)
        if metrics.time_to_first_audio is not None:
            instruments.time_to_first_audio.record(metrics.time_to_first_audio, labels, turn.context)
        if metrics.duration is not None:
            failed = {} if turn.error is None else {ERROR_TYPE: turn.error}
            instruments.turn_duration.record(
                metrics.duration, {OPERATION_NAME: "chat", **labels, **failed}, turn.context
            )

    def _describe(self, turn: _Turn, history: Sequence[RealtimeItem]) -> None:
        span, metrics = turn.span, turn.metrics
        if not span.is_recording():
            return
        span.set_attribute(RESPONSE_STATUS, metrics.status)
        for name in ("time_to_first_delta", "time_to_first_audio"):
            if (seconds := getattr(metrics, name)) is not None:
                span.set_attribute(f"jackfield.turn.{name}", seconds)
        if turn.error is not None:
            span.set_attribute(ERROR_TYPE, turn.error)
            span.set_status(Status(StatusCode.ERROR, "the response failed"))
        if history:
            answered, said = messages_of(history, metrics.response_id, metrics.status)
            span.set_attributes({INPUT_MESSAGES: answered, OUTPUT_MESSAGES: said})

    def _end(self, response_id: str) -> None:
        turn = self._open.pop(response_id)
        clock = self._recording.clock
        for milestone, name in _MILESTONES.items():
            if (reached := getattr(turn.metrics, milestone)) is not None:
                turn.events.append((clock.at(reached), name, {}))
        # Spans keep events as they come; a reader wants them as they happened.
        for at, name, attributes in sorted(turn.events, key=lambda event: event[0]):
            turn.span.add_event(name, attributes, at)
        turn.span.end(clock.now())
