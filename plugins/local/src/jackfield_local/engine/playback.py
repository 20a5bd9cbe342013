"""The output audio buffer of a session whose server plays: what is still to be heard, and what was heard.

With WebRTC and SIP the server owns the loudspeaker: a media clock takes 20 ms at a time from here, and nobody else
knows how much of an answer was heard. Responses are heard one after the other, in the order of their first audio.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import Factory, define

from jackfield_local.engine.codec import Encoder
from jackfield_local.engine.conversation import Conversation, Item
from jackfield_local.engine.media import PCM, Media
from jackfield_local.engine.response import Emit, Response

__all__ = ["Playback"]

_AHEAD_MS: Final = 60_000
"""By how much a response may be ahead of what is heard of it: a minute, which few answers ever last."""


@define(eq=False)
class _Part:
    """One message's audio: `audio` is still to be heard, `heard` bytes of it were."""

    item: Item
    encoder: Encoder
    audio: bytearray = Factory(bytearray)
    heard: int = 0

    @property
    def unfinished(self) -> bool:
        """Whether there is more of the message than was heard of it, or may be yet."""
        return bool(self.audio) or self.item.wire["status"] == "in_progress"


@define(eq=False)
class _Track:
    """One response's audio."""

    response: Response
    parts: list[_Part] = Factory(list)
    waiting: int = 0
    started: bool = False


class Playback:
    """What one session plays, as `media`. `drained` is called whenever nothing is left to be heard."""

    def __init__(self, emit: Emit, conversation: Conversation, drained: Callable[[], None], media: Media = PCM) -> None:
        self._media = media
        self._emit = emit
        self._conversation = conversation
        self._drained = drained
        self._tracks: list[_Track] = []
        self._cut: set[str] = set()

    @property
    def idle(self) -> bool:
        """Whether nothing is being played, or waits to be."""
        return not self._tracks

    def full(self, response: Response) -> bool:
        """Whether a response is so far ahead of what is heard of it that its producer should wait."""
        track = self._track(response)
        return track is not None and self._media.ms(track.waiting) >= _AHEAD_MS

    def write(self, response: Response, item: Item, pcm: bytes) -> bool:
        """Have `pcm` (PCM16 mono, 24,000 Hz) of a message played. Return False where the response was cut off."""
        if response.id in self._cut:
            return False
        if not pcm:
            return True
        track = self._track(response)
        if track is None:
            track = _Track(response)
            self._tracks.append(track)
        if not track.parts or track.parts[-1].item is not item:
            self._end_part(track)
            track.parts.append(_Part(item, Encoder(self._media.wire_format)))
        part = track.parts[-1]
        self._add(track, part, part.encoder.feed(pcm))
        return True

    def response_done(self, response: Response) -> None:
        """Learn that there will be no more of a response; what was written of it is still played."""
        self._cut.discard(response.id)
        if (track := self._track(response)) is not None:
            self._end_part(track)

    def take(self) -> bytes | None:
        """Return the frame that is heard now, None for silence. To be called once every 20 ms.

        The end of a response is filled up with silence. A response that its producer keeps waiting is waited for.
        """
        while self._tracks:
            track = self._tracks[0]
            if track.waiting >= self._media.frame_bytes or (track.response.done and track.waiting):
                return self._take_from(track)
            if not track.response.done:
                return None
            self._tracks.remove(track)
            self._emit("output_audio_buffer.stopped", response_id=track.response.id)
            if self.idle:
                self._drained()
        return None

    def clear(self, *, out_of_band: bool) -> None:
        """Cut what is being played and what waits, and truncate the items to what was heard of them.

        `out_of_band`: also the responses that are not of the default conversation. What was heard to its end is left
        alone. Audio that is written later for a response that was cut goes nowhere.
        """
        playing = not self.idle
        for track in list(self._tracks):
            unfinished = [part for part in track.parts if part.unfinished]
            if not unfinished or not (out_of_band or track.response.default):
                continue
            self._tracks.remove(track)
            if not track.response.done:
                self._cut.add(track.response.id)
            self._emit("output_audio_buffer.cleared", response_id=track.response.id)
            for part in unfinished:
                self._truncate(part)
        if playing and self.idle:
            self._drained()

    def _take_from(self, track: _Track) -> bytes:
        if not track.started:
            track.started = True
            self._emit("output_audio_buffer.started", response_id=track.response.id)
        frame = b""
        for part in track.parts:
            piece = bytes(part.audio[: self._media.frame_bytes - len(frame)])
            del part.audio[: len(piece)]
            part.heard += len(piece)
            frame += piece
        track.waiting -= len(frame)
        return frame + self._media.silence[len(frame) :]

    def _truncate(self, part: _Part) -> None:
        item = part.item
        if self._conversation.get(item.id) is not item or item.recordings[0].ms == 0:
            return
        # The client may have cut the item already.
        audio_end_ms = min(int(self._media.ms(part.heard)), int(item.recordings[0].ms))
        item.truncate(0, audio_end_ms)
        self._emit("conversation.item.truncated", item_id=item.id, content_index=0, audio_end_ms=audio_end_ms)

    def _end_part(self, track: _Track) -> None:
        """Have the last message's audio to its end: what its encoder still holds."""
        if track.parts:
            self._add(track, track.parts[-1], track.parts[-1].encoder.flush())

    @staticmethod
    def _add(track: _Track, part: _Part, audio: bytes) -> None:
        part.audio += audio
        track.waiting += len(audio)

    def _track(self, response: Response) -> _Track | None:
        return next((track for track in self._tracks if track.response is response), None)
