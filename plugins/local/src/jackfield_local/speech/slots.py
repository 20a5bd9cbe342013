"""The gaps in a phrase, as small grammars: `{city}`, `{number}`, `{date}`, `{time}`, `{code}` and more.

A `Rule` says which word sequences fill a gap and how the words are written down afterwards ("seven p.m." is "7 pm").
Whole phrases are `patterns`; what a tool makes of a filled gap is the responder's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from types import MappingProxyType

from attrs import frozen

from jackfield_local.speech import vocabulary
from jackfield_local.speech.spoken import (
    DIGITS,
    UNITS,
    number_words,
    ordinal_suffix,
    ordinal_words,
    parse_digits,
    parse_number,
    words,
)

Production = tuple["str | Rule", ...]


@frozen(eq=False)
class Rule:
    """A set of word sequences with a name; `repeat` lets productions follow one another any number of times."""

    name: str
    productions: tuple[Production, ...]
    render: Callable[[Sequence[str]], str]
    """Writes the words that filled the gap."""
    example: str
    repeat: bool = False

    def ends(self, spoken: Sequence[str], start: int) -> Iterator[int]:
        """Yield each index where this rule can end when it begins at `start` of `spoken`."""
        seen: set[int] = set()
        pending = [start]
        while pending:
            begin = pending.pop()
            for symbols in self.productions:
                for end in _ends(symbols, spoken, begin):
                    if end not in seen:
                        seen.add(end)
                        yield end
                        if self.repeat:
                            pending.append(end)


@frozen
class _Lexicon:
    written: Mapping[tuple[str, ...], str]

    def __call__(self, spoken: Sequence[str]) -> str:
        return self.written.get(tuple(spoken)) or " ".join(spoken)


def lexicon(name: str, entries: Iterable[str]) -> Rule:
    """Return the rule of just these `entries`, written as they are given; entries without a word are left out."""
    written = {spoken: entry for entry in entries if (spoken := tuple(words(entry)))}
    if not written:
        raise ValueError(f"the slot {name!r} has no words in it: give at least one entry that can be spoken")
    return Rule(name, tuple(written), _Lexicon(written), example=next(iter(written.values())))


@cache
def rules() -> Mapping[str, Rule]:
    """Return the built-in slots by name."""
    number = _number()
    count = Rule("count", tuple(tuple(number_words(value)) for value in range(1, 100)), _write_number, example="4")
    known = [
        number,
        count,
        _digits("digits"),
        _digits("phone", example="5550123"),
        Rule("code", ((_digits("digits"),), (number,)), _write_code, example="4217"),
        _reference(number),
        _time(),
        *_dates(),
        lexicon("city", ["Paris", *vocabulary.CITIES]),
        lexicon("country", ["France", *vocabulary.COUNTRIES]),
        lexicon("name", ["Alice", *vocabulary.FIRST_NAMES]),
        lexicon("colour", ["blue", *vocabulary.COLOURS]),
        lexicon("language", ["French", *vocabulary.LANGUAGES]),
        lexicon("food", ["pizza", *vocabulary.FOODS]),
        lexicon("weekday", ["Friday", *vocabulary.WEEKDAYS]),
        lexicon("month", ["May", *vocabulary.MONTHS]),
        _anything(),
    ]
    return MappingProxyType({rule.name: rule for rule in known})


def _ends(symbols: Production, spoken: Sequence[str], start: int) -> Iterator[int]:
    if not symbols:
        yield start
        return
    head, rest = symbols[0], symbols[1:]
    if isinstance(head, str):
        if start < len(spoken) and spoken[start] == head:
            yield from _ends(rest, spoken, start + 1)
        return
    for end in head.ends(spoken, start):
        yield from _ends(rest, spoken, end)


def _plain(spoken: Sequence[str]) -> str:
    return " ".join(spoken)


def _words_rule(name: str, productions: Iterable[Production]) -> Rule:
    return Rule(name, tuple(productions), _plain, example="")


def _write_number(spoken: Sequence[str]) -> str:
    value = parse_number(spoken)
    return str(value) if value is not None else _plain(spoken)


def _number() -> Rule:
    units = _words_rule("1-9", [(UNITS[value],) for value in range(1, 10)])
    small = _words_rule("1-99", [tuple(number_words(value)) for value in range(1, 100)])
    hundreds: list[Production] = [(units, "hundred"), (units, "hundred", small), (units, "hundred", "and", small)]
    low = _words_rule("1-999", [(small,), *hundreds])
    return Rule(
        "number",
        (
            ("zero",),
            (small,),
            *hundreds,
            (small, "thousand"),
            (small, "thousand", low),
            (small, "thousand", "and", small),
        ),
        _write_number,
        example="4",
    )


def _digits(name: str, example: str = "0042") -> Rule:
    return Rule(
        name,
        tuple((word,) for word in DIGITS if word != "o"),
        lambda spoken: parse_digits(spoken) or _plain(spoken),
        example=example,
        repeat=True,
    )


def _reference(number: Rule) -> Rule:
    letter = _words_rule("letter", [(chr(code),) for code in range(ord("a"), ord("z") + 1)])
    digits = _digits("digits")
    shapes = [(*letters, value) for letters in ((), (letter,), (letter, letter)) for value in (digits, number)]
    return Rule("reference", tuple(shapes), _write_code, example="A123")


def _write_code(spoken: Sequence[str]) -> str:
    letters = [word for word in spoken if len(word) == 1 and word not in DIGITS]
    rest = spoken[len(letters) :]
    value = parse_digits(rest) or _write_number(rest)
    return "".join(letters).upper() + value


_MINUTES = ["oh five", "ten", "fifteen", "twenty", "twenty five", "thirty", "thirty five", "forty", "forty five"]
_MINUTES += ["fifty", "fifty five"]


def _time() -> Rule:
    hour = _words_rule("hour", [(UNITS[value],) for value in range(1, 13)])
    minute = _words_rule("minute", [tuple(text.split()) for text in _MINUTES])
    day_parts = ["a.m.", "p.m.", "in the morning", "in the afternoon", "in the evening", "at night"]
    part = _words_rule("part of day", [tuple(text.split()) for text in day_parts])
    clock: list[Production] = [(hour,), (hour, "o'clock"), (hour, minute)]
    clock += [(*said.split(), hour) for said in ("half past", "quarter past", "quarter to", "ten past", "ten to")]
    return Rule(
        "time",
        (("noon",), ("midnight",), *clock, *((*symbols, part) for symbols in clock)),
        _write_time,
        example="7 pm",
    )


def _write_time(spoken: Sequence[str]) -> str:
    rest = [word.replace(".", "") if word in ("a.m.", "p.m.") else word for word in spoken if word != "o'clock"]
    if rest[0] not in UNITS or rest[1:2] in (["past"], ["to"]):
        return _plain(rest)
    hour = UNITS.index(rest.pop(0))
    taken = 0
    while taken < len(rest) and (rest[taken] == "oh" or parse_number(rest[taken : taken + 1]) is not None):
        taken += 1
    minutes = parse_number([word for word in rest[:taken] if word != "oh"])
    clock = f"{hour}:{minutes:02d}" if minutes is not None else str(hour)
    return _plain([clock, *rest[taken:]])


def _dates() -> list[Rule]:
    """Return the slots `day` (a day with a name), `date` (also a relative one) and `when` (as it ends a sentence)."""
    weekday = _words_rule("weekday", [(name.lower(),) for name in vocabulary.WEEKDAYS])
    month = _words_rule("month", [(name.lower(),) for name in vocabulary.MONTHS])
    ordinal = _words_rule("ordinal", [tuple(ordinal_words(value)) for value in range(1, 32)])
    part = _words_rule("part of day", [("morning",), ("afternoon",), ("evening",), ("night",)])
    named: list[Production] = [(weekday,), (weekday, part), (month, ordinal), ("the", ordinal, "of", month)]
    loose: list[Production] = [("next", weekday), ("tomorrow", part)]
    loose += [tuple(words(text)) for text in vocabulary.RELATIVE_DAYS]
    return [
        Rule("day", tuple(named), _write_date, example="Friday"),
        Rule("date", (*named, *loose), _write_date, example="Friday"),
        Rule("when", (*(("on", *day) for day in named), *loose), _write_date, example="tomorrow"),
    ]


def _write_date(spoken: Sequence[str]) -> str:
    names = {name.lower(): name for name in (*vocabulary.WEEKDAYS, *vocabulary.MONTHS)}
    ordinals = {tuple(ordinal_words(value)): value for value in range(1, 32)}
    written: list[str] = []
    index = 0
    while index < len(spoken):
        for size in (2, 1):
            value = ordinals.get(tuple(spoken[index : index + size]))
            if value is not None:
                written.append(f"{value}{ordinal_suffix(value)}")
                index += size
                break
        else:
            written.append(names.get(spoken[index], spoken[index]))
            index += 1
    return " ".join(written)


def _anything() -> Rule:
    nouns = lexicon(
        "noun",
        [
            *vocabulary.THINGS,
            *vocabulary.FOODS,
            *vocabulary.CITIES,
            *vocabulary.COUNTRIES,
            *vocabulary.FIRST_NAMES,
            *vocabulary.COLOURS,
        ],
    )
    shapes = ((nouns,), ("some", nouns))
    return Rule("anything", shapes, _write_anything(nouns), example="music")


def _write_anything(nouns: Rule) -> Callable[[Sequence[str]], str]:
    def write(spoken: Sequence[str]) -> str:
        if tuple(spoken) in nouns.productions:
            return nouns.render(spoken)
        return " ".join([*spoken[:1], nouns.render(spoken[1:])]) if spoken else ""

    return write
