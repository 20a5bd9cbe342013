"""`RealtimeSession`: one conversation with an agent over one connection.

It joins the parts (conversation, history, tools, guardrails, stream) and has their life: it is used once, owns its
connection, its tasks and its history, and nothing of them outlives it.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self

from jackfield.agent import RealtimeAgent
from jackfield.audio.tracker import RealtimePlaybackTracker
from jackfield.budget import Budget
from jackfield.errors import JackfieldError, NotConnectedError, SessionStateError, ToolError
from jackfield.hooks import RealtimeRunHooks
from jackfield.observers import SessionObserver, watch
from jackfield.run_context import RunContextWrapper
from jackfield.task_scope import TaskScope
from jackfield.transport import events as ev
from jackfield.transport.items import RealtimeItem
from jackfield.transport.layer import Listener, RealtimeTransportLayer, UserMessage
from jackfield.transport.options import ApiKey, BargeIn, ConnectOptions, Ready
from jackfield.transport.registry import create_transport

from . import events as se
from .agents import Agents
from .approvals import Decision
from .assembly import Parts, assemble
from .checks import check_arguments, check_transport_fits
from .edits import Edits, items_of
from .farewell import say_farewell
from .history import History
from .hold_back import ReleaseTracker
from .metrics import SessionMetrics
from .run_settings import RunSettings
from .settings import ModelSettings
from .shared import Shared
from .state import SessionState, find_agent, seed_items
from .stream import SessionStream

__all__ = ["RealtimeSession"]

logger = logging.getLogger("jackfield.session")


class RealtimeSession:
    """A conversation with `agent`.

    `transport` is a transport's name, or a transport. `model`, `api_key`, `url`, `headers`, `call_id`,
    `playback_tracker`, `timeout` (s), `ready` and `barge_in` are those of `ConnectOptions`. `config` is a run's
    configuration (`jackfield.config.RealtimeRunConfig`), `initial_model_settings` wins over its `model_settings`.
    `context` is the application's own and is handed to tools, instructions, guardrails and hooks. `state` takes up a
    conversation that was left (`SessionState`). `hooks` are those of the run. `observers` watch the session: by default
    those that are installed.

    Use it as an async context manager, iterate over it for events, and make a new one for the next conversation::

        async with RealtimeSession(agent, transport="websocket", model="gpt-realtime") as session:
            await session.send_message("Hello")
            async for event in session: ...

    Raises `ConfigurationError` for whatever is wrong with its arguments, before anything is sent.
    """

    def __init__(
        self,
        agent: RealtimeAgent[Any],
        *,
        transport: str | RealtimeTransportLayer = "websocket",
        model: str | None = None,
        config: Mapping[str, Any] | None = None,
        context: Any = None,
        api_key: ApiKey | None = None,
        url: str | None = None,
        headers: Mapping[str, str] | None = None,
        call_id: str | None = None,
        initial_model_settings: Mapping[str, Any] | None = None,
        playback_tracker: RealtimePlaybackTracker | None = None,
        timeout: float = 15.0,
        ready: Ready = "updated",
        barge_in: BargeIn = "auto",
        state: SessionState | Mapping[str, Any] | None = None,
        hooks: RealtimeRunHooks[Any] | None = None,
        observers: Iterable[SessionObserver] | None = None,
    ) -> None:
        dialling = {"api_key": api_key, "url": url, "headers": headers, "call_id": call_id}
        check_arguments(agent, transport, model, hooks, {**dialling, "playback_tracker": playback_tracker})
        self._run = RunSettings.of(config)
        self._settings = ModelSettings.of((config or {}).get("model_settings"), initial_model_settings)
        self._resumed = state if state is None or isinstance(state, SessionState) else SessionState.from_dict(state)
        self._agent = agent if self._resumed is None else find_agent(agent, self._resumed.agent)
        if self._agent is not agent:
            self._settings = self._settings.of_another_agent()
        self._transport = create_transport(transport) if isinstance(transport, str) else transport
        check_transport_fits(self._transport, self._run, self._resumed)
        if self._run.hold_back_ms is not None and playback_tracker is None:
            playback_tracker = ReleaseTracker()
        self._options = ConnectOptions(
            api_key=api_key,
            model=model or self._settings.model,
            url=url,
            headers=headers,
            call_id=call_id,
            playback_tracker=playback_tracker,
            timeout=timeout,
            ready=ready,
            barge_in=barge_in,
        )
        self._observers = observers
        self._state: Literal["new", "open", "closed"] = "new"
        self._connects = False
        self._cleanup: asyncio.Task[None] | None = None
        self._history = History(self._transport.playback)
        self._edits = Edits()
        self._context: RunContextWrapper[Any] = RunContextWrapper(context, items=self._history.items)
        self._seeds = [] if self._resumed is None else self._take_up(self._resumed)
        info = se.RealtimeEventInfo(self._context)
        self._shared = Shared(
            secrets.token_hex(6),
            self._transport,
            self._context,
            info,
            self._run,
            TaskScope(),
            SessionStream(info, self._history.items),
            self._fail,
        )
        self._agents = Agents(self._shared, self._settings, self._edits)
        self._parts: Parts = assemble(
            self._shared,
            self._history,
            self._edits,
            self._agents,
            run_hooks=hooks,
            tracker=playback_tracker,
            finish=self._finish_politely,
        )

    @property
    def id(self) -> str:
        """A name for this session, in logs and traces. It is ours: the provider has another."""
        return self._shared.session_id

    @property
    def transport(self) -> RealtimeTransportLayer:
        """The transport: for raw events (`on("*", ...)`, `send_event`) and whatever the session doesn't wrap."""
        return self._transport

    @property
    def status(self) -> ev.ConnectionStatus:
        """The connection's status."""
        return "disconnected" if self._shared.gone else self._transport.status

    @property
    def current_agent(self) -> RealtimeAgent[Any]:
        """The agent that has the conversation now."""
        return self._agents.current().agent if self._agents.started else self._agent

    @property
    def history(self) -> list[RealtimeItem]:
        """The conversation so far, in order. A new list, yours."""
        return self._history.items()

    @property
    def context(self) -> RunContextWrapper[Any]:
        """The run's context, as tools see it."""
        return self._context

    @property
    def usage(self) -> ev.Usage:
        """The tokens used so far."""
        return self._context.usage

    @property
    def metrics(self) -> SessionMetrics:
        """The milestones of the latest turns, and counts."""
        return self._parts.metrics.session

    @property
    def mcp_tools(self) -> tuple[Mapping[str, Any], ...]:
        """The hosted MCP tools that the current agent may use, each with its `server_label`."""
        return self._parts.hosted.tools if self._agents.started else ()

    @property
    def muted(self) -> bool | None:
        """Whether the user's audio is muted; None where the transport doesn't mute."""
        return self._transport.muted

    @property
    def dropped(self) -> int:
        """How many bulky events (audio, words, raw) were dropped from the stream because nobody read them in time.

        Listeners (`on`) had them nevertheless. `events_dropped` tells it as well.
        """
        return self._shared.stream.dropped

    # Life

    async def enter(self) -> Self:
        """Connect. The same as entering the context manager."""
        if self._state != "new":
            raise SessionStateError("a session is used once: make a new RealtimeSession for the next conversation")
        self._state = "open"
        connected = False
        try:
            with self._shared.stream.watching():
                watch(self, self._observers)
            config = await self._agents.start(self._agent, joins_call=self._options.call_id is not None)
            if self._state != "open":
                raise SessionStateError("close() was called while the session was entered")
            for kind, handler in self._parts.conversation.handlers().items():
                self._transport.on(kind, handler)
            self._transport.on("connection_change", self._on_connection_change)
            self._shared.stream.tell_history()
            self._connects = True
            await self._transport.connect(self._options, initial_session_config=config)
            connected = True
            if self._seeds:
                await self._transport.reset_history([], self._seeds)
            if self._parts.budget is not None:
                self._parts.budget.start()
        except BaseException:
            # A connect that fails leaves nothing behind. What the transport holds then is not this session's to close.
            self._connects = connected
            self._stop_listening()
            await self._finish()
            raise
        return self

    async def close(self) -> None:
        """End the conversation. Bounded, idempotent, and safe to call from a tool.

        What arrives from now on is ignored; what was told before can still be read. Where the transport fails to close,
        every caller gets its error, and calling again tries again.
        """
        failed = (
            self._cleanup is not None
            and self._cleanup.done()
            and (self._cleanup.cancelled() or self._cleanup.exception() is not None)
        )
        if self._cleanup is None or failed:
            self._stop_listening()
            self._cleanup = asyncio.get_running_loop().create_task(self._finish())
        # Shielded: that one caller gives up doesn't stop the cleaning up.
        await asyncio.shield(self._cleanup)

    def _stop_listening(self) -> None:
        """Take no more of the conversation. How the connection ends is still told."""
        self._state = "closed"
        self._shared.scope.close()
        if self._parts.hold_back is not None:
            self._parts.hold_back.close()  # before its judges are cancelled: that must not let anything go
        self._hear_no_more()

    def _hear_no_more(self) -> None:
        for kind, handler in self._parts.conversation.handlers().items():
            self._transport.off(kind, handler)

    async def _finish(self) -> None:
        try:
            await self._shared.scope.aclose()
            self._parts.close()
            self._shared.let_go_of_threads()
            self._history.freeze()
            if self._connects and (not self._shared.gone or self._transport.status == "disconnected"):
                await self._transport.close()  # else it carries another session by now
        finally:
            self._transport.off("connection_change", self._on_connection_change)
            self._shared.stream.end()

    async def __aenter__(self) -> Self:
        return await self.enter()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    # What the user says and does

    async def send_message(self, message: UserMessage, *, trigger_response: bool = True) -> None:
        """Send what the user wrote or showed; see `RealtimeTransportLayer.send_message`."""
        await self._open().send_message(message, trigger_response=trigger_response)

    async def add_image(self, image: str, *, detail: str | None = None, trigger_response: bool = True) -> None:
        """Send an image (data URI or URL) as a message of the user."""
        await self._open().add_image(image, detail=detail, trigger_response=trigger_response)

    async def send_audio(self, audio: bytes, *, commit: bool = False) -> None:
        """Send what the user says, in the session's input format (PCM16 mono 24,000 Hz unless configured otherwise)."""
        await self._open().send_audio(audio, commit=commit)

    async def request_response(self, response: Mapping[str, Any] | None = None) -> None:
        """Ask the agent to speak, as soon as it doesn't; `response` are settings for that response only."""
        await self._open().request_response(response)

    async def interrupt(self) -> None:
        """Stop the agent: what it generates, and what isn't played yet."""
        await self._open().interrupt()

    async def mute(self, muted: bool) -> None:
        """Mute or unmute the user's audio, where the transport can."""
        await self._open().mute(muted)

    async def update_agent(self, agent: RealtimeAgent[Any]) -> None:
        """Let another agent take over from now on. Where it isn't valid nothing changes and nothing is sent."""
        self._open()
        await self._agents.take_over(agent)

    async def update_history(
        self, history: Sequence[RealtimeItem] | Callable[[list[RealtimeItem]], Sequence[RealtimeItem]]
    ) -> None:
        """Edit the model's conversation: give the new list, or a function from the old one to it.

        Items that are left out are deleted; new and changed ones are created in their places. `session.history` follows
        as the far end confirms it. Raises `ConfigurationError` for what the API can't create, before anything is sent.
        """
        self._open()
        old = self._agents.history()
        new = items_of(history(list(old)) if callable(history) else history, "the new history")
        await self._agents.edit(old, new)

    async def approve_tool_call(self, call_id: str, *, always: bool = False) -> None:
        """Let a call run that waits for approval (`tool_approval_required`); `always`: the agent's tool from now on.

        Does nothing where it was decided already, or the session is closed. Raises `ConfigurationError` for a call that
        never waited.
        """
        self._decide(call_id, Decision(approved=True), always)

    async def reject_tool_call(
        self, call_id: str, *, always: bool = False, rejection_message: str | None = None
    ) -> None:
        """Keep a call from running; the model is told `rejection_message`, or else the usual words.

        See `approve_tool_call`.
        """
        self._decide(call_id, Decision(approved=False, message=rejection_message), always)

    def state(self) -> SessionState:
        """Return the conversation as it stands, to be taken up later or elsewhere: `RealtimeSession(state=)`."""
        return SessionState(agent=self.current_agent.name, history=tuple(self.history), usage=self.usage)

    # What the session tells

    def on(self, type: str, listener: Listener) -> Listener:  # noqa: A002
        """Call `listener` for each session event of `type`. It can be used beside iterating."""
        return self._shared.stream.emitter.on(type, listener)

    def once(self, type: str, listener: Listener) -> Listener:  # noqa: A002
        """Call `listener` for the next session event of `type`."""
        return self._shared.stream.emitter.once(type, listener)

    def off(self, type: str, listener: Listener) -> None:  # noqa: A002
        """Take `listener` away."""
        self._shared.stream.emitter.off(type, listener)

    def __aiter__(self) -> AsyncIterator[se.RealtimeSessionEvent]:
        return aiter(self._shared.stream)

    # Inside

    def _take_up(self, state: SessionState) -> list[RealtimeItem]:
        """Take up what the model can be told of a conversation that was left; return that, as it is told."""
        seeds = seed_items(state.history)
        told = {seed.item_id for seed in seeds}
        for item in state.history:
            if item.item_id in told:
                self._history.update(item)
        self._context.usage = state.usage
        return seeds

    def _on_connection_change(self, event: ev.ConnectionChange) -> None:
        if self._shared.gone:
            self._history.freeze()  # the transport begins another connection, and that is not ours
            return
        if event.status == "disconnected":
            self._parts.close()
        self._shared.stream.tell(event)
        if event.status == "disconnected":
            # What was told before is still read; then iterating ends, or raises what ended the conversation.
            self._shared.stream.end(event.error)
            # From now on the transport may carry another session, of which this one is to have no part.
            self._shared.gone = True
            self._hear_no_more()

    def _decide(self, call_id: str, decision: Decision, always: bool) -> None:
        if self._state == "new":
            self._open()
        if self._state == "open":
            self._parts.approvals.decide(call_id, decision, always=always)

    def _fail(self, error: Exception) -> None:
        """End the session because of an error that the application wants raised."""
        if isinstance(error, JackfieldError):
            told = error
        else:
            told = ToolError(f"a tool raised {type(error).__name__}: {error}")
            told.__cause__ = error
        self._shared.tell_error(told)
        self._shared.stream.end(error)
        if self._state == "open":
            self._stop_listening()
            self._cleanup = asyncio.get_running_loop().create_task(self._finish())

    async def _finish_politely(self, budget: Budget) -> None:
        self._shared.ending = True
        await say_farewell(self, budget)
        await self.close()

    def _open(self) -> RealtimeTransportLayer:
        if self._state == "open":
            if not self._connects:
                raise SessionStateError("the session is being entered: wait until that is done")
            if self._shared.gone or self._transport.status == "disconnected":
                raise NotConnectedError("the session's connection is over: make a new RealtimeSession to go on")
            return self._transport
        advice = "enter it first (async with session)" if self._state == "new" else "make a new one"
        raise SessionStateError(f"the session is {self._state}: {advice}")
