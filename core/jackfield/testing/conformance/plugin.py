"""The kit as a pytest plugin: `pytest --jackfield-transport NAME`, and the report at the end of a run.

Every pytest loads this module where jackfield is installed, so that it imports nothing of the kit until a check runs.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .report import Report
    from .subject import Subject

__all__: list[str] = []

_FIXTURE = "jackfield_subject"  # as in `check`, which is not imported here
_PROPERTY = "jackfield"

pytest.register_assert_rewrite("jackfield.testing.conformance.checks", "jackfield_local.conformance.checks")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("jackfield", "conformance of jackfield's transports")
    group.addoption(
        "--jackfield-transport",
        action="append",
        default=[],
        metavar="NAME",
        help="run the conformance kit on this installed transport; may be given several times",
    )
    group.addoption("--jackfield-report", metavar="FILE", help="write the kit's results to this file, as JSON")


def pytest_configure(config: pytest.Config) -> None:
    """Have the kit collected where it is asked for, and its results reported wherever it runs."""
    config.pluginmanager.register(_Collector(config.getoption("jackfield_report")), "jackfield-report")
    names = config.getoption("jackfield_transport")
    if not names:
        return
    from .subjects import suites

    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args.clear()
    for suite in suites(names):
        spec = find_spec(suite)
        if spec is None or spec.origin is None:
            raise pytest.UsageError(f"the checks {suite!r} are not installed")
        config.args.append(spec.origin)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each check on all subjects of the transports that were named."""
    names = metafunc.config.getoption("jackfield_transport")
    if not names or _FIXTURE not in metafunc.fixturenames:
        return
    from .subject import SUITE
    from .subjects import installed_subjects, suites

    suite = metafunc.module.__name__
    if suite not in suites(names):
        return  # somebody's own module of checks, which says by itself what they run on
    subjects: list[Subject | str] = []
    for name in names:
        known = installed_subjects(name)
        subjects += [subject for subject in known if suite in subject.suites]
        if not known and suite == SUITE:
            subjects.append(name)
    metafunc.parametrize(_FIXTURE, subjects, indirect=True, ids=str)


@pytest.fixture
def jackfield_subject(request: pytest.FixtureRequest) -> Subject:
    """Return the transport under test: from what is installed, unless a module or a conftest.py has its own fixture."""
    subject: Subject | str | None = getattr(request, "param", None)
    if subject is None or isinstance(subject, str):
        pytest.fail(
            f"there is no far end for the transport {subject or 'under test'}: define a fixture {_FIXTURE!r} that "
            "returns a jackfield.testing.conformance.Subject, in the test module or in the conftest.py of the root; or "
            "declare one with an entry point of the group 'jackfield.conformance'",
            pytrace=False,
        )
    return subject


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note which subject a check ran on, and what it proves."""
    report = yield
    proof = getattr(getattr(item, "obj", None), "proof", None)
    subject = getattr(item, "funcargs", {}).get(_FIXTURE)
    if proof is not None and subject is not None and call.when == "call":
        from .report import describe

        check = f"{item.parent.name if item.parent else ''}::{getattr(item, 'originalname', item.name)}"
        about = {"subject": describe(subject), "check": check}
        about["proof"] = {"area": proof.area, "capability": proof.capability, "how": proof.how}
        report.user_properties.append((_PROPERTY, about))
    return report


class _Collector:
    """Gathers what the checks came to, and tells it at the end."""

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._report: Report | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        about: Any = dict(report.user_properties).get(_PROPERTY)
        if about is None or report.when != "call":
            return
        from .check import Proof
        from .report import Report

        self._report = self._report or Report()
        proof = Proof(**about["proof"])
        self._report.add(about["subject"], about["check"], proof, report.outcome, _reason(report))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self._report is None:
            return
        terminalreporter.section("conformance of transports")
        terminalreporter.write_line(self._report.as_text())
        if self._path is not None:
            text = json.dumps(self._report.as_json(), indent=2) + "\n"
            Path(self._path).write_text(text, encoding="utf-8")


def _reason(report: pytest.TestReport) -> str:
    """Return why a check failed or was skipped, in a line."""
    if report.skipped and isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    if report.failed:
        crash = getattr(report.longrepr, "reprcrash", None)
        return str(crash.message if crash is not None else report.longrepr).strip().partition("\n")[0]
    return ""
