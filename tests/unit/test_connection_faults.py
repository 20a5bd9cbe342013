"""What a fault inside of a connection costs: one event, and never the connection."""

from __future__ import annotations

from typing import Any

from jackfield import RealtimePlaybackTracker
from jackfield.transport import ProtocolError
from jackfield.transport.events import Error
from support.memory_wire import MemoryWire, memory_transport


class BrokenTracker(RealtimePlaybackTracker):
    """A tracker of the application's that fails when it is told the format."""

    def set_audio_format(self, format: Any) -> None:  # noqa: A002
        raise RuntimeError("no such device")


async def test_a_tracker_that_fails_is_told_and_the_connection_goes_on() -> None:
    wire = MemoryWire()
    transport = memory_transport(wire)
    told: list[Error] = []
    deltas: list[str] = []
    transport.on("error", told.append)
    transport.on("output_text_delta", lambda event: deltas.append(event.delta))
    await transport.connect(initial_session_config={"instructions": "Hi."}, playback_tracker=BrokenTracker())
    assert told
    assert all(isinstance(event.error, ProtocolError) and "RuntimeError" in str(event.error) for event in told)

    far = wire.far_ends[0]
    far.send(
        {"type": "response.output_text.delta", "response_id": "r", "item_id": "i", "content_index": 0, "delta": "ok"}
    )
    await far.heard()
    assert deltas == ["ok"]
    await transport.close()
