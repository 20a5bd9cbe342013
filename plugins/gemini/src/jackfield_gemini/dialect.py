"""The Gemini Live dialect, sans-I/O: what one session knows, and what follows from what it hears and is asked.

It is a `jackfield.wire.RejoiningDialect`: a session may outlive its sockets. What the provider says is in `inbound`;
here is what the application asks. The parts keep what they are named after: `settings`, `responses`, `speech`,
`calls`, `requests`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from attrs import evolve

from jackfield.audio import PlaybackLedger, RealtimePlaybackTracker
from jackfield.transport import (
    ConfigurationError,
    RealtimeItem,
    TransportError,
    TransportEvent,
    UnsupportedByTransportError,
    UserMessage,
)
from jackfield.transport.events import Error, FunctionCall, ItemUpdate, McpApprovalRequest
from jackfield.transport.items import UserMessageItem
from jackfield.wire import decode_json, encode_json

from .calls import Calls, dropped_answer
from .closing import close_error, resumable
from .content import UserContent, image_part, user_content
from .inbound import Inbound
from .items import Conversation
from .requests import REQUESTED_SECONDS, TURN_SECONDS, Requests, lost_response
from .responses import Responses
from .session_setup import Settings
from .sound import InputAudio
from .speech import UserSpeech

__all__ = ["ClientMessage", "GeminiDialect"]

ClientMessage = dict[str, Any]

_SILENT_SECONDS: Final = 60.0
"""How long an active response may be silent, beside what is still to be played of it, before it is given up."""
_CLIENT_MESSAGES: Final = ("setup", "clientContent", "realtimeInput", "toolResponse", "contextUpdate")


class GeminiDialect:
    """One session's protocol state. `clock` returns seconds that never go back."""

    def __init__(
        self,
        *,
        settings: Settings,
        clock: Callable[[], float],
        playback_tracker: RealtimePlaybackTracker | None = None,
        secrets: Iterable[str] = (),
        id_prefix: str | None = None,
    ) -> None:
        self.settings = settings
        """How the session is configured now."""
        self._clock = clock
        self._secrets = tuple(secrets)
        self._ledger = PlaybackLedger(clock, playback_tracker)
        self._conversation = Conversation(id_prefix)
        self._responses = Responses(self._conversation, self._ledger, clock)
        self._calls = Calls()
        self._requests = Requests()
        self._speech = UserSpeech(self._conversation)
        self._audio = InputAudio(self.settings.input_format)
        self._activity = False
        """By hand: whether the user's turn has begun."""
        self._reactions: list[ClientMessage] = []
        self._due: list[TransportEvent] = []
        self._due_at = 0.0
        self._heard_at = clock()
        self._inbound = Inbound(
            self._responses,
            self._speech,
            self._calls,
            self._requests,
            self._conversation,
            sent_ms=lambda: self._audio.sent_ms,
            clock=clock,
        )

    # Frames

    decode = staticmethod(decode_json)
    encode = staticmethod(encode_json)

    # What arrives

    def receive(self, message: Mapping[str, Any]) -> Iterable[TransportEvent]:
        """Take a server message and return the common events that it amounts to; see `inbound`."""
        self._heard_at = self._clock()
        events: Iterable[TransportEvent] = self._inbound.take(message, self.settings)
        if self._inbound.reactions:
            self._reactions += self._inbound.reactions
            self._inbound.reactions = []
        if self._due:
            events = [*self._take_due(), *events]
        self._ask_at_last()
        return events

    def data_to_send(self) -> list[ClientMessage]:
        """Return, once, the messages that received ones have called for."""
        reactions, self._reactions = self._reactions, []
        return reactions

    def closed(self, code: int | None, reason: str) -> TransportError | None:
        """Return the error that the far end's close amounts to; None where it ended the conversation normally."""
        return close_error(
            code,
            reason,
            opening=not self.acknowledged,
            leaving=self._inbound.leaving,
            secrets=self._secrets,
        )

    # Opening, and opening again

    def open(self, config: Mapping[str, Any] | None, *, given: bool = False) -> list[ClientMessage]:
        """Return the setup. The config is in `settings` already: it was checked before anything was dialled."""
        return [self._setup()]

    @property
    def acknowledged(self) -> bool:
        """Whether the far end accepted the setup."""
        return self._inbound.acknowledged

    @property
    def refusal(self) -> TransportError | None:
        """None: the provider refuses by closing."""
        return None

    @property
    def handle(self) -> str | None:
        """The handle with which this session can be taken up, also by another connection; None where there is none."""
        return self._inbound.handle

    @property
    def leaves(self) -> bool:
        """Whether now is the time to dial anew: the far end is going away, and nothing is under way."""
        if not self._inbound.leaving or not self._inbound.resumable or self._activity:
            return False
        return self._responses.active is None and self._requests.asked is None and not self._calls.waiting

    def reopening(self, code: int | None) -> bytes | None:
        """Return the frame that takes the session up on a new socket, after a close with `code`.

        None where that can't be done.
        """
        inbound = self._inbound
        if inbound.handle is None or not resumable(code, leaving=inbound.leaving):
            return None
        return self.encode(self._setup(inbound.handle))

    def parted(self) -> None:
        """Note that the socket is lost, and another one is dialled: what is asked from now on goes to that."""
        self._requests.doubtful = self._requests.asked is not None

    def rejoined(self, secrets: Iterable[str]) -> None:
        """Note that the session goes on, on another socket; what the model was doing meanwhile is lost."""
        self._secrets = tuple(secrets)
        self._inbound.rejoined()
        lost: list[TransportEvent] = [
            ItemUpdate(item=evolve(item, status="incomplete")) for item in self._calls.end_all()
        ]
        lost += self._speech.settle()
        if self._responses.active is not None:
            lost += self._responses.end("incomplete", "lost")
        if self._requests.doubtful:
            if self._requests.asked == "request":
                lost.append(Error(lost_response("while the connection was lost")))
            self._requests.taken_back()
        self._audio = InputAudio(self.settings.input_format)
        self._activity = False
        if self._requests.waits:
            self._reactions.append(self._request_now())
        self._tell_soon(lost)

    def _setup(self, handle: str | None = None) -> ClientMessage:
        setup = dict(self.settings.setup)
        if handle is not None:
            setup["sessionResumption"] = {**setup.get("sessionResumption", {}), "handle": handle}
        return {"setup": setup}

    # What is asked

    def event(self, event: Mapping[str, Any]) -> list[ClientMessage]:
        """Return one of the provider's own client messages. What it asks for is known to have been asked for."""
        kind = next((kind for kind in _CLIENT_MESSAGES if kind in event), None)
        if kind is None or len(event) != 1:
            known = ", ".join(map(repr, event)) or "nothing"
            raise ConfigurationError(
                f"a client message of Gemini's is one of {', '.join(_CLIENT_MESSAGES)} and nothing beside it; this "
                f"one has {known}"
            )
        if kind == "setup":
            raise ConfigurationError("a session has one setup, and it is sent by connect(): see update_session_config")
        inner = event[kind]
        if kind == "clientContent" and isinstance(inner, Mapping):
            self._interrupts(asks=inner.get("turnComplete") is True)
        if kind == "realtimeInput" and isinstance(inner, Mapping) and _ends_a_turn(inner):
            self._requests.sent("turn", self._clock())
        return [dict(event)]

    def message(self, message: UserMessage, *, trigger_response: bool) -> list[ClientMessage]:
        """Return what the user wrote or showed. The provider interrupts what it is saying."""
        return self._content(user_content(message), trigger_response)

    def image(self, image: str, *, detail: str | None, trigger_response: bool) -> list[ClientMessage]:
        """Return an image as a message of the user."""
        sent, kept = image_part(image, detail)
        return self._content(UserContent((sent,), (kept,)), trigger_response)

    def audio(self, chunk: bytes) -> tuple[bytes, ...]:
        """Return audio as frames; by hand, behind the start of a turn."""
        frames = self._audio.frames(chunk)
        self._speech.unclaimed = True
        if not frames or not self.settings.manual or self._activity:
            return frames
        self._activity = True
        return (self.encode({"realtimeInput": {"activityStart": {}}}), *frames)

    def commit_audio(self) -> list[ClientMessage]:
        """Return the end of the user's turn, which the provider answers by itself."""
        rest = [decode_json(frame) for frame in self._audio.end()]
        messages: list[ClientMessage] = []
        if not self.settings.manual:
            messages = [*rest, {"realtimeInput": {"audioStreamEnd": True}}]
        elif self._activity or rest:
            begun: list[ClientMessage] = [] if self._activity else [{"realtimeInput": {"activityStart": {}}}]
            messages = [*begun, *rest, {"realtimeInput": {"activityEnd": {}}}]
        self._activity = False
        if messages and self._speech.unclaimed:
            self._tell_soon(self._speech.ended())
            seconds = REQUESTED_SECONDS if self.settings.manual else TURN_SECONDS
            self._requests.sent("turn", self._clock(), seconds)
        return messages

    def clear_audio(self) -> list[ClientMessage]:
        """Refuse: audio is heard as it comes."""
        raise UnsupportedByTransportError("Gemini hears audio as it comes: it can't be cleared any more")

    def request_response(self, response: Mapping[str, Any] | None = None) -> list[ClientMessage]:
        """Return the request for a response, if there is something to ask for and nothing to wait for."""
        if response is not None:
            raise UnsupportedByTransportError("Gemini takes no settings for one response")
        requests, active = self._requests, self._responses.active
        if self._calls.waiting:  # the model goes on when its calls are answered
            return self._answers()
        if requests.take_cover(self._clock()):
            return []
        if requests.asked is not None and not requests.silenced:
            requests.waits = requests.asked == "turn"  # it follows if nothing comes of that
            return []
        if active is not None and not active.silenced:
            requests.waits = True
            return []
        return [self._request_now()]

    def session_update(self, config: Mapping[str, Any]) -> list[ClientMessage]:
        """Return what changes: instructions and tools. What can't change in mid-session, and would, is refused."""
        changed = self.settings.changed(config)
        before, after = self.settings.setup, changed.setup
        differ = {key for key in {*before, *after} if before.get(key) != after.get(key)}
        fixed = sorted(differ - {"systemInstruction", "tools"})
        if fixed or changed.input_format != self.settings.input_format:
            raise ConfigurationError(
                f"Gemini settles {', '.join(fixed) or 'the audio format'} when a session begins: only instructions and "
                "tools can change in mid-session. Connect anew for the rest."
            )
        self.settings = changed
        update: ClientMessage = {}
        if "systemInstruction" in differ:
            update["systemInstruction"] = after.get("systemInstruction", {"parts": [{"text": ""}]})
        if "tools" in differ:
            update["tools"] = {"tools": after.get("tools", [])}
        return [{"contextUpdate": update}] if update else []

    def interrupt(self, response_id: str | None = None) -> tuple[list[ClientMessage], list[TransportEvent]]:
        """Return what was cut. Nothing is sent: the provider can't be told to stop."""
        active = self._responses.active
        told: list[TransportEvent] = []
        if response_id is None and active is None and self._requests.asked is not None:
            self._requests.silenced = True
        told += self._responses.interrupt(response_id)
        if active is not None and response_id in (None, active.response_id):
            told += self._responses.silence()
        return [], told

    def reset_history(self, old: Sequence[RealtimeItem], new: Sequence[RealtimeItem]) -> list[ClientMessage]:
        """Refuse: what was said, was said."""
        raise UnsupportedByTransportError("Gemini's conversation can't be edited")

    def function_call_output(
        self, call: FunctionCall, output: str, *, start_response: bool
    ) -> tuple[list[ClientMessage], list[TransportEvent]]:
        """Return the answers to a message's calls once the last one is there; until then this one is kept."""
        if not isinstance(output, str):
            raise ConfigurationError(
                f"a function call's output is a str, not {type(output).__name__}: encode it as JSON"
            )
        state = self._calls.state(call.call_id)
        if state is None:
            raise ConfigurationError(f"the model made no call {call.call_id!r}, so that it can't be answered")
        if state in ("cancelled", "lost"):
            if not start_response:
                self._requests.cover(self._clock())
            return [], [Error(dropped_answer(call, state))]
        if state == "answered":
            raise ConfigurationError(f"the call {call.call_id!r} was answered before: Gemini takes one answer to each")
        item = evolve(self._calls.item(call.call_id), output=output, status="completed")
        told: list[TransportEvent] = [ItemUpdate(item=item)]
        if not self._calls.keep(call.call_id, output) and not start_response:
            return [], told
        answers = self._answers()
        if not start_response:
            self._requests.cover(self._clock())
        return answers, told

    def mcp_response(self, request: McpApprovalRequest, approved: bool, reason: str | None) -> list[ClientMessage]:
        """Refuse: the provider runs no MCP servers."""
        raise UnsupportedByTransportError("Gemini runs no MCP servers that would ask for approval")

    # Time and playback

    @property
    def deadline(self) -> float | None:
        """When, by the clock, `expire` wants to be called."""
        times = [self._requests.deadline, self._given_up_at(), self._due_at if self._due else None]
        return min((time for time in times if time is not None), default=None)

    def expire(self) -> list[TransportEvent]:
        """Tell what was sent, and give up what the far end never answered."""
        told, now = self._take_due(), self._clock()
        asked_until, spoken_until = self._requests.deadline, self._given_up_at()
        if asked_until is not None and now >= asked_until:
            if self._requests.asked == "request":
                told.append(Error(lost_response("and never came")))
            self._requests.taken_back()
        if spoken_until is not None and now >= spoken_until:
            told.append(Error(lost_response("began, and went silent")))
            told += self._responses.end("incomplete", "lost")
        self._ask_at_last()
        return told

    @property
    def ledger(self) -> PlaybackLedger:
        """How far each content part has come."""
        return self._ledger

    @property
    def unknown(self) -> Mapping[str, int]:
        """How often each top-level member came that the dialect doesn't know."""
        return self._inbound.unknown

    def _given_up_at(self) -> float | None:
        active = self._responses.active
        if active is None:
            return None
        to_play = active.audio_ms / 1000 if active.generated else 0.0  # its end comes once the provider thinks it heard
        return math.ceil(self._heard_at + to_play + _SILENT_SECONDS)  # or the timer were set anew with every message

    def _content(self, content: UserContent, trigger_response: bool) -> list[ClientMessage]:
        self._interrupts(asks=trigger_response)
        item = UserMessageItem(
            item_id=self._conversation.new_id("item"), content=content.item_parts, status="completed"
        )
        self._tell_soon([*self._speech.settle_answered(), self._conversation.added(item)])
        return [{"clientContent": {"turns": [content.turn()], "turnComplete": trigger_response}}]

    def _interrupts(self, *, asks: bool) -> None:
        """Note that content goes out: it interrupts what is said, and what was asked for before."""
        self._inbound.interrupted_by_us = self._responses.active is not None or self._calls.waiting
        if asks:
            self._requests.sent("request", self._clock())
        else:
            self._requests.taken_back()
            self._requests.covered_at = None

    def _ask_at_last(self) -> None:
        """Send the request that waits, if there is nothing to wait for any more."""
        if not self._requests.waits or self._responses.active is not None:
            return
        if self._requests.asked is None and not self._calls.waiting:
            self._reactions.append(self._request_now())

    def _request_now(self) -> ClientMessage:
        self._inbound.interrupted_by_us = self._responses.active is not None
        self._requests.sent("request", self._clock())
        return {"clientContent": {"turnComplete": True}}

    def _answers(self) -> list[ClientMessage]:
        responses = self._calls.flush()
        if not responses:
            return []
        self._requests.sent("request", self._clock())
        return [{"toolResponse": {"functionResponses": responses}}]

    def _tell_soon(self, events: Iterable[TransportEvent]) -> None:
        """Have events told that no message of the far end's brings: once what was asked is written."""
        self._due += events
        self._due_at = self._clock()

    def _take_due(self) -> list[TransportEvent]:
        due, self._due = self._due, []
        return due


def _ends_a_turn(told: Mapping[str, Any]) -> bool:
    return "text" in told or "activityEnd" in told or told.get("audioStreamEnd") is True
