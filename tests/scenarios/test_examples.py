"""Every program in docs/examples runs as it is, against the local server, with the two variables that users set."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from jackfield.audio import read_wav
from jackfield_local import Call, LocalServer, Reply, ResponseContext, Say

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
QUESTION = "What is the weather in Paris?"

PROGRAMS: dict[str, tuple[list[str], list[str]]] = {
    "fetch_upgrade.py": ([QUESTION], [f"I heard: {QUESTION}"]),
    "first_program.py": (["answer.wav"], ["It is: Sunny in Paris.", "s of speech: answer.wav"]),
    "thin_client.py": ([], ['get_weather({"city":"Paris"})', "It is: Sunny, with a fair wind.", "s of speech"]),
}
"""Each program's arguments, and what it must print."""


class Weatherman:
    """Calls the tool for the weather where there is one, and tells what it said."""

    def phrases(self, context: ResponseContext) -> Sequence[str]:
        return [QUESTION]

    async def respond(self, context: ResponseContext) -> Reply:
        last = context.items[-1]
        if last["type"] == "function_call_output":
            return [Say(f"It is: {last['output']}.")]
        if context.tools:
            return [Call(context.tools[0]["name"], {"city": "Paris"})]
        return [Say(f"I heard: {last['content'][0]['text']}")]


async def run(program: str | Path, arguments: Sequence[str], directory: Path) -> str:
    """Run a program to its end and return what it printed."""
    async with LocalServer(responder=Weatherman(), recognizer=None, synthesizer=None, pace=0) as server:
        variables = {"OPENAI_BASE_URL": server.http_url, "OPENAI_API_KEY": "sk-local", "PYTHONWARNINGS": "error"}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            EXAMPLES / program,
            *arguments,
            cwd=directory,
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


def test_all_of_them_are_run() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(PROGRAMS)


@pytest.mark.parametrize("program", PROGRAMS)
async def test_it_runs(program: str, tmp_path: Path) -> None:
    arguments, expected = PROGRAMS[program]
    printed = await run(program, arguments, tmp_path)
    for words in expected:
        assert words in printed.replace('": "', '":"')


async def test_the_first_program_leaves_a_recording(tmp_path: Path) -> None:
    await run("first_program.py", ["spoken.wav"], tmp_path)
    pcm, rate, channels = read_wav(tmp_path / "spoken.wav")
    assert (rate, channels) == (24_000, 1)
    assert any(pcm)


async def test_the_program_in_the_readme(tmp_path: Path) -> None:
    readme = (EXAMPLES.parents[1] / "README.md").read_text()
    program = tmp_path / "first.py"
    program.write_text(readme.split("```python\n")[1].split("```")[0])
    assert "It is: Sunny in Paris." in await run(program, [], tmp_path)
