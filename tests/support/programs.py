"""Programs in a process of their own: run to their end, or for as long as a test needs them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from jackfield_local import LocalServer

__all__ = ["Running", "run_example", "run_program", "running_program"]

PATIENCE = 60.0
"""Seconds after which a program hangs. Nothing is measured by it."""


async def run_program(
    *command: str | Path, cwd: Path | None = None, environment: Mapping[str, str]
) -> tuple[int | None, str, str]:
    """Run `command` with more variables in its environment; return its exit status, what it printed, and its errors.

    It doesn't outlive the test.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, out.decode(), err.decode()


async def run_example(server: LocalServer, program: Path, *arguments: str, cwd: Path | None = None) -> str:
    """Run a program as a user would, with `server` for the API, and no complaint; return what it printed."""
    variables = {"OPENAI_BASE_URL": server.http_url, "OPENAI_API_KEY": "sk-local", "PYTHONWARNINGS": "error"}
    status, out, err = await run_program(sys.executable, program, *arguments, cwd=cwd, environment=variables)
    assert (status, err) == (0, "")
    return out


class Running:
    """A program that goes on, and what it has printed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.printed = ""
        self._process = process
        self._news = asyncio.Event()

    async def expect(self, words: str, count: int = 1) -> None:
        """Wait until it has printed `words`, so many times."""
        async with asyncio.timeout(PATIENCE):
            while self.printed.count(words) < count:
                assert self._process.returncode is None, f"it ended without {words!r}: {self.printed}"
                await self._news.wait()

    async def interrupt(self) -> int:
        """Interrupt it as a user does, and return its exit status."""
        self._process.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE):
            return await self._process.wait()

    async def listen(self) -> None:
        """Read what it prints, to its end; `running_program` does so."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.printed += line.decode()
            self._news.set()
            self._news = asyncio.Event()
        await self._process.wait()
        self._news.set()


@contextlib.asynccontextmanager
async def running_program(*command: str | Path, environment: Mapping[str, str]) -> AsyncIterator[Running]:
    """Run `command` for as long as the block; what it prints, complaints included, is in `printed`."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    program = Running(process)
    listening = asyncio.create_task(program.listen())
    try:
        yield program
    finally:
        if process.returncode is None:
            process.kill()
        await listening
