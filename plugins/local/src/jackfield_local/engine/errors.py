"""Refusals of the Realtime API: their types, codes, messages and parameters, as the wire spells them.

`ApiError` is raised wherever a client's request can't be met, and becomes an `error` event or an HTTP body. Python's
own errors don't appear here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = [
    "ApiError",
    "above_maximum",
    "below_minimum",
    "invalid_type",
    "invalid_value",
    "missing_parameter",
    "server_failure",
    "unknown_item",
    "unknown_parameter",
]


class ApiError(Exception):
    """A request that the API refuses; `code` and `param` are None where the API leaves them null."""

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        type: str = "invalid_request_error",  # noqa: A002 - the API's own field name
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.param = param
        self.type = type

    def to_wire(self, client_event_id: str | None = None) -> dict[str, Any]:
        """Return the `error` object of an `error` event: all five keys, null when empty."""
        return {
            "type": self.type,
            "code": self.code,
            "message": self.message,
            "param": self.param,
            "event_id": client_event_id,
        }

    def to_body(self) -> dict[str, Any]:
        """Return the body of an HTTP error response."""
        return {"error": {"message": self.message, "type": self.type, "code": self.code, "param": self.param}}


def invalid_value(value: object, param: str, supported: Iterable[object] = ()) -> ApiError:
    """Refuse a value that is of the right type and not among the supported ones."""
    names = [f"'{item}'" for item in supported]
    listed = " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
    hint = f" Supported values are: {listed}." if names else ""
    return ApiError(f"Invalid value: '{value}'.{hint}", code="invalid_value", param=param)


def unknown_parameter(param: str) -> ApiError:
    """Refuse a key that the API doesn't have."""
    return ApiError(f"Unknown parameter: '{param}'.", code="unknown_parameter", param=param)


def missing_parameter(param: str) -> ApiError:
    """Refuse an object without a key that it needs."""
    return ApiError(f"Missing required parameter: '{param}'.", code="missing_required_parameter", param=param)


def invalid_type(param: str, expected: str, value: object) -> ApiError:
    """Refuse a value of the wrong JSON type."""
    message = f"Invalid type for '{param}': expected {expected}, but got {_json_type(value)} instead."
    return ApiError(message, code="invalid_type", param=param)


def below_minimum(param: str, minimum: float, value: float, kind: str) -> ApiError:
    """Refuse a number that is too small; `kind` is "integer" or "decimal"."""
    message = f"Invalid '{param}': {kind} below minimum value. Expected a value >= {minimum}, but got {value} instead."
    return ApiError(message, code=f"{kind}_below_min_value", param=param)


def above_maximum(param: str, maximum: float, value: float, kind: str) -> ApiError:
    """Refuse a number that is too large; `kind` is "integer" or "decimal"."""
    message = f"Invalid '{param}': {kind} above maximum value. Expected a value <= {maximum}, but got {value} instead."
    return ApiError(message, code=f"{kind}_above_max_value", param=param)


def server_failure() -> ApiError:
    """Return what a client is told where the server itself has failed."""
    return ApiError("The server had an error. Sorry about that!", type="server_error", code="server_error")


def unknown_item(doing: str, verb: str, item_id: str, param: str = "item_id") -> ApiError:
    """Refuse to work on an item that isn't there: `doing` "retrieving", `verb` "retrieve", for example."""
    message = f"Error {doing} item: the item with id '{item_id}' does not exist."
    return ApiError(message, code=f"item_{verb}_invalid_item_id", param=param)


def _json_type(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int):
        return "an integer"
    if isinstance(value, float):
        return "a decimal number"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list) else "an object"
