"""Plugins as users get them: real distributions, built and installed beside jackfield in a fresh environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

PYPROJECT = """
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "{distribution}"
version = "{version}"
dependencies = ["jackfield"]

[project.entry-points.jackfield]
{name} = "{module}"
"""

PLUGIN = """
from jackfield.transport.capabilities import TransportCapabilities
from jackfield.transport.hookspecs import TransportSpec, hookimpl


@hookimpl
def jackfield_transports():
    return [
        TransportSpec(
            name="{name}",
            summary="{summary}",
            factory="{module}.wire:Wire",
            capabilities=TransportCapabilities(images=False),
            contract="{contract}",
        )
    ]
"""

WIRE = """
class Wire:
    name = "{name}"
    capabilities = status = muted = None

    def __init__(self, *, loft="home"):
        self.loft = loft

    async def connect(self, options=None, /, **kwargs): ...

    close = send_event = send_message = add_image = send_audio = commit_audio = clear_audio = connect
    request_response = update_session_config = mute = interrupt = playback = reset_history = connect
    send_function_call_output = send_mcp_response = on = once = off = events = connect
"""


class Environment:
    """A fresh virtual environment."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # It must see nothing of the environment that runs the tests.
        keep = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "COLUMNS"))}
        self.variables = {**keep, "VIRTUAL_ENV": str(path), "PYTHONNOUSERSITE": "1"}
        uv("venv", "--python", sys.executable, str(path))

    def install(self, *packages: Path) -> None:
        uv("pip", "install", "--python", self._script("python"), *map(str, packages), env=self.variables)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._script(command[0]), *command[1:]],
            capture_output=True,
            text=True,
            env=self.variables,
            cwd=self.path,
            check=False,
        )

    def python(self, program: str) -> str:
        """Run `program` and return what it printed; it must succeed."""
        run = self.run("python", "-c", textwrap.dedent(program))
        assert run.returncode == 0, run.stderr
        return run.stdout.strip()

    def transports(self) -> dict[str, Any]:
        run = self.run("jackfield", "transports", "--json")
        assert (run.returncode, run.stderr) == (0, "")
        return {record["name"]: record for record in json.loads(run.stdout)}

    def refusal(self, name: str) -> Sequence[str]:
        """Return the error's class and message of `create_transport(name)`."""
        return self.python(
            f"""
            from jackfield import create_transport
            from jackfield.errors import JackfieldError
            try:
                create_transport({name!r})
            except JackfieldError as error:
                print(type(error).__name__, error, sep="\\n")
            """
        ).split("\n", 1)

    def _script(self, name: str) -> str:
        return str(self.path / ("Scripts" if os.name == "nt" else "bin") / name)


def uv(*arguments: str, env: Mapping[str, str] | None = None) -> None:
    command = [sys.executable, "-m", "uv", "--quiet", "--no-progress", *arguments]
    run = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert run.returncode == 0, run.stderr


def write_distribution(
    parent: Path, distribution: str, name: str, *, version: str = "0.3", contract: str = "1.0", before: str = ""
) -> Path:
    """Write the source of a distribution that offers the transport `name` and return its directory."""
    root = parent / distribution
    module = distribution.replace("-", "_")
    package = root / module
    package.mkdir(parents=True)
    values = {"distribution": distribution, "version": version, "name": name, "module": module, "contract": contract}
    (root / "pyproject.toml").write_text(PYPROJECT.format(**values))
    plugin = PLUGIN.format(**values, summary=f"By {name}")
    (package / "__init__.py").write_text(f"{before}\n{plugin}")
    (package / "wire.py").write_text(WIRE.format(**values))
    return root


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """One with jackfield and four plugins: good, broken, with a taken name, and outdated."""
    path = tmp_path_factory.mktemp("plugins")
    sources = [
        write_distribution(path, "jackfield-pigeon", "pigeon"),
        write_distribution(path, "jackfield-broken", "broken", before="raise RuntimeError('no wings')"),
        write_distribution(path, "jackfield-squatter", "azure", version="6.6"),
        write_distribution(path, "jackfield-outdated", "outdated", version="0.1", contract="0.9"),
    ]
    # A wheel made now: given the directory, uv might install one that it built from an earlier state of it.
    uv("build", "--wheel", "--out-dir", str(path / "wheels"), str(ROOT))
    environment = Environment(path / "venv")
    environment.install(*(path / "wheels").glob("*.whl"), *sources)
    return environment


def words(text: str) -> str:
    return " ".join(text.split())


def test_jackfield_is_installed_from_its_wheel(environment: Environment) -> None:
    where = environment.python("import jackfield, jackfield_transports; print(jackfield.__file__)")
    assert Path(where).is_relative_to(environment.path)


def test_listing_shows_them_all(environment: Environment) -> None:
    states = {name: record["state"] for name, record in environment.transports().items()}
    assert states == {
        "azure": "duplicate",
        "broken": "broken",
        "outdated": "incompatible",
        "pigeon": "installed",
        "sip": "missing",
        "webrtc": "missing",
        "websocket": "installed",
    }


def test_the_table_is_for_people(environment: Environment) -> None:
    run = environment.run("jackfield", "transports")
    assert (run.returncode, run.stderr) == (0, "")
    assert max(map(len, run.stdout.splitlines())) <= 100
    rows = {line.split()[0]: line for line in run.stdout.splitlines() if line[:1].strip()}
    assert "By pigeon" in rows["pigeon"]
    assert "installed" in rows["pigeon"]
    assert "needs jackfield[webrtc]" in rows["webrtc"]
    assert "needs jackfield[sip]" in rows["sip"]
    text = words(run.stdout)
    for said in (
        "broken: RuntimeError: no wings",
        "pip install --upgrade jackfield-broken",
        "pip install --upgrade 'jackfield-outdated>0.1'",
        "pip uninstall jackfield-squatter",
    ):
        assert said in text


def test_a_good_plugin_is_chosen_by_name(environment: Environment) -> None:
    printed = environment.python(
        """
        import sys
        from jackfield import create_transport
        transport = create_transport("pigeon", loft="attic")
        others = [name for name in sys.modules if name.startswith(("jackfield_", "websockets"))]
        print(transport.name, transport.loft, sorted(others))
        """
    )
    assert printed == "pigeon attic ['jackfield_pigeon', 'jackfield_pigeon.wire']"


def test_a_plugin_that_raises_says_why(environment: Environment) -> None:
    error, message = environment.refusal("broken")
    assert error == "TransportUnavailableError"
    assert "jackfield-broken 0.3" in message
    assert "RuntimeError: no wings" in message


def test_a_taken_name_names_both(environment: Environment) -> None:
    error, message = environment.refusal("azure")
    assert error == "DuplicateTransportError"
    assert "jackfield 0." in message
    assert "jackfield-squatter 6.6" in message


def test_an_old_contract_is_refused_with_what_to_install(environment: Environment) -> None:
    error, message = environment.refusal("outdated")
    assert error == "IncompatibleTransportError"
    assert "'jackfield-outdated>0.1'" in message


def test_an_unknown_name_suggests_the_nearest(environment: Environment) -> None:
    error, message = environment.refusal("pidgeon")
    assert error == "UnknownTransportError"
    assert "did you mean 'pigeon'?" in message


def test_wrong_options_are_named(environment: Environment) -> None:
    message = environment.python(
        """
        from jackfield import create_transport
        try:
            create_transport("pigeon", lofts="attic")
        except ValueError as error:
            print(error)
        """
    )
    assert "did you mean 'loft'?" in message


def test_a_command_that_is_not_installed_says_what_brings_it(environment: Environment) -> None:
    run = environment.run("jackfield", "serve", "--port", "0")
    assert (run.returncode, run.stdout) == (2, "")
    assert "pip install jackfield-local" in run.stderr
