"""Observers: functions that take a session which is about to connect, and follow it."""

from __future__ import annotations

import os
from typing import Final

from opentelemetry import metrics, trace

from jackfield import ConfigurationError, RealtimeSession
from jackfield.observers import SessionObserver

from .instruments import Instruments
from .session import SessionTelemetry
from .version import __version__

__all__ = ["CAPTURE_CONTENT", "observe", "observer"]

CAPTURE_CONTENT: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
"""The environment variable by which all GenAI instrumentations are asked to record content."""

_SCOPE: Final = "jackfield_otel"
_CAPTURING: Final = {"true", "span_only", "span_and_event"}


def observer(
    tracer_provider: trace.TracerProvider | None = None,
    meter_provider: metrics.MeterProvider | None = None,
    capture_content: bool | None = None,
) -> SessionObserver:
    """Return an observer that uses these providers, by default the global ones.

    `capture_content` tells whether spans hold what was said, and the arguments and results of tools. By default the
    environment variable `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` does: true, span_only and span_and_event
    (in whatever case) turn it on. Raises `ConfigurationError` where it is neither a bool nor None.
    """
    if capture_content is not None and not isinstance(capture_content, bool):
        raise ConfigurationError(
            f"capture_content={capture_content!r} is no choice: give True or False, or None for what {CAPTURE_CONTENT}"
            " says"
        )
    tracer = trace.get_tracer(_SCOPE, __version__, tracer_provider=tracer_provider)
    instruments = Instruments.of(metrics.get_meter(_SCOPE, __version__, meter_provider=meter_provider))

    def observe(session: RealtimeSession) -> None:
        content = _asked_for() if capture_content is None else capture_content
        SessionTelemetry(session, tracer, instruments, content=content).listen()

    return observe


def _asked_for() -> bool:
    return os.environ.get(CAPTURE_CONTENT, "").strip().lower() in _CAPTURING


observe: SessionObserver = observer()
"""Follows a session by the global providers, whenever they are set."""
