"""A call by WebRTC with the local server: what is said arrives, what is muted does not, and how a call ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pybase64
import pytest
from aiortc import MediaStreamTrack
from aiortc.contrib.media import MediaPlayer, MediaRecorder

from jackfield import RealtimeAgent, RealtimeSession, function_tool
from jackfield.audio import dtmf_tones, read_wav, write_wav
from jackfield.testing.conformance import CANARY, PATIENCE, settled
from jackfield.transport import ConfigurationError, NotConnectedError, RemoteClosedError
from jackfield_local import LocalServer
from jackfield_local.conformance.responder import quiet_server
from jackfield_local.network import Impairment, impair
from jackfield_transports.webrtc.path_watch import Patience
from jackfield_transports.webrtc.transport import WebRTCTransport

pytestmark = pytest.mark.usefixtures("nothing_is_left")

FRAME = bytes(960)
DOWN = Impairment(loss=1)
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
SUNNY = "It is sunny, with twenty two degrees."
DETECTION = {"type": "server_vad", "silence_duration_ms": 200}


def voice(seconds: float = 0.6) -> bytes:
    """Something that the server takes for speech."""
    time = np.arange(int(seconds * 24_000)) / 24_000
    return (9_000 * np.sin(2 * np.pi * 220 * time) * np.sin(2 * np.pi * 3 * time)).astype("<i2").tobytes()


@contextlib.asynccontextmanager
async def call(
    server: LocalServer, *, config: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[WebRTCTransport]:
    transport = WebRTCTransport(proxy=None, **options)
    url = f"{server.http_url}/realtime/calls"
    await transport.connect(api_key=CANARY, url=url, initial_session_config=config)
    try:
        yield transport
    finally:
        await transport.close()


async def heard_out(events: AsyncIterator[Any]) -> list[Any]:
    """Return what was told until an answer was heard to its end."""
    told = []
    async with asyncio.timeout(PATIENCE):
        async for event in events:
            told.append(event)
            if event.type == "audio_done":
                return told
    raise AssertionError("the call ended before the answer did")


class TestTurns:
    async def test_the_answer_is_heard_whole(self) -> None:
        async with quiet_server() as server, call(server) as transport:
            events = transport.events()
            await transport.send_message("Hello?")
            told = await heard_out(events)
            audio = [event for event in told if event.type == "audio"]
            done = next(event for event in told if event.type == "turn_done")
            part = transport.playback(audio[0].item_id)
            heard_ms = sum(len(event.data) for event in audio) / 48
            assert {(event.response_id, event.item_id, event.content_index) for event in audio} == {
                (done.response_id, done.output[0].item_id, 0)
            }
            assert part is not None and part.received_ms == pytest.approx(heard_ms) and part.generated
            connection = await server.connection()
            assert "response.output_audio.delta" not in [event["type"] for event in connection.sent]
            await transport.send_event({"type": "conversation.item.retrieve", "item_id": audio[0].item_id})
            retrieved = await connection.sent_event("conversation.item.retrieved")
            spoken_ms = len(retrieved["item"]["content"][0]["audio"]) * 3 / 4 / 48
            assert heard_ms == pytest.approx(spoken_ms, abs=20)

    async def test_a_spoken_turn_is_interrupted_by_the_user(self) -> None:
        config = {"turn_detection": DETECTION}
        async with quiet_server() as server, call(server, config=config) as transport:
            events = transport.events()
            await transport.send_message("Hello?")
            async with asyncio.timeout(PATIENCE):
                async for event in events:
                    if event.type == "audio" and len(event.data) and (transport.playback(event.item_id)):
                        break
                await transport.send_audio(voice())
                kinds = []
                async for event in events:
                    kinds.append(event.type)
                    if event.type == "audio_interrupted":
                        break
            assert kinds[-2:] == ["speech_started", "audio_interrupted"]
            connection = await server.connection()
            cleared = await connection.sent_event("output_audio_buffer.cleared")
            truncated = await connection.sent_event("conversation.item.truncated")
            assert truncated["item_id"] == event.item_id
            assert cleared["response_id"] == event.response_id
            assert "conversation.item.truncate" not in [event["type"] for event in connection.received]

    async def test_a_session_with_a_tool_needs_nothing_else(self) -> None:
        asked: list[str] = []

        @function_tool
        def get_weather(city: str) -> str:
            """Weather in a city."""
            asked.append(city)
            return "sunny"

        agent = RealtimeAgent("Reception", instructions="Help.", tools=[get_weather])
        async with quiet_server() as server:
            url = f"{server.http_url}/realtime/calls"
            session = RealtimeSession(agent, transport="webrtc", api_key=CANARY, url=url)
            spoken, kinds = b"", []
            async with session, asyncio.timeout(PATIENCE):
                await session.send_message("What is the weather in Paris?")
                async for event in session:
                    kinds.append(event.type)
                    if event.type == "audio":
                        spoken += event.audio.data
                    elif event.type == "audio_end":
                        break
            connection = server.connections[0]
        assert asked == ["Paris"]
        assert kinds.index("tool_end") < kinds.index("audio_start") < kinds.index("audio_end")
        assert len(spoken) > 48_000
        [update] = [event for event in connection.received if event["type"] == "session.update"] or [None]
        assert update is None, "the first response was configured when the call was made"
        created = next(event for event in connection.sent if event["type"] == "session.created")
        assert [tool["name"] for tool in created["session"]["tools"]] == ["get_weather"]

    async def test_push_to_talk(self) -> None:
        async with quiet_server() as server, call(server, config={"turn_detection": None}) as transport:
            await transport.send_audio(voice(0.5), commit=True)
            connection = await server.connection()
            await connection.received_event("input_audio_buffer.commit")
            committed = await connection.sent_event("input_audio_buffer.committed")
            await transport.send_event({"type": "conversation.item.retrieve", "item_id": committed["item_id"]})
            retrieved = await connection.sent_event("conversation.item.retrieved")
            pcm_bytes = len(retrieved["item"]["content"][0]["audio"]) * 3 / 4
            assert pcm_bytes / 48 > 480, "all of it came before the commit did"


class TestMicrophone:
    async def test_muted_nothing_is_heard_and_time_goes_on(self) -> None:
        config = {"turn_detection": DETECTION}
        async with quiet_server() as server, call(server, config=config) as transport:
            connection = await server.connection()
            assert transport.muted is False
            await transport.mute(True)
            assert transport.muted is True
            await transport.send_audio(voice(1.0))
            await transport.mute(False)
            await transport.send_audio(voice(0.6))
            started = await connection.sent_event("input_audio_buffer.speech_started")
            assert started["audio_start_ms"] > 500, "what was muted took its time, and was not heard"

    async def test_it_can_begin_muted_and_stays_so(self) -> None:
        async with quiet_server() as server:
            transport = WebRTCTransport(proxy=None)
            await transport.mute(True)
            for _ in range(2):
                await transport.connect(api_key=CANARY, url=f"{server.http_url}/realtime/calls")
                assert transport.muted is True
                await transport.close()

    async def test_a_track_is_read_and_left_to_its_owner(self) -> None:
        class Tone(MediaStreamTrack):
            kind = "audio"
            pts = 0

            async def recv(self) -> av.AudioFrame:
                await asyncio.sleep(0.02)
                time = (np.arange(960) + self.pts) / 48_000
                wave = 9_000 * np.sin(2 * np.pi * 220 * time) * np.sin(2 * np.pi * 3 * time)
                frame = av.AudioFrame.from_ndarray(
                    np.repeat(wave.astype("<i2"), 2).reshape(1, -1), format="s16", layout="stereo"
                )
                frame.sample_rate, frame.pts, frame.time_base = 48_000, self.pts, Fraction(1, 48_000)
                self.pts += 960
                return frame

        track = Tone()
        config = {"turn_detection": DETECTION}
        async with quiet_server() as server, call(server, config=config, audio_input=track) as transport:
            connection = await server.connection()
            await connection.sent_event("input_audio_buffer.speech_started")
            with pytest.raises(ConfigurationError, match="audio_input"):
                await transport.send_audio(FRAME)
        assert track.readyState == "live"

    async def test_a_file_is_played(self, tmp_path: Path) -> None:
        write_wav(tmp_path / "voice.wav", voice(1.0) + bytes(48_000), 24_000)
        player = MediaPlayer(str(tmp_path / "voice.wav"))
        config = {"turn_detection": DETECTION}
        async with quiet_server() as server, call(server, config=config, audio_input=player):
            connection = await server.connection()
            await connection.sent_event("input_audio_buffer.speech_started")
            await connection.sent_event("input_audio_buffer.speech_stopped")
        player.audio.stop()

    async def test_keys_are_heard_as_tones(self) -> None:
        async with quiet_server() as server, call(server, config={"turn_detection": None}) as transport:
            await transport.send_dtmf("5#")
            await transport.commit_audio()
            connection = await server.connection()
            committed = await connection.sent_event("input_audio_buffer.committed")
            await transport.send_event({"type": "conversation.item.retrieve", "item_id": committed["item_id"]})
            retrieved = await connection.sent_event("conversation.item.retrieved")
            heard = np.frombuffer(pybase64.b64decode(retrieved["item"]["content"][0]["audio"]), "<i2").astype(float)
        loud = np.flatnonzero(np.abs(heard) > 2_000)
        first = heard[loud[0] : loud[0] + 2_000]
        spectrum = np.abs(np.fft.rfft(first))
        peaks = {int(round(peak * 12 / 10) * 10) for peak in np.argsort(spectrum)[-2:]}
        assert all(min(abs(peak - wanted) for peak in peaks) <= 20 for wanted in (770, 1336))
        with pytest.raises(ConfigurationError, match="keypad"):
            dtmf_tones("x")


class TestRemoteTrack:
    async def test_it_can_be_recorded(self, tmp_path: Path) -> None:
        async with quiet_server() as server, call(server) as transport:
            events = transport.events()
            recorder = MediaRecorder(str(tmp_path / "answer.wav"))
            recorder.addTrack(transport.remote_track)
            await recorder.start()
            await transport.send_message("Hello?")
            told = await heard_out(events)
            await recorder.stop()
        heard = sum(len(event.data) for event in told if event.type == "audio")
        pcm, rate, channels = read_wav(tmp_path / "answer.wav")
        assert len(pcm) / 2 / rate / channels >= heard / 48_000 - 0.1

    async def test_it_ends_with_the_connection_and_begins_anew(self) -> None:
        async with quiet_server() as server:
            transport = WebRTCTransport(proxy=None)
            before = transport.remote_track
            await transport.connect(api_key=CANARY, url=f"{server.http_url}/realtime/calls")
            assert transport.remote_track is before and before.readyState == "live"
            await transport.close()
            assert before.readyState == "ended"
            assert transport.remote_track is not before


class TestTheEnd:
    async def test_the_far_end_hangs_up(self) -> None:
        async with quiet_server() as server, call(server) as transport:
            changes: asyncio.Queue[Any] = asyncio.Queue()
            transport.on("connection_change", changes.put_nowait)
            connection = await server.connection()
            await connection.close()
            async with asyncio.timeout(PATIENCE):
                change = await changes.get()
            assert (change.status, change.code, change.initiated_by) == ("disconnected", 1000, "remote")
            with pytest.raises(NotConnectedError):
                await transport.send_audio(FRAME)

    async def test_a_path_that_is_lost_is_told_as_that(self) -> None:
        patience = Patience(quiet=0.6, grace=0.6)
        async with quiet_server() as server, call(server, patience=patience) as transport:
            errors: asyncio.Queue[Any] = asyncio.Queue()
            changes: asyncio.Queue[Any] = asyncio.Queue()
            transport.on("error", errors.put_nowait)
            transport.on("connection_change", changes.put_nowait)
            assert transport.peer_connection is not None
            impair(transport.peer_connection, DOWN, direction="in")
            async with asyncio.timeout(PATIENCE):
                error = (await errors.get()).error
                change = await changes.get()
            assert isinstance(error, RemoteClosedError) and "ICE restart" in str(error)
            assert change.code == 1006 and "ICE restart" in change.reason

    async def test_a_path_that_comes_back_in_time_is_not(self) -> None:
        patience = Patience(quiet=0.5, grace=60)
        async with quiet_server() as server, call(server, patience=patience) as transport:
            events = transport.events()
            assert transport.peer_connection is not None
            path = impair(transport.peer_connection, DOWN, direction="in")
            connection = await server.connection()
            assert await settled(lambda: transport.path_down)
            path.impairment = Impairment()
            assert await settled(lambda: not transport.path_down)
            await transport.send_message("Hello?")
            await heard_out(events)
            assert not connection.closed and transport.status == "connected"


class TestBadNetworks:
    @pytest.mark.parametrize(
        "impairment",
        [
            Impairment(loss=0.01, seed=5),
            Impairment(loss=0.05, seed=2),
            Impairment(loss=0.05, burst=3, seed=3),
            Impairment(loss=0.02, jitter_ms=30, seed=4),
        ],
        ids=["1 %", "5 %", "bursts", "loss and jitter"],
    )
    async def test_no_word_is_lost_either_way(self, impairment: Impairment) -> None:
        speech = pytest.importorskip("jackfield_local.speech")
        recognizer, question = speech.default_recognizer(), "What is the weather in Paris?"
        assert recognizer is not None
        pcm = await asyncio.to_thread(speech.speak_to_pcm, question, voice="verse")
        config = {
            "turn_detection": {"type": "server_vad", "silence_duration_ms": 500},
            "input_audio_transcription": {"model": "gpt-4o-mini-transcribe"},
            "tools": [WEATHER],
        }
        async with LocalServer() as server, call(server, config=config) as transport:
            events = transport.events()
            assert transport.peer_connection is not None
            impair(transport.peer_connection, impairment, direction="out")
            impair(transport.peer_connection, impairment, direction="in")
            transport.on("function_call", lambda call: transport.send_function_call_output(call, SUNNY))
            await transport.send_audio(pcm)
            told = await heard_out(events)
        [understood] = [event.transcript for event in told if event.type == "input_audio_transcription_completed"]
        assert understood.lower().rstrip("?.") == question.lower().rstrip("?")
        answer = "".join(event.delta for event in told if event.type == "audio_transcript_delta")
        heard = b"".join(event.data for event in told if event.type == "audio")
        repeated = await asyncio.to_thread(recognizer.transcribe, heard, [answer])
        assert repeated.lower().rstrip(".") == answer.lower().rstrip(".")
