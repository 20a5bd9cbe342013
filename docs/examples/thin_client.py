"""A thin client: a transport alone, without agent, tools and history. A function call is answered by hand.

    python docs/examples/thin_client.py

It talks to OPENAI_BASE_URL with OPENAI_API_KEY; `jackfield serve` prints both for the local server.
"""

import asyncio

from jackfield import create_transport
from jackfield.transport.events import AudioTranscriptDelta, Error, FunctionCall, TurnDone

GET_WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


async def main() -> None:
    client = create_transport("websocket")
    speech = bytearray()
    client.on("audio", lambda event: speech.extend(event.data))
    config = {"instructions": "Speak like a pirate.", "tools": [GET_WEATHER]}
    await client.connect(model="gpt-realtime", initial_session_config=config)
    events = client.events()
    try:
        await client.send_message("What is the weather in Paris?")
        async for event in events:
            match event:
                case FunctionCall():
                    print(f"{event.name}({event.arguments})")
                    await client.send_function_call_output(event, "Sunny, with a fair wind")
                case AudioTranscriptDelta():
                    print(event.delta, end="", flush=True)
                case Error():
                    raise event.error
                case TurnDone() if speech:  # the response that called the function said nothing
                    break
    finally:
        await client.close()
    print(f"\n{len(speech) / 48_000:.1f} s of speech")


asyncio.run(main())
