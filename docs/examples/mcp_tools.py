"""Tools from an MCP server: the agent's weather comes from a program that it starts. Here that is this file again.

    python docs/examples/mcp_tools.py

It talks to OPENAI_BASE_URL with OPENAI_API_KEY; `jackfield serve` prints both for the local server. It needs the extra
`jackfield[mcp]`.
"""

import asyncio
import sys

from jackfield import RealtimeAgent, RealtimeSession
from jackfield.mcp import MCPServerStdio


def serve() -> None:
    from mcp.server import MCPServer

    server = MCPServer("weather")

    @server.tool()
    def get_weather(city: str) -> str:
        """Weather in a city."""
        return f"Sunny in {city}, says the server"

    server.run("stdio")


async def main() -> None:
    weather = MCPServerStdio({"command": sys.executable, "args": [__file__, "--serve"]}, name="weather")
    async with weather:
        agent = RealtimeAgent(name="Greeter", instructions="Answer in one sentence.", mcp_servers=[weather])
        async with RealtimeSession(agent, transport="websocket", model="gpt-realtime") as session:
            await session.send_message("What is the weather in Paris?")
            async for event in session:
                if event.type == "tool_start":
                    print(f"{event.tool.name}({event.arguments})")
                elif event.type == "transcript_delta":
                    print(event.delta, end="", flush=True)
                elif event.type == "error":
                    raise event.error
                elif event.type == "agent_end" and event.output:  # the response that called the tool has none
                    break
    print()


if __name__ == "__main__":
    serve() if "--serve" in sys.argv else asyncio.run(main())
