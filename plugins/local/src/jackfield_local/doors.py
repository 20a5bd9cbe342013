"""The WebSocket doors: who is let in to which session, and how each door says no.

The plain door answers 101 to everybody, as the API does, and refuses by an `error` event and a close code. The Azure
door refuses by HTTP statuses. Behind them, sessions are the same.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final, Literal

from attrs import frozen
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket

from jackfield_local.auth import ClientSecret, Keyring, azure_key, browser_key, header_key
from jackfield_local.connection import Connection, RequestHeaders, WebSocketChannel
from jackfield_local.engine.engine import Engine
from jackfield_local.engine.errors import ApiError
from jackfield_local.engine.ids import IdSource
from jackfield_local.faults import Fault, Faults
from jackfield_local.session import Services, Session

__all__ = ["Doors"]

logger = logging.getLogger(__name__)

_FAMILIES: Final = ("gpt-realtime", "gpt-audio")
_RETIRED: Final = ("gpt-4o-realtime", "gpt-4o-mini-realtime")


@frozen
class _Refusal(Exception):  # noqa: N818 - the answer of a door
    error: ApiError
    close_code: int

    @property
    def reason(self) -> str:
        return self.error.type if self.error.code is None else f"{self.error.type}.{self.error.code}"


@frozen
class _Admission:
    """What a client is let in to: a session of type `kind`, beginning with `config`."""

    kind: str
    model: str
    config: Mapping[str, Any] | None


class Doors:
    """Lets WebSocket clients in.

    `models` are the model names that exist, None for the API's families of names; `deployments` are Azure's, None for
    any name. `services` makes what a session works with. `opened` is told of each connection.
    """

    def __init__(
        self,
        *,
        keyring: Keyring,
        faults: Faults,
        opened: Callable[[Connection], None],
        services: Callable[[], Services],
        models: Collection[str] | None,
        deployments: Collection[str] | None,
        session_seconds: float,
        mcp_follow_up: Literal["server", "client"],
        record: bool,
    ) -> None:
        self._keyring = keyring
        self._faults = faults
        self._opened = opened
        self._services = services
        self._models = models
        self._deployments = deployments
        self._session_seconds = session_seconds
        self._mcp_follow_up = mcp_follow_up
        self._record = record

    async def realtime(self, websocket: WebSocket) -> None:
        """Answer `/v1/realtime`."""
        faults = self._faults.for_connection()
        if await self._refused_by_fault(websocket, faults):
            return
        if "call_id" in websocket.query_params:
            message = "No session found for the provided call_id"
            error = ApiError(message, code="call_id_not_found")
            await websocket.send_denial_response(JSONResponse(error.to_body(), 404))
            return
        subprotocol = "realtime" if "realtime" in websocket.scope["subprotocols"] else None
        await websocket.accept(subprotocol)
        connection = self._open(websocket, subprotocol)
        try:
            admission = self._admit(websocket)
        except _Refusal as refusal:
            await _refuse(WebSocketChannel(websocket, connection, ()), refusal)
            return
        await self._hold(websocket, connection, admission, faults)

    async def azure(self, websocket: WebSocket) -> None:
        """Answer `/openai/v1/realtime`."""
        faults = self._faults.for_connection()
        if await self._refused_by_fault(websocket, faults):
            return
        query = websocket.query_params
        denial: JSONResponse | None = None
        secret: ClientSecret | None = None
        if "api-version" in query:
            denial = azure_error(401, "The GA path /openai/v1/realtime takes no api-version. Leave it out.")
        else:
            try:
                secret = self._keyring.check(azure_key(websocket.headers, query))
            except ApiError:
                denial = azure_error(401, "Access denied due to invalid subscription key or wrong API endpoint.")
        model = query.get("model") or (secret.session["model"] if secret is not None else "")
        if denial is None and not (model and (self._deployments is None or model in self._deployments)):
            denial = azure_error(
                404, "The API deployment for this resource does not exist. Give it as ?model=.", "DeploymentNotFound"
            )
        if denial is not None:
            await websocket.send_denial_response(denial)
            return
        await websocket.accept()
        connection = self._open(websocket, None)
        await self._hold(websocket, connection, _admission(model, secret), faults)

    async def azure_preview(self, websocket: WebSocket) -> None:
        """Answer `/openai/realtime`, the path of the preview API, which is no more."""
        await websocket.send_denial_response(preview_gone())

    def _admit(self, websocket: WebSocket) -> _Admission:
        """Return what the client of the plain door may have. Raises `_Refusal`."""
        if "openai-beta" in websocket.headers:
            message = "The Realtime Beta API is no longer supported. Please use /v1/realtime for the GA API."
            raise _Refusal(ApiError(message, code="beta_api_shape_disabled"), 4000)
        try:
            secret = self._keyring.check(header_key(websocket.headers) or browser_key(websocket.scope["subprotocols"]))
        except ApiError as error:
            raise _Refusal(error, 3000) from error
        query = websocket.query_params
        if query.get("intent") == "transcription":
            return _admission("", secret, "transcription")
        if secret is not None and secret.session["type"] == "transcription":
            return _admission("", secret, "transcription")
        model = query.get("model") or (secret.session["model"] if secret is not None else "")
        if not model:
            example = f"{websocket.url.scheme}://{websocket.url.netloc}/v1/realtime?model=gpt-realtime"
            message = f"You must provide a model parameter, for example {example}"
            raise _Refusal(ApiError(message, code="missing_model"), 4000)
        if self._models is None and model.startswith(_RETIRED):
            message = f"The model `{model}` does not exist or you do not have access to it."
            raise _Refusal(ApiError(message, code="model_not_found"), 4004)
        if not (model.startswith(_FAMILIES) if self._models is None else model in self._models):
            message = f'Model "{model}" is not supported in realtime mode. Use one such as gpt-realtime.'
            raise _Refusal(ApiError(message, code="invalid_model"), 4000)
        return _admission(model, secret)

    def _open(self, websocket: WebSocket, subprotocol: str | None) -> Connection:
        connection = Connection(
            path=websocket.url.path,
            query=dict(websocket.query_params),
            request_headers=RequestHeaders(websocket.headers.items()),
            subprotocol=subprotocol,
            record=self._record,
        )
        self._opened(connection)
        return connection

    async def _hold(
        self, websocket: WebSocket, connection: Connection, admission: _Admission, faults: list[Fault]
    ) -> None:
        filters = [fault.make_filter() for fault in faults if fault.make_filter is not None]
        channel = WebSocketChannel(websocket, connection, filters)
        limits = [fault.session_seconds for fault in faults if fault.session_seconds is not None]
        seconds = min([self._session_seconds, *limits])
        try:
            engine = Engine(
                kind=admission.kind,
                model=admission.model,
                config=admission.config,
                session_seconds=seconds,
                mcp_follow_up=self._mcp_follow_up,
            )
        except ApiError as error:
            # The configuration of the client secret doesn't suit the model that the connection asks for.
            await _refuse(channel, _Refusal(error, 4000))
            return
        try:
            await Session(engine, channel, self._services(), seconds=seconds).run()
        except* Exception:
            logger.exception("A session failed")
            failure = ApiError("The server had an error. Sorry about that!", type="server_error", code="server_error")
            await _refuse(channel, _Refusal(failure, 1011))
        finally:
            connection.note_closed(1006, "")

    async def _refused_by_fault(self, websocket: WebSocket, faults: list[Fault]) -> bool:
        status = next((fault.http_status for fault in faults if fault.http_status is not None), None)
        if status is None:
            return False
        error = ApiError(
            f"Refused with status {status}, as this server was told to.",
            type="rate_limit_error" if status == 429 else "server_error",
            code="rate_limit_exceeded" if status == 429 else None,
        )
        headers = {"retry-after": "1"} if status in {429, 503} else None
        await websocket.send_denial_response(JSONResponse(error.to_body(), status, headers))
        return True


def azure_error(status: int, message: str, code: str | None = None) -> JSONResponse:
    """Return a refusal in Azure's form."""
    return JSONResponse({"error": {"code": code or str(status), "message": message}}, status)


def preview_gone() -> JSONResponse:
    """Return what the preview path of Azure answers."""
    return azure_error(
        404,
        "Resource not found: the preview path is gone. Use /openai/v1/realtime?model=<deployment> without api-version.",
    )


def _admission(model: str, secret: ClientSecret | None, kind: str = "realtime") -> _Admission:
    config = None if secret is None or secret.session["type"] != kind else secret.session
    return _Admission(kind, model, config)


async def _refuse(channel: WebSocketChannel, refusal: _Refusal) -> None:
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
