"""What the tests share: models whose far end is the test, sessions of the SDK with the local server, and a witness."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest
from agents.realtime import (
    OpenAIRealtimeWebSocketModel,
    RealtimeAgent,
    RealtimeModel,
    RealtimeModelConfig,
    RealtimeModelEvent,
    RealtimeModelListener,
    RealtimeRunConfig,
    RealtimeRunner,
    RealtimeSession,
    RealtimeSessionEvent,
)

from jackfield.testing import Emission, ScriptedTransport
from jackfield_local import Connection, LocalServer, Reply, ResponseContext
from jackfield_openai_agents import TransportModel

PATIENCE = 30.0
"""Seconds after which a test that waits has failed. Nothing is measured by it."""


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away the variables that transports read."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
async def nothing_is_left() -> AsyncIterator[None]:
    """Whatever a test does, no task of a model's outlives it."""
    yield
    left = [task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert [name for name in left if "model events" in name] == []


class Witness(RealtimeModelListener):
    """A listener that keeps what it was told."""

    def __init__(self) -> None:
        self.events: list[RealtimeModelEvent] = []
        self._news = asyncio.Event()

    async def on_event(self, event: RealtimeModelEvent) -> None:
        self.events.append(event)
        self._news.set()

    async def until(self, wanted: str | Callable[[Any], bool], count: int = 1) -> Any:
        """Return the `count`-th event of that type, or of which that is true, once it was told."""

        def matches(event: Any) -> bool:
            return event.type == wanted if isinstance(wanted, str) else wanted(event)

        async with asyncio.timeout(PATIENCE):
            while True:
                found = [event for event in self.events if matches(event)]
                if len(found) >= count:
                    return found[count - 1]
                self._news.clear()
                await self._news.wait()

    def of(self, *kinds: str) -> list[Any]:
        return [event for event in self.events if event.type in kinds]


class Line:
    """A connected model, its far end, and what was told of it."""

    def __init__(self, far_end: ScriptedTransport, model: TransportModel, told: Witness) -> None:
        self.far_end = far_end
        self.model = model
        self.told = told
        self._numbers = itertools.count(1)
        self._looked = 0

    async def emit(self, *emissions: Emission) -> list[Any]:
        """Let the far end say something, and return all that was told since the last look, that included."""
        self.far_end.emit(*emissions)
        return await self.settled()

    async def settled(self) -> list[Any]:
        """Return what was told since the last look, once everything so far was told."""
        mark = f"mark.{next(self._numbers)}"
        self.far_end.emit({"type": mark})
        await self.told.until(lambda event: event.type == "raw_server_event" and event.data["type"] == mark)
        told, self._looked = self.told.events[self._looked :], len(self.told.events)
        return [event for event in told if event.type != "raw_server_event" or event.data["type"] != mark]

    def calls(self, *methods: str) -> list[dict[str, Any]]:
        """Return the arguments of the transport's calls of these methods."""
        return [dict(call.arguments) for call in self.far_end.calls if call.method in methods]


Connect = Callable[..., Awaitable[Line]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Connect a model to a far end of the test's: `connect(far_end, options_of_the_model, **model_config)`."""
    async with contextlib.AsyncExitStack() as stack:

        async def make(
            far_end: ScriptedTransport | None = None, options: dict[str, Any] | None = None, **config: Any
        ) -> Line:
            far_end = far_end or ScriptedTransport(strict=False)
            model, told = TransportModel(far_end, **(options or {})), Witness()
            model.add_listener(told)
            stack.push_async_callback(model.close)
            given: RealtimeModelConfig = config  # type: ignore[assignment]
            await model.connect(given)
            line = Line(far_end, model, told)
            await line.settled()
            return line

        yield make


@pytest.fixture
def witness() -> Callable[[], Witness]:
    return Witness


class Scene:
    """A session of the SDK's, with the local server at its other end."""

    def __init__(self, session: RealtimeSession, server: LocalServer) -> None:
        self.session = session
        self.server = server
        self.events: list[RealtimeSessionEvent] = []

    @property
    def connection(self) -> Connection:
        """The server's record of it."""
        return self.server.connections[-1]

    @property
    def plays(self) -> bool:
        """Whether it is on this side that audio is queued, and cut."""
        model = self.session.model
        return not isinstance(model, TransportModel) or model.transport.capabilities.playback == "client"

    async def until(self, *kinds: str) -> list[Any]:
        """Return the session's events from now on, up to where there was one of each of these kinds."""
        told: list[Any] = []
        missing = list(kinds)
        async with asyncio.timeout(PATIENCE):
            async for event in self.session:
                self.events.append(event)
                told.append(event)
                if event.type == "error":
                    raise AssertionError(f"an error was told: {event.error}")
                if event.type in missing:
                    missing.remove(event.type)
                if not missing:
                    return told
        raise AssertionError(f"the session ended without {missing}: {[event.type for event in told]}")

    def sent(self, *kinds: str) -> list[dict[str, Any]]:
        """Return what the server received, in order, of these types."""
        return [event for event in self.connection.received if event["type"] in kinds]


class _Answers:
    """A responder of one function."""

    def __init__(self, reply: Callable[[ResponseContext], Reply], phrases: Sequence[str]) -> None:
        self._reply = reply
        self._phrases = phrases

    def phrases(self, context: ResponseContext) -> Sequence[str]:
        return self._phrases

    async def respond(self, context: ResponseContext) -> Reply:
        return self._reply(context)


@pytest.fixture(params=["the SDK's own", "websocket", "webrtc"])
async def stage(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[..., Awaitable[Scene]]]:
    """Run an agent by the SDK's own runner: on its own model, and over two transports. One argument differs."""
    async with contextlib.AsyncExitStack() as stack:

        async def make(
            agent: RealtimeAgent[Any],
            reply: Callable[[ResponseContext], Reply],
            *,
            config: RealtimeRunConfig | None = None,
            model_config: RealtimeModelConfig | None = None,
            phrases: Sequence[str] = (),
            pace: float = 0,
        ) -> Scene:
            responder = _Answers(reply, phrases)
            server = LocalServer(responder=responder, recognizer=None, synthesizer=None, pace=pace)
            await stack.enter_async_context(server)
            monkeypatch.setenv("OPENAI_BASE_URL", server.http_url)
            monkeypatch.setenv("OPENAI_API_KEY", "sk-local")
            if request.param == "the SDK's own":  # which reads no address from the environment
                model: RealtimeModel = OpenAIRealtimeWebSocketModel()
                model_config = {"url": f"{server.url}?model=gpt-realtime-2.1", **(model_config or {})}
            else:
                model = TransportModel(request.param)
            runner = RealtimeRunner(agent, model=model, config=config)
            session = await stack.enter_async_context(await runner.run(model_config=model_config))
            return Scene(session, server)

        yield make
