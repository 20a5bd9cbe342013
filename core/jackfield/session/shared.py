"""What the parts of one session share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen

from jackfield.run_context import RunContextWrapper
from jackfield.task_scope import TaskScope
from jackfield.transport.layer import RealtimeTransportLayer

from .events import RealtimeEventInfo
from .run_settings import RunSettings
from .stream import SessionStream

__all__ = ["Shared"]


@frozen(eq=False)
class Shared:
    """One session's transport, context, tasks and stream. Each part holds on to this, and not to the session."""

    session_id: str
    transport: RealtimeTransportLayer
    context: RunContextWrapper[Any]
    info: RealtimeEventInfo
    settings: RunSettings
    scope: TaskScope
    stream: SessionStream
    fail: Callable[[Exception], None]
    """End the session because of an error that the application wants raised."""

    @property
    def over(self) -> bool:
        """Whether the conversation has ended, by whomever: what still comes of it is nobody's."""
        return self.scope.closed or self.transport.status == "disconnected"

    def log(self, **more: Any) -> dict[str, Any]:
        """Return the `extra` of a log record: which session it is about, and what else is known."""
        return {"jackfield_session": self.session_id, **{f"jackfield_{key}": value for key, value in more.items()}}
