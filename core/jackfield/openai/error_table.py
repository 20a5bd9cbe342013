"""What each of the provider's errors means: one table, a row per code.

Codes that aren't in it are counted and treated as a refused request: the session goes on. Sources: the API's error
events and close codes (API event `error`, WebSocket close codes).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from jackfield.errors import (
    AuthenticationError,
    Classification,
    ConnectRefusedError,
    ProviderError,
    RemoteClosedError,
    TransportError,
    redact,
)

from .wire_items import copied

__all__ = ["CLOSE_CODES", "ERROR_CODES", "close_error", "error_from_payload"]

ERROR_CODES: Mapping[str, Classification] = {
    # Races that need nothing: what was asked had already happened, or can't happen any more.
    "conversation_already_has_active_response": "benign",
    "response_cancel_not_active": "benign",
    "input_audio_buffer_commit_empty": "benign",
    "item_truncate_invalid_item_id": "benign",
    "item_already_truncated": "benign",
    "unsupported_content_type": "benign",
    # One request was refused; nothing of it was applied.
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
    # The turn failed and a new one may work.
    "rate_limit_exceeded": "retry_turn",
    "inference_rate_limit_exceeded": "retry_turn",
    "server_error": "retry_turn",
    "internal_error": "retry_turn",
    # The connection ends and a new one may work.
    "session_expired": "reconnect",
    # Trying again won't help.
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
_AUTHENTICATION = frozenset({"invalid_api_key", "account_deactivated"})

CLOSE_CODES: Mapping[int, Classification] = {
    1000: "benign",
    1001: "reconnect",
    1002: "fatal",
    1003: "fatal",
    1005: "reconnect",
    1006: "reconnect",
    1007: "fatal",
    1008: "fatal",
    1009: "fatal",
    1011: "reconnect",
    1012: "reconnect",
    1013: "reconnect",
    1015: "reconnect",
    3000: "fatal",
    4000: "fatal",
    4004: "fatal",
}

_ADVICE = {
    "invalid_api_key": "check the api_key, or OPENAI_API_KEY, and that it belongs to this endpoint",
    "invalid_model": "give the name of a realtime model as model=",
    "missing_model": "give model=, or put ?model= into the url",
    "model_not_found": "check that your project may use this model",
    "beta_api_shape_disabled": "drop the OpenAI-Beta header: this is the GA API",
    "insufficient_quota": "check the plan and billing of the account",
    "session_expired": "a session lasts 60 minutes at most: connect again",
    "rate_limit_exceeded": "wait and try the turn again",
    "inference_rate_limit_exceeded": "wait and try the turn again",
}


def error_from_payload(payload: Mapping[str, Any], *secrets: str) -> ProviderError | AuthenticationError:
    """Return the typed error for a provider's error object ({type, code, message, param, event_id})."""
    payload = copied(payload, lambda said: redact(said, *secrets))
    code = _text(payload, "code")
    kind = _text(payload, "type")
    message = _text(payload, "message") or "the far end reported an error without a message"
    classification = classify(code, kind, message)
    advice = _ADVICE.get(code or "")
    text = f"{code or kind or 'error'}: {message}" + (f" Hint: {advice}." if advice else "")
    if code in _AUTHENTICATION or (code is None and "authentication" in message.lower()):
        return AuthenticationError(text)
    return ProviderError(
        text,
        code=code,
        type=kind,
        param=_text(payload, "param"),
        event_id=_text(payload, "event_id"),
        classification=classification,
        payload=dict(payload),
    )


def classify(code: str | None, kind: str | None, message: str) -> Classification:
    """Return what an error means; unknown codes are `rejected`."""
    if code == "invalid_value" and "already shorter than" in message:
        return "benign"  # a truncation past the end of what was generated
    for name in (code, kind):
        known = ERROR_CODES.get(name or "")
        if known is not None:
            return known
    return "rejected"


def close_error(
    code: int | None, reason: str, last: TransportError | None, *, opening: bool = False, secrets: Iterable[str] = ()
) -> TransportError | None:
    """Return the error that a remote close amounts to; None where the far end ended the conversation normally.

    `last` is the error that the far end reported before, if that one was fatal to the connection.
    """
    if last is not None and last.classification in {"fatal", "reconnect"}:
        return last
    reason = redact(reason, *secrets)
    # 1006 is never sent (RFC 6455, section 7.1.5): it stands for an end without a goodbye.
    how = "the connection was lost" if code == 1006 else "the far end closed the connection"
    told = f"{how} with code {code}" + (f" ({reason})" if reason else "")
    if code == 3000:
        return AuthenticationError(f"{told}: check the api_key, or OPENAI_API_KEY")
    if code == 1000 and not opening:
        return None
    # The reason of a fatal close is "type.code", as in insufficient_quota.insufficient_quota.
    named = ERROR_CODES.get(reason.rpartition(".")[2])
    classification = named or CLOSE_CODES.get(code or 1006, "reconnect")
    if opening and classification == "fatal":
        refused = ConnectRefusedError(f"{told} before the session began")
        refused.classification = classification
        return refused
    closed = RemoteClosedError(f"{told}: connect again to go on", code=code, reason=reason)
    closed.classification = "reconnect" if classification == "benign" else classification
    return closed


def _text(payload: Mapping[str, Any], key: str) -> str | None:
    value = payload.get(key)
    return value if isinstance(value, str) and value else None
