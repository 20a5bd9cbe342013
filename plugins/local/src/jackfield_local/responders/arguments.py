"""Fills a tool's parameters from what was said.

Each parameter has a kind (`toolbox`); kinds that are easy to tell are looked for first, and what one parameter has
taken is not seen by the next. Free text comes last and takes what is left. Values always satisfy the schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import define, frozen
from rapidfuzz import fuzz

from jackfield_local.responders.matching import says
from jackfield_local.responders.thesaurus import word_set
from jackfield_local.responders.toolbox import Parameter, Tool, name_words
from jackfield_local.speech.slots import Rule, lexicon, rules
from jackfield_local.speech.spoken import aligned, parse_number, words

MISSING = object()
"""No value was found."""

_ORDER = ("choice", "boolean", "phone", "reference", "code", "time", "date", "weekday", "month")
_NOUNS = ("country", "city", "language", "colour", "name", "food")

_PREPOSITIONS = word_set("in at for to from on about of near around by with under called named until through")
_CUES: Mapping[str, tuple[str, ...]] = {
    "origin": ("from",),
    "source": ("from",),
    "departure": ("from",),
    "from": ("from",),
    "start": ("from",),
    "destination": ("to",),
    "arrival": ("to",),
    "to": ("to",),
    "target": ("to", "into"),
    "end": ("to", "until"),
    "recipient": ("to",),
}
_KIND_CUES: Mapping[str, tuple[str, ...]] = {
    "city": ("in", "for", "near", "at", "to", "from", "around", "of"),
    "country": ("in", "for", "of", "to", "from"),
    "name": ("for", "to", "with", "under", "called", "named", "is", "name", "by"),
    "time": ("at", "by", "around", "from", "until", "for"),
    "number": ("for", "to", "of", "with"),
    "language": ("in", "into", "to"),
}
_LEFT_OVER = word_set(
    "please thanks thank today tomorrow tonight now again there here the a an my your some and or in at for to from on"
    " about of near around by with without extra me us it is like right morning afternoon evening moment"
)
_AMBIGUOUS_CITIES = frozenset({"nice", "bath", "cork", "essen", "york", "basel"})
_YES = word_set("yes yeah yep sure okay ok true correct right definitely")
_NO = word_set("no nope not false never without don't none")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:[.,]\d+)*(?![\w.]*\w)")
_CODE = re.compile(r"#?(?=[\w-]*\d)[A-Za-z0-9][\w-]*")
_NOT_A_CODE = re.compile(r"\d+(?:st|nd|rd|th|am|pm)|\d{1,2}:\d\d(?:am|pm)?", re.IGNORECASE)
_SAME_WORD = 86.0
_ROUGH_NUMBERS = {"couple": 2, "dozen": 12, "half": 0.5}


def fill(tool: Tool, text: str) -> dict[str, Any]:
    """Return the arguments for `tool` that `text` gives, by parameter name."""
    heard = _Heard.of(text)
    given: dict[str, Any] = {}
    for parameter in sorted(tool.parameters, key=_turn):
        value = _find(parameter, heard, tool)
        if value is not MISSING:
            given[parameter.name] = value
    return {parameter.name: given[parameter.name] for parameter in tool.parameters if parameter.name in given}


def answer(parameter: Parameter, text: str) -> Any:
    """Return the value that `text` gives as the answer to a question for `parameter`, or `MISSING`."""
    heard = _Heard.of(text)
    if parameter.kind == "boolean":
        said = set(heard.words)
        if said & _NO:
            return False
        return True if said & _YES else MISSING
    value = _find(parameter, heard, None, asked=True)
    if value is MISSING and parameter.schema.get("type", "string") == "string" and not parameter.choices:
        value = _accepted(parameter, _trimmed(heard.parts))
    return value


def invented(parameter: Parameter) -> Any:
    """Return some value that the schema allows, for a call that must be made whatever was said; or `MISSING`."""
    schema = parameter.schema
    candidates: list[Any] = [schema["default"]] if "default" in schema else []
    candidates += [*parameter.choices, *parameter.examples]
    if parameter.nullable:
        candidates.append(None)
    slot = rules().get(parameter.kind)
    match schema.get("type", "string"):
        case "string":
            candidates += [slot.example if slot else "unknown", "unknown", "a" * int(schema.get("minLength") or 1)]
        case "boolean":
            candidates.append(False)
        case "array":
            candidates.append([])
        case "object":
            candidates.append({})
        case _:
            bounds = (schema.get(key) for key in ("minimum", "maximum", "multipleOf"))
            candidates += [1, 0, *(bound for bound in bounds if bound is not None)]
    return next((value for value in candidates if value is None or parameter.accepts(value)), MISSING)


@define
class _Heard:
    """An utterance that is being used up: its words, where each stands in the text, and which are taken."""

    parts: list[str]
    words: list[str]
    where: list[int]
    taken: list[bool]

    @classmethod
    def of(cls, text: str) -> _Heard:
        pairs = aligned(text)
        return cls(text.split(), [word for word, _ in pairs], [index for _, index in pairs], [False] * len(pairs))

    def before(self, index: int) -> str:
        return self.words[index - 1] if index else ""

    def take(self, start: int, end: int) -> None:
        self.taken[start:end] = [True] * (end - start)

    def free(self, start: int, end: int) -> bool:
        return not any(self.taken[start:end])


@frozen
class _Found:
    start: int
    end: int
    value: Any
    weight: float


def _turn(parameter: Parameter) -> tuple[int, int]:
    """Sort what is easily told first, and of one kind those that have a cue of their own."""
    kinds = (*_ORDER, "number", *_NOUNS)
    place = kinds.index(parameter.kind) if parameter.kind in kinds else len(kinds)
    return place, 0 if _own_cues(parameter) else 1


def _find(parameter: Parameter, heard: _Heard, tool: Tool | None, *, asked: bool = False) -> Any:
    candidates = [
        candidate
        for candidate in _candidates(parameter, heard, tool, asked=asked)
        if heard.free(candidate.start, candidate.end) and parameter.accepts(candidate.value)
    ]
    if not candidates:
        return MISSING
    best = max(candidates, key=lambda candidate: (candidate.weight, candidate.end - candidate.start, -candidate.start))
    heard.take(best.start, best.end)
    return best.value


def _candidates(parameter: Parameter, heard: _Heard, tool: Tool | None, *, asked: bool) -> Iterator[_Found]:
    kind = parameter.kind
    if kind == "choice":
        yield from _choices(parameter, heard)
    elif kind == "boolean":
        yield from _booleans(parameter, heard)
    elif kind == "number":
        yield from _numbers(parameter, heard, asked=asked)
    elif kind in ("code", "reference", "phone"):
        yield from _codes(parameter, heard, asked=asked)
    elif kind in ("time", "date", "weekday", "month"):
        yield from _calendar(parameter, heard, asked=asked)
    elif kind in _NOUNS:
        yield from _nouns(parameter, heard, asked=asked)
    elif kind == "list":
        yield from _lists(parameter, heard, tool, asked=asked)
    elif kind == "anything":
        yield from _free_text(parameter, heard, tool)


def _choices(parameter: Parameter, heard: _Heard) -> Iterator[_Found]:
    for choice in parameter.choices:
        spoken = words(str(choice).replace("_", " "))
        if not spoken:
            continue
        for start in range(len(heard.words) - len(spoken) + 1):
            if heard.words[start : start + len(spoken)] == spoken:
                yield _Found(start, start + len(spoken), choice, 2.0)
        if len(spoken) == 1:
            for start, word in enumerate(heard.words):
                if says([word], spoken[0]):
                    yield _Found(start, start + 1, choice, 1.0)


def _booleans(parameter: Parameter, heard: _Heard) -> Iterator[_Found]:
    wanted = [word for word in name_words(parameter.name) if word not in ("is", "has", "with", "include", "want")]
    for start, word in enumerate(heard.words):
        if any(says([word], name) for name in wanted):
            no = bool(set(heard.words[max(0, start - 3) : start]) & _NO)
            yield _Found(start, start + 1, not no, 1.0)


def _numbers(parameter: Parameter, heard: _Heard, *, asked: bool) -> Iterator[_Found]:
    whole = parameter.schema.get("type") == "integer"
    for start in range(len(heard.words)):
        negative = heard.before(start) in ("minus", "negative")
        for end in range(len(heard.words), start, -1):
            value: float | int | None = parse_number(heard.words[start:end])
            if value is None and end == start + 1:
                value = _ROUGH_NUMBERS.get(heard.words[start])
            if value is not None:
                yield _Found(start, end, -value if negative else value, _weight(parameter, heard, start, end) + asked)
                break
    for index, part in enumerate(heard.parts):
        # Decimals, and numbers too long to be said whole, are read from the text.
        written = _NUMBER.search(part.strip(".,;:?!"))
        span = [position for position, where in enumerate(heard.where) if where == index]
        if written is None or not span:
            continue
        digits = written.group().replace(",", "")
        if digits.count(".") > 1 or len(digits) > 15:
            continue
        number = float(digits) if "." in digits else int(digits)
        if whole and isinstance(number, float) and number.is_integer():
            number = int(number)
        weight = _weight(parameter, heard, span[0], span[-1] + 1) + 0.5
        yield _Found(span[0], span[-1] + 1, number, weight + asked)


def _codes(parameter: Parameter, heard: _Heard, *, asked: bool) -> Iterator[_Found]:
    integer = parameter.schema.get("type") in ("integer", "number")
    names = {"number", "code", "id", "is", "reference", *name_words(parameter.name)}
    slot = rules()["code"]
    for index, part in enumerate(heard.parts):
        plain = part.strip(".,;:?!\"'()")
        span = [position for position, where in enumerate(heard.where) if where == index]
        if span and _CODE.fullmatch(plain) and not _NOT_A_CODE.fullmatch(plain):
            cued = heard.before(span[0]) in names
            # Digits one by one are several parts: the spoken reading below takes them together.
            if len(plain) > 1:
                yield from _code(plain.lstrip("#"), span[0], span[-1] + 1, 2.0 + cued, integer=integer)
    for start in range(len(heard.words)):
        cued = heard.before(start) in names
        rule = rules()["reference"] if (cued or asked) and not integer else slot
        end = max(rule.ends(heard.words, start), default=start)
        if end > start and (cued or asked or end - start > 2):
            yield from _code(rule.render(heard.words[start:end]), start, end, 1.0 + cued, integer=integer)


def _code(value: str, start: int, end: int, weight: float, *, integer: bool) -> Iterator[_Found]:
    if not integer:
        yield _Found(start, end, value, weight + 0.01 * (end - start))
    elif value.isdecimal() and len(value) <= 15:
        yield _Found(start, end, int(value), weight + 0.01 * (end - start))


def _calendar(parameter: Parameter, heard: _Heard, *, asked: bool) -> Iterator[_Found]:
    rule = rules()[parameter.kind]
    bare = {word for word in heard.words if parse_number([word]) is not None}
    for start in range(len(heard.words)):
        for end in rule.ends(heard.words, start):
            # "Seven" alone is a time only after "at"; with anything more it is one.
            doubtful = parameter.kind == "time" and end == start + 1 and heard.words[start] in bare
            if doubtful and not asked and heard.before(start) not in ("at", "by", "around", "until"):
                continue
            yield _Found(start, end, rule.render(heard.words[start:end]), _weight(parameter, heard, start, end))


def _nouns(parameter: Parameter, heard: _Heard, *, asked: bool) -> Iterator[_Found]:
    rule = _with_examples(parameter, rules()[parameter.kind])
    cues = _own_cues(parameter)
    for start in range(len(heard.words)):
        end = max(rule.ends(heard.words, start), default=start)
        if end == start:
            continue
        cued = heard.before(start) in _KIND_CUES.get(parameter.kind, ())
        if cues and not asked and heard.before(start) not in cues and parameter.kind in ("city", "country"):
            continue  # "from A to B": what another parameter's preposition announces isn't this one's
        if " ".join(heard.words[start:end]) in _AMBIGUOUS_CITIES and not (cued or asked):
            continue
        value = rule.render(heard.words[start:end])
        if parameter.kind == "name":
            value, end = _surname(value, heard, end)
        yield _Found(start, end, value, 2.0 + _weight(parameter, heard, start, end))
    if parameter.kind not in ("colour", "food"):
        yield from _after_preposition(parameter, heard, cues or _KIND_CUES.get(parameter.kind, ()))


def _with_examples(parameter: Parameter, rule: Rule) -> Rule:
    if not parameter.examples:
        return rule
    own = lexicon("examples", [*parameter.examples, rule.example])
    known = {**dict.fromkeys(rule.productions), **dict.fromkeys(own.productions)}
    return Rule(
        rule.name,
        tuple(known),
        lambda said: own.render(said) if said in own.productions else rule.render(said),
        rule.example,
    )


def _surname(first: str, heard: _Heard, end: int) -> tuple[str, int]:
    if end < len(heard.words) and not heard.taken[end] and heard.where[end] != heard.where[end - 1]:
        part = heard.parts[heard.where[end]].strip(".,;:?!")
        if part[:1].isupper() and part[1:].islower():
            return f"{first} {part}", end + 1
    return first, end


def _after_preposition(parameter: Parameter, heard: _Heard, cues: Sequence[str]) -> Iterator[_Found]:
    """Yield what follows a preposition, up to the next one: places and names that no list has."""
    for start in range(1, len(heard.words)):
        if heard.before(start) not in cues:
            continue
        end = start
        while end < len(heard.words) and not heard.taken[end] and heard.words[end] not in _LEFT_OVER:
            end += 1
        if end > start:
            value = _text_between(heard, start, end)
            if value:
                yield _Found(start, end, value, 0.5 + _weight(parameter, heard, start, end) / 4)


def _lists(parameter: Parameter, heard: _Heard, tool: Tool | None, *, asked: bool) -> Iterator[_Found]:
    items = parameter.schema.get("items")
    if not isinstance(items, Mapping) or items.get("type") not in ("string", "integer", "number"):
        return
    enum = items.get("enum")
    if isinstance(enum, Sequence) and not isinstance(enum, str):
        one = Parameter(parameter.name, items, "choice", True, False, tuple(enum))
        found = list(_choices(one, heard))
    elif items["type"] == "string":
        one = Parameter(parameter.name, items, "anything", True, False)
        found = list(_free_text(one, heard, tool))
    else:
        one = Parameter(parameter.name, items, "number", True, False)
        found = list(_numbers(one, heard, asked=asked))
    for item in found:
        if items["type"] == "string" and not enum:
            values = [part.strip() for part in re.split(r",|\band\b", str(item.value)) if part.strip()]
        else:
            values = list(dict.fromkeys(other.value for other in sorted(found, key=lambda other: other.start)))
        yield _Found(item.start, item.end, values, item.weight)


def _free_text(parameter: Parameter, heard: _Heard, tool: Tool | None) -> Iterator[_Found]:
    """Yield what is left after the words that named the tool, without the politeness around it."""
    for example in parameter.examples:
        spoken = words(example)
        for start in range(len(heard.words) - len(spoken) + 1):
            if spoken and heard.words[start : start + len(spoken)] == spoken:
                yield _Found(start, start + len(spoken), example, 3.0)
    named = [word for part in (tool.words if tool else []) for word in part.split()]
    # The tool's own words name it; others of their family ("play jazz" for `play_music`) may be what is wanted.
    ends = [i + 1 for i, word in enumerate(heard.words) if any(fuzz.ratio(word, name) > _SAME_WORD for name in named)]
    if tool is not None and not ends:
        return
    start = max(ends, default=0)
    own = [i + 1 for i, word in enumerate(heard.words) if word in name_words(parameter.name) and i >= start]
    start = own[0] if own else start
    while start < len(heard.words) and (heard.taken[start] or heard.words[start] in _LEFT_OVER | {"that", "saying"}):
        start += 1
    end = start
    while end < len(heard.words) and not heard.taken[end]:
        end += 1
    while end > start and heard.words[end - 1] in ("please", "thanks", "and", "for", "to", "in", "at", "on", "with"):
        end -= 1
    if end > start and (value := _text_between(heard, start, end)):
        yield _Found(start, end, value, 1.0)


def _text_between(heard: _Heard, start: int, end: int) -> str:
    indexes = sorted({heard.where[position] for position in range(start, end)})
    return " ".join(heard.parts[index] for index in indexes).strip(" .,;:?!\"'")


def _trimmed(parts: Sequence[str]) -> str:
    kept = list(parts)
    plain = [" ".join(words(part)) for part in kept]
    lead = {"it's", "its", "it", "is", "the", "a", "my", "um", "uh", "please", "i", "mean", *_PREPOSITIONS}
    start = 0
    while start < len(kept) - 1 and plain[start] in lead:
        start += 1
    end = len(kept)
    while end > start + 1 and plain[end - 1] in ("please", "thanks", ""):
        end -= 1
    return " ".join(kept[start:end]).strip(" .,;:?!\"'")


def _accepted(parameter: Parameter, value: str) -> Any:
    return value if value and parameter.accepts(value) else MISSING


def _own_cues(parameter: Parameter) -> tuple[str, ...]:
    return tuple(cue for word in name_words(parameter.name) for cue in _CUES.get(word, ()))


def _weight(parameter: Parameter, heard: _Heard, start: int, end: int) -> float:
    """Return how much the neighbours speak for these words: a cue before them, the parameter's name beside them."""
    near = {heard.before(start), heard.words[end] if end < len(heard.words) else ""}
    weight = 0.0
    if heard.before(start) in (_own_cues(parameter) or _KIND_CUES.get(parameter.kind, ())):
        weight += 1.0
    if any(word and says([word], name) for word in near for name in name_words(parameter.name)):
        weight += 2.0
    return weight
