"""How many tokens things cost, in the API's own units, and the totals that `response.done` reports.

User audio is 10 tokens a second and assistant audio 20; text is reckoned at four characters a token.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from attrs import define, frozen

__all__ = ["Cost", "Meter", "assistant_audio", "characters", "image", "text", "transcription_usage", "user_audio"]

_IMAGE_TOKENS: Final = {"low": 85, "high": 765}
_CACHE_BLOCK: Final = 64
_LIMIT: Final = 15_000_000


@frozen
class Cost:
    """Tokens by kind."""

    text: int = 0
    audio: int = 0
    image: int = 0

    @property
    def total(self) -> int:
        """All tokens together."""
        return self.text + self.audio + self.image

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.text + other.text, self.audio + other.audio, self.image + other.image)


def text(written: str) -> Cost:
    """Return what a text costs."""
    return characters(len(written))


def characters(count: int) -> Cost:
    """Return what a text of `count` characters costs."""
    return Cost(text=-(-count // 4))


def user_audio(ms: float) -> Cost:
    """Return what `ms` milliseconds of the user's voice cost."""
    return Cost(audio=int(ms / 100))


def assistant_audio(ms: float) -> Cost:
    """Return what `ms` milliseconds of the assistant's voice cost."""
    return Cost(audio=int(ms / 50))


def image(detail: str) -> Cost:
    """Return what an image costs; `detail` "auto" resolves to "high"."""
    return Cost(image=_IMAGE_TOKENS.get(detail, _IMAGE_TOKENS["high"]))


@define
class Meter:
    """Counts for one session: what was cached of the context, and what is left of the rate limit."""

    _seen: Cost = Cost()
    _remaining: int = _LIMIT

    def response(self, context: Iterable[Cost], output: Cost) -> dict[str, Any]:
        """Return the `usage` of a response that read `context` and produced `output`."""
        read = sum(context, Cost())
        cached_text = min(read.text, self._seen.text) // _CACHE_BLOCK * _CACHE_BLOCK
        cached_audio = min(read.audio, self._seen.audio) // _CACHE_BLOCK * _CACHE_BLOCK
        self._seen = read
        self._remaining = max(0, _LIMIT - read.total - output.total)
        return {
            "total_tokens": read.total + output.total,
            "input_tokens": read.total,
            "output_tokens": output.total,
            "input_token_details": {
                "text_tokens": read.text,
                "audio_tokens": read.audio,
                "image_tokens": read.image,
                "cached_tokens": cached_text + cached_audio,
                "cached_tokens_details": {
                    "text_tokens": cached_text,
                    "audio_tokens": cached_audio,
                    "image_tokens": 0,
                },
            },
            "output_token_details": {"text_tokens": output.text, "audio_tokens": output.audio},
        }

    def rate_limits(self) -> list[dict[str, Any]]:
        """Return the `rate_limits` after the last response."""
        used = _LIMIT - self._remaining
        reset = round(used / _LIMIT * 60, 3)
        return [{"name": "tokens", "limit": _LIMIT, "remaining": self._remaining, "reset_seconds": reset}]


def transcription_usage(settings: Mapping[str, Any], audio_ms: float, transcript: str) -> dict[str, Any]:
    """Return the `usage` of a transcription: whisper is billed by its seconds, the others by tokens."""
    if settings["model"] == "whisper-1":
        return {"type": "duration", "seconds": round(audio_ms / 1000, 3)}
    heard, prompt, written = user_audio(audio_ms), text(settings.get("prompt") or ""), text(transcript)
    read = heard + prompt
    return {
        "type": "tokens",
        "total_tokens": read.total + written.total,
        "input_tokens": read.total,
        "input_token_details": {"text_tokens": read.text, "audio_tokens": read.audio},
        "output_tokens": written.total,
    }
