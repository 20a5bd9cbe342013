"""A telephone line in one process: the local server's SIP door, a `SipCallServer` that it tells of it, and a phone."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import httpx
import numpy as np
import uvicorn

from jackfield import RealtimeSession
from jackfield.testing.conformance import PATIENCE
from jackfield_local import Call, LocalServer, Reply, ResponseContext, Say
from jackfield_local.sip.caller import FRAME_BYTES, Phone
from jackfield_local.sip.caller import PhoneCall as CallersCall
from jackfield_transports.sip import PhoneCall, SipCallServer, Webhooks

from .phone_provider import SECRET

__all__ = ["Line", "Speaker", "Told", "phone_line"]

_GREETING = "Good morning."
_LONG = "This is a sentence that goes on and on, for as long as it takes until somebody has had enough of it."


class Desk:
    """A responder that greets, says what a tool returned, and calls a tool where the caller has said its name.

    `said` is what the caller says, in order; what is no tool's name is answered at length.
    """

    def __init__(self, said: Sequence[str]) -> None:
        self._said = said

    def phrases(self, context: ResponseContext) -> Sequence[str]:
        return self._said

    async def respond(self, context: ResponseContext) -> Reply:
        last: Mapping[str, Any] = context.items[-1] if context.items else {}
        if last.get("type") == "function_call_output":
            return [Say(last["output"])]
        if last.get("role") != "user":
            return [Say(_GREETING)]
        said = last["content"][0]["transcript"]
        known = [tool["name"] for tool in context.tools if tool["name"].replace("_", " ") == said.lower()]
        return [Call(known[0], {})] if known and context.tool_choice != "none" else [Say(_LONG)]


class Speaker:
    """Who speaks and listens on a phone (`jackfield_local.sip.caller.Voice`)."""

    def __init__(self) -> None:
        self.heard = 0
        """Frames in which there was something to be heard."""
        self._words = bytearray()
        self._silent = asyncio.Event()
        self._news = asyncio.Event()

    def speak(self) -> bytes | None:
        if not self._words:
            self._silent.set()
            return None
        frame = bytes(self._words[:FRAME_BYTES])
        del self._words[:FRAME_BYTES]
        return frame.ljust(FRAME_BYTES, b"\0")

    def hear(self, pcm: bytes) -> None:
        if np.abs(np.frombuffer(pcm, "<i2").astype(int)).max(initial=0) > 1000:
            self.heard += 1
            self._news.set()

    def begin(self, ms: int) -> None:
        """Begin to speak, for so long."""
        self._words += (np.sin(np.arange(ms * 8) * 2 * np.pi * 180 / 8000) * 9000).astype("<i2").tobytes()
        self._silent.clear()

    async def say(self, ms: int = 600) -> None:
        """Speak, and return when that was said."""
        self.begin(ms)
        async with asyncio.timeout(PATIENCE):
            await self._silent.wait()

    async def hears(self, *, more_than: int = 0) -> None:
        """Wait until there was something to be heard in more than so many frames."""
        async with asyncio.timeout(PATIENCE):
            while self.heard <= more_than:
                self._news.clear()
                await self._news.wait()


class Told:
    """What sessions were told, by their far end and by themselves, in order; and how calls ended."""

    def __init__(self) -> None:
        self.raw: list[Mapping[str, Any]] = []
        self.events: list[Any] = []
        self.sessions: list[RealtimeSession] = []
        self.ends: list[str] = []
        self._news = asyncio.Event()

    def watch(self, session: RealtimeSession) -> None:
        """Take note of what a session is told; an observer."""
        self.sessions.append(session)
        session.transport.on("*", lambda message: self._add(self.raw, message))
        for kind in ("tool_end", "dtmf_received", "speech_started", "audio_interrupted", "error"):
            session.on(kind, lambda event: self._add(self.events, event))

    def end(self, call: PhoneCall) -> None:
        """Take note of the end of a call."""
        assert call.end is not None
        self._add(self.ends, call.end.reason)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def message(self, kind: str, number: int = 1) -> Mapping[str, Any]:
        """Wait for the far end's event of that type and number."""
        await self.until(lambda: len(self._of(kind)) >= number)
        return self._of(kind)[number - 1]

    async def event(self, kind: str, number: int = 1) -> Any:
        """Wait for the session's event of that type and number."""
        await self.until(lambda: len(self.of(kind)) >= number)
        return self.of(kind)[number - 1]

    async def ended(self, number: int = 1) -> str:
        """Wait for the end of that many calls, and return how the last ended."""
        await self.until(lambda: len(self.ends) >= number)
        return self.ends[number - 1]

    def of(self, kind: str) -> list[Any]:
        """Return the session's events of a type."""
        return [event for event in self.events if event.type == kind]

    def _of(self, kind: str) -> list[Mapping[str, Any]]:
        return [message for message in self.raw if message["type"] == kind]

    def _add(self, to: list[Any], item: Any) -> None:
        to.append(item)
        self._news.set()


class Line:
    """Both ends of the line: the `server`, the application (`calls`, and `told`, what it knows), and the `phone`."""

    def __init__(self, server: LocalServer, calls: SipCallServer, told: Told, phone: Phone, webhook_url: str) -> None:
        self.server = server
        self.calls = calls
        self.told = told
        self.phone = phone
        self._webhook_url = webhook_url

    async def call(self, speaker: Speaker | None = None, **headers: str) -> CallersCall:
        """Call, and return once it was answered. Raises `CallFailedError`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        call = await self.phone.call(self.server.sip_uri, voice=speaker, headers=named)
        async with asyncio.timeout(PATIENCE):
            return await call.answered()

    async def greeted(self, speaker: Speaker | None = None) -> CallersCall:
        """Call, and return once the greeting was heard to its end."""
        call = await self.call(speaker)
        await self.told.message("output_audio_buffer.stopped")
        return call

    async def deliver(self, webhook: tuple[bytes, Mapping[str, str]]) -> httpx.Response:
        """Deliver a webhook, as anybody can."""
        body, headers = webhook
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as http:
            return await http.post(self._webhook_url, content=body, headers=headers)


@contextlib.asynccontextmanager
async def phone_line(
    agent: Any, *said: str, server_options: Mapping[str, Any] | None = None, follow_refer: bool = False, **options: Any
) -> AsyncIterator[Line]:
    """Have calls answered by `agent`, in which the caller says `said`; `options` are those of the `SipCallServer`."""
    told = Told()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        webhook = {"webhook_url": url, "webhook_secret": SECRET, **(server_options or {})}
        quiet: dict[str, Any] = {"responder": Desk(said), "recognizer": None, "synthesizer": None, "pace": 0}
        async with (
            LocalServer(sip=True, api_key="sk-1", **{**quiet, **webhook}) as server,
            SipCallServer(
                agent,
                webhooks=Webhooks(SECRET),
                api_key="sk-1",
                base_url=server.http_url,
                observers=(told.watch,),
                on_end=told.end,
                socket={"proxy": None},
                **{"drain_seconds": 0.0, "farewell": None, **options},
            ) as calls,
            _serving(calls, listener),
            Phone(follow_refer=follow_refer) as phone,
        ):
            yield Line(server, calls, told, phone, url)


@contextlib.asynccontextmanager
async def _serving(app: SipCallServer, listener: socket.socket) -> AsyncIterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await task
