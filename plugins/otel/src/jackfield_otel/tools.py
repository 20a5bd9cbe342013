"""Tool calls: a span for each tool that runs, beneath the turn that called it.

The session tells a tool's start on the task that runs the tool. So its span can be made the current one there: what the
tool does, and traces itself, is found beneath it.
"""

from __future__ import annotations

import asyncio
from contextvars import Token
from typing import Any

from attrs import define
from opentelemetry import context as contexts
from opentelemetry.context import Context
from opentelemetry.trace import Span, Status, StatusCode, set_span_in_context

from jackfield import RealtimeToolEnd, RealtimeToolStart
from jackfield.transport import redact

from .content import result_of
from .errors import error_type
from .names import (
    AGENT_NAME,
    CONVERSATION_ID,
    ERROR_TYPE,
    OPERATION_NAME,
    TOOL_CALL_ARGUMENTS,
    TOOL_CALL_ID,
    TOOL_CALL_RESULT,
    TOOL_NAME,
    TOOL_TYPE,
)
from .recording import Recording

__all__ = ["Tools"]

_UNANSWERED = "unanswered"
"""The type of the error of a call whose output was never sent: the session ended first."""


@define(eq=False)
class _Call:
    span: Span
    labels: dict[str, str]
    started_at: float
    task: asyncio.Task[Any] | None
    token: Token[Context]


class Tools:
    """The tools of one session that run."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._running: dict[str, _Call] = {}

    def started(self, event: RealtimeToolStart, parent: Context) -> None:
        """A tool is about to run, on this task."""
        recording = self._recording
        labels = {
            OPERATION_NAME: "execute_tool",
            AGENT_NAME: event.agent.name,
            TOOL_NAME: event.tool.name,
            TOOL_TYPE: "function",
        }
        now = recording.clock.seconds()
        span = recording.tracer.start_span(
            f"execute_tool {event.tool.name}",
            parent,
            attributes={**labels, CONVERSATION_ID: recording.conversation_id, TOOL_CALL_ID: event.call_id},
            start_time=recording.clock.at(now),
        )
        if recording.content:
            span.set_attribute(TOOL_CALL_ARGUMENTS, redact(event.arguments))
        token = contexts.attach(set_span_in_context(span))
        self._running[event.call_id] = _Call(span, labels, now, asyncio.current_task(), token)

    def ended(self, event: RealtimeToolEnd) -> bool:
        """A tool ended and its output was sent; return False where it never started."""
        call = self._running.pop(event.call_id, None)
        if call is None:
            return False
        if call.task is asyncio.current_task():  # an output that is sent later, on another task, has its own context
            contexts.detach(call.token)
        if self._recording.content:
            call.span.set_attribute(TOOL_CALL_RESULT, result_of(event.output))
        if event.error is not None:
            _fail(call, error_type(event.error), "the tool failed")
        self._end(call)
        return True

    def close(self) -> None:
        """The connection is over: what still runs is answered no more."""
        for call in self._running.values():
            _fail(call, _UNANSWERED, "the session ended before the tool's output was sent")
            self._end(call)
        self._running.clear()

    def _end(self, call: _Call) -> None:
        now = self._recording.clock.seconds()
        instruments = self._recording.instruments
        instruments.tool_duration.record(now - call.started_at, call.labels, set_span_in_context(call.span))
        call.span.end(self._recording.clock.at(now))


def _fail(call: _Call, kind: str, words: str) -> None:
    call.labels[ERROR_TYPE] = kind
    call.span.set_attribute(ERROR_TYPE, kind)
    call.span.set_status(Status(StatusCode.ERROR, words))
