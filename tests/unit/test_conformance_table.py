"""`python -m jackfield.testing.conformance`: the table of capabilities in a document is what a run has proved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jackfield.testing.conformance.__main__ import main
from jackfield.testing.conformance.check import Proof
from jackfield.testing.conformance.report import Report
from jackfield.transport import TransportCapabilities

DOCUMENT = "# Transports\n\n<!-- capabilities: begin -->\nold\n<!-- capabilities: end -->\n\nThe end.\n"


def subject(name: str, **capabilities: Any) -> dict[str, Any]:
    return {
        "id": name,
        "transport": name.partition("-")[0],
        "distribution": "",
        "claims": TransportCapabilities(**capabilities).names(),
    }


def write_report(path: Path, *subjects: dict[str, Any], failing: str = "") -> Path:
    report = Report()
    for about in subjects:
        for claim in about["claims"]:
            failed = claim == failing and about is subjects[-1]
            report.add(about, f"test_{claim}", Proof("capabilities", claim), "failed" if failed else "passed")
    path.write_text(json.dumps(report.as_json()))
    return path


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "transports.md"
    path.write_text(DOCUMENT)
    return path


def test_it_is_written_between_its_lines(tmp_path: Path, document: Path) -> None:
    report = write_report(tmp_path / "r.json", subject("pigeon"), subject("owl", mute=True, images=False))
    assert main([str(report), "--into", str(document)]) == 0
    text = document.read_text()
    assert text.startswith("# Transports\n\n<!-- capabilities: begin -->\n\n| capability | `owl` | `pigeon` |\n")
    assert text.endswith("<!-- capabilities: end -->\n\nThe end.\n")
    assert "| `mute` | yes | no |" in text and "| `images` | no | yes |" in text
    assert "| `playback` | client | client |" in text and "| conforms | yes | yes |" in text
    assert "old" not in text


def test_checking_tells_whether_it_is_up_to_date(
    tmp_path: Path, document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = write_report(tmp_path / "r.json", subject("pigeon"))
    assert main([str(report), "--into", str(document), "--check"]) == 1
    assert "is not what the run proved" in capsys.readouterr().err
    assert document.read_text() == DOCUMENT
    main([str(report), "--into", str(document)])
    assert main([str(report), "--into", str(document), "--check"]) == 0


def test_one_subject_that_fails_is_its_transports_failure(tmp_path: Path, document: Path) -> None:
    report = write_report(tmp_path / "r.json", subject("pigeon"), subject("pigeon-express"), failing="images")
    main([str(report), "--into", str(document)])
    assert "| capability | `pigeon` |" in document.read_text()
    assert "| `images` | **not kept** |" in document.read_text()
    assert "| conforms | **no** |" in document.read_text()


def test_a_document_without_a_place_is_left_alone(
    tmp_path: Path, document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document.write_text("# Nothing\n")
    report = write_report(tmp_path / "r.json", subject("pigeon"))
    assert main([str(report), "--into", str(document)]) == 1
    assert "capabilities: begin" in capsys.readouterr().err
    assert document.read_text() == "# Nothing\n"
