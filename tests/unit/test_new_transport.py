"""`jackfield new-transport`: which names it takes, what it writes, and that it writes all or nothing."""

from __future__ import annotations

import ast
import json
import os
import re
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

import jackfield.testing.conformance.checks
import jackfield_local.conformance.checks
from jackfield.cli import main
from jackfield.cli.scaffold import DIALECTS, DialectName, Names, project_files
from jackfield.errors import ConfigurationError
from jackfield.testing.conformance import Proof, Report
from jackfield.testing.conformance.check import proof_of
from jackfield.transport import CONTRACT_VERSION

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def new(*arguments: str) -> int | str | None:
    try:
        return main(["new-transport", *arguments])
    except SystemExit as left:
        return left.code


def written(directory: Path) -> set[str]:
    return {path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()}


class TestNames:
    @pytest.mark.parametrize(
        ("name", "module", "class_name", "variable"),
        [
            ("pigeon", "jackfield_pigeon", "Pigeon", "PIGEON_API_KEY"),
            ("carrier-pigeon", "jackfield_carrier_pigeon", "CarrierPigeon", "CARRIER_PIGEON_API_KEY"),
            ("x25", "jackfield_x25", "X25", "X25_API_KEY"),
            ("class", "jackfield_class", "Class", "CLASS_API_KEY"),
        ],
    )
    def test_what_is_called_after_it(self, name: str, module: str, class_name: str, variable: str) -> None:
        names = Names.of(name)
        assert (names.distribution, names.module) == (f"jackfield-{name}", module)
        assert (names.class_name, names.variable) == (class_name, variable)

    @pytest.mark.parametrize(
        ("name", "says"),
        [
            ("Carrier Pigeon", "such as 'carrier-pigeon'"),
            ("carrier_pigeon", "such as 'carrier-pigeon'"),
            ("-pigeon", ""),
            ("pigeon-", "such as 'pigeon'"),
            ("2600hz", "beginning with a letter"),
            ("täube", "small letters (a to z)"),
            ("../pigeon", "such as 'pigeon'"),
            ("", "can't be a transport's name"),
            ("jackfield-pigeon", "jackfield new-transport pigeon"),
            ("x" * 41, "40 letters at most"),
        ],
    )
    def test_what_can_not_be_one(self, name: str, says: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            Names.of(name)
        assert says in str(caught.value)

    @given(name=st.from_regex(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", fullmatch=True).filter(lambda name: len(name) <= 40))
    def test_they_are_names_of_python(self, name: str) -> None:
        if not name.startswith("jackfield-"):
            names = Names.of(name)
            assert names.module.isidentifier() and names.class_name.isidentifier() and names.variable.isidentifier()


class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["websocket"], "there is a transport 'websocket' already, of jackfield "),
            (["local"], "there is a jackfield-local"),
            (["gemini"], "gemini"),
            (["transports"], "jackfield-transports already"),
            (["Pigeon"], "such as 'pigeon'"),
        ],
    )
    def test_nothing_is_written(
        self, here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
    ) -> None:
        assert new(*arguments) == 1
        out, err = capsys.readouterr()
        assert out == "" and says in err
        assert list(here.iterdir()) == []

    def test_a_directory_that_has_something_is_left_as_it_is(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (here / "jackfield-pigeon").mkdir()
        (here / "jackfield-pigeon" / "egg").write_text("white")
        assert new("pigeon") == 1
        assert "not empty: give another one with --directory" in capsys.readouterr().err
        assert written(here) == {"jackfield-pigeon/egg"}

    @pytest.mark.parametrize("kind", ["file", "link"])
    def test_what_is_no_directory(self, here: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
        (here / "elsewhere").mkdir()
        if kind == "file":
            (here / "jackfield-pigeon").write_text("")
        else:
            (here / "jackfield-pigeon").symlink_to(here / "elsewhere")
        assert new("pigeon") == 1
        assert "no directory" in capsys.readouterr().err
        assert list((here / "elsewhere").iterdir()) == []

    def test_where_nothing_can_be_written_nothing_is_left(
        self, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        count = 0
        write_text = Path.write_text

        def full(path: Path, *args: object, **kwargs: object) -> int:
            nonlocal count
            count += 1
            if count == 5:
                raise OSError(28, "No space left on device")
            return write_text(path, *args, **kwargs)  # type: ignore[arg-type]

        monkeypatch.setattr(Path, "write_text", full)
        assert new("pigeon") == 1
        assert "can't be written: No space left on device" in capsys.readouterr().err
        assert list(here.iterdir()) == []

    def test_a_parent_that_is_a_file(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (here / "file").write_text("")
        assert new("pigeon", "--directory", "file/below") == 1
        assert "can't be written" in capsys.readouterr().err

    def test_a_dialect_that_there_is_not(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert new("pigeon", "--dialect", "klingon") == 2
        assert "openai" in capsys.readouterr().err


@pytest.mark.parametrize("dialect", DIALECTS)
class TestWhatIsWritten:
    def test_a_whole_distribution(self, here: Path, capsys: pytest.CaptureFixture[str], dialect: DialectName) -> None:
        assert new("carrier-pigeon", "--dialect", dialect) == 0
        package = "src/jackfield_carrier_pigeon"
        assert {
            *(".github/workflows/ci.yml", ".gitignore", "LICENSE", "README.md", "pyproject.toml"),
            *(f"{package}/{name}" for name in ("__init__.py", "plugin.py", "py.typed", "transport.py", "wire.py")),
            *(f"{package}/conformance.py", "tests/test_conformance.py"),
            *([f"{package}/dialect.py", "tests/test_dialect.py"] if dialect == "own" else []),
        } == written(here / "jackfield-carrier-pigeon")
        assert [path.name for path in here.iterdir()] == ["jackfield-carrier-pigeon"]
        out, err = capsys.readouterr()
        assert err == ""
        for step in ("cd jackfield-carrier-pigeon", "pip install -e '.[test]'", "pytest", "jackfield transports"):
            assert f"  {step}" in out
        assert ("jackfield demo --transport carrier-pigeon" in out) == (dialect == "openai")

    def test_into_a_directory_of_choice(self, here: Path, dialect: DialectName) -> None:
        (here / "empty").mkdir()
        for place in ("empty", "deep/er/down"):
            assert new("pigeon", "--dialect", dialect, "--directory", place) == 0
            assert "pyproject.toml" in written(here / place)
        assert sorted(path.name for path in here.iterdir()) == ["deep", "empty"]

    def test_as_the_users_files(self, here: Path, dialect: DialectName) -> None:
        before = os.umask(0o027)
        try:
            new("pigeon", "--dialect", dialect)
        finally:
            os.umask(before)
        root = here / "jackfield-pigeon"
        assert stat.S_IMODE(root.stat().st_mode) == 0o750
        assert {stat.S_IMODE(path.stat().st_mode) for path in root.rglob("*") if path.is_file()} == {0o640}

    def test_its_pyproject_says_what_it_is(self, dialect: DialectName) -> None:
        project = tomllib.loads(project_files(Names.of("pigeon"), dialect)[PurePosixPath("pyproject.toml")])["project"]
        assert project["name"] == "jackfield-pigeon"
        assert project["entry-points"] == {
            "jackfield": {"pigeon": "jackfield_pigeon.plugin"},
            "jackfield.conformance": {"pigeon": "jackfield_pigeon.conformance:SUBJECT"},
        }
        assert "jackfield>=0.1,<0.2" in project["dependencies"]
        assert "jackfield[testing]" in project["optional-dependencies"]["test"]

    def test_it_was_written_for_this_contract(self, dialect: DialectName) -> None:
        plugin = project_files(Names.of("pigeon"), dialect)[PurePosixPath("src/jackfield_pigeon/plugin.py")]
        assert f'contract="{CONTRACT_VERSION}"' in plugin

    def test_no_placeholder_is_left_and_all_of_it_is_python(self, dialect: DialectName) -> None:
        for place, text in project_files(Names.of("carrier-pigeon"), dialect).items():
            assert "@@" not in text, place
            if place.suffix == ".py":
                ast.parse(text)
            assert text == "" or (text.endswith("\n") and not text.endswith("\n\n"))

    def test_it_is_clean_by_its_own_rules(self, here: Path, dialect: DialectName) -> None:
        name = "a" * 40  # which makes the longest lines
        new(name, "--dialect", dialect)
        for command in (["ruff", "check", "."], ["mypy"]):
            run = subprocess.run(
                [sys.executable, "-m", *command],
                cwd=here / f"jackfield-{name}",
                capture_output=True,
                text=True,
                check=False,
            )
            assert run.returncode == 0, run.stdout + run.stderr


def test_a_wire_is_small() -> None:
    """The guide says how much there is to write: some fifty statements."""
    tree = ast.parse(project_files(Names.of("pigeon"), "openai")[PurePosixPath("src/jackfield_pigeon/wire.py")])
    statements = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt)
        and not isinstance(node, ast.Import | ast.ImportFrom)
        and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))  # what is said of it
    ]
    assert 40 <= len(statements) <= 50


GUIDES = ("writing-a-transport.md", "conformance.md", "contract-versions.md")
BLOCK = re.compile(
    r"(?:`(?P<place>[\w./-]+\.(?:py|toml|yml))`[^`\n]*:\n\n)?```(?P<kind>\w+)\n(?P<text>.*?)```", re.DOTALL
)


def blocks() -> Iterator[tuple[str, str | None, str, str]]:
    """Yield each block of code of the guides: the guide, the file that it is of, its language and its text."""
    for guide in GUIDES:
        for block in BLOCK.finditer((ROOT / "docs" / guide).read_text("utf-8")):
            yield guide, block["place"], block["kind"], block["text"]


class TestGuides:
    """The guides quote what is written, and nothing else."""

    def test_what_is_quoted_is_what_is_written(self) -> None:
        projects = [
            project_files(Names.of("carrier-pigeon"), "openai").items(),
            project_files(Names.of("smoke-signals"), "own").items(),
        ]
        quoted = 0
        for guide, place, _, text in blocks():
            if place is not None:
                quoted += 1
                files = [found for project in projects for path, found in project if str(path) == place]
                assert any(self.holds(found, text) for found in files), f"{guide}: {place} has no such lines:\n{text}"
        assert quoted >= 8

    def holds(self, found: str, quoted: str) -> bool:
        """Tell whether the lines stand there, in one piece between one `# ...` and the next."""
        position = 0
        for piece in re.split(r"^ *# \.\.\.\n", quoted, flags=re.MULTILINE):
            position = found.find(piece, position)
            if position < 0:
                return False
            position += len(piece)
        return True

    def test_the_rest_is_what_it_says_it_is(self) -> None:
        for _, place, kind, text in blocks():
            if kind == "toml":
                tomllib.loads(text)
            elif kind == "json":
                json.loads(text)
            elif kind == "python" and place is None:
                exec(compile(text, "guide", "exec"), {})

    def test_every_command_is_one(self) -> None:
        for _, _, kind, text in blocks():
            for line in text.splitlines() if kind == "console" else ():
                if line.startswith("$ jackfield"):
                    assert line.split()[2] in {"new-transport", "transports", "demo"}

    def test_the_report_is_as_it_is_described(self) -> None:
        [sample] = [json.loads(text) for guide, _, kind, text in blocks() if kind == "json"]
        report = Report()
        subject = {"id": "x", "transport": "x", "distribution": "", "claims": ["mute"]}
        report.add(subject, "TestX::test_x", Proof("lifecycle", "mute"), "failed", "why")
        report.add(subject, "TestX::test_y", Proof("lifecycle"), "skipped", "why")
        real = report.as_json()
        assert set(sample) == set(real)
        assert set(sample["subjects"][0]) == set(real["subjects"][0])
        for part in ("checks", "badge"):
            assert set(sample["subjects"][0][part]) == set(real["subjects"][0][part])
        for part in ("failures", "skipped"):
            assert set(sample["subjects"][0][part][0]) == set(real["subjects"][0][part][0])
        assert set(sample["subjects"][0]["capabilities"]["mute"]) == set(real["subjects"][0]["capabilities"]["mute"])
        assert sample["contract"] == CONTRACT_VERSION

    def test_every_area_and_every_capability_is_described(self) -> None:
        page = (ROOT / "docs" / "conformance.md").read_text("utf-8")
        checks = [
            proof_of(test)
            for module in (jackfield.testing.conformance.checks, jackfield_local.conformance.checks)
            for name, cls in vars(module).items()
            if name.startswith("Test")
            for test in vars(cls).values()
        ]
        areas = {proof.area for proof in checks if proof is not None}
        table = page.partition("## What is checked")[2].partition("## Capabilities")[0]
        assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == areas
        proofs = page.partition("## Capabilities and their proofs")[2].partition("## The report")[0]
        for capability in {proof.capability for proof in checks if proof is not None} - {None}:
            assert f"`{capability}`" in proofs

    def test_links_lead_somewhere(self) -> None:
        for guide in GUIDES:
            for target in re.findall(r"\]\(([^)#]+)", (ROOT / "docs" / guide).read_text("utf-8")):
                assert (ROOT / "docs" / target).exists(), f"{guide}: {target}"
