"""What the caller holds to his ear and mouth: turns what a phone carries into what the conversation goes by.

A phone has 8,000 samples a second and nothing that tells whose they are. That is told by the call's events, which
come another way.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from jackfield.audio import PlaybackLedger, Resampler
from jackfield.openai import RemoteAudio
from jackfield.transport import events as ev
from jackfield_local.demo.carrier import Ear
from jackfield_local.sip.caller import FRAME_BYTES

__all__ = ["RATE", "Handset", "Mouthpiece"]

RATE: Final = 8_000
_RATE: Final = 24_000
_AHEAD_BYTES: Final = 5 * FRAME_BYTES


class Mouthpiece:
    """The caller's words, from the conversation's rate and clock to the phone's. Neither clock waits for the other."""

    def __init__(self) -> None:
        self._resampler = Resampler(_RATE, RATE)
        self._words = bytearray()

    def say(self, pcm: bytes) -> None:
        """Say this next. Where the phone has fallen behind, silence is left out, so that it catches up."""
        words = self._resampler.process(pcm)
        if len(self._words) < _AHEAD_BYTES or any(words):
            self._words += words

    def next_frame(self) -> bytes | None:
        """Return what the phone sends now."""
        if len(self._words) < FRAME_BYTES:
            return None
        frame = bytes(self._words[:FRAME_BYTES])
        del self._words[:FRAME_BYTES]
        return frame


class Handset:
    """One call to an agent, as `jackfield_local.sip.caller.Voice` has it. `ear` hears what comes.

    `take` wants every event of the session's transport.
    """

    def __init__(self, ear: Ear, mouthpiece: Mouthpiece) -> None:
        self.held = True
        """Whether the caller speaks into this one."""
        self._ear = ear
        self._mouthpiece = mouthpiece
        self._resampler = Resampler(RATE, _RATE)
        self._parts: dict[str, tuple[str, int]] = {}
        self._audio = RemoteAudio(time.monotonic, PlaybackLedger(time.monotonic), self._parts)
        self._announced: dict[str, list[tuple[str, int]]] = {}

    def speak(self) -> bytes | None:
        """See `Voice.speak`."""
        return self._mouthpiece.next_frame() if self.held else None

    def hear(self, pcm: bytes) -> None:
        """See `Voice.hear`."""
        self._tell(self._audio.take(self._resampler.process(pcm), silent=not any(pcm)))

    def take(self, event: Mapping[str, Any]) -> None:
        """Take what the far end tells of what it plays."""
        response_id = event.get("response_id", "")
        match event.get("type"):
            case "response.content_part.added" if event["part"]["type"] == "audio":
                part = event["item_id"], event["content_index"]
                self._parts[response_id] = part
                self._announced.setdefault(response_id, []).append(part)
                self._ear.announce(event["item_id"])
            case "output_audio_buffer.started":
                self._tell(self._audio.started(response_id))
                self._announced.pop(response_id, None)
            case "output_audio_buffer.stopped":
                self._audio.stopped(response_id)
            case "output_audio_buffer.cleared":
                self._tell(self._audio.cleared(response_id))
                self._take_back(response_id)
            case "response.done":
                whole = event["response"]["status"] == "completed"
                self._audio.generated(event["response"]["id"], whole=whole)
                if not whole:
                    self._take_back(event["response"]["id"])

    def _take_back(self, response_id: str) -> None:
        """What was announced of a response, and has not begun, is not going to be heard."""
        for part in self._announced.pop(response_id, ()):
            self._ear.hear_end(*part)

    def _tell(self, events: list[ev.TransportEvent]) -> None:
        for event in events:
            match event:
                case ev.Audio():
                    self._ear.hear(event.data, event.item_id, event.content_index)
                case ev.AudioDone():
                    self._ear.hear_end(event.item_id, event.content_index)
                case _:
                    pass  # that it was interrupted is the session's to tell
