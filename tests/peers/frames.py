"""Whether a server event is what the official client's types say it is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final, get_args

import pydantic
from openai.types.realtime import RealtimeServerEvent

__all__ = ["faults_of"]

_UNTYPED: Final[Mapping[str, frozenset[str]]] = {
    "*": frozenset({"obfuscation"}),
    "session.created": frozenset({"session.id", "session.object", "session.expires_at"}),
    "session.updated": frozenset({"session.id", "session.object", "session.expires_at"}),
}
"""Fields that the API sends and its client's types leave out: by event type, `*` for any."""


def faults_of(event: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a server event, nothing where it is right.

    It is compared as JSON and strictly: an unknown type, a wrong or missing field, a number in quotes, and a field that
    the types don't know are all faults.
    """
    adapter = _adapters().get(event["type"])
    if adapter is None:
        return [f"{event['type']}: no such server event"]
    try:
        parsed = adapter.validate_json(json.dumps(event), strict=True)
    except pydantic.ValidationError as error:
        return [
            f"{event['type']}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}"
            for fault in error.errors(include_url=False)
        ]
    known = _UNTYPED["*"] | _UNTYPED.get(event["type"], frozenset())
    return [f"{event['type']}: {path}: no such field" for path in _extras(parsed) if path not in known]


@cache
def _adapters() -> dict[str, pydantic.TypeAdapter[Any]]:
    union = get_args(RealtimeServerEvent)[0]
    return {
        kind: pydantic.TypeAdapter(model)
        for model in get_args(union)
        for kind in get_args(model.model_fields["type"].annotation)
    }


def _extras(value: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of fields that no type knows."""
    if isinstance(value, pydantic.BaseModel):
        for name in value.model_extra or {}:
            yield f"{path}.{name}".lstrip(".")
        for name in value.model_fields_set - set(value.model_extra or {}):
            yield from _extras(getattr(value, name), f"{path}.{name}".lstrip("."))
    elif isinstance(value, list):
        for part in value:
            yield from _extras(part, f"{path}[]")
