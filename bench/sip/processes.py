"""The processes of phone calls, and what is taken of them: who is measured has a core, all others share another one."""

from __future__ import annotations

import importlib.util
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Self

from bench.runner import FailedError, Process

_DIALLED_AT_ONCE: Final = 10
_SPREAD_S: Final = 1.0
"""Openings, and whatever is done for the first time, aren't counted."""
_LAST_WORD_S: Final = 0.5
"""Words that are said later before the end are none that must be heard by then."""
_PATIENCE_S: Final = 20.0
_LOOK_S: Final = 0.02


@dataclass(frozen=True)
class Answer:
    """How long one call took, in ns."""

    answered: int
    """From the caller's INVITE to the 200 that it got."""
    joined: int
    """From there until the agent's session had joined."""


@dataclass(frozen=True)
class Rush:
    """What it took to have many calls answered."""

    seconds: float
    """From the first INVITE until the agent's session had joined the last call."""
    door: float
    """CPU time of the door's process, in seconds."""
    agent: float
    """And of the agent's."""
    waited: float
    """The part of the time in which another process had the door's core."""


@dataclass(frozen=True)
class Talk:
    """What calls cost who is measured, and what became of the words on them."""

    cpu: float
    """CPU time in seconds per second."""
    threads: int
    """At the end."""
    waited: float
    """The part of the time in which another process had the core."""
    delays: list[int]
    """Of each word that came back, from the caller's socket to the caller's socket, in ns."""
    lost: int
    """How many words never came back."""


class Processes:
    """Who is measured (`floor` or `door`), the callers, and the door's agent; to be used as a context manager."""

    def __init__(self, kind: str, cpu: int | None, other_cpu: int | None) -> None:
        self.missing = _missing() if kind == "door" else None
        """Why there is nothing to be measured; nothing is started then."""
        self._stack = ExitStack()
        self._agent: Process | None = None
        if self.missing:
            return
        try:
            self._caller = self._process(["caller"], other_cpu)
            if kind == "door":
                secret = secrets.token_hex()
                self._agent = self._process(["agent", secret], other_cpu)
                self._measured = self._process(["door", self._agent.greeting["url"], secret], cpu)
                self._agent.tell(do="serve", base_url=self._measured.greeting["base_url"])
            else:
                self._measured = self._process([kind], cpu)
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def answers(self, count: int) -> list[Answer]:
        """Make calls to the door, one at a time."""
        answers = []
        for _ in range(count):
            with self._calls(1) as ((call,), joined):
                invited, answered, at = call["invited"], call["answered"], joined[call["id"]]
                answers.append(Answer(answered - invited, at - answered))
        return answers

    def rush(self, count: int) -> Rush:
        """Make so many calls to the door, with ten that ring at any time."""
        assert self._agent
        sides = self._measured, self._agent
        began = [side.tell(do="cost") for side in sides]
        with self._calls(count) as (calls, joined):
            ended = [side.tell(do="cost") for side in sides]
        door, agent = (end["cpu"] - begin["cpu"] for begin, end in zip(began, ended, strict=True))
        return Rush(
            seconds=(max(joined.values()) - min(call["invited"] for call in calls)) / 1e9,
            door=door,
            agent=agent,
            waited=_waited(began[0], ended[0]),
        )

    def talk(self, calls: int, seconds: float, *, silent: bool = False) -> Talk:
        """Hold so many calls for so long."""
        with self._calls(calls, silent=silent):
            time.sleep(_SPREAD_S)
            began, since = self._measured.tell(do="cost"), time.time_ns()
            time.sleep(seconds)
            ended, until = self._measured.tell(do="cost"), time.time_ns()
            words = self._caller.tell(do="words", since=since, until=until - int(_LAST_WORD_S * 1e9))
        if not silent and not words["delays"]:
            raise FailedError("no word came back")
        return Talk(
            cpu=(ended["cpu"] - began["cpu"]) / (ended["at"] - began["at"]),
            threads=ended["threads"],
            waited=_waited(began, ended),
            delays=words["delays"],
            lost=words["lost"],
        )

    @contextmanager
    def _calls(self, count: int, *, silent: bool = False) -> Iterator[tuple[list[dict[str, Any]], dict[str, int]]]:
        """Have so many calls; what the caller and the agent tell of them is empty where none had to be made."""
        try:
            yield self._dial(count, silent) if self._agent else self._join(count, silent)
        finally:
            # One that has ended is told of where it was missed.
            with suppress(FailedError):
                self._caller.tell(do="hang_up")
                self._until_hung_up()
                self._measured.tell(do="close")

    def _join(self, count: int, silent: bool) -> tuple[list[dict[str, Any]], dict[str, int]]:
        opened = self._measured.tell(do="open", count=count)
        self._caller.tell(do="join", remotes=opened["remotes"], silent=silent)
        return [], {}

    def _dial(self, count: int, silent: bool) -> tuple[list[dict[str, Any]], dict[str, int]]:
        assert self._agent
        target = self._measured.greeting["sip_uri"]
        told = self._caller.tell(do="dial", target=target, count=count, at_once=_DIALLED_AT_ONCE, silent=silent)
        calls: list[dict[str, Any]] = told["calls"]
        until = time.monotonic() + _PATIENCE_S
        while len(joined := self._agent.tell(do="joined")["joined"]) < count:
            if time.monotonic() > until:
                raise FailedError(f"the agent joined {len(joined)} of {count} calls")
            time.sleep(_LOOK_S)
        return calls, joined

    def _until_hung_up(self) -> None:
        if self._agent is None:
            return
        until = time.monotonic() + _PATIENCE_S
        while self._agent.tell(do="forget")["calls"]:
            if time.monotonic() > until:
                raise FailedError("the agent holds on to calls that are over")
            time.sleep(_LOOK_S)

    def _process(self, arguments: list[str], cpu: int | None) -> Process:
        name, *rest = arguments
        return self._stack.enter_context(Process(["-m", f"bench.sip.{name}", *rest], cpu))


def _missing() -> str | None:
    needed = ("sipmessage", "standardwebhooks", "uvicorn")
    found = next((name for name in needed if importlib.util.find_spec(name) is None), None)
    return None if found is None else f"{found} is not installed"


def _waited(began: dict[str, Any], ended: dict[str, Any]) -> float:
    waited: float = ended["waited"] - began["waited"]
    seconds: float = ended["at"] - began["at"]
    return max(0.0, waited) / seconds
