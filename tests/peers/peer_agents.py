"""`openai-agents`: its runner and session, on its own WebSocket model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimeRunner, RealtimeSession

from jackfield_local import LocalServer

from .conversation import INSTRUCTIONS, MODEL, SETTINGS, TOOL_DESCRIPTION, chunks
from .conversation import get_weather as answer
from .observations import AgentSpoke, Failed, Interrupted, Log, ResponseEnded, Speak, ToolRan, UserSaid, beside

__all__ = ["openai_agents"]


@asynccontextmanager
async def openai_agents(server: LocalServer, log: Log) -> AsyncIterator[Speak]:
    """Connect a session of `RealtimeRunner`."""

    @function_tool(description_override=TOOL_DESCRIPTION)
    def get_weather(city: str) -> str:
        log.add(ToolRan("get_weather", {"city": city}))
        return answer(city)

    agent = RealtimeAgent(name="Shop", instructions=INSTRUCTIONS, tools=[get_weather])
    runner = RealtimeRunner(agent, config={"model_settings": {"model_name": MODEL, "audio": SETTINGS["audio"]}})
    url = f"{server.url}?model={MODEL}"
    async with await runner.run(model_config={"url": url, "api_key": "a-key"}) as session:

        async def say(pcm: bytes) -> None:
            for chunk in chunks(pcm):
                await session.send_audio(chunk)

        async with beside(_read(session, log)):
            yield say


async def _read(session: RealtimeSession, log: Log) -> None:
    words: defaultdict[str, str] = defaultdict(str)
    told: set[str] = set()
    async for event in session:
        match event.type:
            case "audio":
                log.add(AgentSpoke(event.audio.response_id, event.audio.data))
            case "audio_interrupted":
                log.add(Interrupted())
            case "error":
                log.add(Failed(str(event.error)))
            case "history_updated" | "history_added":
                items = event.history if event.type == "history_updated" else [event.item]
                for item in items:
                    if item.type == "message" and item.role == "user" and item.item_id not in told:
                        said = "".join(part.transcript or "" for part in item.content if part.type == "input_audio")
                        if said:
                            told.add(item.item_id)
                            log.add(UserSaid(said))
            case "raw_model_event":
                # The session's own `agent_end` tells neither the response nor its words.
                if event.data.type == "transcript_delta":
                    words[event.data.response_id] += event.data.delta
                elif event.data.type == "turn_ended":
                    response_id = event.data.response_id or ""
                    log.add(ResponseEnded(response_id, words.pop(response_id, "")))
                elif event.data.type == "exception":
                    log.add(Failed(f"{event.data.context}: {event.data.exception}"))
