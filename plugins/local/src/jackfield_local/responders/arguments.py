"""From what was said to a tool's arguments, by each parameter's name, type, choices and description.

Every value fits its schema's type and choices, or there is none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen
from rapidfuzz import fuzz, process

from jackfield_local.speech.patterns import gap
from jackfield_local.speech.slots import rules
from jackfield_local.speech.spoken import words

__all__ = ["Parameter", "fill", "parameters_of"]

_SLOT_BY_NAME = (
    (("city", "town", "location", "destination", "origin"), "city"),
    (("country",), "country"),
    (("date", "day", "when"), "date"),
    (("time", "hour"), "time"),
    (("weekday",), "weekday"),
    (("month",), "month"),
    (("phone",), "phone"),
    (("id", "code", "reference"), "code"),
    (("people", "guests", "persons", "count", "quantity", "size", "number", "amount"), "number"),
    (("name", "person", "customer"), "name"),
    (("colour", "color"), "colour"),
    (("language",), "language"),
    (("food", "dish", "meal"), "food"),
)
_PREPOSITION_BY_SLOT = {"city": "in", "country": "in", "time": "at", "name": "for"}
_NEGATIONS = frozenset({"no", "not", "off", "without", "don't", "never"})
_EXAMPLES = re.compile(r"\b(?:such as|like|e\.g\.|for example|one of|either)\b:?\s+(?P<list>[^.;()]+)", re.IGNORECASE)


@frozen
class Parameter:
    """One parameter of a tool: its JSON type, the words it may be, and the slot that its words fill."""

    name: str
    kind: str
    required: bool
    choices: tuple[Any, ...]
    examples: tuple[str, ...]
    slot: str | None

    def gap(self) -> str:
        """Return the parameter as a gap in a phrase."""
        if self.choices:
            return gap([str(choice) for choice in self.choices])
        if self.kind in {"integer", "number"}:
            return "{number}" if self.slot != "count" else "{count}"
        if self.slot:
            return "{" + self.slot + "}"
        return gap(self.examples) if self.examples else "{anything}"

    def asked(self) -> str:
        """Return how its value is told in a sentence: "in {city}", "at {time}", "{when}"."""
        if self.slot == "date":
            return "{when}"
        if self.slot in {"code", "phone"}:
            return self.gap()
        if self.kind in {"integer", "number"}:
            return f"for {self.gap()} {self.name.replace('_', ' ')}"
        preposition = _PREPOSITION_BY_SLOT.get(self.slot or "", "of the" if self.examples else "for")
        return f"{preposition} {self.gap()}"

    def question(self) -> str:
        """Return how to ask for it."""
        return f"Which {self.name.replace('_', ' ')}, please?"


def parameters_of(tool: Mapping[str, Any]) -> list[Parameter]:
    """Return the parameters of a function tool in the order in which it declares them; odd schemas have none."""
    schema = tool.get("parameters")
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    if not isinstance(schema, Mapping) or not isinstance(properties, Mapping):
        return []
    required = schema.get("required")
    needed = set(required) if isinstance(required, list) and all(isinstance(name, str) for name in required) else set()
    return [
        _parameter(name, declared, name in needed)
        for name, declared in properties.items()
        if isinstance(name, str) and isinstance(declared, Mapping)
    ]


def fill(parameters: Sequence[Parameter], text: str, *, topic: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return the arguments that `text` gives. `topic` are the words that name the tool: they are no argument."""
    spoken = words(text)
    taken: set[int] = set()
    found: dict[str, Any] = {}
    # What has a grammar of its own comes first, so that a free text gets what is left.
    for parameter in sorted(parameters, key=_freedom):
        value = _value(parameter, spoken, taken, topic)
        if value is not None:
            found[parameter.name] = value
    return {parameter.name: found[parameter.name] for parameter in parameters if parameter.name in found}


def _parameter(name: str, declared: Mapping[str, Any], required: bool) -> Parameter:
    kind = declared.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "string")
    choices = declared.get("enum")
    described = declared.get("description")
    examples = _EXAMPLES.search(described) if isinstance(described, str) else None
    listed = re.split(r",\s*(?:or\s+|and\s+)?|\s+or\s+|\s+and\s+", examples["list"].strip()) if examples else []
    parts = set(re.split(r"[_\W]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()))
    slot = next((slot for names, slot in _SLOT_BY_NAME if parts & set(names)), None)
    if examples and slot is None:
        listed = [example.removeprefix("a ").removeprefix("the ") for example in listed if words(example)]
    return Parameter(
        name=name,
        kind=kind if isinstance(kind, str) else "string",
        required=required,
        choices=tuple(choices) if isinstance(choices, list) else (),
        examples=tuple(listed),
        slot=slot,
    )


def _freedom(parameter: Parameter) -> int:
    return 0 if parameter.choices else 1 if parameter.slot else 2 if parameter.kind != "string" else 3


def _value(parameter: Parameter, spoken: Sequence[str], taken: set[int], topic: frozenset[str]) -> Any:
    if parameter.choices:
        return _choice(parameter.choices, spoken)
    match parameter.kind:
        case "boolean":
            return not _NEGATIONS & set(spoken)
        case "integer" | "number":
            number = _slot("number", spoken, taken)
            return int(number) if number is not None and number.isdecimal() else None
        case "string":
            if parameter.slot is not None:
                named = _slot(parameter.slot, spoken, taken)
                if named is not None:
                    return named
            return _free_text(parameter, spoken, taken, topic)
    return None  # arrays and objects are more than an utterance tells


def _choice(choices: Sequence[Any], spoken: Sequence[str]) -> Any:
    said = " ".join(spoken)
    by_words = {" ".join(words(str(choice))): choice for choice in choices}
    best = process.extractOne(said, [key for key in by_words if key], scorer=fuzz.token_set_ratio, score_cutoff=90)
    return None if best is None else by_words[best[0]]


def _slot(name: str, spoken: Sequence[str], taken: set[int]) -> str | None:
    """Return what fills the slot, the longest first, and mark its words as taken."""
    rule = rules()[name]
    best: tuple[int, int] | None = None
    for start in range(len(spoken)):
        for end in rule.ends(spoken, start):
            if end > start and not taken & set(range(start, end)) and (best is None or end - start > best[1] - best[0]):
                best = (start, end)
    if best is None:
        return None
    taken |= set(range(*best))
    return rule.render(spoken[slice(*best)])


def _free_text(parameter: Parameter, spoken: Sequence[str], taken: set[int], topic: frozenset[str]) -> str | None:
    if parameter.examples:
        chosen = _choice(parameter.examples, spoken)
        if chosen is not None:
            return str(chosen)
    after = {"in", "at", "for", "of", "about", "to", "named", "called", "on"}
    starts = [index + 1 for index, word in enumerate(spoken) if word in after and index + 1 not in taken]
    for start in reversed(starts):
        rest = []
        for index in range(start, len(spoken)):
            if index in taken:
                break
            rest.append(spoken[index])
        rest = [word for word in rest if word not in {"please", "the", "my", "a"}]
        if rest and not set(rest) <= topic:
            return " ".join(rest)
    return None
