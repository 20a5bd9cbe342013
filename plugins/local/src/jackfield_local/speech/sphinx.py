"""Hears with pocketsphinx, in processes of its own: the decoder would hold the interpreter lock for long stretches.

`SphinxRecognizer` keeps a few such processes and lends each to one caller at a time. What they do is `decoding`, how
they are spoken to is `worker`.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Sequence
from importlib.util import find_spec
from typing import BinaryIO, Final, cast

import msgspec

from jackfield_local.interfaces import SAMPLE_RATE
from jackfield_local.speech.worker import Answer, Request, read_frame, write_frame

__all__ = ["SphinxError", "SphinxRecognizer"]

_WORKER: Final = "jackfield_local.speech.worker"
_PATIENCE_SECONDS: Final = 30.0
"""A process that has not answered after this, and ten times the length of the speech, is given up."""

_logger = logging.getLogger(__name__)


class SphinxError(RuntimeError):
    """pocketsphinx can't be used; the message says what to do."""


class SphinxRecognizer:
    """A `Recognizer` on pocketsphinx and its bundled English model. Safe to share between threads.

    Up to `processes` utterances are heard at the same time, further callers wait. Processes start when they are
    first needed (`start` brings one up ahead of time), hold about 150 MB each, and end with `close`, with the
    recogniser itself, or with this process, however that ends.

    Raises `SphinxError` where the speech extra isn't installed, or after `close`.
    """

    def __init__(self, *, processes: int = 2) -> None:
        if find_spec("pocketsphinx") is None:
            raise SphinxError(
                "Hearing needs pocketsphinx, which is not installed. Run: pip install 'jackfield-local[speech]'"
            )
        if processes < 1:
            raise ValueError(f"processes={processes} leaves nobody to listen. Give 1 or more.")
        self._slots = threading.Semaphore(processes)
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._closed = threading.Event()
        self._finalizer = weakref.finalize(self, _end, self._all)

    def transcribe(self, pcm: bytes, phrases: Sequence[str]) -> str:
        """Return what was said in `pcm` (PCM16 mono, 24,000 Hz), or "" where nothing was understood.

        `phrases` may have gaps and optional parts, in the notation of `speech.patterns`. One of them is returned as
        it is written, gaps filled, if it fits the sound; otherwise the words of free English, as far as they go.
        The same sound and phrases give the same text.
        """
        if not pcm:
            return ""
        return self._ask(Request(list(phrases)), pcm)

    def prepare(self, phrases: Sequence[str]) -> None:
        """Get ready for `phrases`, and wait for that: the first utterance is then answered sooner."""
        self._ask(Request(list(phrases), transcribe=False), b"")

    def start(self) -> None:
        """Bring up one process without waiting for it."""
        self._give_back(self._take())

    def close(self) -> None:
        """End the processes; callers that are being served get an empty text. Idempotent."""
        self._closed.set()
        self._finalizer()

    def _ask(self, request: Request, pcm: bytes) -> str:
        patience = _PATIENCE_SECONDS + 10 * len(pcm) / (2 * SAMPLE_RATE)
        with self._slots:
            # A process that died (a crash in native code) is replaced, once: the utterance may be what kills it.
            answer = self._ask_one(request, pcm, patience) or self._ask_one(request, pcm, patience)
        if answer is None:
            _logger.error("the listening process ended without an answer; what was said is lost")
            return ""
        if answer.error is not None:
            _logger.error("pocketsphinx failed on an utterance of %d bytes: %s", len(pcm), answer.error)
        return answer.text

    def _ask_one(self, request: Request, pcm: bytes, patience: float) -> Answer | None:
        worker = self._take()
        answer = worker.ask(request, pcm, patience)
        if answer is not None:
            self._give_back(worker)
            return answer
        worker.end()
        with self._lock:
            self._all.discard(worker)
        # Out of time, or closed: another try would end the same way.
        return Answer() if worker.gave_up or self._closed.is_set() else None

    def _take(self) -> _Worker:
        with self._lock:
            if self._closed.is_set():
                raise SphinxError("This recogniser was closed. Make a new one: SphinxRecognizer()")
            if self._idle:
                return self._idle.pop()
            worker = _Worker()
            self._all.add(worker)
            return worker

    def _give_back(self, worker: _Worker) -> None:
        with self._lock:
            self._idle.append(worker)


class _Worker:
    """One listening process."""

    def __init__(self) -> None:
        self.gave_up = False
        # The child must find the same packages, whatever put them on this process's path.
        path = os.pathsep.join(entry for entry in sys.path if entry)
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", _WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"},
        )

    def ask(self, request: Request, pcm: bytes, patience: float) -> Answer | None:
        """Return the answer, or None where the process ended first or took longer than `patience` seconds."""
        sink, source = cast("BinaryIO", self._process.stdin), cast("BinaryIO", self._process.stdout)
        watchdog = threading.Timer(patience, self._give_up)
        watchdog.daemon = True
        watchdog.start()
        try:
            write_frame(sink, msgspec.json.encode(request))
            write_frame(sink, pcm)
            sink.flush()
            body = read_frame(source)
            return None if body is None else msgspec.json.decode(body, type=Answer)
        except (OSError, ValueError):  # broken pipe; closed by `end`
            return None
        finally:
            watchdog.cancel()

    def end(self) -> None:
        """Kill the process and reap it. Idempotent."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            try:
                cast("BinaryIO", stream).close()
            except OSError:
                _logger.debug("a request was still on its way to a listening process that ended")

    def _give_up(self) -> None:
        self.gave_up = True
        self._process.kill()


def _end(workers: set[_Worker]) -> None:
    for worker in tuple(workers):
        worker.end()
    workers.clear()
