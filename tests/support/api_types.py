"""The API's types, as the official client has them."""

from __future__ import annotations

from pydantic import BaseModel

__all__ = ["undeclared"]


def undeclared(model: BaseModel, path: str = "") -> list[str]:
    """Return the fields that the API's types don't know: they let them pass, the server does not."""
    found = [f"{path}.{name}" for name in model.model_extra or ()]
    for name in model.model_fields_set:
        value = getattr(model, name, None)
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, BaseModel):
                found += undeclared(inner, f"{path}.{name}")
    return found
