"""The REST endpoints of WebRTC calls: an offer in, an answer out, and hanging up.

The call itself is in `webrtc`, which is imported with aiortc when the first call is made.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final

from attrs import frozen
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from jackfield_local.auth import ClientSecret, header_key
from jackfield_local.connection import Connection, RequestHeaders
from jackfield_local.engine.config import DEFAULT_MODEL
from jackfield_local.engine.errors import ApiError, invalid_type, missing_parameter, server_failure
from jackfield_local.engine.ids import IdSource
from jackfield_local.faults import Fault
from jackfield_local.live_calls import LiveCalls
from jackfield_local.reception import Admission, Reception, filters_of, refusal_by_fault
from jackfield_local.rest import parse_object

__all__ = ["Calls"]

logger = logging.getLogger(__name__)

_SDP: Final = "application/sdp"
_FORM: Final = "multipart/form-data"
_LARGEST_BODY: Final = 1024 * 1024
_MOST_PARTS: Final = 8


@frozen
class _Request:
    """What a client posts: its offer, and the session that it wants, None where it doesn't say."""

    offer: str
    session: Mapping[str, Any] | None


class Calls:
    """`POST …/realtime/calls` and what can be done with a call. `local_only`: media doesn't leave this machine."""

    def __init__(self, reception: Reception, calls: LiveCalls, *, local_only: bool) -> None:
        self._reception = reception
        self._calls = calls
        self._local_only = local_only
        self._ids = IdSource()

    async def create(self, request: Request) -> Response:
        """Answer `POST /v1/realtime/calls`."""
        faults = self._reception.faults.for_connection()
        if (refused := refusal_by_fault(faults)) is not None:
            return refused
        try:
            secret = self._reception.keyring.check(header_key(request.headers))
        except ApiError as error:
            return JSONResponse(error.to_body(), 401)
        try:
            posted = await _read(request)
            admission = self._admit(request, posted, secret)
        except _TooLargeError as error:
            return JSONResponse(ApiError(str(error)).to_body(), 413)
        except ApiError as error:
            return JSONResponse(error.to_body(), 400)
        for fault in faults:
            if fault.answer_seconds is not None:
                await self._calls.pause(fault.answer_seconds)
        return await self._answer(request, posted.offer, admission, faults)

    async def hang_up(self, request: Request) -> Response:
        """Answer `POST /v1/realtime/calls/{call_id}/hangup`."""
        try:
            if self._reception.keyring.check(header_key(request.headers)) is not None:
                raise ApiError("An ephemeral key can't hang up. Use an API key.", code="invalid_api_key")
        except ApiError as error:
            return JSONResponse(error.to_body(), 401)
        try:
            self._calls.hang_up(request.path_params["call_id"])
        except ApiError as error:
            return JSONResponse(error.to_body(), 404)
        return Response(status_code=200)

    def _admit(self, request: Request, posted: _Request, secret: ClientSecret | None) -> Admission:
        """Return the session that the client may have. Raises `ApiError`."""
        config = dict(secret.session) if secret is not None else None
        if posted.session is not None:
            config = {**(config or {}), **posted.session}
        if config is not None and "type" not in config:
            raise missing_parameter("session.type")
        kind = "transcription" if config is not None and config["type"] == "transcription" else "realtime"
        if kind == "transcription":
            return Admission(kind, "", config)
        model = request.query_params.get("model") or (config or {}).get("model", DEFAULT_MODEL)
        if not isinstance(model, str):
            raise invalid_type("session.model", "a string", model)
        self._reception.check_model(model)
        return Admission(kind, model, config)

    async def _answer(self, request: Request, offer: str, admission: Admission, faults: Sequence[Fault]) -> Response:
        try:
            from jackfield_local.webrtc import SdpError, WebRtcCall
        except ImportError as error:
            message = f"This server can't take calls: {error}. Install jackfield-local[webrtc]."
            refusal = ApiError(message, type="server_error", code="webrtc_not_installed")
            return JSONResponse(refusal.to_body(), 501)
        try:
            engine = self._reception.engine(admission, faults, playback="server")
        except ApiError as error:
            return JSONResponse(error.to_body(), 400)
        connection = Connection(
            path=request.url.path,
            query=dict(request.query_params),
            request_headers=RequestHeaders(request.headers.items()),
            call_id=self._ids.new("rtc"),
            record=self._reception.record,
        )
        call = WebRtcCall(
            engine=engine,
            services=self._reception.services(),
            connection=connection,
            make_filters=lambda: filters_of(faults),
            seconds=self._reception.seconds(faults),
            local_only=self._local_only,
        )
        changed = offer
        for fault in faults:
            changed = fault.sdp.change_offer(changed) if fault.sdp is not None else changed
        try:
            answer = await call.answer(changed)
        except SdpError as error:
            logger.debug("An offer was refused: %s", error)
            return JSONResponse(_invalid_offer().to_body(), 400)
        if not self._calls.start(call):
            await call.close()
            return JSONResponse(server_failure().to_body(), 503)
        self._reception.opened(connection)
        for fault in faults:
            answer = fault.sdp.change_answer(offer, answer) if fault.sdp is not None else answer
        return Response(answer, 201, {"location": f"/v1/realtime/calls/{call.id}"}, _SDP)


class _TooLargeError(Exception):
    """The body is larger than any offer."""


async def _read(request: Request) -> _Request:
    """Read what was posted. Raises `ApiError`, and `_TooLargeError`."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (_SDP, _FORM):
        message = f"Unsupported content type '{kind}'. Send the offer as {_SDP}, or a form as {_FORM}."
        raise ApiError(message, code="unsupported_content_type")
    body = await _read_body(request)
    if kind == _SDP:
        return _Request(_checked(_decoded(body)), None)
    parts = await _read_parts(request, body)
    if "sdp" not in parts:
        raise missing_parameter("sdp")
    session = parts.get("session")
    return _Request(_checked(_decoded(parts["sdp"])), None if session is None else parse_object(session, "session"))


async def _read_body(request: Request) -> bytes:
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > _LARGEST_BODY:
                raise _TooLargeError(f"The body has more than {_LARGEST_BODY:,} bytes.")
    except ClientDisconnect as error:
        raise ApiError("The client was gone before it had sent everything.") from error
    return body


async def _read_parts(request: Request, body: bytes) -> dict[str, bytes]:
    """Return the parts of a form by their names, be they plain strings or files."""

    async def whole() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(
        request.headers, whole(), max_files=_MOST_PARTS, max_fields=_MOST_PARTS, max_part_size=_LARGEST_BODY
    )
    try:
        form = await parser.parse()
    except (MultiPartException, ValueError) as error:
        message = f"We could not parse the form in the body of your request: {error}"
        raise ApiError(message) from error
    try:
        return {
            name: await value.read() if isinstance(value, UploadFile) else value.encode()
            for name, value in form.multi_items()
        }
    finally:
        await form.close()


def _decoded(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise _invalid_offer() from None


def _checked(offer: str) -> str:
    """Return the offer, with the line ends of the standard. Raises `ApiError` where its end is missing."""
    if not offer.endswith("\n"):
        # What a client makes of it that trims the offer: the API takes it byte for byte.
        raise ApiError("Failed to parse offer: failed to unmarshal SDP: EOF", code="invalid_offer")
    return offer.replace("\r\n", "\n").replace("\n", "\r\n")


def _invalid_offer() -> ApiError:
    return ApiError("Invalid SDP offer. Please try again with a WHIP-compliant offer.", code="invalid_offer")
