"""What is heard: in which order, byte for byte, and whatever listeners or the far end do."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from typing import Any

import pytest

from jackfield.transport import ListenerError, ProtocolError, RealtimeTransportLayer
from support.far_connection import AUDIO, PATIENCE, FarConnection
from support.sound import SOUND, duration_ms, likeness
from support.subjects import Subject

MARK = {"type": "rate_limits.updated", "rate_limits": []}
"""Sent last: when it was heard, everything before it was."""
PLAYING = "output_audio_buffer.started"
"""Says that the user hears an answer, where the sound of it doesn't come here."""


async def heard(transport: RealtimeTransportLayer, far: FarConnection, *events: dict[str, Any]) -> None:
    """Send events from the far end, and wait until the transport has dealt with them all."""
    marked = asyncio.Event()
    transport.on("rate_limits_updated", lambda _: marked.set())
    await far.send(*events, MARK)
    async with asyncio.timeout(PATIENCE):
        await marked.wait()


class TestOrder:
    async def test_raw_then_events_then_reactions(self, subject: Subject) -> None:
        order: list[str] = []
        raw = ["response.created", "response.output_audio.delta", "input_audio_buffer.speech_started", MARK["type"]]
        async with subject.far_end() as far_end, subject.pair(far_end) as (transport, far):
            transport.on("*", lambda event: order.append(f"* {event['type']}") if event["type"] in raw else None)
            transport.on("*out", lambda event: order.append(f"*out {event['type']}"))
            for kind in ("turn_started", "audio", "speech_started", "audio_interrupted"):
                transport.on(kind, lambda event: order.append(event.type))
            speaking = asyncio.Event()
            if transport.capabilities.audio_out:
                transport.once("audio", lambda _: speaking.set())
            else:  # its sound goes elsewhere, and here it is only told of
                raw.append(PLAYING)
                transport.on("*", lambda event: speaking.set() if event["type"] == PLAYING else None)
            await far.speak(SOUND, response_id="r", chunk=len(SOUND))
            async with asyncio.timeout(PATIENCE):
                await speaking.wait()
            started = {"type": "input_audio_buffer.speech_started", "item_id": "u", "audio_start_ms": 5}
            await heard(transport, far, started)
            await far.expect("response.cancel")
        reaction = [line for line in order if line.startswith("*out")]
        assert "*out response.cancel" in reaction
        expected = [
            "* response.created",
            "turn_started",
            "* response.output_audio.delta",
            "audio",
            "* input_audio_buffer.speech_started",
            "speech_started",
            "audio_interrupted",
        ]
        if not transport.capabilities.audio_out:
            expected[2:4] = [f"* {PLAYING}"]
        elif transport.capabilities.playback == "server":  # sound comes as sound, and in frames
            expected.remove("* response.output_audio.delta")
        if transport.capabilities.truncate == "server":
            assert not [event for event in far.received if event["type"] == "conversation.item.truncate"]
        told = list(dict.fromkeys(line for line in order if not line.startswith("*out")))
        assert told[: len(expected)] == expected
        assert order.index("audio_interrupted") < order.index(reaction[0]) < order.index("* rate_limits.updated")

    async def test_coroutine_listeners_see_theirs_in_order(self, subject: Subject) -> None:
        seen: list[str] = []
        gate = asyncio.Event()
        done = asyncio.Event()

        async def slow(event: Any) -> None:
            await gate.wait()
            seen.append(event.delta)
            if event.delta == "9":
                done.set()

        async with subject.far_end() as far_end, subject.pair(far_end) as (transport, far):
            at_once: list[str] = []
            transport.on("output_text_delta", slow)
            transport.on("output_text_delta", lambda event: at_once.append(event.delta))
            place = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
            deltas = [{"type": "response.output_text.delta", "delta": str(n), **place} for n in range(10)]
            await heard(transport, far, *deltas)
            assert at_once == [str(n) for n in range(10)] and seen == []
            gate.set()
            async with asyncio.timeout(PATIENCE):
                await done.wait()
            assert seen == at_once


class TestListeners:
    @pytest.mark.parametrize("kind", ["*", "speech_started"])
    async def test_one_that_fails_is_told_of_and_hurts_nobody(self, subject: Subject, kind: str) -> None:
        def fail(_: Any) -> None:
            raise ZeroDivisionError("oops")

        async def fail_later(_: Any) -> None:
            raise ZeroDivisionError("later")

        async with subject.far_end() as far_end, subject.pair(far_end) as (transport, far):
            errors: list[Exception] = []
            seen: list[int] = []
            transport.on(kind, fail)
            transport.on(kind, fail_later)
            transport.on("error", lambda event: errors.append(event.error))
            transport.on("speech_started", lambda event: seen.append(event.audio_start_ms))
            started = {"type": "input_audio_buffer.speech_started", "item_id": "u", "audio_start_ms": 5}
            await heard(transport, far, started)
            await asyncio.sleep(0)
            assert seen == [5]
            assert {type(error) for error in errors} == {ListenerError}
            assert {str(error.__cause__) for error in errors} == {"oops", "later"}

    async def test_each_has_the_raw_event_for_its_own(self, subject: Subject) -> None:
        def spoil(event: dict[str, Any]) -> None:
            for value in event.values():
                if isinstance(value, dict | list):
                    value.clear()
            event.clear()

        async with subject.far_end() as far_end, subject.pair(far_end) as (transport, far):
            seen: list[dict[str, Any]] = []
            done: list[Any] = []
            transport.on("*", spoil)
            transport.on("*", seen.append)
            transport.on("turn_done", done.append)
            response = {"id": "r", "status": "completed", "output": [], "x-extra": {"kept": True}}
            await heard(transport, far, {"type": "response.done", "response": response})
            assert seen[0]["response"] == response
            assert done[0].response_id == "r"

    async def test_off_and_once(self, subject: Subject) -> None:
        async with subject.far_end() as far_end, subject.pair(far_end) as (transport, far):
            always, once, never = [], [], []
            transport.on("speech_started", always.append)
            transport.once("speech_started", once.append)
            transport.off("speech_started", transport.on("speech_started", never.append))
            started = {"type": "input_audio_buffer.speech_started", "item_id": "u", "audio_start_ms": 5}
            await heard(transport, far, started, started)
            assert (len(always), len(once), len(never)) == (2, 1, 0)


class TestAudio:
    async def test_arrives_byte_for_byte_where_it_travels_with_the_events(self, subject: Subject) -> None:
        sizes = [1, 2, 3, 480, 4800, 48_000, 300_000]
        chunks = [random.Random(size).randbytes(size) for size in sizes]
        async with subject.far_end() as far_end, subject.pair(far_end) as (transport, far):
            if not transport.capabilities.audio_out or transport.capabilities.playback == "server":
                pytest.skip("its audio is no event")
            got: list[Any] = []
            transport.on("audio", got.append)
            place = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
            deltas = [
                {"type": "response.output_audio.delta", "delta": base64.b64encode(chunk).decode(), **place}
                for chunk in chunks
            ]
            await heard(transport, far, *deltas)
            assert [event.data for event in got] == chunks
            assert {(event.response_id, event.item_id, event.content_index) for event in got} == {("r", "i", 0)}

    async def test_of_turns_is_theirs_and_whole(self, subject: Subject) -> None:
        async with subject.far_end() as far_end, subject.pair(far_end) as (transport, far):
            if not transport.capabilities.audio_out:
                pytest.skip("its audio does not pass through us")
            stream = transport.events()
            for response_id in ("resp_a", "resp_b"):
                await far.say(SOUND, response_id=response_id)
                audio = []
                async with asyncio.timeout(PATIENCE):
                    async for event in stream:
                        if event.type == "audio":
                            audio.append(event)
                        elif event.type == "audio_done":
                            break
                ids = {(event.response_id, event.item_id, event.content_index) for event in audio}
                assert ids == {(response_id, f"item_of_{response_id}", 0)}
                assert (event.response_id, event.item_id) == (response_id, f"item_of_{response_id}")
                got = b"".join(event.data for event in audio)
                if transport.capabilities.playback == "client":
                    assert got == SOUND
                else:
                    assert likeness(got, SOUND) > 0.9
                    assert duration_ms(got) >= duration_ms(SOUND)

    async def test_of_a_whole_turn(self, subject: Subject) -> None:
        async with subject.far_end() as far_end, subject.pair(far_end) as (transport, _):
            stream = transport.events()
            await transport.send_message("hello")
            audio, told = b"", []
            async with asyncio.timeout(PATIENCE):
                async for event in stream:
                    told.append(event.type)
                    audio += event.data if event.type == "audio" else b""
                    if {"turn_done", "audio_done"} <= set(told):
                        break
            in_events = ["turn_started", "item_update", "audio_transcript_delta", "turn_done"]
            kinds = list(dict.fromkeys(told))
            if transport.capabilities.playback == "client":
                assert audio == AUDIO
                assert kinds == [*in_events[:3], "audio", "audio_done", "turn_done"]
            elif transport.capabilities.audio_out:  # it is played out in real time, and was generated long before
                assert duration_ms(audio) >= duration_ms(AUDIO)
                assert [kind for kind in kinds if kind in in_events] == in_events
                assert [kind for kind in kinds if kind not in in_events] == ["audio", "audio_done"]
            else:
                assert kinds == [*in_events[:3], "audio_done", "turn_done"]


class TestOddities:
    @pytest.mark.parametrize(
        "junk",
        ["", "nonsense", "[1, 2]", "null", '"text"', "{}", '{"type": 5}', '{"type": "x"', "\ufeff{}", '{"a": NaN}'],
    )
    async def test_junk_is_an_error_and_no_end(self, subject: Subject, junk: str) -> None:
        async with subject.far_end() as far_end, subject.pair(far_end) as (transport, far):
            errors: list[Exception] = []
            raw: list[Any] = []
            transport.on("error", lambda event: errors.append(event.error))
            transport.on("*", raw.append)
            await far.send_text(junk)
            await heard(transport, far)
            assert [type(error) for error in errors] == [ProtocolError]
            assert [event["type"] for event in raw] == ["rate_limits.updated"]
            assert transport.status == "connected"

    async def test_unknown_events_are_for_those_who_ask_for_the_raw_ones(self, subject: Subject) -> None:
        async with subject.far_end() as far_end, subject.pair(far_end) as (transport, far):
            raw: list[dict[str, Any]] = []
            stream = transport.events()
            transport.on("*", raw.append)
            strange = {"type": "x.strange", "event_id": "e", "deep": {"list": [1, 2.5, None, "ü", {"a": True}]}}
            await heard(transport, far, strange)
            assert raw[0] == strange
            assert (await anext(stream)).type == "rate_limits_updated"

    async def test_binary_frames_are_read_as_text(self, subject: Subject) -> None:
        async with subject.far_end() as far_end, subject.pair(far_end) as (transport, far):
            raw: list[dict[str, Any]] = []
            transport.on("*", raw.append)
            await far.send_binary(json.dumps({"type": "x.binary"}).encode())
            await heard(transport, far)
            assert raw[0] == {"type": "x.binary"}

    @pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536, 262_000, 4 * 1024 * 1024])
    async def test_messages_of_every_size(self, subject: Subject, size: int) -> None:
        if subject.largest is not None and size > subject.largest:
            pytest.skip("no far end may send such an event")
        async with subject.far_end() as far_end, subject.pair(far_end) as (transport, far):
            raw: list[dict[str, Any]] = []
            transport.on("*", raw.append)
            await heard(transport, far, {"type": "x.large", "text": "a" * size})
            assert raw[0]["text"] == "a" * size

    async def test_many_messages_at_once(self, subject: Subject) -> None:
        async with subject.far_end() as far_end, subject.pair(far_end) as (transport, far):
            raw: list[int] = []
            transport.on("*", lambda event: raw.append(event.get("n")))
            await heard(transport, far, *({"type": "x.n", "n": n} for n in range(3000)))
            assert raw[:-1] == list(range(3000))

    async def test_many_messages_of_both_kinds_stay_in_order(self, subject: Subject) -> None:
        async with subject.far_end() as far_end, subject.pair(far_end) as (transport, far):
            raw: list[int] = []
            transport.on("*", lambda event: raw.append(event.get("n")))
            for number in range(600):
                text = json.dumps({"type": "x.n", "n": number})
                if number % 3:
                    await far.send_text(text)
                else:
                    await far.send_binary(text.encode())
            await heard(transport, far)
            assert raw[:-1] == list(range(600))
