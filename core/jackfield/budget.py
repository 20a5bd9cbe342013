"""Budgets: how much a session may use, and what its tokens cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from attrs import field, fields, frozen

from .errors import ConfigurationError
from .naming import check_names
from .transport.events import Usage

__all__ = ["Budget", "PriceTable"]


def _price(_: object, attribute: Any, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ConfigurationError(f"a price table's {attribute.name} is a number from 0 up, not {value!r}")


@frozen(kw_only=True)
class PriceTable:
    """Prices of a million tokens of each kind, in whatever currency you count in. You know yours: we don't."""

    text_input: float = field(default=0.0, validator=_price)
    audio_input: float = field(default=0.0, validator=_price)
    image_input: float = field(default=0.0, validator=_price)
    cached_text_input: float = field(default=0.0, validator=_price)
    cached_audio_input: float = field(default=0.0, validator=_price)
    cached_image_input: float = field(default=0.0, validator=_price)
    text_output: float = field(default=0.0, validator=_price)
    audio_output: float = field(default=0.0, validator=_price)

    def cost(self, usage: Usage) -> float:
        """Return what `usage` costs, by the provider's counts of each kind of token.

        Tokens whose kind the provider doesn't tell are reckoned as text.
        """
        given, made = usage.input_tokens_details, usage.output_tokens_details
        cached = given.get("cached_tokens_details")
        cached = cached if isinstance(cached, Mapping) else {"text_tokens": _count(given, "cached_tokens")}
        total = 0.0
        told = 0
        for kind in ("text", "audio", "image"):
            count = _count(given, f"{kind}_tokens")
            told += count
            from_cache = min(_count(cached, f"{kind}_tokens"), count)
            total += (count - from_cache) * getattr(self, f"{kind}_input")
            total += from_cache * getattr(self, f"cached_{kind}_input")
        total += max(0, usage.input_tokens - told) * self.text_input
        spoken = _count(made, "audio_tokens")
        total += spoken * self.audio_output + max(0, usage.output_tokens - spoken) * self.text_output
        return total / 1_000_000


def _limit(_: object, attribute: Any, value: float | None) -> None:
    if value is not None and not _is_above_zero(value):
        raise ConfigurationError(f"a budget's {attribute.name} is a number above 0, or None: not {value!r}")


def _is_above_zero(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _seconds(_: object, attribute: Any, value: object) -> None:
    if not _is_above_zero(value):
        raise ConfigurationError(f"a budget's {attribute.name} is a number of seconds above 0, not {value!r}")


def _words(_: object, attribute: Any, value: object) -> None:
    if value is not None and not isinstance(value, str):
        raise ConfigurationError(f"a budget's {attribute.name} is text, or None for not a word, not {value!r}")


def _share(_: object, __: object, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise ConfigurationError(f"a budget's warn_at is a share of the limit, above 0 and up to 1, not {value!r}")


def _prices(given: object) -> PriceTable | None:
    if given is None or isinstance(given, PriceTable):
        return given
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"a budget's prices are a PriceTable or a mapping of its fields, not {given!r}")
    check_names("a price table has no key", given, [attribute.name for attribute in fields(PriceTable)])
    return PriceTable(**given)


@frozen(kw_only=True)
class Budget:
    """What a session may use. Past a limit the agent says goodbye, and the session ends."""

    max_tokens: float | None = field(default=None, validator=_limit)
    """Tokens of all responses, input and output."""
    max_seconds: float | None = field(default=None, validator=_limit)
    """Seconds from when the session is connected."""
    max_cost: float | None = field(default=None, validator=_limit)
    """Cost by `prices`, in their currency."""
    prices: PriceTable | None = field(default=None, converter=_prices)
    warn_at: float = field(default=0.8, validator=_share)
    """The share of a limit at which `budget_warning` is told."""
    farewell: str | None = field(
        default="The time for this conversation is up. Say so in one short, friendly sentence, and say goodbye.",
        validator=_words,
    )
    """By which instructions the agent says goodbye; None: it is cut without a word."""
    grace_seconds: float = field(default=15.0, validator=_seconds)
    """Seconds that the goodbye may take."""

    def __attrs_post_init__(self) -> None:
        if self.max_cost is not None and self.prices is None:
            raise ConfigurationError("a budget's max_cost needs prices: give prices=PriceTable(...)")

    @classmethod
    def of(cls, given: Budget | Mapping[str, Any]) -> Budget:
        """Return a budget that is given as such or as a mapping of its fields; raise `ConfigurationError`."""
        if isinstance(given, Budget):
            return given
        if not isinstance(given, Mapping):
            raise ConfigurationError(f"a budget is a Budget or a mapping of its fields, not {type(given).__name__}")
        check_names("a budget has no key", given, [attribute.name for attribute in fields(cls)])
        return cls(**given)


def _count(details: Mapping[str, Any], key: str) -> int:
    value = details.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
