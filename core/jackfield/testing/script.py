"""What a test expects the session to do, and how calls are held against it.

A test has its expectations in one of two forms: `Steps`, written down beforehand, each with what the far end says to
it; or `Waits`, one after another while the test runs. Both are strict unless told otherwise: calls come in the order
in which they are expected, and nothing else comes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeAlias

from attrs import define, field, frozen

from jackfield.errors import ConfigurationError, redact
from jackfield.naming import check_names

from .calls import ARGUMENTS, LIFECYCLE, Method, RecordedCall, shown
from .emissions import Emission, checked_emissions
from .errors import MissingCallError, UnexpectedCallError

__all__ = ["Expectation", "Matching", "Script", "Step", "Steps", "Waits", "check_method"]

Matching: TypeAlias = Mapping[str, Any] | Callable[[RecordedCall], object] | None
"""Which calls of a method match: those with these arguments, those for which a function is true, or (None) all."""


def check_method(method: str) -> None:
    """Raise `ConfigurationError` for what is no method that can be expected."""
    check_names("no call can be expected of a method", [method], list(ARGUMENTS))


@frozen
class Expectation:
    """A call of `method` is expected, with the arguments (by name, as many as matter) or the predicate in `matching`.

    A predicate that raises counts as false; what it raises, say an AssertionError, is told with the mismatch.
    """

    method: Method
    matching: Matching = None

    def __attrs_post_init__(self) -> None:
        check_method(self.method)
        if isinstance(self.matching, Mapping):
            check_names(f"{self.method} has no argument", self.matching, ARGUMENTS[self.method])
        elif self.matching is not None and not callable(self.matching):
            raise ConfigurationError(
                f"a {self.method} is matched by a mapping of arguments or by a function of the call, not by "
                f"{type(self.matching).__name__}"
            )

    def __str__(self) -> str:
        if isinstance(self.matching, Mapping):
            wanted = ", ".join(f"{name}={shown(value)}" for name, value in self.matching.items())
            return f"{self.method}({wanted})"
        if self.matching is not None:
            return f"{self.method} of which {getattr(self.matching, '__name__', 'a function')} is true"
        return self.method

    def matches(self, call: RecordedCall) -> Match:
        """Hold `call` against this."""
        if call.method != self.method:
            return Match(False)
        if isinstance(self.matching, Mapping):
            return Match(all(call.arguments[name] == value for name, value in self.matching.items()))
        if self.matching is None:
            return Match(True)
        try:
            return Match(bool(self.matching(call)))
        except Exception as error:  # noqa: BLE001 - it is the test's own, and both sides are told
            return Match(False, error)


@frozen
class Match:
    """Whether a call is the one that was expected; where a predicate raised, what it raised."""

    is_one: bool
    cause: Exception | None = None

    def __bool__(self) -> bool:
        return self.is_one


@frozen
class Step(Expectation):
    """An expectation, and what comes of it: `emit` is what the far end says then, or `error` is what the call raises.

    `emit` is one emission or several (see `ScriptedTransport.emit`). They are delivered once the call has returned.
    """

    emit: tuple[Emission, ...] = field(default=(), converter=checked_emissions, kw_only=True)
    error: Exception | None = field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.error is not None and not isinstance(self.error, Exception):
            raise ConfigurationError(f"a step's error is an exception to raise, not {self.error!r}")
        if self.error is not None and self.emit:
            raise ConfigurationError(f"the step {self} has both emit and error: a call that fails reaches no far end")
        if self.method == "close" and self.emit:
            raise ConfigurationError("a close is answered by nobody: leave out the step's emit")


class Script(Protocol):
    """Either form of a test's expectations."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps that are left."""

    @property
    def unexpected(self) -> tuple[RecordedCall, ...]:
        """The calls so far that were let through, and that the test should have expected."""

    def take(self, call: RecordedCall) -> Step | None:
        """Hold a call against what is expected, and return the step that it fulfils.

        Raises `UnexpectedCallError`, and consumes nothing then.
        """


class Steps:
    """The expectations of a whole test, in order."""

    def __init__(self, steps: Iterable[Step], *, strict: bool) -> None:
        self._left = deque(steps)
        self._total = len(self._left)
        self._strict = strict
        for step in self._left:
            if not isinstance(step, Step):
                raise ConfigurationError(f"a script is made of Steps: {step!r} is a {type(step).__name__}")

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps that are left."""
        return tuple(self._left)

    @property
    def unexpected(self) -> tuple[RecordedCall, ...]:
        """None: a script that is strict has refused them."""
        return ()

    def take(self, call: RecordedCall) -> Step | None:
        """Hold a call against the next step."""
        step = self._left[0] if self._left else None
        match = Match(False) if step is None else step.matches(call)
        if match:
            return self._left.popleft()
        passes = call.method in LIFECYCLE and (step is None or step.method != call.method)
        if passes or not self._strict:
            return None
        if step is None:
            wanted = f"the script of {self._total} steps was over"
        else:
            wanted = f"step {self._total - len(self._left) + 1} of {self._total} is {step}"
        raise _unexpected(call, step, wanted, match)


@define(eq=False)
class _Wait:
    expectation: Expectation
    call: asyncio.Future[RecordedCall]


class Waits:
    """The expectations of a test that goes along with the session, call by call."""

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self._waits: deque[_Wait] = deque()
        self._unclaimed: deque[RecordedCall] = deque()
        self._used = False

    @property
    def steps(self) -> tuple[Step, ...]:
        """None: nothing was written down."""
        return ()

    @property
    def unexpected(self) -> tuple[RecordedCall, ...]:
        """The calls that nobody waited for. A test that waits for no call at all has nothing against any."""
        if not (self._strict and self._used):
            return ()
        return tuple(call for call in self._unclaimed if call.method not in LIFECYCLE)

    def take(self, call: RecordedCall) -> None:
        """Give a call to whoever waits for it; keep it for later where nobody does."""
        self._waits = deque(wait for wait in self._waits if not wait.call.done())
        for wait in self._waits:
            match = wait.expectation.matches(call)
            if match:
                wait.call.set_result(call)
                return
            if self._strict and call.method not in LIFECYCLE:
                error = _unexpected(call, wait.expectation, f"the test waits for {wait.expectation}", match)
                wait.call.set_exception(error)
                raise error
        self._unclaimed.append(call)

    async def expect(self, expectation: Expectation, timeout: float) -> RecordedCall:
        """Return the call, as soon as it was made."""
        self._used = True
        claimed = self._claim(expectation)
        if claimed is not None:
            return claimed
        wait = _Wait(expectation, asyncio.get_running_loop().create_future())
        self._waits.append(wait)
        try:
            async with asyncio.timeout(timeout):
                return await self._result(wait)
        except TimeoutError:
            unclaimed = ", ".join(repr(call) for call in self._unclaimed if call.method not in LIFECYCLE) or "none"
            message = f"the session did not call {expectation} within {timeout:g} s. Calls that nobody waited for: "
            raise MissingCallError(message + unclaimed, expected=expectation) from None

    async def _result(self, wait: _Wait) -> RecordedCall:
        try:
            return await wait.call
        except asyncio.CancelledError:
            if wait.call.done() and not wait.call.cancelled() and wait.call.exception() is None:
                self._unclaimed.appendleft(wait.call.result())  # it was made just when the waiting ended
            raise

    def _claim(self, expectation: Expectation) -> RecordedCall | None:
        for call in self._unclaimed:
            match = expectation.matches(call)
            if match:
                self._unclaimed.remove(call)
                return call
            passes = call.method in LIFECYCLE and call.method != expectation.method
            if self._strict and not passes:
                raise _unexpected(call, expectation, f"the test waits for {expectation}", match)
        return None


def _unexpected(call: RecordedCall, expectation: Expectation | None, wanted: str, match: Match) -> UnexpectedCallError:
    why = "" if match.cause is None else f", and that raised {type(match.cause).__name__}: {redact(str(match.cause))}"
    error = UnexpectedCallError(f"the session called {call}, but {wanted}{why}", actual=call, expected=expectation)
    error.__cause__ = match.cause
    return error
