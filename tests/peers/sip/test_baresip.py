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

from jackfield.audio import read_wav, write_wav
from support.call_application import CallApplication
from support.machine import missing

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
SECONDS = 5


@pytest.fixture(scope="session")
def baresip() -> str:
    program = shutil.which("baresip")
    if program is None or not MODULES.exists():
        missing("baresip", "apt-get install baresip")
    return program


async def dial(program: str, uri: str, folder: Path) -> str:
    """Have baresip call, and hang up after some seconds; return what it printed."""
    (folder / "config").write_text(CONFIG.format(folder=folder, modules=MODULES))
    (folder / "accounts").write_text("<sip:alice@127.0.0.1>;regint=0\n")
    (folder / "contacts").write_text("")
    samples = np.arange(RATE)
    tone = (np.sin(samples * 2 * np.pi * 180 / RATE) * 9000).astype("<i2").tobytes()
    write_wav(folder / "said.wav", tone + bytes(2 * RATE * SECONDS), RATE)
    process = await asyncio.create_subprocess_exec(
        *(program, "-f", str(folder), "-e", f"/dial {uri}", "-t", str(SECONDS)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(3 * SECONDS):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return out.decode(errors="replace")


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
        printed = await dial(baresip, server.sip_uri, tmp_path)
        assert await server.connections[0].wait_closed() == 1000
    assert "Call established" in printed
    # What it said was taken for a turn, and answered.
    assert told.index("input_audio_buffer.speech_stopped") < told.index("output_audio_buffer.started")
    (heard,) = tmp_path.glob("dump-*-dec.wav")
    pcm, rate, channels = read_wav(heard)
    assert (rate, channels) == (RATE, 1)
    levels = loudness(pcm)
    assert sum(level > 1000 for level in levels) > 30
    assert max(levels[:20]) < 100, "the agent speaks when it is spoken to"
