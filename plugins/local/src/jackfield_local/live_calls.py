"""The calls that are under way: found by their id, joined, hung up, and ended with the server.

What carries a call's media is the affair of the call itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final, Protocol

from jackfield.task_scope import TaskScope
from jackfield_local.engine.errors import ApiError
from jackfield_local.session import Channel

__all__ = ["LiveCall", "LiveCalls", "call_not_found"]

_END_SECONDS: Final = 2.0
"""How long calls may take to end with the server; what takes longer is cancelled."""


class LiveCall(Protocol):
    """A call: a session whose audio goes by a media path of its own."""

    @property
    def id(self) -> str:
        """The call's id, `rtc_…`."""
        ...

    @property
    def live(self) -> bool:
        """Whether the media path is there, so that clients may join."""
        ...

    async def run(self) -> None:
        """Hold the call until it is over."""
        ...

    async def join(self, channel: Channel) -> None:
        """Let one more client take part, until it is gone or the call is over."""
        ...

    def end(self, code: int, reason: str) -> None:
        """End the call; who has joined is told by this close code and reason. The first one to end it counts."""
        ...


class LiveCalls:
    """A server's calls."""

    def __init__(self) -> None:
        self._calls: dict[str, LiveCall] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._scope = TaskScope()
        self._stopped = asyncio.Event()

    def start(self, call: LiveCall) -> bool:
        """Hold a call until it is over. Return False, and leave it alone, where the server has stopped."""
        task = self._scope.spawn(self._hold(call), name=f"jackfield-local {call.id}")
        if task is None:
            return False
        self._calls[call.id] = call
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    def find(self, call_id: str) -> LiveCall:
        """Return the call with that id. Raises `ApiError` where there is none."""
        call = self._calls.get(call_id)
        if call is None:
            raise call_not_found()
        return call

    def hang_up(self, call_id: str) -> None:
        """End a call. Raises `ApiError` where there is none with that id."""
        self.find(call_id).end(1000, "")
        del self._calls[call_id]

    async def pause(self, seconds: float) -> None:
        """Wait so long, and no longer than the server runs."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopped.wait()

    async def close(self) -> None:
        """End all calls, and take no more."""
        self._stopped.set()
        self._scope.close()
        for call in self._calls.values():
            call.end(1001, "The server stops.")
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_END_SECONDS)
        await self._scope.aclose()

    async def _hold(self, call: LiveCall) -> None:
        try:
            await call.run()
        finally:
            self._calls.pop(call.id, None)


def call_not_found() -> ApiError:
    """Return the refusal for a call that isn't there."""
    return ApiError("No session found for the provided call_id", code="call_id_not_found")
