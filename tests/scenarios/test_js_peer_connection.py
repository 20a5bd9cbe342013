"""Acceptance scenarios of the JavaScript SDK, 2, 14 and 17-19: the rules of a peer connection.

Each test carries the scenario's number. The peers are real, and so are the packets between them.
"""

from __future__ import annotations

import asyncio
from typing import Any

import av
import pytest
from aiortc import MediaStreamTrack

from jackfield.errors import AlreadyConnectedError, ConnectRefusedError, RemoteClosedError
from jackfield.testing.conformance import PATIENCE, no_leaks
from jackfield.testing.conformance.sound import SOUND
from jackfield_local.conformance.peers import RtcConnection, RtcFarEnd
from jackfield_transports.webrtc.transport import WebRTCTransport
from support.leap import leap, leaping


class Microphone(MediaStreamTrack):
    """A track of the application's: 20 ms of nothing much, again and again."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    async def recv(self) -> av.AudioFrame:
        self.reads += 1
        await asyncio.sleep(0.02)
        frame = av.AudioFrame(format="s16", layout="mono", samples=480)
        frame.planes[0].update(bytes(960))
        frame.sample_rate = 24_000
        return frame


async def call(far_end: RtcFarEnd, **options: Any) -> tuple[WebRTCTransport, RtcConnection]:
    """Make a call; return both ends of it."""
    transport = WebRTCTransport(**options)
    number = len(far_end.connections)
    await transport.connect(api_key="sk-a", url=far_end.calls_url)
    return transport, await far_end.connection(number)


class TestConnecting:
    async def test_j02_a_connect_that_overlaps_is_refused_and_its_key_is_never_asked_for(self) -> None:
        asked: list[str] = []

        def key(name: str) -> str:
            asked.append(name)
            return "sk-a"

        async with no_leaks(), RtcFarEnd() as far_end:
            transport = WebRTCTransport()
            first = asyncio.create_task(transport.connect(api_key=lambda: key("first"), url=far_end.calls_url))
            await asyncio.sleep(0)
            with pytest.raises(AlreadyConnectedError):
                await transport.connect(api_key=lambda: key("second"), url=far_end.calls_url)
            await first
            assert transport.status == "connected"
            assert asked == ["first"]
            assert len(far_end.requests) == 1
            await transport.close()

    @pytest.mark.parametrize(
        "body", ['{"error": {"message": "Unknown voice: zoe"}}', "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 96\r\n"]
    )
    async def test_j14_what_is_not_2xx_is_told_with_the_providers_words_and_is_no_answer(self, body: str) -> None:
        async with no_leaks(), RtcFarEnd(status=422, body=body) as far_end:
            transport = WebRTCTransport()
            with pytest.raises(ConnectRefusedError) as caught:
                await transport.connect(api_key="sk-a", url=far_end.calls_url)
            assert caught.value.status == 422
            assert "HTTP 422" in str(caught.value) and body.strip() in str(caught.value)


class TestThePath:
    @leaping
    async def test_j17_one_that_comes_back_in_time_keeps_the_call(self) -> None:
        async with no_leaks(), RtcFarEnd() as far_end:
            transport, far = await call(far_end)
            changes: list[Any] = []
            transport.on("connection_change", changes.append)
            far.path.broken = True
            await leap(9)
            assert transport.path_down
            far.path.broken = False
            await leap(9)
            assert not transport.path_down
            assert transport.status == "connected" and changes == []
            await transport.clear_audio()
            await far.expect("input_audio_buffer.clear")
            await transport.close()

    @leaping
    async def test_j17_one_that_does_not_ends_it(self) -> None:
        async with no_leaks(), RtcFarEnd() as far_end:
            transport, far = await call(far_end)
            changes: list[Any] = []
            transport.on("connection_change", changes.append)
            far.path.broken = True
            await leap(10)
            assert transport.status == "connected"
            await leap(2)
            [change] = changes
            assert (change.status, change.code, change.initiated_by) == ("disconnected", 1006, "remote")
            assert isinstance(change.error, RemoteClosedError) and change.error.classification == "reconnect"
            await transport.close()
            far.reset()

    async def test_j17_a_far_end_that_leaves_ends_it_at_once(self) -> None:
        async with no_leaks(), RtcFarEnd() as far_end:
            transport, far = await call(far_end)
            ended: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            transport.on("connection_change", ended.set_result)
            await far.peer.close()
            async with asyncio.timeout(PATIENCE):
                assert (await ended).status == "disconnected"
            await transport.close()


class TestTheMicrophone:
    async def test_j18_a_track_that_was_given_is_not_stopped(self) -> None:
        microphone = Microphone()
        async with no_leaks(), RtcFarEnd() as far_end:
            for _ in range(2):
                transport, _ = await call(far_end, audio_input=microphone)
                await transport.close()
                assert microphone.readyState == "live"
            far_end.status = 503
            with pytest.raises(ConnectRefusedError):
                await call(far_end, audio_input=microphone)
        reads = microphone.reads
        assert reads > 0 and microphone.readyState == "live"
        await microphone.recv()
        assert microphone.reads == reads + 1, "nobody reads it any more"

    async def test_j19_closing_leaves_the_mute_state_as_it_is(self) -> None:
        async with no_leaks(), RtcFarEnd() as far_end:
            transport, far = await call(far_end)
            assert transport.muted is False
            await transport.mute(True)
            await transport.close()
            assert transport.muted is True
            await transport.connect(api_key="sk-a", url=far_end.calls_url)
            far = await far_end.connection(1)
            await transport.send_audio(SOUND, commit=True)
            await far.expect("input_audio_buffer.commit")
            assert far.heard == b""
            await transport.mute(False)
            await transport.close()
            assert transport.muted is False
