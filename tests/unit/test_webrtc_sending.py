"""What the application sends, on its way to the network: in frames, in time, with a bounded lead."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from aiortc import MediaStreamError
from hypothesis import given
from hypothesis import strategies as st

from jackfield.audio import PCM16, PCMU, AudioFormat, g711
from jackfield_transports.webrtc.media import FRAME_BYTES, OpusDecoder, OutgoingAudio
from jackfield_transports.webrtc.microphone import Microphone
from support.clock import advance, settle, timeless

FRAME = bytes(range(1, 241)) * 4


def frames(microphone: Microphone) -> list[bytes]:
    """Take frames until there are none, two turns long."""
    taken, empty = [], 0
    while empty < 2:
        frame = microphone.next_frame()
        empty = empty + 1 if frame is None else 0
        if frame is not None:
            taken.append(frame)
    return taken


async def paced(microphone: Microphone, seconds: float) -> list[bytes | None]:
    """Let the clock ask for a frame every 20 ms."""
    taken = []
    for _ in range(round(seconds / 0.02)):
        taken.append(microphone.next_frame())
        await advance(0.02)
    return taken


class TestMicrophone:
    @given(st.lists(st.binary(max_size=3_000), max_size=3))
    def test_everything_is_given_out_in_order(self, chunks: list[bytes]) -> None:
        async def write() -> bytes:
            microphone = Microphone(lambda: None)
            for chunk in chunks:
                await microphone.write(chunk, PCM16)
            return b"".join(frames(microphone))

        given_out = asyncio.run(write())
        sent = b"".join(chunks)
        whole = len(sent) & ~1  # half a sample waits for its other half
        assert given_out[:whole] == sent[:whole]
        assert not any(given_out[whole:]), "the last frame is filled up with silence"
        assert len(given_out) == -(-whole // FRAME_BYTES) * FRAME_BYTES

    @timeless
    async def test_real_time_never_waits(self) -> None:
        microphone = Microphone(lambda: None)
        for _ in range(100):
            async with asyncio.timeout(0):
                await microphone.write(FRAME, PCM16)
            assert microphone.next_frame() == FRAME
            await advance(0.02)
        assert microphone.queued_ms == 0

    @timeless
    async def test_faster_than_real_time_waits(self) -> None:
        microphone = Microphone(lambda: None)
        writing = asyncio.create_task(microphone.write(FRAME * 100, PCM16))
        await settle()
        assert microphone.queued_ms <= 400 and not writing.done()
        taken = await paced(microphone, 1.7)
        assert microphone.queued_ms <= 400 and not writing.done()
        taken += await paced(microphone, 0.4)
        assert writing.done()
        assert taken[:100] == [FRAME] * 100

    @timeless
    async def test_two_senders_don_t_get_mixed(self) -> None:
        microphone = Microphone(lambda: None)
        one, two = bytes([1, 0]) * 480, bytes([2, 0]) * 480
        async with asyncio.TaskGroup() as group:
            group.create_task(microphone.write(one * 30, PCM16))
            group.create_task(microphone.write(two * 30, PCM16))
            taken = [frame for frame in await paced(microphone, 1.4) if frame is not None]
        assert taken == [one] * 30 + [two] * 30

    @timeless
    async def test_flush_returns_when_all_had_its_turn(self) -> None:
        microphone = Microphone(lambda: None)
        await microphone.write(FRAME * 2 + FRAME[:100], PCM16)
        flushing = asyncio.create_task(microphone.flush())
        await settle()
        assert not flushing.done()
        taken = await paced(microphone, 0.06)
        assert flushing.done()
        assert taken == [FRAME, FRAME, FRAME[:100].ljust(FRAME_BYTES, b"\0")]

    @timeless
    async def test_clear_drops_what_waits_and_frees_who_waits(self) -> None:
        microphone = Microphone(lambda: None)
        flushing = asyncio.create_task(microphone.flush())
        await microphone.write(FRAME * 3, PCM16)
        microphone.clear()
        await settle()
        assert flushing.done() and microphone.next_frame() is None

    @timeless
    async def test_closed_it_takes_nothing_and_holds_nobody(self) -> None:
        microphone = Microphone(lambda: None)
        writing = asyncio.create_task(microphone.write(FRAME * 100, PCM16))
        await settle()
        microphone.close()
        with pytest.raises(ConnectionError):
            await writing
        with pytest.raises(ConnectionError):
            await microphone.write(FRAME, PCM16)

    @timeless
    async def test_muted_it_keeps_time(self) -> None:
        microphone = Microphone(lambda: None)
        await microphone.write(FRAME * 3, PCM16)
        microphone.muted = True
        assert microphone.next_frame() is None
        assert microphone.next_frame() is None
        microphone.muted = False
        assert microphone.next_frame() == FRAME, "what was said meanwhile is gone"
        assert microphone.next_frame() is None

    @timeless
    async def test_what_is_not_yet_a_frame_waits_for_its_rest_once(self) -> None:
        microphone = Microphone(lambda: None)
        await microphone.write(FRAME[:400], PCM16)
        assert microphone.next_frame() is None
        await microphone.write(FRAME[400:], PCM16)
        assert microphone.next_frame() == FRAME
        await microphone.write(FRAME[:400], PCM16)
        assert microphone.next_frame() is None
        assert microphone.next_frame() == FRAME[:400].ljust(FRAME_BYTES, b"\0")

    @timeless
    async def test_speech_after_silence_is_told_once(self) -> None:
        told: list[None] = []
        microphone = Microphone(lambda: told.append(None))
        for _ in range(3):
            await microphone.write(FRAME, PCM16)
        assert len(told) == 1
        frames(microphone)
        await microphone.write(FRAME, PCM16)
        assert len(told) == 2

    @timeless
    async def test_lateness_does_not_stay(self) -> None:
        """Chunks that came late at once leave a delay behind them, until there is a pause to make it up in."""
        microphone = Microphone(lambda: None)
        quiet = bytes(FRAME_BYTES)
        for _ in range(6):
            await microphone.write(FRAME, PCM16)
        taken = []
        for number in range(200):
            await microphone.write(quiet if number % 100 > 90 else FRAME, PCM16)
            taken.append(microphone.next_frame())
            await advance(0.02)
        assert microphone.queued_ms < 20
        assert taken.count(FRAME) == 6 + 182, "no word is left out"

    @timeless
    async def test_a_lead_is_no_lateness(self) -> None:
        microphone = Microphone(lambda: None)
        quiet = bytes(FRAME_BYTES)
        writing = asyncio.create_task(microphone.write(quiet * 200, PCM16))
        taken = await paced(microphone, 4.2)
        assert writing.done()
        assert sum(frame is not None for frame in taken) == 200

    @pytest.mark.parametrize("format", [PCMU, AudioFormat("audio/pcma", 8000), AudioFormat("audio/pcm", 16_000)])
    @timeless
    async def test_other_formats_become_ours(self, format: AudioFormat) -> None:  # noqa: A002
        time = np.arange(format.rate) / format.rate
        pcm = (8_000 * np.sin(2 * np.pi * 440 * time)).astype("<i2").tobytes()
        laws: dict[str, Callable[[bytes], bytes]] = {
            "audio/pcmu": lambda data: g711.encode(data, "ulaw"),
            "audio/pcma": lambda data: g711.encode(data, "alaw"),
        }
        sent = laws.get(format.type, bytes)(pcm)
        microphone = Microphone(lambda: None)
        async with asyncio.TaskGroup() as group:
            group.create_task(microphone.write(sent, format))
            taken = await paced(microphone, 1.1)
        heard = np.frombuffer(b"".join(frame for frame in taken if frame), "<i2").astype(float)
        assert abs(len(heard) / 24 - 1000) <= 20
        spectrum = np.abs(np.fft.rfft(heard[2_400:21_600]))
        assert abs(np.argmax(spectrum) * 24_000 / 19_200 - 440) < 2


async def packets(track: OutgoingAudio, seconds: float) -> list[tuple[float, Any]]:
    """Read the track for so long; return when each packet came, in ms from now, and the packet."""
    loop = asyncio.get_running_loop()
    began, got = loop.time(), []

    async def read() -> None:
        while True:
            packet = await track.recv()
            got.append((round((loop.time() - began) * 1000, 3), packet))

    reading = asyncio.create_task(read())
    await advance(seconds)
    reading.cancel()
    return got


class TestOutgoingAudio:
    @timeless
    async def test_a_packet_every_20_ms_by_an_absolute_clock(self) -> None:
        track = OutgoingAudio(lambda: FRAME)
        got = await packets(track, 1.0)
        assert [at for at, _ in got] == [20.0 * number for number in range(len(got))]
        assert len(got) in {50, 51}
        assert [packet.pts for _, packet in got] == [960 * number for number in range(len(got))]

    @timeless
    async def test_it_is_opus(self) -> None:
        decoder = OpusDecoder()
        time = np.arange(24_000) / 24_000
        pcm = (8_000 * np.sin(2 * np.pi * 440 * time)).astype("<i2").tobytes()
        parts = iter([pcm[start : start + FRAME_BYTES] for start in range(0, len(pcm), FRAME_BYTES)])
        track = OutgoingAudio(lambda: next(parts, None))
        got = await packets(track, 0.99)
        heard = np.frombuffer(b"".join(decoder.decode(bytes(packet)) for _, packet in got), "<i2").astype(float)
        assert len(heard) == 960 * len(got)
        spectrum = np.abs(np.fft.rfft(heard[4_800:43_200]))
        assert abs(np.argmax(spectrum) * 48_000 / 38_400 - 440) < 2

    @timeless
    async def test_silence_is_sent_too_and_is_silent(self) -> None:
        decoder = OpusDecoder()
        sounds = iter([FRAME] * 5)
        got = await packets(OutgoingAudio(lambda: next(sounds, None)), 0.5)
        assert len(got) >= 25
        sizes = [len(bytes(packet)) for _, packet in got]
        assert set(sizes[10:]) == {3}, "a packet that says silence is as good as an encoded one"
        heard = [np.frombuffer(decoder.decode(bytes(packet)), "<i2") for _, packet in got]
        assert all(np.abs(part).max() < 8 for part in heard[12:])

    @timeless
    async def test_a_short_stall_is_caught_up_with(self) -> None:
        track = OutgoingAudio(lambda: FRAME)
        await track.recv()
        await advance(0.09)
        got = await packets(track, 0.1)
        assert [at for at, _ in got][:5] == [0, 0, 0, 0, 10.0]
        assert [packet.pts for _, packet in got] == [960 * number for number in range(1, len(got) + 1)]

    @timeless
    async def test_a_long_stall_is_skipped(self) -> None:
        track = OutgoingAudio(lambda: FRAME)
        await track.recv()
        await advance(3.0)
        got = await packets(track, 0.1)
        times = [at for at, _ in got]
        assert times[1] - times[0] == pytest.approx(20.0), "no burst"
        assert got[0][1].pts == 960 * 150, "the time that passed, passed for the far end as well"

    @timeless
    async def test_speech_after_silence_does_not_wait_for_the_clock(self) -> None:
        queue: list[bytes] = []
        track = OutgoingAudio(lambda: queue.pop(0) if queue else None)
        loop = asyncio.get_running_loop()
        said: list[float] = []
        began = loop.time()

        async def read() -> None:
            while True:
                packet = await track.recv()
                if len(bytes(packet)) > 10:
                    said.append(round((loop.time() - began) * 1000, 3))

        reading = asyncio.create_task(read())
        await advance(0.201)
        queue += [FRAME] * 3
        track.hurry()
        await advance(0.1)
        reading.cancel()
        assert said[:3] == [206.0, 226.0, 246.0]

    @timeless
    async def test_stopped_it_ends(self) -> None:
        track = OutgoingAudio(lambda: FRAME)
        await track.recv()
        track.stop()
        with pytest.raises(MediaStreamError):
            await track.recv()
            await track.recv()
