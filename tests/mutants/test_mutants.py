"""Each mutant is caught by the check that is meant for it, for the right reason; without its fault it passes."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from jackfield.testing.conformance import far_end as far_ends
from jackfield.testing.conformance import leaks
from jackfield.testing.conformance.check import FIXTURE, proof_of
from jackfield.testing.conformance.checks import watching
from jackfield_local.conformance.subjects import WebSocketSubject

from .bases import Mutant
from .lifecycle import MUTANTS as LIFECYCLE
from .listening import MUTANTS as LISTENING
from .sending import MUTANTS as SENDING

MUTANTS = (*LIFECYCLE, *LISTENING, *SENDING)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a mutant never does need not be waited for as long as what a slow machine does late."""
    for module in (far_ends, watching, leaks):
        monkeypatch.setattr(module, "PATIENCE", 1.5)
    yield


def run(mutant: Mutant, make: Any, request: pytest.FixtureRequest) -> None:
    """Run the check that is meant for it."""
    subject = WebSocketSubject(
        "websocket", create=lambda _, **options: make(**options), hurried={"close_timeout": 0.05}
    )
    parameters = inspect.signature(mutant.check).parameters
    fixtures = {name: request.getfixturevalue(name) for name in ("caplog",) if name in parameters}
    test_class = next(
        cls
        for cls in vars(inspect.getmodule(mutant.check)).values()
        if inspect.isclass(cls) and mutant.check in vars(cls).values()
    )
    mutant.check(test_class(), **{FIXTURE: subject}, **fixtures, **mutant.arguments)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.fault)
class TestEachMutant:
    def test_is_caught_by_its_check(self, mutant: Mutant, impatient: None, request: pytest.FixtureRequest) -> None:
        with pytest.raises((Exception, pytest.fail.Exception), match=mutant.told) as caught:
            run(mutant, mutant.make, request)
        assert not isinstance(caught.value, TypeError | NameError | AttributeError), "the mutant itself is broken"

    def test_passes_without_its_fault(self, mutant: Mutant, request: pytest.FixtureRequest) -> None:
        run(mutant, mutant.good, request)


def test_they_are_of_every_area() -> None:
    proofs = [proof_of(mutant.check) for mutant in MUTANTS]
    areas = Counter(proof.area for proof in proofs if proof is not None)
    assert None not in proofs
    assert set(areas) == {
        "lifecycle",
        "failures",
        "leaks",
        "secrets",
        "ordering",
        "events",
        "listeners",
        "robustness",
        "audio",
        "backpressure",
        "memory",
        "sequencing",
        "function_calls",
        "interruption",
        "capabilities",
        "plugin",
        "session",
    }
