"""The REST endpoints: client secrets, and JSON for what isn't there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from jackfield_local.auth import Keyring, azure_key, header_key
from jackfield_local.doors import azure_error, preview_gone
from jackfield_local.engine.config import DEFAULT_MODEL, new_session, update_session
from jackfield_local.engine.errors import ApiError, invalid_type, missing_parameter
from jackfield_local.engine.ids import IdSource
from jackfield_local.engine.schema import anything, enum, integer, record

__all__ = ["Secrets", "http_error", "parse_object"]

_DEFAULT_SECONDS: Final = 600
_REQUEST: Final = record(
    {
        "expires_after": record({"anchor": enum("created_at"), "seconds": integer(10, 7200)}),
        "session": anything,
    }
)


class Secrets:
    """`POST …/realtime/client_secrets`, for OpenAI and for Azure."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._ids = IdSource()

    async def openai(self, request: Request) -> Response:
        """Answer `/v1/realtime/client_secrets`."""
        try:
            self._check(header_key(request.headers))
        except ApiError as error:
            return JSONResponse(error.to_body(), 401)
        return await self._mint(request)

    async def azure(self, request: Request) -> Response:
        """Answer `/openai/v1/realtime/client_secrets`."""
        try:
            self._check(azure_key(request.headers, request.query_params))
        except ApiError:
            return azure_error(401, "Access denied due to invalid subscription key or wrong API endpoint.")
        return await self._mint(request)

    def _check(self, key: str | None) -> None:
        if self._keyring.check(key) is not None:
            message = "An ephemeral key can't make another. Use an API key."
            raise ApiError(message, code="invalid_api_key")

    async def _mint(self, request: Request) -> Response:
        try:
            seconds, given, session = self._read(await request.body())
        except ApiError as error:
            return JSONResponse(error.to_body(), 400)
        secret = self._keyring.mint(given, seconds)
        return JSONResponse({"value": secret.value, "expires_at": secret.expires_at, "session": session})

    def _read(self, body: bytes) -> tuple[int, dict[str, Any], dict[str, Any]]:
        """Return the seconds that a key is to be good for, the session as it was given, and the whole of it.

        Raises `ApiError`.
        """
        request = parse_object(body, "body") if body else {}
        _REQUEST(request, "")
        seconds = request.get("expires_after", {}).get("seconds", _DEFAULT_SECONDS)
        given = request.get("session", {"type": "realtime"})
        if not isinstance(given, dict):
            raise invalid_type("session", "an object", given)
        if "type" not in given:
            raise missing_parameter("session.type")
        kind = given["type"]
        model = given.get("model", DEFAULT_MODEL)
        session = new_session(
            "transcription" if kind == "transcription" else "realtime",
            session_id=self._ids.new("sess"),
            model=model if isinstance(model, str) else DEFAULT_MODEL,
            expires_at=0,
        )
        whole = update_session(session, given)
        if whole["type"] == "realtime":
            given = {**given, "model": model}
        return seconds, given, whole


def http_error(request: Request, error: Exception) -> Response:
    """Answer a path or a method that isn't there as the API does, in JSON."""
    assert isinstance(error, HTTPException)
    if request.url.path == "/openai/realtime":
        return preview_gone()
    if error.status_code == 404:
        message = f"Invalid URL ({request.method} {request.url.path})"
    elif error.status_code == 405:
        message = f"Not allowed to {request.method} on {request.url.path}"
    else:
        message = error.detail
    return JSONResponse(ApiError(message).to_body(), error.status_code, error.headers)


def parse_object(body: bytes, path: str) -> dict[str, Any]:
    """Return the JSON object that `body` is. Raises `ApiError`, which calls it by `path`."""
    decode: Callable[[bytes], Any] = msgspec.json.decode
    try:
        value = decode(body)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise ApiError(f"We could not parse the JSON body of your request: {error}") from error
    if not isinstance(value, dict):
        raise invalid_type(path, "an object", value)
    return value
