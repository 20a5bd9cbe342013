"""The near side of a scripted transport: which calls were made, and what becomes of each."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from typing import Any

from jackfield.errors import ConfigurationError

from .calls import Method, RecordedCall, snapshot
from .emissions import Emission
from .errors import UnfinishedScriptError
from .script import Script, check_method

__all__ = ["Record"]


class Record:
    """The calls so far, held against `script`."""

    def __init__(self, script: Script, progress: asyncio.Event) -> None:
        """`progress` is set with every call."""
        self.calls: list[RecordedCall] = []
        self._script = script
        self._progress = progress
        self._failures: defaultdict[str, deque[Exception]] = defaultdict(deque)
        self._broken: Exception | None = None

    def fail_next(self, method: Method, error: Exception) -> None:
        """Let the next call of `method` fail."""
        check_method(method)
        if not isinstance(error, Exception):
            raise ConfigurationError(f"a call fails with an exception, not with {error!r}")
        self._failures[method].append(error)

    def take(self, method: Method, **arguments: Any) -> tuple[Emission, ...]:
        """Record a call, and return what the far end says to it; raise what it fails with."""
        call = RecordedCall(len(self.calls), method, snapshot(arguments))
        self.calls.append(call)
        self._progress.set()
        try:
            step = self._script.take(call)
        except Exception as error:
            self.broke(error)
            raise
        if failures := self._failures[method]:
            raise failures.popleft()
        if step is None:
            return ()
        if step.error is not None:
            raise step.error
        return step.emit

    def broke(self, error: Exception) -> None:
        """Note what the test has to be told, for whoever was told of it first may not have been the test."""
        self._broken = self._broken or error

    def check(self) -> None:
        """Raise what broke the script, if something did."""
        if self._broken is not None:
            raise self._broken

    def assert_complete(self) -> None:
        """Raise what broke the script, or `UnfinishedScriptError` where something is left."""
        self.check()
        steps, calls = self._script.steps, self._script.unexpected
        failures = [method for method, errors in self._failures.items() for _ in errors]
        left = {
            "steps that were not done": ", ".join(map(str, steps)),
            "failures that met no call": ", ".join(failures),
            "calls that nobody waited for": ", ".join(map(repr, calls)),
        }
        told = "; ".join(f"{what}: {which}" for what, which in left.items() if which)
        if told:
            raise UnfinishedScriptError(told, steps=steps, failures=failures, calls=calls)
