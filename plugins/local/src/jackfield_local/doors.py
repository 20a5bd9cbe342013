"""The WebSocket doors: who is let in to which session, and how each door says no.

The plain door answers 101 to everybody, as the API does, and refuses by an `error` event and a close code. The Azure
door refuses by HTTP statuses. Behind them, sessions are the same.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from attrs import frozen
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket

from jackfield_local.auth import ClientSecret, azure_key, browser_key, header_key
from jackfield_local.channel import ClientChannel, WebSocketWire
from jackfield_local.connection import Connection, RequestHeaders
from jackfield_local.engine.errors import ApiError, server_failure
from jackfield_local.engine.ids import IdSource
from jackfield_local.faults import Fault
from jackfield_local.live_calls import LiveCall, LiveCalls, call_not_found
from jackfield_local.reception import Admission, Reception, admission_by_secret, filters_of, refusal_by_fault
from jackfield_local.session import Session

__all__ = ["Doors"]

logger = logging.getLogger(__name__)


@frozen
class _Refusal(Exception):  # noqa: N818 - the answer of a door
    error: ApiError
    close_code: int

    @property
    def reason(self) -> str:
        return self.error.type if self.error.code is None else f"{self.error.type}.{self.error.code}"


class Doors:
    """Lets WebSocket clients in: to sessions of their own, or to one of the `calls`."""

    def __init__(self, reception: Reception, calls: LiveCalls) -> None:
        self._reception = reception
        self._calls = calls

    async def realtime(self, websocket: WebSocket) -> None:
        """Answer `/v1/realtime`."""
        faults = self._reception.faults.for_connection()
        if (refused := refusal_by_fault(faults)) is not None:
            await websocket.send_denial_response(refused)
            return
        if "call_id" in websocket.query_params:
            await self._sideband(websocket, faults)
            return
        connection = await self._open(websocket)
        try:
            admission = self._admit(websocket)
        except _Refusal as refusal:
            await _refuse(ClientChannel(WebSocketWire(websocket, connection), connection), refusal)
            return
        await self._hold(websocket, connection, admission, faults)

    async def azure(self, websocket: WebSocket) -> None:
        """Answer `/openai/v1/realtime`."""
        faults = self._reception.faults.for_connection()
        if (refused := refusal_by_fault(faults)) is not None:
            await websocket.send_denial_response(refused)
            return
        query = websocket.query_params
        denial: JSONResponse | None = None
        secret: ClientSecret | None = None
        if "api-version" in query:
            denial = azure_error(401, "The GA path /openai/v1/realtime takes no api-version. Leave it out.")
        else:
            try:
                secret = self._reception.keyring.check(azure_key(websocket.headers, query))
            except ApiError:
                denial = azure_error(401, "Access denied due to invalid subscription key or wrong API endpoint.")
        model = query.get("model") or (secret.session["model"] if secret is not None else "")
        deployments = self._reception.deployments
        if denial is None and not (model and (deployments is None or model in deployments)):
            denial = azure_error(
                404, "The API deployment for this resource does not exist. Give it as ?model=.", "DeploymentNotFound"
            )
        if denial is not None:
            await websocket.send_denial_response(denial)
            return
        connection = await self._open(websocket)
        await self._hold(websocket, connection, admission_by_secret(model, secret), faults)

    async def azure_preview(self, websocket: WebSocket) -> None:
        """Answer `/openai/realtime`, the path of the preview API, which is no more."""
        await websocket.send_denial_response(preview_gone())

    async def _sideband(self, websocket: WebSocket, faults: Sequence[Fault]) -> None:
        """Let a client join a call, or tell it by the HTTP status that there is none with that id, or not yet."""
        call_id = websocket.query_params["call_id"]
        try:
            call = self._calls.find(call_id)
            # The beta header leads to a part of the API that knows no such calls.
            if not call.live or "openai-beta" in websocket.headers:
                raise call_not_found()
        except ApiError as error:
            await websocket.send_denial_response(JSONResponse(error.to_body(), 404))
            return
        connection = await self._open(websocket, call_id)
        channel = ClientChannel(WebSocketWire(websocket, connection), connection, filters_of(faults))
        try:
            key = header_key(websocket.headers) or browser_key(websocket.scope["subprotocols"])
            if self._reception.keyring.check(key) is not None:
                raise ApiError("An ephemeral key can't join a call. Use an API key.", code="invalid_api_key")
        except ApiError as error:
            await _refuse(channel, _Refusal(error, 3000))
            return
        await _join(call, channel, connection)

    def _admit(self, websocket: WebSocket) -> Admission:
        """Return what the client of the plain door may have. Raises `_Refusal`."""
        if "openai-beta" in websocket.headers:
            message = "The Realtime Beta API is no longer supported. Please use /v1/realtime for the GA API."
            raise _Refusal(ApiError(message, code="beta_api_shape_disabled"), 4000)
        try:
            key = header_key(websocket.headers) or browser_key(websocket.scope["subprotocols"])
            secret = self._reception.keyring.check(key)
        except ApiError as error:
            raise _Refusal(error, 3000) from error
        query = websocket.query_params
        if query.get("intent") == "transcription":
            return admission_by_secret("", secret, "transcription")
        if secret is not None and secret.session["type"] == "transcription":
            return admission_by_secret("", secret, "transcription")
        model = query.get("model") or (secret.session["model"] if secret is not None else "")
        if not model:
            example = f"{websocket.url.scheme}://{websocket.url.netloc}/v1/realtime?model=gpt-realtime"
            message = f"You must provide a model parameter, for example {example}"
            raise _Refusal(ApiError(message, code="missing_model"), 4000)
        try:
            self._reception.check_model(model)
        except ApiError as error:
            raise _Refusal(error, 4004 if error.code == "model_not_found" else 4000) from error
        return admission_by_secret(model, secret)

    async def _open(self, websocket: WebSocket, call_id: str | None = None) -> Connection:
        """Accept a client and note its connection."""
        plain = websocket.url.path == "/v1/realtime"
        subprotocol = "realtime" if plain and "realtime" in websocket.scope["subprotocols"] else None
        await websocket.accept(subprotocol)
        connection = Connection(
            path=websocket.url.path,
            query=dict(websocket.query_params),
            request_headers=RequestHeaders(websocket.headers.items()),
            subprotocol=subprotocol,
            call_id=call_id,
            record=self._reception.record,
        )
        self._reception.opened(connection)
        return connection

    async def _hold(
        self, websocket: WebSocket, connection: Connection, admission: Admission, faults: Sequence[Fault]
    ) -> None:
        channel = ClientChannel(WebSocketWire(websocket, connection), connection, filters_of(faults))
        seconds = self._reception.seconds(faults)
        try:
            engine = self._reception.engine(admission, faults)
        except ApiError as error:
            # The configuration of the client secret doesn't suit the model that the connection asks for.
            await _refuse(channel, _Refusal(error, 4000))
            return
        try:
            await Session(engine, channel, self._reception.services(), seconds=seconds).run()
        except* Exception:
            logger.exception("A session failed")
            await _refuse(channel, _Refusal(server_failure(), 1011))
        finally:
            connection.note_closed(1006, "")


def azure_error(status: int, message: str, code: str | None = None) -> JSONResponse:
    """Return a refusal in Azure's form."""
    return JSONResponse({"error": {"code": code or str(status), "message": message}}, status)


def preview_gone() -> JSONResponse:
    """Return what the preview path of Azure answers."""
    return azure_error(
        404,
        "Resource not found: the preview path is gone. Use /openai/v1/realtime?model=<deployment> without api-version.",
    )


async def _join(call: LiveCall, channel: ClientChannel, connection: Connection) -> None:
    try:
        await call.join(channel)
        if not connection.closed:
            # It could not keep up, so that a close frame would not reach it either.
            await connection.drop()
    except* ConnectionError:
        logger.debug("The client of a sideband is gone")
    except* Exception:
        logger.exception("A sideband failed")
    finally:
        connection.note_closed(1006, "")


async def _refuse(channel: ClientChannel, refusal: _Refusal) -> None:
    event = {"type": "error", "event_id": IdSource().event(), "error": refusal.error.to_wire()}
    try:
        await channel.write(event)
        await channel.close(refusal.close_code, refusal.reason)
        await _drain(channel.receive)
    except ConnectionError:
        logger.debug("The client was gone before it could be refused")


async def _drain(receive: Callable[[], Awaitable[object]]) -> None:
    """Read on until the client has answered the close frame, for a moment at most."""
    try:
        async with asyncio.timeout(1):
            while await receive() is not None:
                pass
    except TimeoutError:
        logger.debug("The client did not answer the close frame")
