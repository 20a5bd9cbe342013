"""baresip, a softphone, calls the server: what it says is heard, and what the agent says is in its recording."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import connect

from jackfield import RealtimeAgent, RealtimeSession, function_tool
from jackfield.audio import Resampler, read_wav, write_wav
from jackfield.testing.conformance import PATIENCE
from support.call_application import CallApplication
from support.machine import missing
from support.phone_line import phone_line

CONFIG = """
poll_method epoll
sip_listen 127.0.0.1:0
audio_source aufile,{folder}/said.wav
ausrc_srate 8000
auplay_srate 8000
module_path {modules}
module stdio.so
module g711.so
module aufile.so
module sndfile.so
snd_path {folder}
module_tmp account.so
module_app menu.so
"""
MODULES = Path("/usr/lib/baresip/modules")
RATE = 8000
QUESTION = "What is the weather in Paris?"


@pytest.fixture(scope="session")
def baresip() -> str:
    program = shutil.which("baresip")
    if program is None or not MODULES.exists():
        missing("baresip", "apt-get install baresip")
    return program


async def dial(program: str, uri: str, folder: Path, said: bytes, seconds: int) -> str:
    """Have baresip call, say something (PCM16 at 8,000 Hz), and hang up after some seconds; return what it printed."""
    (folder / "config").write_text(CONFIG.format(folder=folder, modules=MODULES))
    (folder / "accounts").write_text("<sip:alice@127.0.0.1>;regint=0\n")
    (folder / "contacts").write_text("")
    write_wav(folder / "said.wav", said + bytes(2 * RATE * seconds), RATE)
    process = await asyncio.create_subprocess_exec(
        *(program, "-f", str(folder), "-e", f"/dial {uri}", "-t", str(seconds)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(seconds + PATIENCE):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return out.decode(errors="replace")


def heard(folder: Path) -> bytes:
    """Return what baresip recorded of what it heard."""
    (recording,) = folder.glob("dump-*-dec.wav")
    pcm, rate, channels = read_wav(recording)
    assert (rate, channels) == (RATE, 1)
    return pcm


def loudness(pcm: bytes) -> list[float]:
    """How loud each 20 ms are."""
    samples = np.frombuffer(pcm, "<i2").astype(float)
    frames = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    levels: list[float] = np.sqrt((frames * frames).mean(axis=1)).tolist()
    return levels


async def test_a_conversation(baresip: str, line: Any, tmp_path: Path) -> None:
    told: list[str] = []

    async def listen(application: CallApplication, call_id: str) -> None:
        await application.accept(call_id)
        async with connect(
            f"{application.api.replace('http', 'ws')}/realtime?call_id={call_id}",
            additional_headers={"Authorization": "Bearer test-key"},
            proxy=None,
        ) as socket:
            told.extend([json.loads(frame)["type"] async for frame in socket])

    async with line(listen) as (server, _):
        tone = (np.sin(np.arange(RATE) * 2 * np.pi * 180 / RATE) * 9000).astype("<i2").tobytes()
        printed = await dial(baresip, server.sip_uri, tmp_path, tone, seconds=5)
        assert await server.connections[0].wait_closed() == 1000
    assert "Call established" in printed
    # What it said was taken for a turn, and answered.
    assert told.index("input_audio_buffer.speech_stopped") < told.index("output_audio_buffer.started")
    levels = loudness(heard(tmp_path))
    assert sum(level > 1000 for level in levels) > 30
    assert max(levels[:20]) < 100, "the agent speaks when it is spoken to"


async def test_a_spoken_question_has_a_tool_called_and_is_answered(baresip: str, tmp_path: Path) -> None:
    """The whole way: a softphone, the local server, a `SipCallServer`, an agent with a tool, and back."""
    speech = pytest.importorskip("jackfield_local.speech")
    asked: list[str] = []

    @function_tool
    def get_weather(city: str) -> str:
        """Weather in a city."""
        asked.append(city)
        return f"It is sunny in {city}."

    async def patient(session: RealtimeSession) -> None:
        # An accept takes no such settings; the default hears a pause between words as the end of a turn.
        detection = {"type": "server_vad", "silence_duration_ms": 500}
        await session.transport.update_session_config({"turn_detection": detection})

    question = await asyncio.to_thread(speech.speak_to_pcm, QUESTION, voice="verse")
    down = Resampler(24_000, RATE)
    said = bytes(2 * RATE) + down.process(question) + down.flush()
    agent = RealtimeAgent("Desk", instructions="Help.", tools=[get_weather])
    settings = {"input_audio_transcription": {"model": "gpt-4o-mini-transcribe"}}
    hearing: dict[str, Any] = {"responder": None, "recognizer": "auto", "synthesizer": "auto", "pace": 8}
    line = phone_line(
        agent,
        server_options=hearing,
        greeting=False,
        on_session=patient,
        config={"model_settings": settings},
    )
    async with line as call:
        await dial(baresip, call.server.sip_uri, tmp_path, said, seconds=12)
        assert await call.told.ended() == "remote"
        [understood] = [
            message["transcript"]
            for message in call.told.raw
            if message["type"] == "conversation.item.input_audio_transcription.completed"
        ]
        spoken = [
            message["transcript"]
            for message in call.told.raw
            if message["type"] == "response.output_audio_transcript.done"
        ]
    assert understood.lower().rstrip("?.") == QUESTION.lower().rstrip("?")
    assert asked == ["Paris"]
    assert "sunny in Paris" in spoken[-1]
    assert sum(level > 500 for level in loudness(heard(tmp_path))) > 30, "and the caller heard it"
