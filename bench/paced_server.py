"""The paced server: sessions that hold their conversations in real time, and what it saw of them.

Run as a process of its own: `python -m bench.paced_server`; it prints its port. Commands come as JSON on stdin, one a
line, answers go to stdout. `play` says how many sessions come next and what they are told: once all of them have sent
audio, each has its turn once in `TICK_MS`, evenly spread, and is told everything up to the next audio delta. The first
bytes of a delta's audio are the time at which it was written. With `speech_started` a session waits until its client
has truncated; the sessions' first answers differ in length, so that they aren't all interrupted at once. `report` tells
what came of it.

All is encoded beforehand, apart from the time.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import selectors
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, Literal

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from .contention import waited_ns
from .frames import STAMP_BYTES, TICK_MS, WORKLOADS, Workload, conversation_frames, session_frames
from .server import encode

_STAMPED: Final = -(-STAMP_BYTES // 3) * 3
"""Bytes of audio that are replaced: in threes, so that their base64 can be replaced as well."""
_STAMPED_CHARACTERS: Final = _STAMPED // 3 * 4
_DELTA_KEY: Final = b'"delta":"'
_LARGE: Final = 1000
"""A client event with more bytes than this is audio, once a session is ready."""
_PATIENCE_NS: Final = 500_000_000
"""How long a session waits for a truncation before it goes on without."""
_CREATED, _UPDATED = (encode(text) for text in session_frames())


@dataclass(frozen=True)
class _Step:
    """What is said at one tick."""

    kind: Literal["audio", "speech", "end"]
    head: bytes
    """Everything before the time."""
    tail: bytes = b""
    """What follows the time."""


def _steps(workload: Workload) -> Iterator[_Step]:
    head = b""
    for text in conversation_frames(workload):
        frame = encode(text)
        if text.startswith('{"type":"response.output_audio.delta"'):
            start = frame.index(_DELTA_KEY) + len(_DELTA_KEY)
            yield _Step("audio", head + frame[:start], frame[start + _STAMPED_CHARACTERS :])
            head = b""
        elif text.startswith('{"type":"input_audio_buffer.speech_started"'):
            yield _Step("speech", head + frame)
            head = b""
        else:
            head += frame
    yield _Step("end", head)


def _stamp(now: int) -> bytes:
    return base64.b64encode(now.to_bytes(_STAMPED, "little"))


class _Session(asyncio.Protocol):
    """One connection: says its steps when its turn comes, and looks for truncations in what the client says."""

    def __init__(self, play: _Play) -> None:
        self._play = play
        self._protocol = ServerProtocol(max_size=None)
        self._transport: asyncio.Transport
        self._steps: Iterator[_Step] = iter(())
        self._ready = False
        self._spoke: int | None = None
        """When the user began to speak, until the client has truncated."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._protocol.send_response(self._protocol.accept(event))
                self._flush()
                self._transport.write(_CREATED)
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self._heed(event.data, now)
        self._flush()
        if self._protocol.close_expected():
            self._transport.close()

    def begin(self, skipped: int) -> None:
        """Have something to say from now on: so many of the first answer's audio deltas less than the others."""
        self._steps = chain(self._play.steps[:1], self._play.steps[skipped + 1 :])

    def tick(self, due: int) -> None:
        """Say what is to be said next; `due` is when it was to be said."""
        now = time.monotonic_ns()
        if self._spoke is not None:
            if now - self._spoke < _PATIENCE_NS:
                return
            self._play.unanswered += 1
            self._spoke = None
        step = next(self._steps, None)
        if step is None or self._transport.is_closing():
            return
        if step.kind == "audio":
            self._transport.write(b"".join((step.head, _stamp(now), step.tail)))
            self._play.lateness.append(now - due)
        else:
            if step.kind == "speech":
                self._spoke = now
            self._transport.write(step.head)

    def _heed(self, message: bytes | bytearray | memoryview, now: int) -> None:
        if self._ready and len(message) > _LARGE:
            return  # audio, which is by far the most of it
        # The event's type stands at one of a few places, according to the client's JSON encoder.
        said = bytes(message)
        if b'"conversation.item.truncate"' in said:
            if self._spoke is not None:
                self._play.truncations.append(now - self._spoke)
                self._spoke = None
        elif b'"session.update"' in said:
            self._transport.write(_UPDATED)
        elif not self._ready and b'"input_audio_buffer.append"' in said:
            self._ready = True
            self._play.join(self)

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)


class _Play:
    """As many sessions as were asked for, and the wheel that gives each its turn."""

    def __init__(self, sessions: int, workload: Workload) -> None:
        self.steps = list(_steps(workload))
        self.lateness: list[int] = []
        """Of each audio delta: how late it was written."""
        self.truncations: list[int] = []
        """Of each interruption: from the write of `speech_started` until the truncation was read."""
        self.unanswered = 0
        self._expected = sessions
        self._staggered = workload.deltas if workload.cut_short else 0
        self._sessions: list[_Session] = []
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._started = self._waited = 0

    def join(self, session: _Session) -> None:
        """Count a session that has sent audio; with the last of them the wheel begins to turn."""
        session.begin(len(self._sessions) * self._staggered // self._expected)
        self._sessions.append(session)
        if len(self._sessions) == self._expected:
            self._started, self._waited = time.monotonic_ns(), waited_ns()
            self._turn(0, self._loop.time())

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def report(self) -> dict[str, Any]:
        elapsed = time.monotonic_ns() - self._started
        return {
            "lateness": self.lateness,
            "truncations": self.truncations,
            "unanswered": self.unanswered,
            "waited": (waited_ns() - self._waited) / elapsed,
        }

    def _turn(self, number: int, due: float) -> None:
        self._sessions[number % self._expected].tick(round(due * 1e9))
        due += TICK_MS / 1000 / self._expected
        self._timer = self._loop.call_at(due, self._turn, number + 1, due)


async def main() -> None:
    loop = asyncio.get_running_loop()
    play = _Play(1, WORKLOADS["idle"])
    server = await loop.create_server(lambda: _Session(play), "127.0.0.1", 0, backlog=1024)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    # A collection in the midst of a play would be told as a late delta, and its garbage is none that matters.
    gc.disable()
    async with server:
        while line := await commands.readline():
            command = json.loads(line)
            answer: dict[str, Any] = {}
            if command["do"] == "play":
                play.stop()
                play = _Play(command["sessions"], Workload(**command["workload"]))
                gc.collect()
            else:
                play.stop()
                answer = play.report()
            print(json.dumps(answer), flush=True)


def _precise_loop() -> asyncio.AbstractEventLoop:
    """A loop whose timers are not rounded to milliseconds, as those that wait with epoll or poll are."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


if __name__ == "__main__":
    with suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=_precise_loop) as runner:
        runner.run(main())
