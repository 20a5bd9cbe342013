"""Audio: formats and their arithmetic, G.711, a streaming resampler, WAV files, and the playback ledger.

Formats, ledger and tracker are pure Python and always there. The rest is loaded when it is first used; G.711 and the
resampler need numpy (extra `audio`). `g711` is used as a module: `g711.encode`, `g711.decode`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jackfield.lazy import lazy_exports

from .formats import PCM16, PCMA, PCMU, AudioFormat, UnknownAudioFormatError
from .ledger import PartPlayback, PlaybackLedger
from .tracker import RealtimePlaybackState, RealtimePlaybackTracker

if TYPE_CHECKING:
    from . import g711
    from .dtmf import dtmf_tones
    from .numeric import MissingAudioDependencyError
    from .reorder import Lost, Media, ReorderBuffer
    from .resample import Resampler
    from .wav import StereoRecorder, WavError, read_wav, write_wav

__all__ = [
    "PCM16",
    "PCMA",
    "PCMU",
    "AudioFormat",
    "Lost",
    "Media",
    "MissingAudioDependencyError",
    "PartPlayback",
    "PlaybackLedger",
    "RealtimePlaybackState",
    "RealtimePlaybackTracker",
    "ReorderBuffer",
    "Resampler",
    "StereoRecorder",
    "UnknownAudioFormatError",
    "WavError",
    "dtmf_tones",
    "g711",
    "read_wav",
    "write_wav",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "Lost": "reorder",
        "Media": "reorder",
        "MissingAudioDependencyError": "numeric",
        "ReorderBuffer": "reorder",
        "Resampler": "resample",
        "StereoRecorder": "wav",
        "WavError": "wav",
        "dtmf_tones": "dtmf",
        "g711": "g711",
        "read_wav": "wav",
        "write_wav": "wav",
    },
)
