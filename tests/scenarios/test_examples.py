"""Every program in docs/examples runs as it is, against the local server, with the two variables that users set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from jackfield.audio import read_wav
from jackfield_local import Call, LocalServer, Reply, Responder, ResponseContext, Say
from support.programs import run_example

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
QUESTION = "What is the weather in Paris?"

GUIDES: dict[str, list[str]] = {
    "approvals.py": [
        "Paid 5 euros",
        'pay({"euros":500}) waits: no',
        "The boss said no",
        'pay({"euros":50}) waits: yes',
        "Paid 50 euros",
        "Paid 100 euros",
    ],
    "guardrails.py": ["said: The number is confidential.", "stopped by no_secrets"],
    "handoffs.py": [
        "Front desk -> Billing",
        "Billing: The bill of May is 42 euros",
        "Billing -> Front desk",
        "reasons: ['wrong bill']; now: Front desk",
    ],
    "hosted_mcp.py": [
        "clock has get_time: The current date and time.",
        "get_time of clock waits: yes",
        "it says 20",
        "get_time of clock waits: no",
        "The call was not approved: Look at your own watch.",
    ],
    "history.py": [
        "edited:\n  user: (The user said hello.)",
        "taken up:\n  user: (The user said hello.)",
        "user: Thank you",
    ],
    "interruption.py": ["cut after 1000 ms", "interrupted", "1000 ms", "and then: You are welcome."],
    "quickstart.py": ["Assistant begins", "s of speech", "Assistant said: Why did the telephone"],
    "tools.py": [
        "Weather(city='Paris', sky='clear', celsius=21)",
        "Tool 'get_traffic' timed out after 0.05 seconds.",
        "the tide table is not there",
        "3 calls, 3 answered",
    ],
}
"""The guides' programs, against the server that `jackfield serve` runs: what each must print, in this order."""

PROGRAMS: dict[str, tuple[list[str], list[str]]] = {
    "fetch_upgrade.py": ([QUESTION], [f"I heard: {QUESTION}"]),
    "first_program.py": (["answer.wav"], ["It is: Sunny in Paris.", "s of speech: answer.wav"]),
    "webrtc_call.py": ([], ["I heard: Hello?", "s of answer in answer.wav"]),
    "thin_client.py": ([], ['get_weather({"city":"Paris"})', "It is: Sunny, with a fair wind.", "s of speech"]),
}
"""Each program's arguments, and what it must print."""


ELSEWHERE = {"agents_sdk.py", "mcp_tools.py", "sip_agent.py", "test_an_agent.py", "tracing.py"}
"""Programs that other tests run."""


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


async def run(
    program: str | Path, arguments: Sequence[str], directory: Path, responder: Responder | None = None
) -> str:
    """Run a program to its end and return what it printed. Without a responder the server goes by its rules."""
    async with LocalServer(responder=responder, recognizer=None, synthesizer=None, pace=0) as server:
        return await run_example(server, EXAMPLES / program, *arguments, cwd=directory)


def test_all_of_them_are_run() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {*PROGRAMS, *GUIDES, *ELSEWHERE}


@pytest.mark.parametrize("program", PROGRAMS)
async def test_it_runs(program: str, tmp_path: Path) -> None:
    arguments, expected = PROGRAMS[program]
    printed = await run(program, arguments, tmp_path, Weatherman())
    for words in expected:
        assert words in printed.replace('": "', '":"')


@pytest.mark.parametrize("program", GUIDES)
async def test_a_guides_program_runs(program: str, tmp_path: Path) -> None:
    printed = await run(program, [], tmp_path)
    for words in GUIDES[program]:
        before, found, printed = printed.partition(words)
        assert found, (words, before)


async def test_the_first_program_leaves_a_recording(tmp_path: Path) -> None:
    await run("first_program.py", ["spoken.wav"], tmp_path, Weatherman())
    pcm, rate, channels = read_wav(tmp_path / "spoken.wav")
    assert (rate, channels) == (24_000, 1)
    assert any(pcm)


async def test_the_program_in_the_readme(tmp_path: Path) -> None:
    readme = (EXAMPLES.parents[1] / "README.md").read_text()
    program = tmp_path / "first.py"
    program.write_text(readme.split("```python\n")[1].split("```")[0])
    assert "It is: Sunny in Paris." in await run(program, [], tmp_path, Weatherman())
