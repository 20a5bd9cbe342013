"""A session's tools, as far as a rule can understand them: names in words, parameters, and the kind of each.

The wire's JSON schemas come in, `Tool` records go out. Matching them to speech is `matching` and `arguments`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from jackfield_local.responders.thesaurus import GENERIC, content_words
from jackfield_local.speech.slots import rules
from jackfield_local.speech.spoken import words

Schema = Mapping[str, Any]


@frozen
class Parameter:
    """A parameter of a tool; `kind` is a slot's name (`speech.slots`), "choice", "boolean", "list" or "object"."""

    name: str
    schema: Schema = field(eq=False)
    """The schema of a value, with a "null" alternative taken out."""
    kind: str
    required: bool
    nullable: bool
    choices: tuple[Any, ...] = ()
    """The values of an `enum`, or None where any value of the kind will do."""
    examples: tuple[str, ...] = ()
    """Values that the description names."""

    @property
    def label(self) -> str:
        """The name as a person would say it."""
        return " ".join(name_words(self.name)) or self.name

    def accepts(self, value: object) -> bool:
        """Tell whether `value` satisfies the simple constraints of the schema."""
        return _accepts(self.schema, value)


@frozen
class Tool:
    """A tool of the session: a function, or one that an MCP server hosts, which then goes by `server_label`."""

    name: str
    description: str
    parameters: tuple[Parameter, ...]
    server_label: str | None = None

    @property
    def is_handoff(self) -> bool:
        """Whether calling it hands the conversation to another agent."""
        return self.name.startswith(("transfer_to_", "handoff_to_", "transferTo"))

    @property
    def words(self) -> list[str]:
        """The name in words."""
        return name_words(self.name)

    @property
    def subject(self) -> list[str]:
        """The words of the name that say what it is about: "opening hours" of `get_opening_hours`."""
        return [word for word in self.words if word not in GENERIC and word != "look up"]

    @property
    def topic(self) -> str:
        """What it is about, in words."""
        return " ".join(self.subject) or " ".join(self.words) or self.name


def read_tools(tools: Iterable[Schema]) -> list[Tool]:
    """Return the tools of a `ResponseContext` that can be called; malformed ones are passed over."""
    found: list[Tool] = []
    for tool in tools:
        name = tool.get("name")
        if tool.get("type", "function") not in ("function", "mcp") or not isinstance(name, str) or not name:
            continue
        given = tool.get("description")
        description = given if isinstance(given, str) else ""
        parameters = tuple(_parameters(tool.get("parameters")))
        found.append(Tool(name, description, parameters, tool.get("server_label")))
    return found


def name_words(name: str) -> list[str]:
    """Return an identifier in words: `getOpeningHours` and `get_opening_hours` alike."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[_\W]+", " ", name)
    return ["look up" if word == "lookup" else word for word in spaced.lower().split()]


def _parameters(schema: object) -> Iterable[Parameter]:
    if not isinstance(schema, Mapping) or not isinstance(schema.get("properties"), Mapping):
        return
    required = schema.get("required")
    needed = required if isinstance(required, Sequence) and not isinstance(required, str) else ()
    for name, given in schema["properties"].items():
        if not isinstance(name, str):
            continue
        value, nullable = _value_schema(given, schema.get("$defs"))
        description = str(
            value.get("description") or (given.get("description") if isinstance(given, Mapping) else "") or ""
        )
        examples = _examples(value, description)
        enum = value.get("enum")
        choices = tuple(enum) if isinstance(enum, Sequence) and not isinstance(enum, str) else ()
        if "const" in value:
            choices = (value["const"],)
        kind = "choice" if choices else _kind(name, value, description, examples)
        yield Parameter(name, value, kind, name in needed, nullable, choices, examples)


def _value_schema(schema: object, definitions: object) -> tuple[Schema, bool]:
    """Return the schema of a value that is not null, and whether null is one as well."""
    if not isinstance(schema, Mapping):
        return {}, False
    reference = schema.get("$ref")
    if isinstance(reference, str) and isinstance(definitions, Mapping):
        target = definitions.get(reference.rpartition("/")[2])
        return (
            _value_schema({**target, **{k: v for k, v in schema.items() if k != "$ref"}}, None)
            if isinstance(target, Mapping)
            else ({}, False)
        )
    options = schema.get("anyOf") or schema.get("oneOf")
    if isinstance(options, Sequence) and not isinstance(options, str):
        values = [option for option in options if isinstance(option, Mapping) and option.get("type") != "null"]
        inner, nullable = _value_schema(values[0], definitions) if values else ({}, False)
        return {**schema, **inner}, nullable or len(values) < len(options)
    kinds = schema.get("type")
    if isinstance(kinds, Sequence) and not isinstance(kinds, str):
        values = [kind for kind in kinds if kind != "null"]
        return {**schema, "type": values[0] if values else "null"}, "null" in kinds
    return schema, False


_KINDS_BY_WORD: Mapping[str, str] = {
    word: kind
    for kind, names in {
        "city": "city town location place destination origin where address region area venue source target",
        "country": "country nation",
        "date": "date day when birthday deadline checkin checkout",
        "time": "time hour start end",
        "month": "month",
        "weekday": "weekday",
        "phone": "phone telephone mobile",
        "code": "id number code reference ref pin zip postcode ticket order account no",
        "name": "name person contact recipient customer guest who employee user friend passenger",
        "colour": "color colour",
        "language": "language lang",
        "food": "food dish meal drink topping ingredient item",
    }.items()
    for word in names.split()
}


def _kind(name: str, schema: Schema, description: str, examples: Sequence[str]) -> str:
    kind = schema.get("type")
    said = name_words(name)
    if kind in ("integer", "number"):
        identifies = any(_KINDS_BY_WORD.get(word) in ("code", "phone") for word in said[-1:]) and len(said) > 1
        return "code" if identifies else "number"
    if kind in ("boolean", "object"):
        return str(kind)
    if kind == "array":
        return "list"
    # The last word of a name is its noun: `order_date` is a date, `start_city` a city.
    by_name = next((_KINDS_BY_WORD[word] for word in reversed(said) if word in _KINDS_BY_WORD), None)
    if by_name == "code" and any(any(map(str.isalpha, example)) for example in examples):
        return "reference"
    if examples and not _in_slot(by_name, examples):
        return "anything"
    if by_name:
        return by_name
    by_text = next((_KINDS_BY_WORD[word] for word in content_words(description) if word in _KINDS_BY_WORD), None)
    return by_text if by_text in ("city", "country", "date", "colour", "language") else "anything"


def _in_slot(kind: str | None, examples: Sequence[str]) -> bool:
    """Tell whether the slot for `kind` has one of `examples`: a place "such as a museum" is no city."""
    rule = rules().get(kind or "")
    return rule is not None and any(len(said) in rule.ends(said, 0) for said in map(words, examples))


def _examples(schema: Schema, description: str) -> tuple[str, ...]:
    given = schema.get("examples")
    found = [str(value) for value in given] if isinstance(given, Sequence) and not isinstance(given, str) else []
    hint = re.search(
        r"(?:e\.\s?g\.|for example|such as|like|example:|one of)[,:]?\s*([^.;)\n]+)", description, re.IGNORECASE
    )
    if hint:
        found += [part.strip(" '\"`*") for part in re.split(r",|\bor\b|\band\b", hint.group(1))]
    plain = (re.sub(r"^(?:an?|the)\s+", "", example) for example in found)
    return tuple(dict.fromkeys(example for example in plain if example and len(example) <= 40))


def _accepts(schema: Schema, value: object) -> bool:
    if "const" in schema and schema["const"] != value:
        return False
    enum = schema.get("enum")
    if isinstance(enum, Sequence) and not isinstance(enum, str) and value not in enum:
        return False
    kind = schema.get("type")
    if kind == "boolean":
        return isinstance(value, bool)
    if kind in ("integer", "number"):
        return _is_number(kind, value) and _in_bounds(schema, value)
    if kind == "string":
        return isinstance(value, str) and _fits_text(schema, value)
    if kind == "array":
        items = schema.get("items")
        return (
            isinstance(value, Sequence)
            and not isinstance(value, str)
            and _within(schema, "minItems", "maxItems", len(value))
            and all(_accepts(items, item) for item in value if isinstance(items, Mapping))
        )
    if kind == "object":
        return isinstance(value, Mapping) and set(schema.get("required") or ()) <= set(value)
    return True


def _is_number(kind: str, value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return kind == "number" or isinstance(value, int) or value.is_integer()


def _in_bounds(schema: Schema, value: Any) -> bool:
    low, high = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    step = schema.get("multipleOf")
    return (
        _within(schema, "minimum", "maximum", value)
        and (not isinstance(low, int | float) or value > low)
        and (not isinstance(high, int | float) or value < high)
        and (not isinstance(step, int | float) or step <= 0 or value % step == 0)
    )


def _fits_text(schema: Schema, value: str) -> bool:
    pattern = schema.get("pattern")
    if isinstance(pattern, str):
        try:
            if not re.search(pattern, value):
                return False
        except re.error:  # ECMA 262 has patterns that Python has not
            return False
    return _within(schema, "minLength", "maxLength", len(value))


def _within(schema: Schema, low: str, high: str, value: Any) -> bool:
    least, most = schema.get(low), schema.get(high)
    return not (isinstance(least, int | float) and value < least) and not (
        isinstance(most, int | float) and value > most
    )
