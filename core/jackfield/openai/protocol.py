"""The OpenAI Realtime dialect, sans-I/O: what one connection knows, and what follows from what it hears and is asked.

`receive` takes a server event and returns common events; the methods named after the contract return client events to
write. It opens no socket, starts no task and reads no clock but the one handed in. It is a `jackfield.wire.Dialect`,
which `transport.OpenAIRealtimeTransport` joins with every wire.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import evolve

from jackfield.audio.formats import AudioFormat
from jackfield.audio.ledger import PlaybackLedger
from jackfield.audio.tracker import RealtimePlaybackTracker
from jackfield.bounded import count, remember
from jackfield.errors import (
    ConfigurationError,
    ResponseLostError,
    TransportError,
)
from jackfield.transport.capabilities import TransportCapabilities
from jackfield.transport.events import (
    Error,
    FunctionCall,
    ItemUpdate,
    McpApprovalRequest,
    TransportEvent,
    TurnDone,
)
from jackfield.transport.items import RealtimeItem, RealtimeToolCallItem, items_that_stay
from jackfield.transport.options import BargeIn

from .codec import audio_frame, decode, encode
from .error_table import close_error
from .inbound import HANDLERS
from .remote_audio import RemoteAudio
from .sequencer import ResponseSequencer, Watchdog
from .session_payload import response_payload, session_payload
from .state import ConnectionState, event_ids
from .wire_items import item_from_wire, item_to_wire, message_to_wire

__all__ = ["ClientEvent", "OpenAIRealtimeProtocol"]

ClientEvent = dict[str, Any]


class OpenAIRealtimeProtocol:
    """One connection's protocol state. `clock` returns seconds that never go back.

    With `negotiated_formats` the session's payload holds no audio formats: the media path settles them. With
    `audio_apart` the model's audio comes on a path of its own, and is told to `heard`.
    """

    def __init__(
        self,
        *,
        capabilities: TransportCapabilities,
        clock: Callable[[], float],
        playback_tracker: RealtimePlaybackTracker | None = None,
        barge_in: BargeIn = "auto",
        watchdog: Watchdog | None = None,
        negotiated_formats: bool = False,
        audio_apart: bool = False,
        secrets: Iterable[str] = (),
    ) -> None:
        new_event_id = event_ids()
        self._state = ConnectionState(
            capabilities=capabilities,
            clock=clock,
            barge_in=barge_in,
            sequencer=ResponseSequencer(new_event_id, watchdog),
            ledger=PlaybackLedger(clock, playback_tracker),
            tracker=playback_tracker,
            new_event_id=new_event_id,
            secrets=tuple(secrets),
        )
        self._formats = not negotiated_formats
        if audio_apart:
            self._state.remote = RemoteAudio(clock, self._state.ledger, self._state.spoken_parts)

    decode = staticmethod(decode)
    encode = staticmethod(encode)

    # What arrives

    def receive(self, message: Mapping[str, Any]) -> Iterable[TransportEvent]:
        """Take a server event, as `codec.decode` returns it, and return the common events that it amounts to.

        Nothing of `message` is kept or referred to by what is returned. What the dialect sends in reaction is in
        `data_to_send` afterwards.
        """
        handler = HANDLERS.get(message["type"])
        if handler is not None:
            return handler(self._state, message)
        # One server example carries a stray blank in a type.
        handler = HANDLERS.get(message["type"].strip())
        if handler is not None:
            return handler(self._state, message)
        count(self._state.unknown_types, message["type"])
        return ()

    def data_to_send(self) -> list[ClientEvent]:
        """Return, once, the client events that received ones have called for."""
        if not self._state.reactions:
            return []
        reactions, self._state.reactions = self._state.reactions, []
        return reactions

    def closed(self, code: int | None, reason: str) -> TransportError | None:
        """Return the error that the far end's close amounts to; None where it ended the conversation normally."""
        state = self._state
        return close_error(code, reason, state.failure, opening=not state.acknowledged, secrets=state.secrets)

    def heard(self, pcm: bytes, *, silent: bool) -> Iterable[TransportEvent]:
        """Take audio that came on a path of its own (PCM16 mono, 24,000 Hz), and return whose it is.

        `silent` says that there is nothing to hear in it: what is silent between the turns is nobody's.
        """
        return () if self._state.remote is None else self._state.remote.take(pcm, silent)

    def rejoined(self, secrets: Iterable[str]) -> None:
        """Note that the far end's session went on while nobody listened; what follows is in `data_to_send`.

        What was under way may be over: it is given up unless more is heard of it soon. An opening that was not
        acknowledged may be lost, and is said again. `secrets` are those that were used by now.
        """
        state = self._state
        state.secrets = tuple(secrets)
        if state.opening is not None and not state.acknowledged:
            state.reactions.append(state.opening)
        state.reactions += state.sequencer.rejoined(now=state.clock())

    # Opening

    def open(self, config: Mapping[str, Any] | None, *, given: bool = False) -> list[ClientEvent]:
        """Return what to write first, and await its acknowledgement.

        What the far end was `given` when it was dialled is in the session that it tells of.
        """
        if config is None:
            return []
        if given:
            self._note_input_format(config)
            return []
        self._state.opening = self.session_update(config)[0]
        return [self._state.opening]

    @property
    def acknowledged(self) -> bool:
        """Whether the far end accepted the initial config; without one, whether the session exists."""
        return self._state.acknowledged

    @property
    def refusal(self) -> TransportError | None:
        """Why the far end won't have the session, where it said so before it acknowledged it."""
        return self._state.refusal

    # What is asked

    def session_update(self, config: Mapping[str, Any]) -> list[ClientEvent]:
        """Return the update for the given keys (API event `session.update`)."""
        payload = session_payload(config, formats=self._formats)
        self._note_input_format(config)
        return [{"type": "session.update", "event_id": self._state.new_event_id(), "session": payload}]

    def message(self, message: str | Mapping[str, Any], *, trigger_response: bool) -> list[ClientEvent]:
        """Return the item of a user's message, and the request for an answer if it may go out now."""
        events = [self._create(message_to_wire(message))]
        return events + (self.request_response() if trigger_response else [])

    def audio(self, chunk: bytes) -> tuple[bytes]:
        """Return the frame of `input_audio_buffer.append` for a chunk of the user's audio."""
        return (audio_frame(chunk),)

    def commit_audio(self) -> list[ClientEvent]:
        """Return the end of the user's turn (API event `input_audio_buffer.commit`): it enters the conversation."""
        self._state.sequencer.input_added()
        return [{"type": "input_audio_buffer.commit"}]

    def clear_audio(self) -> list[ClientEvent]:
        """Return what drops audio that was not committed (API event `input_audio_buffer.clear`)."""
        return [{"type": "input_audio_buffer.clear"}]

    def image(self, image: str, *, detail: str | None, trigger_response: bool) -> list[ClientEvent]:
        """Return the item of a message that is one image."""
        part = {"type": "input_image", "image_url": image, **({"detail": detail} if detail else {})}
        return self.message({"content": [part]}, trigger_response=trigger_response)

    def request_response(self, response: Mapping[str, Any] | None = None) -> list[ClientEvent]:
        """Return `response.create` if it may go out now; else it follows when its turn has come."""
        overrides = None if response is None else response_payload(response)
        return self._request(overrides, manual=response is not None)

    def event(self, event: Mapping[str, Any]) -> list[ClientEvent]:
        """Return a raw client event; `response.create` and `response.cancel` go through the sequencer."""
        kind = event.get("type")
        if not isinstance(kind, str) or not kind:
            known = ", ".join(repr(key) for key in event) or "nothing"
            raise ConfigurationError(f"a client event needs a type, such as 'response.create'; this one has {known}")
        event_id = _optional_id(event, "event_id")
        if kind == "response.create":
            response = event.get("response")
            if response is not None and not isinstance(response, Mapping):
                raise ConfigurationError(
                    f"the `response` of response.create is a mapping, not {type(response).__name__}"
                )
            return self._request(response, manual=True, event_id=event_id)
        if kind == "response.cancel":
            response_id = _optional_id(event, "response_id")
            self._state.sequencer.cancel_sent(event_id, response_id, now=self._state.clock())
        if kind in ("conversation.item.create", "input_audio_buffer.commit"):
            self._state.sequencer.input_added()
        if kind == "conversation.item.create":
            self._remember_call(item_from_wire(event.get("item"), "in_progress"))
        return [dict(event)]

    def function_call_output(
        self, call: FunctionCall, output: str, *, start_response: bool
    ) -> tuple[list[ClientEvent], list[TransportEvent]]:
        """Return the output's item and the request for an answer, and the call's item with its output, to be told."""
        if not isinstance(output, str):
            raise ConfigurationError(
                f"a function call's output is a str, not {type(output).__name__}: encode it as JSON"
            )
        wire_item = {"type": "function_call_output", "call_id": call.call_id, "output": output}
        events = [self._create(wire_item)]
        if start_response:
            events += self.request_response()
        known = self._state.calls.get(call.call_id)
        item = RealtimeToolCallItem(
            item_id=known.item_id if known else call.item_id or call.call_id,
            call_id=call.call_id,
            name=call.name,
            arguments=call.arguments,
            response_id=call.response_id or None,
        )
        item = evolve(known or item, output=output, status="completed")
        self._state.remember_call(item)
        return events, [ItemUpdate(item=item)]

    def mcp_response(self, request: McpApprovalRequest, approved: bool, reason: str | None) -> list[ClientEvent]:
        """Return the answer to an approval request, placed right after it."""
        wire_item: dict[str, Any] = {
            "type": "mcp_approval_response",
            "id": f"mcpr_{request.item_id}"[:32],
            "approval_request_id": request.item_id,
            "approve": approved,
        }
        if reason is not None:
            wire_item["reason"] = reason
        return [self._create(wire_item, after=request.item_id)]

    def interrupt(self, response_id: str | None = None) -> tuple[list[ClientEvent], list[TransportEvent]]:
        """Return what stops the model, or one response, and what was cut. Where nothing is to be stopped, nothing."""
        return self._state.interrupt(response_id, cancel=True)

    def reset_history(self, old: Sequence[RealtimeItem], new: Sequence[RealtimeItem]) -> list[ClientEvent]:
        """Return the deletions and then the creations, each anchored, that lead from `old` to `new`.

        A changed item is deleted and created anew. What the API can't create raises `ConfigurationError` before
        anything is sent.
        """
        kept = items_that_stay(old, new)
        created = [item for item in new if item.item_id not in kept]
        wire_items = {item.item_id: item_to_wire(item) for item in created}
        deletions: list[ClientEvent] = [
            {"type": "conversation.item.delete", "event_id": self._state.new_event_id(), "item_id": item_id}
            for item in old
            if item.item_id not in kept
            for item_id in (item.item_id, *self._state.part_followers(item.item_id))
        ]
        creations: list[ClientEvent] = []
        previous = "root"
        for item in new:
            for wire_item in wire_items.get(item.item_id, ()):
                creations.append(self._create(wire_item, after=previous))
                previous = wire_item["id"]
            if item.item_id in kept:
                previous = (self._state.followers(item.item_id) or [item.item_id])[-1]
        for item in created:
            self._remember_call(item)
            for follower in wire_items[item.item_id][1:]:
                self._state.remember_follower(follower["id"], item.item_id)
        return deletions + creations

    # Time

    @property
    def deadline(self) -> float | None:
        """When, by the clock, `expire` wants to be called; None where nothing is awaited."""
        remote = None if self._state.remote is None else self._state.remote.deadline
        awaited = self._state.sequencer.deadline
        return remote if awaited is None else awaited if remote is None else min(awaited, remote)

    def expire(self) -> list[TransportEvent]:
        """Give up what the far end never answered; what follows is in `data_to_send`."""
        told = [] if self._state.remote is None else self._state.remote.expire()
        active = self._state.sequencer.active_response_id
        lost, frames = self._state.sequencer.expire(self._state.clock())
        self._state.reactions += frames
        if lost is None:
            return told
        told.append(Error(ResponseLostError(f"{lost}: it was given up, and what waited behind it goes on")))
        if active and active not in self._state.ended:
            remember(self._state.ended, active, None)
            details = {"type": "incomplete", "reason": "lost"}
            told.append(TurnDone(response_id=active, status="incomplete", status_details=details))
        return told

    # What is known

    @property
    def input_format(self) -> AudioFormat:
        """The format of the audio that the application sends, where the far end doesn't care: formats negotiated."""
        return self._state.input_format

    @property
    def ledger(self) -> PlaybackLedger:
        """How far each content part has come."""
        return self._state.ledger

    @property
    def sequencer(self) -> ResponseSequencer:
        """Which response is active, and what waits."""
        return self._state.sequencer

    @property
    def unknown_types(self) -> Mapping[str, int]:
        """How often each server event type came that the dialect doesn't know."""
        return self._state.unknown_types

    @property
    def unknown_codes(self) -> Mapping[str, int]:
        """How often each error code came that isn't in the table."""
        return self._state.unknown_codes

    def _request(
        self, response: Mapping[str, Any] | None, *, manual: bool, event_id: str | None = None
    ) -> list[ClientEvent]:
        state = self._state
        if response is not None and response.get("conversation") == "none":
            state.out_of_band_asked += 1
        return state.sequencer.request(response, manual=manual, event_id=event_id, now=state.clock())

    def _note_input_format(self, config: Mapping[str, Any]) -> None:
        """Where formats are negotiated, the configured one says what the application hands us to send."""
        given = None if self._formats else session_payload(config).get("audio", {}).get("input", {}).get("format")
        if given is not None:
            self._state.input_format = AudioFormat.parse(given)

    def _remember_call(self, item: RealtimeItem | None) -> None:
        """A call that we put into the conversation: it comes back without its output, which belongs to it."""
        if isinstance(item, RealtimeToolCallItem):
            self._state.remember_call(item)

    def _create(self, wire_item: dict[str, Any], after: str | None = None) -> ClientEvent:
        self._state.sequencer.input_added()
        event: ClientEvent = {
            "type": "conversation.item.create",
            "event_id": self._state.new_event_id(),
            "item": wire_item,
        }
        if after is not None:
            event["previous_item_id"] = after
        return event


def _optional_id(event: Mapping[str, Any], key: str) -> str | None:
    value = event.get(key)
    if value is None or isinstance(value, str):
        return value
    raise ConfigurationError(f"{key} is a str, not {type(value).__name__}")
