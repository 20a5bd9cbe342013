"""jackfield's WebSocket transport alone, as a thin client uses it: no agent, no tools, no history."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jackfield.transport import RealtimeTransportLayer

TITLE = "jackfield transport"


def missing(**options: Any) -> str | None:
    try:
        from jackfield import create_transport

        create_transport("websocket", **options)
    except Exception as error:  # whatever it is, this subject can't be measured, and the table says why
        return f"{type(error).__name__}: {error}"
    return None


@asynccontextmanager
async def connect(url: str, **options: Any) -> AsyncIterator[_Connection]:
    from jackfield import create_transport

    client = create_transport("websocket", **options)
    await client.connect(url=url, api_key="bench", initial_session_config={"instructions": "Be brief."})
    try:
        yield _Connection(client)
    finally:
        await client.close()


class _Connection:
    def __init__(self, client: RealtimeTransportLayer) -> None:
        self._client = client

    async def send(self, chunk: bytes) -> None:
        await self._client.send_audio(chunk)

    async def follow(self, turns: int, hear: Callable[[bytes], object], mark: Callable[[], object]) -> None:
        done = asyncio.Event()
        words: list[str] = []

        def on_audio(event: Any) -> None:
            hear(event.data)

        def on_transcript(event: Any) -> None:
            words.append(event.delta)

        def on_turn_done(_: Any) -> None:
            nonlocal turns
            mark()
            words.clear()
            turns -= 1
            if not turns:
                done.set()

        self._client.on("audio", on_audio)
        self._client.on("audio_transcript_delta", on_transcript)
        self._client.on("turn_done", on_turn_done)
        await done.wait()
