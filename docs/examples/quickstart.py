"""A runner with a configuration dictionary: the other front to a session. One question, one spoken answer.

python docs/examples/quickstart.py
"""

import asyncio

from jackfield import RealtimeAgent, RealtimeRunner

agent = RealtimeAgent(name="Assistant", instructions="Be helpful, and keep it short.")

runner = RealtimeRunner(
    starting_agent=agent,
    config={
        "model_settings": {
            "model_name": "gpt-realtime",
            "voice": "ash",
            "modalities": ["audio"],
            "input_audio_format": "pcm16",
            "output_audio_format": "pcm16",
            "input_audio_transcription": {"model": "gpt-4o-mini-transcribe"},
            "turn_detection": {"type": "semantic_vad", "interrupt_response": True},
        }
    },
)


async def main() -> None:
    session = await runner.run()
    heard = 0
    async with session:
        await session.send_message("Tell me a joke.")
        async for event in session:
            if event.type == "agent_start":
                print(f"{event.agent.name} begins")
            elif event.type == "audio":
                heard += len(event.audio.data)
            elif event.type == "audio_end":
                print(f"{heard / 48_000:.1f} s of speech")
            elif event.type == "error":
                raise event.error
            elif event.type == "agent_end":
                print(f"{event.agent.name} said: {event.output}")
                break


asyncio.run(main())
