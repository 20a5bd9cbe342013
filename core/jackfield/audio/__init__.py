"""Audio: formats and their arithmetic, G.711, a streaming resampler, WAV files, and the playback ledger.

Importing this package loads no numpy; `g711`, `resample` and `wav` load what they need when they are used.
"""

from __future__ import annotations

from .formats import PCM16, PCMA, PCMU, AudioFormat, UnknownAudioFormatError
from .ledger import PartPlayback, PlaybackLedger
from .tracker import RealtimePlaybackState, RealtimePlaybackTracker

__all__ = [
    "PCM16",
    "PCMA",
    "PCMU",
    "AudioFormat",
    "PartPlayback",
    "PlaybackLedger",
    "RealtimePlaybackState",
    "RealtimePlaybackTracker",
    "UnknownAudioFormatError",
]
