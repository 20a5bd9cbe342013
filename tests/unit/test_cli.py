"""The command line: what it prints, where, and with which exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield.cli import main
from jackfield.cli.table import format_table

BUILT_IN = ("websocket", "azure", "webrtc", "sip")

COMMAND = """
    SUMMARY = "say hello"

    def add_arguments(parser):
        parser.add_argument("who")
        parser.add_argument("--code", type=int, default=0)

    def run(args):
        print("hello", args.who)
        return args.code
"""


class Install:
    """Puts distributions on `sys.path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, distribution: str, group: str, name: str, module: str, source: str) -> None:
        info = self.path / f"{distribution.replace('-', '_')}-0.3.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 0.3\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}\n")
        (self.path / f"{module}.py").write_text(textwrap.dedent(source))

    def command(self, name: str, source: str = COMMAND, distribution: str = "greeter") -> None:
        self(distribution, "jackfield.commands", name, f"command_of_{distribution}", source)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    monkeypatch.syspath_prepend(str(tmp_path))
    yield Install(tmp_path)
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture(autouse=True)
def piped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)


class Output:
    """What one run of the command line left behind."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *argv: str) -> None:
        try:
            self.code: int | str | None = main(argv)
        except SystemExit as exit_:
            self.code = exit_.code
        self.out, self.err = capsys.readouterr()


def words(text: str) -> str:
    return " ".join(text.split())


class TestMain:
    def test_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        output = Output(capsys, "--version")
        assert (output.code, output.out) == (0, f"jackfield {version('jackfield')}\n")

    def test_as_a_module(self) -> None:
        run = subprocess.run([sys.executable, "-m", "jackfield", "--version"], capture_output=True, text=True)
        assert (run.returncode, run.stdout) == (0, f"jackfield {version('jackfield')}\n")

    def test_help_lists_the_commands(self, capsys: pytest.CaptureFixture[str], install: Install) -> None:
        install.command("greet")
        output = Output(capsys, "--help")
        assert output.code == 0
        assert "transports list the installed transports" in words(output.out)
        assert "greet say hello" in words(output.out)

    def test_no_command_is_wrong_usage(self, capsys: pytest.CaptureFixture[str]) -> None:
        output = Output(capsys)
        assert (output.code, output.out) == (2, "")
        assert "transports" in output.err

    def test_an_unknown_option(self, capsys: pytest.CaptureFixture[str]) -> None:
        output = Output(capsys, "--colour", "transports")
        assert (output.code, output.out) == (2, "")
        assert "--colour" in output.err


class TestTransports:
    def test_the_table(self, capsys: pytest.CaptureFixture[str]) -> None:
        output = Output(capsys, "transports")
        assert (output.code, output.err) == (0, "")
        lines = output.out.splitlines()
        assert lines[0].split() == ["NAME", "SUMMARY", "STATUS", "CAPABILITIES"]
        assert max(map(len, lines)) <= 100
        rows = {line.split()[0]: line for line in lines[2:] if line[:1].strip()}
        assert set(BUILT_IN) <= set(rows)
        assert "installed" in rows["websocket"]
        assert "installed" in rows["azure"]
        assert "installed" in rows["webrtc"]
        assert "installed" in rows["sip"]
        for word in ("audio_in", "playback=client", "playback=server", "truncate=client", "attach_by_call_id"):
            assert word in output.out

    @pytest.mark.parametrize("columns", [60, 80, 160])
    def test_it_fits_the_terminal(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, install: Install, columns: int
    ) -> None:
        install("jackfield-pigeon", "jackfield", "carrier-pigeon", "pigeon_plugin", "raise ValueError('tired ' * 30)")
        monkeypatch.setenv("COLUMNS", str(columns))
        output = Output(capsys, "transports")
        assert max(map(len, output.out.splitlines())) <= columns
        assert "carrier-pigeon" in output.out

    def test_a_broken_plugin_is_shown_with_its_reason(
        self, capsys: pytest.CaptureFixture[str], install: Install
    ) -> None:
        install("jackfield-pigeon", "jackfield", "pigeon", "pigeon_plugin", "raise ValueError('no wings')")
        output = Output(capsys, "transports")
        assert (output.code, output.err) == (0, "")
        assert "broken: ValueError: no wings" in words(output.out)
        assert "pip install --upgrade jackfield-pigeon" in words(output.out)
        assert all(name in output.out for name in BUILT_IN)

    def test_json(self, capsys: pytest.CaptureFixture[str], install: Install) -> None:
        install("jackfield-pigeon", "jackfield", "pigeon", "pigeon_plugin", "raise ValueError('no wings')")
        output = Output(capsys, "transports", "--json")
        assert output.code == 0
        records = {record["name"]: record for record in json.loads(output.out)}
        assert set(BUILT_IN) <= set(records)
        websocket, pigeon = records["websocket"], records["pigeon"]
        assert (websocket["state"], websocket["problem"]) == ("installed", None)
        assert websocket["capabilities"]["playback"] == "client"
        assert websocket["distributions"] == [f"jackfield {version('jackfield')}"]
        assert (pigeon["state"], pigeon["capabilities"]) == ("broken", None)
        assert "no wings" in pigeon["problem"]

    def test_wrong_usage(self, capsys: pytest.CaptureFixture[str]) -> None:
        output = Output(capsys, "transports", "--yaml")
        assert output.code == 2
        assert "jackfield transports" in output.err

    def test_a_reader_that_leaves_gets_no_traceback(self) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "w") as stdout:
            run = subprocess.run(
                [sys.executable, "-m", "jackfield", "transports"], stdout=stdout, stderr=subprocess.PIPE, text=True
            )
        assert (run.returncode, run.stderr) == (1, "")


class TestCommandsOfOthers:
    def test_one_runs(self, capsys: pytest.CaptureFixture[str], install: Install) -> None:
        install.command("greet")
        output = Output(capsys, "greet", "you", "--code", "3")
        assert (output.code, output.out, output.err) == (3, "hello you\n", "")

    def test_its_help(self, capsys: pytest.CaptureFixture[str], install: Install) -> None:
        install.command("greet")
        output = Output(capsys, "greet", "--help")
        assert output.code == 0
        assert "usage: jackfield greet" in output.out
        assert "say hello" in output.out

    def test_its_wrong_usage(self, capsys: pytest.CaptureFixture[str], install: Install) -> None:
        install.command("greet")
        assert Output(capsys, "greet").code == 2

    def test_only_the_chosen_one_is_loaded(self, capsys: pytest.CaptureFixture[str], install: Install) -> None:
        install.command("greet")
        install.command("shout", distribution="shouter")
        assert Output(capsys, "greet", "you").code == 0
        assert "command_of_greeter" in sys.modules
        assert "command_of_shouter" not in sys.modules

    @pytest.mark.parametrize(
        ("source", "says"),
        [
            ("import no_such_throat", "No module named 'no_such_throat'"),
            ("raise SystemExit(7)", "SystemExit"),
            ("SUMMARY = 'mute'", "has no add_arguments, run"),
        ],
    )
    def test_a_broken_one_hurts_no_other(
        self, capsys: pytest.CaptureFixture[str], install: Install, source: str, says: str
    ) -> None:
        install.command("greet", source)
        install.command("shout", distribution="shouter")
        output = Output(capsys, "greet", "you")
        assert (output.code, output.out) == (1, "")
        assert says in output.err
        assert "greeter 0.3" in output.err

        output = Output(capsys, "--help")
        assert output.code == 0
        assert "shout say hello" in words(output.out)
        assert says in words(output.out)

    def test_one_name_twice_names_both(self, capsys: pytest.CaptureFixture[str], install: Install) -> None:
        install.command("greet")
        install.command("greet", distribution="shouter")
        output = Output(capsys, "greet", "you")
        assert output.code == 1
        assert "greeter 0.3" in output.err
        assert "shouter 0.3" in output.err

    def test_our_own_names_cannot_be_taken(self, capsys: pytest.CaptureFixture[str], install: Install) -> None:
        install.command("transports")
        assert "websocket" in Output(capsys, "transports").out
        assert "greeter 0.3 also offers 'transports'" in Output(capsys, "--help").out

    @pytest.mark.parametrize(
        ("typed", "says"),
        [("gret", "did you mean 'greet'?"), ("transport", "did you mean 'transports'?"), ("zz", "greet")],
    )
    def test_an_unknown_one(self, capsys: pytest.CaptureFixture[str], install: Install, typed: str, says: str) -> None:
        install.command("greet")
        output = Output(capsys, typed, "--whatever")
        assert (output.code, output.out) == (2, "")
        assert says in output.err

    def test_errors_of_users_have_no_traceback(self, capsys: pytest.CaptureFixture[str], install: Install) -> None:
        install.command(
            "greet",
            COMMAND.replace(
                "return args.code",
                "from jackfield.transport.registry import create_transport; create_transport('pidgin')",
            ),
        )
        output = Output(capsys, "greet", "you")
        assert output.code == 1
        assert output.err.startswith("jackfield: error: ")
        assert "'pidgin'" in output.err

    def test_ctrl_c(self, capsys: pytest.CaptureFixture[str], install: Install) -> None:
        install.command("greet", COMMAND.replace("return args.code", "raise KeyboardInterrupt"))
        output = Output(capsys, "greet", "you")
        assert (output.code, output.err) == (130, "")

    def test_bugs_keep_their_traceback(self, install: Install) -> None:
        install.command("greet", COMMAND.replace("return args.code", "return 1 / 0"))
        with pytest.raises(ZeroDivisionError):
            main(["greet", "you"])


cells = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=60)


class TestTable:
    @given(rows=st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=5), width=st.integers(40, 120))
    def test_no_line_is_too_long_and_no_word_is_lost(self, rows: list[tuple[str, str, str]], width: int) -> None:
        table = format_table(rows, width=width)
        assert all(len(line) <= width for line in table.splitlines())
        assert sorted("".join(table.split())) == sorted("".join("".join(map("".join, rows)).split()))

    def test_short_texts_are_not_stretched(self) -> None:
        assert format_table([("a", "bb"), ("ccc", "d")], headers=("X", "Y"), width=100).splitlines() == [
            "X    Y",
            "---  --",
            "a    bb",
            "ccc  d",
        ]
