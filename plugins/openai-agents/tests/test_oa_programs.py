"""The program in docs/examples and the one in the README run as they are, with the two variables that users set."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

from jackfield_local import LocalServer

PLUGIN = Path(__file__).parents[1]
PROGRAM = PLUGIN.parents[1] / "docs" / "examples" / "agents_sdk.py"


async def run(program: Path, *arguments: str) -> str:
    """Run a program against the server that `jackfield serve` runs; return what it printed."""
    async with LocalServer(recognizer=None, synthesizer=None, pace=0) as server:
        variables = {"OPENAI_BASE_URL": server.http_url, "OPENAI_API_KEY": "sk-local", "PYTHONWARNINGS": "error"}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            program,
            *arguments,
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
    return out.decode()


@pytest.mark.parametrize("transport", ["webrtc", "websocket"])
async def test_the_example(transport: str) -> None:
    printed = await run(PROGRAM, transport)
    for words in [
        "Front desk -> Billing",
        "s of speech",
        'get_balance({"month":"May"}): The bill of May',
        "42 euros (",
    ]:
        before, found, printed = printed.partition(words)
        assert found, (words, before)


async def test_the_readme(tmp_path: Path) -> None:
    [block] = re.findall(r"```python\n(.*?)```", (PLUGIN / "README.md").read_text(), re.DOTALL)
    program = tmp_path / "first.py"
    program.write_text(block.replace("...  # PCM16", "print(len(event.audio.data))  # PCM16"))
    assert int((await run(program)).split()[0]) > 0
