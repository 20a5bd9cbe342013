"""Faults of what is told: its order, its ids, its listeners, and what becomes of oddities."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import evolve

from jackfield.openai import OpenAIRealtimeProtocol
from jackfield.testing.conformance import checks
from jackfield.transport import ProtocolError, RemoteClosedError
from jackfield.transport.events import Audio, Error

from .bases import Connection, Mutant, Retold, Wrapper, dialect_transport, wire_transport

__all__ = ["MUTANTS"]


class RawLater(Retold):
    def tell_raw(self, message: dict[str, Any]) -> None:
        asyncio.get_running_loop().call_soon(super().tell_raw, message)


class OutOfOrder(Retold):
    held: Any = None

    def tell(self, event: Any) -> None:
        if event.type == "output_text_delta" and self.held is None:
            self.held = event
            return
        super().tell(event)
        if self.held is not None:
            held, self.held = self.held, None
            super().tell(held)


class OneForAll(Retold):
    def tell_raw(self, message: dict[str, Any]) -> None:
        self.emitter.emit_raw("*", lambda: message, message)


class Unguarded(Retold):
    def __init__(self, **options: Any) -> None:
        self.listeners: defaultdict[str, list[Any]] = defaultdict(list)
        super().__init__(**options)

    def on(self, kind: str, listener: Any) -> Any:
        self.listeners[kind].append(listener)
        return listener

    def off(self, kind: str, listener: Any) -> None:
        self.listeners[kind].remove(listener)

    def tell(self, event: Any) -> None:
        for listener in [*self.listeners[event.type]]:
            listener(event)
        super().tell(event)

    def tell_raw(self, message: dict[str, Any]) -> None:
        for listener in [*self.listeners["*"]]:
            listener(message)


class ForgetsCoroutines(Retold):
    def on(self, kind: str, listener: Any) -> Any:
        if inspect.iscoroutinefunction(listener):
            return listener
        return super().on(kind, listener)


class NeverOff(Retold):
    def off(self, kind: str, listener: Any) -> None:
        pass


class OnceIsAlways(Retold):
    def once(self, kind: str, listener: Any) -> Any:
        return self.on(kind, listener)


class NoOut(Retold):
    def tell_out(self, message: dict[str, Any]) -> None:
        pass


class OneResponseId(Retold):
    def tell(self, event: Any) -> None:
        super().tell(evolve(event, response_id="resp") if hasattr(event, "response_id") else event)


class NoItemIds(Retold):
    def tell(self, event: Any) -> None:
        super().tell(evolve(event, item_id="") if event.type == "audio" else event)


class UsageAfterwards(Retold):
    held: Any = None

    def tell(self, event: Any) -> None:
        if event.type == "usage_update":
            self.held = event
            return
        super().tell(event)
        if event.type == "turn_done" and self.held is not None:
            super().tell(self.held)


class CallsTwice(Retold):
    def tell(self, event: Any) -> None:
        super().tell(event)
        if event.type == "function_call":
            super().tell(event)


class NoTranscripts(Retold):
    def tell(self, event: Any) -> None:
        if event.type == "input_audio_transcription_completed":
            event = evolve(event, transcript="")
        super().tell(event)


class EndsWithJunk(Connection):
    async def receive(self) -> bytes | str:
        frame = await self.inner.receive()
        try:
            json.loads(frame)
        except ValueError as error:
            raise RemoteClosedError("junk", code=1006, reason="") from error
        return frame


class UnknownIsAnError(Retold):
    def tell_raw(self, message: dict[str, Any]) -> None:
        super().tell_raw(message)
        if message["type"].startswith("x."):
            self.tell(Error(ProtocolError(f"unknown event {message['type']}")))


class HidesUnknown(Retold):
    def tell_raw(self, message: dict[str, Any]) -> None:
        super().tell_raw({key: value for key, value in message.items() if key != "text"})


class EndOfAudioFirst(Retold):
    held: Any = None

    def tell(self, event: Any) -> None:
        if event.type == "audio":
            held, self.held = self.held, event
            if held is not None:
                super().tell(held)
            return
        super().tell(event)
        if event.type == "audio_done" and self.held is not None:
            super().tell(self.held)


class Garbled(Retold):
    def tell(self, event: Any) -> None:
        super().tell(evolve(event, data=event.data[::-1]) if event.type == "audio" else event)


class LateAudio(OpenAIRealtimeProtocol):
    """Forgets that a response was interrupted."""

    def receive(self, message: Mapping[str, Any]) -> Iterable[Any]:
        told = tuple(super().receive(message))
        if message["type"] == "response.output_audio.delta" and not told:
            return (Audio(b"\0\0", message["response_id"], message["item_id"], message["content_index"]),)
        return told


ORDER, EVENTS, LISTENERS, ODD = checks.TestOrder, checks.TestEvents, checks.TestListeners, checks.TestOddities

MUTANTS = (
    Mutant(
        "raw messages are told after their events",
        RawLater,
        ORDER.test_the_raw_message_comes_before_its_events,
        "was told before its raw message|not in list",
        Retold,
    ),
    Mutant("events overtake one another", OutOfOrder, ORDER.test_text_comes_in_the_order_of_the_wire, "1 0 ", Retold),
    Mutant(
        "all listeners share one raw message",
        OneForAll,
        LISTENERS.test_each_has_the_raw_message_for_its_own,
        "was seen by another|never came|'type'",
        Retold,
    ),
    Mutant(
        "a listener that raises keeps the others from hearing",
        Unguarded,
        LISTENERS.test_one_that_fails_is_told_of_and_hurts_nobody,
        "kept the others from hearing",
        Retold,
        {"kind": "output_text_delta"},
    ),
    Mutant(
        "coroutine listeners are never run",
        ForgetsCoroutines,
        LISTENERS.test_one_that_fails_is_told_of_and_hurts_nobody,
        "later",
        Retold,
        {"kind": "output_text_delta"},
    ),
    Mutant("off() does nothing", NeverOff, LISTENERS.test_off_and_once, "2", Retold),
    Mutant("once() is on()", OnceIsAlways, LISTENERS.test_off_and_once, "2, 2, 0", Retold),
    Mutant(
        "what is sent is not told",
        NoOut,
        checks.TestSendOrder.test_is_the_same_on_out_and_on_the_wire,
        r"\[\] ==|assert \[\]",
        Retold,
    ),
    Mutant("all turns have one id", OneResponseId, EVENTS.test_turns_have_ids_of_their_own, "1 == 3", Retold),
    Mutant(
        "audio has no item", NoItemIds, EVENTS.test_of_a_spoken_turn, "events of one part have different ids", Retold
    ),
    Mutant(
        "the cost is told after the turn",
        UsageAfterwards,
        EVENTS.test_what_it_cost_is_told_before_the_turns_end,
        "not enough values",
        Retold,
    ),
    Mutant("a call is told twice", CallsTwice, EVENTS.test_a_function_call_is_told_once, "call_1", Retold),
    Mutant("transcripts are empty", NoTranscripts, EVENTS.test_what_the_user_said_is_told, "weather", Retold),
    Mutant(
        "junk ends the connection",
        wire_transport(EndsWithJunk),
        ODD.test_junk_is_an_error_and_no_end,
        "never came|did not survive",
        wire_transport(Connection),
    ),
    Mutant(
        "unknown events are errors",
        UnknownIsAnError,
        ODD.test_unknown_messages_are_for_those_who_ask_for_the_raw_ones,
        "error",
        Retold,
    ),
    Mutant(
        "raw messages lose fields that nobody knows",
        HidesUnknown,
        ODD.test_unknown_messages_are_for_those_who_ask_for_the_raw_ones,
        "never came",
        Retold,
    ),
    Mutant(
        "large messages are too large",
        lambda **options: Wrapper(**{**options, "max_size": 1_000_000}),
        ODD.test_messages_of_every_size,
        "never came|too big",
        Wrapper,
    ),
    Mutant(
        "the last chunk comes after the end",
        EndOfAudioFirst,
        checks.TestAudioOut.test_its_end_comes_after_its_last_chunk,
        "audio",
        Retold,
    ),
    Mutant(
        "audio is garbled",
        Garbled,
        checks.TestAudioOut.test_arrives_whole_and_is_its_turns,
        "they are not the same",
        Retold,
    ),
    Mutant(
        "audio of an interrupted answer is told",
        dialect_transport(LateAudio),
        checks.TestInterruption.test_what_comes_late_is_not_told,
        "was told after audio_interrupted",
        dialect_transport(OpenAIRealtimeProtocol),
    ),
)
