"""What is heard: in which order, byte for byte, and whatever listeners or the far end do."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from typing import Any

import pytest

from jackfield.testing.conformance import AUDIO, PATIENCE
from jackfield.testing.conformance.check import area
from jackfield.testing.conformance.sound import SOUND, duration_ms
from jackfield.transport import RealtimeTransportLayer
from jackfield_local.conformance.dialect import DialectConnection
from jackfield_local.conformance.subjects import DialectSubject

__all__ = ["TestDialectAudio", "TestDialectFrames", "TestDialectOrder"]


MARK = {"type": "rate_limits.updated", "rate_limits": []}
"""Sent last: when it was heard, everything before it was."""
PLAYING = "output_audio_buffer.started"
"""Says that the user hears an answer, where the sound of it doesn't come here."""


async def heard(transport: RealtimeTransportLayer, far: DialectConnection, *events: dict[str, Any]) -> None:
    """Send events from the far end, and wait until the transport has dealt with them all."""
    marked = asyncio.Event()
    transport.on("rate_limits_updated", lambda _: marked.set())
    await far.send(*events, MARK)
    async with asyncio.timeout(PATIENCE):
        await marked.wait()


@area("dialect")
class TestDialectOrder:
    async def test_raw_then_events_then_reactions(self, subject: DialectSubject) -> None:
        order: list[str] = []
        raw = ["response.created", "response.output_audio.delta", "input_audio_buffer.speech_started", MARK["type"]]
        async with subject.far_end() as far_end, subject.link(far_end) as (transport, far):
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


@area("dialect")
class TestDialectAudio:
    async def test_arrives_byte_for_byte_where_it_travels_with_the_events(self, subject: DialectSubject) -> None:
        sizes = [1, 2, 3, 480, 4800, 48_000, 300_000]
        chunks = [random.Random(size).randbytes(size) for size in sizes]
        async with subject.far_end() as far_end, subject.link(far_end) as (transport, far):
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

    async def test_of_a_whole_turn(self, subject: DialectSubject) -> None:
        async with subject.far_end() as far_end, subject.link(far_end) as (transport, _):
            stream = transport.events()
            await transport.send_message("hello")
            audio, told = b"", []
            async with asyncio.timeout(PATIENCE):
                async for event in stream:
                    told.append(event.type)
                    audio += event.data if event.type == "audio" else b""
                    if {"turn_done", "audio_done"} <= set(told):
                        break
            in_events = ["turn_started", "item_update", "audio_transcript_delta", "usage_update", "turn_done"]
            kinds = list(dict.fromkeys(told))
            if transport.capabilities.playback == "client":
                assert audio == AUDIO
                assert kinds == [*in_events[:3], "audio", "audio_done", *in_events[3:]]
            elif transport.capabilities.audio_out:  # it is played out in real time, and was generated long before
                assert duration_ms(audio) >= duration_ms(AUDIO)
                assert [kind for kind in kinds if kind in in_events] == in_events
                assert [kind for kind in kinds if kind not in in_events] == ["audio", "audio_done"]
            else:
                assert kinds == [*in_events[:3], "audio_done", *in_events[3:]]


@area("dialect")
class TestDialectFrames:
    async def test_binary_frames_are_read_as_text(self, subject: DialectSubject) -> None:
        async with subject.far_end() as far_end, subject.link(far_end) as (transport, far):
            raw: list[dict[str, Any]] = []
            transport.on("*", raw.append)
            await far.send_binary(json.dumps({"type": "x.binary"}).encode())
            await heard(transport, far)
            assert raw[0] == {"type": "x.binary"}

    async def test_many_messages_of_both_kinds_stay_in_order(self, subject: DialectSubject) -> None:
        async with subject.far_end() as far_end, subject.link(far_end) as (transport, far):
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
