"""`RealtimeSession`: one conversation with an agent over one connection.

It turns the transport's common events into a conversation and never names a provider's event. It is used once: a
session owns its connection, its tasks and its history, and nothing of them outlives it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from types import TracebackType
from typing import Any, Literal, Self

from jackfield.agent import RealtimeAgent
from jackfield.audio.tracker import RealtimePlaybackTracker
from jackfield.errors import ConfigurationError, ListenerError, NotConnectedError, SessionStateError
from jackfield.run_context import RunContextWrapper
from jackfield.task_scope import TaskScope
from jackfield.transport import events as ev
from jackfield.transport.emitter import Emitter
from jackfield.transport.event_queue import EventQueue
from jackfield.transport.items import AssistantMessageItem, RealtimeItem
from jackfield.transport.layer import Listener, RealtimeTransportLayer, UserMessage
from jackfield.transport.options import ApiKey, ConnectOptions, Ready
from jackfield.transport.registry import create_transport

from . import events as se
from .history import History
from .settings import PreparedAgent, initial_config, model_name, model_settings, prepare_agent, takeover_config
from .tool_calls import ToolCalls

__all__ = ["RealtimeSession"]

logger = logging.getLogger("jackfield.session")

_RAW_OVERHEAD = 512
"""What an unread raw event is reckoned to hold beside its audio, in bytes."""


class RealtimeSession:
    """A conversation with `agent`.

    `transport` is a transport's name, or a transport. `model`, `api_key`, `url`, `headers`, `call_id`,
    `playback_tracker`, `timeout` (s) and `ready` are those of `ConnectOptions`. `config` is a run's configuration; its
    `model_settings` are the session's settings, flat or nested. `context` is the application's own and is handed to
    tools and instructions.

    Use it as an async context manager, iterate over it for events, and make a new one for the next conversation::

        async with RealtimeSession(agent, transport="websocket", model="gpt-realtime") as session:
            await session.send_message("Hello")
            async for event in session: ...
    """

    def __init__(
        self,
        agent: RealtimeAgent,
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
    ) -> None:
        if not isinstance(agent, RealtimeAgent):
            raise ConfigurationError(f"a session starts with a RealtimeAgent, not with {type(agent).__name__}")
        self._layers = (model_settings(config), dict(initial_model_settings or {}))
        self._options = ConnectOptions(
            api_key=api_key,
            model=model or model_name(*reversed(self._layers)),
            url=url,
            headers=headers,
            call_id=call_id,
            playback_tracker=playback_tracker,
            timeout=timeout,
            ready=ready,
        )
        self._agent = agent
        self._transport = create_transport(transport) if isinstance(transport, str) else transport
        self._context: RunContextWrapper[Any] = RunContextWrapper(context)
        self._info = se.RealtimeEventInfo(self._context)
        self._state: Literal["new", "open", "closed"] = "new"
        self._connects = False
        self._prepared: PreparedAgent | None = None
        self._takeover = asyncio.Lock()
        self._history = History()
        self._history_told = False
        self._speaking: str | None = None
        self._queue: EventQueue[Any] = EventQueue()
        self._drops_told = 0
        self._emitter = Emitter(self._listener_failed)
        self._scope = TaskScope()
        self._cleanup: asyncio.Task[None] | None = None
        self._handlers: dict[str, Callable[[Any], None]] = {
            "*": self._on_raw,
            "audio": self._on_audio,
            "audio_done": self._on_audio_done,
            "audio_interrupted": self._on_audio_interrupted,
            "audio_transcript_delta": self._on_transcript_delta,
            "output_text_delta": self._on_text_delta,
            "input_audio_transcription_delta": self._on_input_delta,
            "input_audio_transcription_completed": self._on_input_transcript,
            "item_update": self._on_item_update,
            "item_deleted": self._on_item_deleted,
            "turn_started": self._on_turn_started,
            "turn_done": self._on_turn_done,
            "function_call": self._on_function_call,
            "usage_update": self._on_usage,
            "error": self._on_error,
            "connection_change": self._on_connection_change,
            "speech_started": self._tell,
            "speech_stopped": self._tell,
            "input_audio_transcription_failed": self._tell,
            "input_audio_timeout_triggered": self._tell,
            "dtmf_received": self._tell,
            "rate_limits_updated": self._tell,
        }
        self._tool_calls = ToolCalls(
            self._transport,
            self._context,
            self._scope,
            tell=self._tell,
            current=self._current,
            hand_over=self._hand_over,
        )

    @property
    def transport(self) -> RealtimeTransportLayer:
        """The transport: for raw events (`on("*", ...)`, `send_event`) and whatever the session doesn't wrap."""
        return self._transport

    @property
    def status(self) -> ev.ConnectionStatus:
        """The connection's status."""
        return self._transport.status

    @property
    def current_agent(self) -> RealtimeAgent:
        """The agent that has the conversation now."""
        return self._prepared.agent if self._prepared is not None else self._agent

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
    def muted(self) -> bool | None:
        """Whether the user's audio is muted; None where the transport doesn't mute."""
        return self._transport.muted

    @property
    def dropped(self) -> int:
        """How many audio and raw events were dropped from the stream because nobody read them in time.

        Listeners (`on`) had them nevertheless. See `EventQueue`.
        """
        return self._queue.dropped

    # Life

    async def enter(self) -> Self:
        """Connect. The same as entering the context manager."""
        if self._state != "new":
            raise SessionStateError("a session is used once: make a new RealtimeSession for the next conversation")
        self._state = "open"
        try:
            self._prepared = await prepare_agent(self._agent, self._context)
            joins_call = self._options.call_id is not None
            config = initial_config(self._prepared, *self._layers, joins_call=joins_call)
            if self._state != "open":
                raise SessionStateError("close() was called while the session was entered")
            for kind, handler in self._handlers.items():
                self._transport.on(kind, handler)
            self._tell_history()
            self._connects = True
            await self._transport.connect(self._options, initial_session_config=config)
        except BaseException:
            # A connect that fails leaves nothing behind. What the transport holds is not this session's to close.
            self._connects = False
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
        for kind, handler in self._handlers.items():
            if kind != "connection_change":
                self._transport.off(kind, handler)

    async def _finish(self) -> None:
        try:
            await self._scope.aclose()
            self._tool_calls.close()
            if self._connects:
                await self._transport.close()
        finally:
            self._transport.off("connection_change", self._on_connection_change)
            self._queue.close()

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

    async def send_audio(self, audio: bytes, *, commit: bool = False) -> None:
        """Send what the user says, in the session's input format (PCM16 mono 24,000 Hz unless configured otherwise)."""
        await self._open().send_audio(audio, commit=commit)

    async def interrupt(self) -> None:
        """Stop the agent: what it generates, and what isn't played yet."""
        await self._open().interrupt()

    async def mute(self, muted: bool) -> None:
        """Mute or unmute the user's audio, where the transport can."""
        await self._open().mute(muted)

    async def update_agent(self, agent: RealtimeAgent) -> None:
        """Let another agent take over from now on. Where it isn't valid nothing changes and nothing is sent."""
        self._open()
        await self._take_over(agent)

    # What the session tells

    def on(self, type: str, listener: Listener) -> Listener:  # noqa: A002
        """Call `listener` for each session event of `type`. It can be used beside iterating."""
        return self._emitter.on(type, listener)

    def once(self, type: str, listener: Listener) -> Listener:  # noqa: A002
        """Call `listener` for the next session event of `type`."""
        return self._emitter.once(type, listener)

    def off(self, type: str, listener: Listener) -> None:  # noqa: A002
        """Take `listener` away."""
        self._emitter.off(type, listener)

    async def __aiter__(self) -> AsyncIterator[se.RealtimeSessionEvent]:
        async for event in self._queue:
            if event.type == "history_updated":
                self._history_told = False
            if self._drops_told != self._queue.dropped:
                self._drops_told = self._queue.dropped
                logger.warning("the stream is read too slowly: %d audio and raw events were dropped", self._drops_told)
            yield event

    def _tell(self, event: Any, size: int = 0) -> None:
        if self._emitter.listens(event.type):
            self._emitter.emit(event)
        self._queue.put(event, size)

    def _tell_history(self) -> None:
        updated = se.RealtimeHistoryUpdated(self._history.items, self._info)
        if self._emitter.listens("history_updated"):
            self._emitter.emit(updated)
        if not self._history_told:  # one in the stream stands for all, until it is read
            self._history_told = True
            self._queue.put(updated)

    def _listener_failed(self, failure: ListenerError) -> None:
        self._tell(se.RealtimeError(failure, self._info))

    # What the transport tells

    def _on_raw(self, message: Mapping[str, Any]) -> None:
        delta = message.get("delta")
        size = _RAW_OVERHEAD + (len(delta) if isinstance(delta, str) else 0)
        self._tell(se.RealtimeRawModelEvent(message, self._info), size)

    def _on_audio(self, event: ev.Audio) -> None:
        if self._speaking != event.response_id:
            self._speaking = event.response_id
            self._tell(se.RealtimeAudioStart(self._info, event.item_id, event.content_index, event.response_id))
        self._tell(se.RealtimeAudio(event, event.item_id, event.content_index, self._info), len(event.data))

    def _on_audio_done(self, event: ev.AudioDone) -> None:
        self._tell(se.RealtimeAudioEnd(self._info, event.item_id, event.content_index))

    def _on_audio_interrupted(self, event: ev.AudioInterrupted) -> None:
        self._queue.discard_bulky(
            lambda unread: (
                unread.type == "audio"
                and (unread.item_id, unread.content_index) == (event.item_id, event.content_index)
            )
        )
        self._tell(
            se.RealtimeAudioInterrupted(
                self._info, event.item_id, event.content_index, event.played_ms, event.response_id
            )
        )
        if self._history.interrupted(event.item_id, event.played_ms):
            self._tell_history()

    def _on_transcript_delta(self, event: ev.AudioTranscriptDelta) -> None:
        self._words(event, "audio")

    def _on_text_delta(self, event: ev.OutputTextDelta) -> None:
        self._words(event, "text")

    def _words(self, event: ev.AudioTranscriptDelta | ev.OutputTextDelta, source: Literal["audio", "text"]) -> None:
        self._history.add_words(
            event.item_id,
            event.content_index,
            event.delta,
            written=source == "text",
            response_id=event.response_id,
        )
        self._tell(
            se.RealtimeTranscriptDelta(
                "assistant",
                source,
                event.delta,
                event.item_id,
                event.content_index,
                self._info,
                event.response_id,
            )
        )

    def _on_input_delta(self, event: ev.InputAudioTranscriptionDelta) -> None:
        self._tell(
            se.RealtimeTranscriptDelta("user", "audio", event.delta, event.item_id, event.content_index, self._info)
        )

    def _on_input_transcript(self, event: ev.InputAudioTranscriptionCompleted) -> None:
        is_new = self._history.transcribed(event.item_id, event.content_index, event.transcript)
        self._tell(event)
        self._tell_item(event.item_id, is_new=is_new)

    def _on_item_update(self, event: ev.ItemUpdate) -> None:
        is_new = self._history.update(event.item, event.after)
        self._tell_item(event.item.item_id, is_new=is_new)

    def _tell_item(self, item_id: str, *, is_new: bool) -> None:
        item = self._history.get(item_id)
        if is_new and item is not None:
            self._tell(se.RealtimeHistoryAdded(item, self._info))
        self._tell_history()

    def _on_item_deleted(self, event: ev.ItemDeleted) -> None:
        if self._history.delete(event.item_id):
            self._tell_history()

    def _on_turn_started(self, event: ev.TurnStarted) -> None:
        agent = self._tool_calls.owner(event.response_id).agent
        self._tell(se.RealtimeAgentStartEvent(agent, self._info, event.response_id))

    def _on_turn_done(self, event: ev.TurnDone) -> None:
        agent = self._tool_calls.owner(event.response_id).agent
        self._speaking = None
        self._tell(
            se.RealtimeAgentEndEvent(agent, self._info, event.response_id, event.status, _last_text(event.output))
        )
        self._tool_calls.turn_done(event.response_id)

    def _on_function_call(self, event: ev.FunctionCall) -> None:
        self._tool_calls.call(event)

    def _on_usage(self, event: ev.UsageUpdate) -> None:
        self._context.usage = self._context.usage + event.usage
        self._tell(event)

    def _on_error(self, event: ev.Error) -> None:
        self._tell(se.RealtimeError(event.error, self._info))

    def _on_connection_change(self, event: ev.ConnectionChange) -> None:
        self._tell(event)
        if event.status == "disconnected":
            # What was told before is still read; then iterating ends, or raises what ended the conversation.
            self._queue.close(event.error)

    # Agents

    def _current(self) -> PreparedAgent:
        assert self._prepared is not None, "set before the transport tells anything"
        return self._prepared

    async def _hand_over(self, agent: RealtimeAgent) -> None:
        source = await self._take_over(agent)
        self._tell(se.RealtimeHandoffEvent(source, agent, self._info))

    async def _take_over(self, agent: RealtimeAgent) -> RealtimeAgent:
        """Let `agent` have the conversation; return who had it."""
        if not isinstance(agent, RealtimeAgent):
            raise ConfigurationError(f"a RealtimeAgent takes over, not {type(agent).__name__}")
        prepared = await prepare_agent(agent, self._context)
        async with self._takeover:
            source = self._current()
            await self._transport.update_session_config(takeover_config(prepared, source))
            self._prepared = prepared
        return source.agent

    def _open(self) -> RealtimeTransportLayer:
        if self._state == "open":
            if self._transport.status == "disconnected":
                raise NotConnectedError("the session's connection is over: make a new RealtimeSession to go on")
            return self._transport
        advice = "enter it first (async with session)" if self._state == "new" else "make a new one"
        raise SessionStateError(f"the session is {self._state}: {advice}")


def _last_text(output: tuple[RealtimeItem, ...]) -> str:
    for item in reversed(output):
        if isinstance(item, AssistantMessageItem) and item.text:
            return item.text
    return ""
