"""The configuration's checks: what is wrong with it is said before anything is sent, with the key and the right one.

Here are the levels and their keys; what they mean is in `types`. The levels' values that concern audio are in
`audio_check`, the kinds of value in `values`. What lists of tools, handoffs and guardrails hold is checked where they
are used.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from jackfield.audio.tracker import RealtimePlaybackTracker
from jackfield.budget import Budget
from jackfield.errors import ConfigurationError
from jackfield.transport.session_config import normalize_session_config

from . import types
from .audio_check import (
    AUDIO_INPUT_KEYS,
    AUDIO_OUTPUT_KEYS,
    NOISE_REDUCTION,
    PASSED_ON,
    TRANSCRIPTION,
    TURN_DETECTION,
    audio_format,
    speed,
    voice,
)
from .level import Level
from .values import (
    Check,
    boolean,
    function,
    integer,
    literals,
    mapping,
    misspelt,
    nullable,
    number,
    objects,
    one_of,
    open_one_of,
    refuse,
    text,
    texts,
)

__all__ = ["check_model_config", "check_model_settings", "check_run_config"]


def check_run_config(config: Mapping[str, Any] | None) -> None:
    """Raise `ConfigurationError` for what is wrong with a `RealtimeRunConfig`. None is an empty one."""
    if config is not None:
        RUN_CONFIG("config", config)


def check_model_config(config: Mapping[str, Any] | None) -> None:
    """Raise `ConfigurationError` for what is wrong with a `RealtimeModelConfig`. None is an empty one."""
    if config is not None:
        MODEL_CONFIG("model_config", config)


def check_model_settings(settings: Mapping[str, Any] | None, where: str) -> None:
    """Raise `ConfigurationError` for what is wrong with `RealtimeSessionModelSettings`, flat, nested or in camelCase.

    `where` is what messages call them, as in "model_settings". None is empty settings. What the provider alone can
    know (its models, voices and vendor's keys) passes.
    """
    if settings is not None:
        MODEL_SETTINGS(where, settings)


def _home(key: str, first: int = 0) -> str | None:
    """Return where `key` belongs, for a level that doesn't have it. Groups of levels before `first` come last."""
    for group in _LEVELS[first:] + _LEVELS[:first]:
        homes = [name for name, level in group.items() if key in level.keys]
        if homes:
            return " or ".join(homes)
    return None


def _home_in_audio(key: str) -> str | None:
    return _home(key, first=1)


def _home_in_a_run(key: str) -> str | None:
    home = _home(key)
    return home and home.replace("model_settings", "initial_model_settings")


def _instructions(path: str, value: Any) -> None:
    text(empty=True, hint="a function that makes them belongs to the agent" if callable(value) else "")(path, value)


def _modalities(path: str, value: Any) -> None:
    _modality_list(path, value)
    if len(value) != 1:
        hint = "audio comes with its transcript; for both" if value else "for speech"
        raise ConfigurationError(f'{path} is ["audio"] or ["text"], not {list(value)}: {hint} give ["audio"]')


def _legacy_modalities(path: str, value: Any) -> None:
    _modality_list(path, value)
    if not value:
        raise ConfigurationError(f'{path} is ["audio"], ["text"] or both, not an empty list')


def _max_tokens(path: str, value: Any) -> None:
    if value != "inf":
        _token_count(path, value)


def _tool_choice(path: str, value: Any) -> None:
    if isinstance(value, str):
        text()(path, value)
        modes = literals(types.ToolChoiceMode)
        # A bare name may be a tool's. "auto" and "none" are too short to tell a slip from one: note, node, author.
        meant = value.casefold() if value.casefold() in modes else misspelt(value, ("required",))
        if value not in modes and meant is not None:
            tool = {"type": "function", "name": value}
            raise ConfigurationError(f"{path} is {value!r}: did you mean {meant!r}? (A tool of that name is {tool}.)")
    elif isinstance(value, Mapping):
        kind: Any = value.get("type")
        one_of(*_TOOL_CHOICES)(f"{path}.type", kind)
        _TOOL_CHOICES[kind](path, value)
    else:
        refuse(path, "'auto', 'none', 'required', a tool's name, or {'type': 'function', 'name': ...}", value)


def _truncation(path: str, value: Any) -> None:
    if isinstance(value, Mapping):
        _RETENTION_RATIO(path, value)
    else:
        one_of(*literals(types.TruncationMode), hint="or {'type': 'retention_ratio', 'retention_ratio': 0.8}")(
            path, value
        )


def _tracing(path: str, value: Any) -> None:
    if value != "auto":
        _TRACING(path, value)


def _temperature(path: str, value: Any) -> None:
    """The normaliser says what became of it."""
    normalize_session_config({"temperature": value})


def _one_model(path: str, given: Mapping[str, Any]) -> None:
    if "model" in given and given.get("model_name", given["model"]) != given["model"]:
        raise ConfigurationError(
            f"{path} has model {given['model']!r} and model_name {given['model_name']!r}: give one, they are the same"
        )


def _api_key(path: str, value: Any) -> None:
    if inspect.isawaitable(value):
        raise ConfigurationError(f"{path} is awaitable already: give the function itself, it is called at every dial")
    if not isinstance(value, str) and not callable(value):
        raise ConfigurationError(f"{path} is a str or a function that returns one, not {type(value).__name__}")


def _headers(path: str, value: Any) -> None:
    mapping(path, value)
    for name, content in value.items():
        if not isinstance(content, str):
            raise ConfigurationError(f"{path}[{name!r}] is a str, not {type(content).__name__}")


def _url(path: str, value: Any) -> None:
    if not isinstance(value, str):  # not shown: its query may hold a key
        raise ConfigurationError(f"{path} is a str, not {type(value).__name__}: give str() of it")
    text()(path, value)


def _tracker(path: str, value: Any) -> None:
    if not isinstance(value, RealtimePlaybackTracker):
        refuse(path, "a RealtimePlaybackTracker", value, "make one of it with ()" if isinstance(value, type) else "")


def _feedback(path: str, value: Any) -> None:
    if not isinstance(value, str) and not callable(value):
        refuse(path, "a str, a function of the results that returns one, or None", value)


def _budget(path: str, value: Any) -> None:
    try:
        Budget.of(value)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from None


_modality_list = texts(one_of(*literals(types.Modality)), example='["audio"] or ["text"]')

_token_count = integer(1, 4096, unit="tokens", other="'inf' for no limit")

_PROMPT = Level(
    keys={"id": text(), "version": nullable(text()), "variables": nullable(mapping)},
    wanted="a mapping such as {'id': 'pmpt_123'}",
    required=("id",),
)
_REASONING = Level(
    keys={"effort": open_one_of(*literals(types.ReasoningEffortName))}, wanted="a mapping such as {'effort': 'low'}"
)
_TRACING = Level(
    keys={"workflow_name": text(), "group_id": text(), "metadata": mapping},
    wanted="'auto', a mapping such as {'workflow_name': 'support'}, or None to switch it off",
)
_TOKEN_LIMITS = Level(
    keys={"post_instructions": integer(0, unit="tokens")}, wanted="a mapping such as {'post_instructions': 8000}"
)
_RETENTION_RATIO = Level(
    keys={"type": one_of("retention_ratio"), "retention_ratio": number(0, 1), "token_limits": _TOKEN_LIMITS},
    wanted="a mapping such as {'type': 'retention_ratio', 'retention_ratio': 0.8}",
    required=("type", "retention_ratio"),
)
_TOOL_CHOICES = {
    "function": Level(
        keys={"type": one_of("function"), "name": text()},
        wanted="a mapping such as {'type': 'function', 'name': 'get_weather'}",
        required=("name",),
    ),
    "mcp": Level(
        keys={"type": one_of("mcp"), "server_label": text(), "name": nullable(text())},
        wanted="a mapping such as {'type': 'mcp', 'server_label': 'docs'}",
        required=("server_label",),
    ),
}

AUDIO_INPUT = Level(
    keys=AUDIO_INPUT_KEYS,
    wanted="a mapping such as {'turn_detection': {'type': 'server_vad'}}",
    elsewhere=_home_in_audio,
    unknown=PASSED_ON,
)
AUDIO_OUTPUT = Level(
    keys=AUDIO_OUTPUT_KEYS,
    wanted="a mapping such as {'voice': 'marin'}",
    elsewhere=_home_in_audio,
    unknown=PASSED_ON,
)
AUDIO = Level(
    keys={"input": nullable(AUDIO_INPUT), "output": nullable(AUDIO_OUTPUT)},
    wanted="a mapping with 'input' and 'output'",
    elsewhere=_home_in_audio,
    unknown=PASSED_ON,
)

_SETTINGS: dict[str, Check] = {
    "type": one_of("realtime", hint="sessions that only transcribe have no agent"),
    "model": text(),
    "model_name": text(),
    "instructions": _instructions,
    "prompt": nullable(_PROMPT),
    "output_modalities": _modalities,
    "modalities": nullable(_legacy_modalities),
    "audio": nullable(AUDIO),
    "voice": voice,
    "speed": speed,
    "input_audio_format": audio_format,
    "output_audio_format": audio_format,
    "input_audio_transcription": nullable(TRANSCRIPTION),
    "input_audio_noise_reduction": nullable(NOISE_REDUCTION),
    "turn_detection": nullable(TURN_DETECTION),
    "tools": objects("tools"),
    "handoffs": objects("handoffs"),
    "tool_choice": _tool_choice,
    "parallel_tool_calls": boolean,
    "max_output_tokens": _max_tokens,
    "max_response_output_tokens": _max_tokens,
    "reasoning": _REASONING,
    "truncation": _truncation,
    "include": nullable(texts(one_of(*literals(types.IncludeField)), example=repr([*literals(types.IncludeField)]))),
    "tracing": nullable(_tracing),
    "provider_data": mapping,
}
MODEL_SETTINGS = Level(
    keys=_SETTINGS,
    retired={"temperature": _temperature},
    wanted="a mapping such as {'voice': 'marin'}",
    elsewhere=_home,
    unknown=PASSED_ON,
    rule=_one_model,
)

GUARDRAILS_SETTINGS = Level(
    keys={
        "debounce_text_length": integer(
            1, unit="characters", hint="0 would run them before there is text; 1 runs them as often as text comes"
        ),
        "feedback_message": nullable(_feedback),
        "feedback_role": one_of(*literals(types.FeedbackRole)),
        "hold_back_ms": nullable(integer(1, unit="milliseconds", other="None to keep none back")),
    },
    wanted="a mapping such as {'debounce_text_length': 100}",
    camel_case=False,
    elsewhere=_home,
)
TOOL_EXECUTION = Level(
    keys={
        "pre_approval_tool_input_guardrails": boolean,
        "respond_to_mcp_calls": boolean,
        "max_concurrency": integer(1, hint="1 runs one tool call at a time"),
        "join": one_of(*literals(types.ToolJoin)),
    },
    wanted="a mapping such as {'max_concurrency': 4}",
    camel_case=False,
    elsewhere=_home,
)
RUN_CONFIG = Level(
    keys={
        "model_settings": nullable(MODEL_SETTINGS),
        "output_guardrails": nullable(objects("guardrails")),
        "guardrails_settings": nullable(GUARDRAILS_SETTINGS),
        "tracing_disabled": boolean,
        "async_tool_calls": boolean,
        "tool_execution": nullable(TOOL_EXECUTION),
        "tool_error_formatter": nullable(function),
        "budget": nullable(_budget),
    },
    wanted="a mapping such as {'model_settings': {'voice': 'marin'}}",
    camel_case=False,
    bare_paths=True,
    elsewhere=_home,
)
MODEL_CONFIG = Level(
    keys={
        "api_key": nullable(_api_key),
        "url": nullable(_url),
        "headers": nullable(_headers),
        "call_id": nullable(text()),
        "initial_model_settings": nullable(MODEL_SETTINGS),
        "playback_tracker": nullable(_tracker),
    },
    wanted="a mapping such as {'url': 'wss://...'}",
    camel_case=False,
    bare_paths=True,
    elsewhere=_home_in_a_run,
)

_LEVELS: tuple[dict[str, Level], ...] = (
    {"model_settings": MODEL_SETTINGS},
    {"model_settings.audio.input": AUDIO_INPUT, "model_settings.audio.output": AUDIO_OUTPUT},
    {"model_settings.turn_detection": TURN_DETECTION, "model_settings.input_audio_transcription": TRANSCRIPTION},
    {"guardrails_settings": GUARDRAILS_SETTINGS, "tool_execution": TOOL_EXECUTION},
    {"config": RUN_CONFIG, "model_config": MODEL_CONFIG},
)
"""Where a key may belong, the likeliest places first."""
