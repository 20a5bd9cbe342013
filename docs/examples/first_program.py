"""The first program: an agent with one tool. A question in writing; the answer in words, and spoken, as a WAV file.

    python docs/examples/first_program.py answer.wav

It talks to OPENAI_BASE_URL with OPENAI_API_KEY; `jackfield serve` prints both for the local server.
"""

import asyncio
import sys

from jackfield import RealtimeAgent, RealtimeSession, function_tool
from jackfield.audio import write_wav


@function_tool
def get_weather(city: str) -> str:
    """Weather in a city."""
    return f"Sunny in {city}"


agent = RealtimeAgent(name="Greeter", instructions="Answer in one sentence.", tools=[get_weather])


async def main(path: str) -> None:
    speech = bytearray()
    async with RealtimeSession(agent, transport="websocket", model="gpt-realtime") as session:
        await session.send_message("What is the weather in Paris?")
        async for event in session:
            if event.type == "audio":
                speech += event.audio.data
            elif event.type == "transcript_delta":
                print(event.delta, end="", flush=True)
            elif event.type == "error":
                raise event.error
            elif event.type == "agent_end" and event.output:  # the response that called the tool has none
                break
    write_wav(path, speech, rate=24_000)
    print(f"\n{len(speech) / 48_000:.1f} s of speech: {path}")


asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "answer.wav"))
