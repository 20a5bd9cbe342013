"""The provider's `setup`: one builder of it, for connecting, for changes, and for taking a session up again.

A session's settings come in the shapes that `jackfield.transport.normalize_session_config` knows. What the provider has
no counterpart for is refused, with what to do instead; what is its own goes under `gemini`, in its own words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from attrs import field, frozen

from jackfield.audio import PCM16, AudioFormat, UnknownAudioFormatError
from jackfield.transport import (
    BargeIn,
    ConfigurationError,
    merge_session_config,
    normalize_session_config,
)

from .schema import declared_tools

__all__ = ["DEFAULT_MODEL", "Defaults", "Settings", "own_words"]

DEFAULT_MODEL: Final = "gemini-live-2.5-flash-preview"

_OWN: Final = "gemini"
_IGNORED: Final = frozenset({"type", "model", "object", "id"})
_KNOWN: Final = frozenset(
    {
        "instructions",
        "tools",
        "output_modalities",
        "audio",
        "max_output_tokens",
        "truncation",
        "tool_choice",
        "parallel_tool_calls",
        "tracing",
        "prompt",
        "include",
        "metadata",
        "reasoning",
        "temperature",
        _OWN,
    }
)
_CAMEL = re.compile(r"_([a-z0-9])")
_VERBATIM: Final = frozenset({"tools", "labels"})


@frozen
class Defaults:
    """What a transport says where a session says nothing; `setup` is the provider's own, under everything else."""

    voice: str | None = None
    voices: Mapping[str, str] = field(factory=dict)
    """The provider's voice for a name that agents use."""
    setup: Mapping[str, Any] = field(factory=dict)
    resume: bool = True
    """Whether handles are asked for, with which a session can be taken up again."""


@frozen
class Settings:
    """A session's settings, and what they are for the provider."""

    config: Mapping[str, Any]
    """Normalized; `gemini` and `temperature` as they were given."""
    model: str
    defaults: Defaults = field(factory=Defaults)
    barge_in: BargeIn = "auto"
    setup: Mapping[str, Any] = field(init=False, repr=False)
    """The whole `setup`, but for the handle."""

    @setup.default
    def _built(self) -> Mapping[str, Any]:
        return _setup(self)

    @classmethod
    def of(
        cls,
        config: Mapping[str, Any] | None,
        model: str,
        defaults: Defaults | None = None,
        barge_in: BargeIn = "auto",
    ) -> Settings:
        """Return the settings in `config`; raise `ConfigurationError` for what they can't be."""
        return cls(_normalized(config or {}), model, defaults or Defaults(), barge_in)

    def changed(self, change: Mapping[str, Any]) -> Settings:
        """Return the settings with `change`, of which only the given keys change."""
        normalized = _normalized(change)
        return Settings(merge_session_config(self.config, normalized), self.model, self.defaults, self.barge_in)

    @property
    def input_format(self) -> AudioFormat:
        """The format of the audio that the application sends."""
        return _format(_side(self.config, "input").get("format"))

    @property
    def manual(self) -> bool:
        """Whether the application says when the user's turn begins and ends."""
        detection = _get(self.setup, "realtimeInputConfig", "automaticActivityDetection", "disabled")
        return detection is True

    @property
    def interrupts(self) -> bool:
        """Whether the user's speech interrupts the model."""
        return bool(_get(self.setup, "realtimeInputConfig", "activityHandling") != "NO_INTERRUPTION")

    @property
    def transcribes(self) -> bool:
        """Whether the user's speech is transcribed."""
        return "inputAudioTranscription" in self.setup


def own_words(value: Any) -> Any:
    """Return the provider's own settings in its JSON's names: `generation_config` is `generationConfig`."""
    if isinstance(value, Mapping):
        return {
            (name := _CAMEL.sub(lambda match: match[1].upper(), str(key))): inner
            if name in _VERBATIM
            else own_words(inner)
            for key, inner in value.items()
        }
    return [own_words(inner) for inner in value] if isinstance(value, list | tuple) else value


def _normalized(config: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(config, Mapping):
        raise ConfigurationError(f"a session config is a mapping, not {type(config).__name__}")
    given = dict(config)
    # Both are the provider's, and not settings of the Realtime API: its normalizer knows neither.
    own, temperature = given.pop(_OWN, None), given.pop("temperature", None)
    normalized = normalize_session_config(given)
    if own is not None:
        if not isinstance(own, Mapping):
            raise ConfigurationError(f"{_OWN} holds keys of Gemini's setup, and is a mapping, not {own!r:.80}")
        normalized[_OWN] = own_words(own)
    if temperature is not None:
        normalized["temperature"] = temperature
    unknown = [key for key in normalized if key not in _KNOWN | _IGNORED]
    if unknown:
        raise ConfigurationError(
            f"Gemini has no setting {unknown[0]!r}: what its own setup knows goes under {_OWN!r}, as in "
            f'{{"{_OWN}": {{"proactivity": {{...}}}}}}'
        )
    return normalized


def _setup(settings: Settings) -> dict[str, Any]:
    config, defaults = settings.config, settings.defaults
    _refuse_what_there_is_not(config)
    setup: dict[str, Any] = {"model": settings.model, "generationConfig": _generation(config, defaults)}
    instructions = config.get("instructions")
    if instructions:
        setup["systemInstruction"] = {"parts": [{"text": instructions}]}
    tools = declared_tools(config.get("tools"))
    if tools:
        setup["tools"] = tools
    detection = _detection(config, settings.barge_in)
    if detection:
        setup["realtimeInputConfig"] = detection
    transcription = _transcription(_side(config, "input").get("transcription"))
    if transcription is not None:
        setup["inputAudioTranscription"] = transcription
    if setup["generationConfig"]["responseModalities"] == ["AUDIO"]:
        setup["outputAudioTranscription"] = {}
    if config.get("truncation") == "auto":
        setup["contextWindowCompression"] = {"slidingWindow": {}}
    if defaults.resume:
        setup["sessionResumption"] = {}
    setup = _merged(setup, own_words(defaults.setup))
    return _merged(setup, config.get(_OWN) or {})


def _generation(config: Mapping[str, Any], defaults: Defaults) -> dict[str, Any]:
    modalities = config.get("output_modalities") or ["audio"]
    if list(modalities) not in (["audio"], ["text"]):
        raise ConfigurationError(f'output_modalities is ["audio"] or ["text"], not {list(modalities)}')
    generation: dict[str, Any] = {"responseModalities": [str(modalities[0]).upper()]}
    voice = _side(config, "output").get("voice")
    if voice is not None and not isinstance(voice, str):
        raise ConfigurationError(f"a voice of Gemini's is a name, such as 'Puck', not {voice!r:.80}")
    voice = defaults.voices.get(voice, voice) if voice else defaults.voice
    if voice and modalities[0] == "audio":
        generation["speechConfig"] = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}}
    if config.get("temperature") is not None:
        generation["temperature"] = config["temperature"]
    limit = config.get("max_output_tokens")
    if limit is not None and limit != "inf":
        generation["maxOutputTokens"] = limit
    return generation


def _detection(config: Mapping[str, Any], barge_in: BargeIn) -> dict[str, Any]:
    given = _side(config, "input")
    result: dict[str, Any] = {}
    interrupts: bool | None = None
    if "turn_detection" in given:
        detection = given["turn_detection"]
        if detection is None:
            result["automaticActivityDetection"] = {"disabled": True}
        else:
            automatic, interrupts = _automatic(detection)
            if automatic:
                result["automaticActivityDetection"] = automatic
    if barge_in != "auto":
        interrupts = barge_in == "always"
    if interrupts is not None:
        result["activityHandling"] = "START_OF_ACTIVITY_INTERRUPTS" if interrupts else "NO_INTERRUPTION"
    return result


def _automatic(detection: Any) -> tuple[dict[str, Any], bool | None]:
    if not isinstance(detection, Mapping):
        raise ConfigurationError(f"turn_detection is a mapping, or None for turns by hand, not {detection!r:.80}")
    if detection.get("create_response") is False:
        raise ConfigurationError(
            "Gemini answers whatever turn it detects: create_response=False needs turn_detection None, where you say "
            "when a turn ends"
        )
    if detection.get("idle_timeout_ms") is not None:
        raise ConfigurationError("Gemini has no idle_timeout_ms: leave it out, and send a message when it is time")
    automatic: dict[str, Any] = {}
    threshold = detection.get("threshold")
    if isinstance(threshold, int | float) and threshold != 0.5:  # it has two levels where others have a scale
        automatic["startOfSpeechSensitivity"] = "START_SENSITIVITY_" + ("HIGH" if threshold < 0.5 else "LOW")
    eagerness = detection.get("eagerness")
    if eagerness in ("low", "high"):
        automatic["endOfSpeechSensitivity"] = "END_SENSITIVITY_" + eagerness.upper()
    for ours, theirs in (("prefix_padding_ms", "prefixPaddingMs"), ("silence_duration_ms", "silenceDurationMs")):
        if detection.get(ours) is not None:
            automatic[theirs] = detection[ours]
    interrupts = detection.get("interrupt_response")
    return automatic, interrupts if isinstance(interrupts, bool) else None


def _transcription(given: Any) -> dict[str, Any] | None:
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"transcription is a mapping, or None for none, not {given!r:.80}")
    if given.get("prompt"):
        raise ConfigurationError(
            "Gemini's transcription takes no prompt: give words that are hard to hear as "
            '{"gemini": {"inputAudioTranscription": {"customVocabulary": [...]}}}'
        )
    language = given.get("language")
    return {"languageCodes": [language]} if language else {}


_ADVICE: Final[Mapping[str, tuple[tuple[Any, ...], str]]] = {
    "tool_choice": (("auto",), "it always decides by itself whether it calls a tool"),
    "parallel_tool_calls": ((True,), "it may always call several tools at a time"),
    "tracing": ((), "it keeps no traces"),
    "prompt": ((), "it stores no prompts: give instructions"),
    "include": (([], ()), "what it tells is not chosen"),
    "metadata": (({},), "give labels under gemini, where your endpoint takes them"),
    "reasoning": ((), 'give {"gemini": {"generationConfig": {"thinkingConfig": {...}}}}'),
    "truncation": (("auto", "disabled"), 'give {"gemini": {"contextWindowCompression": {...}}}'),
}
"""Settings with the values that go without saying, and what to do for the others."""


def _refuse_what_there_is_not(config: Mapping[str, Any]) -> None:
    for key, (harmless, advice) in _ADVICE.items():
        value = config.get(key)
        if value is not None and value not in harmless:
            raise ConfigurationError(f"Gemini has no {key}={value!r:.80}: {advice}")
    instructions = config.get("instructions")
    if instructions is not None and not isinstance(instructions, str):
        raise ConfigurationError(f"instructions are text, not {type(instructions).__name__}")
    heard, spoken = _side(config, "input"), _side(config, "output")
    if heard.get("noise_reduction") is not None:
        raise ConfigurationError("Gemini reduces no noise: leave noise_reduction out, and clean the audio before it")
    if spoken.get("speed") not in (None, 1, 1.0):
        raise ConfigurationError("Gemini has no speed: ask for slower or faster speech in the instructions")
    _format(heard.get("format"))
    if spoken.get("format") is not None and _format(spoken["format"]) != PCM16:
        raise ConfigurationError(
            f"Gemini speaks {PCM16} and nothing else: leave the output's format out, and convert what you play "
            "(jackfield.audio)"
        )


def _format(given: Any) -> AudioFormat:
    if given is None:
        return PCM16
    try:
        return AudioFormat.parse(given)
    except UnknownAudioFormatError as error:
        raise ConfigurationError(str(error)) from None


def _side(config: Mapping[str, Any], side: str) -> Mapping[str, Any]:
    value = (config.get("audio") or {}).get(side)
    return value if isinstance(value, Mapping) else {}


def _merged(setup: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `setup` with `over` upon it, key by key; what is None there is taken away."""
    merged = dict(setup)
    for key, value in over.items():
        known = merged.get(key)
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(known, Mapping):
            merged[key] = _merged(known, value)
        elif key == "tools" and isinstance(known, list):
            merged[key] = [*known, *value]
        else:
            merged[key] = value
    return merged


def _get(setup: Mapping[str, Any], *path: str) -> Any:
    value: Any = setup
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
