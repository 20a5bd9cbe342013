"""What a response cost: the provider's `usageMetadata` as the contract's `Usage`."""

from __future__ import annotations

from typing import Any

from jackfield.transport.events import Usage

from .fields import Message, integer_of, list_of, text_of

__all__ = ["usage_of"]


def usage_of(told: Message) -> Usage:
    """Return the usage in `told`. The details are counted by modality, in lower case (`audio_tokens`)."""
    given = integer_of(told, "promptTokenCount") + integer_of(told, "toolUsePromptTokenCount")
    thought = integer_of(told, "thoughtsTokenCount")
    made = integer_of(told, "responseTokenCount") + thought
    inputs = _by_modality(list_of(told, "promptTokensDetails") + list_of(told, "toolUsePromptTokensDetails"))
    outputs = _by_modality(list_of(told, "responseTokensDetails"))
    cached = integer_of(told, "cachedContentTokenCount")
    if cached:
        inputs["cached_tokens"] = cached
    if thought:
        outputs["reasoning_tokens"] = thought
    return Usage(
        requests=1,
        input_tokens=given,
        output_tokens=made,
        total_tokens=integer_of(told, "totalTokenCount") or given + made,
        input_tokens_details=inputs,
        output_tokens_details=outputs,
    )


def _by_modality(details: list[Any]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for detail in details:
        if isinstance(detail, dict) and text_of(detail, "modality"):
            name = f"{text_of(detail, 'modality').lower()[:32]}_tokens"
            if name in counts or len(counts) < 8:
                counts[name] = counts.get(name, 0) + integer_of(detail, "tokenCount")
    return counts
