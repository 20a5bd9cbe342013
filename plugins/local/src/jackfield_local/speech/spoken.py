"""Text as it is spoken: words, numbers in words, and back.

`words("Order 42, please!")` is `["order", "forty", "two", "please"]`. Grammars, pronunciations and comparisons all work
on such words; nothing here knows of audio or tools.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

# fmt: off
UNITS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)
TENS = ("zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
ORDINALS = (
    "zeroth", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
    "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth",
    "nineteenth",
)
# fmt: on
DIGITS = {word: str(value) for value, word in enumerate(UNITS[:10])} | {"oh": "0", "o": "0"}

_VALUES = {word: value for value, word in enumerate(UNITS)} | {
    word: 10 * value for value, word in enumerate(TENS) if value > 1
}
_SCALES = {"thousand": 1_000, "million": 1_000_000}
_ORDINAL_TENS = {20: "twentieth", 30: "thirtieth"}
_NUMBER_WORDS = frozenset(_VALUES) | frozenset(_SCALES) | {"hundred"}
_MAX_SAID_WHOLE = 999_999

_TOKEN = re.compile(r"\d+(?:st|nd|rd|th)\b|\d+|[ap]\.m\.|[^\W\d_]+(?:'[^\W\d_]+)*")
_MERIDIEM = re.compile(r"(?<=\d)\s*([ap])\.?\s?m\b\.?")


def words(text: str) -> list[str]:
    """Return the words that are heard when `text` is read: lower case, no punctuation, numbers spelled out."""
    plain = unicodedata.normalize("NFKD", text.replace("\u2019", "'").replace("&", " and "))
    plain = "".join(char for char in plain if not unicodedata.combining(char)).casefold()
    plain = _MERIDIEM.sub(r" \1.m. ", plain)
    found: list[str] = []
    for part in _TOKEN.findall(plain):
        if part[:-2].isdecimal() and part[-2:].isalpha():
            found += ordinal_words(int(part[:-2]))
        elif part.isdecimal():
            found += _digit_words(part) if part.startswith("0") and len(part) > 1 else number_words(int(part))
        elif part == "pm" or (part == "am" and _tells_time(found)):
            found.append(f"{part[0]}.m.")
        else:
            found.append(part)
    return found


def aligned(text: str) -> list[tuple[str, int]]:
    """Return the words of `text`, each with the index of the part (`text.split()`) that it is heard in."""
    found: list[tuple[str, int]] = []
    for index, part in enumerate(text.split()):
        for word in words(part):
            heard = "a.m." if word == "am" and _tells_time([before for before, _ in found]) else word
            found.append((heard, index))
    return found


def number_words(value: int) -> list[str]:
    """Return 0 to 999,999 in words, as American English reads it; larger ones digit by digit."""
    if value > _MAX_SAID_WHOLE:
        return _digit_words(str(value))
    if value < 20:
        return [UNITS[value]]
    if value < 100:
        tens, unit = divmod(value, 10)
        return [TENS[tens]] + ([UNITS[unit]] if unit else [])
    size, name = (1000, "thousand") if value >= 1000 else (100, "hundred")
    high, low = divmod(value, size)
    return [*number_words(high), name] + (number_words(low) if low else [])


def ordinal_words(value: int) -> list[str]:
    """Return 1 to 39 as an ordinal in words: 21 is `["twenty", "first"]`; others as cardinals."""
    if not 0 < value < 40:
        return number_words(value)
    if value in _ORDINAL_TENS:
        return [_ORDINAL_TENS[value]]
    if value < 20:
        return [ORDINALS[value]]
    tens, unit = divmod(value, 10)
    return [TENS[tens], ORDINALS[unit]]


def ordinal_suffix(value: int) -> str:
    """Return "st", "nd", "rd" or "th" for an ordinal written in digits."""
    if value % 100 in (11, 12, 13):
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")


def is_number_word(word: str) -> bool:
    """Tell whether `word` is a part of a cardinal number in words."""
    return word in _NUMBER_WORDS


def parse_number(spoken: Sequence[str]) -> int | None:
    """Return the cardinal that `spoken` says in whole, or None: ["forty", "two"] is 42, ["forty", "forty"] None."""
    total, group, room = 0, 0, 1_000
    last_scale = 10**9
    for word in spoken:
        if word in _SCALES:
            if not group or _SCALES[word] >= last_scale:
                return None
            last_scale = _SCALES[word]
            total, group, room = total + group * last_scale, 0, 1_000
        elif word == "hundred":
            if not 0 < group < 20 or room > 1_000:
                return None
            group, room = group * 100, 100
        elif word == "and":
            if not group and not total:
                return None
        elif (value := _VALUES.get(word)) is not None:
            if value >= room:
                return None
            group += value
            room = 10 if value >= 20 else 0
        else:
            return None
    if not spoken or spoken[-1] == "and":
        return None
    return total + group


def parse_digits(spoken: Sequence[str]) -> str | None:
    """Return the digits that `spoken` names one by one, or None: ["four", "oh", "two"] is "402"."""
    if not spoken or any(word not in DIGITS for word in spoken):
        return None
    return "".join(DIGITS[word] for word in spoken)


def _digit_words(digits: str) -> list[str]:
    return [UNITS[int(digit)] for digit in digits]


def _tells_time(before: Sequence[str]) -> bool:
    return bool(before) and (is_number_word(before[-1]) or before[-1] == "o'clock")
