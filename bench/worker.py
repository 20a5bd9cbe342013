"""The process that a subject is measured in: it does what it is told, line by line, and says what it cost.

Run as `python -m bench.worker SUBJECT`. Commands come as JSON on stdin, one a line, answers go to stdout. Between
commands it sleeps, so that several workers share a core without touching each other's figures.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import os
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from .contention import waited_ns
from .frames import STAMP_BYTES, TICK_MS, WORKLOADS
from .subjects import load
from .subjects.base import CHUNK, Connection, Subject

_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024
_CHUNKS_IN_A_ROW = 16
"""How many chunks that are late are sent before others on the loop have their turn."""


async def _stream(subject: Subject, url: str, turns: int) -> dict[str, Any]:
    """Follow one conversation; the marks are CPU seconds, at its start and after each turn."""
    marks: list[float] = []
    audio_bytes = 0

    def mark() -> None:
        marks.append(time.process_time())

    def hear(audio: bytes) -> None:
        nonlocal audio_bytes
        audio_bytes += len(audio)

    async with subject.connect(url) as connection, asyncio.TaskGroup() as tasks:
        following = tasks.create_task(connection.follow(turns, hear, mark))
        await asyncio.sleep(0)
        gc.collect()
        started = time.perf_counter()
        mark()
        await connection.send(CHUNK)
        await following
        wall = time.perf_counter() - started
    return {"marks": marks, "wall": wall, "audio_bytes": audio_bytes}


async def _converse(subject: Subject, url: str, sessions: int, turns: int, settle: float) -> dict[str, Any]:
    """Hold conversations in real time; say the delay of each audio delta in ns, and how many were heard.

    `cpu` and `waited` are shares of the time: how much of it was computed, and how much others had the core. The first
    `settle` seconds count for nothing but what was heard.
    """
    delays: list[int] = []
    heard = 0

    def hear(audio: bytes) -> None:
        nonlocal heard
        heard += 1
        delays.append(time.monotonic_ns() - int.from_bytes(audio[:STAMP_BYTES], "little"))

    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(subject.connect(url)) for _ in range(sessions)]
        gc.collect()
        async with asyncio.TaskGroup() as tasks:
            following = [tasks.create_task(each.follow(turns, hear, lambda: None)) for each in connections]
            speaking = tasks.create_task(_speak(connections))
            await asyncio.sleep(settle)
            delays.clear()
            started, cpu, waited = time.perf_counter(), time.process_time(), waited_ns()
            await asyncio.wait(following)
            wall = time.perf_counter() - started
            cpu, waited = time.process_time() - cpu, waited_ns() - waited
            speaking.cancel()
    return {"delays": delays, "heard": heard, "cpu": cpu / wall, "waited": waited / 1e9 / wall}


async def _speak(connections: list[Connection]) -> None:
    """Send a chunk on each connection once in a tick, evenly spread, for as long as it goes."""
    clock = asyncio.get_running_loop().time
    gap = TICK_MS / 1000 / len(connections)
    started = clock()
    for number, connection in enumerate(itertools.cycle(connections)):
        wait = started + number * gap - clock()
        if wait > 0 or number % _CHUNKS_IN_A_ROW == 0:
            await asyncio.sleep(wait)
        await connection.send(CHUNK)


async def _idle(subject: Subject, url: str, counts: list[int]) -> dict[str, Any]:
    """Open sessions and leave them alone; say the resident memory at each of the counts, in KiB."""
    resident: list[int] = []
    async with AsyncExitStack() as stack:
        opened = 0
        for count in counts:
            while opened < count:
                await stack.enter_async_context(subject.connect(url))
                opened += 1
            gc.collect()
            resident.append(int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_KIB)
    return {"resident_kib": resident}


async def _obey(subject: Subject, command: dict[str, Any]) -> dict[str, Any]:
    async with asyncio.timeout(command.get("timeout", 120)):
        if command["do"] == "stream":
            return await _stream(subject, command["url"], WORKLOADS[command["workload"]].turns)
        if command["do"] == "converse":
            return await _converse(subject, command["url"], command["sessions"], command["turns"], command["settle"])
        return await _idle(subject, command["url"], command["counts"])


def main() -> None:
    # Whatever a subject prints must not be taken for an answer.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    subject = load(sys.argv[1])
    print(json.dumps({"missing": subject.missing()}), file=answers)
    for line in sys.stdin:
        try:
            answer = asyncio.run(_obey(subject, json.loads(line)))
        except Exception as failure:  # a failure is an answer too: the table shows it
            error = failure
            while isinstance(error, ExceptionGroup):
                error = error.exceptions[0]
            answer = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main()
