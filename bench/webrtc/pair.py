"""The two processes of a kind of calls, each on a core of its own, and what is taken of the calls between them.

The client's process is the one that is measured.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Self

from bench.runner import FailedError, Process

from .talk import delays

_LAST_WORD_S: Final = 0.5
"""Words that are said later before the end are none that must be heard by then."""
_SPREAD_S: Final = 1.0
"""Openings, and whatever is done for the first time, aren't counted."""


@dataclass(frozen=True)
class Words:
    """What became of the words that were said in some time."""

    delays: list[int]
    """Of each word that was heard, from the mouth to the ear, in ns."""
    lost: int
    """How many were never heard."""


@dataclass(frozen=True)
class Talk:
    """What calls cost the client's process, and their words."""

    cpu: float
    """CPU time in seconds per second."""
    threads: int
    """At the end."""
    waited: float
    """The part of the time in which another process had the core, the client's or the far end's."""
    out: Words
    """What was said at the client and heard at the far end."""
    back: Words
    """And the other way."""


@dataclass(frozen=True)
class Path:
    """The words of one way of a call over a network that is good, then bad, then good again."""

    before: Words
    during: Words
    after: Words
    """From a second after it is good again."""


class Pair:
    """A client's and a far end's process of one kind, to be used as a context manager."""

    def __init__(self, kind: str, cpu: int | None, far_cpu: int | None) -> None:
        self._stack = ExitStack()
        try:
            self._client = self._stack.enter_context(Process(["-m", "bench.webrtc.side", kind, "client"], cpu))
            self._far = self._stack.enter_context(Process(["-m", "bench.webrtc.side", kind, "far_end"], far_cpu))
        except BaseException:
            self._stack.close()
            raise
        self.missing: str | None = self._client.greeting["missing"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def connects(self, count: int) -> list[float]:
        """Make calls, one at a time; return how long each took until it was ready, in seconds."""
        took: list[float] = []
        for _ in range(count):
            with self._calls(1, "talk") as answer:
                took += answer["took"]
        return took

    def talk(self, calls: int, seconds: float, *, idle: bool = False) -> Talk:
        """Hold so many calls for so long."""
        with self._calls(calls, "idle" if idle else "talk"):
            time.sleep(_SPREAD_S)
            began = [side.tell(do="cost") for side in (self._client, self._far)]
            time.sleep(seconds)
            ended = [side.tell(do="cost") for side in (self._client, self._far)]
            out, back = self._words()
        spent = [
            {key: end[key] - begin[key] for key in ("at", "cpu", "waited")}
            for begin, end in zip(began, ended, strict=True)
        ]
        between = (began[0]["at"], ended[0]["at"] - _LAST_WORD_S)
        return Talk(
            cpu=spent[0]["cpu"] / spent[0]["at"],
            threads=ended[0]["threads"],
            waited=max(max(0.0, each["waited"]) / each["at"] for each in spent),
            out=_told(out.values(), *between),
            back=_told(back.values(), *between),
        )

    def paths(
        self, networks: Sequence[dict[str, float]], calls: int, phases: tuple[float, float, float]
    ) -> list[list[Path]]:
        """Hold so many calls over each network, all at once; return both ways of the calls on each.

        The phases are seconds before, during and after.
        """
        with self._calls(calls * len(networks), "talk") as answer:
            numbers: list[int] = answer["numbers"]
            on = {n: numbers[n * calls : (n + 1) * calls] for n in range(len(networks))}
            time.sleep(_SPREAD_S)
            times = [time.monotonic()]
            for phase, following in zip(phases, (networks, [{}] * len(networks), []), strict=True):
                time.sleep(phase)
                times.append(time.monotonic())
                for n, network in enumerate(following):
                    for side in (self._client, self._far):
                        side.tell(do="impair", numbers=on[n], how=network)
            words = self._words()
        before, during, after, end = times
        spans = [(before, during - _LAST_WORD_S), (during, after), (after + 1, end - _LAST_WORD_S)]
        return [
            [Path(*(_told([way[number]], *span) for span in spans)) for way in words for number in on[n]]
            for n in range(len(networks))
        ]

    @contextmanager
    def _calls(self, count: int, rhythm: str) -> Iterator[dict[str, Any]]:
        server = f"http://127.0.0.1:{self._far.greeting['port']}"
        try:
            yield self._client.tell(do="dial", server=server, count=count, rhythm=rhythm)
        finally:
            for side in (self._client, self._far):
                # One that has ended is told of where it was missed.
                with suppress(FailedError):
                    side.tell(do="hang_up")

    def _words(self) -> tuple[dict[int, dict[int, int | None]], dict[int, dict[int, int | None]]]:
        """The delay of each word of each call, from the client to the far end, and back; None where it wasn't heard."""
        near, far = self._client.tell(do="words"), self._far.tell(do="words")
        return _matched(near, far), _matched(far, near)


def _matched(mouths: dict[str, Any], ears: dict[str, Any]) -> dict[int, dict[int, int | None]]:
    found: dict[int, dict[int, int | None]] = {}
    for number, (said, _) in mouths.items():
        heard = delays(said, ears[number][1])
        found[int(number)] = {word: heard.get(word) for word in said}
    return found


def _told(ways: Iterable[dict[int, int | None]], since: float, until: float) -> Words:
    told = [delay for words in ways for word, delay in words.items() if since <= word / 1e9 < until]
    heard = [delay for delay in told if delay is not None]
    return Words(heard, len(told) - len(heard))
