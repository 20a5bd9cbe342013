"""Session configuration: flat and nested, camelCase, layers, and the `session` object that goes over the wire."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.realtime import RealtimeClientEvent
from pydantic import TypeAdapter

from jackfield.audio import PCMU, UnknownAudioFormatError
from jackfield.openai import OpenAIRealtimeProtocol, response_payload, session_payload
from jackfield.transport import (
    UNSET,
    ConfigurationError,
    TransportCapabilities,
    merge_session_config,
    normalize_session_config,
)
from support.api_types import undeclared

CLIENT_EVENTS: TypeAdapter[Any] = TypeAdapter(RealtimeClientEvent)
PCM = {"type": "audio/pcm", "rate": 24000}
VAD = {"type": "server_vad", "threshold": 0.4}


def check(session: dict[str, Any]) -> dict[str, Any]:
    """Return `session`, once it is seen to be one that the API takes."""
    event = CLIENT_EVENTS.validate_python({"type": "session.update", "session": session})
    assert undeclared(event) == []
    return session


class TestLegacyKeys:
    @pytest.mark.parametrize(
        ("flat", "nested"),
        [
            ({"voice": "marin"}, {"audio": {"output": {"voice": "marin"}}}),
            ({"voice": {"id": "voice_1"}}, {"audio": {"output": {"voice": {"id": "voice_1"}}}}),
            ({"speed": 1.2}, {"audio": {"output": {"speed": 1.2}}}),
            ({"input_audio_format": "pcm16"}, {"audio": {"input": {"format": PCM}}}),
            ({"output_audio_format": "g711_ulaw"}, {"audio": {"output": {"format": {"type": "audio/pcmu"}}}}),
            (
                {"input_audio_transcription": {"model": "whisper-1"}},
                {"audio": {"input": {"transcription": {"model": "whisper-1"}}}},
            ),
            (
                {"input_audio_noise_reduction": {"type": "far_field"}},
                {"audio": {"input": {"noise_reduction": {"type": "far_field"}}}},
            ),
            ({"turn_detection": VAD}, {"audio": {"input": {"turn_detection": VAD}}}),
            ({"max_response_output_tokens": 100}, {"max_output_tokens": 100}),
            ({"modalities": ["audio", "text"]}, {"output_modalities": ["audio"]}),
            ({"modalities": ["text"]}, {"output_modalities": ["text"]}),
            ({"instructions": ""}, {"instructions": ""}),
            ({"tools": []}, {"tools": []}),
            ({}, {}),
        ],
    )
    def test_they_find_their_place(self, flat: dict[str, Any], nested: dict[str, Any]) -> None:
        assert check(session_payload(flat)) == {"type": "realtime", **nested}

    @pytest.mark.parametrize(
        "key", ["turn_detection", "input_audio_transcription", "input_audio_noise_reduction", "tracing", "prompt"]
    )
    def test_none_switches_off(self, key: str) -> None:
        session = check(session_payload({key: None}))
        places = {
            "turn_detection": ("audio", "input", "turn_detection"),
            "input_audio_transcription": ("audio", "input", "transcription"),
            "input_audio_noise_reduction": ("audio", "input", "noise_reduction"),
        }
        value: Any = session
        for step in places.get(key, (key,)):
            value = value[step]
        assert value is None

    def test_falsy_values_survive(self) -> None:
        detection = {"type": "server_vad", "threshold": 0.0, "create_response": False, "prefix_padding_ms": 0}
        session = check(
            session_payload({"turn_detection": detection, "instructions": "", "parallel_tool_calls": False})
        )
        assert session["audio"]["input"]["turn_detection"] == detection
        assert (session["instructions"], session["parallel_tool_calls"]) == ("", False)

    def test_nested_wins_over_flat_and_the_rest_is_merged(self) -> None:
        session = check(
            session_payload(
                {
                    "voice": "alloy",
                    "speed": 1.1,
                    "turn_detection": VAD,
                    "modalities": ["text"],
                    "output_modalities": ["audio"],
                    "audio": {"output": {"voice": "marin"}, "input": {"turn_detection": {"threshold": 0.9}}},
                }
            )
        )
        assert session["audio"]["output"] == {"voice": "marin", "speed": 1.1}
        assert session["audio"]["input"]["turn_detection"] == {"type": "server_vad", "threshold": 0.9}
        assert session["output_modalities"] == ["audio"]

    @pytest.mark.parametrize("audio", [None, {"input": None, "output": None}, {}, UNSET])
    def test_an_audio_side_of_none_says_nothing(self, audio: Any) -> None:
        session = session_payload({"audio": audio, "voice": "marin"})
        assert session["audio"] == {"output": {"voice": "marin"}}

    def test_temperature_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match="instructions"):
            session_payload({"temperature": 0.8})
        assert session_payload({"temperature": None}) == session_payload({"temperature": UNSET}) == {"type": "realtime"}

    @pytest.mark.parametrize("config", [None, "voice", 5, ["voice"], {5: "voice"}, {"audio": "loud"}])
    def test_what_is_no_config_is_refused(self, config: Any) -> None:
        with pytest.raises(ConfigurationError):
            session_payload(config)

    @pytest.mark.parametrize("modalities", ["audio", "text", 5, {"audio": True}])
    def test_modalities_are_a_list(self, modalities: Any) -> None:
        with pytest.raises(ConfigurationError, match="modalities"):
            session_payload({"modalities": modalities})


class TestCamelCase:
    def test_keys_at_every_depth(self) -> None:
        session = check(
            session_payload(
                {
                    "outputModalities": ["audio"],
                    "maxResponseOutputTokens": 50,
                    "inputAudioFormat": "pcm16",
                    "turnDetection": {"type": "server_vad", "silenceDurationMs": 300, "interruptResponse": False},
                    "audio": {"input": {"noiseReduction": {"type": "near_field"}}},
                }
            )
        )
        assert session == {
            "type": "realtime",
            "output_modalities": ["audio"],
            "max_output_tokens": 50,
            "audio": {
                "input": {
                    "format": PCM,
                    "turn_detection": {"type": "server_vad", "silence_duration_ms": 300, "interrupt_response": False},
                    "noise_reduction": {"type": "near_field"},
                }
            },
        }

    def test_the_apis_own_spelling_wins(self) -> None:
        for config in ({"toolChoice": "none", "tool_choice": "auto"}, {"tool_choice": "auto", "toolChoice": "none"}):
            assert session_payload(config)["tool_choice"] == "auto"
        assert session_payload({"tool_choice": UNSET, "toolChoice": "none"})["tool_choice"] == "none"

    def test_what_is_the_users_own_keeps_its_names(self) -> None:
        tool = {
            "type": "function",
            "name": "a",
            "parameters": {"type": "object", "properties": {"zipCode": {"type": "string", "minLength": 5}}},
        }
        config = {
            "tools": [tool],
            "tracing": {"workflowName": "x", "metadata": {"userId": "u"}},
            "prompt": {"id": "p", "variables": {"userName": "u"}},
        }
        session = check(session_payload(config))
        assert session["tools"] == [tool]
        assert session["tracing"] == {"workflow_name": "x", "metadata": {"userId": "u"}}
        assert session["prompt"]["variables"] == {"userName": "u"}


class TestUnset:
    @pytest.mark.parametrize(
        "key", ["instructions", "voice", "turn_detection", "modalities", "temperature", "tools", "turnDetection", "x"]
    )
    def test_says_nothing(self, key: str) -> None:
        assert session_payload({key: UNSET}) == {"type": "realtime"}

    def test_is_not_none(self) -> None:
        layers: list[dict[str, Any]] = [
            {"audio": {"input": {"transcription": {"model": "whisper-1"}, "turn_detection": VAD}}},
            {"audio": {"input": {"transcription": UNSET, "turn_detection": None}}},
        ]
        assert merge_session_config(*layers) == {
            "audio": {"input": {"transcription": {"model": "whisper-1"}, "turn_detection": None}}
        }

    def test_is_falsy_and_one_of_a_kind(self) -> None:
        assert not UNSET
        assert repr(UNSET) == "UNSET"
        assert copy.deepcopy(UNSET) is UNSET


class TestLayers:
    def test_key_by_key_the_later_ones_win(self) -> None:
        defaults = normalize_session_config({"voice": "alloy", "turn_detection": VAD, "output_audio_format": "pcm16"})
        session = normalize_session_config({"voice": "marin", "instructions": "a"})
        agent = normalize_session_config({"instructions": "b", "tools": []})
        assert merge_session_config(defaults, session, agent) == {
            "audio": {"output": {"voice": "marin", "format": "pcm16"}, "input": {"turn_detection": VAD}},
            "instructions": "b",
            "tools": [],
        }

    def test_another_type_of_turn_detection_drops_the_keys_of_the_old_one(self) -> None:
        base = normalize_session_config({"turn_detection": {**VAD, "silence_duration_ms": 300}})
        semantic = {"type": "semantic_vad", "eagerness": "high"}
        merged = merge_session_config(base, normalize_session_config({"turn_detection": semantic}))
        assert merged["audio"]["input"]["turn_detection"] == semantic
        check(session_payload(merged))

    def test_the_same_type_or_none_keeps_them(self) -> None:
        base = normalize_session_config({"turn_detection": VAD})
        for change in ({"silence_duration_ms": 300}, {"type": "server_vad", "silence_duration_ms": 300}):
            merged = merge_session_config(base, normalize_session_config({"turn_detection": change}))
            assert merged["audio"]["input"]["turn_detection"] == {**VAD, "silence_duration_ms": 300}

    def test_switched_off_and_on_again_starts_afresh(self) -> None:
        layers = [normalize_session_config({"turn_detection": value}) for value in (VAD, None, {"type": "server_vad"})]
        assert merge_session_config(*layers)["audio"]["input"]["turn_detection"] == {"type": "server_vad"}

    @pytest.mark.parametrize(
        ("key", "old", "new"),
        [
            ("tool_choice", {"type": "mcp", "server_label": "a", "name": "x"}, {"type": "mcp", "server_label": "b"}),
            ("tool_choice", {"type": "function", "name": "a"}, "auto"),
            ("prompt", {"id": "p1", "version": "3"}, {"id": "p2"}),
            ("tools", [{"type": "function", "name": "a"}], []),
        ],
    )
    def test_another_thing_replaces_the_old_one(self, key: str, old: Any, new: Any) -> None:
        assert merge_session_config({key: old}, {key: new}) == {key: new}

    def test_a_custom_voice_is_forwarded_and_replaced(self) -> None:
        voice = {"id": "voice_1"}
        session = check(session_payload({"voice": voice}))
        assert session["audio"]["output"]["voice"] == voice
        merged = merge_session_config(normalize_session_config({"voice": voice}), {"audio": {"output": {"speed": 1}}})
        assert merged["audio"]["output"]["voice"] == voice
        assert merge_session_config({"voice": voice}, {"voice": "marin"}) == {"voice": "marin"}

    def test_no_layer_is_changed(self) -> None:
        one, two = (
            {"audio": {"input": {"turn_detection": dict(VAD)}}},
            {"audio": {"input": {"turn_detection": {"a": 1}}}},
        )
        before = copy.deepcopy((one, two))
        merged = merge_session_config(one, two)
        merged["audio"]["input"]["turn_detection"]["a"] = 2
        assert (one, two) == before

    @given(
        layers=st.lists(
            st.recursive(
                st.dictionaries(st.sampled_from("abc"), st.none() | st.integers(0, 3) | st.just(UNSET), max_size=3),
                lambda inner: st.dictionaries(st.sampled_from("abc"), inner | st.integers(0, 3), max_size=3),
                max_leaves=6,
            ),
            max_size=4,
        )
    )
    def test_merging_in_one_go_or_step_by_step_is_the_same(self, layers: list[dict[str, Any]]) -> None:
        stepwise: dict[str, Any] = {}
        for layer in layers:
            stepwise = merge_session_config(stepwise, layer)
        assert merge_session_config(*layers) == stepwise
        assert "UNSET" not in repr(stepwise)


class TestPayload:
    def test_unknown_keys_pass_through(self) -> None:
        session = session_payload({"future_key": {"deepValue": 1}, "audio": {"input": {"brand_new": True}}})
        assert session == {
            "type": "realtime",
            "future_key": {"deep_value": 1},
            "audio": {"input": {"brand_new": True}},
        }

    def test_a_transcription_session_says_so(self) -> None:
        config = {"type": "transcription", "input_audio_transcription": {"model": "whisper-1"}}
        assert check(session_payload(config))["type"] == "transcription"

    @pytest.mark.parametrize(
        ("choice", "sent"),
        [
            ("auto", "auto"),
            ("none", "none"),
            ("required", "required"),
            ("get_weather", {"type": "function", "name": "get_weather"}),
            ({"type": "function", "name": "get_weather"}, {"type": "function", "name": "get_weather"}),
            ({"type": "mcp", "server_label": "docs"}, {"type": "mcp", "server_label": "docs"}),
        ],
    )
    def test_tool_choice(self, choice: Any, sent: Any) -> None:
        assert check(session_payload({"tool_choice": choice}))["tool_choice"] == sent

    @pytest.mark.parametrize(
        ("given_format", "sent"),
        [
            ("pcm16", PCM),
            ("g711_alaw", {"type": "audio/pcma"}),
            ("audio/pcmu", {"type": "audio/pcmu"}),
            (PCMU, {"type": "audio/pcmu"}),
            ({"type": "audio/pcm"}, PCM),
        ],
    )
    def test_formats(self, given_format: Any, sent: Any) -> None:
        for side in ("input", "output"):
            session = check(session_payload({f"{side}_audio_format": given_format}))
            assert session["audio"][side]["format"] == sent
            nested = session_payload({"audio": {side: {"format": given_format}}})
            assert nested == session

    def test_another_rate_and_a_format_of_tomorrow_are_the_far_ends_to_judge(self) -> None:
        for value in ({"type": "audio/pcm", "rate": 16000}, {"type": "audio/opus", "rate": 48000}):
            assert session_payload({"output_audio_format": value})["audio"]["output"]["format"] == value

    def test_a_name_that_is_no_format_is_refused(self) -> None:
        with pytest.raises(UnknownAudioFormatError, match="opus"):
            session_payload({"input_audio_format": "opus"})

    def test_a_format_of_none_is_not_sent(self) -> None:
        session = session_payload({"voice": "marin", "output_audio_format": None})
        assert session["audio"]["output"] == {"voice": "marin"}

    def test_without_formats_none_is_sent(self) -> None:
        config = {"input_audio_format": "pcm16", "output_audio_format": "pcm16", "voice": "marin"}
        session = session_payload(config, formats=False)
        assert "format" not in session["audio"]["input"]
        assert session["audio"]["output"] == {"voice": "marin"}

    def test_the_model_only_where_it_may_be_said(self) -> None:
        for config in ({"model": "gpt-realtime"}, {"model_name": "gpt-realtime"}, {"modelName": "gpt-realtime"}):
            assert session_payload(config) == {"type": "realtime"}
            assert session_payload(config, with_model=True) == {"type": "realtime", "model": "gpt-realtime"}

    def test_the_configuration_given_is_not_changed(self) -> None:
        config = {"audio": {"input": {"format": "pcm16"}}, "tool_choice": "f", "model": "m", "modalities": ["audio"]}
        before = copy.deepcopy(config)
        session_payload(config)
        assert config == before

    def test_response_overrides_take_the_same_shapes(self) -> None:
        overrides = {
            "voice": "marin",
            "modalities": ["text"],
            "max_response_output_tokens": 10,
            "conversation": "none",
            "metadata": {"topicName": "x"},
            "toolChoice": "f",
            "input": [],
        }
        response = response_payload(overrides)
        assert response == {
            "audio": {"output": {"voice": "marin"}},
            "output_modalities": ["text"],
            "max_output_tokens": 10,
            "conversation": "none",
            "metadata": {"topicName": "x"},
            "tool_choice": {"type": "function", "name": "f"},
            "input": [],
        }
        event = CLIENT_EVENTS.validate_python({"type": "response.create", "response": response})
        assert undeclared(event) == []


def test_the_dialect_sends_what_the_builder_builds() -> None:
    for negotiated in (False, True):
        dialect = OpenAIRealtimeProtocol(
            capabilities=TransportCapabilities(), clock=lambda: 0.0, negotiated_formats=negotiated
        )
        config = {"voice": "marin", "output_audio_format": "pcm16"}
        for [event] in (dialect.open(config), dialect.session_update(config)):
            assert event["session"] == session_payload(config, formats=not negotiated)
