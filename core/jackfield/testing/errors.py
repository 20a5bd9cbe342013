"""What a test is told when the session did not do what the test expects.

::

    JackfieldError
    └── ScriptError (AssertionError)         an expectation of the test was not met
        ├── UnexpectedCallError              the session did something else, or something more
        ├── MissingCallError                 the session did not do what was waited for
        └── UnfinishedScriptError            the test ended, and not everything had happened

They are assertion errors, so that test runners show them as failures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jackfield.errors import JackfieldError

if TYPE_CHECKING:
    from .calls import RecordedCall
    from .script import Expectation, Step

__all__ = ["MissingCallError", "ScriptError", "UnexpectedCallError", "UnfinishedScriptError"]


class ScriptError(JackfieldError, AssertionError):
    """Base of the errors about a test's expectations."""


class UnexpectedCallError(ScriptError):
    """The session made the call `actual`, and not the `expected` one; None: the script was over.

    Whoever made the call gets it, and so does the test. Nothing of the script was consumed. `__cause__` is what the
    matching function raised, where it raised.
    """

    def __init__(self, message: str, *, actual: RecordedCall, expected: Expectation | None) -> None:
        super().__init__(message)
        self.actual = actual
        self.expected = expected


class MissingCallError(ScriptError):
    """`expect_call` waited for `expected` in vain."""

    def __init__(self, message: str, *, expected: Expectation) -> None:
        super().__init__(message)
        self.expected = expected


class UnfinishedScriptError(ScriptError):
    """Something is left: `steps`, `failures` (methods) that met no call, or `calls` that nobody waited for."""

    def __init__(
        self, message: str, *, steps: Sequence[Step], failures: Sequence[str], calls: Sequence[RecordedCall]
    ) -> None:
        super().__init__(message)
        self.steps = tuple(steps)
        self.failures = tuple(failures)
        self.calls = tuple(calls)
