"""The conversation's time: what passes together, and what stands still."""

from __future__ import annotations

import asyncio

import pytest

from jackfield import RealtimePlaybackTracker
from jackfield_local.demo.caller import CallerMicrophone
from jackfield_local.demo.speaker import Speaker
from jackfield_local.demo.stage import FastStage, RealtimeStage

MS = 48


class Scene:
    def __init__(self, kind: type[FastStage] | type[RealtimeStage]) -> None:
        self.said: list[tuple[float, bytes]] = []
        self.heard: list[tuple[float, bytes]] = []
        self.sent: list[bytes] = []
        self.ticks = 0
        self.speaker = Speaker(RealtimePlaybackTracker(), lambda pcm, at_ms: self.heard.append((at_ms, pcm)))
        self.microphone = CallerMicrophone(lambda pcm, at_ms: self.said.append((at_ms, pcm)))
        self.stage = kind(self.microphone, self.speaker, self._send, self._tick)

    async def _send(self, pcm: bytes) -> None:
        self.sent.append(pcm)

    def _tick(self) -> None:
        self.ticks += 1


@pytest.mark.parametrize("kind", [FastStage, RealtimeStage])
async def test_microphone_and_loudspeaker_share_the_time(kind: type[FastStage] | type[RealtimeStage]) -> None:
    scene = Scene(kind)
    scene.microphone.say(b"\1\0" * (24 * 30))
    await scene.stage.run(40)
    scene.speaker.write(b"\2\0" * (24 * 50), "item", 0)
    await scene.stage.run(50)
    assert scene.stage.now_ms == 100  # whole frames of 20 ms
    assert [at for at, _ in scene.said] == [0, 20, 40, 60, 80]
    assert b"".join(scene.sent) == b"\1\0" * (24 * 30) + bytes(70 * MS)
    assert all(len(frame) == 20 * MS for frame in scene.sent)
    assert scene.heard[0][0] == 40
    assert b"".join(pcm for _, pcm in scene.heard) == b"\2\0" * (24 * 50)
    assert scene.ticks == 5


async def test_in_realtime_the_microphone_sends_on_while_something_is_awaited() -> None:
    scene = Scene(RealtimeStage)
    await scene.stage.until(lambda: len(scene.sent) >= 3)
    assert scene.stage.now_ms == 60


async def test_fast_time_stands_still_while_something_is_awaited() -> None:
    scene = Scene(FastStage)
    done = False
    waiting = asyncio.create_task(scene.stage.until(lambda: done))
    for _ in range(5):
        scene.stage.notify()
        await asyncio.sleep(0)
    assert not waiting.done()
    done = True
    scene.stage.notify()
    await waiting
    assert scene.stage.now_ms == 0
    assert scene.sent == []
