"""One connected session: an engine, and the tasks that recognise, think, call, speak, wait and send for it.

All of them live in one task group: when `run` returns, none is left. Sockets are on the other side of a `Channel`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any, Protocol, TypeVar

from attrs import field, frozen

from jackfield_local.delivery import Pace, pieces, sentences, words
from jackfield_local.engine.engine import Engine
from jackfield_local.engine.outbox import (
    CallTool,
    Effect,
    Halt,
    Hangup,
    ListTools,
    Prepare,
    Recognize,
    Respond,
    WatchIdle,
)
from jackfield_local.engine.response import OutputLimitReached, Response
from jackfield_local.interfaces import Call, PreparingRecognizer, Recognizer, Responder, Synthesizer
from jackfield_local.mcp_host import McpHost

__all__ = ["Channel", "Services", "Session"]

logger = logging.getLogger(__name__)
_T = TypeVar("_T")

_OUTBOX_FRAMES = 64
"""Events that may wait for a slow client before the session stops producing more."""


class Channel(Protocol):
    """The way to one client, whatever door it came through."""

    async def receive(self) -> str | bytes | None:
        """Return the next frame of the client: text, binary, or None once there will be no more."""
        ...

    def heard(self, event: dict[str, Any]) -> None:
        """Take note of a client event."""
        ...

    async def send(self, event: dict[str, Any]) -> None:
        """Send an event. Raises `ConnectionError` where the client is gone."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """End the connection with a WebSocket close code and a reason."""
        ...


@frozen
class Services:
    """What sessions share: the parts that hear, think and speak, the threads these may block, and the pace of audio.

    `pace` is in multiples of realtime; 0 is as fast as possible. `mcp` reaches the hosted MCP servers.
    """

    responder: Responder
    recognizer: Recognizer
    synthesizer: Synthesizer
    executor: Executor
    pace: float
    mcp: McpHost = field(factory=lambda: McpHost({}))


class _Over(Exception):  # noqa: N818 - ends the task group, and is no error
    """The session is over."""


class Session:
    """Runs `engine` for the client at the other end of `channel`, for at most `seconds`."""

    def __init__(self, engine: Engine, channel: Channel, services: Services, *, seconds: float) -> None:
        self._engine = engine
        self._channel = channel
        self._services = services
        self._seconds = seconds
        self._frames: deque[dict[str, Any] | Hangup] = deque()
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._group = asyncio.TaskGroup()
        self._responding: dict[str, asyncio.Task[None]] = {}
        self._hearing: set[asyncio.Task[None]] = set()
        self._listing: set[asyncio.Task[None]] = set()
        self._preparing: asyncio.Task[None] | None = None
        self._prepared: Sequence[str] = ()
        self._idle: asyncio.Task[None] | None = None
        self._played = asyncio.Event()
        self._media_effects = asyncio.Event()

    async def run(self) -> None:
        """Hold the session until either side ends it."""
        try:
            async with self._group:
                self._group.create_task(self._write())
                self._group.create_task(self._expire())
                self._group.create_task(self._read())
                self._group.create_task(self._serve_media())
                self._settle()
        except* (_Over, ConnectionError):
            pass

    def hear(self, audio: bytes) -> None:
        """Take what the user says from the media path of a call; nothing comes of it once the session is over."""
        self._engine.hear(audio)
        self._settle_media()

    def press(self, key: str) -> None:
        """Take a key that the user presses."""
        self._engine.press(key)
        self._settle_media()

    def next_audio(self) -> bytes | None:
        """Return what the user is to hear in the next 20 ms: see `Engine.next_audio`."""
        audio = self._engine.next_audio()
        self._settle_media()
        self._played.set()
        return audio

    async def _read(self) -> None:
        while True:
            await self._room.wait()
            frame = await self._channel.receive()
            if frame is None:
                raise _Over
            event = self._engine.receive(frame)
            if event is not None:
                self._channel.heard(event)
            self._settle()

    async def _write(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._frames:
                frame = self._frames.popleft()
                if isinstance(frame, Hangup):
                    await self._channel.close(frame.code, frame.reason)
                    raise _Over
                await self._channel.send(frame)
                if len(self._frames) < _OUTBOX_FRAMES:
                    self._room.set()

    async def _expire(self) -> None:
        await asyncio.sleep(self._seconds)
        self._engine.expire()
        self._settle()

    async def _serve_media(self) -> None:
        while True:
            await self._media_effects.wait()
            self._media_effects.clear()
            self._settle()

    def _settle(self) -> None:
        """Pass on what the engine wants sent, and begin what it wants done."""
        self._pass_on()
        for effect in self._engine.take_effects():
            self._begin(effect)
        self._pass_on()

    def _settle_media(self) -> None:
        """Do the same for the media path, which runs on when the session is about to end and no task may be begun."""
        self._pass_on()
        if self._engine.has_effects:
            self._media_effects.set()

    def _pass_on(self) -> None:
        self._frames.extend(self._engine.take_events())
        if self._frames:
            self._changed.set()
            if len(self._frames) >= _OUTBOX_FRAMES:
                self._room.clear()

    def _begin(self, effect: Effect) -> None:
        match effect:
            case Recognize():
                hearing = self._group.create_task(self._recognize(effect))
                self._hearing.add(hearing)
                hearing.add_done_callback(self._hearing.discard)
            case Prepare():
                recognizer = self._services.recognizer
                if isinstance(recognizer, PreparingRecognizer):
                    self._preparing = self._group.create_task(self._prepare(recognizer, self._preparing))
            case ListTools():
                listing = self._group.create_task(self._list_tools(effect))
                if effect.for_response:
                    self._listing.add(listing)
                    listing.add_done_callback(self._listing.discard)
            case CallTool():
                self._group.create_task(self._call_tool(effect))
            case Respond(response):
                # What was said before this response is part of what it answers.
                task = self._group.create_task(self._respond(response, frozenset(self._hearing)))
                self._responding[response.id] = task
                task.add_done_callback(lambda _task: self._responding.pop(response.id, None))
            case Halt(response_id):
                if response_id in self._responding:
                    self._responding[response_id].cancel()
            case WatchIdle(seconds):
                if self._idle is not None:
                    self._idle.cancel()
                self._idle = None if seconds is None else self._group.create_task(self._watch_idle(seconds))
            case Hangup():
                self._frames.append(effect)

    async def _watch_idle(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._idle = None
        self._engine.idle_elapsed()
        self._settle()

    async def _prepare(self, recognizer: PreparingRecognizer, earlier: asyncio.Task[None] | None) -> None:
        if earlier is not None:
            await asyncio.wait([earlier])
        try:
            phrases = self._services.responder.phrases(self._engine.context())
            if phrases != self._prepared:
                self._prepared = phrases
                await self._on_thread(partial(recognizer.prepare, phrases))
        except Exception:
            logger.exception("The recogniser failed to get ready")

    async def _recognize(self, effect: Recognize) -> None:
        recognizer = self._services.recognizer
        if self._preparing is not None:
            # It is quicker to wait for what is being done than to have it done a second time.
            await asyncio.wait([self._preparing])
        try:
            phrases = self._services.responder.phrases(self._engine.context())
            text = await self._on_thread(lambda: recognizer.transcribe(effect.pcm, phrases))
        except Exception:
            logger.exception("The recogniser failed")
            self._engine.recognition_failed(effect.item_id, "The audio could not be transcribed.")
        else:
            self._engine.recognized(effect.item_id, text)
        self._settle()

    async def _respond(self, response: Response, hearing: frozenset[asyncio.Task[None]]) -> None:
        if before := hearing | self._listing:
            await asyncio.wait(before)
        try:
            for part in await self._services.responder.respond(self._engine.context(response)):
                if isinstance(part, Call):
                    request = self._engine.call(response, part)
                    await self._sent()
                    if request is not None:
                        await self._call_tool(request)
                        await self._sent()
                else:
                    await self._say(response, part.text)
        except OutputLimitReached:
            self._engine.finish(response, "incomplete", reason="max_output_tokens")
        except Exception as error:
            logger.exception("A response failed")
            failure = {"type": "server_error", "code": "server_error", "message": f"The response failed: {error}"}
            self._engine.finish(response, "failed", error=failure)
        else:
            self._engine.finish(response, "completed")
        self._settle()

    async def _list_tools(self, request: ListTools) -> None:
        self._engine.listed(request.item_id, await self._services.mcp.list_tools(request.server))
        self._settle()

    async def _call_tool(self, request: CallTool) -> None:
        result = await self._services.mcp.call_tool(request.server, request.name, request.arguments)
        self._engine.called(request.item_id, output=result.output, error=result.error)
        self._settle()

    async def _say(self, response: Response, text: str) -> None:
        response.open_message()
        await self._sent()
        if not response.speaks:
            for word in words(text):
                response.write_text(word)
                await self._sent()
        else:
            await self._speak(response, text)
        response.close_message()
        await self._sent()

    async def _speak(self, response: Response, text: str) -> None:
        clock = asyncio.get_running_loop().time
        pace = Pace(self._services.pace)
        voice = _voice_name(response.settings["output"]["voice"])
        speed = response.settings["output"]["speed"]
        synthesize = self._services.synthesizer.synthesize
        for sentence in sentences(text):
            pcm = await self._on_thread(partial(synthesize, sentence, voice=voice, speed=speed))
            for piece in pieces(sentence, pcm, first=response.audio_ms == 0):
                if piece.text:
                    response.write_text(piece.text)
                if piece.pcm:
                    self._engine.audible(response)
                    response.write_audio(piece.pcm)
                await self._sent()
                while self._engine.far_ahead(response):
                    self._played.clear()
                    await self._played.wait()
                wait = pace.wait(clock(), piece.seconds)
                if wait > 0:
                    await asyncio.sleep(wait)

    async def _sent(self) -> None:
        """Pass on what was written, and let others have their turn; wait where the client is slow."""
        self._settle()
        await asyncio.sleep(0)
        await self._room.wait()

    async def _on_thread(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._services.executor, work)


def _voice_name(voice: Any) -> str:
    """Return the name of a voice; a custom one, which is an object, goes by its id."""
    return voice if isinstance(voice, str) else str(voice["id"])
