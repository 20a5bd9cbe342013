"""Starts the server and the workers, each pinned to its core, and takes rounds in turn."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from .frames import Workload
from .report import Row
from .subjects import load

_ENVIRONMENT = os.environ | {"OPENAI_AGENTS_DISABLE_TRACING": "1", "PYTHONHASHSEED": "0"}


T = TypeVar("T")


class FailedError(Exception):
    """A subject could not do what it was told; the message is for the table."""


class Process:
    """A process that takes commands: JSON, one a line, each of which has an answer. It begins with an answer."""

    def __init__(self, arguments: list[str], cpu: int | None) -> None:
        self._process = start(arguments, cpu, stdin=subprocess.PIPE)
        self.greeting = self._answer()

    def tell(self, **command: Any) -> dict[str, Any]:
        """Have a command done and return the answer; raise `FailedError` if there is none."""
        assert self._process.stdin
        # A process that has ended leaves a broken pipe; what its end was, the missing answer tells.
        with suppress(BrokenPipeError):
            print(json.dumps(command), file=self._process.stdin, flush=True)
        answer = self._answer()
        if "failed" in answer:
            raise FailedError(answer["failed"])
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            with suppress(BrokenPipeError):
                pipe.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise FailedError(f"its process ended with status {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


class Worker(Process):
    """A process that measures one subject."""

    def __init__(self, subject: str, cpu: int | None) -> None:
        super().__init__(["-m", "bench.worker", subject], cpu)
        self.missing: str | None = self.greeting["missing"]


class PacedServer(Process):
    """The process of the server that speaks in real time."""

    def __init__(self, cpu: int | None) -> None:
        super().__init__(["-m", "bench.paced_server"], cpu)
        self.url = f"ws://127.0.0.1:{self.greeting['port']}/v1/realtime?model=gpt-realtime"


@dataclass
class Bench:
    """One run: what the measures need."""

    subjects: list[str]
    rounds: int
    quick: bool
    server: str
    """`ws://host:port`."""
    cpu: int | None
    """The core that the subjects run on."""
    server_cpu: int | None
    """The core that servers run on."""
    missing: dict[str, str] = field(default_factory=dict)
    """Why a subject can't be measured at all."""
    failures: dict[tuple[str, str], str] = field(default_factory=dict)
    """Why a subject's figures of one table are missing, by table and subject."""
    workers: dict[str, Worker] = field(default_factory=dict)

    def url(self, workload: Workload) -> str:
        return f"{self.server}/{workload.name}/v1/realtime?model=gpt-realtime"

    def fresh_worker(self, subject: str) -> Worker:
        """A worker with a heap that nothing was done in yet, to be used as a context manager."""
        return Worker(subject, self.cpu)

    def paced_server(self) -> PacedServer:
        """A server that speaks in real time, to be used as a context manager."""
        return PacedServer(self.server_cpu)

    def attempt(self, table: str, subject: str, measure: Callable[[], T]) -> T | None:
        """Return what `measure` returns; None where it can't be, and from then on for this table and subject."""
        if self.remark(table, subject):
            return None
        try:
            return measure()
        except FailedError as failure:
            self.failures[table, subject] = f"failed: {failure}"
            return None

    def remark(self, table: str, subject: str) -> str:
        """Why a table has no figures of a subject; empty if it can have some."""
        return self.missing.get(subject) or self.failures.get((table, subject), "")

    def row(self, table: str, subject: str, figures: dict[str, float] | None) -> Row:
        """A row of a table: the figures, or why there are none."""
        title, remark = load(subject).TITLE, self.remark(table, subject)
        return Row(title, remark=remark) if remark else Row(title, figures or {})


@contextmanager
def running(subjects: list[str], rounds: int, quick: bool) -> Iterator[Bench]:
    """Start what a run needs, and end it afterwards."""
    cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    shared = len(cpus) < 2
    if shared:
        say("fewer than two cores to pin to: the server disturbs what is measured")
    with ExitStack() as stack:
        cpu, server_cpu = (None, None) if shared else (cpus[0], cpus[-1])
        server = start(["-m", "bench.server"], server_cpu)
        stack.enter_context(server)
        stack.callback(server.kill)
        assert server.stdout
        port = int(server.stdout.readline())
        server.stdout.readline()
        bench = Bench(subjects, rounds, quick, f"ws://127.0.0.1:{port}", cpu, server_cpu)
        for subject in subjects:
            worker = stack.enter_context(bench.fresh_worker(subject))
            if worker.missing:
                bench.missing[subject] = f"not available: {worker.missing}"
            bench.workers[subject] = worker
        yield bench


def start(arguments: list[str], cpu: int | None, **options: Any) -> subprocess.Popen[str]:
    """Start Python on one core; its stdout is a pipe of text."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=_ENVIRONMENT,
        preexec_fn=None if cpu is None else lambda: os.sched_setaffinity(0, {cpu}),
        **options,
    )


_begun = time.monotonic()


def say(what: str) -> None:
    """Tell whoever waits how far it is."""
    print(f"[{time.monotonic() - _begun:5.1f} s] {what}", file=sys.stderr, flush=True)
