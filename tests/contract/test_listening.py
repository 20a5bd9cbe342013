"""What is heard: in which order, byte for byte, and whatever listeners or the far end do."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from typing import Any

import pytest

from jackfield.transport import ListenerError, ProtocolError, RealtimeTransportLayer
from support.far_end import AUDIO, PATIENCE, FarConnection, FarEnd
from support.subjects import Subject

MARK = {"type": "rate_limits.updated", "rate_limits": []}
"""Sent last: when it was heard, everything before it was."""


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
        async with FarEnd() as far_end, subject.pair(far_end) as (transport, far):
            transport.on("*", lambda event: order.append(f"* {event['type']}"))
            transport.on("*out", lambda event: order.append(f"*out {event['type']}"))
            for kind in ("turn_started", "audio", "speech_started", "audio_interrupted"):
                transport.on(kind, lambda event: order.append(event.type))
            place = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
            await heard(
                transport,
                far,
                {"type": "response.created", "response": {"id": "r"}},
                {"type": "response.output_audio.delta", "delta": base64.b64encode(bytes(48_000)).decode(), **place},
                {"type": "input_audio_buffer.speech_started", "item_id": "u", "audio_start_ms": 5},
            )
            await far.expect("response.cancel")
        reaction = [line for line in order if line.startswith("*out")]
        assert "*out response.cancel" in reaction
        assert [line for line in order if not line.startswith("*out")][:7] == [
            "* response.created",
            "turn_started",
            "* response.output_audio.delta",
            "audio",
            "* input_audio_buffer.speech_started",
            "speech_started",
            "audio_interrupted",
        ]
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

        async with FarEnd() as far_end, subject.pair(far_end) as (transport, far):
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

        async with FarEnd() as far_end, subject.pair(far_end) as (transport, far):
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

        async with FarEnd() as far_end, subject.pair(far_end) as (transport, far):
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
        async with FarEnd() as far_end, subject.pair(far_end) as (transport, far):
            always, once, never = [], [], []
            transport.on("speech_started", always.append)
            transport.once("speech_started", once.append)
            transport.off("speech_started", transport.on("speech_started", never.append))
            started = {"type": "input_audio_buffer.speech_started", "item_id": "u", "audio_start_ms": 5}
            await heard(transport, far, started, started)
            assert (len(always), len(once), len(never)) == (2, 1, 0)


class TestAudio:
    async def test_arrives_byte_for_byte(self, subject: Subject) -> None:
        sizes = [1, 2, 3, 480, 4800, 48_000, 300_000]
        chunks = [random.Random(size).randbytes(size) for size in sizes]
        async with FarEnd() as far_end, subject.pair(far_end) as (transport, far):
            got: list[Any] = []
            transport.on("audio", got.append)
            place = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
            deltas = [
                {"type": "response.output_audio.delta", "delta": base64.b64encode(chunk).decode(), **place}
                for chunk in chunks
            ]
            await heard(transport, far, *deltas)
            if transport.capabilities.audio_out:
                assert [event.data for event in got] == chunks
                assert {(event.response_id, event.item_id, event.content_index) for event in got} == {("r", "i", 0)}

    async def test_of_a_whole_turn(self, subject: Subject) -> None:
        async with FarEnd() as far_end, subject.pair(far_end) as (transport, _):
            stream = transport.events()
            await transport.send_message("hello")
            audio, told = b"", []
            async with asyncio.timeout(PATIENCE):
                async for event in stream:
                    told.append(event.type)
                    audio += event.data if event.type == "audio" else b""
                    if event.type == "turn_done":
                        break
            assert audio == AUDIO
            kinds = list(dict.fromkeys(told))
            assert kinds == [
                "turn_started",
                "item_update",
                "audio_transcript_delta",
                "audio",
                "audio_done",
                "turn_done",
            ]


class TestOddities:
    @pytest.mark.parametrize(
        "junk",
        ["", "nonsense", "[1, 2]", "null", '"text"', "{}", '{"type": 5}', '{"type": "x"', "\ufeff{}", '{"a": NaN}'],
    )
    async def test_junk_is_an_error_and_no_end(self, subject: Subject, junk: str) -> None:
        async with FarEnd() as far_end, subject.pair(far_end) as (transport, far):
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
        async with FarEnd() as far_end, subject.pair(far_end) as (transport, far):
            raw: list[dict[str, Any]] = []
            stream = transport.events()
            transport.on("*", raw.append)
            strange = {"type": "x.strange", "event_id": "e", "deep": {"list": [1, 2.5, None, "ü", {"a": True}]}}
            await heard(transport, far, strange)
            assert raw[0] == strange
            assert (await anext(stream)).type == "rate_limits_updated"

    async def test_binary_frames_are_read_as_text(self, subject: Subject) -> None:
        async with FarEnd() as far_end, subject.pair(far_end) as (transport, far):
            raw: list[dict[str, Any]] = []
            transport.on("*", raw.append)
            await far.socket.send(json.dumps({"type": "x.binary"}).encode())
            await heard(transport, far)
            assert raw[0] == {"type": "x.binary"}

    async def test_text_that_is_no_utf8_is_junk(self, subject: Subject) -> None:
        async with FarEnd() as far_end, subject.pair(far_end) as (transport, far):
            errors: list[Exception] = []
            transport.on("error", lambda event: errors.append(event.error))
            await far.socket.send(b'{"type": "x.\xff\xfe"}', text=True)
            await heard(transport, far)
            assert [type(error) for error in errors] == [ProtocolError]

    async def test_messages_in_fragments(self, subject: Subject) -> None:
        async with FarEnd() as far_end, subject.pair(far_end) as (transport, far):
            raw: list[dict[str, Any]] = []
            transport.on("*", raw.append)
            text = json.dumps({"type": "x.pieces", "text": "ü" * 1000}, ensure_ascii=False)
            pieces = [text[start : start + 7] for start in range(0, len(text), 7)]
            await far.socket.send(pieces)
            await far.socket.send(["", '{"type": ', '"x.more"}', ""])
            await heard(transport, far)
            assert [event["type"] for event in raw[:2]] == ["x.pieces", "x.more"]
            assert raw[0]["text"] == "ü" * 1000

    @pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536, 4 * 1024 * 1024])
    async def test_messages_of_every_size(self, subject: Subject, size: int) -> None:
        async with FarEnd() as far_end, subject.pair(far_end) as (transport, far):
            raw: list[dict[str, Any]] = []
            transport.on("*", raw.append)
            await heard(transport, far, {"type": "x.large", "text": "a" * size})
            assert raw[0]["text"] == "a" * size

    async def test_many_messages_at_once(self, subject: Subject) -> None:
        async with FarEnd() as far_end, subject.pair(far_end) as (transport, far):
            raw: list[int] = []
            transport.on("*", lambda event: raw.append(event.get("n")))
            await heard(transport, far, *({"type": "x.n", "n": n} for n in range(3000)))
            assert raw[:-1] == list(range(3000))

    async def test_many_messages_of_every_kind_stay_in_order(self, subject: Subject) -> None:
        async with FarEnd() as far_end, subject.pair(far_end) as (transport, far):
            raw: list[int] = []
            transport.on("*", lambda event: raw.append(event.get("n")))
            for number in range(600):
                text = json.dumps({"type": "x.n", "n": number})
                kinds: list[Any] = [text, [text[:4], text[4:]], text.encode()]
                await far.socket.send(kinds[number % 3 if number % 7 else 0])
            await heard(transport, far)
            assert raw[:-1] == list(range(600))
