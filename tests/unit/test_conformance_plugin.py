"""The kit as people run it: `pytest --jackfield-transport NAME`, and a module of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

MODULE = """
import pytest
from jackfield.testing.conformance.checks import *
from jackfield_local.conformance.subjects import DialectSubject


@pytest.fixture
def jackfield_subject():
    return DialectSubject("websocket", id="mine")
"""


def run(directory: Path, *arguments: str) -> tuple[int, str, dict[str, Any]]:
    """Run pytest in a directory of its own; return its exit code, what it printed, and the report."""
    report = directory / "report.json"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--jackfield-report={report}", *arguments]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True)
    written = json.loads(report.read_text()) if report.exists() else {}
    return done.returncode, done.stdout + done.stderr, written


def test_a_transport_is_chosen_by_name(tmp_path: Path) -> None:
    code, printed, report = run(tmp_path, "--jackfield-transport", "azure", "-k", "Plugin or Claims or Refusals")
    assert code == 0, printed
    [subject] = report["subjects"]
    assert (subject["id"], subject["transport"]) == ("azure", "azure")
    assert subject["distribution"].startswith("jackfield ")
    assert subject["capabilities"]["images"] == {"claimed": True, "proven": True}
    assert subject["capabilities"]["mute"] == {"claimed": False, "proven": True}
    assert subject["capabilities"]["audio_in"] == {"claimed": True, "proven": None}  # its checks were not chosen
    assert not subject["conforms"]
    assert "azure (jackfield" in printed and "not all that is claimed was checked" in printed


def test_several_are_held_to_what_each_of_them_speaks(tmp_path: Path) -> None:
    names = ["--jackfield-transport", "gemini", "--jackfield-transport", "azure"]
    code, printed, report = run(tmp_path, *names, "-k", "Plugin or DialectEnd")
    assert code == 0, printed
    areas = {subject["id"]: set(subject["areas"]) for subject in report["subjects"]}
    assert areas == {"gemini": {"plugin"}, "azure": {"plugin", "dialect"}}


def test_one_without_a_far_end_says_how_to_give_it_one(tmp_path: Path) -> None:
    code, printed, _ = run(tmp_path, "--jackfield-transport", "carrier-pigeon", "-k", "keeps_the_shape")
    assert code == 1
    assert "there is no far end for the transport carrier-pigeon" in printed
    assert "jackfield_subject" in printed and "jackfield.conformance" in printed


def test_a_module_says_by_itself_what_it_runs_on(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(MODULE)
    code, printed, report = run(tmp_path, "-k", "Plugin or TestConnect")
    assert code == 0, printed
    assert [subject["id"] for subject in report["subjects"]] == ["mine"]
    assert report["subjects"][0]["checks"]["passed"] > 10


def test_nothing_is_said_where_no_check_ran(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text("def test_it(): pass\n")
    code, printed, report = run(tmp_path)
    assert code == 0 and "conformance" not in printed and report == {}
