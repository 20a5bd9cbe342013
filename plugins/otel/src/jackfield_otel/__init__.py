"""OpenTelemetry for jackfield's sessions: a span for each session, turn and tool call, and metrics.

Where it is installed every session is observed, by the global providers: `observe` is what the entry point brings.
`observer(...)` makes one with providers of its own, for `RealtimeSession(observers=[...])`. It uses the API alone: the
SDK, its exporters and its sampling are the application's.
"""

from __future__ import annotations

from .observing import observe, observer
from .version import __version__

__all__ = ["__version__", "observe", "observer"]
