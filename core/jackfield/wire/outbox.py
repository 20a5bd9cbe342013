"""Frames on their way out: one writer at a time, in the order in which they were put.

A sender writes by itself while nobody else does, and waits for the wire: that is the backpressure. Whoever comes
while another writes waits in line. The reader must never wait for the wire (both ends would wait for each other), so
it posts.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from .wires import DirectConnection, WireConnection

__all__ = ["Outbox"]


class Outbox:
    """The writing half of one connection. `spawn` starts a task that belongs to that connection."""

    def __init__(
        self,
        connection: WireConnection,
        spawn: Callable[..., object],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._connection = connection
        # Asked once: what a protocol's members are is looked up anew by each isinstance.
        self._direct = connection if isinstance(connection, DirectConnection) else None
        self._spawn = spawn
        self._on_failure = on_failure
        self._line: deque[tuple[bytes, asyncio.Future[None] | None]] | None = None
        """Who waits. Made when somebody does: an empty one takes more memory than all the rest."""
        self._writing = False
        self._closed: Exception | None = None

    async def write(self, frames: Sequence[bytes], *, alone: bool = False) -> None:
        """Write `frames`, in order and together; return when the wire has accepted them all.

        They are written also where the sender gives up meanwhile: the dialect has counted on them. A frame that
        stands `alone` (audio) needs no task of its own while nobody else writes, and goes with its sender.
        """
        if self._closed is not None:
            raise self._closed
        if alone and len(frames) == 1 and not self._writing:
            await self._write_alone(frames[0])
            return
        done = asyncio.get_running_loop().create_future()
        self.post(frames, done)
        await done

    def post(self, frames: Sequence[bytes], done: asyncio.Future[None] | None = None) -> None:
        """Put `frames` into the line without waiting; `done` is resolved when the last one was accepted.

        Where nobody waits for them, and nobody else writes, they go out at once, as far as the wire can do that.
        """
        if done is None and not self._writing and self._closed is None:
            frames = frames[self._write_now(frames) :]
            if not frames:
                return
        line = self._line = deque() if self._line is None else self._line
        line.extend((frame, None) for frame in frames[:-1])
        line.append((frames[-1], done))
        if not self._writing:
            self._writing = True
            self._start_pump()

    def _write_now(self, frames: Sequence[bytes]) -> int:
        """Write as many of `frames` as can be without waiting; return how many."""
        direct = self._direct
        if direct is None:
            return 0
        return next((number for number, frame in enumerate(frames) if not direct.send_now(frame)), len(frames))

    def close(self, error: Exception) -> None:
        """Refuse everything from now on, and fail those who wait, with `error`."""
        self._closed = error
        while self._line:
            _, done = self._line.popleft()
            if done is not None and not done.done():
                done.set_exception(error)

    async def _write_alone(self, frame: bytes) -> None:
        """The common case: nobody else writes."""
        self._writing = True
        try:
            await self._connection.send(frame)
        except Exception:
            if self._closed is not None:
                raise self._closed from None  # it failed because we closed, not the other way round
            raise
        finally:
            if self._line and self._closed is None:
                self._start_pump()
            else:
                self._writing = False

    def _start_pump(self) -> None:
        self._spawn(self._pump())

    async def _pump(self) -> None:
        try:
            while self._line:
                frame, done = self._line.popleft()
                try:
                    await self._connection.send(frame)
                except asyncio.CancelledError:
                    # Only the end of the connection does that, and whoever waits must learn of it.
                    if done is not None and not done.done() and self._closed is not None:
                        done.set_exception(self._closed)
                    raise
                except Exception as error:  # noqa: BLE001 - whatever a wire raises belongs to who waits for it
                    if done is not None and not done.done():
                        done.set_exception(self._closed or error)
                    elif done is None:
                        self._on_failure(error)
                else:
                    if done is not None and not done.done():
                        done.set_result(None)
        finally:
            self._writing = False
            self._line = self._line or None
