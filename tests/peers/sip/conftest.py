"""sipp, and a server whose calls an application takes."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

from jackfield.audio.g711 import encode
from jackfield_local import LocalServer, Say
from support.call_application import CallApplication, Handler, call_application
from support.machine import missing

SECONDS = 40.0


class Sipp:
    """Plays a scenario to a server."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._speech = folder / "speech.raw"
        samples = np.arange(8000 * 2)
        self._speech.write_bytes(
            encode((np.sin(samples * 2 * np.pi * 180 / 8000) * 9000).astype("<i2").tobytes(), "ulaw")
        )

    async def play(
        self, scenario: str, server: LocalServer, *, calls: int = 1, at_once: int = 1, tcp: bool = False
    ) -> None:
        """Have `calls` callers go through the scenario, some `at_once`. Fails where one of them doesn't get through."""
        file = self._folder / "scenario.xml"
        file.write_text(scenario.replace("{speech}", str(self._speech)))
        remote = server.sip_uri.partition("@")[2]
        command = [
            *(self._program, "-sf", str(file), "-s", "proj_local", "-i", "127.0.0.1", "-mi", "127.0.0.1"),
            *("-m", str(calls), "-l", str(at_once), "-r", str(at_once), "-t", "t1" if tcp else "u1"),
            *(
                "-nostdin",
                "-timeout",
                "30",
                "-timeout_error",
                "-trace_err",
                "-error_file",
                str(self._folder / "errors"),
            ),
            remote,
        ]
        process = await asyncio.create_subprocess_exec(
            *command, cwd=self._folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        try:
            async with asyncio.timeout(SECONDS):
                out, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            errors = self._folder / "errors"
            told = errors.read_text(errors="replace")[:3000] if errors.exists() else ""
            pytest.fail(f"sipp ended with {process.returncode}:\n{told}\n{out.decode(errors='replace')[-1500:]}")


class Monologue:
    """A responder that has much to say."""

    def phrases(self, context: Any) -> list[str]:
        return []

    async def respond(self, context: Any) -> list[Say]:
        return [Say("This is a long story, which nobody is going to hear to its end. " * 3)]


Line: TypeAlias = tuple[LocalServer, CallApplication]


@pytest.fixture(scope="session")
def sipp_program() -> str:
    program = shutil.which("sipp")
    if program is None:
        missing("sipp", "apt-get install sip-tester")
    return program


@pytest.fixture
def sipp(sipp_program: str, tmp_path: Path) -> Sipp:
    return Sipp(sipp_program, tmp_path)


@pytest.fixture
def line() -> Callable[..., contextlib.AbstractAsyncContextManager[Line]]:
    """A server whose calls a handler of the application's takes."""

    @contextlib.asynccontextmanager
    async def make(handler: Handler, **options: Any) -> AsyncIterator[Line]:
        defaults: dict[str, Any] = {"responder": Monologue(), "recognizer": None, "synthesizer": None, "pace": 0}
        async with (
            call_application(handler) as application,
            LocalServer(
                sip=True, webhook_url=application.url, webhook_secret="whsec_c2VjcmV0", **{**defaults, **options}
            ) as server,
        ):
            application.api = server.http_url
            yield server, application

    return make
