"""Programs, run to their end in a process of their own."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from jackfield_local import LocalServer

__all__ = ["run_example", "run_program"]

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
