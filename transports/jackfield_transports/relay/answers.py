"""What the relay answers where there is no call: the provider's reasons, in the API's form, and nothing secret."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from starlette.responses import JSONResponse, Response

from jackfield.transport import (
    AuthenticationError,
    ConnectRefusedError,
    ConnectTimeoutError,
    ProviderError,
    TransportError,
)

__all__ = ["refusal", "refusal_of"]

logger = logging.getLogger("jackfield.relay")

_TOLD_ON = frozenset({400, 409, 413, 415, 422, 429})
"""Statuses of the provider that are about this call. Others, such as 401, are between the provider and us."""


def refusal(
    status: int, message: str, headers: Mapping[str, str] | None = None, *, code: str | None = None
) -> Response:
    """Return a refusal in the form that the API's own have."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    error = {"message": message, "type": kind, "code": code, "param": None}
    return JSONResponse({"error": error}, status, dict(headers or {}))


def refusal_of(error: BaseException) -> Response:
    """Return what a browser is told of `error`, which kept its call from being made."""
    told = error.__cause__ if isinstance(error.__cause__, ProviderError) else None
    if isinstance(error, ConnectRefusedError) and error.status in _TOLD_ON:
        message = str(told.payload.get("message") or told) if told is not None else "the provider refused the call"
        return refusal(error.status, message, code=told.code if told is not None else None)
    if isinstance(error, ConnectTimeoutError):
        return refusal(504, "the provider did not answer in time")
    if isinstance(error, AuthenticationError):
        return refusal(502, "the provider refused this server's credentials")
    if isinstance(error, TransportError):
        return refusal(502, "the provider did not make the call")
    logger.error("a call could not be begun", exc_info=error)
    return refusal(500, "the call could not be begun")
