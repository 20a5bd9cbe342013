"""Holds the conversation: brings the parts together, and takes the caller through his lines."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from attrs import field, frozen

from jackfield import RealtimePlaybackTracker
from jackfield.audio import StereoRecorder
from jackfield_local.demo.caller import CallerMicrophone, spoken_line
from jackfield_local.demo.carrier import Carrier, TransportCarrier
from jackfield_local.demo.errors import DemoError
from jackfield_local.demo.place import Place, is_called, local_place
from jackfield_local.demo.record import Record
from jackfield_local.demo.report import Report, make_report
from jackfield_local.demo.script import CALLER_VOICE, CONVERSATION, DESK_LINE, DESK_VOICE, PHONE_CALL, Line
from jackfield_local.demo.server_process import RunningServer, WebhookAddress, run_server, webhook_address
from jackfield_local.demo.speaker import Speaker
from jackfield_local.demo.stage import FRAME_MS, FastStage, RealtimeStage
from jackfield_local.demo.view import View

__all__ = ["Performance", "perform"]

_PACE = 8.0
"""In realtime the server sends audio this much faster than it plays, as the real one does."""

_ONSET_MS = 200.0
"""So much of a line is said before the far end must have noticed it, with --fast."""

_QUIET_MS = 1000.0
"""So much silence after a line ends the turn, with --fast. Longer than the server waits for."""

_TAIL_MS = 600.0


@frozen(kw_only=True)
class Performance:
    """What the user chose. Without `url` and `api_key` a local server is started."""

    transport: str = "websocket"
    url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    options: Mapping[str, str] = field(factory=dict, repr=False)
    """What the transport is made with, by name."""
    fast: bool = False
    out: Path = Path("out")
    turn_seconds: float = 60.0
    """How long one turn may take, on the wall's clock."""
    lines: Sequence[Line] = ()
    """What the caller says, in place of the conversation that suits the transport."""


async def perform(chosen: Performance, view: View) -> Report:
    """Hold the conversation and show it in `view`.

    Raises `DemoError`, or another `JackfieldError`, where it breaks off.
    """
    _require_speech(local=_is_local(chosen))
    lines = chosen.lines or (PHONE_CALL if is_called(chosen.transport) else CONVERSATION)
    said = await asyncio.to_thread(_speak, [line.text for line in lines], CALLER_VOICE, chosen.out / "caller")
    path = chosen.out / f"demo-{chosen.transport}.wav"
    async with _place(chosen) as far_end:
        title = f"A spoken conversation over the {chosen.transport} transport{', fast' if chosen.fast else ''}"
        view.begin(title, f"with {far_end.place.name}")
        with StereoRecorder(path) as recorder:
            return await _converse(chosen, far_end, list(zip(lines, said, strict=True)), recorder, view)


@frozen
class _FarEnd:
    """Where the conversation is held; what is known of it only where it is ours."""

    place: Place
    server: RunningServer | None = None
    webhook: WebhookAddress | None = None


async def _converse(
    chosen: Performance,
    far_end: _FarEnd,
    lines: Sequence[tuple[Line, bytes]],
    recorder: StereoRecorder,
    view: View,
) -> Report:
    began = time.monotonic()
    place, server = far_end.place, far_end.server
    tracker = RealtimePlaybackTracker()
    carrier = await _carrier(chosen, far_end, tracker)
    speaker = Speaker(tracker, recorder.write_right)
    microphone = CallerMicrophone(recorder.write_left)

    def tick() -> None:
        if not chosen.fast:
            record.listened()
        view.refresh(record.entries)

    stage = (FastStage if chosen.fast else RealtimeStage)(microphone, speaker, carrier.send, tick)
    record = Record(speaker, now=lambda: stage.now_ms, changed=stage.notify)
    report: Report | None = None
    try:
        async with carrier.meet(record) as session:
            caller = _Caller(stage, record, speaker, microphone, chosen)
            await _beside(carrier.over(), caller.say_all(lines))
            doors = await server.doors() if server is not None and place.door is not None else []
        report = make_report(
            [line for line, _ in lines],
            record.entries,
            usage=session.usage,
            duration_ms=stage.now_ms,
            seconds=time.monotonic() - began,
            recording=recorder.path,
            doors=(place.door, doors[0]) if place.door is not None and doors else None,
        )
    finally:
        view.end(record.entries, report)
    return report


async def _carrier(chosen: Performance, far_end: _FarEnd, tracker: RealtimePlaybackTracker) -> Carrier:
    if far_end.webhook is None:
        return TransportCarrier(chosen.transport, far_end.place, chosen.options, tracker, fast=chosen.fast)
    try:
        from jackfield_local.demo.phone_carrier import PhoneCarrier
    except ImportError as error:
        raise DemoError(
            f"a phone call needs extras ({error}): pip install 'jackfield[sip]' 'jackfield-local[sip]'"
        ) from error
    (there,) = await asyncio.to_thread(_speak, [DESK_LINE], DESK_VOICE, chosen.out / "desk")
    return PhoneCarrier(far_end.place, far_end.webhook, there)


class _Caller:
    """The caller, going through his lines."""

    def __init__(
        self,
        stage: FastStage | RealtimeStage,
        record: Record,
        speaker: Speaker,
        microphone: CallerMicrophone,
        chosen: Performance,
    ) -> None:
        self._stage = stage
        self._record = record
        self._speaker = speaker
        self._microphone = microphone
        self._chosen = chosen
        self._waits_for = ""

    async def say_all(self, lines: Sequence[tuple[Line, bytes]]) -> None:
        """Say the lines, each at its time, and hear the last answer out."""
        for line, pcm in lines:
            async with self._limited(line.text):
                await self._cue(line)
                await self._say(line, pcm)
        async with self._limited("the last answer"):
            await self._hear_out()
            if lines[-1][0].put_through_to is not None:
                await self._until(lambda: self._record.is_put_through, "the call to be transferred")
                await self._hear_out()
            await self._stage.run(_TAIL_MS)

    async def _cue(self, line: Line) -> None:
        if line.cuts_in_after_ms is None:
            await self._hear_out()
            await self._stage.run(line.pause_ms)
            return
        while self._record.answer_played_ms < line.cuts_in_after_ms:
            if self._record.answered and self._speaker.silent:
                return  # the answer was too short to cut in; the report will tell
            self._waits_for = "an answer that is long enough to be interrupted"
            await self._stage.run(FRAME_MS)

    async def _hear_out(self) -> None:
        await self._until(lambda: self._record.answered, "the agent's answer")
        while not self._speaker.silent:
            await self._stage.run(FRAME_MS)

    async def _say(self, line: Line, pcm: bytes) -> None:
        self._record.caller_begins(cuts_in=line.cuts_in_after_ms is not None)
        begins_ms = self._stage.now_ms
        self._microphone.say(pcm)
        length_ms = self._microphone.remaining_ms
        await self._stage.run(_ONSET_MS)
        await self._until(lambda: self._record.speaking or self._microphone.remaining_ms == 0, "the caller to be heard")
        await self._stage.run(self._microphone.remaining_ms)
        self._record.caller_ended(begins_ms + length_ms)
        if self._chosen.fast:
            await self._stage.run(_QUIET_MS)
            await self._until(lambda: self._record.answered, "the agent's answer")

    async def _until(self, condition: Callable[[], bool], what: str) -> None:
        self._waits_for = what
        await self._stage.until(condition)

    @contextlib.asynccontextmanager
    async def _limited(self, text: str) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._chosen.turn_seconds):
                yield
        except TimeoutError as error:
            raise DemoError(
                f'"{text}" took longer than {self._chosen.turn_seconds:g} s; it was waiting for {self._waits_for}'
            ) from error


async def _beside(over: Coroutine[Any, Any, None], work: Coroutine[Any, Any, None]) -> None:
    """Do `work`, and end it where the conversation is `over` before."""
    working, ending = asyncio.ensure_future(work), asyncio.ensure_future(over)
    try:
        await asyncio.wait({working, ending}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            await ending
            raise DemoError("the far end closed the connection in the middle of the conversation")
        await working
    finally:
        for task in (working, ending):
            task.cancel()
        await asyncio.gather(working, ending, return_exceptions=True)


@contextlib.asynccontextmanager
async def _place(chosen: Performance) -> AsyncIterator[_FarEnd]:
    called = is_called(chosen.transport)
    if called and (chosen.fast or chosen.options or not _is_local(chosen)):
        raise DemoError(
            f"with the {chosen.transport} transport the local server is called, in realtime: "
            "leave out --fast, --option, --url and --api-key"
        )
    if not _is_local(chosen):
        connect = {"url": chosen.url, "api_key": chosen.api_key}
        yield _FarEnd(Place(name=chosen.url or "the transport's own address", connect=connect))
        return
    api_key = f"local-{secrets.token_hex(12)}"
    with webhook_address() if called else contextlib.nullcontext() as webhook:
        pace = 0.0 if chosen.fast else _PACE
        async with (
            run_server(api_key=api_key, pace=pace, webhook=webhook) as server,
            local_place(chosen.transport, server, api_key) as place,
        ):
            yield _FarEnd(place, server, webhook)


def _is_local(chosen: Performance) -> bool:
    return chosen.url is None and chosen.api_key is None


def _require_speech(*, local: bool) -> None:
    needed = {"espeakng_loader": "speaking"} | ({"pocketsphinx": "hearing"} if local else {})
    missing = [what for module, what in needed.items() if find_spec(module) is None]
    if missing:
        raise DemoError(
            f"the demo is spoken, and what it needs for {' and '.join(missing)} is not installed: "
            "pip install 'jackfield-local[speech]'"
        )


def _speak(texts: Sequence[str], voice: str, directory: Path) -> list[bytes]:
    from jackfield_local.speech import speak_to_pcm

    def speak(text: str, voice: str) -> bytes:
        return speak_to_pcm(text, voice=voice)

    directory.mkdir(parents=True, exist_ok=True)
    return [spoken_line(text, voice, speak, directory / f"line-{number}.wav") for number, text in enumerate(texts, 1)]
