"""A session that nobody reads, for an hour of speech: its memory stays flat, and no control event is lost."""

from __future__ import annotations

import base64
import gc
import tracemalloc

from jackfield.transport import EventQueue
from support.memory_wire import FarEnd, open_session, response_done

SECOND = base64.b64encode(bytes(48_000)).decode()
"""A second of PCM16 at 24,000 Hz."""
MINUTES = 60


def a_minute(number: int) -> list[dict[str, object]]:
    """A response that speaks for a minute: words and audio, as they come."""
    response_id, item_id = f"resp_{number}", f"item_{number}"
    ids = {"response_id": response_id, "item_id": item_id, "output_index": 0, "content_index": 0}
    events: list[dict[str, object]] = [
        {"type": "response.created", "response": {"id": response_id, "status": "in_progress", "conversation_id": "c"}}
    ]
    for second in range(60):
        events.append({"type": "response.output_audio_transcript.delta", **ids, "delta": f"second {second} "})
        events.append({"type": "response.output_audio.delta", **ids, "delta": SECOND})
    return [*events, {"type": "response.output_audio.done", **ids}, response_done(response_id)]


async def speak(far: FarEnd, minutes: range) -> int:
    """Have the far end speak; return the bytes that are held when all of it was taken."""
    for minute in minutes:
        far.send(*a_minute(minute))
        await far.heard()
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


async def test_it_stays_flat() -> None:
    async with open_session() as (session, far):
        tracemalloc.start()
        try:
            full = await speak(far, range(10))  # by now the budget is used up
            hour = await speak(far, range(10, MINUTES))
        finally:
            tracemalloc.stop()
        # What is left of 50 minutes: some words in the history, and the control events. Their audio alone is 144 MB.
        assert hour - full < 1_000_000
        assert full < 4 * EventQueue().byte_budget
        assert session.dropped > 0
        far.close()
        kinds = [event.type async for event in session]
        for kind in ("agent_start", "agent_end", "audio_start", "audio_end", "turn_metrics"):
            assert kinds.count(kind) == MINUTES
        assert kinds.count("events_dropped") == 1
        assert [len(item.text.split()) for item in session.history] == [120] * MINUTES
