"""A call by WebRTC without an agent: a question is spoken, the answer is heard and recorded.

Run it against `jackfield serve`, whose variables it reads, or against the OpenAI API. The question is a WAV file, mono
at 24,000 Hz; without one, a greeting is sent as text.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from jackfield import create_transport
from jackfield.audio import read_wav, write_wav

CONFIG = {
    "instructions": "Answer in one sentence.",
    "turn_detection": {"type": "server_vad", "silence_duration_ms": 500},
}


async def main(question: Path | None, answer: Path) -> None:
    transport = create_transport("webrtc")
    spoken = bytearray()
    transport.on("audio", lambda event: spoken.extend(event.data))
    transport.on("audio_transcript_delta", lambda event: print(event.delta, end="", flush=True))
    events = transport.events()

    await transport.connect(api_key=os.environ["OPENAI_API_KEY"], initial_session_config=CONFIG)
    try:
        if question is None:
            await transport.send_message("Hello?")
        else:
            pcm, rate, channels = read_wav(question)
            if (rate, channels) != (24_000, 1):
                raise SystemExit(f"{question} has {channels} channels at {rate} Hz: give mono at 24,000 Hz")
            await transport.send_audio(pcm)  # returns when the last of it is nearly out: it is paced in real time
        async for event in events:
            if event.type == "audio_done":  # heard out, and not merely generated
                break
    finally:
        await transport.close()

    write_wav(answer, bytes(spoken), 24_000)
    print(f"\n{len(spoken) / 48_000:.1f} s of answer in {answer}")


if __name__ == "__main__":
    given = [Path(argument) for argument in sys.argv[1:]]
    asyncio.run(main(given[0] if given else None, Path("answer.wav")))
