"""The configuration's dictionaries for audio: formats, voices, transcription, noise reduction and turn detection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol, TypeAlias, TypedDict

from jackfield.audio.formats import AudioFormat

__all__ = [
    "RealtimeAudioConfig",
    "RealtimeAudioFormat",
    "RealtimeAudioInputConfig",
    "RealtimeAudioOutputConfig",
    "RealtimeCustomVoice",
    "RealtimeInputAudioNoiseReductionConfig",
    "RealtimeInputAudioTranscriptionConfig",
    "RealtimeTurnDetectionConfig",
    "RealtimeVoice",
]

AudioFormatName: TypeAlias = Literal["pcm16", "g711_ulaw", "g711_alaw", "audio/pcm", "audio/pcmu", "audio/pcma"]
NoiseReductionType: TypeAlias = Literal["near_field", "far_field"]
TurnDetectionType: TypeAlias = Literal["semantic_vad", "server_vad"]
Eagerness: TypeAlias = Literal["low", "medium", "high", "auto"]
TranscriptionDelay: TypeAlias = Literal["minimal", "low", "medium", "high", "xhigh"]


class _FormatObject(Protocol):
    """A format as other libraries' records have it."""

    @property
    def type(self) -> str | None: ...


RealtimeAudioFormat: TypeAlias = AudioFormatName | str | Mapping[str, Any] | AudioFormat | _FormatObject
"""A format by its name, as {"type", "rate"?}, or as a record with such attributes. `rate` is in Hz.

A mapping whose type jackfield doesn't know is passed on to the provider.
"""


class RealtimeCustomVoice(TypedDict):
    """A voice of one's own."""

    id: str
    """The voice's id. Required."""


RealtimeVoice: TypeAlias = (
    Literal["alloy", "ash", "ballad", "cedar", "coral", "echo", "marin", "sage", "shimmer", "verse"]
    | str
    | RealtimeCustomVoice
    | Mapping[str, Any]
)
"""A voice by its name, one's own by its id, or an object such as Azure's, which is passed on untouched."""


class RealtimeInputAudioTranscriptionConfig(TypedDict, total=False):
    """Transcription of what the user says, beside what the model hears. A vendor's further keys are passed on."""

    model: (
        Literal[
            "gpt-transcribe",
            "gpt-live-transcribe",
            "gpt-4o-transcribe",
            "gpt-4o-mini-transcribe",
            "gpt-4o-mini-transcribe-2025-12-15",
            "gpt-4o-transcribe-diarize",
            "gpt-realtime-whisper",
            "whisper-1",
        ]
        | str
    )
    """The model that transcribes. Default: gpt-4o-mini-transcribe."""

    language: str | None
    """The language that is spoken, as ISO 639-1 has it. Default: it is recognised."""

    languages: list[str]
    """The languages that may be spoken (gpt-transcribe, gpt-live-transcribe)."""

    keywords: list[str]
    """Words that are likely to be said (gpt-transcribe, gpt-live-transcribe)."""

    prompt: str | None
    """Text that guides the transcription; keywords for whisper-1."""

    delay: TranscriptionDelay | str
    """How long the model waits for more before it writes (gpt-realtime-whisper)."""


class RealtimeInputAudioNoiseReductionConfig(TypedDict, total=False):
    """Noise reduction before turn detection and model. A vendor's further keys are passed on."""

    type: NoiseReductionType | str
    """Where the microphone is: at the mouth (`near_field`), or elsewhere in the room (`far_field`)."""

    strength: float
    """How much noise is taken out, 0 or more. Default: 1; in an update, what it was."""


class RealtimeTurnDetectionConfig(TypedDict, total=False):
    """How the provider finds out that the user's turn is over. A vendor's further keys are passed on."""

    type: TurnDetectionType | str
    """By what is said (`semantic_vad`) or by silence (`server_vad`). Default: semantic_vad."""

    create_response: bool
    """Whether the end of a turn asks for a response. Default: True."""

    interrupt_response: bool
    """Whether speech cuts off the response that is under way. Default: True."""

    eagerness: Eagerness | str
    """semantic_vad: how soon a turn is over; at most 8 (low), 4 (medium) or 2 (high) seconds of waiting. Default:
    auto, which is medium."""

    threshold: float
    """server_vad: how loud speech must be, from 0 to 1. Default: 0.5."""

    prefix_padding_ms: int
    """server_vad: how much audio before the first speech belongs to it, in milliseconds. Default: 300."""

    silence_duration_ms: int
    """server_vad: how long a silence ends the turn, in milliseconds. Default: 500."""

    idle_timeout_ms: int | None
    """server_vad: after how long a silence the model speaks up itself, 5000 to 30000 milliseconds from the end of its
    last audio. Default: None, never."""

    model_version: str
    """Which of the provider's detectors, where it has several."""


class RealtimeAudioInputConfig(TypedDict, total=False):
    """What comes from the user."""

    format: RealtimeAudioFormat | None
    """The format of what is sent. Default: 16-bit PCM at 24000 Hz, or what the transport negotiates."""

    noise_reduction: RealtimeInputAudioNoiseReductionConfig | None
    """Noise reduction. Default: None, there is none."""

    transcription: RealtimeInputAudioTranscriptionConfig | None
    """Transcription of the user's words. None: there is none."""

    turn_detection: RealtimeTurnDetectionConfig | None
    """Turn detection. None: the application says when a turn is over."""


class RealtimeAudioOutputConfig(TypedDict, total=False):
    """What comes from the model."""

    format: RealtimeAudioFormat | None
    """The format of what is received. Default: 16-bit PCM at 24000 Hz, or what the transport negotiates."""

    voice: RealtimeVoice
    """The voice. It can't change once the model has spoken. Default: the agent's, or the provider's."""

    speed: float
    """How fast it is spoken, from 0.25 to 1.5. Default: 1."""


class RealtimeAudioConfig(TypedDict, total=False):
    """Audio in both directions. None for one of them says nothing about it."""

    input: RealtimeAudioInputConfig | None
    """What comes from the user."""

    output: RealtimeAudioOutputConfig | None
    """What comes from the model."""
