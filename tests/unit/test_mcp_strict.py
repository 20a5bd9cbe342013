"""Schemas in the strict form: which there are, what they allow, and how the nulls they ask for go away again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from jackfield.mcp.strict import strict_schema, without_nulls

Schema = dict[str, Any]

SCALARS: list[Schema] = [
    {"type": "string"},
    {"type": "integer"},
    {"type": "boolean"},
    {"type": "null"},
    {"type": ["string", "null"]},
    {"enum": ["a", "b"]},
    {"enum": ["a", None]},
    {"$ref": "#/$defs/Colour"},
    {"anyOf": [{"$ref": "#/$defs/Point"}, {"type": "null"}]},
]
DEFINITIONS: Schema = {
    "Colour": {"type": "string", "enum": ["red", "green"]},
    "Point": {"type": "object", "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}}, "required": ["x"]},
}


def objects(part: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    def made(properties: dict[str, Schema], optional: set[str]) -> Schema:
        required = [name for name in properties if name not in optional]
        return {"type": "object", "properties": properties, **({"required": required} if required else {})}

    names = st.sampled_from("abc")
    return st.builds(made, st.dictionaries(names, part, max_size=3), st.sets(names))


def bigger(part: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    arrays = part.map(lambda items: {"type": "array", "items": items})
    unions = part.map(lambda other: {"anyOf": [other, {"type": "boolean"}]})
    return objects(part) | arrays | unions


ROOTS = objects(st.recursive(st.sampled_from(SCALARS), bigger, max_leaves=6)).map(
    lambda root: {**root, "$defs": DEFINITIONS}
)


def values(schema: Schema) -> st.SearchStrategy[Any]:
    """Values that a strict schema allows."""
    if "anyOf" in schema:
        return st.one_of([values(part) for part in schema["anyOf"]])
    if "$ref" in schema:
        return values(strict_part(DEFINITIONS[schema["$ref"].rpartition("/")[2]]))
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    by_kind: dict[str, Any] = {
        "string": lambda: st.text(max_size=2),
        "integer": lambda: st.integers(-2, 2),
        "boolean": st.booleans,
        "null": st.none,
        "array": lambda: st.lists(values(schema["items"]), max_size=2),
        "object": lambda: st.fixed_dictionaries({name: values(part) for name, part in schema["properties"].items()}),
    }
    return st.one_of([by_kind[kind]() for kind in kinds])


def strict_part(schema: Schema) -> Schema:
    if schema.get("type") != "object":
        return schema
    strict = strict_schema(schema)
    assert strict is not None
    return strict


def objects_in(schema: Any) -> Iterator[Schema]:
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for part in schema.values():
            yield from objects_in(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from objects_in(part)


@given(ROOTS)
def test_every_object_is_closed_and_requires_all_it_has(schema: Schema) -> None:
    strict = strict_schema(schema)
    assert strict is not None
    Draft202012Validator.check_schema(strict)
    for part in objects_in(strict):
        assert part["additionalProperties"] is False
        assert part["required"] == list(part["properties"])


@given(st.data())
def test_what_the_strict_form_allows_is_what_the_server_takes_once_the_nulls_are_gone(data: st.DataObject) -> None:
    schema = data.draw(ROOTS)
    strict = strict_schema(schema)
    assert strict is not None
    value = data.draw(values(strict))
    Draft202012Validator(strict).validate(value)
    Draft202012Validator(schema).validate(without_nulls(value, schema, schema))


@given(ROOTS)
def test_being_strict_twice_changes_nothing(schema: Schema) -> None:
    strict = strict_schema(schema)
    assert strict is not None
    assert strict_schema(strict) == strict


@pytest.mark.parametrize(
    "part",
    [
        {"type": "object"},
        {"type": "object", "properties": {}, "additionalProperties": True},
        {"type": "object", "properties": {}, "additionalProperties": {"type": "string"}},
        {"type": "object", "properties": {}, "patternProperties": {"^a": {}}},
        {"type": "array"},
        {"type": "array", "items": {}},
        {"type": ["array", "null"]},
        {"allOf": [{"type": "string"}]},
        {"oneOf": [{"type": "string"}]},
        {"anyOf": [{"type": "string"}, {}]},
        {"not": {"type": "string"}},
        {"$ref": "https://example.com/schema"},
        {"$ref": "#/properties/other"},
        {"type": "object", "properties": ["no", "schema"]},
        {},
        True,
    ],
)
def test_what_has_no_strict_form(part: Any) -> None:
    assert strict_schema({"type": "object", "properties": {"part": part}}) is None
    assert strict_schema({"type": "object", "properties": {}, "$defs": {"Part": part}}) is None


@pytest.mark.parametrize("schema", [{}, {"type": "string"}, {"anyOf": [{"type": "object"}]}])
def test_parameters_that_are_no_object(schema: Schema) -> None:
    assert strict_schema(schema) is None


def test_a_tool_without_parameters_has_one() -> None:
    closed = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    assert strict_schema({"type": "object"}) == closed


def test_a_schema_that_refers_to_itself() -> None:
    tree = {"type": "object", "properties": {"left": {"$ref": "#/$defs/T"}, "name": {"type": "string"}}}
    schema = {"type": "object", "properties": {"root": {"$ref": "#/$defs/T"}}, "$defs": {"T": tree}}
    assert strict_schema(schema) is not None
    value = {"root": {"name": None, "left": {"name": "leaf", "left": None}}}
    assert without_nulls(value, schema, schema) == {"root": {"left": {"name": "leaf"}}}


def test_a_schema_that_refers_to_its_whole() -> None:
    schema = {"type": "object", "properties": {"name": {"type": "string"}, "next": {"$ref": "#"}}, "required": ["name"]}
    assert strict_schema(schema) is not None
    assert without_nulls({"name": "a", "next": {"name": "b", "next": None}}, schema, schema) == {
        "name": "a",
        "next": {"name": "b"},
    }


def test_one_that_refers_to_nothing_but_itself() -> None:
    schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"$ref": "#/$defs/A"}}}
    assert without_nulls({"a": {"b": None}}, schema, schema) == {"a": {"b": None}}
