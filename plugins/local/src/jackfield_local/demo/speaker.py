"""A loudspeaker without a sound card: plays what arrives, in order and in the caller's time, and can be cut short.

It reports every stretch that it has played to the playback tracker, as an application with a real loudspeaker does,
so that an interruption cuts the conversation where the caller stopped hearing it. When time passes is the `stage`'s.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from attrs import define, field

from jackfield.audio import PCM16, AudioFormat, RealtimePlaybackTracker
from jackfield_local.demo.errors import DemoError

__all__ = ["Speaker", "SpokenPart"]

_BYTES_PER_MS = 48


@define(eq=False)
class SpokenPart:
    """One content part of what the agent says, as the caller hears it. Times are ms of the conversation."""

    item_id: str
    content_index: int
    received_ms: float = 0.0
    played_ms: float = 0.0
    started_at_ms: float | None = None
    """When its first sound was played; None until then."""
    cut: bool = False
    ended: bool = False
    """Whether all of it was given to the loudspeaker."""
    _queued: deque[bytes] = field(factory=deque, repr=False)

    @property
    def over(self) -> bool:
        """Whether nothing of it is waiting to be played."""
        return not self._queued

    def queue(self, pcm: bytes) -> None:
        """Add audio behind what is there."""
        self._queued.append(pcm)
        self.received_ms += len(pcm) / _BYTES_PER_MS

    def take(self, size: int) -> bytes:
        """Take up to `size` bytes from the front."""
        taken = bytearray()
        while self._queued and len(taken) < size:
            chunk = self._queued.popleft()
            room = size - len(taken)
            taken += chunk[:room]
            if len(chunk) > room:
                self._queued.appendleft(chunk[room:])
        self.played_ms += len(taken) / _BYTES_PER_MS
        return bytes(taken)

    def drop(self) -> None:
        """Throw away what is waiting."""
        self._queued.clear()
        self.cut = True


class Speaker:
    """Plays PCM16 mono at 24,000 Hz. `heard` is called with each stretch of sound and the time, in ms, it began at."""

    def __init__(self, tracker: RealtimePlaybackTracker, heard: Callable[[bytes, float], None]) -> None:
        self.parts: list[SpokenPart] = []
        """Everything that was given to it, in order."""
        self._tracker = tracker
        self._heard = heard
        self._by_id: dict[tuple[str, int], SpokenPart] = {}
        self._waiting: deque[SpokenPart] = deque()

    @property
    def silent(self) -> bool:
        """Whether there is nothing left to play, and nothing to come."""
        return all(part.over and (part.ended or part.cut) for part in self._waiting)

    def part(self, item_id: str, content_index: int) -> SpokenPart | None:
        """Return a content part that was given to it."""
        return self._by_id.get((item_id, content_index))

    def write(self, pcm: bytes, item_id: str, content_index: int, audio_format: AudioFormat = PCM16) -> SpokenPart:
        """Queue audio behind what is waiting. Raises `DemoError` for audio in another format."""
        if audio_format != PCM16:
            raise DemoError(f"the demo plays {PCM16}, and the transport delivers {audio_format}: use another transport")
        key = (item_id, content_index)
        part = self._by_id.get(key)
        if part is None:
            part = self._by_id[key] = SpokenPart(item_id, content_index)
            self.parts.append(part)
            self._waiting.append(part)
        if not part.cut:
            part.queue(pcm)
        return part

    def play(self, ms: float, now_ms: float) -> None:
        """Play for `ms` milliseconds, from `now_ms` on; where there is nothing to play, that time is silence."""
        size = round(ms * _BYTES_PER_MS) & ~1
        done = 0
        while self._waiting and done < size:
            part = self._waiting[0]
            pcm = part.take(size - done)
            if pcm:
                at_ms = now_ms + done / _BYTES_PER_MS
                if part.started_at_ms is None:
                    part.started_at_ms = at_ms
                self._heard(pcm, at_ms)
                self._tracker.on_play_bytes(part.item_id, part.content_index, pcm)
                done += len(pcm)
            if not part.over:
                continue
            if len(self._waiting) == 1 and not part.cut:
                break  # more of it may come
            self._waiting.popleft()

    def end(self, item_id: str, content_index: int) -> None:
        """Note that no more of this content part comes."""
        part = self.part(item_id, content_index)
        if part is not None:
            part.ended = True

    def cut(self, item_id: str, content_index: int) -> SpokenPart | None:
        """Stop this content part at once and drop what is queued of it; return it."""
        part = self.part(item_id, content_index)
        if part is not None:
            part.drop()
        return part
