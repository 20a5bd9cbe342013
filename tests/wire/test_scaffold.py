"""What `jackfield new-transport` writes, as users get it: built, installed by pip in a fresh environment, and used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PIGEON, SIGNALS = "carrier-pigeon", "smoke-signals"
DIALECTS = {PIGEON: "openai", SIGNALS: "own"}


class Environment:
    """A virtual environment that Python itself has made, with nothing in it but pip."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # It must see nothing of the environment that runs the tests.
        self._variables = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("PYTHON", "COLUMNS", "VIRTUAL_ENV", "OPENAI", "AZURE"))
        }
        run([sys.executable, "-m", "venv", str(path)], self._variables, path.parent)

    def install(self, *requirements: str) -> None:
        """Install them, with pip and nothing else."""
        quiet = ("--quiet", "--disable-pip-version-check", "--no-input")
        run([self.script("python"), "-m", "pip", "install", *quiet, *requirements], self._variables, self.path)

    def run(self, *command: str, where: Path | None = None) -> str:
        """Run a command of the environment, which must succeed, and return what it printed."""
        there = {key: value for key, value in self._variables.items() if not key.lower().endswith("_proxy")}
        return run([self.script(command[0]), *command[1:]], there, where or self.path)

    def python(self, program: str) -> str:
        """Run a program and return what it printed."""
        return self.run("python", "-c", textwrap.dedent(program)).strip()

    def script(self, name: str) -> str:
        return str(self.path / ("Scripts" if os.name == "nt" else "bin") / name)


def run(command: list[str], variables: Mapping[str, str], where: Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, env=dict(variables), cwd=where, check=False)
    assert done.returncode == 0, f"{command}:\n{done.stdout[-8000:]}\n{done.stderr[-8000:]}"
    return done.stdout


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """One with jackfield and jackfield-local, from wheels that were built now."""
    path = tmp_path_factory.mktemp("scaffold")
    wheels = path / "wheels"
    for source in (ROOT, ROOT / "plugins" / "local"):
        build = [sys.executable, "-m", "uv", "--quiet", "build", "--wheel", "--out-dir", str(wheels), str(source)]
        run(build, os.environ, path)
    environment = Environment(path / "venv")
    local = next(wheels.glob("jackfield_local-*.whl"))
    environment.install(*map(str, set(wheels.glob("*.whl")) - {local}), f"{local}[speech]")
    return environment


@pytest.fixture(scope="session")
def projects(environment: Environment) -> Mapping[str, Path]:
    """The distributions of two transports, written by the installed command, and installed: one as a wheel."""
    found = {name: environment.path / f"jackfield-{name}" for name in DIALECTS}
    for name, dialect in DIALECTS.items():
        environment.run("jackfield", "new-transport", name, "--dialect", dialect)
    environment.install("build")
    environment.run("python", "-m", "build", "--wheel", str(found[PIGEON]))
    [wheel] = (found[PIGEON] / "dist").glob("*.whl")
    environment.install(f"{wheel}[test]")
    environment.install("--editable", f"{found[SIGNALS]}[test]")
    return found


@pytest.mark.timeout(600)  # the environment is made for the first test that is run
@pytest.mark.parametrize("name", DIALECTS)
def test_it_passes_the_kit_as_generated(environment: Environment, projects: Mapping[str, Path], name: str) -> None:
    printed = environment.run("pytest", "--jackfield-report", "conformance.json", where=projects[name])
    assert "conforms" in printed and " failed" not in printed.splitlines()[-1]
    report = json.loads((projects[name] / "conformance.json").read_text())
    [subject] = report["subjects"]
    assert (subject["transport"], subject["distribution"]) == (name, f"jackfield-{name} 0.1.0")
    assert subject["conforms"] is True and subject["failures"] == []
    claims = {claim: state for claim, state in subject["capabilities"].items() if state["claimed"]}
    assert {"audio_in", "audio_out", "session_update", "cancel"} <= set(claims)
    assert all(state["proven"] is True for state in claims.values())
    assert ("dialect" in subject["areas"]) == (name == PIGEON)
    assert subject["badge"]["color"] == "brightgreen"


@pytest.mark.timeout(600)
def test_the_kit_finds_it_by_name(environment: Environment, projects: Mapping[str, Path]) -> None:
    printed = environment.run("pytest", "--jackfield-transport", SIGNALS, "-k", "TestConnect", "-p", "no:cacheprovider")
    assert f"{SIGNALS} (jackfield-{SIGNALS} 0.1.0) against contract" in printed


@pytest.mark.timeout(600)
def test_it_is_listed(environment: Environment, projects: Mapping[str, Path]) -> None:
    listed: dict[str, Any] = {
        record["name"]: record for record in json.loads(environment.run("jackfield", "transports", "--json"))
    }
    for name in DIALECTS:
        assert listed[name]["state"] == "installed" and listed[name]["notice"] is None
        assert listed[name]["distributions"] == [f"jackfield-{name} 0.1.0"]


@pytest.mark.timeout(600)
def test_a_session_picks_it_by_name(environment: Environment, projects: Mapping[str, Path]) -> None:
    printed = environment.python(
        f"""
        import asyncio
        from jackfield import RealtimeAgent, RealtimeSession
        from jackfield_local import LocalServer

        async def main():
            agent = RealtimeAgent(name="Greeter", instructions="Greet the user.")
            async with LocalServer(recognizer=None, synthesizer=None, pace=0) as server:
                url = f"{{server.url}}?model=gpt-realtime"
                async with RealtimeSession(agent, transport="{PIGEON}", url=url, api_key="sk-any") as session:
                    await session.send_message("Hello?")
                    async for event in session:
                        if event.type == "agent_end":
                            break
                    print([item.role for item in session.history], session.transport.name)

        asyncio.run(main())
        """
    )
    assert printed == f"['user', 'assistant'] {PIGEON}"


@pytest.mark.timeout(600)
def test_the_history_of_a_provider_that_echoes_nothing(environment: Environment, projects: Mapping[str, Path]) -> None:
    printed = environment.python(
        f"""
        import asyncio
        from jackfield import RealtimeAgent, RealtimeSession
        from jackfield.testing.conformance import polite
        from jackfield_smoke_signals.conformance import SmokeSignalsFarEnd

        async def main():
            agent = RealtimeAgent(name="Greeter", instructions="Greet the user.")
            async with SmokeSignalsFarEnd(polite) as far_end:
                async with RealtimeSession(agent, transport="{SIGNALS}", url=far_end.url, api_key="any") as session:
                    await session.send_message("Hello?")
                    async for event in session:
                        if event.type == "agent_end":
                            break
                    print([(item.role, item.content[0].type) for item in session.history])

        asyncio.run(main())
        """
    )
    assert printed == "[('user', 'input_text'), ('assistant', 'audio')]"


@pytest.mark.timeout(600)
def test_the_demo_is_held_over_it(environment: Environment, projects: Mapping[str, Path]) -> None:
    printed = environment.run("jackfield", "demo", "--transport", PIGEON, "--fast", "--plain", "--out", "out")
    assert f"over the {PIGEON} transport" in printed
    assert (environment.path / "out" / f"demo-{PIGEON}.wav").stat().st_size > 100_000


@pytest.mark.timeout(600)
def test_its_name_is_taken_now(environment: Environment, projects: Mapping[str, Path]) -> None:
    with pytest.raises(AssertionError, match=f"there is a transport '{PIGEON}' already"):
        environment.run("jackfield", "new-transport", PIGEON, "--directory", "another")
    assert not (environment.path / "another").exists()
