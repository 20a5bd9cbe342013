"""Tokens by kind: as attributes of spans, and counted so that each token counts once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jackfield.transport.events import Usage

from .names import TOKEN_CACHED, TOKEN_MODALITY, TOKEN_TYPE, Attributes

__all__ = ["token_counts", "usage_attributes"]

_MODALITIES = ("text", "audio", "image")


def usage_attributes(usage: Usage) -> Attributes:
    """Return the attributes of the GenAI conventions; the parts only where the provider told them."""
    attributes = {"gen_ai.usage.input_tokens": usage.input_tokens, "gen_ai.usage.output_tokens": usage.output_tokens}
    for side, details in (("input", usage.input_tokens_details), ("output", usage.output_tokens_details)):
        for modality in _MODALITIES:
            if (count := _told(details, f"{modality}_tokens")) is not None:
                attributes[f"gen_ai.usage.{modality}.{side}_tokens"] = count
    if (cached := _told(usage.input_tokens_details, "cached_tokens")) is not None:
        attributes["gen_ai.usage.cache_read.input_tokens"] = cached
    return attributes


def token_counts(usage: Usage) -> Iterator[tuple[int, Attributes]]:
    """Yield counts that add up to the usage's tokens, each with the kind of its tokens.

    Tokens of which the provider doesn't tell the modality are `unknown`; cached ones of which it doesn't are taken for
    text, as the price table takes them.
    """
    cached = usage.input_tokens_details.get("cached_tokens_details")
    if not isinstance(cached, Mapping):
        cached = {"text_tokens": usage.input_tokens_details.get("cached_tokens")}
    yield from _split("input", usage.input_tokens, usage.input_tokens_details, cached)
    yield from _split("output", usage.output_tokens, usage.output_tokens_details, {})


def _split(
    side: str, total: int, details: Mapping[str, Any], cached: Mapping[str, Any]
) -> Iterator[tuple[int, Attributes]]:
    left = total
    for modality in _MODALITIES:
        count = min(_told(details, f"{modality}_tokens") or 0, left)
        from_cache = min(_told(cached, f"{modality}_tokens") or 0, count)
        left -= count
        for part, is_cached in ((count - from_cache, False), (from_cache, True)):
            if part:
                yield part, {TOKEN_TYPE: side, TOKEN_MODALITY: modality, TOKEN_CACHED: is_cached}
    if left:
        yield left, {TOKEN_TYPE: side, TOKEN_MODALITY: "unknown", TOKEN_CACHED: False}


def _told(details: Mapping[str, Any], key: str) -> int | None:
    count = details.get(key)
    return count if isinstance(count, int) and not isinstance(count, bool) and count >= 0 else None
