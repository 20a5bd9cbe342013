"""What is sent: its order, that groups stay together, and that a slow far end slows its senders and nothing else."""

from __future__ import annotations

import asyncio
import base64
import random
from typing import Any

import pytest

from jackfield.transport import ConfigurationError, NotConnectedError, UnsupportedByTransportError
from support.far_end import PATIENCE, FarConnection, FarEnd
from support.subjects import Subject

MEGABYTE = 1024 * 1024


def audio_of(far: FarConnection) -> bytes:
    return b"".join(base64.b64decode(event["audio"]) for event in far.of("input_audio_buffer.append"))


async def all_of_it(far: FarConnection, size: int) -> bytes:
    """Wait until that many bytes of audio have come."""
    count = 1
    while len(audio_of(far)) < size:
        await far.expect("input_audio_buffer.append", count)
        count = len(far.of("input_audio_buffer.append")) + 1
    return audio_of(far)


class TestAudio:
    async def test_arrives_byte_for_byte(self, subject: Subject) -> None:
        sizes = [1, 2, 3, 480, 960, 4800, 70_000]
        chunks = [random.Random(size).randbytes(size) for size in sizes]
        async with FarEnd() as far_end, subject.pair(far_end) as (transport, far):
            if not transport.capabilities.audio_in:
                with pytest.raises(UnsupportedByTransportError, match="audio_in"):
                    await transport.send_audio(b"\0\0")
                return
            for chunk in chunks:
                await transport.send_audio(chunk)
            assert await all_of_it(far, sum(sizes)) == b"".join(chunks)
            assert far.types() == ["input_audio_buffer.append"] * len(sizes)

    async def test_an_empty_chunk_is_nothing(self, subject: Subject) -> None:
        async with FarEnd() as far_end, subject.pair(far_end) as (transport, far):
            await transport.send_audio(b"")
            await transport.send_audio(b"", commit=True)
            await far.expect("input_audio_buffer.commit")
            assert far.types() == ["input_audio_buffer.commit"]

    async def test_a_commit_belongs_to_its_chunk(self, subject: Subject) -> None:
        async with FarEnd() as far_end, subject.pair(far_end) as (transport, far):
            turns = [transport.send_audio(bytes([number, 0]) * 20_000, commit=True) for number in range(20)]
            await asyncio.gather(*turns)
            await far.expect("input_audio_buffer.commit", 20)
            assert far.types() == ["input_audio_buffer.append", "input_audio_buffer.commit"] * 20


class TestOrder:
    async def test_of_one_sender(self, subject: Subject) -> None:
        async with FarEnd() as far_end, subject.pair(far_end) as (transport, far):
            for number in range(50):
                await transport.send_event({"type": "x.numbered", "number": number})
            await far.expect("x.numbered", 50)
            assert [event["number"] for event in far.of("x.numbered")] == list(range(50))

    async def test_of_many_senders_is_that_of_their_calls(self, subject: Subject) -> None:
        async with FarEnd() as far_end, subject.pair(far_end) as (transport, far):
            # Large enough for the wire to make senders wait.
            load = "x" * 50_000
            events = ({"type": "x.numbered", "number": number, "load": load} for number in range(60))
            await asyncio.gather(*(transport.send_event(event) for event in events))
            await far.expect("x.numbered", 60)
            assert [event["number"] for event in far.of("x.numbered")] == list(range(60))

    async def test_is_the_same_on_out_and_on_the_wire(self, subject: Subject) -> None:
        async with FarEnd() as far_end, subject.pair(far_end) as (transport, far):
            told: list[dict[str, Any]] = []
            transport.on("*out", told.append)
            await asyncio.gather(
                transport.send_message("hello", trigger_response=False),
                transport.send_audio(b"\1\2" * 30_000, commit=True),
                transport.send_event({"type": "x.own", "nested": {"kept": [1, None, "ü"]}}),
                transport.update_session_config({"instructions": "New ones"}),
                transport.clear_audio(),
            )
            await far.expect("input_audio_buffer.clear")
            assert told == far.received
            assert [event["type"] for event in told] == [
                "conversation.item.create",
                "input_audio_buffer.append",
                "input_audio_buffer.commit",
                "x.own",
                "session.update",
                "input_audio_buffer.clear",
            ]

    async def test_groups_stay_together_when_their_sender_is_cancelled(self, subject: Subject) -> None:
        async with FarEnd() as far_end, subject.pair(far_end) as (transport, far):
            far.stall()
            filler = asyncio.create_task(self.fill(transport))
            for _ in range(100):
                await asyncio.sleep(0)
            group = asyncio.create_task(transport.send_message("together"))
            await asyncio.sleep(0)
            group.cancel()
            await asyncio.wait({group})
            far.resume()
            await filler
            await far.expect("response.create")
            kinds = [kind for kind in far.types() if kind != "input_audio_buffer.append"]
            assert kinds == ["conversation.item.create", "response.create"]
            place = far.types().index("conversation.item.create")
            assert far.types()[place + 1] == "response.create"

    async def fill(self, transport: Any) -> None:
        for _ in range(40):
            await transport.send_audio(bytes(400_000))


class TestBackpressure:
    async def test_a_far_end_that_does_not_read_slows_its_sender(self, subject: Subject) -> None:
        chunk = random.Random(1).randbytes(MEGABYTE)
        accepted = 0

        async with FarEnd() as far_end, subject.pair(far_end) as (transport, far):

            async def stream() -> None:
                nonlocal accepted
                for _ in range(64):
                    await transport.send_audio(chunk)
                    accepted += 1

            far.stall()
            sender = asyncio.create_task(stream())
            before = -1
            while accepted != before:  # until it has come to a halt
                before = accepted
                for _ in range(200):
                    await asyncio.sleep(0)
            assert not sender.done()
            assert accepted < 16  # what the kernel takes at either end, and one chunk
            far.resume()
            async with asyncio.timeout(PATIENCE):
                await sender
                assert await all_of_it(far, 64 * MEGABYTE) == chunk * 64

    async def test_a_sender_that_waits_does_not_keep_the_reader_waiting(self, subject: Subject) -> None:
        async with FarEnd() as far_end, subject.pair(far_end) as (transport, far):
            heard = asyncio.Event()
            transport.on("rate_limits_updated", lambda _: heard.set())
            far.stall()
            sender = asyncio.create_task(transport.send_audio(bytes(64 * MEGABYTE)))
            for _ in range(100):
                await asyncio.sleep(0)
            assert not sender.done()
            await far.send({"type": "rate_limits.updated", "rate_limits": []})
            async with asyncio.timeout(PATIENCE):
                await heard.wait()
            assert not sender.done()
            far.resume()
            await sender

    @pytest.mark.parametrize("senders", [1, 2, 5])
    async def test_closing_frees_who_waits(self, subject: Subject, senders: int) -> None:
        async with FarEnd() as far_end:
            transport = subject.make(far_end, close_timeout=0.05)
            await transport.connect(**subject.where(far_end))
            (await far_end.connection()).stall()
            waiting = [asyncio.create_task(transport.send_audio(bytes(16 * MEGABYTE))) for _ in range(senders)]
            for _ in range(100):
                await asyncio.sleep(0)
            await transport.close()
            async with asyncio.timeout(PATIENCE):
                results = await asyncio.gather(*waiting, return_exceptions=True)
            assert {type(result) for result in results} <= {NotConnectedError, type(None)}
            assert isinstance(results[-1], NotConnectedError)

    async def test_closing_frees_who_waits_for_a_group(self, subject: Subject) -> None:
        async with FarEnd() as far_end:
            transport = subject.make(far_end, close_timeout=0.05)
            await transport.connect(**subject.where(far_end))
            (await far_end.connection()).stall()
            waiting = asyncio.create_task(transport.send_message("x" * 16 * MEGABYTE))
            for _ in range(100):
                await asyncio.sleep(0)
            assert not waiting.done()
            await transport.close()
            async with asyncio.timeout(PATIENCE):
                with pytest.raises(NotConnectedError):
                    await waiting

    @pytest.mark.parametrize("senders", [1, 3])
    async def test_the_far_ends_end_frees_who_waits(self, subject: Subject, senders: int) -> None:
        async with FarEnd() as far_end, subject.pair(far_end) as (transport, far):
            far.stall()
            waiting = [asyncio.create_task(transport.send_audio(bytes(16 * MEGABYTE))) for _ in range(senders)]
            for _ in range(100):
                await asyncio.sleep(0)
            far.reset()
            async with asyncio.timeout(PATIENCE):
                results = await asyncio.gather(*waiting, return_exceptions=True)
            assert all(isinstance(result, Exception) for result in results)


class TestSizes:
    @pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536, 4 * MEGABYTE])
    async def test_of_what_is_sent(self, subject: Subject, size: int) -> None:
        async with FarEnd() as far_end, subject.pair(far_end) as (transport, far):
            await transport.send_event({"type": "x.large", "text": "é" * size})
            event = await far.expect("x.large")
            assert event["text"] == "é" * size


class TestWhatCannotBeSent:
    async def test_is_refused_and_breaks_nothing(self, subject: Subject) -> None:
        async with FarEnd() as far_end, subject.pair(far_end) as (transport, far):
            with pytest.raises(ConfigurationError, match="type"):
                await transport.send_event({"no": "type"})
            with pytest.raises(ConfigurationError, match=r"x\.odd"):
                await transport.send_event({"type": "x.odd", "value": object()})
            await transport.clear_audio()
            await far.expect("input_audio_buffer.clear")
            assert far.types() == ["input_audio_buffer.clear"]

    async def test_takes_no_turn(self, subject: Subject) -> None:
        async with FarEnd() as far_end, subject.pair(far_end) as (transport, far):
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
