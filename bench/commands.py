"""The life of a process that holds calls: it is told what to do line by line, and says what it has cost.

Commands are JSON on stdin, one a line, each of which has an answer on stdout: `runner.Process` is the other side.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO, TypeAlias

from .contention import waited_ns

Obey: TypeAlias = Callable[..., Coroutine[Any, Any, dict[str, Any]]]
"""Does a command: `do` is its name, what else it says are its arguments."""


def live(main: Callable[[TextIO], Coroutine[Any, Any, None]]) -> None:
    """Run `main`, which is given where its answers go. Whatever else is printed is not taken for an answer."""
    with suppress(KeyboardInterrupt), os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1) as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        asyncio.run(main(answers))


async def take_commands(obey: Obey, answers: TextIO, greeting: dict[str, Any]) -> None:
    """Greet, and do what is told until there is nobody to tell."""
    print(json.dumps(greeting), file=answers)
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        try:
            answer = await obey(**json.loads(line))
        except Exception as failure:  # a failure is an answer too: the table shows it
            answer = {"failed": f"{type(failure).__name__}: {failure}"}
        print(json.dumps(answer), file=answers)


def cost() -> dict[str, Any]:
    """What this process has cost so far, in seconds, and how many threads it has."""
    tasks = Path("/proc/self/task")
    cpu = time.process_time()
    # Who has one core waits for its own threads as well: those don't count.
    own = cpu - time.thread_time()
    return {
        "at": time.monotonic(),
        "cpu": cpu,
        "waited": waited_ns() / 1e9 - own,
        "threads": len(list(tasks.iterdir())) if tasks.exists() else 0,
    }
