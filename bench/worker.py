"""The process that a subject is measured in: it does what it is told, line by line, and says what it cost.

Run as `python -m bench.worker SUBJECT`. Commands come as JSON on stdin, one a line, answers go to stdout. Between
commands it sleeps, so that several workers share a core without touching each other's figures.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from .frames import WORKLOADS
from .subjects import load
from .subjects.base import Subject

_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


async def _stream(subject: Subject, url: str, turns: int) -> dict[str, Any]:
    """Follow one conversation; the marks are CPU seconds, at its start and after each turn."""
    marks: list[float] = []
    async with subject.connect(url) as connection:
        gc.collect()
        started = time.perf_counter()
        audio_bytes = await connection.run(turns, lambda: marks.append(time.process_time()))
        wall = time.perf_counter() - started
    return {"marks": marks, "wall": wall, "audio_bytes": audio_bytes}


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
        except Exception as error:  # a failure is an answer too: the table shows it
            answer = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main()
