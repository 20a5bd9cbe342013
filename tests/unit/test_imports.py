"""What may import what: heavy modules late, layers downwards, private names at home."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

HEAVY = {
    *("aiortc", "anyio", "av", "httpx", "httpx2", "mcp", "numpy", "picows", "pydantic", "rich", "starlette"),
    *("uvicorn", "websockets"),
}
"""What costs time or memory to import, and is needed by some users only."""

PLUGINS = ("gemini", "local", "openai-agents", "otel")
SOURCES = ("core", "transports", *(f"plugins/{name}/src" for name in PLUGINS))


def modules_after(program: str) -> set[str]:
    """Run `program` in a fresh interpreter and return the names of the modules that it has imported by its end."""
    program = textwrap.dedent(program) + "\nimport sys, json; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(run.stdout.splitlines()[-1]))


class TestHeavyModules:
    def test_the_list_means_something(self) -> None:
        assert {"numpy", "websockets"} <= modules_after("import numpy, websockets") & HEAVY

    @pytest.mark.parametrize(
        "module",
        [
            "jackfield",
            "jackfield.cli",
            "jackfield.config",
            "jackfield.mcp",
            "jackfield.openai",
            "jackfield.testing",
            "jackfield.transport",
            "jackfield.transport.registry",
            "jackfield_transports.azure.plugin",
            "jackfield_transports.sip.plugin",
            "jackfield_transports.webrtc.plugin",
            "jackfield_transports.websocket.plugin",
        ],
    )
    def test_importing_is_light(self, module: str) -> None:
        assert modules_after(f"import {module}") & HEAVY == set()

    def test_the_package_itself_imports_next_to_nothing(self) -> None:
        added = modules_after("import jackfield") - modules_after("")
        assert added & {"asyncio", "attr", "inspect", "importlib.metadata", "msgspec", "pluggy"} == set()

    def test_listing_transports_imports_no_transport(self) -> None:
        modules = modules_after(
            """
            from jackfield.transport.registry import available_transports
            assert [info.state for info in available_transports().values()]
            """
        )
        assert modules & HEAVY == set()
        ours = {name for name in modules if name.startswith("jackfield_transports.")}
        assert ours
        assert {name for name in ours if name.count(".") > 1 and not name.endswith(".plugin")} == set()

    def test_the_command_line_imports_what_it_runs(self) -> None:
        modules = modules_after("from jackfield.cli import main; main(['transports'])")
        assert modules & HEAVY == set()
        assert {name for name in modules if name.startswith("jackfield_local")} == set()


def test_layers() -> None:
    lint = Path(sys.executable).parent / "lint-imports"
    run = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


class TestPrivateNames:
    """A name with a leading underscore is imported within its own package only: that of the module that has it."""

    @pytest.mark.parametrize("source", [*SOURCES, "tests", *(f"plugins/{name}/tests" for name in PLUGINS)])
    def test_none_crosses_a_package(self, source: str) -> None:
        assert [found for path in python_files(source) for found in crossings(path.read_text(), name_of(path))] == []

    def test_there_is_something_to_check(self) -> None:
        modules = {name_of(path) for source in SOURCES for path in python_files(source)}
        assert {"jackfield.__init__", "jackfield.transport.registry", "jackfield_transports.sip.plugin"} <= modules
        assert {"jackfield", "jackfield.audio", "jackfield_transports.sip", "jackfield_local"} <= PACKAGES

    @pytest.mark.parametrize(
        "line",
        [
            "from jackfield.transport.registry import _default",
            "from jackfield.audio import _tables",
            "from jackfield.audio._tables import ULAW",
            "import jackfield.audio._tables",
            "from ..audio import _tables",
            "from ..audio._tables import ULAW",
            "import jackfield.audio as audio\naudio._tables",
            "from jackfield.audio import g711\ng711._encode(b'')",
        ],
    )
    def test_a_crossing_is_found(self, line: str) -> None:
        assert len(crossings(line, "jackfield.openai.protocol")) == 1

    def test_a_package_above_is_another(self) -> None:
        assert crossings("from .audio import _tables", "jackfield.errors") != []
        assert crossings("from jackfield.audio import _tables", "jackfield.__init__") != []
        assert crossings("from . import _tables", "jackfield.audio.__init__") == []

    @pytest.mark.parametrize(
        "line",
        [
            "from jackfield.openai._state import State",
            "from jackfield.openai.state import _State",
            "from . import _state",
            "from .state import _State",
            "from __future__ import annotations",
            "from jackfield import __version__",
            "import _thread",
            "from jackfield.audio import g711\ng711.__name__",
            "from jackfield.openai import state\nstate._State",
        ],
    )
    def test_what_stays_at_home_is_fine(self, line: str) -> None:
        assert crossings(line, "jackfield.openai.protocol") == []


def python_files(source: str) -> list[Path]:
    return sorted((ROOT / source).rglob("*.py"))


def name_of(path: Path) -> str:
    """Return the dotted name of the module in `path`. That of a package's own module ends with `__init__`."""
    relative = path.relative_to(ROOT)
    for source in SOURCES:
        if relative.is_relative_to(source):
            relative = relative.relative_to(source)
    return ".".join(relative.with_suffix("").parts)


def packages() -> set[str]:
    names = {name_of(path) for source in SOURCES for path in python_files(source)}
    return {name.removesuffix(".__init__") for name in names if name.endswith(".__init__")}


def crossings(code: str, importer: str) -> list[str]:
    """Return the private names of other packages of ours that `code`, the module named `importer`, uses."""
    tree = ast.parse(code)
    bound: dict[str, str] = {}
    used: list[str] = []
    for node in ast.walk(tree):
        for name, target in imports(node, importer):
            used.append(target)
            bound[name] = target
    used += [
        f"{bound[node.value.id]}.{node.attr}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in bound
    ]
    return [f"{importer} uses {target}" for target in used if not is_allowed(target, importer)]


def imports(node: ast.AST, importer: str) -> Iterator[tuple[str, str]]:
    """Yield what an import statement binds, as (name, dotted name of what it stands for)."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.asname or alias.name, alias.name
    elif isinstance(node, ast.ImportFrom):
        package = importer.split(".")[: -node.level] if node.level else []
        module = ".".join([*package, *(node.module.split(".") if node.module else [])])
        for alias in node.names:
            yield alias.asname or alias.name, f"{module}.{alias.name}"


def is_allowed(target: str, importer: str) -> bool:
    parts = target.split(".")
    if not parts[0].startswith("jackfield"):
        return True
    for position, part in enumerate(parts):
        if part.startswith("_") and not part.endswith("__"):
            home = ".".join(parts[:position])
            return importer.startswith(f"{home if home in PACKAGES else home.rpartition('.')[0]}.")
    return True


PACKAGES = packages()
