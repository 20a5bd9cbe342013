"""From a session's settings to the provider's setup, and from JSON schemas to its own."""

from __future__ import annotations

from typing import Any

import pytest

from jackfield.transport import ConfigurationError
from jackfield_gemini.schema import declared_tools, schema_of
from jackfield_gemini.session_setup import Defaults, Settings
from jackfield_gemini.testing.validation import validate


def setup_of(config: dict[str, Any] | None = None, defaults: Defaults | None = None, **options: Any) -> dict[str, Any]:
    setup = dict(Settings.of(config, "models/m", defaults, **options).setup)
    validate({"setup": setup})
    return setup


class TestSetup:
    def test_of_nothing(self) -> None:
        assert setup_of() == {
            "model": "models/m",
            "generationConfig": {"responseModalities": ["AUDIO"]},
            "outputAudioTranscription": {},
            "sessionResumption": {},
        }

    def test_flat_and_nested_are_the_same(self) -> None:
        flat = {"voice": "Puck", "turn_detection": None, "input_audio_transcription": {"language": "de"}}
        nested = {
            "audio": {
                "input": {"turn_detection": None, "transcription": {"language": "de"}},
                "output": {"voice": "Puck"},
            }
        }
        assert setup_of(flat) == setup_of(nested)
        assert setup_of(flat)["realtimeInputConfig"] == {"automaticActivityDetection": {"disabled": True}}

    def test_text_has_no_voice_and_no_transcript(self) -> None:
        setup = setup_of({"modalities": ["text"], "voice": "Puck"})
        assert setup["generationConfig"] == {"responseModalities": ["TEXT"]}
        assert "outputAudioTranscription" not in setup

    @pytest.mark.parametrize(
        ("detection", "barge_in", "expected"),
        [
            ({"type": "server_vad", "threshold": 0.5}, "auto", None),
            (
                {"type": "server_vad", "threshold": 0.2},
                "auto",
                {"automaticActivityDetection": {"startOfSpeechSensitivity": "START_SENSITIVITY_HIGH"}},
            ),
            (
                {"type": "semantic_vad", "eagerness": "low", "interrupt_response": True},
                "auto",
                {
                    "automaticActivityDetection": {"endOfSpeechSensitivity": "END_SENSITIVITY_LOW"},
                    "activityHandling": "START_OF_ACTIVITY_INTERRUPTS",
                },
            ),
            ({"type": "server_vad", "interrupt_response": True}, "never", {"activityHandling": "NO_INTERRUPTION"}),
            (
                {"type": "server_vad", "interrupt_response": False},
                "always",
                {"activityHandling": "START_OF_ACTIVITY_INTERRUPTS"},
            ),
        ],
    )
    def test_turn_detection(self, detection: Any, barge_in: Any, expected: Any) -> None:
        assert setup_of({"turn_detection": detection}, barge_in=barge_in).get("realtimeInputConfig") == expected

    def test_its_own_words_win_and_none_takes_away(self) -> None:
        defaults = Defaults(setup={"proactivity": {"proactive_audio": True}, "tools": [{"googleSearch": {}}]})
        config = {
            "tools": [{"type": "function", "name": "f"}],
            "gemini": {
                "generation_config": {"temperature": 0.2},
                "outputAudioTranscription": None,
                "inputAudioTranscription": {"customVocabulary": ["Jackfield"]},
            },
        }
        setup = setup_of(config, defaults)
        assert setup["proactivity"] == {"proactiveAudio": True}
        assert setup["generationConfig"] == {"responseModalities": ["AUDIO"], "temperature": 0.2}
        assert "outputAudioTranscription" not in setup
        assert setup["inputAudioTranscription"] == {"customVocabulary": ["Jackfield"]}
        assert setup["tools"] == [{"functionDeclarations": [{"name": "f"}]}, {"googleSearch": {}}]

    def test_voices_by_the_names_that_agents_use(self) -> None:
        defaults = Defaults(voice="Kore", voices={"marin": "Aoede"})

        def name(config: dict[str, Any]) -> str:
            speech = setup_of(config, defaults)["generationConfig"]["speechConfig"]
            return str(speech["voiceConfig"]["prebuiltVoiceConfig"]["voiceName"])

        assert [name({}), name({"voice": "marin"}), name({"voice": "Puck"})] == ["Kore", "Aoede", "Puck"]

    @pytest.mark.parametrize(
        "config",
        [
            {
                "tool_choice": "auto",
                "parallel_tool_calls": True,
                "tracing": None,
                "include": [],
                "truncation": "disabled",
            },
            {"max_output_tokens": "inf", "prompt": None, "metadata": {}, "type": "realtime", "model": "other"},
            {"audio": {"output": {"format": {"type": "audio/pcm", "rate": 24000}, "speed": 1.0}}},
            {"input_audio_noise_reduction": None},
        ],
    )
    def test_what_goes_without_saying_is_not_said(self, config: dict[str, Any]) -> None:
        assert setup_of(config) == setup_of()

    @pytest.mark.parametrize(
        ("config", "reason"),
        [
            ({"tool_choice": "required"}, "tool_choice"),
            ({"parallel_tool_calls": False}, "parallel_tool_calls"),
            ({"prompt": {"id": "p"}}, "instructions"),
            ({"tracing": "auto"}, "traces"),
            ({"reasoning": {"effort": "low"}}, "thinkingConfig"),
            ({"truncation": {"type": "retention_ratio", "retention_ratio": 0.5}}, "contextWindowCompression"),
            ({"speed": 1.5}, "speed"),
            ({"voice": {"id": "v"}}, "name"),
            ({"input_audio_noise_reduction": {"type": "near_field"}}, "noise"),
            ({"output_audio_format": "g711_ulaw"}, "jackfield.audio"),
            ({"input_audio_format": "mp3"}, "audio format"),
            ({"turn_detection": {"type": "server_vad", "create_response": False}}, "turn_detection None"),
            ({"turn_detection": {"type": "server_vad", "idle_timeout_ms": 5000}}, "idle_timeout_ms"),
            ({"turn_detection": "server_vad"}, "mapping"),
            ({"input_audio_transcription": {"prompt": "Jackfield"}}, "customVocabulary"),
            ({"output_modalities": ["audio", "text"]}, "output_modalities"),
            ({"tools": [{"type": "mcp", "server_label": "docs"}]}, "jackfield.mcp"),
            ({"tools": [{"type": "function", "name": "1st"}]}, "starts with a letter"),
            ({"tools": "all"}, "list"),
            ({"proactivity": {}}, "under 'gemini'"),
            ({"gemini": "proactive"}, "mapping"),
            ({"instructions": 5}, "text"),
        ],
    )
    def test_what_there_is_not_is_refused_with_a_reason(self, config: dict[str, Any], reason: str) -> None:
        with pytest.raises(ConfigurationError, match=reason):
            setup_of(config)


class TestSchemas:
    def valid(self, schema: dict[str, Any]) -> dict[str, Any]:
        converted = schema_of(schema)
        tool = {"functionDeclarations": [{"name": "f", "parameters": converted}]}
        validate({"setup": {"model": "models/m", "tools": [tool]}})
        return converted

    def test_what_is_known_stays_and_the_rest_goes(self) -> None:
        schema = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "title": "Args",
            "properties": {
                "city": {"type": "string", "description": "Name.", "minLength": 1, "$comment": "no"},
                "days": {"type": "array", "items": {"type": "integer", "exclusiveMinimum": 0}, "uniqueItems": True},
            },
            "required": ["city"],
            "additionalProperties": False,
        }
        assert self.valid(schema) == {
            "type": "OBJECT",
            "title": "Args",
            "properties": {
                "city": {"type": "STRING", "description": "Name.", "minLength": 1},
                "days": {"type": "ARRAY", "items": {"type": "INTEGER"}},
            },
            "required": ["city"],
        }

    def test_null_is_nullable(self) -> None:
        assert self.valid({"type": ["string", "null"]}) == {"type": "STRING", "nullable": True}
        optional = {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": 3, "description": "How many."}
        converted = self.valid({"type": "object", "properties": {"n": optional}})
        assert converted["properties"]["n"] == {
            "type": "INTEGER",
            "nullable": True,
            "default": 3,
            "description": "How many.",
        }

    def test_one_of_several(self) -> None:
        converted = self.valid({"oneOf": [{"type": "string"}, {"type": "integer"}]})
        assert converted == {"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]}
        assert self.valid({"type": ["string", "integer"]})["anyOf"] == [{"type": "STRING"}, {"type": "INTEGER"}]

    def test_enums(self) -> None:
        assert self.valid({"enum": ["a", "b", None]}) == {"type": "STRING", "enum": ["a", "b"], "nullable": True}
        assert self.valid({"const": "a"}) == {"type": "STRING", "enum": ["a"]}
        assert self.valid({"type": "integer", "enum": [1, 2]}) == {"type": "INTEGER", "description": "One of: 1, 2."}

    def test_references_are_put_where_they_are_used(self) -> None:
        schema = {
            "type": "object",
            "properties": {"home": {"$ref": "#/$defs/Place", "description": "Where."}},
            "$defs": {"Place": {"type": "object", "properties": {"city": {"type": "string"}}}},
        }
        assert self.valid(schema)["properties"]["home"] == {
            "type": "OBJECT",
            "description": "Where.",
            "properties": {"city": {"type": "STRING"}},
        }

    def test_one_that_leads_to_itself_ends(self) -> None:
        node = {
            "type": "object",
            "properties": {name: {"$ref": "#/$defs/Node"} for name in ("left", "middle", "right")},
        }
        schema = {"$defs": {"Node": node, "Loop": {"allOf": [{"$ref": "#/$defs/Loop"}]}}, "$ref": "#/$defs/Node"}
        assert self.valid(schema)["properties"]["left"] == {"type": "OBJECT"}
        assert self.valid({**schema, "$ref": "#/$defs/Loop"}) is not None

    def test_all_of_them_are_one(self) -> None:
        schema = {
            "allOf": [
                {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
                {"properties": {"b": {"type": "string"}}, "required": ["b"]},
            ]
        }
        converted = self.valid(schema)
        assert set(converted["properties"]) == {"a", "b"} and converted["required"] == ["a", "b"]

    def test_a_function_without_parameters_has_none(self) -> None:
        tool = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
        assert declared_tools([tool]) == [{"functionDeclarations": [{"name": "f"}]}]
