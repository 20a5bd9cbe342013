"""`@openai/agents-realtime` from npm, in Node: `js/peer.mjs` at the other end of a pipe."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from jackfield_local import LocalServer

from .conversation import CHUNK_BYTES, INSTRUCTIONS, MODEL, SETTINGS, TOOL_DESCRIPTION, get_weather
from .observations import AgentSpoke, Failed, Interrupted, Log, Observation, ResponseEnded, Speak, ToolRan, UserSaid

__all__ = ["PACKAGE", "agents_js"]

PACKAGE: Final = Path(__file__).parent / "js"
_LONGEST_LINE: Final = 16 * 1024 * 1024
_EXIT_SECONDS: Final = 10.0


@asynccontextmanager
async def agents_js(server: LocalServer, log: Log) -> AsyncIterator[Speak]:
    """Start Node and connect its session. Raises `RuntimeError` with what Node printed where it fails."""
    turn_detection = SETTINGS["audio"]["input"]["turn_detection"]
    setup: dict[str, Any] = {
        "url": f"{server.url}?model={MODEL}",
        "apiKey": "a-key",
        "model": MODEL,
        "instructions": INSTRUCTIONS,
        "toolDescription": TOOL_DESCRIPTION,
        "toolAnswer": get_weather("{city}"),
        "chunkBytes": CHUNK_BYTES,
        "config": {
            "audio": {
                "input": {
                    **SETTINGS["audio"]["input"],
                    "turnDetection": {_camel(name): value for name, value in turn_detection.items()},
                },
                "output": SETTINGS["audio"]["output"],
            }
        },
    }
    del setup["config"]["audio"]["input"]["turn_detection"]
    node = await asyncio.create_subprocess_exec(
        *("node", "peer.mjs", json.dumps(setup)),
        cwd=PACKAGE,
        # Its tracing would report to its maker.
        env={**os.environ, "OPENAI_AGENTS_DISABLE_TRACING": "1"},
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        limit=_LONGEST_LINE,
    )
    assert node.stdin is not None and node.stderr is not None
    commands = node.stdin
    connected = asyncio.Event()

    async def say(pcm: bytes) -> None:
        commands.write(json.dumps({"say": base64.b64encode(pcm).decode()}).encode() + b"\n")
        await commands.drain()

    try:
        async with asyncio.TaskGroup() as group:
            complaints = group.create_task(node.stderr.read())
            reading = group.create_task(_read(node, log, connected, complaints))
            await connected.wait()
            yield say
            commands.close()
            async with asyncio.timeout(_EXIT_SECONDS):
                await reading
    finally:
        if node.returncode is None:
            node.kill()
            await node.wait()


async def _read(
    node: asyncio.subprocess.Process, log: Log, connected: asyncio.Event, complaints: asyncio.Task[bytes]
) -> None:
    assert node.stdout is not None
    async for line in node.stdout:
        told = json.loads(line)
        if told["kind"] == "connected":
            connected.set()
        elif told["kind"] == "closing":
            for kind in told["unparsed"]:
                log.add(Failed(f"the client's own schema refuses {kind}"))
        else:
            log.add(_observation(told))
    if await node.wait():
        raise RuntimeError(f"Node ended with {node.returncode}: {(await complaints).decode()[-2000:]}")


def _observation(told: dict[str, Any]) -> Observation:
    match told["kind"]:
        case "audio":
            return AgentSpoke(told["responseId"], base64.b64decode(told["pcm"]))
        case "ended":
            return ResponseEnded(told["responseId"], told["text"])
        case "user":
            return UserSaid(told["text"])
        case "tool":
            return ToolRan(told["name"], told["arguments"])
        case "interrupted":
            return Interrupted()
        case _:
            return Failed(told["message"])


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)
