"""JSON Schema in the strict form: objects are closed, and every property is required.

An optional property becomes one that may be null; where the model sends the null, it is left out again, since the
server's own schema has no null there.
"""

from __future__ import annotations

import re
from typing import Any

__all__ = ["strict_schema", "without_nulls"]

_UNKNOWN_TO_STRICT = {
    *("allOf", "oneOf", "not", "if", "then", "else", "prefixItems", "contains", "propertyNames", "patternProperties"),
    *("dependentRequired", "dependentSchemas", "unevaluatedProperties", "unevaluatedItems", "$dynamicRef"),
}
_SAYS_WHAT_IT_IS = ("type", "anyOf", "$ref", "enum", "const")
_DEFINITIONS = ("$defs", "definitions")
_REFERENCE = re.compile(r"#(?:/(?P<key>\$defs|definitions)/(?P<name>[^/]+))?")


class _NotStrictError(Exception):
    """A part of the schema has no strict form."""


def strict_schema(schema: dict[str, Any]) -> dict[str, Any] | None:
    """Return the strict form of a tool's parameters, or None where they have none (a map of any keys, say)."""
    if schema.get("type") != "object":
        return None
    try:
        return _strict({"properties": {}, **schema})
    except (_NotStrictError, AttributeError, TypeError):  # the latter two: it is no proper schema
        return None


def without_nulls(value: Any, schema: Any, root: dict[str, Any]) -> Any:
    """Return `value` without the nulls that only the strict form of `schema`, a part of `root`, asked for."""
    for part in _meant(schema, root):
        if isinstance(value, list):
            value = [without_nulls(entry, part.get("items"), root) for entry in value]
        elif isinstance(value, dict):
            properties, required = part.get("properties", {}), part.get("required", ())
            value = {
                name: without_nulls(entry, properties.get(name), root)
                for name, entry in value.items()
                if entry is not None or name in required or name not in properties or _nullable(properties[name], root)
            }
    return value


def _strict(schema: Any) -> dict[str, Any]:
    if not isinstance(schema, dict) or _UNKNOWN_TO_STRICT & schema.keys():
        raise _NotStrictError
    if not any(key in schema for key in _SAYS_WHAT_IT_IS):
        raise _NotStrictError  # anything at all
    if "$ref" in schema and not _REFERENCE.fullmatch(schema["$ref"]):
        raise _NotStrictError
    made = dict(schema)
    for key in _DEFINITIONS:
        if key in schema:
            made[key] = {name: _strict(part) for name, part in schema[key].items()}
    if "anyOf" in schema:
        made["anyOf"] = [_strict(part) for part in schema["anyOf"]]
    kinds = _kinds(schema)
    if "array" in kinds:
        made["items"] = _strict(schema.get("items"))
    if "object" in kinds:
        if schema.get("additionalProperties", False) is not False or "properties" not in schema:
            raise _NotStrictError
        required = schema.get("required", ())
        made["properties"] = {
            name: _strict(part) if name in required else _or_null(_strict(part))
            for name, part in schema["properties"].items()
        }
        made["required"] = list(schema["properties"])
        made["additionalProperties"] = False
    return made


def _kinds(schema: dict[str, Any]) -> list[str]:
    kinds = schema.get("type", [])
    return [kinds] if isinstance(kinds, str) else kinds


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return schema if _nullable(schema, {}) else {"anyOf": [schema, {"type": "null"}]}


def _nullable(schema: Any, root: dict[str, Any]) -> bool:
    return any("null" in _kinds(part) or None in part.get("enum", ()) for part in _meant(schema, root))


def _meant(schema: Any, root: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the alternatives that a schema stands for, through references into `root`."""
    found: list[dict[str, Any]] = []
    waiting, seen = [schema], set()
    while waiting:
        part = waiting.pop()
        if not isinstance(part, dict) or id(part) in seen:
            continue
        seen.add(id(part))
        found.append(part)
        waiting += part.get("anyOf", [])
        if reference := _REFERENCE.fullmatch(part.get("$ref", "")):
            key, name = reference.group("key", "name")
            waiting.append(root.get(key, {}).get(name) if key else root)
    return found
