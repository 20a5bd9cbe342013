"""A browser calls an agent. The page holds the call over WebRTC; the agent and its tool run here.

    python app.py            # with OPENAI_API_KEY, and OPENAI_BASE_URL where it isn't OpenAI
    python app.py --local    # with a server of its own in place of the provider: no key, no network

Then open the address that it prints, allow the microphone, and ask for the weather in Paris.

Needs `pip install 'jackfield[relay]' uvicorn`, and for --local `pip install 'jackfield-local[speech,webrtc]'`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import Mount, Route

from jackfield import RealtimeAgent, RealtimeSession, function_tool
from jackfield_transports.relay import BrowserCall, BrowserOffer, Leash

PAGE = Path(__file__).with_name("index.html")


@function_tool
def get_weather(city: str) -> str:
    """Get the weather in a city."""
    print(f"get_weather({city!r})", flush=True)
    return f"sunny in {city}, with 21 degrees"


AGENT = RealtimeAgent(
    name="Weather desk",
    instructions="You are the weather desk. Answer in one short, friendly sentence, and use your tool for the weather.",
    tools=[get_weather],
)


async def watch(session: RealtimeSession) -> None:
    """Print what happens; the session can be used here like any other."""
    print("a call begins", flush=True)
    async for event in session:
        if event.type == "tool_end":
            print(f"{event.tool.name} -> {event.output}", flush=True)


def ended(call: BrowserCall) -> None:
    """Print how a call ended."""
    if call.end is not None:
        print(f"a call ended ({call.end.reason}): {call.end.detail}", flush=True)


def make_app(relay: BrowserOffer) -> Starlette:
    """Return the application: the page, and the relay that it calls."""

    async def page(_: Request) -> FileResponse:
        return FileResponse(PAGE)

    return Starlette(routes=[Route("/", page), Mount("/call", relay)], lifespan=relay.lifespan)


async def serve(port: int, base_url: str | None, api_key: str | None) -> None:
    """Serve until interrupted."""
    relay = BrowserOffer(
        AGENT,
        base_url=base_url,
        api_key=api_key,
        # Whoever reaches this page talks at your expense: at most for five minutes, and not in silence.
        leash=Leash(max_seconds=300, idle_seconds=60),
        max_calls=4,
        on_session=watch,
        on_end=ended,
    )
    server = uvicorn.Server(uvicorn.Config(make_app(relay), log_level="warning"))
    with socket.create_server(("127.0.0.1", port)) as listener:
        print(f"open http://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
        await server.serve(sockets=[listener])


async def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(description="A browser calls an agent.")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--local", action="store_true", help="bring a server in place of the provider: needs no key")
    arguments = parser.parse_args()
    if not arguments.local:
        await serve(arguments.port, None, None)
        return
    from jackfield_local import LocalServer

    async with LocalServer() as provider:
        await serve(arguments.port, provider.http_url, "sk-local")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
