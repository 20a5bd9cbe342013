"""How a check becomes a test: it runs on a loop of its own, must leave nothing behind, and says what it proves.

A check is a coroutine method of a class, with a parameter `subject`. The class says of which area it is, and a method
which capability it proves. pytest sees plain functions, so that no plugin for coroutines is needed.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Literal, TypeAlias, TypeVar

import pytest
from attrs import frozen

from .far_end import PATIENCE
from .leaks import no_leaks
from .stepping import SteppingLoop
from .subject import Subject

__all__ = ["FIXTURE", "Proof", "area", "claims", "lacks", "proof_of"]

FIXTURE = "jackfield_subject"
"""The fixture that the checks are run on: a `Subject`."""
_LIMIT = 4 * PATIENCE

C = TypeVar("C", bound=type)
How: TypeAlias = Literal["kept", "refused"]
Check: TypeAlias = Callable[..., Coroutine[Any, Any, None]]


@frozen
class Proof:
    """What a check proves: something of an area, and perhaps a capability, claimed or not."""

    area: str
    capability: str | None = None
    how: How = "kept"
    """`kept`: what is claimed works. `refused`: what isn't claimed is refused early."""


def area(name: str) -> Callable[[C], C]:
    """Make checks of a class's coroutine methods; they belong to the area `name`."""

    def decorate(cls: C) -> C:
        for attribute, test in list(vars(cls).items()):
            if attribute.startswith("test_"):
                about: tuple[str | None, How] = getattr(test, "_jackfield", (None, "kept"))
                setattr(cls, attribute, _check(test, Proof(name, *about)))
        return cls

    return decorate


def claims(capability: str) -> Callable[[Check], Check]:
    """Have a check prove a capability ("audio_in", "playback=client"). Where it isn't claimed it is skipped."""
    return _about(capability, "kept")


def lacks(capability: str) -> Callable[[Check], Check]:
    """Have a check prove that a capability that isn't claimed is refused. Where it is claimed it is skipped."""
    return _about(capability, "refused")


def proof_of(test: object) -> Proof | None:
    """Return what a test function proves; None where it is no check."""
    return getattr(test, "proof", None)


def _about(capability: str, how: How) -> Callable[[Check], Check]:
    def decorate(test: Check) -> Check:
        test._jackfield = capability, how  # type: ignore[attr-defined]
        return test

    return decorate


def _check(test: Check, proof: Proof) -> Callable[..., None]:
    signature = inspect.signature(test)
    parameters = [
        parameter.replace(name=FIXTURE) if name == "subject" else parameter
        for name, parameter in signature.parameters.items()
    ]

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        subject: Subject = kwargs.pop(FIXTURE)
        claimed = proof.capability is None or proof.capability in subject.capabilities.names()
        if proof.how == "kept" and not claimed:
            pytest.skip(f"it does not claim {proof.capability}")
        if proof.how == "refused" and claimed:
            pytest.skip(f"it claims {proof.capability}")
        with asyncio.Runner(loop_factory=SteppingLoop) as runner:
            runner.run(_limited(test(*args, subject=subject, **kwargs)))

    del run.__wrapped__  # or pytest would ask for the fixtures of what is wrapped
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.proof = proof  # type: ignore[attr-defined]
    return run


async def _limited(check: Coroutine[Any, Any, None]) -> None:
    async with no_leaks():
        try:
            async with asyncio.timeout(_LIMIT) as limit:
                await check
        except TimeoutError:
            if limit.expired():
                raise AssertionError(f"it did not end within {_LIMIT:g} s") from None
            raise
