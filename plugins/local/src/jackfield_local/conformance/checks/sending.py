"""What is sent: its order, that groups stay together, and that a slow far end slows its senders and nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jackfield.testing.conformance.check import area
from jackfield.testing.conformance.sound import duration_ms, pitch, tone
from jackfield.testing.conformance.stepping import turn_loops
from jackfield.transport import (
    ConfigurationError,
    RealtimeTransportLayer,
    TransportError,
)
from jackfield_local.conformance.subjects import DialectSubject

__all__ = ["TestDialectCommits", "TestDialectRefusals", "TestDialectSending", "TestDialectSizes"]


MEGABYTE = 1024 * 1024


async def send_load(transport: RealtimeTransportLayer, load: bytes) -> None:
    """Send a lot at a time: audio, where that travels with the events; where it doesn't, no event waits for it."""
    if transport.capabilities.playback == "client":
        await transport.send_audio(load)
    else:
        await transport.send_event({"type": "x.load", "load": load.hex()})


def ahead(transport: RealtimeTransportLayer) -> str:
    """Return the type of the events that a load is sent as."""
    return "input_audio_buffer.append" if transport.capabilities.playback == "client" else "x.load"


@area("dialect")
class TestDialectCommits:
    async def test_a_commit_belongs_to_its_chunk(self, subject: DialectSubject) -> None:
        chunks = [tone(300 + 100 * number, 100) for number in range(10)]
        async with subject.far_end() as far_end, subject.link(far_end) as (transport, far):
            if not transport.capabilities.audio_in:
                pytest.skip("its audio does not pass through us")
            await asyncio.gather(*(transport.send_audio(chunk, commit=True) for chunk in chunks))
            await far.expect("input_audio_buffer.commit", len(chunks))
            turns = far.turns()
            if transport.capabilities.playback == "client":
                assert turns == chunks
                assert far.types() == ["input_audio_buffer.append", "input_audio_buffer.commit"] * len(chunks)
            else:
                assert far.types() == ["input_audio_buffer.commit"] * len(chunks)
                for turn, chunk in zip(turns, chunks, strict=True):
                    assert abs(duration_ms(turn) - duration_ms(chunk)) <= 20  # a frame that speech begins or ends in
                    assert abs(pitch(turn) - pitch(chunk)) <= 30


@area("dialect")
class TestDialectSending:
    async def test_is_the_same_on_out_and_on_the_wire(self, subject: DialectSubject) -> None:
        async with subject.far_end() as far_end, subject.link(far_end) as (transport, far):
            told: list[dict[str, Any]] = []
            transport.on("*out", told.append)
            sends_audio = transport.capabilities.audio_in
            await asyncio.gather(
                transport.send_message("hello", trigger_response=False),
                transport.send_audio(b"\1\2" * 30_000, commit=True) if sends_audio else transport.commit_audio(),
                transport.send_event({"type": "x.own", "nested": {"kept": [1, None, "ü"]}}),
                transport.update_session_config({"instructions": "New ones"}),
                transport.clear_audio(),
            )
            await far.expect("input_audio_buffer.clear")
            await far.expect("input_audio_buffer.commit")
            assert told == far.received
            kinds = [
                "conversation.item.create",
                "input_audio_buffer.append",
                "input_audio_buffer.commit",
                "x.own",
                "session.update",
                "input_audio_buffer.clear",
            ]
            if not sends_audio:
                kinds.remove("input_audio_buffer.append")
            elif transport.capabilities.playback == "server":  # the commit waits until the audio is on its way
                kinds = [*(kind for kind in kinds if not kind.startswith("input_audio_buffer.")), kinds[-1], kinds[2]]
            assert [event["type"] for event in told] == kinds

    async def test_groups_stay_together_when_their_sender_is_cancelled(self, subject: DialectSubject) -> None:
        async with subject.far_end() as far_end, subject.link(far_end) as (transport, far):
            far.stall()
            filler = asyncio.create_task(self.fill(subject, transport))
            await turn_loops()
            group = asyncio.create_task(transport.send_message("together"))
            await asyncio.sleep(0)
            group.cancel()
            await asyncio.wait({group})
            far.resume()
            await filler
            await far.expect("response.create")
            kinds = [kind for kind in far.types() if kind != ahead(transport)]
            assert kinds == ["conversation.item.create", "response.create"]
            place = far.types().index("conversation.item.create")
            assert far.types()[place + 1] == "response.create"

    async def fill(self, subject: DialectSubject, transport: Any) -> None:
        for _ in range(16):
            await send_load(transport, bytes(subject.load_bytes))


@area("dialect")
class TestDialectSizes:
    @pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536, 2 * MEGABYTE])
    async def test_of_what_is_sent(self, subject: DialectSubject, size: int) -> None:
        async with subject.far_end() as far_end, subject.link(far_end) as (transport, far):
            event = {"type": "x.large", "text": "é" * size}
            if subject.largest_bytes is not None and 2 * size > subject.largest_bytes:
                with pytest.raises(TransportError, match=f"{subject.largest_bytes:,} at most"):
                    await transport.send_event(event)
                event["text"] = "é"
            await transport.send_event(event)
            assert (await far.expect("x.large"))["text"] == event["text"]
            assert len(far.received) == 1


@area("dialect")
class TestDialectRefusals:
    async def test_takes_no_turn(self, subject: DialectSubject) -> None:
        async with subject.far_end() as far_end, subject.link(far_end) as (transport, far):
            odd = {"metadata": {"value": object()}}
            for send in (
                transport.request_response(odd),
                transport.send_event({"type": "response.create", "response": odd}),
                transport.send_message("half a character: \ud83d"),
            ):
                with pytest.raises(ConfigurationError, match="JSON"):
                    await send
            await transport.request_response()
            await far.expect("response.create")
            assert far.types() == ["response.create"]
