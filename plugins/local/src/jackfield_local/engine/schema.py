"""A small vocabulary for saying what JSON the API accepts.

A check is a function of (value, path) that returns nothing and raises `ApiError` with the API's code, message and
`param`. The checks of sessions and items are put together from these; nothing here knows the API's fields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from jackfield_local.engine.errors import (
    ApiError,
    above_maximum,
    below_minimum,
    invalid_type,
    invalid_value,
    missing_parameter,
    unknown_parameter,
)

__all__ = [
    "Check",
    "anything",
    "array",
    "boolean",
    "enum",
    "integer",
    "join",
    "json_object",
    "nullable",
    "number",
    "record",
    "string",
    "tagged",
    "union",
]

Check: TypeAlias = Callable[[Any, str], None]


def anything(value: Any, path: str) -> None:
    """Accept every value."""


def boolean(value: Any, path: str) -> None:
    """Accept true and false."""
    if not isinstance(value, bool):
        raise invalid_type(path, "a boolean", value)


def json_object(value: Any, path: str) -> None:
    """Accept any object."""
    if not isinstance(value, dict):
        raise invalid_type(path, "an object", value)


def string(*, longest: int | None = None, shortest: int = 0) -> Check:
    """Accept strings of `shortest` to `longest` characters."""

    def check(value: Any, path: str) -> None:
        if not isinstance(value, str):
            raise invalid_type(path, "a string", value)
        if longest is not None and len(value) > longest:
            message = (
                f"Invalid '{path}': string too long. Expected a string with maximum length {longest}, "
                f"but got a string with length {len(value)} instead."
            )
            raise ApiError(message, code="string_above_max_length", param=path)
        if len(value) < shortest:
            message = (
                f"Invalid '{path}': string too short. Expected a string with minimum length {shortest}, "
                f"but got a string with length {len(value)} instead."
            )
            raise ApiError(message, code="string_below_min_length", param=path)

    return check


def integer(minimum: int | None = None, maximum: int | None = None) -> Check:
    """Accept integers within the limits, both of which are allowed values."""

    def check(value: Any, path: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise invalid_type(path, "an integer", value)
        _within(value, path, minimum, maximum, "integer")

    return check


def number(minimum: float | None = None, maximum: float | None = None) -> Check:
    """Accept integers and fractions within the limits, both of which are allowed values."""

    def check(value: Any, path: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise invalid_type(path, "a decimal number", value)
        _within(value, path, minimum, maximum, "decimal")

    return check


def enum(*values: str) -> Check:
    """Accept one of `values`."""

    def check(value: Any, path: str) -> None:
        if not isinstance(value, str):
            raise invalid_type(path, "a string", value)
        if value not in values:
            raise invalid_value(value, path, values)

    return check


def nullable(inner: Check) -> Check:
    """Accept null and whatever `inner` accepts."""

    def check(value: Any, path: str) -> None:
        if value is not None:
            inner(value, path)

    return check


def array(inner: Check) -> Check:
    """Accept arrays whose elements `inner` accepts."""

    def check(value: Any, path: str) -> None:
        if not isinstance(value, list):
            raise invalid_type(path, "an array", value)
        for index, element in enumerate(value):
            inner(element, f"{path}[{index}]")

    return check


def record(fields: Mapping[str, Check], *, required: Sequence[str] = ()) -> Check:
    """Accept objects that have the `required` keys and none that isn't in `fields`."""

    def check(value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise invalid_type(path, "an object", value)
        for name in required:
            if name not in value:
                raise missing_parameter(join(path, name))
        for name, element in value.items():
            inner = fields.get(name)
            if inner is None:
                raise unknown_parameter(join(path, name))
            inner(element, join(path, name))

    return check


def tagged(tag: str, variants: Mapping[str, Check]) -> Check:
    """Accept objects that the variant named by their key `tag` accepts."""

    def check(value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise invalid_type(path, "an object", value)
        if tag not in value:
            raise missing_parameter(join(path, tag))
        name = value[tag]
        if not isinstance(name, str):
            raise invalid_type(join(path, tag), "a string", name)
        inner = variants.get(name)
        if inner is None:
            raise invalid_value(name, join(path, tag), variants)
        inner(value, path)

    return check


def union(*, text: Check | None = None, whole: Check | None = None, structure: Check | None = None) -> Check:
    """Accept a string, an integer or an object, each by its own check; what has no check is refused by its type."""
    expected = " or ".join(
        name
        for name, inner in (("a string", text), ("an integer", whole), ("an object", structure))
        if inner is not None
    )

    def check(value: Any, path: str) -> None:
        inner: Check | None = None
        if isinstance(value, str):
            inner = text
        elif isinstance(value, dict):
            inner = structure
        elif isinstance(value, int) and not isinstance(value, bool):
            inner = whole
        if inner is None:
            raise invalid_type(path, expected, value)
        inner(value, path)

    return check


def join(path: str, name: str) -> str:
    """Return the path of the key `name` of the object at `path`; "" is the event itself."""
    return f"{path}.{name}" if path else name


def _within(value: float, path: str, minimum: float | None, maximum: float | None, kind: str) -> None:
    if minimum is not None and value < minimum:
        raise below_minimum(path, minimum, value, kind)
    if maximum is not None and value > maximum:
        raise above_maximum(path, maximum, value, kind)
