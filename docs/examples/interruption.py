"""Interruption and playback: a loudspeaker that reports what it played, and an answer that is cut in the middle.

python docs/examples/interruption.py
"""

import asyncio

from jackfield import RealtimeAgent, RealtimePlaybackTracker, RealtimeSession

agent = RealtimeAgent(name="Storyteller", instructions="Tell long stories.")


class Loudspeaker:
    """Stands for your audio device: it plays a second of what it is given, and says so."""

    def __init__(self, tracker: RealtimePlaybackTracker) -> None:
        self.tracker = tracker
        self.played = 0
        self.queued = 0

    def play(self, item_id: str, content_index: int, pcm: bytes) -> None:
        audible = pcm[: max(0, 48_000 - self.played)]
        self.played += len(audible)
        self.queued += len(pcm) - len(audible)
        if audible:
            self.tracker.on_play_bytes(item_id, content_index, audible)

    def stop(self) -> None:
        self.queued = 0


async def main() -> None:
    tracker = RealtimePlaybackTracker()
    speaker = Loudspeaker(tracker)
    async with RealtimeSession(agent, playback_tracker=tracker) as session:
        await session.send_message("Tell me a long story.")
        async for event in session:
            if event.type == "audio":
                speaker.play(event.item_id, event.content_index, event.audio.data)
                if speaker.queued > 48_000:  # somebody has had enough
                    await session.interrupt()
            elif event.type == "audio_interrupted":
                speaker.stop()
                print(f"cut after {event.played_ms} ms")
                break
        story = session.history[-1]
        print(f"generated: {len(story.text)} characters, {story.status}")
        print(f"heard: {story.heard_text!r}, {story.played_ms} ms")
        await session.send_message("Thank you")
        async for event in session:
            if event.type == "agent_end" and event.status == "completed":
                print(f"and then: {event.output}")
                break


asyncio.run(main())
