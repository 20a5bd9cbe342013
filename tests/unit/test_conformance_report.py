"""What a run of the kit comes to: claims, proofs, and what is said of both."""

from __future__ import annotations

from typing import Any

import pytest

from jackfield.testing.conformance.check import Proof
from jackfield.testing.conformance.report import Outcome, Report
from jackfield.transport import CONTRACT_VERSION, TransportCapabilities

ABOUT = {
    "id": "pigeon",
    "transport": "pigeon",
    "distribution": "jackfield-pigeon 0.3",
    "claims": TransportCapabilities(images=False, history=False).names(),
}


def proven(*, but: str = "", outcome: Outcome = "failed") -> Report:
    """Return the report of a run in which every claim was proven, but for one."""
    report = Report()
    for claim in ABOUT["claims"]:
        report.add(ABOUT, f"test_{claim}", Proof("capabilities", claim), outcome if claim == but else "passed", "why")
    report.add(ABOUT, "test_images_are_refused", Proof("capabilities", "images", "refused"), "passed")
    return report


def as_json(report: Report) -> dict[str, Any]:
    [subject] = report.as_json()["subjects"]
    found: dict[str, Any] = subject
    return found


def test_it_conforms_where_every_claim_was_proven() -> None:
    report = proven()
    subject = as_json(report)
    assert subject["conforms"] and subject["failures"] == []
    assert subject["capabilities"]["audio_in"] == {"claimed": True, "proven": True}
    assert subject["capabilities"]["images"] == {"claimed": False, "proven": True}
    assert subject["capabilities"]["history"] == {"claimed": False, "proven": None}
    assert subject["badge"] == {
        "schemaVersion": 1,
        "label": f"jackfield contract {CONTRACT_VERSION}",
        "message": "10 of 10 checks",
        "color": "brightgreen",
    }
    text = report.as_text()
    assert text.startswith(f"pigeon (jackfield-pigeon 0.3) against contract {CONTRACT_VERSION}: conforms: 10 passed")
    assert "refused" in next(line for line in text.splitlines() if line.strip().startswith("images"))


@pytest.mark.parametrize("claim", ["audio_in", "playback=client"])
def test_a_claim_that_is_not_kept_is_named(claim: str) -> None:
    report = proven(but=claim)
    subject = as_json(report)
    assert not subject["conforms"] and subject["badge"]["color"] == "red"
    assert subject["failures"] == [{"check": f"test_{claim}", "reason": "why"}]
    assert subject["capabilities"][claim] == {"claimed": True, "proven": False}
    assert "DOES NOT CONFORM" in report.as_text() and "FAILED" in report.as_text()


def test_a_claim_that_nothing_proved_is_no_conformance() -> None:
    report = proven(but="cancel", outcome="skipped")
    subject = as_json(report)
    assert not subject["conforms"]
    assert subject["capabilities"]["cancel"] == {"claimed": True, "proven": None}
    assert "not all that is claimed was checked" in report.as_text() and "NOT PROVEN" in report.as_text()


def test_a_run_of_nothing_is_no_conformance() -> None:
    report = Report()
    report.add({**ABOUT, "claims": []}, "test_it", Proof("lifecycle"), "skipped", "not today")
    assert not as_json(report)["conforms"]
    assert "skipped   1: not today" in report.as_text()
