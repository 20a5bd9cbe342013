"""The session's own events: what it was configured to, what went wrong, what limits there are.

Each handler is named after the event that it takes; the table in this package says which.
"""

from __future__ import annotations

from collections.abc import Mapping

from jackfield.bounded import count
from jackfield.errors import ProviderError, TransportError
from jackfield.openai.error_table import ERROR_CODES, error_from_payload
from jackfield.openai.state import ConnectionState
from jackfield.openai.wire_items import copied, text_of
from jackfield.transport import events as ev

from .fields import NOTHING, Events, Message, audio_format, integer_of, mapping_of, number_of

__all__ = ["error_told", "rate_limits", "session_told", "session_updated"]


def session_told(state: ConnectionState, message: Message) -> Events:
    session = message.get("session")
    if isinstance(session, Mapping):
        audio = mapping_of(session, "audio")
        # The beta's session is flat; the GA one is nested. A server that echoes but a part of it changes but that.
        told = mapping_of(audio, "output").get("format", session.get("output_audio_format"))
        state.output_format = audio_format(told, state.output_format)
        for given in (mapping_of(audio, "input"), session):
            if "turn_detection" in given:
                state.turn_detection = copied(mapping_of(given, "turn_detection"))
                break
        if state.tracker is not None:
            state.tracker.set_audio_format(state.output_format)
    if state.opening is None:
        state.acknowledged = True
    return NOTHING


def session_updated(state: ConnectionState, message: Message) -> Events:
    state.acknowledged = True
    return session_told(state, message)


def error_told(state: ConnectionState, message: Message) -> Events:
    payload = message.get("error")
    if not isinstance(payload, Mapping):
        payload = {"message": text_of(message, "error") or text_of(message, "message")}
    error = error_from_payload(payload, *state.secrets)
    code = error.code if isinstance(error, ProviderError) else "invalid_api_key"
    event_id = error.event_id if isinstance(error, ProviderError) else None
    if code is not None and code not in ERROR_CODES:
        count(state.unknown_codes, code)
    if error.classification in {"fatal", "reconnect"}:
        state.failure = error
    if _refuses_opening(state, error, event_id):
        state.refusal = error
        return NOTHING  # connect() raises it
    absorbed, frames = state.sequencer.refused(code, event_id, str(error), now=state.clock())
    state.reactions += frames
    ours = event_id is not None and event_id.startswith("jf_")
    if absorbed or (error.classification == "benign" and ours):
        return NOTHING  # a race of our own making, dealt with; `*` still shows it
    return (ev.Error(error),)


def _refuses_opening(state: ConnectionState, error: TransportError, event_id: str | None) -> bool:
    """Whether it answers the opening; that happens once, and what comes after is told like any error."""
    if state.acknowledged or state.refusal is not None:
        return False
    answers = state.opening is not None and event_id in {None, state.opening["event_id"]}
    return answers or error.classification == "fatal"


def rate_limits(state: ConnectionState, message: Message) -> Events:
    told = message.get("rate_limits")
    limits = tuple(
        ev.RateLimit(
            text_of(limit, "name"),
            integer_of(limit, "limit"),
            integer_of(limit, "remaining"),
            number_of(limit, "reset_seconds"),
        )
        for limit in (told if isinstance(told, list) else ())
        if isinstance(limit, Mapping)
    )
    return (ev.RateLimitsUpdated(limits),)
