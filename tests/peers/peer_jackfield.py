"""Our own session, over the transports that speak to this server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from jackfield import RealtimeAgent, RealtimeSession, create_transport, function_tool
from jackfield_local import LocalServer

from .conversation import INSTRUCTIONS, MODEL, SETTINGS, TOOL_DESCRIPTION, chunks
from .conversation import get_weather as answer
from .observations import AgentSpoke, Failed, Interrupted, Log, ResponseEnded, Speak, ToolRan, UserSaid, beside

__all__ = ["jackfield_azure", "jackfield_websocket"]


@asynccontextmanager
async def _jackfield(server: LocalServer, log: Log, *, transport: str) -> AsyncIterator[Speak]:
    @function_tool(description_override=TOOL_DESCRIPTION)
    def get_weather(city: str) -> str:
        log.add(ToolRan("get_weather", {"city": city}))
        return answer(city)

    agent = RealtimeAgent(name="Shop", instructions=INSTRUCTIONS, tools=[get_weather])
    azure = transport == "azure"
    session = RealtimeSession(
        agent,
        transport=create_transport("azure", endpoint=server.azure_endpoint) if azure else create_transport(transport),
        url=None if azure else f"{server.url}?model={MODEL}",
        model=MODEL,
        api_key="a-key",
        config={"model_settings": SETTINGS},
    )
    async with session:

        async def say(pcm: bytes) -> None:
            for chunk in chunks(pcm):
                await session.send_audio(chunk)

        async with beside(_read(session, log)):
            yield say


jackfield_websocket = partial(_jackfield, transport="websocket")
jackfield_azure = partial(_jackfield, transport="azure")


async def _read(session: RealtimeSession, log: Log) -> None:
    async for event in session:
        match event.type:
            case "audio":
                log.add(AgentSpoke(event.audio.response_id, event.audio.data))
            case "audio_interrupted":
                log.add(Interrupted())
            case "input_audio_transcription_completed":
                log.add(UserSaid(event.transcript))
            case "agent_end":
                log.add(ResponseEnded(event.response_id, event.output))
            case "error":
                log.add(Failed(str(event.error)))
