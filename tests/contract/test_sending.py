"""What is sent: its order, that groups stay together, and that a slow far end slows its senders and nothing else."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from jackfield.transport import (
    ConfigurationError,
    NotConnectedError,
    RealtimeTransportLayer,
    RemoteClosedError,
    TransportError,
    UnsupportedByTransportError,
)
from support.far_connection import PATIENCE, FarConnection
from support.sound import SOUND, duration_ms, likeness, pitch, tone
from support.subjects import Subject

MEGABYTE = 1024 * 1024


async def send_load(transport: RealtimeTransportLayer, load: bytes) -> None:
    """Send a lot at a time: audio, where that travels with the events; where it doesn't, no event waits for it."""
    if transport.capabilities.playback == "client":
        await transport.send_audio(load)
    else:
        await transport.send_event({"type": "x.load", "load": load.hex()})


def load_of(far: FarConnection) -> bytes:
    """Return what came of it."""
    return far.heard or bytes.fromhex("".join(event["load"] for event in far.of("x.load")))


def ahead(transport: RealtimeTransportLayer) -> str:
    """Return the type of the events that a load is sent as."""
    return "input_audio_buffer.append" if transport.capabilities.playback == "client" else "x.load"


async def turn_loops(count: int = 100) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


class TestAudio:
    async def test_arrives(self, subject: Subject) -> None:
        sizes = [1, 2, 3, 480, 960, 4800]
        async with subject.far_end() as far_end, subject.pair(far_end) as (transport, far):
            if not transport.capabilities.audio_in:
                for chunk, commit in ((b"\0\0", False), (b"\0\0", True), (b"", True)):
                    with pytest.raises(UnsupportedByTransportError, match="audio_in"):
                        await transport.send_audio(chunk, commit=commit)
                await transport.clear_audio()
                await far.expect("input_audio_buffer.clear")
                assert far.types() == ["input_audio_buffer.clear"]
                return
            as_events = transport.capabilities.playback == "client"
            said = random.Random(1).randbytes(76_246) if as_events else SOUND
            start = 0
            for size in [*sizes, len(said) - sum(sizes)]:
                await transport.send_audio(said[start : start + size])
                start += size
            got = await far.hear(len(said))
            if as_events:
                assert got == said
                assert far.types() == ["input_audio_buffer.append"] * (len(sizes) + 1)
            else:
                assert likeness(got, said) > 0.9
                assert far.types() == []

    async def test_an_empty_chunk_is_nothing(self, subject: Subject) -> None:
        async with subject.far_end() as far_end, subject.pair(far_end) as (transport, far):
            if not transport.capabilities.audio_in:
                pytest.skip("its audio does not pass through us")
            await transport.send_audio(b"")
            await transport.send_audio(b"", commit=True)
            await far.expect("input_audio_buffer.commit")
            assert far.types() == ["input_audio_buffer.commit"]

    async def test_a_commit_belongs_to_its_chunk(self, subject: Subject) -> None:
        chunks = [tone(300 + 100 * number, 100) for number in range(10)]
        async with subject.far_end() as far_end, subject.pair(far_end) as (transport, far):
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


class TestOrder:
    async def test_of_one_sender(self, subject: Subject) -> None:
        async with subject.far_end() as far_end, subject.pair(far_end) as (transport, far):
            for number in range(50):
                await transport.send_event({"type": "x.numbered", "number": number})
            await far.expect("x.numbered", 50)
            assert [event["number"] for event in far.of("x.numbered")] == list(range(50))

    async def test_of_many_senders_is_that_of_their_calls(self, subject: Subject) -> None:
        async with subject.far_end() as far_end, subject.pair(far_end) as (transport, far):
            # Large enough for the wire to make senders wait.
            load = "x" * 50_000
            events = ({"type": "x.numbered", "number": number, "load": load} for number in range(60))
            await asyncio.gather(*(transport.send_event(event) for event in events))
            await far.expect("x.numbered", 60)
            assert [event["number"] for event in far.of("x.numbered")] == list(range(60))

    async def test_is_the_same_on_out_and_on_the_wire(self, subject: Subject) -> None:
        async with subject.far_end() as far_end, subject.pair(far_end) as (transport, far):
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

    async def test_groups_stay_together_when_their_sender_is_cancelled(self, subject: Subject) -> None:
        async with subject.far_end() as far_end, subject.pair(far_end) as (transport, far):
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

    async def fill(self, subject: Subject, transport: Any) -> None:
        for _ in range(16):
            await send_load(transport, bytes(subject.load))


class TestBackpressure:
    async def test_a_far_end_that_does_not_read_slows_its_sender(self, subject: Subject) -> None:
        chunk = random.Random(1).randbytes(subject.load)
        accepted = 0

        async with subject.far_end() as far_end, subject.pair(far_end) as (transport, far):

            async def stream() -> None:
                nonlocal accepted
                for _ in range(64):
                    await send_load(transport, chunk)
                    accepted += 1

            far.stall()
            sender = asyncio.create_task(stream())
            before = -1
            while accepted != before:  # until it has come to a halt
                before = accepted
                await turn_loops(200)
            assert not sender.done()
            assert accepted < 16  # what is on the way at either end, and one chunk
            far.resume()
            async with asyncio.timeout(PATIENCE):
                await sender
                await far.expect(ahead(transport), 64)
            assert load_of(far) == chunk * 64

    async def test_a_sender_that_waits_does_not_keep_the_reader_waiting(self, subject: Subject) -> None:
        async with subject.far_end() as far_end, subject.pair(far_end) as (transport, far):
            heard = asyncio.Event()
            transport.on("rate_limits_updated", lambda _: heard.set())
            far.stall()
            senders = [asyncio.create_task(send_load(transport, bytes(subject.load))) for _ in range(32)]
            await turn_loops()
            assert not senders[-1].done()
            await far.send({"type": "rate_limits.updated", "rate_limits": []})
            async with asyncio.timeout(PATIENCE):
                await heard.wait()
            assert not senders[-1].done()
            far.resume()
            await asyncio.gather(*senders)

    @pytest.mark.parametrize("senders", [1, 2, 5])
    async def test_closing_frees_who_waits(self, subject: Subject, senders: int) -> None:
        async with subject.far_end() as far_end:
            transport = subject.make(far_end, **subject.brief)
            await transport.connect(**subject.where(far_end))
            (await far_end.connection()).stall()
            waiting = [asyncio.create_task(self.flood(subject, transport)) for _ in range(senders)]
            await turn_loops()
            assert not any(task.done() for task in waiting)
            await transport.close()
            async with asyncio.timeout(PATIENCE):
                results = await asyncio.gather(*waiting, return_exceptions=True)
            assert {type(result) for result in results} == {NotConnectedError}

    async def test_closing_frees_who_waits_for_a_group(self, subject: Subject) -> None:
        async with subject.far_end() as far_end:
            transport = subject.make(far_end, **subject.brief)
            await transport.connect(**subject.where(far_end))
            (await far_end.connection()).stall()
            before = asyncio.create_task(self.flood(subject, transport))
            await turn_loops()
            waiting = asyncio.create_task(transport.send_message("x" * subject.load))
            await turn_loops()
            assert not waiting.done()
            await transport.close()
            async with asyncio.timeout(PATIENCE):
                for task in (before, waiting):
                    with pytest.raises(NotConnectedError):
                        await task

    @pytest.mark.parametrize("senders", [1, 3])
    async def test_the_far_ends_end_frees_who_waits(self, subject: Subject, senders: int) -> None:
        async with subject.far_end() as far_end, subject.pair(far_end) as (transport, far):
            far.stall()
            waiting = [asyncio.create_task(self.flood(subject, transport)) for _ in range(senders)]
            await turn_loops()
            far.reset()
            async with asyncio.timeout(PATIENCE):
                results = await asyncio.gather(*waiting, return_exceptions=True)
            assert all(isinstance(result, NotConnectedError | RemoteClosedError) for result in results)

    async def flood(self, subject: Subject, transport: Any) -> None:
        while True:
            await send_load(transport, bytes(subject.load))


class TestSizes:
    @pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536, 2 * MEGABYTE])
    async def test_of_what_is_sent(self, subject: Subject, size: int) -> None:
        async with subject.far_end() as far_end, subject.pair(far_end) as (transport, far):
            event = {"type": "x.large", "text": "é" * size}
            if subject.largest is not None and 2 * size > subject.largest:
                with pytest.raises(TransportError, match=f"{subject.largest:,} at most"):
                    await transport.send_event(event)
                event["text"] = "é"
            await transport.send_event(event)
            assert (await far.expect("x.large"))["text"] == event["text"]
            assert len(far.received) == 1


class TestWhatCannotBeSent:
    async def test_is_refused_and_breaks_nothing(self, subject: Subject) -> None:
        async with subject.far_end() as far_end, subject.pair(far_end) as (transport, far):
            with pytest.raises(ConfigurationError, match="type"):
                await transport.send_event({"no": "type"})
            with pytest.raises(ConfigurationError, match=r"x\.odd"):
                await transport.send_event({"type": "x.odd", "value": object()})
            await transport.clear_audio()
            await far.expect("input_audio_buffer.clear")
            assert far.types() == ["input_audio_buffer.clear"]

    async def test_takes_no_turn(self, subject: Subject) -> None:
        async with subject.far_end() as far_end, subject.pair(far_end) as (transport, far):
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
