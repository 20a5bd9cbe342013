"""Session start, session.update and the envelope of events: protocol sections 1.1, 1.2, 1.8 and 1.9."""

from __future__ import annotations

import json
from typing import Any

import pytest


class TestStart:
    def test_session_created_comes_first_with_every_key(self, driver: Any, kinds: Any) -> None:
        assert kinds(driver.created) == ["session.created"]
        session = driver.created[0]["session"]
        assert session["object"] == "realtime.session"
        assert session["id"].startswith("sess_")
        assert session["model"] == "gpt-realtime"
        for key in ("tracing", "prompt", "include"):
            assert session[key] is None
        assert session["audio"]["input"] == {
            "format": {"type": "audio/pcm", "rate": 24000},
            "transcription": None,
            "noise_reduction": None,
            "turn_detection": {
                "type": "server_vad",
                "threshold": 0.5,
                "prefix_padding_ms": 300,
                "silence_duration_ms": 200,
                "idle_timeout_ms": None,
                "create_response": True,
                "interrupt_response": True,
            },
        }
        assert session["audio"]["output"] == {
            "format": {"type": "audio/pcm", "rate": 24000},
            "voice": "alloy",
            "speed": 1.0,
        }
        assert session["output_modalities"] == ["audio"]
        assert session["max_output_tokens"] == "inf"

    def test_transcription_session_has_its_own_shape(self, make_driver: Any) -> None:
        session = make_driver(kind="transcription").created[0]["session"]
        assert session["object"] == "realtime.transcription_session"
        assert set(session) == {"type", "object", "id", "expires_at", "audio", "include"}
        assert session["audio"]["input"]["turn_detection"] == {
            "type": "server_vad",
            "threshold": 0.5,
            "prefix_padding_ms": 300,
            "silence_duration_ms": 200,
        }

    def test_a_reasoning_model_shows_its_effort(self, make_driver: Any) -> None:
        session = make_driver(model="gpt-realtime-2.1").created[0]["session"]
        assert session["reasoning"] == {"effort": "low"}
        assert make_driver(model="gpt-realtime-2025-08-28").created[0]["session"]["reasoning"] is None

    def test_starts_with_the_configuration_of_a_client_secret(self, make_driver: Any) -> None:
        session = make_driver(config={"type": "realtime", "instructions": "Be brief."}).created[0]["session"]
        assert session["instructions"] == "Be brief."


class TestUpdate:
    def test_only_given_keys_change(self, driver: Any) -> None:
        before = driver.created[0]["session"]
        (updated,) = driver.update(audio={"input": {"transcription": {"model": "gpt-4o-transcribe"}}})
        after = updated["session"]
        assert after["audio"]["input"]["transcription"] == {
            "model": "gpt-4o-transcribe",
            "language": None,
            "prompt": None,
        }
        assert after["audio"]["input"]["turn_detection"] == before["audio"]["input"]["turn_detection"]
        assert after["audio"]["output"] == before["audio"]["output"]
        assert after["instructions"] == before["instructions"]

    def test_what_was_sent_before_stays_as_it_was(self, driver: Any) -> None:
        sent = json.dumps(driver.created)
        driver.update(audio={"input": {"turn_detection": {"threshold": 0.9}}, "output": {"voice": "ash"}})
        assert json.dumps(driver.created) == sent

    def test_nested_objects_merge_key_by_key(self, driver: Any) -> None:
        driver.update(audio={"input": {"turn_detection": {"type": "server_vad", "threshold": 0.7}}})
        (updated,) = driver.update(audio={"input": {"turn_detection": {"silence_duration_ms": 600}}})
        detection = updated["session"]["audio"]["input"]["turn_detection"]
        assert (detection["threshold"], detection["silence_duration_ms"]) == (0.7, 600)

    def test_another_kind_of_turn_detection_begins_with_its_defaults(self, driver: Any) -> None:
        (updated,) = driver.update(audio={"input": {"turn_detection": {"type": "semantic_vad"}}})
        assert updated["session"]["audio"]["input"]["turn_detection"] == {
            "type": "semantic_vad",
            "eagerness": "auto",
            "create_response": True,
            "interrupt_response": True,
        }

    def test_clearing(self, driver: Any) -> None:
        tool = {"type": "function", "name": "look", "parameters": {"type": "object"}}
        driver.update(tools=[tool], audio={"input": {"transcription": {"model": "whisper-1"}}})
        (updated,) = driver.update(
            instructions="", tools=[], audio={"input": {"transcription": None, "turn_detection": None}}
        )
        session = updated["session"]
        assert session["instructions"] == ""
        assert session["tools"] == []
        assert session["audio"]["input"]["transcription"] is None
        assert session["audio"]["input"]["turn_detection"] is None

    def test_noise_reduction_keeps_its_strength(self, driver: Any) -> None:
        driver.update(audio={"input": {"noise_reduction": {"type": "near_field", "strength": 0.4}}})
        (updated,) = driver.update(audio={"input": {"noise_reduction": {"type": "far_field"}}})
        assert updated["session"]["audio"]["input"]["noise_reduction"] == {"type": "far_field", "strength": 0.4}

    def test_the_model_of_the_connection_stays(self, driver: Any) -> None:
        (updated,) = driver.update(model="gpt-realtime-2.1", instructions="New.")
        assert updated["session"]["model"] == "gpt-realtime"
        assert updated["session"]["instructions"] == "New."

    @pytest.mark.parametrize(
        ("session", "code", "param"),
        [
            ({}, "missing_required_parameter", "session.type"),
            ({"instructions": "x"}, "missing_required_parameter", "session.type"),
            ({"type": "dream"}, "invalid_value", "session.type"),
            ({"type": "transcription"}, "invalid_value", "session.type"),
            ({"type": "realtime", "bogus_field": 1}, "unknown_parameter", "session.bogus_field"),
            ({"type": "realtime", "voice": "ash"}, "unknown_parameter", "session.voice"),
            ({"type": "realtime", "id": "sess_1"}, "unknown_parameter", "session.id"),
            ({"type": "realtime", "instructions": 3}, "invalid_type", "session.instructions"),
            (
                {"type": "realtime", "output_modalities": ["audio", "text"]},
                "invalid_value",
                "session.output_modalities",
            ),
            ({"type": "realtime", "output_modalities": ["smell"]}, "invalid_value", "session.output_modalities[0]"),
            ({"type": "realtime", "max_output_tokens": 0}, "integer_below_min_value", "session.max_output_tokens"),
            ({"type": "realtime", "max_output_tokens": 5000}, "integer_above_max_value", "session.max_output_tokens"),
            ({"type": "realtime", "tool_choice": "maybe"}, "invalid_value", "session.tool_choice"),
            (
                {"type": "realtime", "tool_choice": {"type": "function"}},
                "missing_required_parameter",
                "session.tool_choice.name",
            ),
            (
                {"type": "realtime", "tools": [{"type": "function"}]},
                "missing_required_parameter",
                "session.tools[0].name",
            ),
            (
                {"type": "realtime", "tools": [{"type": "function", "name": "a", "function": {}}]},
                "unknown_parameter",
                "session.tools[0].function",
            ),
            ({"type": "realtime", "reasoning": {"effort": "low"}}, "unknown_parameter", "session.reasoning"),
            (
                {"type": "realtime", "audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}},
                "integer_below_min_value",
                "session.audio.input.format.rate",
            ),
            (
                {"type": "realtime", "audio": {"input": {"format": "pcm16"}}},
                "invalid_type",
                "session.audio.input.format",
            ),
            (
                {"type": "realtime", "audio": {"output": {"speed": 2.0}}},
                "decimal_above_max_value",
                "session.audio.output.speed",
            ),
            (
                {"type": "realtime", "audio": {"output": {"voice": "darth"}}},
                "invalid_value",
                "session.audio.output.voice",
            ),
            (
                {"type": "realtime", "audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 2}}}},
                "decimal_above_max_value",
                "session.audio.input.turn_detection.threshold",
            ),
            (
                {"type": "realtime", "audio": {"input": {"turn_detection": {"type": "semantic_vad", "threshold": 1}}}},
                "unknown_parameter",
                "session.audio.input.turn_detection.threshold",
            ),
            (
                {"type": "realtime", "audio": {"input": {"turn_detection": {"idle_timeout_ms": 100}}}},
                "integer_below_min_value",
                "session.audio.input.turn_detection.idle_timeout_ms",
            ),
        ],
    )
    def test_refusals_change_nothing(self, driver: Any, session: Any, code: str, param: str) -> None:
        before = driver.engine.session
        if "type" in session and session["type"] == "realtime":
            session = {"instructions": "must not be applied", **session}
        error = driver.error(driver.send("session.update", session=session, event_id="mine"))
        assert (error["code"], error["param"]) == (code, param)
        assert error["type"] == "invalid_request_error"
        assert error["event_id"] == "mine"
        assert driver.engine.session is before

    def test_the_message_lists_supported_values(self, driver: Any) -> None:
        error = driver.error(driver.update(tool_choice="maybe"))
        assert error["message"] == ("Invalid value: 'maybe'. Supported values are: 'none', 'auto' and 'required'.")

    def test_the_voice_is_fixed_once_it_was_heard(self, driver: Any, kinds: Any) -> None:
        assert kinds(driver.update(audio={"output": {"voice": "ash"}})) == ["session.updated"]
        response, _ = driver.respond()
        driver.speak(response)
        error = driver.error(driver.update(audio={"output": {"voice": "echo"}}))
        assert (error["code"], error["param"]) == ("cannot_update_voice", None)
        assert kinds(driver.update(audio={"output": {"voice": "ash"}})) == ["session.updated"]

    def test_tracing_stays_as_it_was_enabled(self, driver: Any, kinds: Any) -> None:
        assert kinds(driver.update(tracing="auto")) == ["session.updated"]
        assert driver.error(driver.update(tracing=None))["param"] == "session.tracing"


class TestEnvelope:
    def test_unknown_type_lists_those_there_are(self, driver: Any) -> None:
        error = driver.error(driver.send("transcription_session.update", event_id="e1"))
        assert (error["code"], error["param"], error["event_id"]) == ("invalid_value", "type", "e1")
        assert "'session.update', 'session.close', 'input_audio_buffer.append'" in error["message"]
        assert error["message"].endswith("and 'response.cancel'.")

    def test_output_audio_buffer_clear_is_none_of_the_websocket(self, driver: Any) -> None:
        assert driver.error(driver.send("output_audio_buffer.clear"))["code"] == "invalid_value"

    @pytest.mark.parametrize("frame", ["{", "", "nope", '{"type": NaN}', '"\ud83d', '{"a":' * 5000])
    def test_broken_json(self, driver: Any, frame: str) -> None:
        error = driver.error(driver.frame(frame))
        assert (error["code"], error["event_id"]) == ("invalid_json", None)

    def test_binary_frames(self, driver: Any) -> None:
        error = driver.error(driver.frame(b"{}"))
        assert error["code"] == "invalid_event"
        assert error["message"] == "Expected a text WebSocket message; binary frames are not supported."

    @pytest.mark.parametrize("frame", ["[]", "1", "null", '"text"'])
    def test_json_that_is_no_object(self, driver: Any, frame: str) -> None:
        assert driver.error(driver.frame(frame))["code"] == "invalid_event"

    def test_missing_type(self, driver: Any) -> None:
        error = driver.error(driver.frame("{}"))
        assert (error["code"], error["param"]) == ("missing_required_parameter", "type")

    @pytest.mark.parametrize(
        ("event", "code", "param"),
        [
            ({"type": 3}, "invalid_type", "type"),
            ({"type": "session.update"}, "missing_required_parameter", "session"),
            ({"type": "session.update", "session": []}, "invalid_type", "session"),
            ({"type": "response.cancel", "bogus": 1}, "unknown_parameter", "bogus"),
            ({"type": "conversation.item.delete"}, "missing_required_parameter", "item_id"),
            ({"type": "conversation.item.delete", "item_id": 4}, "invalid_type", "item_id"),
            ({"type": "response.create", "response": []}, "invalid_type", "response"),
            ({"type": "response.cancel", "event_id": "x" * 513}, "string_above_max_length", "event_id"),
        ],
    )
    def test_malformed_events(self, driver: Any, event: dict[str, Any], code: str, param: str) -> None:
        error = driver.error(driver.frame(json.dumps(event)))
        assert (error["code"], error["param"]) == (code, param)

    def test_nesting_is_bounded(self, driver: Any) -> None:
        nested: Any = {}
        for _ in range(200):
            nested = {"a": nested}
        tool = {"type": "function", "name": "deep", "parameters": nested}
        assert driver.error(driver.update(tools=[tool]))["code"] == "invalid_event"

    def test_errors_leave_the_session_usable(self, driver: Any, kinds: Any) -> None:
        for frame in ("{", "[]", b"x", '{"type": "nope"}'):
            driver.error(driver.frame(frame))
        response, events = driver.respond()
        assert kinds(events) == ["response.created"]
        assert kinds(driver.finish(response)) == ["response.done", "rate_limits.updated"]

    def test_expiry(self, make_driver: Any) -> None:
        driver = make_driver(session_seconds=3600)
        driver.engine.expire()
        error = driver.error(driver.take())
        assert error["code"] == "session_expired"
        assert error["message"] == "Your session hit the maximum duration of 60 minutes."
        (hangup,) = driver.effects
        assert (hangup.code, hangup.reason) == (1001, error["message"])
