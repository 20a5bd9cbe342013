"""Phrases with gaps: what a responder hands to a recogniser as the utterances that it can act on.

A phrase is plain text in which

- `{city}` is a gap for one of the built-in slots (`slots.rules()`); an unknown name takes `{anything}`;
- `{small|medium|large}` is a gap for one of the words given;
- `[please]` may be left out, and so may `[can you|could you]`, of which only one is said.

Braces and brackets that don't pair are ordinary punctuation: no text is a mistake.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from attrs import frozen

from jackfield_local.speech.slots import Rule, lexicon, rules
from jackfield_local.speech.spoken import words

MAX_VARIANTS = 64
"""How many ways of leaving out optional parts are told apart; beyond it, further optional parts are dropped."""

_PUNCTUATION = "{}[]|"
_BAR = re.compile(r"\|(?![^{]*\})")


@frozen
class Token:
    """A piece of a phrase: `symbol` is what is heard (words, a gap, or nothing), `text` how it is written."""

    text: str
    symbol: tuple[str, ...] | Rule
    glued: bool = False
    """Written with no space before it."""


Variant = tuple[Token, ...]


@frozen
class Pattern:
    """A parsed phrase: each way to say it, with and without its optional parts."""

    source: str
    variants: tuple[Variant, ...]

    def match(self, spoken: Sequence[str]) -> str | None:
        """Return `spoken` as this phrase writes it, or None where the phrase is not what was said."""
        for variant in self.variants:
            texts = next(_match(variant, spoken, 0), None)
            if texts is not None:
                return _written(variant, texts)
        return None


@lru_cache(maxsize=4096)
def parse(phrase: str) -> Pattern:
    """Return `phrase` as a pattern. Never fails: see the module's text."""
    variants: list[Variant] = [()]
    for piece, optional in _pieces(phrase):
        choices = [_tokens(choice) for choice in (_BAR.split(piece) if optional else [piece])]
        if optional:
            choices.append(())
        if len(variants) * len(choices) > MAX_VARIANTS:
            choices = choices[-1:]
        variants = [(*variant, *tokens) for variant in variants for tokens in choices]
    return Pattern(phrase, tuple(dict.fromkeys(variants)))


def plain(phrase: str) -> str:
    """Return `phrase` as one sentence that someone could say: gaps filled with an example, optional parts left out."""
    shortest = min(parse(phrase).variants, key=len)
    return _written(shortest, [_example(token) for token in shortest])


def escape(text: str) -> str:
    """Return `text` with no gaps and no optional parts, for text that someone else wrote."""
    return text.translate(str.maketrans(_PUNCTUATION, " " * len(_PUNCTUATION)))


def gap(choices: Sequence[str]) -> str:
    """Return the gap for one of `choices`, or "{anything}" where none can be spoken."""
    named = [escape(choice).strip() for choice in choices]
    usable = [choice for choice in named if words(choice)]
    # A lone choice still needs the bar: without it, it would be read as the name of a slot.
    return "{" + "|".join(usable) + ("|" if len(usable) == 1 else "") + "}" if usable else "{anything}"


def _pieces(phrase: str) -> Iterator[tuple[str, bool]]:
    """Split into (text, may be left out)."""
    index = 0
    for part in re.finditer(r"\[([^\[\]]*)\]", phrase):
        yield phrase[index : part.start()], False
        yield part.group(1), True
        index = part.end()
    yield phrase[index:], False


def _tokens(piece: str) -> Variant:
    tokens: list[Token] = []
    index = 0
    for part in re.finditer(r"\{([^{}]+)\}", piece):
        tokens += _literals(piece[index : part.start()], follows_gap=index > 0)
        glued = part.start() > 0 and not piece[part.start() - 1].isspace()
        tokens.append(Token("", _rule(part.group(1), rules()), glued))
        index = part.end()
    tokens += _literals(piece[index:], follows_gap=index > 0)
    return tuple(tokens)


def _literals(text: str, *, follows_gap: bool) -> list[Token]:
    text = text.translate(str.maketrans("", "", _PUNCTUATION))
    touches_gap = follows_gap and text[:1].strip() != ""
    return [
        Token(part, tuple(words(part)), glued=part[0] in ",.;:?!" or (touches_gap and position == 0))
        for position, part in enumerate(text.split())
    ]


def _rule(inside: str, known: Mapping[str, Rule]) -> Rule:
    if "|" not in inside:
        return known.get(inside.strip(), known["anything"])
    return _choice(tuple(part.strip() for part in inside.split("|")))


@lru_cache(maxsize=1024)
def _choice(entries: tuple[str, ...]) -> Rule:
    try:
        return lexicon("choice", entries)
    except ValueError:  # nothing that can be spoken
        return rules()["anything"]


def _match(tokens: Variant, spoken: Sequence[str], start: int) -> Iterator[list[str]]:
    if not tokens:
        if start == len(spoken):
            yield []
        return
    head, rest = tokens[0], tokens[1:]
    if isinstance(head.symbol, Rule):
        for end in head.symbol.ends(spoken, start):
            for texts in _match(rest, spoken, end):
                yield [head.symbol.render(spoken[start:end]), *texts]
        return
    end = start + len(head.symbol)
    if tuple(spoken[start:end]) == head.symbol:
        for texts in _match(rest, spoken, end):
            yield [head.text, *texts]


def _written(variant: Variant, texts: Sequence[str]) -> str:
    text = "".join(
        ("" if token.glued or not position else " ") + part
        for position, (token, part) in enumerate(zip(variant, texts, strict=True))
    ).strip()
    return text[:1].upper() + text[1:]


def _example(token: Token) -> str:
    return token.symbol.example if isinstance(token.symbol, Rule) else token.text
