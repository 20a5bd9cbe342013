"""Audio: formats and their arithmetic, G.711, a streaming resampler, WAV files, and the playback ledger.

Importing this package loads no numpy: the modules that need it load it when they are used. `g711` is used as a
module (`g711.encode`, `g711.decode`).
"""

from __future__ import annotations

from . import g711
from .formats import PCM16, PCMA, PCMU, AudioFormat, UnknownAudioFormatError
from .ledger import PartPlayback, PlaybackLedger
from .numeric import MissingAudioDependencyError
from .resample import Resampler, resample
from .tracker import RealtimePlaybackState, RealtimePlaybackTracker
from .wav import StereoRecorder, WavError, read_wav, write_wav

__all__ = [
    "PCM16",
    "PCMA",
    "PCMU",
    "AudioFormat",
    "MissingAudioDependencyError",
    "PartPlayback",
    "PlaybackLedger",
    "RealtimePlaybackState",
    "RealtimePlaybackTracker",
    "Resampler",
    "StereoRecorder",
    "UnknownAudioFormatError",
    "WavError",
    "g711",
    "read_wav",
    "resample",
    "write_wav",
]
