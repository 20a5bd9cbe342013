"""What a response cost, in the SDK's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import agents.usage
from agents.realtime import (
    RealtimeModelCachedTokensDetails,
    RealtimeModelInputTokensDetails,
    RealtimeModelOutputTokensDetails,
    RealtimeModelUsageEvent,
)

from jackfield.transport.events import Usage

__all__ = ["usage_event"]


def usage_event(usage: Usage) -> RealtimeModelUsageEvent:
    """Return the model event for the usage of one response."""
    total = agents.usage.Usage(
        requests=usage.requests,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        total_tokens=usage.total_tokens,
    )
    total.input_tokens_details.cached_tokens = _count(usage.input_tokens_details, "cached_tokens") or 0
    return RealtimeModelUsageEvent(
        usage=total,
        input_tokens_details=_input_details(usage.input_tokens_details),
        output_tokens_details=_output_details(usage.output_tokens_details),
    )


def _input_details(told: Mapping[str, Any]) -> RealtimeModelInputTokensDetails | None:
    if not told:
        return None
    cached = told.get("cached_tokens_details")
    return RealtimeModelInputTokensDetails(
        text_tokens=_count(told, "text_tokens"),
        audio_tokens=_count(told, "audio_tokens"),
        image_tokens=_count(told, "image_tokens"),
        cached_tokens=_count(told, "cached_tokens"),
        cached_tokens_details=(
            RealtimeModelCachedTokensDetails(
                text_tokens=_count(cached, "text_tokens"),
                audio_tokens=_count(cached, "audio_tokens"),
                image_tokens=_count(cached, "image_tokens"),
            )
            if isinstance(cached, Mapping)
            else None
        ),
    )


def _output_details(told: Mapping[str, Any]) -> RealtimeModelOutputTokensDetails | None:
    if not told:
        return None
    return RealtimeModelOutputTokensDetails(
        text_tokens=_count(told, "text_tokens"), audio_tokens=_count(told, "audio_tokens")
    )


def _count(told: Mapping[str, Any], key: str) -> int | None:
    value = told.get(key)
    return value if type(value) is int else None
