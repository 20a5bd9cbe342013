"""Audio between two peers on loopback: whole, true and in time, also on a bad network, and with aiortc's own path."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest

from jackfield.testing.conformance import PATIENCE, settled
from jackfield_local.network import Impairment, impair
from jackfield_transports.webrtc.media import (
    FRAME_BYTES,
    AudioPeer,
    DataChannelPort,
    MessageTooLargeError,
    SdpError,
    max_message_size,
    use_stock,
)

pytestmark = pytest.mark.usefixtures("nothing_is_left")

RATE = 24_000


def melody(seconds: float) -> bytes:
    """A signal that can be found again: a tone that glides from 300 to 2,000 Hz."""
    time = np.arange(int(seconds * RATE)) / RATE
    phase = 2 * np.pi * (300 * time + (2_000 - 300) / (2 * seconds) * time**2)
    return (9_000 * np.sin(phase)).astype("<i2").tobytes()


class Recording:
    """What one side heard."""

    def __init__(self) -> None:
        self.pcm = bytearray()
        self.sizes: set[int] = set()
        self._news = asyncio.Condition()

    def hear(self, pcm: bytes) -> None:
        self.pcm += pcm
        self.sizes.add(len(pcm))

    @property
    def samples(self) -> Any:
        return np.frombuffer(bytes(self.pcm), "<i2").astype(float)

    def sound_ms(self, level: int = 500) -> float:
        """How long it is from the first sound to the last."""
        loud = np.flatnonzero(np.abs(self.samples) > level)
        return float(loud[-1] - loud[0] + 1) / 24 if len(loud) else 0.0

    def snr(self, sent: bytes) -> float:
        """Return how far, in dB, the best-fitting piece of what was heard stands above its difference from `sent`."""
        wanted, heard = np.frombuffer(sent, "<i2").astype(float), self.samples
        size = 1 << (len(heard) + len(wanted)).bit_length()
        likeness = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(wanted, size)), size)
        start = int(np.argmax(likeness[: len(heard)]))
        found = heard[start : start + len(wanted)]
        wanted = wanted[: len(found)]
        gain = (found @ wanted) / (wanted @ wanted)
        noise = found - gain * wanted
        return float(10 * np.log10(gain**2 * (wanted @ wanted) / (noise @ noise)))


def playing(pcm: bytes, started: Callable[[], bool] = lambda: True) -> Callable[[], bytes | None]:
    """Return a source that plays `pcm`, then silence."""
    position = 0

    def source() -> bytes | None:
        nonlocal position
        if position >= len(pcm) or not started():
            return None
        frame = pcm[position : position + FRAME_BYTES]
        position += FRAME_BYTES
        return frame.ljust(FRAME_BYTES, b"\0")

    return source


@contextlib.asynccontextmanager
async def pair(
    one: Callable[[], bytes | None], two: Callable[[], bytes | None]
) -> AsyncIterator[tuple[AudioPeer, AudioPeer, Recording, Recording]]:
    """Connect two peers; yield them, and what each of them hears."""
    ears = Recording(), Recording()
    caller = AudioPeer(source=one, sink=ears[0].hear, local_only=True)
    callee = AudioPeer(source=two, sink=ears[1].hear, local_only=True)
    try:
        caller.connection.createDataChannel("events")
        await caller.accept(await callee.answer(await caller.offer()))
        assert await settled(lambda: caller.state == callee.state == "connected")
        yield caller, callee, *ears
    finally:
        await caller.close()
        await callee.close()


async def heard_out(recording: Recording, ms: float) -> None:
    """Wait until so much was heard, and silence after it."""
    async with asyncio.timeout(PATIENCE):
        while recording.sound_ms() < ms - 20 or np.abs(recording.samples[-4_800:]).max() > 200:
            await asyncio.sleep(0.02)


class TestTruth:
    @pytest.mark.parametrize("path", ["own", "stock"])
    async def test_a_signal_arrives_whole_in_each_direction(self, path: str) -> None:
        ready = asyncio.Event()
        there, back = melody(1.5), melody(1.1)
        with use_stock() if path == "stock" else contextlib.nullcontext():
            talk = pair(playing(there, ready.is_set), playing(back, ready.is_set))
            async with talk as (caller, callee, heard_by_caller, heard_by_callee):
                assert caller.media_path is not None and caller.media_path.name == path
                assert callee.media_path is not None and callee.media_path.name == path
                ready.set()
                await heard_out(heard_by_callee, 1500)
                await heard_out(heard_by_caller, 1100)
        for heard, sent, ms in ((heard_by_callee, there, 1500), (heard_by_caller, back, 1100)):
            assert abs(heard.sound_ms() - ms) <= 20, "right to the frame: no first word is missing"
            assert heard.snr(sent) > 15

    async def test_frames_are_what_is_told(self) -> None:
        async with pair(playing(melody(0.5)), lambda: None) as (_, __, ___, heard):
            await heard_out(heard, 480)
        assert heard.sizes == {FRAME_BYTES}

    async def test_silence_is_silent(self) -> None:
        async with pair(lambda: None, lambda: None) as (_, __, ___, heard):
            assert await settled(lambda: len(heard.pcm) > 10 * FRAME_BYTES)
        assert np.abs(heard.samples).max() < 8


class TestBadNetworks:
    @pytest.mark.parametrize(
        "impairment",
        [
            Impairment(loss=0.01, seed=5),
            Impairment(loss=0.05, seed=2),
            Impairment(loss=0.05, burst=4, seed=3),
            Impairment(jitter_ms=30, seed=4),
            Impairment(loss=0.05, jitter_ms=30, seed=5),
        ],
        ids=["1 %", "5 %", "bursts", "jitter", "both"],
    )
    async def test_the_time_of_the_audio_is_kept(self, impairment: Impairment) -> None:
        ready = asyncio.Event()
        sent = melody(4)
        async with pair(playing(sent, ready.is_set), lambda: None) as (caller, callee, _, heard):
            impair(caller.connection, impairment)
            ready.set()
            await heard_out(heard, 3_950)
            counts = callee.counts
        assert abs(heard.sound_ms() - 4_000) <= 60, "a lost packet at either end is all that may be missing"
        if impairment.loss:
            assert counts.lost > 0
        else:
            assert (counts.lost, counts.late) == (0, 0), "what is late by 30 ms is waited for"
            assert heard.snr(sent) > 15

    async def test_there_is_no_delay_left_after_a_loss(self) -> None:
        """What comes behind a gap is handed on as it comes: nothing is held back, however often packets were lost."""
        async with pair(lambda: None, lambda: None) as (caller, callee, _, heard):
            network = impair(caller.connection, Impairment(loss=0.2, burst=3, seed=6))
            assert await settled(lambda: callee.counts.lost > 10)
            network.impairment = Impairment()
        held = callee.counts.packets - callee.counts.late + callee.counts.lost - len(heard.pcm) // FRAME_BYTES
        assert held <= 8


class TestThreads:
    async def test_ten_calls_need_none_of_their_own(self) -> None:
        before = set(threading.enumerate())
        async with contextlib.AsyncExitStack() as stack:
            calls = [await stack.enter_async_context(pair(playing(melody(0.4)), lambda: None)) for _ in range(10)]
            assert await settled(lambda: all(heard.sound_ms() > 300 for *_, heard in calls))
            assert set(threading.enumerate()) <= before


class TestDescriptions:
    @pytest.mark.parametrize("sdp", ["", "hello", "v=0\r\n", "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n", "{}"])
    async def test_what_is_none(self, sdp: str) -> None:
        peer = AudioPeer(source=lambda: None, sink=lambda _: None, local_only=True)
        with pytest.raises(SdpError):
            await peer.answer(sdp)
        await peer.close()

    async def test_no_video_codec_is_offered(self) -> None:
        peer = AudioPeer(source=lambda: None, sink=lambda _: None, local_only=True)
        offer = await peer.offer()
        await peer.close()
        assert "m=video" not in offer
        assert [line for line in offer.splitlines() if line.startswith("a=rtpmap")] == ["a=rtpmap:96 opus/48000/2"]

    async def test_local_ones_name_loopback_and_nothing_else(self) -> None:
        peer = AudioPeer(source=lambda: None, sink=lambda _: None, local_only=True)
        offer = await peer.offer()
        await peer.close()
        candidates = [line.split()[4] for line in offer.splitlines() if line.startswith("a=candidate")]
        assert set(candidates) == {"127.0.0.1"}


class TestChannels:
    async def test_messages_go_both_ways_and_end(self) -> None:
        caller = AudioPeer(source=lambda: None, sink=lambda _: None, local_only=True)
        callee = AudioPeer(source=lambda: None, sink=lambda _: None, local_only=True)
        port = DataChannelPort(caller.connection.createDataChannel("events"))
        taken: asyncio.Future[DataChannelPort] = asyncio.get_running_loop().create_future()
        callee.connection.on("datachannel", lambda channel: taken.set_result(DataChannelPort(channel)))
        answer = await callee.answer(await caller.offer())
        await caller.accept(answer)
        async with asyncio.timeout(PATIENCE):
            await port.opened
            far = await taken
            port.max_message_size = max_message_size(answer)
            large = "ü" * (port.max_message_size // 2)
            for text in ("one", large, ""):
                await port.send(text)
                assert await far.receive() == text
            with pytest.raises(MessageTooLargeError, match="data channel"):
                await port.send(large + "!")
            await far.send("back")
            assert await port.receive() == "back"
            far.close()
            assert await port.receive() is None and await port.receive() is None
            with pytest.raises(ConnectionError):
                await port.send("late")
        await caller.close()
        await callee.close()

    async def test_a_sender_waits_where_the_path_is_congested(self) -> None:
        caller = AudioPeer(source=lambda: None, sink=lambda _: None, local_only=True)
        callee = AudioPeer(source=lambda: None, sink=lambda _: None, local_only=True)
        port = DataChannelPort(caller.connection.createDataChannel("events"))
        got: list[int] = []
        callee.connection.on("datachannel", lambda channel: channel.on("message", lambda text: got.append(len(text))))
        await caller.accept(await callee.answer(await caller.offer()))
        async with asyncio.timeout(PATIENCE):
            await port.opened
            impair(caller.connection, Impairment(loss=0.9, burst=50, seed=1))
            sent = 0
            sending = asyncio.create_task(_send_all(port, 40))
            assert await settled(lambda: not port.writable)
            assert not sending.done()
            sent = len(got)
            assert sent < 40
            port.close()
            with pytest.raises(ConnectionError):
                await sending
        await caller.close()
        await callee.close()


async def _send_all(port: DataChannelPort, count: int) -> None:
    for _ in range(count):
        await port.send("x" * 50_000)
