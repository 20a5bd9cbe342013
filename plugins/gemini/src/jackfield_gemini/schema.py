"""Tools: from JSON Schema, as sessions declare them, to the provider's function declarations and its own schemas.

The provider knows a subset of JSON Schema with types in capitals. What it has another word for is said in that word
(a union with null is `nullable`, `const` an enum of one), references are put where they are used, and what it can't
say is left out of the schema, where it only narrows what the tool itself checks again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from jackfield.transport import ConfigurationError

from .fields import list_of, mapping_of

__all__ = ["declared_tools", "schema_of"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")
_MAX_DEPTH = 24

_KEPT = (
    "title",
    "description",
    "format",
    "default",
    "example",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "minProperties",
    "maxProperties",
    "pattern",
    "required",
    "nullable",
    "propertyOrdering",
)
_TYPES = {name: name.upper() for name in ("string", "number", "integer", "boolean", "array", "object", "null")}


def declared_tools(tools: Any) -> list[dict[str, Any]]:
    """Return the provider's `tools` for a session's.

    Functions become declarations; an entry without a `type` is the provider's own (`{"googleSearch": {}}`) and passes.
    Raises `ConfigurationError` for tools that the provider can't run, and names that it refuses.
    """
    if tools is None:
        return []
    if not isinstance(tools, Sequence) or isinstance(tools, str | bytes):
        raise ConfigurationError(f"tools is a list, not {type(tools).__name__}")
    declarations: list[dict[str, Any]] = []
    own: list[dict[str, Any]] = []
    for tool in tools:
        if not isinstance(tool, Mapping):
            raise ConfigurationError(f"a tool is a mapping with type, name and parameters, not {type(tool).__name__}")
        kind = tool.get("type")
        if kind is None:
            own.append(dict(tool))
        elif kind == "function":
            declarations.append(_declaration(tool))
        else:
            hint = ": connect the MCP server locally (jackfield.mcp)" if kind == "mcp" else ""
            raise ConfigurationError(f"Gemini runs no tools of type {kind!r}{hint}")
    return ([{"functionDeclarations": declarations}] if declarations else []) + own


def _declaration(tool: Mapping[str, Any]) -> dict[str, Any]:
    name = tool.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"Gemini takes no function by the name {name!r}: it starts with a letter or _, goes on with letters, "
            "digits and _ . : -, and has 128 characters at most"
        )
    declaration: dict[str, Any] = {"name": name}
    description = tool.get("description")
    if description:
        declaration["description"] = description
    parameters = tool.get("parameters")
    if isinstance(parameters, Mapping):
        schema = schema_of(parameters)
        if schema.get("properties"):  # an object without properties is refused; a function without parameters is not
            declaration["parameters"] = schema
    behavior = tool.get("behavior")
    if behavior is not None:
        declaration["behavior"] = behavior
    return declaration


def schema_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the provider's schema for a JSON Schema."""
    return _converted(schema, _Place(schema))


@frozen
class _Place:
    """Where in a schema we are: its root, and the references that led here. One that leads to itself ends there."""

    root: Mapping[str, Any]
    through: frozenset[str] = frozenset()
    depth: int = _MAX_DEPTH

    def deeper(self) -> _Place:
        return evolve(self, depth=self.depth - 1)


def _converted(schema: Any, place: _Place) -> dict[str, Any]:
    if not isinstance(schema, Mapping):
        return {}
    resolved = _resolved(schema, place)
    if resolved is None:
        return {"type": "OBJECT"}
    schema, place = resolved
    result: dict[str, Any] = {key: schema[key] for key in _KEPT if schema.get(key) is not None}
    _put_type(result, schema)
    _put_enum(result, schema)
    if isinstance(schema.get("properties"), Mapping):
        result["properties"] = {
            str(name): _converted(inner, place.deeper()) for name, inner in schema["properties"].items()
        }
        result.setdefault("type", "OBJECT")
    if isinstance(schema.get("items"), Mapping):
        result["items"] = _converted(schema["items"], place.deeper())
    elif isinstance(schema.get("prefixItems"), list):
        result["items"] = _united(schema["prefixItems"], place)
    elif result.get("type") == "ARRAY":
        result["items"] = {}
    choices = schema.get("anyOf") or schema.get("oneOf")
    if isinstance(choices, list):
        result.update({**_united(choices, place), **_texts(result)})
    return result


def _resolved(schema: Mapping[str, Any], place: _Place) -> tuple[Mapping[str, Any], _Place] | None:
    """Return `schema` with what it refers to, and with all that it must satisfy, in one; None where it leads back."""
    while isinstance(reference := schema.get("$ref"), str):
        if reference in place.through or place.depth <= 0:
            return None
        place = evolve(place, through=place.through | {reference})
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        schema = {**_referred(reference, place.root), **rest}
    whole = schema.get("allOf")
    if not isinstance(whole, list) or place.depth <= 0:
        return None if place.depth <= 0 else (schema, place)
    merged: dict[str, Any] = {}
    for part in (*whole, {key: value for key, value in schema.items() if key != "allOf"}):
        resolved = _resolved(part, place.deeper()) if isinstance(part, Mapping) else None
        if resolved is not None:
            whole_part, inner = resolved
            place = evolve(place, through=place.through | inner.through)
            properties = {**mapping_of(merged, "properties"), **mapping_of(whole_part, "properties")}
            required = [*list_of(merged, "required"), *list_of(whole_part, "required")]
            merged.update(whole_part)
            if properties:
                merged["properties"] = properties
            if required:
                merged["required"] = list(dict.fromkeys(required))
    return merged, place


def _referred(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    target: Any = root
    for step in reference.removeprefix("#").strip("/").split("/") if reference != "#" else ():
        target = target.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(target, Mapping) else None
    return target if isinstance(target, Mapping) else {}


def _put_type(result: dict[str, Any], schema: Mapping[str, Any]) -> None:
    kinds = schema.get("type")
    if isinstance(kinds, list):
        named = [kind for kind in kinds if kind != "null"]
        if len(named) < len(kinds):
            result["nullable"] = True
        if len(named) > 1:
            result["anyOf"] = [{"type": _TYPES[kind]} for kind in named if kind in _TYPES]
        kinds = named[0] if len(named) == 1 else None
    if isinstance(kinds, str):
        result["type"] = _TYPES.get(kinds.lower(), kinds)


def _put_enum(result: dict[str, Any], schema: Mapping[str, Any]) -> None:
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if not isinstance(values, list):
        return
    if None in values:
        result["nullable"] = True
    values = [value for value in values if value is not None]
    if all(isinstance(value, str) for value in values):
        result["type"] = "STRING"
        result["enum"] = values
    else:  # an enum is of strings: others are told in words
        known = ", ".join(map(str, values))
        result["description"] = f"{result.get('description', '')} One of: {known}.".strip()


def _united(choices: list[Any], place: _Place) -> dict[str, Any]:
    named = [choice for choice in choices if not (isinstance(choice, Mapping) and choice.get("type") == "null")]
    united: dict[str, Any] = {"nullable": True} if len(named) < len(choices) else {}
    converted = [_converted(choice, place.deeper()) for choice in named]
    if len(converted) == 1:
        return {**converted[0], **united}
    return {"anyOf": converted, **united} if converted else united


def _texts(result: Mapping[str, Any]) -> dict[str, Any]:
    return {key: result[key] for key in ("title", "description", "default") if key in result}
