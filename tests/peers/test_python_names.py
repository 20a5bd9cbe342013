"""The names of the Python agents SDK's realtime layer, held against the SDK itself.

What is said here in general, docs/compatibility.md says name by name.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import agents.realtime
import pytest
from pydantic import BaseModel

import jackfield

WHAT_A_PROGRAM_CONFIGURES: Final = {"RealtimeModelConfig", "RealtimeModelName", "RealtimeModelTracingConfig"}
OF_ANOTHER_KIND: Final = {"RealtimeResponse", "RealtimeConnectionStatus", "get_api_key"}
NOT_KEPT: Final = {"previous_item_id", "extra_data"}
"""Of items: a history says the order itself, and fields that nobody knows stay with the raw event."""


def _is_shared(name: str) -> bool:
    """Whether a name is of more than their model classes, whose place our transports take."""
    if name in WHAT_A_PROGRAM_CONFIGURES:
        return True
    return name not in OF_ANOTHER_KIND and not name.startswith(("RealtimeModel", "OpenAIRealtime"))


SHARED: Final[dict[str, Any]] = {
    name: getattr(agents.realtime, name) for name in agents.realtime.__all__ if _is_shared(name)
}
EVENTS: Final = [
    name
    for name, theirs in SHARED.items()
    if dataclasses.is_dataclass(theirs) and "type" in theirs.__dataclass_fields__
]
ITEMS: Final = [name for name, theirs in SHARED.items() if isinstance(theirs, type) and issubclass(theirs, BaseModel)]
MAPPINGS: Final = [name for name, theirs in SHARED.items() if hasattr(theirs, "__required_keys__")]


@pytest.mark.parametrize("name", SHARED)
def test_a_program_finds_what_it_imports(name: str) -> None:
    assert name in jackfield.__all__


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_has_their_type_and_their_fields(name: str) -> None:
    ours, theirs = getattr(jackfield, name), SHARED[name].__dataclass_fields__
    assert ours.type == theirs["type"].default
    assert [field for field in theirs if not hasattr(ours, field)] == []


@pytest.mark.parametrize("name", ITEMS)
def test_an_item_has_their_type_and_their_fields(name: str) -> None:
    ours, theirs = getattr(jackfield, name), SHARED[name].model_fields
    fixed = {field: theirs[field].default for field in ("type", "role") if field in theirs}
    assert {field: getattr(ours, field) for field in fixed} == fixed
    assert [field for field in theirs.keys() - NOT_KEPT if not hasattr(ours, field)] == []


@pytest.mark.parametrize("name", MAPPINGS)
def test_a_mapping_takes_their_keys(name: str) -> None:
    theirs = SHARED[name].__annotations__
    assert [key for key in theirs if key not in getattr(jackfield, name).__annotations__] == []
