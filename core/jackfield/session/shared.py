"""What the parts of one session share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from attrs import define

from jackfield.errors import JackfieldError, TransportError
from jackfield.invoke import is_being_cancelled, use_executor
from jackfield.run_context import RunContextWrapper
from jackfield.task_scope import TaskScope
from jackfield.transport.layer import RealtimeTransportLayer

from .events import RealtimeError, RealtimeEventInfo
from .run_settings import RunSettings
from .stream import SessionStream

__all__ = ["Shared"]

logger = logging.getLogger("jackfield.session")

_THREADS = 32
"""Threads are started as they are needed. One that hangs past its time limit is lost, for it can't be stopped."""


@define(eq=False)
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
    gone: bool = False
    """Whether the connection has ended. Whatever the transport carries afterwards is another session's."""
    ending: bool = False
    """Whether the last words are being said: nothing more is asked for."""

    _pool: ThreadPoolExecutor | None = None

    def use_threads(self) -> None:
        """Have the current task run the application's plain functions on threads of this session's own."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="jackfield-tool")
        use_executor(self._pool)

    def let_go_of_threads(self) -> None:
        """Start nothing more on them. What still runs on one finishes there, unheard."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    @property
    def over(self) -> bool:
        """Whether the conversation has ended, by whomever: what still comes of it is nobody's."""
        return self.gone or self.scope.closed or self.transport.status == "disconnected"

    def ends(self, error: BaseException) -> bool:
        """Tell whether `error` comes of the session's end: a cancellation that isn't the application's own."""
        return isinstance(error, asyncio.CancelledError) and (self.over or is_being_cancelled())

    def tell_error(self, error: JackfieldError) -> None:
        """Tell what went wrong without ending the session."""
        self.stream.tell(RealtimeError(error, self.info))

    async def request_response(self) -> None:
        """Ask for an answer to what has entered the conversation."""
        if self.ending or self.over:
            return
        try:
            await self.transport.request_response()
        except TransportError as error:
            logger.debug("an answer could not be asked for: %s", error)

    def log(self, **more: Any) -> dict[str, Any]:
        """Return the `extra` of a log record: which session it is about, and what else is known."""
        return {"jackfield_session": self.session_id, **{f"jackfield_{key}": value for key, value in more.items()}}
