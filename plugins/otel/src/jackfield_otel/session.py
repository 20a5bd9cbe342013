"""One session's telemetry: its span, and who is told of which of its events.

Nothing is done for each chunk of audio or each word: the session itself keeps the milestones of its turns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry import context as contexts
from opentelemetry.trace import Span, Status, StatusCode, Tracer, set_span_in_context

from jackfield import (
    JackfieldError,
    RealtimeAgentEndEvent,
    RealtimeAgentStartEvent,
    RealtimeBudgetExceeded,
    RealtimeBudgetWarning,
    RealtimeError,
    RealtimeEventsDropped,
    RealtimeGuardrailTripped,
    RealtimeHandoffEvent,
    RealtimeSession,
    RealtimeToolApprovalRequired,
    RealtimeToolEnd,
    RealtimeToolStart,
    RealtimeTurnMetrics,
)
from jackfield.transport import redact
from jackfield.transport.events import ConnectionChange, McpToolCallCompleted, Usage, UsageUpdate

from .clock import Clock
from .errors import classification_of, error_attributes, error_type
from .instruments import Instruments
from .names import (
    AGENT_NAME,
    CONVERSATION_ID,
    ERROR_TYPE,
    OPERATION_NAME,
    PROVIDER_NAME,
    REQUEST_MODEL,
    TOKEN_TYPE,
    TOOL_CALL_ID,
    TOOL_NAME,
    TRANSPORT_NAME,
    Attributes,
)
from .recording import Recording
from .tools import Tools
from .turns import Turns
from .usage import token_counts, usage_attributes

__all__ = ["SessionTelemetry"]

_PROVIDERS = {
    "websocket": "openai",
    "webrtc": "openai",
    "sip": "openai",
    "azure": "azure.ai.openai",
}
"""Whose dialect the built-in transports speak, in the words of the GenAI conventions."""


class SessionTelemetry:
    """Records one session. It begins when the session dials, and ends when it is disconnected."""

    def __init__(self, session: RealtimeSession, tracer: Tracer, instruments: Instruments, *, content: bool) -> None:
        transport = session.transport.name
        self._session = session
        self._recording = Recording(
            tracer,
            instruments,
            Clock(),
            session.id,
            content,
            {PROVIDER_NAME: _PROVIDERS.get(transport, transport), TRANSPORT_NAME: transport},
            contexts.get_current(),
        )
        self._observed_at = self._recording.clock.seconds()
        self._turns = Turns(self._recording)
        self._tools = Tools(self._recording)
        self._span: Span | None = None
        self._latest_error: JackfieldError | None = None
        self._usage = Usage()
        self._connected = False
        self._is_slow = False
        """Whether the application reads the stream, and was told that it reads too slowly."""
        self._dropped = 0
        """How many dropped events were counted."""
        self._listeners: dict[str, Callable[[Any], None]] = {
            "connection_change": self._connection_changed,
            "agent_start": self._agent_started,
            "agent_end": self._agent_ended,
            "turn_metrics": self._turn_measured,
            "audio_interrupted": self._turns.interrupted,
            "usage_update": self._used,
            "tool_start": self._tool_started,
            "tool_end": self._tool_ended,
            "tool_approval_required": self._approval_required,
            "mcp_tool_call_completed": self._hosted_call_completed,
            "handoff": self._handed_over,
            "guardrail_tripped": self._guardrail_tripped,
            "budget_warning": self._budget_told,
            "budget_exceeded": self._budget_told,
            "events_dropped": self._events_dropped,
            "error": self._error_told,
        }

    def listen(self) -> None:
        """Follow the session from now on."""
        for kind, listener in self._listeners.items():
            self._session.on(kind, listener)
        self._session.transport.on("*", self._raw)

    # Beginning and end

    def _connection_changed(self, event: ConnectionChange) -> None:
        if event.status == "connecting":
            self._begin()
        elif event.status == "connected":
            self._connected = True
            self._add_event("jackfield.connected", {})
        elif event.status == "disconnected":
            self._end(event)

    def _begin(self) -> Span:
        """Start the span, of when the session was observed. A session that never dials has none."""
        if self._span is not None:
            return self._span
        recording, agent = self._recording, self._session.current_agent.name
        self._span = recording.tracer.start_span(
            f"invoke_agent {agent}",
            recording.context,
            attributes={
                OPERATION_NAME: "invoke_agent",
                **recording.labels,
                AGENT_NAME: agent,
                CONVERSATION_ID: recording.conversation_id,
            },
            start_time=recording.clock.at(self._observed_at),
        )
        recording.context = set_span_in_context(self._span, recording.context)
        recording.instruments.live.add(1, {TRANSPORT_NAME: recording.labels[TRANSPORT_NAME]})
        return self._span

    def _end(self, event: ConnectionChange) -> None:
        recording, span = self._recording, self._begin()
        for kind, listener in self._listeners.items():
            self._session.off(kind, listener)
        self._session.transport.off("*", self._raw)
        self._tools.close()
        self._turns.close()
        labels = dict(recording.labels)
        if event.error is not None:
            if event.error is not self._latest_error:
                self._count_error(event.error)
            labels[ERROR_TYPE] = error_type(event.error)
            span.set_attribute(ERROR_TYPE, labels[ERROR_TYPE])
            span.set_status(Status(StatusCode.ERROR, redact(str(event.error))))
        self._count_dropped()
        span.set_attributes(
            {
                **usage_attributes(self._usage),
                "jackfield.connected": self._connected,
                "jackfield.close.initiated_by": event.initiated_by,
                "jackfield.responses": self._session.metrics.responses,
                "jackfield.interruptions": self._session.metrics.interruptions,
            }
        )
        if event.code is not None:
            span.set_attribute("jackfield.close.code", event.code)
        now = recording.clock.seconds()
        recording.instruments.session_duration.record(
            now - self._observed_at, {OPERATION_NAME: "invoke_agent", **labels}, recording.context
        )
        recording.instruments.live.add(-1, {TRANSPORT_NAME: labels[TRANSPORT_NAME]})
        span.end(recording.clock.at(now))

    def _raw(self, message: Mapping[str, Any]) -> None:
        """Look for the model that the provider says it runs, until it said so, or a response begins."""
        told = message.get("session")
        if message.get("type") != "session.created" or not isinstance(told, Mapping):
            return
        self._session.transport.off("*", self._raw)
        model, session_id = told.get("model"), told.get("id")
        if isinstance(model, str):
            self._recording.labels[REQUEST_MODEL] = model
            self._begin().set_attribute(REQUEST_MODEL, model)
        if isinstance(session_id, str):
            self._begin().set_attribute("jackfield.provider.session.id", session_id)

    # Turns

    def _agent_started(self, event: RealtimeAgentStartEvent) -> None:
        self._begin()
        self._session.transport.off("*", self._raw)
        self._latest_error = None
        self._turns.started(event, self._session.metrics.turns[-1])

    def _agent_ended(self, event: RealtimeAgentEndEvent) -> None:
        self._turns.ended(event, self._latest_error)

    def _turn_measured(self, event: RealtimeTurnMetrics) -> None:
        self._turns.measured(event.metrics, self._session.history if self._recording.content else ())

    def _used(self, event: UsageUpdate) -> None:
        recording = self._recording
        self._usage += event.usage
        self._turns.used(event.response_id, event.usage)
        context = self._turns.context(event.response_id)
        for count, kind in token_counts(event.usage):
            recording.instruments.tokens.add(count, {**recording.labels, **kind}, context)
        for side, count in (("input", event.usage.input_tokens), ("output", event.usage.output_tokens)):
            labels = {OPERATION_NAME: "chat", **recording.labels, TOKEN_TYPE: side}
            recording.instruments.token_usage.record(count, labels, context)

    # Tools

    def _tool_started(self, event: RealtimeToolStart) -> None:
        self._tools.started(event, self._turns.context(event.response_id))

    def _tool_ended(self, event: RealtimeToolEnd) -> None:
        if not self._tools.ended(event):
            call = {TOOL_NAME: event.tool.name, TOOL_CALL_ID: event.call_id}
            self._add_event("jackfield.tool_not_run", call, event.response_id)

    def _approval_required(self, event: RealtimeToolApprovalRequired) -> None:
        call = {TOOL_NAME: event.tool_name, TOOL_CALL_ID: event.call_id}
        self._add_event("jackfield.tool_approval_required", call, event.response_id)

    def _hosted_call_completed(self, event: McpToolCallCompleted) -> None:
        item = event.item
        self._add_event(
            "jackfield.mcp_tool_call_completed",
            {
                TOOL_NAME: item.name,
                TOOL_CALL_ID: item.item_id,
                "jackfield.mcp.server.label": item.server_label,
                "jackfield.mcp.failed": item.error is not None,
            },
        )

    # What else happens

    def _handed_over(self, event: RealtimeHandoffEvent) -> None:
        names = {"jackfield.handoff.from": event.from_agent.name, "jackfield.handoff.to": event.to_agent.name}
        self._add_event("jackfield.handoff", names)

    def _guardrail_tripped(self, event: RealtimeGuardrailTripped) -> None:
        names = [result.guardrail.get_name() for result in event.guardrail_results]
        attributes: dict[str, Any] = {"jackfield.guardrail.names": names, "jackfield.response.id": event.response_id}
        if self._recording.content:
            attributes["jackfield.guardrail.message"] = redact(event.message)
        self._add_event("jackfield.guardrail_tripped", attributes, event.response_id)

    def _budget_told(self, event: RealtimeBudgetWarning | RealtimeBudgetExceeded) -> None:
        attributes = {
            "jackfield.budget.kind": event.kind,
            "jackfield.budget.used": event.used,
            "jackfield.budget.limit": event.limit,
        }
        self._add_event(f"jackfield.{event.type}", attributes)

    def _events_dropped(self, event: RealtimeEventsDropped) -> None:
        self._is_slow = True
        self._add_event("jackfield.events_dropped", {"jackfield.events.dropped": event.count})
        self._count_dropped()

    def _count_dropped(self) -> None:
        """Count what was dropped since. Where the stream isn't read at all, nobody misses what it drops."""
        if self._is_slow and self._session.dropped > self._dropped:
            labels = {TRANSPORT_NAME: self._recording.labels[TRANSPORT_NAME]}
            self._recording.instruments.dropped.add(self._session.dropped - self._dropped, labels)
            self._dropped = self._session.dropped

    def _error_told(self, event: RealtimeError) -> None:
        self._latest_error = event.error
        self._count_error(event.error)
        self._add_event("exception", error_attributes(event.error, content=self._recording.content))

    def _count_error(self, error: JackfieldError) -> None:
        kind = {ERROR_TYPE: error_type(error), "jackfield.error.classification": classification_of(error)}
        self._recording.instruments.errors.add(1, {**self._recording.labels, **kind}, self._recording.context)

    def _add_event(self, name: str, attributes: Attributes, response_id: str = "") -> None:
        """Put an event on a turn's span while that is open, and else on the session's."""
        if not self._turns.add_event(response_id, name, attributes):
            self._begin().add_event(name, attributes, self._recording.clock.now())
