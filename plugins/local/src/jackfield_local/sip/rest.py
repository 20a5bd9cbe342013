"""The REST endpoints of phone calls: `POST …/realtime/calls/{call_id}/accept`, `reject` and `refer`.

Nothing of SIP is imported here, so that they are there, and know no call, also where there is no SIP door.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol, runtime_checkable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from jackfield_local.auth import header_key
from jackfield_local.engine.config import DEFAULT_MODEL
from jackfield_local.engine.errors import ApiError, invalid_type, missing_parameter, unknown_parameter
from jackfield_local.engine.schema import integer, record, string
from jackfield_local.faults import Fault
from jackfield_local.live_calls import LiveCalls, call_not_found
from jackfield_local.reception import Admission, Reception, refusal_by_fault
from jackfield_local.rest import parse_object

__all__ = ["CALL_TAKEN", "PhoneCalls", "RingingCall"]

CALL_TAKEN: Final = "call_already_accepted"
_NOT_FOUND: Final = "call_id_not_found"
_REJECTION: Final = record({"status_code": integer(400, 699)})
_TRANSFER: Final = record({"target_uri": string()}, required=("target_uri",))
_DECLINE: Final = 603
_TUNING: Final = ("threshold", "prefix_padding_ms", "silence_duration_ms")


@runtime_checkable
class RingingCall(Protocol):
    """A call that waits to be accepted or rejected, and can then be referred."""

    async def accept(self, admission: Admission, faults: Sequence[Fault]) -> None:
        """Answer it with a session. Raises `ApiError`."""
        ...

    def reject(self, status_code: int) -> None:
        """Refuse it with a SIP status. Raises `ApiError`."""
        ...

    def refer(self, target: str) -> None:
        """Have the caller call somebody else. Raises `ApiError`."""
        ...

    def fail(self) -> None:
        """Break it off before it has begun, as a session does that can't be made."""
        ...


class PhoneCalls:
    """What can be done with the phone calls among `calls`."""

    def __init__(self, reception: Reception, calls: LiveCalls) -> None:
        self._reception = reception
        self._calls = calls

    async def accept(self, request: Request) -> Response:
        """Answer `…/accept`."""
        faults = self._reception.faults.for_connection()
        if (refused := refusal_by_fault(faults)) is not None:
            return refused

        async def accept(call: RingingCall, body: dict[str, Any]) -> None:
            if "type" not in body:
                if any(fault.accepts_blindly for fault in faults):
                    call.fail()
                    return
                raise missing_parameter("session.type")
            _refuse_tuning(body)
            await call.accept(self._admission(body), faults)

        return await self._do(request, accept)

    async def reject(self, request: Request) -> Response:
        """Answer `…/reject`."""

        async def reject(call: RingingCall, body: dict[str, Any]) -> None:
            _REJECTION(body, "")
            call.reject(body.get("status_code", _DECLINE))

        return await self._do(request, reject)

    async def refer(self, request: Request) -> Response:
        """Answer `…/refer`."""

        async def refer(call: RingingCall, body: dict[str, Any]) -> None:
            _TRANSFER(body, "")
            call.refer(body["target_uri"])

        return await self._do(request, refer)

    async def _do(self, request: Request, action: Callable[[RingingCall, dict[str, Any]], Awaitable[None]]) -> Response:
        try:
            if self._reception.keyring.check(header_key(request.headers)) is not None:
                raise ApiError("An ephemeral key can't control calls. Use an API key.", code="invalid_api_key")
        except ApiError as error:
            return JSONResponse(error.to_body(), 401)
        try:
            call = self._calls.find(request.path_params["call_id"])
            if not isinstance(call, RingingCall):
                raise call_not_found()
            body = await request.body()
            await action(call, parse_object(body, "body") if body else {})
        except ApiError as error:
            return JSONResponse(error.to_body(), _status(error))
        return Response(status_code=200)

    def _admission(self, config: Mapping[str, Any]) -> Admission:
        model = config.get("model", DEFAULT_MODEL)
        if not isinstance(model, str):
            raise invalid_type("session.model", "a string", model)
        self._reception.check_model(model)
        return Admission("realtime", model, config)


def _refuse_tuning(config: Mapping[str, Any]) -> None:
    """Refuse what the API takes in a `session.update` of a call, and not when the call is accepted."""
    audio = config.get("audio")
    side = audio.get("input") if isinstance(audio, dict) else None
    detection = side.get("turn_detection") if isinstance(side, dict) else None
    for name in _TUNING:
        if isinstance(detection, dict) and name in detection:
            raise unknown_parameter(f"session.audio.input.turn_detection.{name}")


def _status(error: ApiError) -> int:
    return {_NOT_FOUND: 404, CALL_TAKEN: 409}.get(error.code or "", 400)
