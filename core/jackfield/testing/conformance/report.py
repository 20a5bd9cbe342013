"""What a run of the kit comes to: of each subject, what it claims and what of that was proven."""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeAlias

from attrs import define, field, fields, frozen

from jackfield.transport import CONTRACT_VERSION, TransportCapabilities, available_transports

from .check import Proof
from .subject import Subject

__all__ = ["Outcome", "Report", "SubjectReport", "badge", "capabilities_table", "describe"]

Outcome: TypeAlias = Literal["passed", "failed", "skipped"]

_CHOICES = {"playback": ("client", "server"), "truncate": ("client", "server")}


@frozen
class _Result:
    check: str
    proof: Proof
    outcome: Outcome
    reason: str


@define
class SubjectReport:
    """One subject's results."""

    id: str
    transport: str
    distribution: str
    """The distribution that offers it, with its version; "" where it isn't an installed one."""
    claims: tuple[str, ...]
    """Its capabilities, as `TransportCapabilities.names` has them."""
    results: list[_Result] = field(factory=list)

    @property
    def conforms(self) -> bool:
        """Whether nothing failed, something ran, and whatever is claimed was proven."""
        ran = any(result.outcome == "passed" for result in self.results)
        failed = any(result.outcome == "failed" for result in self.results)
        return ran and not failed and not self.unproven

    @property
    def unproven(self) -> list[str]:
        """What is claimed and was not proven."""
        return [name for name in self.claims if self.proven(name) is not True]

    def proven(self, capability: str) -> bool | None:
        """Tell whether its checks passed; None where none ran."""
        how = "kept" if capability in self.claims else "refused"
        outcomes = {
            result.outcome
            for result in self.results
            if (result.proof.capability, result.proof.how) == (capability, how) and result.outcome != "skipped"
        }
        return None if not outcomes else outcomes == {"passed"}

    def count(self, outcome: Outcome) -> int:
        """Return how many checks ended so."""
        return sum(result.outcome == outcome for result in self.results)

    def as_json(self) -> dict[str, Any]:
        """Return everything, for programs."""
        areas: dict[str, Counter[str]] = {}
        for result in self.results:
            areas.setdefault(result.proof.area, Counter(passed=0, failed=0, skipped=0))[result.outcome] += 1
        return {
            "id": self.id,
            "transport": self.transport,
            "distribution": self.distribution,
            "conforms": self.conforms,
            "checks": {outcome: self.count(outcome) for outcome in ("passed", "failed", "skipped")},
            "areas": {name: dict(counts) for name, counts in areas.items()},
            "capabilities": {
                name: {"claimed": name in self.claims, "proven": self.proven(name)} for name in _all_names()
            },
            "failures": [
                {"check": result.check, "reason": result.reason}
                for result in self.results
                if result.outcome == "failed"
            ],
            "skipped": [
                {"check": result.check, "reason": result.reason}
                for result in self.results
                if result.outcome == "skipped"
            ],
            "badge": badge(self.conforms, self.count("passed"), self.count("passed") + self.count("failed")),
        }

    def as_text(self) -> str:
        """Return a table for people."""
        rows = [("capability", "claimed", "proven")]
        for name in _all_names():
            claimed, proven = name in self.claims, self.proven(name)
            if "=" in name and not claimed:
                continue
            word = {None: "NOT PROVEN" if claimed else "-", True: "yes" if claimed else "refused", False: "FAILED"}
            rows.append((name, "yes" if claimed else "no", word[proven]))
        width = max(len(name) for name, *_ in rows)
        lines = [f"  {name:<{width}}  {claimed:<7}  {proven}" for name, claimed, proven in rows]
        skipped = Counter(_brief(result.reason) for result in self.results if result.outcome == "skipped")
        lines += [f"  skipped {count:>3}: {reason}" for reason, count in skipped.items()]
        if self.conforms:
            verdict = "conforms"
        else:
            verdict = "DOES NOT CONFORM" if self.count("failed") else "not all that is claimed was checked"
        counts = ", ".join(f"{self.count(outcome)} {outcome}" for outcome in ("passed", "failed", "skipped"))
        where = f" ({self.distribution})" if self.distribution else ""
        return "\n".join([f"{self.id}{where} against contract {CONTRACT_VERSION}: {verdict}: {counts}", *lines])


class Report:
    """The results of a run, by subject."""

    def __init__(self) -> None:
        self.subjects: dict[str, SubjectReport] = {}

    def add(self, subject: Mapping[str, Any], check: str, proof: Proof, outcome: Outcome, reason: str = "") -> None:
        """Note how a check ended; `subject` is what `describe` made of it."""
        entry = self.subjects.setdefault(
            subject["id"],
            SubjectReport(subject["id"], subject["transport"], subject["distribution"], tuple(subject["claims"])),
        )
        entry.results.append(_Result(check, proof, outcome, reason))

    def as_json(self) -> dict[str, Any]:
        """Return everything, for programs."""
        return {
            "contract": CONTRACT_VERSION,
            "subjects": [subject.as_json() for subject in self.subjects.values()],
        }

    def as_text(self) -> str:
        """Return the tables for people."""
        return "\n\n".join(subject.as_text() for subject in self.subjects.values())


def describe(subject: Subject) -> dict[str, Any]:
    """Return what a report has to know of a subject, as plain data.

    One that can't be made claims nothing: its checks say why, and the run goes on.
    """
    info = available_transports().get(subject.transport)
    claims: list[str] = []
    with contextlib.suppress(Exception):
        claims = subject.capabilities.names()
    return {
        "id": subject.id,
        "transport": subject.transport,
        "distribution": "" if info is None else " and ".join(info.origins),
        "claims": claims,
    }


def badge(conforms: bool, passed: int, ran: int) -> dict[str, Any]:
    """Return the badge of a run, in the schema of shields.io endpoints (version 1)."""
    return {
        "schemaVersion": 1,
        "label": f"jackfield contract {CONTRACT_VERSION}",
        "message": f"{passed} of {ran} checks" if ran else "not run",
        "color": "brightgreen" if conforms else "red",
    }


def capabilities_table(reports: Iterable[Mapping[str, Any]]) -> str:
    """Return a Markdown table of transports and their capabilities, made of `SubjectReport.as_json` of each subject.

    Subjects of one transport share a column; the transports are in the order of their names.

    `yes`: claimed and proven. `no`: not claimed, and proven to be refused, or nothing to refuse. Whatever else there is
    is told in words.
    """
    by_transport: dict[str, list[Mapping[str, Any]]] = {}
    for subject in sorted(reports, key=lambda subject: str(subject["transport"])):
        by_transport.setdefault(subject["transport"], []).append(subject)

    def row(name: str, cell: Callable[[Mapping[str, Any]], str]) -> list[str]:
        return [name, *(_worst(map(cell, subjects)) for subjects in by_transport.values())]

    flags = [name for name in _all_names() if "=" not in name]
    rows = [
        ["capability", *(f"`{name}`" for name in by_transport)],
        ["---"] * (1 + len(by_transport)),
        *(row(f"`{name}`", functools.partial(_cell, name=name)) for name in flags),
        *(row(f"`{choice}`", functools.partial(_choice, choice=choice)) for choice in _CHOICES),
        row("conforms", lambda subject: "yes" if subject["conforms"] else "**no**"),
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows) + "\n"


def _brief(reason: str) -> str:
    """Return why a check was skipped, without saying which capability it was about: the table has that."""
    for beginning in ("it does not claim", "it claims"):
        if reason.startswith(beginning):
            return f"{beginning} what the check is about"
    return reason


def _worst(cells: Iterable[str]) -> str:
    """Return what is to be told of a transport with several subjects: what is wrong, if anything is."""
    told = list(cells)
    return next((cell for cell in told if cell.startswith("**")), told[0])


def _cell(subject: Mapping[str, Any], name: str) -> str:
    claimed, proven = subject["capabilities"][name]["claimed"], subject["capabilities"][name]["proven"]
    if proven is False:
        return "**not kept**" if claimed else "**not refused**"
    if claimed:
        return "yes" if proven else "**claimed, not proven**"
    return "no"


def _choice(subject: Mapping[str, Any], choice: str) -> str:
    capabilities = subject["capabilities"]
    value = next(value for value in _CHOICES[choice] if capabilities[f"{choice}={value}"]["claimed"])
    proven = capabilities[f"{choice}={value}"]["proven"]
    return value if proven else f"**{value}, not proven**"


def _all_names() -> list[str]:
    names = [attribute.name for attribute in fields(TransportCapabilities) if attribute.name not in _CHOICES]
    return names + [f"{choice}={value}" for choice, values in _CHOICES.items() for value in values]
