"""One Realtime session without I/O: client frames in, server events and effects out.

The engine knows the protocol and the state of the session. It does not recognise, think, speak, wait or send: those
are effects, for `jackfield_local.session` to run. It has no idea through which door its client came.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec
import pybase64

from jackfield_local.engine.codec import decode_all
from jackfield_local.engine.config import new_session, update_session
from jackfield_local.engine.conversation import Conversation, Item, Recording
from jackfield_local.engine.errors import ApiError, invalid_type, invalid_value, missing_parameter, unknown_item
from jackfield_local.engine.hosted import HostedServers
from jackfield_local.engine.ids import IdSource
from jackfield_local.engine.mcp_calls import McpCalls
from jackfield_local.engine.mcp_tools import complete_tools
from jackfield_local.engine.media import PCM, media_of
from jackfield_local.engine.outbox import CallTool, Effect, Hangup, Outbox, Prepare, Recognize, WatchIdle
from jackfield_local.engine.playback import Playback
from jackfield_local.engine.response import Response, Status
from jackfield_local.engine.responses import Responses
from jackfield_local.engine.shapes import CLIENT_EVENTS
from jackfield_local.engine.turns import Turns
from jackfield_local.interfaces import Call, HostedTool, ResponseContext

__all__ = ["Engine"]

_EXPIRED: Final = "Your session hit the maximum duration of {} minutes."
_DEEPEST: Final = 64
_ACCEPTED_TYPES: Final = (
    "session.update",
    "session.close",
    "input_audio_buffer.append",
    "session.input_audio_buffer.append",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
    "conversation.item.create",
    "conversation.item.truncate",
    "conversation.item.delete",
    "conversation.item.retrieve",
    "response.create",
    "response.cancel",
)
"""What the API lists when it is sent an unknown type; two of them are for translation sessions only."""


class Engine:
    """A session of type `kind` ("realtime" or "transcription") for `model`.

    `config` is a `session` that the connection starts with (of a client secret, for example), `session_seconds` how
    long it may last. `mcp_follow_up` says who asks for the answer once hosted tools were called: the client, or the
    server of its own accord. `playback` says who plays the audio and so knows what was heard of it: the client, which
    gets it as events, or the server, from where a media clock takes it by `next_audio`. `media` is how audio comes and
    goes on a media path, "audio/pcmu" or "audio/pcma" where G.711 was agreed on, which is then the session's format
    whatever it says; None is PCM16 mono at 24,000 Hz. `clock` returns seconds that only go forward.
    """

    def __init__(
        self,
        *,
        kind: str = "realtime",
        model: str = "gpt-realtime",
        config: Mapping[str, Any] | None = None,
        session_seconds: float = 3600,
        mcp_follow_up: Literal["server", "client"] = "client",
        playback: Literal["client", "server"] = "client",
        media: str | None = None,
        ids: IdSource | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outbox = Outbox(ids or IdSource())
        self._clock = clock
        self._session_seconds = session_seconds
        self._follows_up = mcp_follow_up == "server"
        self._follow_up_due = False
        self.session = new_session(
            kind,
            session_id=self._outbox.ids.new("sess"),
            model=model,
            expires_at=int(time.time() + session_seconds),
        )
        self._media = media_of(media)
        self._fix_formats()
        if config is not None:
            self._update(config)
        self._conversation = Conversation(self._outbox.ids.new("conv"))
        self._servers = HostedServers(self._outbox, self._conversation)
        self._playback = (
            Playback(self._outbox.emit, self._conversation, self._await_user, self._media)
            if playback == "server"
            else None
        )
        self._responses = Responses(
            self._outbox, self._conversation, self._servers, self._make_item, self._response_ended, self._playback
        )
        self._calls = McpCalls(self._outbox, self._conversation, self._servers, self._follow_up)
        self._turns = Turns(
            self.session, self._outbox, self._conversation, self._responses, self._answer_turn, self._media
        )
        self._speaking_since: dict[str, float] = {}
        self._handlers: dict[str, Callable[[dict[str, Any]], None]] = {
            "session.update": self._session_update,
            "input_audio_buffer.append": lambda event: self._turns.append(event["audio"]),
            "input_audio_buffer.commit": lambda _event: self._turns.commit(),
            "input_audio_buffer.clear": lambda _event: self._turns.clear(),
            "conversation.item.create": self._item_create,
            "conversation.item.truncate": self._item_truncate,
            "conversation.item.delete": self._item_delete,
            "conversation.item.retrieve": self._item_retrieve,
            "response.create": self._response_create,
            "response.cancel": lambda event: self._responses.cancel(event.get("response_id")),
        }
        if self._playback is not None:
            self._handlers["output_audio_buffer.clear"] = self._output_clear
        self._outbox.emit("session.created", session=self.session)
        if config is not None:
            self._configured(config)

    def take_events(self) -> list[dict[str, Any]]:
        """Return the server events to send since the last call, in order."""
        return self._outbox.take_events()

    def take_effects(self) -> list[Effect]:
        """Return what is to be done since the last call, in order."""
        return self._outbox.take_effects()

    @property
    def has_effects(self) -> bool:
        """Whether `take_effects` would return something."""
        return self._outbox.has_effects

    def receive(self, frame: str | bytes) -> dict[str, Any] | None:
        """Take a text frame (`str`) or a binary one (`bytes`). Return its JSON where it is an object."""
        if isinstance(frame, bytes):
            message = "Expected a text WebSocket message; binary frames are not supported."
            self._refuse(ApiError(message, code="invalid_event"))
            return None
        try:
            event = msgspec.json.decode(frame)
        except (msgspec.DecodeError, RecursionError, ValueError) as error:
            message = f"Invalid event: failed to parse JSON value. {error}"
            self._refuse(ApiError(message, code="invalid_json"))
            return None
        if not isinstance(event, dict):
            message = "Invalid event: expected a JSON object."
            self._refuse(ApiError(message, code="invalid_event"))
            return None
        self.receive_event(event)
        return event

    def receive_event(self, event: dict[str, Any]) -> None:
        """Take a client event; what is wrong with it becomes an `error` event."""
        try:
            self._handle(event)
        except ApiError as error:
            event_id = event.get("event_id")
            self._refuse(error, event_id if isinstance(event_id, str) else None)

    def greeting(self) -> dict[str, Any]:
        """Return the `session.created` for a client that joins a session under way."""
        return self._outbox.make("session.created", session=self.session)

    def hear(self, audio: bytes) -> None:
        """Take what the user says from a media path, in real time and with its silence."""
        self._turns.hear(audio)

    def press(self, key: str) -> None:
        """Take a key that the user pressed: 0-9, *, # or A-D."""
        self._outbox.emit_bare("input_audio_buffer.dtmf_event_received", event=key, received_at=int(time.time()))

    def next_audio(self) -> bytes | None:
        """Return what the user is to hear in the next 20 ms: a frame of the media path's, or None for silence.

        Where the server plays, the media clock calls this every 20 ms. Events that it brings about come before the
        audio that it returns.
        """
        return None if self._playback is None else self._playback.take()

    def far_ahead(self, response: Response) -> bool:
        """Whether a response is so far ahead of its playback by the server that its producer should wait."""
        return self._playback is not None and self._playback.full(response)

    def recognized(self, item_id: str, text: str) -> None:
        """Tell what was said in the audio of a `Recognize`."""
        self._turns.recognized(item_id, text)

    def recognition_failed(self, item_id: str, message: str) -> None:
        """Tell that the audio of a `Recognize` could not be recognised."""
        self._turns.recognition_failed(item_id, message)

    def listed(self, item_id: str, tools: Sequence[HostedTool] | None) -> None:
        """Tell which tools the server of a `ListTools` has, None where it can't be found out."""
        self._servers.listed(item_id, tools)
        self._outbox.effect(Prepare())

    def call(self, response: Response, call: Call) -> CallTool | None:
        """Write a call into a response. Return what the response has to wait for, where a hosted tool is to be run.

        Raises `OutputLimitReached`.
        """
        return self._calls.call(response, call)

    def called(self, item_id: str, *, output: str | None = None, error: dict[str, Any] | None = None) -> None:
        """Tell what came of a `CallTool`: its output, or the `error` of an `mcp_call` item."""
        self._calls.called(item_id, output=output, error=error)

    def idle_elapsed(self) -> None:
        """Tell that the time of a `WatchIdle` is over."""
        self._turns.idle_elapsed()

    def expire(self) -> None:
        """End the session because it has lasted long enough."""
        message = _EXPIRED.format(f"{self._session_seconds / 60:g}")
        self._refuse(ApiError(message, code="session_expired"))
        self._outbox.effect(Hangup(1001, message))

    def audible(self, response: Response) -> None:
        """Tell that a response's first audio is about to be written: the client begins to play it."""
        self._speaking_since.setdefault(response.id, self._clock())

    def finish(
        self, response: Response, status: Status, *, reason: str | None = None, error: dict[str, Any] | None = None
    ) -> None:
        """End a response that a `Respond` began; nothing happens where it was cancelled in the meantime."""
        self._responses.finish(response, status, reason=reason, error=error)

    def context(self, response: Response | None = None) -> ResponseContext:
        """Return what a responder may look at: for `response`, or for the conversation as it stands."""
        settings: Mapping[str, Any] = self.session if response is None else response.settings
        own = None if response is None else response.context
        return ResponseContext(
            instructions=settings.get("instructions", ""),
            tools=self._servers.offered(settings.get("tools", [])),
            tool_choice=settings.get("tool_choice", "auto"),
            items=[item.to_context() for item in (self._conversation if own is None else own)],
            metadata=settings.get("metadata") or {},
        )

    def _handle(self, event: dict[str, Any]) -> None:
        if "type" not in event:
            raise missing_parameter("type")
        kind = event["type"]
        if not isinstance(kind, str):
            raise invalid_type("type", "a string", kind)
        handler = self._handlers.get(kind)
        if handler is None:
            raise invalid_value(kind, "type", _ACCEPTED_TYPES)
        if kind != "input_audio_buffer.append" and _deeper_than(_DEEPEST, event):
            message = f"Invalid event: objects and arrays are nested more than {_DEEPEST} levels deep."
            raise ApiError(message, code="invalid_event")
        CLIENT_EVENTS[kind](event, "")
        handler(event)

    def _refuse(self, error: ApiError, client_event_id: str | None = None) -> None:
        self._outbox.emit("error", error=error.to_wire(client_event_id))

    def _session_update(self, event: dict[str, Any]) -> None:
        change = event["session"]
        self._update(change, has_spoken=self._has_spoken(), known=self._servers.known)
        self._turns.configure(self.session)
        self._outbox.emit("session.updated", session=self.session)
        self._configured(change)

    def _update(self, change: Mapping[str, Any], **state: Any) -> None:
        self.session = update_session(self.session, change, **state)
        self._fix_formats()

    def _fix_formats(self) -> None:
        """Go by what was agreed on for the media path: who asks for another format is not refused, and not heeded."""
        if self._media is not PCM:
            for side in self.session["audio"].values():
                side["format"] = dict(self._media.wire_format)

    def _configured(self, change: Mapping[str, Any]) -> None:
        if "tools" in change:
            self._servers.use(complete_tools(change["tools"], self._servers.known, "session.tools"))
        self._outbox.effect(Prepare())

    def _has_spoken(self) -> bool:
        active = self._responses.default
        return self._responses.has_spoken or (active is not None and active.audio_ms > 0)

    def _item_create(self, event: dict[str, Any]) -> None:
        wire = event["item"]
        if wire["type"] == "mcp_approval_response":
            self._calls.check_approval(wire)
        item = self._make_item(wire)
        previous = self._conversation.insert(item, event.get("previous_item_id"))
        self._outbox.emit("conversation.item.added", previous_item_id=previous, item=item.to_wire())
        self._outbox.emit("conversation.item.done", previous_item_id=previous, item=item.to_wire())
        if wire["type"] == "mcp_approval_response":
            self._calls.decide(wire)

    def _make_item(self, wire: dict[str, Any]) -> Item:
        item = Item({**wire, "id": wire.get("id") or self._outbox.ids.new("item"), "status": "completed"})
        item.wire.pop("object", None)
        if wire["type"].startswith("mcp_"):
            del item.wire["status"]
        if wire["type"] == "function_call" and not wire.get("call_id"):
            item.wire["call_id"] = self._outbox.ids.new("call")
        if wire["type"] == "message":
            item.wire["content"] = [dict(part) for part in wire["content"]]
            for index, part in enumerate(item.wire["content"]):
                if part["type"] == "input_audio":
                    self._keep_audio(item, index, part)
                elif part["type"] == "input_image" and part.get("detail") in (None, "auto"):
                    part["detail"] = "high"
        return item

    def _keep_audio(self, item: Item, index: int, part: dict[str, Any]) -> None:
        wire_format = self.session["audio"]["input"]["format"]
        try:
            data = pybase64.b64decode(part.pop("audio"), validate=True)
        except ValueError as error:
            path = f"item.content[{index}].audio"
            message = f"Invalid '{path}'. Expected base64-encoded audio bytes."
            raise ApiError(message, code="invalid_value", param=path) from error
        item.recordings[index] = Recording(wire_format, data)
        part.setdefault("transcript", None)
        if part["transcript"] is None:
            self._outbox.effect(Recognize(item.id, decode_all(wire_format, data)))

    def _item_retrieve(self, event: dict[str, Any]) -> None:
        item = self._conversation.get(event["item_id"])
        if item is None:
            raise unknown_item("retrieving", "retrieve", event["item_id"])
        self._outbox.emit("conversation.item.retrieved", item=item.to_wire_with_audio())

    def _item_delete(self, event: dict[str, Any]) -> None:
        self._conversation.delete(event["item_id"])
        self._outbox.emit("conversation.item.deleted", item_id=event["item_id"])

    def _item_truncate(self, event: dict[str, Any]) -> None:
        item = self._conversation.get(event["item_id"])
        if item is None:
            raise unknown_item("truncating", "truncate", event["item_id"])
        item.truncate(event["content_index"], event["audio_end_ms"])
        self._outbox.emit(
            "conversation.item.truncated",
            item_id=item.id,
            content_index=event["content_index"],
            audio_end_ms=event["audio_end_ms"],
        )

    def _response_create(self, event: dict[str, Any]) -> None:
        if self.session["type"] != "realtime":
            message = "A transcription session has no responses. Use a session of type 'realtime' for them."
            raise ApiError(message, code="invalid_value", param="type")
        change = event.get("response")
        self._responses.create(self.session, change)
        if change is None or change.get("conversation", "auto") == "auto":
            self._follow_up_due = False
            self._outbox.effect(WatchIdle(None))

    def _response_ended(self, response: Response) -> None:
        since = self._speaking_since.pop(response.id, None)
        if self._playback is not None:
            self._playback.response_done(response)
            if response.default:
                self._await_user()
        elif response.default:
            played = 0.0 if since is None else self._clock() - since
            self._turns.response_done(max(0.0, response.audio_ms / 1000 - played))
        self._calls.response_ended(response)
        if response.status == "cancelled":
            # Whoever interrupts says what comes next, and that is told what the calls have said.
            self._follow_up_due = False
        self._answer_calls()

    def _output_clear(self, _event: dict[str, Any]) -> None:
        assert self._playback is not None
        self._playback.clear(out_of_band=True)

    def _await_user(self) -> None:
        """Where the server plays: wait for the user once nothing is said, and nothing left to be heard."""
        if self._playback is not None and self._playback.idle and self._responses.default is None:
            self._turns.response_done(0.0)

    def _answer_turn(self) -> None:
        if self.session["type"] != "realtime":
            return
        try:
            self._responses.create(self.session, None)
        except ApiError as error:
            self._refuse(error)
        else:
            self._follow_up_due = False

    def _follow_up(self) -> None:
        self._follow_up_due = self._follows_up
        self._answer_calls()

    def _answer_calls(self) -> None:
        """Answer what hosted tools have said, once nobody speaks; a turn of the user's is answered in any case."""
        if self._follow_up_due and self._responses.default is None and not self._turns.speaking:
            self._answer_turn()
            self._outbox.effect(WatchIdle(None))


def _deeper_than(levels: int, value: Any) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return False
    return levels == 0 or any(_deeper_than(levels - 1, element) for element in value)
