"""What the provider's errors and closes mean, and that none of them tells a secret."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield.openai import CLOSE_CODES, ERROR_CODES, OpenAIRealtimeProtocol, decode, encode, error_from_payload
from jackfield.transport import (
    AuthenticationError,
    ConfigurationError,
    ConnectRefusedError,
    ProtocolError,
    ProviderError,
    RemoteClosedError,
    TransportCapabilities,
    events,
    redact,
)

KEY = "sk-proj-abcDEF123456789"
TOKEN = "xoxo.opaque.token.without.a.known.form"

ROWS = {
    "conversation_already_has_active_response": "benign",
    "response_cancel_not_active": "benign",
    "input_audio_buffer_commit_empty": "benign",
    "item_truncate_invalid_item_id": "benign",
    "item_already_truncated": "benign",
    "unsupported_content_type": "benign",
    "invalid_value": "rejected",
    "invalid_type": "rejected",
    "invalid_json": "rejected",
    "invalid_event": "rejected",
    "unknown_parameter": "rejected",
    "missing_required_parameter": "rejected",
    "integer_below_min_value": "rejected",
    "integer_above_max_value": "rejected",
    "item_create_invalid_previous_item_id": "rejected",
    "item_retrieve_invalid_item_id": "rejected",
    "item_delete_invalid_item_id": "rejected",
    "cannot_update_voice": "rejected",
    "rate_limit_exceeded": "retry_turn",
    "inference_rate_limit_exceeded": "retry_turn",
    "server_error": "retry_turn",
    "internal_error": "retry_turn",
    "session_expired": "reconnect",
    "invalid_api_key": "fatal",
    "invalid_model": "fatal",
    "missing_model": "fatal",
    "model_not_found": "fatal",
    "beta_api_shape_disabled": "fatal",
    "insufficient_quota": "fatal",
    "billing_hard_limit_reached": "fatal",
    "account_deactivated": "fatal",
    "call_id_not_found": "fatal",
}


def dialect(*, acknowledged: bool = True, **options: Any) -> OpenAIRealtimeProtocol:
    protocol = OpenAIRealtimeProtocol(capabilities=TransportCapabilities(), clock=lambda: 0.0, **options)
    if acknowledged:
        list(protocol.receive({"type": "session.created", "session": {}}))
    return protocol


def told(protocol: OpenAIRealtimeProtocol, **error: Any) -> list[Any]:
    return list(protocol.receive({"type": "error", "error": error}))


class TestTable:
    def test_the_table_is_this_one(self) -> None:
        assert dict(ERROR_CODES) == ROWS

    @pytest.mark.parametrize(("code", "meaning"), ROWS.items())
    def test_a_row(self, code: str, meaning: str) -> None:
        protocol = dialect()
        [event] = told(protocol, type="invalid_request_error", code=code, message="told so", param="p", event_id="e")
        assert isinstance(event, events.Error)
        error = event.error
        assert error.classification == meaning  # type: ignore[attr-defined]
        assert "told so" in str(error)
        if isinstance(error, AuthenticationError):
            assert code in {"invalid_api_key", "account_deactivated"}
        else:
            assert isinstance(error, ProviderError)
            assert (error.code, error.param, error.event_id) == (code, "p", "e")
            assert error.type == "invalid_request_error"
        assert not protocol.unknown_codes

    def test_the_type_decides_where_there_is_no_code(self) -> None:
        assert error_from_payload({"type": "server_error", "message": "sorry"}).classification == "retry_turn"

    def test_a_truncation_past_the_end_is_a_race(self) -> None:
        text = "Audio content of 3700ms is already shorter than 3760ms"
        assert error_from_payload({"code": "invalid_value", "message": text}).classification == "benign"

    def test_no_credentials_at_all(self) -> None:
        text = "Missing bearer or basic authentication in header"
        error = error_from_payload({"type": "invalid_request_error", "code": None, "message": text})
        assert isinstance(error, AuthenticationError)
        assert error.classification == "fatal"

    def test_unknown_codes_are_counted_and_not_fatal(self) -> None:
        protocol = dialect()
        for _ in range(3):
            [event] = told(protocol, code="brand_new", message="?")
            assert event.error.classification == "rejected"
        assert dict(protocol.unknown_codes) == {"brand_new": 3}

    @pytest.mark.parametrize("junk", [None, "went wrong", 5, [], {}, {"message": None, "code": 5, "type": []}])
    def test_an_error_that_says_nothing(self, junk: Any) -> None:
        [event] = dialect().receive({"type": "error", "error": junk})
        assert isinstance(event, events.Error)
        assert str(event.error)

    def test_a_failed_turn_may_be_tried_again(self) -> None:
        protocol = dialect()
        details = {"type": "failed", "error": {"code": "brand_new", "message": "no"}}
        [event, turn] = protocol.receive(
            {"type": "response.done", "response": {"id": "r", "status": "failed", "status_details": details}}
        )
        assert isinstance(event, events.Error)
        assert event.error.classification == "retry_turn"  # type: ignore[attr-defined]
        assert isinstance(turn, events.TurnDone)
        assert turn.status_details == details


class TestOpening:
    def test_a_refused_opening_is_for_connect_to_raise(self) -> None:
        protocol = dialect(acknowledged=False)
        assert told(protocol, code="invalid_model", message="no such model") == []
        assert protocol.refusal is not None
        assert protocol.refusal.classification == "fatal"
        assert not protocol.acknowledged

    @pytest.mark.parametrize("names_it", [True, False])
    def test_so_is_a_refused_config(self, names_it: bool) -> None:
        protocol = dialect(acknowledged=False)
        [opening] = protocol.open({"bogus": 1})
        list(protocol.receive({"type": "session.created", "session": {}}))
        event_id = opening["event_id"] if names_it else None
        assert told(protocol, code="unknown_parameter", message="no", event_id=event_id) == []
        assert isinstance(protocol.refusal, ProviderError)

    def test_what_comes_after_it_is_told(self) -> None:
        protocol = dialect(acknowledged=False)
        protocol.open({"bogus": 1})
        told(protocol, code="unknown_parameter", message="no")
        assert len(told(protocol, code="invalid_value", message="no")) == 1
        assert len(told(protocol, code="insufficient_quota", message="no")) == 1

    def test_somebody_elses_error_is_no_refusal(self) -> None:
        protocol = dialect(acknowledged=False)
        protocol.open({"instructions": "x"})
        assert len(told(protocol, code="invalid_value", message="no", event_id="mine")) == 1
        assert protocol.refusal is None


class TestCloses:
    def test_an_ordinary_end(self) -> None:
        assert dialect().closed(1000, "") is None

    @pytest.mark.parametrize("code", [1001, 1005, 1006, 1011, 1012, 1013, 1015, None, 4711])
    def test_one_after_which_a_new_connection_may_work(self, code: int | None) -> None:
        error = dialect().closed(code, "going")
        assert isinstance(error, RemoteClosedError)
        assert error.classification == "reconnect"
        assert (error.code, error.reason) == (code, "going")

    @pytest.mark.parametrize("code", [code for code, meaning in CLOSE_CODES.items() if meaning == "fatal"])
    def test_one_after_which_it_will_not(self, code: int) -> None:
        error = dialect().closed(code, "no")
        assert error is not None
        assert error.classification == "fatal"

    def test_the_reason_names_the_code_of_an_error_that_was_not_told(self) -> None:
        error = dialect(acknowledged=False).closed(1013, "insufficient_quota.insufficient_quota")
        assert isinstance(error, ConnectRefusedError)
        assert error.classification == "fatal"

    def test_while_opening_an_ordinary_end_is_none(self) -> None:
        error = dialect(acknowledged=False).closed(1000, "")
        assert isinstance(error, RemoteClosedError)
        assert error.classification == "reconnect"

    def test_bad_credentials(self) -> None:
        assert isinstance(dialect(acknowledged=False).closed(3000, ""), AuthenticationError)

    def test_what_was_told_before_is_the_better_reason(self) -> None:
        protocol = dialect()
        told(protocol, code="session_expired", message="60 minutes")
        error = protocol.closed(1001, "60 minutes")
        assert isinstance(error, ProviderError)
        assert (error.code, error.classification) == ("session_expired", "reconnect")

    def test_but_not_what_the_session_has_outlived(self) -> None:
        protocol = dialect()
        told(protocol, code="insufficient_quota", message="soon")
        list(protocol.receive({"type": "response.created", "response": {"id": "r"}}))
        error = protocol.closed(1006, "")
        assert isinstance(error, RemoteClosedError)
        assert error.classification == "reconnect"

    def test_a_rejected_request_is_no_reason(self) -> None:
        protocol = dialect()
        told(protocol, code="invalid_value", message="no")
        assert isinstance(protocol.closed(1006, ""), RemoteClosedError)


class TestSecrets:
    @pytest.mark.parametrize(
        "text",
        [
            f"Incorrect API key provided: {KEY}. Find yours at …",
            f"Incorrect API key provided: {TOKEN}.",
            "Authorization: Bearer abcdef.ghijk",
            "api-key: 0123456789abcdef",
            'api_key="0123456789abcdef"',
            "openai-insecure-api-key.ek_0123456789",
            "ek_abc123def456 has expired",
        ],
    )
    def test_nothing_that_is_told_holds_one(self, text: str) -> None:
        secrets = (KEY, TOKEN)
        parts = ("abcDEF123", TOKEN, "abcdef.ghijk", "0123456789", "abc123def456")
        shown = []
        for code in ("invalid_api_key", "invalid_value", None):
            protocol = dialect(secrets=secrets)
            payload = {"code": code, "message": text, "param": text, "nested": [{"deep": text}]}
            details = {"type": "failed", "error": payload}
            failed = {"id": "r", "status": "failed", "status_details": details}
            for message in (
                {"type": "error", "error": payload},
                {"type": "response.done", "response": failed},
                {"type": "conversation.item.input_audio_transcription.failed", "item_id": "i", "error": payload},
            ):
                for event in protocol.receive(message):
                    shown.append(repr(event))
                    error = getattr(event, "error", None)
                    shown += [str(error), repr(error), repr(vars(error) if error else None)]
            closed = protocol.closed(1008, text)
            shown += [str(closed), repr(closed), repr(vars(closed))]
            refused = dialect(acknowledged=False, secrets=secrets)
            told(refused, **payload)
            shown += [repr(refused.refusal)]
        assert not [line for line in shown for part in parts if part in line]
        assert any("***" in line for line in shown)

    @given(before=st.text(max_size=20), after=st.text(max_size=20), secret=st.text(min_size=8, max_size=40))
    def test_a_known_secret_is_cut_out_wherever_it_stands(self, before: str, after: str, secret: str) -> None:
        kept = redact(f"{before}{secret}{after}", secret)
        assert secret not in kept or secret in "***"

    @pytest.mark.parametrize("text", ["ask the desk", "a risk-based check", "task_42 failed", "no key was given", ""])
    def test_ordinary_words_stay(self, text: str) -> None:
        assert redact(text, "") == text


class TestCodec:
    def test_what_was_encoded_is_decoded(self) -> None:
        event = {"type": "response.create", "response": {"instructions": "Grüß 🎻"}}
        assert decode(encode(event)) == event
        assert decode(encode(event).decode()) == event

    @pytest.mark.parametrize("frame", [b"", b"{", "nope", b"\xff", "[]", "5", "null", '"a"', "{}", '{"type":5}', "NaN"])
    def test_no_event(self, frame: str | bytes) -> None:
        with pytest.raises(ProtocolError):
            decode(frame)

    @pytest.mark.parametrize("value", [object(), b"bytes", {1, 2}, 2**70, "\ud800"])
    def test_what_is_no_json_is_refused_before_it_is_sent(self, value: Any) -> None:
        with pytest.raises(ConfigurationError, match=r"response\.create"):
            encode({"type": "response.create", "response": value})
