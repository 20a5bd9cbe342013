"""The program in docs/examples runs as it is, against the local server, with the two variables that users set."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from jackfield_local import Call, LocalServer, Reply, ResponseContext, Say

PROGRAM = Path(__file__).parents[3] / "docs" / "examples" / "tracing.py"

TREE = """
invoke_agent Greeter
    chat gpt-realtime
        execute_tool get_weather
            look out of the window
    chat gpt-realtime
"""


class Weatherman:
    def phrases(self, context: ResponseContext) -> Sequence[str]:
        return []

    async def respond(self, context: ResponseContext) -> Reply:
        last = context.items[-1]
        return [Say("It is sunny.")] if "output" in last else [Call("get_weather", {"city": "Paris"})]


async def test_it_prints_the_tree_of_a_conversation() -> None:
    async with LocalServer(responder=Weatherman(), recognizer=None, synthesizer=None, pace=0) as server:
        variables = {"OPENAI_BASE_URL": server.http_url, "OPENAI_API_KEY": "sk-local", "PYTHONWARNINGS": "error"}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            PROGRAM,
            env=os.environ | variables,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(60):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert (process.returncode, err.decode()) == (0, "")
    printed = out.decode().splitlines()
    spans = [line.partition("  [")[0] for line in printed if line.endswith(" ms]")]
    assert spans == TREE.strip().splitlines()
    events = [line.partition(" ms: ")[2] for line in printed if " ms: " in line]
    assert events[0] == "jackfield.connected"
    for milestone in ("response_created", "first_delta", "first_audio_delivered", "response_done"):
        assert f"jackfield.{milestone}" in events
