"""Tasks that belong to somebody: started here, and none of them outlives `aclose`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

__all__ = ["TaskScope"]

logger = logging.getLogger("jackfield")


class TaskScope:
    """The tasks of one owner, such as a connection or a session.

    It differs from `asyncio.TaskGroup` in that it is closed from anywhere, also from one of its own tasks, and in
    that one task's failure leaves the others alone.
    """

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether the owner's life is over, so that what a task still brings is nobody's."""
        return self._closed

    def spawn(self, coroutine: Coroutine[Any, Any, Any], name: str | None = None) -> asyncio.Task[Any] | None:
        """Start a task; once the scope is closed, do nothing and return None."""
        if self._closed:
            coroutine.close()
            return None
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks[task] = None
        task.add_done_callback(self._done)
        return task

    def close(self) -> None:
        """Take no more tasks. Those that run are left alone until `aclose`."""
        self._closed = True

    async def aclose(self, timeout: float = 1.0) -> None:
        """Cancel every task but the calling one, and wait for them, `timeout` seconds at most."""
        self._closed = True
        tasks = self._tasks.keys() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            _, stubborn = await asyncio.wait(tasks, timeout=timeout)
            for task in stubborn:
                logger.warning("task %s does not end although it was cancelled; it is left behind", task.get_name())

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("task %s failed", task.get_name(), exc_info=error)
