"""What is sent: its order, that groups stay together, and that a slow far end slows its senders and nothing else."""

from __future__ import annotations

import asyncio
import random
import tracemalloc
from base64 import b64encode
from typing import Any

import pytest

from jackfield.testing.conformance.check import area, claims, lacks
from jackfield.testing.conformance.far_end import FarConnection
from jackfield.testing.conformance.sound import SOUND, duration_ms, likeness
from jackfield.testing.conformance.stepping import turn_loops
from jackfield.testing.conformance.subject import Subject
from jackfield.transport import (
    ConfigurationError,
    NotConnectedError,
    RealtimeTransportLayer,
    RemoteClosedError,
    UnsupportedByTransportError,
)

from .watching import all_told, in_time, whole_turn

__all__ = ["TestAudioIn", "TestAudioOut", "TestBackpressure", "TestMemory", "TestSendOrder", "TestWhatCannotBeSent"]


def check_bytes(got: bytes, said: bytes) -> None:
    same = got == said  # or pytest would explain in which of all the bytes they differ
    assert same, f"of {len(said):,} bytes, {len(got):,} came, and they are not the same"


async def send_load(subject: Subject, transport: RealtimeTransportLayer) -> None:
    """Send a lot at a time, of which no compression makes little."""
    size = subject.load_bytes
    await transport.send_message(b64encode(random.Random(size).randbytes(size)).decode()[:size], trigger_response=False)


async def flood(subject: Subject, transport: RealtimeTransportLayer) -> None:
    while True:
        await send_load(subject, transport)


def load_of(far: FarConnection) -> int:
    return sum(map(len, far.messages))


@area("audio")
class TestAudioIn:
    @claims("audio_in")
    async def test_arrives_whole(self, subject: Subject) -> None:
        sizes = [2, 480, 960, 4800, 1, 3]
        async with subject.pair() as (transport, far):
            start = 0
            for size in [*sizes, len(SOUND) - sum(sizes)]:
                await transport.send_audio(SOUND[start : start + size])
                start += size
            await transport.commit_audio()
            await far.until(lambda: far.commits == 1, "the end of the turn")
            got = far.heard
            if subject.exact_input:
                check_bytes(got, SOUND)
            else:
                assert likeness(got, SOUND) > 0.9
                assert abs(duration_ms(got) - duration_ms(SOUND)) <= 40

    @claims("audio_in")
    async def test_an_empty_chunk_is_nothing(self, subject: Subject) -> None:
        async with subject.pair() as (transport, far):
            before = len(far.received)
            await transport.send_audio(b"")
            await transport.send_message("after", trigger_response=False)
            await far.until(lambda: far.messages, "a message")
            assert far.heard == b""
            assert len(far.received) - before <= 1

    @claims("audio_in")
    async def test_a_commit_comes_after_its_chunk(self, subject: Subject) -> None:
        heard: list[float] = []

        async def script(connection: FarConnection) -> None:
            await connection.accept()
            while True:
                await connection.receive()
                if connection.commits > len(heard):
                    heard.append(duration_ms(connection.heard))

        async with subject.pair(script) as (transport, far):
            for number in range(1, 4):
                await transport.send_audio(SOUND[:9600], commit=True)
                await far.until(lambda number=number: far.commits >= number, "the end of a turn")  # type: ignore[misc]
        late = [f"{ms:.0f} ms of {200 * turn}" for turn, ms in enumerate(heard, 1) if ms < 200 * turn - 60]
        assert not late, f"turns were ended before their audio had come: {late}"

    @lacks("audio_in")
    async def test_is_refused_where_it_is_not_claimed(self, subject: Subject) -> None:
        async with subject.pair() as (transport, far):
            before = len(far.received)
            for chunk, commit in ((b"\0\0", False), (b"\0\0", True)):
                with pytest.raises(UnsupportedByTransportError, match="audio_in"):
                    await transport.send_audio(chunk, commit=commit)
            await all_told(transport, far)
            assert len(far.received) == before


@area("audio")
class TestAudioOut:
    @claims("audio_out")
    async def test_arrives_whole_and_is_its_turns(self, subject: Subject) -> None:
        async with subject.pair() as (transport, far):
            events = transport.events()
            seen = set()
            for response_id in ("resp_a", "resp_b"):
                await far.say(SOUND, response_id=response_id)
                told = await whole_turn(events)
                audio = [event for event in told if event.type == "audio"]
                got = b"".join(event.data for event in audio)
                if subject.exact_output:
                    check_bytes(got, SOUND)
                else:
                    assert likeness(got, SOUND) > 0.9
                    assert duration_ms(got) >= duration_ms(SOUND)
                assert {event.format.rate for event in audio} == {24_000}
                [turn_id] = {event.response_id for event in audio}
                assert turn_id == next(event.response_id for event in told if event.type == "turn_done")
                seen.add((turn_id, *{event.item_id for event in audio}))
            assert len(seen) == 2, "the audio of two turns has the same ids"

    @claims("audio_out")
    async def test_its_end_comes_after_its_last_chunk(self, subject: Subject) -> None:
        async with subject.pair() as (transport, far):
            events = transport.events()
            await far.say()
            kinds = [event.type for event in await whole_turn(events)]
            assert kinds.count("audio_done") == 1
            assert "audio" not in kinds[kinds.index("audio_done") :]

    @lacks("audio_out")
    async def test_is_not_told_where_it_is_not_claimed(self, subject: Subject) -> None:
        async with subject.pair() as (transport, far):
            events = transport.events()
            await far.say(SOUND)
            assert "audio" not in [event.type for event in await whole_turn(events)]


@area("ordering")
class TestSendOrder:
    async def test_of_one_sender(self, subject: Subject) -> None:
        texts = [str(number) for number in range(50)]
        async with subject.pair() as (transport, far):
            for text in texts:
                await transport.send_message(text, trigger_response=False)
            await far.until(lambda: len(far.messages) == 50, "50 messages")
            assert list(far.messages) == texts

    async def test_of_many_senders_is_that_of_their_calls(self, subject: Subject) -> None:
        # Large enough for the wire to make senders wait.
        texts = [f"{number} {'x' * 50_000}" for number in range(60)]
        async with subject.pair() as (transport, far):
            await asyncio.gather(*(transport.send_message(text, trigger_response=False) for text in texts))
            await far.until(lambda: len(far.messages) == 60, "60 messages")
            assert [text.split()[0] for text in far.messages] == [text.split()[0] for text in texts]

    async def test_is_the_same_on_out_and_on_the_wire(self, subject: Subject) -> None:
        async with subject.pair() as (transport, far):
            before = len(far.received)
            told: list[Any] = []
            transport.on("*out", told.append)
            await transport.send_message("hello", trigger_response=False)
            await transport.send_event(far.own_message(5))
            await transport.send_message("again", trigger_response=False)
            await far.until(lambda: len(far.messages) >= 2, "two messages")
            assert told == far.received[before:]

    async def test_a_message_of_the_providers_own_goes_as_it_is(self, subject: Subject) -> None:
        async with subject.pair() as (transport, far):
            message = far.own_message(7)
            await transport.send_event(message)
            await far.until(lambda: dict(message) in far.received, "the message as it was given")

    async def test_a_message_and_its_request_stay_together_when_their_sender_is_cancelled(
        self, subject: Subject
    ) -> None:
        async with subject.pair() as (transport, far):
            far.stall()
            filler = asyncio.create_task(self.fill(subject, transport))
            await turn_loops()
            group = asyncio.create_task(transport.send_message("together"))
            await asyncio.sleep(0)
            group.cancel()
            await asyncio.wait({group})
            far.resume()
            await filler
            await far.until(lambda: far.requests > 0 or "together" in far.messages, "the message")
            await far.until(lambda: far.requests > 0 and "together" in far.messages, "the other half of the group")

    async def fill(self, subject: Subject, transport: Any) -> None:
        for _ in range(16):
            await send_load(subject, transport)


@area("backpressure")
class TestBackpressure:
    async def test_a_far_end_that_does_not_read_slows_its_sender(self, subject: Subject) -> None:
        accepted = 0

        async with subject.pair() as (transport, far):

            async def stream() -> None:
                nonlocal accepted
                for _ in range(64):
                    await send_load(subject, transport)
                    accepted += 1

            far.stall()
            sender = asyncio.create_task(stream())
            before = -1
            while accepted != before:  # until it has come to a halt
                before = accepted
                await turn_loops(200)
            assert not sender.done() and accepted < 16, (
                f"{accepted} messages of {subject.load_bytes:,} bytes were taken, and nobody read them: where are they?"
            )
            far.resume()
            await in_time("the sender", sender)
            await far.until(lambda: load_of(far) == 64 * subject.load_bytes, "all that was sent")

    async def test_a_sender_that_waits_does_not_keep_the_reader_waiting(self, subject: Subject) -> None:
        async with subject.pair() as (transport, far):
            far.stall()
            senders = [asyncio.create_task(send_load(subject, transport)) for _ in range(32)]
            await turn_loops()
            assert not senders[-1].done()
            await all_told(transport, far)
            assert not senders[-1].done()
            far.resume()
            await asyncio.gather(*senders)

    @pytest.mark.parametrize("senders", [1, 3])
    async def test_closing_frees_who_waits(self, subject: Subject, senders: int) -> None:
        async with subject.far_end() as far_end:
            transport = subject.make(far_end, **subject.hurried)
            await transport.connect(**subject.where(far_end))
            (await far_end.connection()).stall()
            waiting = [asyncio.create_task(flood(subject, transport)) for _ in range(senders)]
            await turn_loops()
            assert not any(task.done() for task in waiting)
            await in_time("close()", transport.close())
            results = await in_time("the senders", asyncio.gather(*waiting, return_exceptions=True))
            assert {type(result) for result in results} == {NotConnectedError}

    async def test_the_far_ends_end_frees_who_waits(self, subject: Subject) -> None:
        async with subject.pair() as (transport, far):
            far.stall()
            waiting = [asyncio.create_task(flood(subject, transport)) for _ in range(2)]
            await turn_loops()
            far.reset()
            results = await in_time("the senders", asyncio.gather(*waiting, return_exceptions=True))
            assert all(isinstance(result, NotConnectedError | RemoteClosedError) for result in results)


@area("memory")
class TestMemory:
    async def test_a_long_conversation_costs_no_more_than_a_short_one(self, subject: Subject) -> None:
        many = 200

        async def talk(transport: RealtimeTransportLayer, far: FarConnection, start: int) -> None:
            for number in range(start, start + many):
                await far.write(f"{number} " * 20, response_id=f"resp_{number}")
                if number % 20 == 0:
                    await all_told(transport, far)
            await all_told(transport, far)

        async with subject.pair() as (transport, far):
            await talk(transport, far, 0)
            tracemalloc.start()
            try:
                await talk(transport, far, many)
                before, _ = tracemalloc.get_traced_memory()
                await talk(transport, far, 2 * many)
                after, _ = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            per_turn = (after - before) / many
            assert per_turn < 400, f"each turn leaves {per_turn:.0f} bytes behind"


@area("robustness")
class TestWhatCannotBeSent:
    async def test_is_refused_and_breaks_nothing(self, subject: Subject) -> None:
        async with subject.pair() as (transport, far):
            with pytest.raises(ConfigurationError):
                await transport.send_event({**far.own_message(1), "odd": object()})
            with pytest.raises(ConfigurationError):
                await transport.send_message("half a character: \ud83d")
            assert far.requests == 0
            await transport.send_message("whole")
            await far.until(lambda: far.requests == 1, "the request")
            assert list(far.messages) == ["whole"], "half of a refused message was sent"
