"""The instruments: what is measured over many sessions. One set for each meter, since names are made once."""

from __future__ import annotations

from typing import Final, Self

from attrs import frozen
from opentelemetry.metrics import Counter, Histogram, Meter, UpDownCounter

__all__ = ["Instruments"]

_DURATION: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""Buckets of the GenAI conventions, in s."""
_WAIT: Final = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
"""Buckets for what a listener waits for, in s: fine where a conversation begins to feel slow."""
_CONVERSATION: Final = (1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0)
_TOKENS: Final = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
"""Buckets of the GenAI conventions."""


@frozen
class Instruments:
    """All instruments of one meter. Durations are in seconds."""

    turn_duration: Histogram
    tool_duration: Histogram
    session_duration: Histogram
    time_to_first_delta: Histogram
    time_to_first_audio: Histogram
    token_usage: Histogram
    tokens: Counter
    responses: Counter
    interruptions: Counter
    errors: Counter
    dropped: Counter
    live: UpDownCounter

    @classmethod
    def of(cls, meter: Meter) -> Self:
        """Make them."""

        def seconds(name: str, description: str, buckets: tuple[float, ...]) -> Histogram:
            return meter.create_histogram(name, "s", description, explicit_bucket_boundaries_advisory=buckets)

        return cls(
            turn_duration=seconds(
                "gen_ai.client.operation.duration", "From a response's beginning to its end.", _DURATION
            ),
            tool_duration=seconds(
                "gen_ai.execute_tool.duration", "From a tool's start until its output was sent.", _DURATION
            ),
            session_duration=seconds(
                "gen_ai.invoke_agent.duration", "From a session's start until it was disconnected.", _CONVERSATION
            ),
            time_to_first_delta=seconds(
                "jackfield.turn.time_to_first_delta",
                "From the end of the user's speech, or else the response's beginning, to its first word or audio.",
                _WAIT,
            ),
            time_to_first_audio=seconds(
                "jackfield.turn.time_to_first_audio",
                "From the end of the user's speech, or else the response's beginning, to the first audio heard.",
                _WAIT,
            ),
            token_usage=meter.create_histogram(
                "gen_ai.client.token.usage",
                "{token}",
                "Tokens of one response.",
                explicit_bucket_boundaries_advisory=_TOKENS,
            ),
            tokens=meter.create_counter("jackfield.tokens", "{token}", "Tokens by kind; each counts once."),
            responses=meter.create_counter("jackfield.responses", "{response}", "Responses by their status."),
            interruptions=meter.create_counter("jackfield.interruptions", "{interruption}", "Responses that were cut."),
            errors=meter.create_counter("jackfield.errors", "{error}", "Errors by what they mean for the session."),
            dropped=meter.create_counter(
                "jackfield.events.dropped", "{event}", "Events that were dropped because they were read too slowly."
            ),
            live=meter.create_up_down_counter("jackfield.sessions.live", "{session}", "Sessions that are running."),
        )
