"""The configuration: what is accepted, what is refused, and what the error says to do about it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.realtime import RealtimeClientEvent
from pydantic import TypeAdapter

from jackfield import AudioFormat, Budget, RealtimeAgent, RealtimePlaybackTracker, function_tool
from jackfield import config as jc
from jackfield.config import check_model_config, check_model_settings, check_run_config
from jackfield.errors import ConfigurationError
from jackfield.openai import session_payload
from jackfield.transport import UNSET, normalize_session_config

Sample = dict[str, list[Any]]

CLIENT_EVENTS: TypeAdapter[Any] = TypeAdapter(RealtimeClientEvent)


@function_tool
def ping() -> str:
    return "pong"


AGENT = RealtimeAgent("Helper")

SEMANTIC: Sample = {
    "type": ["semantic_vad"],
    "create_response": [True, False],
    "interrupt_response": [True, False],
    "eagerness": ["low", "medium", "high", "auto"],
}
SERVER: Sample = {
    "type": ["server_vad"],
    "create_response": [True, False],
    "interrupt_response": [True, False],
    "threshold": [0, 0.0, 0.5, 1, 1.0],
    "prefix_padding_ms": [0, 300],
    "silence_duration_ms": [0, 500],
    "idle_timeout_ms": [5000, 30000, None],
}
TURN_DETECTION: Sample = {**SEMANTIC, **SERVER, "type": ["semantic_vad", "server_vad"], "model_version": ["2"]}
TRANSCRIPTION: Sample = {
    "model": ["gpt-4o-mini-transcribe", "whisper-1", "azure-speech"],
    "language": ["en", None],
    "languages": [["en", "fr"], [], ("en",)],
    "keywords": [["jackfield"]],
    "prompt": ["Patch panels.", "", None],
    "delay": ["minimal", "low", "medium", "high", "xhigh"],
}
NOISE_REDUCTION: Sample = {"type": ["near_field", "far_field"], "strength": [0, 0.5, 1]}
FORMATS = [
    "pcm16",
    "g711_ulaw",
    "g711_alaw",
    "audio/pcm",
    {"type": "audio/pcm"},
    {"type": "audio/pcm", "rate": 24000},
    {"type": "audio/pcmu"},
    AudioFormat("audio/pcma", 8000),
    SimpleNamespace(type="audio/pcm", rate=24000),
]
VOICES = ["marin", "a voice of next year", {"id": "voice_1"}]
AUDIO_INPUT: Sample = {
    "format": [*FORMATS, None],
    "noise_reduction": [{"type": "far_field"}, {}, None],
    "transcription": [{"model": "whisper-1"}, {}, None],
    "turn_detection": [{"type": "server_vad", "threshold": 0.5}, {"eagerness": "low"}, {}, None],
}
AUDIO_OUTPUT: Sample = {"format": [*FORMATS, None], "voice": VOICES, "speed": [0.25, 1, 1.5]}
AUDIO: Sample = {
    "input": [{"format": "pcm16"}, {}, None],
    "output": [{"voice": "marin"}, {}, None],
}
TRACING: Sample = {"workflow_name": ["support"], "group_id": ["g"], "metadata": [{"anyKey": [1]}]}
PROMPT: Sample = {"id": ["pmpt_1"], "version": ["3", None], "variables": [{"anyName": "x"}, {}, None]}
REASONING: Sample = {"effort": ["minimal", "low", "medium", "high", "xhigh"]}
SETTINGS: Sample = {
    "type": ["realtime"],
    "model": ["gpt-realtime"],
    "model_name": ["gpt-realtime"],
    "instructions": ["Be brief.", ""],
    "prompt": [{"id": "pmpt_1"}, None],
    "output_modalities": [["audio"], ["text"], ("audio",)],
    "modalities": [["audio"], ["text"], ["text", "audio"], None],
    "audio": [{"input": {"turn_detection": None}, "output": {"speed": 1.1}}, {}, None],
    "voice": VOICES,
    "speed": [0.25, 1, 1.5],
    "input_audio_format": [*FORMATS, None],
    "output_audio_format": [*FORMATS, None],
    "input_audio_transcription": AUDIO_INPUT["transcription"],
    "input_audio_noise_reduction": AUDIO_INPUT["noise_reduction"],
    "turn_detection": AUDIO_INPUT["turn_detection"],
    "tools": [[ping], []],
    "handoffs": [[AGENT], []],
    "tool_choice": [
        "auto",
        "none",
        "required",
        "get_weather",
        "note",
        "author",
        {"type": "function", "name": "get_weather"},
        {"type": "mcp", "server_label": "docs"},
        {"type": "mcp", "server_label": "docs", "name": "search"},
    ],
    "parallel_tool_calls": [True, False],
    "max_output_tokens": [1, 4096, "inf"],
    "max_response_output_tokens": [1, 4096, "inf"],
    "reasoning": [{"effort": "low"}, {}],
    "truncation": [
        "auto",
        "disabled",
        {"type": "retention_ratio", "retention_ratio": 0.8},
        {"type": "retention_ratio", "retention_ratio": 1, "token_limits": {"post_instructions": 5000}},
    ],
    "include": [["item.input_audio_transcription.logprobs"], [], None],
    "tracing": ["auto", {"workflow_name": "support"}, {}, None],
    "provider_data": [{}, {"any": {"thing": 1}}],
}
GUARDRAILS: Sample = {
    "debounce_text_length": [1, 100],
    "feedback_message": ["Say it otherwise.", str, None],
    "feedback_role": ["user", "system"],
    "hold_back_ms": [1, 500, None],
}
TOOL_EXECUTION: Sample = {
    "pre_approval_tool_input_guardrails": [True, False],
    "max_concurrency": [1, 16],
    "respond_to_mcp_calls": [True, False],
    "join": ["response", "call"],
}
RUN_CONFIG: Sample = {
    "model_settings": [{"voice": "marin"}, {}, None],
    "output_guardrails": [[object()], [], None],
    "guardrails_settings": [{"debounce_text_length": 50}, {}, None],
    "tracing_disabled": [True, False],
    "async_tool_calls": [True, False],
    "tool_execution": [{"max_concurrency": 2}, {}, None],
    "tool_error_formatter": [str, None],
    "budget": [Budget(max_tokens=100), {"max_seconds": 60}, None],
}
MODEL_CONFIG: Sample = {
    "api_key": ["sk-test", lambda: "sk-test", None],
    "url": ["wss://example.test/v1/realtime", None],
    "headers": [{"api-key": "k"}, {}, None],
    "call_id": ["rtc_1", None],
    "initial_model_settings": [{"voice": "marin"}, {}, None],
    "playback_tracker": [RealtimePlaybackTracker(), None],
}


def settings(value: Any) -> None:
    check_model_settings(value, "model_settings")


def at(*keys: str) -> Callable[[Any], None]:
    """Return the check of what stands under `keys` in the model settings."""

    def check(value: Any) -> None:
        for key in reversed(keys):
            value = {key: value}
        settings(value)

    return check


def guardrails(value: Any) -> None:
    check_run_config({"guardrails_settings": value})


def tool_execution(value: Any) -> None:
    check_run_config({"tool_execution": value})


INPUT, OUTPUT = ("audio", "input"), ("audio", "output")

LEVELS: list[tuple[Any, Sample, Callable[[Any], None], str]] = [
    (jc.RealtimeRunConfig, RUN_CONFIG, check_run_config, "config"),
    (jc.RealtimeModelConfig, MODEL_CONFIG, check_model_config, "model_config"),
    (jc.RealtimeGuardrailsSettings, GUARDRAILS, guardrails, "guardrails_settings"),
    (jc.RealtimeToolExecutionConfig, TOOL_EXECUTION, tool_execution, "tool_execution"),
]
SESSION_LEVELS: list[tuple[Any, Sample, Callable[[Any], None], str]] = [
    (jc.RealtimeSessionModelSettings, SETTINGS, settings, "model_settings"),
    (jc.RealtimeAudioConfig, AUDIO, at("audio"), "model_settings.audio"),
    (jc.RealtimeAudioInputConfig, AUDIO_INPUT, at(*INPUT), "model_settings.audio.input"),
    (jc.RealtimeAudioOutputConfig, AUDIO_OUTPUT, at(*OUTPUT), "model_settings.audio.output"),
    (jc.RealtimeModelTracingConfig, TRACING, at("tracing"), "model_settings.tracing"),
    (jc.RealtimeReasoningConfig, REASONING, at("reasoning"), "model_settings.reasoning"),
    (jc.Prompt, PROMPT, lambda value: at("prompt")({"id": "pmpt_1", **value}), "model_settings.prompt"),
]
VENDOR_LEVELS: list[tuple[Any, Sample, Callable[[Any], None], str]] = [
    (jc.RealtimeTurnDetectionConfig, TURN_DETECTION, at("turn_detection"), "model_settings.turn_detection"),
    (
        jc.RealtimeTurnDetectionConfig,
        TURN_DETECTION,
        at(*INPUT, "turn_detection"),
        "model_settings.audio.input.turn_detection",
    ),
    (
        jc.RealtimeInputAudioTranscriptionConfig,
        TRANSCRIPTION,
        at("input_audio_transcription"),
        "model_settings.input_audio_transcription",
    ),
    (
        jc.RealtimeInputAudioNoiseReductionConfig,
        NOISE_REDUCTION,
        at(*INPUT, "noise_reduction"),
        "model_settings.audio.input.noise_reduction",
    ),
]
ALL_LEVELS = [*LEVELS, *SESSION_LEVELS, *VENDOR_LEVELS]
each_level = pytest.mark.parametrize(
    ("typed", "sample", "check", "path"), ALL_LEVELS, ids=[path for *_, path in ALL_LEVELS]
)
camel_levels = pytest.mark.parametrize(
    ("typed", "sample", "check", "path"),
    [*SESSION_LEVELS, *VENDOR_LEVELS],
    ids=[path for *_, path in [*SESSION_LEVELS, *VENDOR_LEVELS]],
)


def camel(key: str) -> str:
    head, *tail = key.split("_")
    return head + "".join(word.title() for word in tail)


def slips(name: str) -> Iterator[str]:
    """Yield what comes of `name` with a letter left out, typed twice, or in its neighbour's place."""
    for index in range(len(name)):
        yield name[:index] + name[index + 1 :]
        yield name[: index + 1] + name[index:]
        yield name[:index] + name[index + 1 : index + 2] + name[index] + name[index + 2 :]


class TestWhatIsAccepted:
    @each_level
    def test_every_key_with_every_kind_of_value(
        self, typed: Any, sample: Sample, check: Callable[[Any], None], path: str
    ) -> None:
        assert set(sample) == set(typed.__annotations__)
        for key, values in sample.items():
            for value in values:
                check({key: value})

    @each_level
    def test_an_unset_one_is_as_good_as_none(
        self, typed: Any, sample: Sample, check: Callable[[Any], None], path: str
    ) -> None:
        for key in sample:
            if key != "id":  # a prompt must have one
                check({key: UNSET})

    @camel_levels
    def test_in_camel_case_where_the_session_config_takes_it(
        self, typed: Any, sample: Sample, check: Callable[[Any], None], path: str
    ) -> None:
        for key, values in sample.items():
            for value in values:
                check({camel(key): value})

    def test_what_is_accepted_in_camel_case_is_understood(self) -> None:
        for key, values in SETTINGS.items():
            assert normalize_session_config({camel(key): values[0]}) == normalize_session_config({key: values[0]})

    @pytest.mark.parametrize(("typed", "sample", "check", "path"), LEVELS, ids=[path for *_, path in LEVELS])
    def test_elsewhere_there_is_one_spelling(
        self, typed: Any, sample: Sample, check: Callable[[Any], None], path: str
    ) -> None:
        for key, values in sample.items():
            if camel(key) != key:
                with pytest.raises(ConfigurationError, match=f"did you mean '{key}'"):
                    check({camel(key): values[0]})

    @pytest.mark.parametrize("check", [check_run_config, check_model_config, settings])
    def test_nothing_at_all(self, check: Callable[[Any], None]) -> None:
        check(None)
        check({})

    @pytest.mark.parametrize(
        ("path", "name"),
        [
            (("turn_detection", "type"), "azure_semantic_vad"),
            (("turn_detection", "type"), "azure_semantic_vad_multilingual"),
            (("turn_detection", "type"), "semantic_vad_v2"),
            (("turn_detection", "type"), "none"),
            (("turn_detection", "eagerness"), "highest"),
            (("input_audio_noise_reduction", "type"), "azure_deep_noise_suppression"),
            (("input_audio_transcription", "delay"), "none"),
            (("reasoning", "effort"), "none"),
            (("reasoning", "effort"), "maximal"),
            (("input_audio_format",), {"type": "audio/opus"}),
            (("input_audio_format",), {"type": "pcm_f32le", "rate": 48000}),
            (("input_audio_format",), {"type": "audio/pcm", "rate": 16000}),
            (("voice",), {"name": "en-US-Ava:DragonHDLatestNeural", "type": "azure-standard", "temperature": 0.8}),
        ],
    )
    def test_what_a_provider_may_have(self, path: tuple[str, ...], name: Any) -> None:
        at(*path)(name)

    @pytest.mark.parametrize(
        ("path", "keys"),
        [
            (
                "turn_detection",
                {
                    "type": "azure_semantic_vad",
                    "threshold": 0.3,
                    "speech_duration_ms": 80,
                    "remove_filler_words": True,
                    "languages": ["en"],
                    "auto_truncate": True,
                    "end_of_utterance_detection": {"model": "semantic_detection_v1", "timeout_ms": 1000},
                },
            ),
            ("input_audio_transcription", {"model": "azure-speech", "phrase_list": ["jack"], "custom_speech": {}}),
            ("input_audio_transcription", {"keyterms": ["jack"]}),
            ("input_audio_noise_reduction", {"type": "deep", "azure_strength": 2}),
        ],
    )
    def test_a_vendors_keys(self, path: str, keys: dict[str, Any]) -> None:
        at(path)(keys)

    @pytest.mark.parametrize("detection", [{"threshold": 0.9}, {"eagerness": "low"}, {"idle_timeout_ms": 9000}])
    def test_a_layer_need_not_say_what_kind_of_turn_detection_it_changes(self, detection: dict[str, Any]) -> None:
        at("turn_detection")(detection)
        at("turn_detection")({"type": UNSET, **detection})

    def test_one_model_under_both_names(self) -> None:
        settings({"model": "gpt-realtime", "model_name": "gpt-realtime"})
        settings({"model": UNSET, "model_name": "gpt-realtime"})

    def test_both_spellings_the_apis_own_wins(self) -> None:
        for pairs in (
            {"type": "server_vad", "idle_timeout_ms": UNSET, "idleTimeoutMs": 9000},
            {"idleTimeoutMs": 9000, "idle_timeout_ms": 8000},
        ):
            at("turn_detection")(pairs)
        settings({"modelName": "b", "model_name": "a", "model": "a"})
        settings({"model_name": "a", "modelName": "b", "model": "a"})

    def test_temperature_of_none(self) -> None:
        settings({"temperature": None})
        settings({"temperature": UNSET})


def json_values() -> st.SearchStrategy[Any]:
    scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    )


def junk() -> st.SearchStrategy[dict[Any, Any]]:
    """Return what draws mappings whose keys are right and whose values are anything."""
    keys = st.sampled_from([*RUN_CONFIG, *MODEL_CONFIG, *SETTINGS, *AUDIO, *AUDIO_INPUT, *TURN_DETECTION, *PROMPT])
    values = st.recursive(json_values(), lambda inner: st.dictionaries(keys, inner, max_size=3), max_leaves=5)
    return st.dictionaries(keys, values, max_size=3)


def chosen(sample: Sample, *without: str, required: tuple[str, ...] = ()) -> st.SearchStrategy[dict[str, Any]]:
    """Return what draws valid mappings with some of the keys of `sample`."""
    values = {key: st.sampled_from(choices) for key, choices in sample.items() if key not in without}
    optional = {key: value for key, value in values.items() if key not in required}
    return st.fixed_dictionaries({key: values[key] for key in required}, optional=optional)


def detections() -> st.SearchStrategy[Any]:
    return st.none() | chosen(SEMANTIC, required=("type",)) | chosen(SERVER, required=("type",))


@st.composite
def valid_settings(draw: st.DrawFn) -> dict[str, Any]:
    """Settings, flat or nested, that the API takes as well: nothing of jackfield's or a vendor's own in them."""
    ours = ("tools", "handoffs", "provider_data", "model", "model_name", "audio", "turn_detection", "modalities")
    drawn = draw(chosen(SETTINGS, *ours))
    audio: dict[str, Any] = {
        "turn_detection": draw(detections()),
        "transcription": draw(st.none() | chosen(TRANSCRIPTION, required=("model",))),
        "noise_reduction": draw(st.none() | chosen(NOISE_REDUCTION, required=("type",))),
    }
    if draw(st.booleans()):
        drawn["audio"] = {"input": audio, "output": draw(chosen(AUDIO_OUTPUT))}
    else:
        drawn["turn_detection"] = audio["turn_detection"]
        drawn["input_audio_transcription"] = audio["transcription"]
        drawn["input_audio_noise_reduction"] = audio["noise_reduction"]
    if "prompt" in drawn:
        drawn["prompt"] = draw(st.none() | chosen(PROMPT, required=("id",)))
    if "tracing" in drawn:
        drawn["tracing"] = draw(st.none() | st.just("auto") | chosen(TRACING))
    return {camel(key): value for key, value in drawn.items()} if draw(st.booleans()) else drawn


class TestValidConfigurations:
    @given(valid_settings())
    def test_what_the_api_takes_is_accepted_and_left_as_it_is(self, drawn: dict[str, Any]) -> None:
        before = copy.deepcopy(drawn)
        settings(drawn)
        assert drawn == before
        CLIENT_EVENTS.validate_python({"type": "session.update", "session": session_payload(drawn)})

    @given(valid_settings())
    def test_in_the_shape_in_which_it_is_merged_too(self, drawn: dict[str, Any]) -> None:
        settings(normalize_session_config(drawn))

    @given(
        chosen(RUN_CONFIG, "model_settings"),
        chosen(GUARDRAILS),
        chosen(TOOL_EXECUTION),
        chosen(SETTINGS),
        chosen(MODEL_CONFIG, "initial_model_settings"),
    )
    def test_whole_ones(self, run: Any, guard: Any, tools: Any, model: Any, way: Any) -> None:
        check_run_config({**run, "model_settings": model, "guardrails_settings": guard, "tool_execution": tools})
        check_model_config({**way, "initial_model_settings": model})

    @given(st.dictionaries(st.text(max_size=5), json_values(), max_size=3))
    def test_provider_data_passes_anything_on(self, data: dict[str, Any]) -> None:
        settings({"provider_data": data})
        settings({"providerData": data})

    @given(junk())
    def test_whatever_is_given_there_is_an_answer(self, config: dict[Any, Any]) -> None:
        before = repr(config)
        for check in (check_run_config, check_model_config, settings):
            try:
                check(config)
            except ConfigurationError as error:
                assert str(error)
        assert repr(config) == before


class TestKeys:
    @each_level
    def test_a_slip_is_answered_with_the_key(
        self, typed: Any, sample: Sample, check: Callable[[Any], None], path: str
    ) -> None:
        names = {*sample, *map(camel, sample), "speech_duration_ms"}
        tried = 0
        for key in set(sample) - {"id"}:  # of two letters, one is not enough to know the word by
            meant = {key, key + "s", key.removesuffix("s")} & set(sample)
            for slip in set(slips(key)) - names:
                with pytest.raises(ConfigurationError) as raised:
                    check({slip: sample[key][0]})
                answers = tuple(f"{path} has no key {slip!r}: did you mean {name!r}?" for name in meant)
                assert str(raised.value).startswith(answers)
                tried += 1
        assert tried > 2 * len(sample)

    @pytest.mark.parametrize(
        ("check", "key", "words"),
        [
            (settings, "turn_detecton", "model_settings has no key 'turn_detecton': did you mean 'turn_detection'?"),
            (settings, "turnDetecton", "did you mean 'turn_detection'?"),
            (settings, "Voice", "did you mean 'voice'?"),
            (settings, "max_tokens", "did you mean 'max_output_tokens'?"),
            (at("turn_detection"), "treshold", "did you mean 'threshold'? (provider_data takes any key"),
            (at("turn_detection"), "silenceDuration", "did you mean 'silence_duration_ms'?"),
            (at("turn_detection"), "idle_timeout", "did you mean 'idle_timeout_ms'?"),
            (at("input_audio_transcription"), "langauge", "did you mean 'language'?"),
            (check_model_config, "model_settings", "did you mean 'initial_model_settings'?"),
            (check_run_config, "voice", "config has no key 'voice': it belongs into model_settings"),
            (check_run_config, "api_key", "it belongs into model_config"),
            (check_run_config, "debounce_text_length", "it belongs into guardrails_settings"),
            (check_model_config, "voice", "it belongs into initial_model_settings"),
            (check_model_config, "output_guardrails", "it belongs into config"),
            (settings, "async_tool_calls", "it belongs into config"),
            (settings, "threshold", "it belongs into model_settings.turn_detection"),
            (settings, "transcription", "it belongs into model_settings.audio.input"),
            (settings, "format", "it belongs into model_settings.audio.input or model_settings.audio.output"),
            (at("audio"), "turn_detection", "it belongs into model_settings.audio.input"),
            (at(*INPUT), "voice", "it belongs into model_settings.audio.output"),
            (guardrails, "max_concurrency", "it belongs into tool_execution"),
            (guardrails, "zzz", "known are debounce_text_length, feedback_message, feedback_role, hold_back_ms"),
            (at("prompt"), "promptId", "known are id, version, variables"),
        ],
    )
    def test_the_right_one_is_named(self, check: Callable[[Any], None], key: str, words: str) -> None:
        with pytest.raises(ConfigurationError) as raised:
            check({key: {}})
        assert words in str(raised.value)

    @pytest.mark.parametrize("keys", [(), ("audio",), INPUT, OUTPUT])
    def test_where_nothing_is_near_provider_data_is_named(self, keys: tuple[str, ...]) -> None:
        with pytest.raises(ConfigurationError, match=r"no key 'zzz': known are .*\(provider_data takes any key"):
            at(*keys)({"zzz": 1})

    @pytest.mark.parametrize("check", [check_run_config, check_model_config, settings, at("turn_detection")])
    def test_keys_are_strings(self, check: Callable[[Any], None]) -> None:
        with pytest.raises(ConfigurationError, match="has the key 5: keys are strings"):
            check({5: 1})

    def test_an_unset_key_must_still_be_one(self) -> None:
        with pytest.raises(ConfigurationError, match="did you mean 'voice'"):
            settings({"voise": UNSET})

    def test_where_names_the_settings(self) -> None:
        with pytest.raises(ConfigurationError, match=r"^update\.speed is"):
            check_model_settings({"speed": 9}, "update")

    def test_settings_of_a_run_are_called_by_their_key(self) -> None:
        with pytest.raises(ConfigurationError, match=r"^initial_model_settings\.audio\.output\.speed is"):
            check_model_config({"initial_model_settings": {"audio": {"output": {"speed": 9}}}})


BOOLEANS = [
    (check_run_config, "tracing_disabled"),
    (check_run_config, "async_tool_calls"),
    (tool_execution, "pre_approval_tool_input_guardrails"),
    (settings, "parallel_tool_calls"),
    (at("turn_detection"), "create_response"),
    (at("turn_detection"), "interrupt_response"),
]
INTEGERS: list[tuple[Callable[[Any], None], str, int, int | None]] = [
    (guardrails, "debounce_text_length", 1, None),
    (guardrails, "hold_back_ms", 1, None),
    (tool_execution, "max_concurrency", 1, None),
    (settings, "max_output_tokens", 1, 4096),
    (settings, "max_response_output_tokens", 1, 4096),
    (at("turn_detection"), "prefix_padding_ms", 0, None),
    (at("turn_detection"), "silence_duration_ms", 0, None),
    (at("turn_detection"), "speech_duration_ms", 0, None),
    (at("turn_detection"), "idle_timeout_ms", 5000, 30000),
]
NUMBERS: list[tuple[Callable[[Any], None], str, float, float | None]] = [
    (settings, "speed", 0.25, 1.5),
    (at(*OUTPUT), "speed", 0.25, 1.5),
    (at("turn_detection"), "threshold", 0, 1),
    (at("input_audio_noise_reduction"), "strength", 0, None),
]


class TestNumbers:
    @pytest.mark.parametrize(("check", "key"), BOOLEANS)
    @pytest.mark.parametrize("value", [0, 1, "yes", "true", None, [], 1.0])
    def test_a_boolean_is_one(self, check: Callable[[Any], None], key: str, value: Any) -> None:
        with pytest.raises(ConfigurationError, match=f"{key} is True or False, not "):
            check({key: value})

    @pytest.mark.parametrize(("check", "key", "low", "high"), INTEGERS)
    def test_integers_have_a_range(self, check: Callable[[Any], None], key: str, low: int, high: int | None) -> None:
        check({key: low})
        check({key: high if high is not None else 10**6})
        outside = [low - 1, -(10**6), *([high + 1] if high is not None else [])]
        for value in [*outside, float(low), True, str(low), [low], "soon", float("nan"), float("inf")]:
            with pytest.raises(ConfigurationError, match=f"{key} is an integer.*{low}.*, not "):
                check({key: value})

    @pytest.mark.parametrize(("check", "key", "low", "high"), NUMBERS)
    def test_numbers_have_a_range(self, check: Callable[[Any], None], key: str, low: float, high: float | None) -> None:
        check({key: low})
        check({key: high if high is not None else 10.0})
        outside = [low - 0.01, *([high + 0.01, 10**400] if high is not None else [])]
        for value in [*outside, float("nan"), float("inf"), float("-inf"), True, str(low), None]:
            with pytest.raises(ConfigurationError, match=f"{key} is a number.*{low}.*, not "):
                check({key: value})

    @pytest.mark.parametrize(
        ("check", "config"),
        [
            (settings, {"speed": "1.2"}),
            (settings, {"max_output_tokens": "4096"}),
            (at("turn_detection"), {"silence_duration_ms": " 500 "}),
            (check_run_config, {"async_tool_calls": "False"}),
        ],
    )
    def test_what_is_in_quotes(self, check: Callable[[Any], None], config: dict[str, Any]) -> None:
        with pytest.raises(ConfigurationError, match="write it without quotes"):
            check(config)

    def test_what_a_debounce_of_nothing_would_mean(self) -> None:
        with pytest.raises(ConfigurationError, match="0 would run them before there is text"):
            guardrails({"debounce_text_length": 0})


class TestNames:
    @pytest.mark.parametrize(
        ("path", "name", "meant"),
        [
            (("turn_detection", "type"), "sematic_vad", "semantic_vad"),
            (("turn_detection", "type"), "semantic", "semantic_vad"),
            (("turn_detection", "type"), "server", "server_vad"),
            (("turn_detection", "type"), "Server_VAD", "server_vad"),
            (("turn_detection", "type"), "server-vad", "server_vad"),
            (("turn_detection", "type"), "azure_sematic_vad", "azure_semantic_vad"),
            (("turn_detection", "eagerness"), "hgih", "high"),
            (("input_audio_noise_reduction", "type"), "nearfield", "near_field"),
            (("input_audio_transcription", "delay"), "minmal", "minimal"),
            (("reasoning", "effort"), "meduim", "medium"),
            (("input_audio_format",), "pcm_16", "pcm16"),
            (("input_audio_format",), "g711-ulaw", "g711_ulaw"),
            ((*OUTPUT, "format"), {"type": "audio/pmc"}, "audio/pcm"),
            ((*OUTPUT, "format"), {"type": "audio/pmcu", "rate": 8000}, "audio/pcmu"),
            (("truncation",), "automatic", "auto"),
            (("tool_choice",), "Auto", "auto"),
            (("tool_choice",), "requierd", "required"),
            (("tool_choice",), {"type": "fucntion", "name": "x"}, "function"),
        ],
    )
    def test_misspelt_ones(self, path: tuple[str, ...], name: Any, meant: str) -> None:
        with pytest.raises(ConfigurationError, match=f"did you mean '{meant}'"):
            at(*path)(name)

    @pytest.mark.parametrize(
        ("path", "name"),
        [
            (("type",), "transcription"),
            (("output_modalities",), ["video"]),
            (("modalities",), ["video"]),
            (("truncation",), "never"),
            (("truncation",), {"type": "ratio", "retention_ratio": 0.5}),
            (("include",), ["usage"]),
            (("tool_choice",), {"type": "web_search"}),
            (("input_audio_format",), "opus"),
        ],
    )
    def test_closed_ones(self, path: tuple[str, ...], name: Any) -> None:
        with pytest.raises(ConfigurationError, match=path[0]):
            at(*path)(name)

    @pytest.mark.parametrize(("key", "known"), [("feedback_role", "'user' or 'system'")])
    def test_closed_ones_are_listed(self, key: str, known: str) -> None:
        with pytest.raises(ConfigurationError, match=f"{key} is {known}, not 'assistant'"):
            guardrails({key: "assistant"})
        with pytest.raises(ConfigurationError, match="'response' or 'call', not 'calls': did you mean 'call'"):
            tool_execution({"join": "calls"})

    @pytest.mark.parametrize("name", ["", 5, None, ["server_vad"], True])
    def test_a_name_is_a_str(self, name: Any) -> None:
        with pytest.raises(ConfigurationError, match=r"turn_detection\.type is a name such as 'semantic_vad'"):
            at("turn_detection", "type")(name)

    @pytest.mark.parametrize("key", ["output_modalities", "modalities"])
    def test_modalities_are_one_or_another(self, key: str) -> None:
        for value, words in (("audio", "put it into a list"), ([], r'\["audio"\]'), ([["audio"]], "not list")):
            with pytest.raises(ConfigurationError, match=words):
                settings({key: value})

    def test_both_modalities_are_audio(self) -> None:
        with pytest.raises(ConfigurationError, match=r'audio comes with its transcript; for both give \["audio"\]'):
            settings({"output_modalities": ["audio", "text"]})

    def test_a_tool_named_nearly_as_a_mode_can_be_chosen(self) -> None:
        with pytest.raises(ConfigurationError) as raised:
            settings({"tool_choice": "requires"})
        choice = {"type": "function", "name": "requires"}
        assert str(choice) in str(raised.value)
        settings({"tool_choice": choice})


class TestTurnDetection:
    @pytest.mark.parametrize("key", ["threshold", "prefix_padding_ms", "silence_duration_ms", "idle_timeout_ms"])
    @pytest.mark.parametrize("spelt", [str, camel])
    def test_keys_of_server_vad(self, key: str, spelt: Callable[[str], str]) -> None:
        value = SERVER[key][0]
        at("turn_detection")({"type": "server_vad", spelt(key): value})
        with pytest.raises(ConfigurationError, match=f"{key} is a setting of server_vad, and the type is semantic_vad"):
            at("turn_detection")({"type": "semantic_vad", spelt(key): value})
        at("turn_detection")({"type": "semantic_vad", spelt(key): UNSET})
        at("turn_detection")({"type": "azure_semantic_vad", spelt(key): value})

    def test_keys_of_semantic_vad(self) -> None:
        with pytest.raises(ConfigurationError, match="eagerness is a setting of semantic_vad, and the type is server_"):
            at(*INPUT, "turn_detection")({"type": "server_vad", "eagerness": "low"})


class TestShapes:
    @pytest.mark.parametrize("check", [check_run_config, check_model_config, settings])
    @pytest.mark.parametrize("value", ["voice", 5, ["voice"], True, [("voice", "marin")]])
    def test_a_configuration_is_a_mapping(self, check: Callable[[Any], None], value: Any) -> None:
        with pytest.raises(ConfigurationError, match="is a mapping such as"):
            check(value)

    @pytest.mark.parametrize(
        ("value", "words"),
        [
            ({"turn_detection": "server_vad"}, "{'type': 'server_vad'}, or None to switch it off, not 'server_vad'"),
            ({"turn_detection": False}, "or None to switch it off, not False"),
            ({"input_audio_noise_reduction": "near_field"}, "{'type': 'near_field'}"),
            ({"input_audio_transcription": "whisper-1"}, "{'model': "),
            ({"input_audio_transcription": True}, "or None to switch it off"),
            ({"input_audio_transcription": {"language": ["en"]}}, "a list of them goes into 'languages'"),
            ({"input_audio_transcription": {"languages": "en"}}, "put it into a list"),
            ({"input_audio_transcription": {"keywords": ["a", 5]}}, "keywords[1] is a str, not 5"),
            ({"reasoning": "low"}, "{'effort': 'low'}"),
            ({"reasoning": None}, "leave it out"),
            ({"prompt": "pmpt_1"}, "{'id': 'pmpt_123'}"),
            ({"prompt": {"version": "1"}}, "prompt has no 'id'"),
            ({"prompt": {"id": UNSET}}, "prompt has no 'id'"),
            ({"prompt": {"id": "pmpt_1", "version": 3}}, "version is a str, not 3"),
            ({"prompt": {"id": "pmpt_1", "variables": ["a"]}}, "variables is a mapping"),
            ({"tracing": True}, "'auto', a mapping"),
            ({"tracing": "on"}, "'auto', a mapping"),
            ({"truncation": {"type": "retention_ratio"}}, "truncation has no 'retention_ratio'"),
            ({"truncation": {"type": "retention_ratio", "retention_ratio": 80}}, "from 0 to 1, not 80"),
            ({"tool_choice": {"type": "function"}}, "tool_choice has no 'name'"),
            (
                {"tool_choice": {"type": "function", "function": {"name": "f"}}},
                "no key 'function': known are type, name",
            ),
            ({"tool_choice": {"type": "mcp", "name": "f"}}, "tool_choice has no 'server_label'"),
            ({"tool_choice": {"name": "f"}}, "tool_choice.type is 'function' or 'mcp', not None"),
            ({"tool_choice": ["auto"]}, "'auto', 'none', 'required', a tool's name"),
            ({"tool_choice": None}, "leave it out"),
            ({"tools": ping}, "tools is a list of tools, not FunctionTool: put it into a list"),
            ({"tools": (ping,)}, "tools is a list"),
            ({"tools": None}, "tools is a list"),
            ({"handoffs": AGENT}, "put it into a list"),
            ({"voice": None}, "leave it out"),
            ({"voice": 5}, "a voice's name"),
            ({"voice": ""}, "empty"),
            ({"voice": {"voice": "marin"}}, "voice has no id"),
            ({"voice": {"id": 5}}, "voice has no id"),
            ({"instructions": None}, "leave it out"),
            ({"instructions": lambda context, agent: ""}, "belongs to the agent"),
            ({"model": ""}, "model is empty"),
            ({"model_name": None}, "leave it out"),
            ({"model": "a", "model_name": "b"}, "give one"),
            ({"audio": "loud"}, "audio is a mapping with 'input' and 'output'"),
            ({"audio": {"input": []}}, "audio.input is a mapping"),
            ({"provider_data": [1]}, "provider_data is a mapping"),
            ({"provider_data": {1: 1}}, "provider_data has the key 1"),
            ({"temperature": 0.8}, "steer the model by its instructions"),
            ({"input_audio_format": 16000}, "input_audio_format: 16000 is not an audio format"),
            ({"input_audio_format": {"rate": 24000}}, "input_audio_format: {'rate': 24000} is not"),
            ({"input_audio_format": {"type": "audio/pcm", "rate": "24000"}}, "format: Sample rate '24000' is not an "),
            ({"input_audio_format": {"type": "g711_ulaw", "rate": 16000}}, "format: audio/pcmu is G.711"),
        ],
    )
    def test_settings(self, value: dict[str, Any], words: str) -> None:
        with pytest.raises(ConfigurationError) as raised:
            settings(value)
        assert words in str(raised.value)

    @pytest.mark.parametrize(
        ("value", "words"),
        [
            ({"output_guardrails": len}, "put it into a list"),
            ({"output_guardrails": (len,)}, "output_guardrails is a list of guardrails, not tuple"),
            ({"tool_error_formatter": "Sorry."}, "tool_error_formatter is a function"),
            ({"budget": 5}, "budget: a budget is a Budget or a mapping"),
            ({"budget": {"max_token": 5}}, "did you mean 'max_tokens'?"),
            ({"budget": {"max_tokens": 0}}, "max_tokens is a number above 0"),
            ({"guardrails_settings": {"feedback_message": 5}}, "feedback_message is a str, a function"),
            ({"guardrails_settings": 100}, "{'debounce_text_length': 100}, not 100"),
            ({"tool_execution": 4}, "{'max_concurrency': 4}, not 4"),
            ({"model_settings": "gpt-realtime"}, "model_settings is a mapping"),
            ({"model_settings": {"audio": {"output": {"voice": 5}}}}, "model_settings.audio.output.voice is"),
        ],
    )
    def test_run_configs(self, value: dict[str, Any], words: str) -> None:
        with pytest.raises(ConfigurationError) as raised:
            check_run_config(value)
        assert words in str(raised.value)

    @pytest.mark.parametrize(
        ("value", "words"),
        [
            ({"api_key": 5}, "api_key is a str or a function that returns one, not int"),
            ({"url": b"wss://x"}, "url is a str, not bytes"),
            ({"url": ""}, "url is empty"),
            ({"headers": [("a", "b")]}, "headers is a mapping, not list"),
            ({"headers": {"a": None}}, "headers['a'] is a str, not NoneType"),
            ({"headers": {5: "b"}}, "headers has the key 5"),
            ({"call_id": 5}, "call_id is a str, not 5"),
            ({"playback_tracker": RealtimePlaybackTracker}, "make one of it with ()"),
            ({"playback_tracker": object()}, "a RealtimePlaybackTracker, not object"),
        ],
    )
    def test_model_configs(self, value: dict[str, Any], words: str) -> None:
        with pytest.raises(ConfigurationError) as raised:
            check_model_config(value)
        assert words in str(raised.value)

    def test_a_key_that_is_under_way_already(self) -> None:
        async def mint() -> str:
            return "key"

        check_model_config({"api_key": mint})
        awaitable = mint()
        with pytest.raises(ConfigurationError, match="give the function itself"):
            check_model_config({"api_key": awaitable})
        awaitable.close()


class TestSecrets:
    @pytest.mark.parametrize(
        ("check", "config"),
        [
            (check_model_config, {"api_key": b"open-sesame"}),
            (check_model_config, {"url": b"wss://x?key=open-sesame"}),
            (check_model_config, {"headers": {"api-key": b"open-sesame"}}),
            (check_model_config, {"headers": ["open-sesame"]}),
            (check_model_config, {"key": "open-sesame"}),
            (settings, {"api_key": "open-sesame"}),
            (settings, {"speed": "sk-open-sesame"}),
            (settings, {"tools": {"authorization": "open-sesame"}}),
            (settings, {"provider_data": ["open-sesame"]}),
        ],
    )
    def test_none_is_in_an_error(self, check: Callable[[Any], None], config: dict[str, Any]) -> None:
        with pytest.raises(ConfigurationError) as raised:
            check(config)
        assert "sesame" not in str(raised.value)

    def test_what_is_long_is_cut(self) -> None:
        with pytest.raises(ConfigurationError) as raised:
            settings({"speed": "fast " * 1000})
        assert len(str(raised.value)) < 200


def documented_run() -> jc.RealtimeRunConfig:
    """A run as guides to realtime agents have it: typed, so that a type checker takes it too."""
    return {
        "model_settings": {
            "model_name": "gpt-realtime",
            "voice": "ash",
            "modalities": ["audio"],
            "input_audio_format": "pcm16",
            "output_audio_format": "pcm16",
            "input_audio_transcription": {"model": "gpt-4o-mini-transcribe"},
            "turn_detection": {"type": "semantic_vad", "interrupt_response": True},
        },
        "guardrails_settings": {
            "debounce_text_length": 100,
            "feedback_message": lambda results: f"{len(results)} tripped",
            "feedback_role": "system",
            "hold_back_ms": None,
        },
        "async_tool_calls": True,
        "tracing_disabled": False,
        "tool_error_formatter": lambda args: None,
        "output_guardrails": [],
        "tool_execution": {"max_concurrency": 4, "join": "call", "pre_approval_tool_input_guardrails": True},
        "budget": Budget(max_seconds=600),
    }


def documented_settings() -> jc.RealtimeSessionModelSettings:
    return {
        "model_name": "gpt-realtime",
        "instructions": "Be brief.",
        "prompt": {"id": "pmpt_1", "version": "1", "variables": {"name": "Ada"}},
        "output_modalities": ["text"],
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "noise_reduction": None,
                "transcription": {"model": "whisper-1", "language": "en", "prompt": "Names."},
                "turn_detection": {
                    "type": "server_vad",
                    "create_response": True,
                    "interrupt_response": True,
                    "prefix_padding_ms": 300,
                    "silence_duration_ms": 500,
                    "threshold": 0.5,
                    "idle_timeout_ms": 6000,
                },
            },
            "output": {"format": AudioFormat("audio/pcm", 24000), "voice": {"id": "voice_1"}, "speed": 1.1},
        },
        "input_audio_noise_reduction": {"type": "near_field"},
        "turn_detection": None,
        "tool_choice": {"type": "function", "name": "ping"},
        "tools": [ping, {"type": "mcp", "server_label": "docs", "server_url": "https://example.test"}],
        "handoffs": [AGENT],
        "truncation": {"type": "retention_ratio", "retention_ratio": 0.8},
        "tracing": {"workflow_name": "support", "group_id": "g", "metadata": {"any": 1}},
        "provider_data": {"input_audio_echo_cancellation": {"type": "server_echo_cancellation"}},
    }


def documented_connection() -> jc.RealtimeModelConfig:
    return {
        "url": "wss://resource.openai.azure.com/openai/v1/realtime?model=deployment",
        "headers": {"api-key": "key"},
        "api_key": lambda: "key",
        "call_id": "rtc_1",
        "initial_model_settings": documented_settings(),
        "playback_tracker": RealtimePlaybackTracker(),
    }


def test_configurations_as_they_are_documented() -> None:
    check_run_config(documented_run())
    check_model_settings(documented_settings(), "model_settings")
    check_model_config(documented_connection())


def test_every_public_name_is_there() -> None:
    assert [name for name in jc.__all__ if not hasattr(jc, name)] == []
