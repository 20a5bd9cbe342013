"""What the parts of one session's telemetry share."""

from __future__ import annotations

from attrs import define
from opentelemetry.context import Context
from opentelemetry.trace import Tracer

from .clock import Clock
from .instruments import Instruments

__all__ = ["Recording"]


@define(eq=False)
class Recording:
    """How one session is recorded: by what, in whose time, under which labels, and beneath which span."""

    tracer: Tracer
    instruments: Instruments
    clock: Clock
    conversation_id: str
    content: bool
    labels: dict[str, str]
    """Attributes of every span and every metric: provider, and the model once it is known."""
    context: Context
    """That of the session's span."""
