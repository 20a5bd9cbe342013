"""A voice and an ear where the speech extras are missing: tones instead of words, known phrases as transcripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from jackfield_local.engine.shapes import VOICES
from jackfield_local.interfaces import SAMPLE_RATE
from jackfield_local.speech.patterns import plain

__all__ = ["PhraseRecognizer", "ToneSynthesizer"]

_WORD_GAP_MS: Final = 60
_LETTER_MS: Final = 60
_LOUDNESS: Final = 6000.0


class ToneSynthesizer:
    """Speaks a tone for each word, as long as the word would take; each API voice has a pitch of its own."""

    def synthesize(self, text: str, *, voice: str, speed: float) -> bytes:
        """Return the tones for `text` as PCM16 mono at 24,000 Hz."""
        pitch = 220.0 * 2 ** ((VOICES.index(voice) if voice in VOICES else 0) / 6)
        pieces = []
        for index, word in enumerate(text.split()):
            pieces.append(_tone(pitch * (1 + 0.06 * (index % 3)), len(word) * _LETTER_MS / speed))
            pieces.append(bytes(int(_WORD_GAP_MS / speed) * 48))
        return b"".join(pieces)


class PhraseRecognizer:
    """Takes every turn for the next of the phrases that the responder knows, over and over."""

    def __init__(self) -> None:
        self._turn = 0

    def transcribe(self, pcm: bytes, phrases: Sequence[str]) -> str:
        """Return the next phrase, "" where there are none; `pcm` is not listened to."""
        if not phrases:
            return ""
        self._turn += 1
        return plain(phrases[(self._turn - 1) % len(phrases)])


def _tone(pitch: float, ms: float) -> bytes:
    samples = np.arange(int(ms * SAMPLE_RATE / 1000))
    wave = np.sin(samples * (2 * np.pi * pitch / SAMPLE_RATE))
    fade = np.minimum(1.0, np.minimum(samples + 1, len(samples) - samples) / 120)
    pcm: bytes = (wave * fade * _LOUDNESS).astype("<i2").tobytes()
    return pcm
