"""What is heard: in which order, with which ids, and whatever listeners or the far end do."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from jackfield.testing.conformance.check import area
from jackfield.testing.conformance.far_end import FarConnection
from jackfield.testing.conformance.sound import SOUND
from jackfield.testing.conformance.subject import Subject
from jackfield.transport import ListenerError, ProtocolError, RealtimeTransportLayer

from .watching import all_told, first, in_time, turn, whole_turn

__all__ = ["TestEvents", "TestListeners", "TestOddities", "TestOrder"]

MEGABYTE = 1024 * 1024


async def strange_ones(
    transport: RealtimeTransportLayer, far: FarConnection, count: int, text: str = ""
) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Have the far end send so many unknown messages; return what was sent, and what `*` told."""
    told: list[Mapping[str, Any]] = []
    transport.on("*", told.append)
    sent = [await far.strange(number, text) for number in range(count)]
    await all_told(transport, far)
    transport.off("*", told.append)
    return sent, told[:-1]


@area("ordering")
class TestOrder:
    async def test_the_raw_message_comes_before_its_events(self, subject: Subject) -> None:
        order: list[str] = []
        async with subject.pair() as (transport, far):
            transport.on("*", lambda _: order.append("*"))
            for kind in ("turn_started", "output_text_delta", "turn_done"):
                transport.on(kind, lambda event: order.append(event.type))
            await far.write("one", " two")
            await all_told(transport, far)
        kinds = [kind for kind in order if kind != "*"]
        assert list(dict.fromkeys(kinds)) == ["turn_started", "output_text_delta", "turn_done"]
        for kind in dict.fromkeys(kinds):
            assert order[order.index(kind) - 1] == "*" or order[order.index(kind) - 2] == "*", (
                f"{kind} was told before its raw message: {order}"
            )

    async def test_reactions_come_after_the_events_that_they_answer(self, subject: Subject) -> None:
        order: list[str] = []
        async with subject.pair() as (transport, far):
            if not subject.capabilities.cancel:
                pytest.skip("it reacts to nothing")
            events = transport.events()
            await far.speak(SOUND)
            await first(events, "audio" if subject.capabilities.audio_out else "audio_transcript_delta")
            await all_told(transport, far)
            for kind in ("speech_started", "audio_interrupted"):
                transport.on(kind, lambda event: order.append(event.type))
            transport.on("*out", lambda _: order.append("*out"))
            await far.user_interrupts()
            await far.until(lambda: far.cancels > 0, "the response to be cancelled")
            await all_told(transport, far)
        assert "*out" in order, "what was sent in reaction was not told on '*out'"
        assert order.index("speech_started") < order.index("*out"), "the reaction was told before its reason"

    async def test_messages_come_in_the_order_of_the_wire(self, subject: Subject) -> None:
        async with subject.pair() as (transport, far):
            sent, told = await strange_ones(transport, far, 1000)
            assert told == sent

    async def test_text_comes_in_the_order_of_the_wire(self, subject: Subject) -> None:
        pieces = [f"{number} " for number in range(300)]
        async with subject.pair() as (transport, far):
            events = transport.events()
            await far.write(*pieces)
            told = await turn(events)
            assert "".join(event.delta for event in told if event.type == "output_text_delta") == "".join(pieces)

    async def test_coroutine_listeners_see_theirs_in_order(self, subject: Subject) -> None:
        seen: list[str] = []
        gate, done = asyncio.Event(), asyncio.Event()

        async def slow(event: Any) -> None:
            await gate.wait()
            seen.append(event.delta)
            if event.delta == "9":
                done.set()

        async with subject.pair() as (transport, far):
            at_once: list[str] = []
            transport.on("output_text_delta", slow)
            transport.on("output_text_delta", lambda event: at_once.append(event.delta))
            await far.write(*map(str, range(10)))
            await all_told(transport, far)
            assert at_once == [str(number) for number in range(10)], "a slow listener held the others up"
            assert seen == []
            gate.set()
            await in_time("the slow listener", done.wait())
            assert seen == at_once


@area("events")
class TestEvents:
    async def test_of_a_spoken_turn(self, subject: Subject) -> None:
        async with subject.pair() as (transport, far):
            events = transport.events()
            await far.say(SOUND, text="Hello there.", response_id="resp_a")
            told = await whole_turn(events)
            kinds = [event.type for event in told]
            assert "".join(event.delta for event in told if event.type == "audio_transcript_delta") == "Hello there."
            [started] = [event for event in told if event.type == "turn_started"]
            [done] = [event for event in told if event.type == "turn_done"]
            [audio_done] = [event for event in told if event.type == "audio_done"]
            assert kinds.index("turn_started") < kinds.index("audio_transcript_delta") < kinds.index("turn_done")
            assert done.status == "completed"
            assert started.response_id and started.response_id == done.response_id
            spoken = [event for event in told if event.type in {"audio_transcript_delta", "audio", "audio_done"}]
            ids = {(event.response_id, event.item_id, event.content_index) for event in spoken}
            assert len(ids) == 1, f"events of one part have different ids: {ids}"
            assert audio_done.response_id == done.response_id and audio_done.item_id
            items = [event.item for event in told if event.type == "item_update"]
            messages = [item for item in items if getattr(item, "role", "") == "assistant"]
            assert messages, "the answer is no item"
            assert {item.item_id for item in messages} == {audio_done.item_id}
            assert audio_done.item_id in {item.item_id for item in done.output}

    async def test_of_a_written_turn(self, subject: Subject) -> None:
        async with subject.pair() as (transport, far):
            events = transport.events()
            await far.write("Hello", " there.")
            told = await turn(events)
            deltas = [event for event in told if event.type == "output_text_delta"]
            assert "".join(event.delta for event in deltas) == "Hello there."
            assert {event.response_id for event in deltas} == {told[-1].response_id}
            assert len({(event.item_id, event.content_index) for event in deltas}) == 1 and deltas[0].item_id

    async def test_what_it_cost_is_told_before_the_turns_end(self, subject: Subject) -> None:
        async with subject.pair() as (transport, far):
            events = transport.events()
            await far.write("Hello.")
            told = await turn(events)
            [usage] = [event for event in told if event.type == "usage_update"]
            assert usage.response_id == told[-1].response_id
            assert usage.usage.total_tokens > 0
            assert told[-1].usage == usage.usage

    async def test_turns_have_ids_of_their_own(self, subject: Subject) -> None:
        async with subject.pair() as (transport, far):
            events = transport.events()
            seen = []
            for number in range(3):
                await far.write("Hello.", response_id=f"resp_{number}")
                seen.append(await turn(events))
            assert len({told[-1].response_id for told in seen}) == 3
            items = [next(event.item_id for event in told if event.type == "output_text_delta") for told in seen]
            assert len(set(items)) == 3

    async def test_what_the_user_said_is_told(self, subject: Subject) -> None:
        async with subject.pair() as (transport, far):
            events = transport.events()
            await far.transcribe("What is the weather?")
            heard = await first(events, "input_audio_transcription_completed")
            assert heard.transcript == "What is the weather?"
            assert heard.item_id

    async def test_a_function_call_is_told_once(self, subject: Subject) -> None:
        async with subject.pair() as (transport, far):
            events = transport.events()
            await far.call(("call_1", "get_weather", '{"city": "Paris"}'))
            told = [event for event in await turn(events) if event.type == "function_call"]
            assert [(call.call_id, call.name) for call in told] == [("call_1", "get_weather")]
            assert told[0].arguments.replace(" ", "") == '{"city":"Paris"}'
            assert told[0].item_id and told[0].response_id


@area("listeners")
class TestListeners:
    @pytest.mark.parametrize("kind", ["*", "output_text_delta"])
    async def test_one_that_fails_is_told_of_and_hurts_nobody(self, subject: Subject, kind: str) -> None:
        def fail(_: Any) -> None:
            raise ZeroDivisionError("oops")

        async def fail_later(_: Any) -> None:
            raise ZeroDivisionError("later")

        async with subject.pair() as (transport, far):
            errors: list[Exception] = []
            seen: list[str] = []
            transport.on(kind, fail)
            transport.on(kind, fail_later)
            transport.on("error", lambda event: errors.append(event.error))
            transport.on("output_text_delta", lambda event: seen.append(event.delta))
            await far.write("Hello.")
            await all_told(transport, far)
            await asyncio.sleep(0)
            assert seen == ["Hello."], "a listener that fails kept the others from hearing"
            assert {type(error) for error in errors} == {ListenerError}
            assert {str(error.__cause__) for error in errors} == {"oops", "later"}
            assert transport.status == "connected"

    async def test_each_has_the_raw_message_for_its_own(self, subject: Subject) -> None:
        def spoil(message: Any) -> None:
            for value in list(message.values()):
                if isinstance(value, dict | list):
                    value.clear()
            message.clear()

        async with subject.pair() as (transport, far):
            transport.on("*", spoil)
            sent, told = await strange_ones(transport, far, 3, "for all")
            assert told == sent, "what one listener did to a message was seen by another"
            events = transport.events()
            await far.write("Hello.")
            written = [event.delta for event in await turn(events) if event.type == "output_text_delta"]
            assert written == ["Hello."], "what a listener did to a message changed an event"

    async def test_off_and_once(self, subject: Subject) -> None:
        async with subject.pair() as (transport, far):
            always: list[Any] = []
            once: list[Any] = []
            never: list[Any] = []
            transport.on("output_text_delta", always.append)
            transport.once("output_text_delta", once.append)
            transport.off("output_text_delta", transport.on("output_text_delta", never.append))
            await far.write("one", "two")
            await all_told(transport, far)
            assert (len(always), len(once), len(never)) == (2, 1, 0)

    async def test_an_error_without_a_listener_raises_nothing(self, subject: Subject) -> None:
        async with subject.pair() as (transport, far):
            await far.send_frame(far.junk[1])
            await all_told(transport, far)
            assert transport.status == "connected"


@area("robustness")
class TestOddities:
    async def test_junk_is_an_error_and_no_end(self, subject: Subject) -> None:
        async with subject.pair() as (transport, far):
            for junk in far.junk:
                errors: list[Exception] = []
                raw: list[Any] = []

                def listen(event: Any, errors: list[Exception] = errors) -> None:
                    errors.append(event.error)

                transport.on("error", listen)
                transport.on("*", raw.append)
                await far.send_frame(junk)
                await all_told(transport, far)
                transport.off("error", listen)
                transport.off("*", raw.append)
                assert [type(error) for error in errors] == [ProtocolError], f"after {junk!r}"
                assert len(raw) == 1, f"junk was told as a message: {junk!r}"
                assert transport.status == "connected", f"it did not survive {junk!r}"

    async def test_unknown_messages_are_for_those_who_ask_for_the_raw_ones(self, subject: Subject) -> None:
        async with subject.pair() as (transport, far):
            events: list[str] = []
            for kind in ("error", "item_update", "turn_started", "output_text_delta"):
                transport.on(kind, lambda event: events.append(event.type))
            sent, told = await strange_ones(transport, far, 2, 'ü \U0001f600 \\ " \n')
            assert told == sent
            assert events == []

    async def test_messages_of_every_size(self, subject: Subject) -> None:
        sizes = [0, 125, 126, 65_535, 65_536, 262_000, 4 * MEGABYTE]
        async with subject.pair() as (transport, far):
            for size in sizes:
                if subject.largest_bytes is None or size + 512 < subject.largest_bytes:
                    sent, told = await strange_ones(transport, far, 1, "a" * size)
                    same = told == sent  # which are too long to be compared by eye
                    assert same, f"a message of {size:,} characters is not told as it was sent"

    async def test_many_messages_at_once_starve_nobody(self, subject: Subject) -> None:
        async with subject.pair() as (transport, far):
            turns = 0
            over = asyncio.Event()

            async def another() -> None:
                nonlocal turns
                while not over.is_set():
                    await asyncio.sleep(0)
                    turns += 1

            beside = asyncio.create_task(another())
            await strange_ones(transport, far, 2000)
            over.set()
            await beside
            assert turns > 20, "others on the loop had no turn while messages came"
