"""Whether everything that was opened was closed again: tasks, sockets and threads; and nothing failed unseen."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

__all__ = ["no_leaks", "settled"]

PATIENCE = 10.0


def _tasks() -> set[asyncio.Task[object]]:
    return {task for task in asyncio.all_tasks() if not task.done() and task is not asyncio.current_task()}


def _sockets() -> set[str]:
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            target = str(descriptor.readlink())
            if target.startswith("socket:"):
                found.add(target)
    return found


def _threads() -> set[threading.Thread]:
    # The event loop's own pool keeps its few threads for the next call.
    return {thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_")}


def _is_told(context: dict[str, Any]) -> bool:
    """Whether it is only what connect() raises as well: picows has the loop tell of each failed handshake."""
    return bool(context["message"] == "SSL handshake failed")


async def settled(condition: Callable[[], bool]) -> bool:
    """Give everything that is about to end the time for it; return whether `condition` came true."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not condition():
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(0.002)
    return True


@contextlib.asynccontextmanager
async def no_leaks() -> AsyncIterator[None]:
    """Fail if the block leaves a task, a socket or a thread behind, or an exception that nobody saw.

    What was there before may go.
    """
    tasks, sockets, threads = _tasks(), _sockets(), _threads()
    unseen: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: None if _is_told(context) else unseen.append(context))
    try:
        yield
        await settled(lambda: _tasks() <= tasks and _sockets() <= sockets and _threads() <= threads)
    finally:
        loop.set_exception_handler(before)
    assert _tasks() <= tasks, _tasks() - tasks
    assert _sockets() <= sockets, _sockets() - sockets
    assert _threads() <= threads, _threads() - threads
    assert not unseen, unseen
