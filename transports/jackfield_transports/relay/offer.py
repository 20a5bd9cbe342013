"""`BrowserOffer`: the ASGI application that a browser sends its offer to.

It answers over HTTP and keeps count of the calls; a call's own life is in `call`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from jackfield import RealtimeAgent, RealtimeSession
from jackfield.hooks import RealtimeRunHooks
from jackfield.observers import SessionObserver
from jackfield.task_scope import TaskScope
from jackfield.transport import ApiKey, ConfigurationError, RealtimeTransportLayer
from jackfield_transports.sideband.application import BodyRefused, CallApplication, read_body
from jackfield_transports.sideband.calls import CallsClient
from jackfield_transports.sideband.ending import settled
from jackfield_transports.sideband.leash import Leash
from jackfield_transports.websocket.transport import SocketSettings

from .answers import refusal, refusal_of
from .call import BrowserCall, OnEnd, OnSession

__all__ = ["BrowserOffer"]

AgentFor: TypeAlias = RealtimeAgent | Callable[[Request], RealtimeAgent | Awaitable[RealtimeAgent]]

_OFFER = "application/sdp"
_LARGEST_OFFER = 64 * 1024
_CREATE_SECONDS = 15.0
_OFFER_SECONDS = 10.0
_DRAIN_SECONDS = 12.0
_RETRY_AFTER = 5


class BrowserOffer(CallApplication):
    """Relays browsers' WebRTC offers to the provider, and has `agent` drive each call from here.

    Mount it: `app.mount("/call", relay)`. `POST` an SDP offer (`application/sdp`) and get 201 with the answer, and a
    `Location` of ours: `DELETE` that, or `POST` to its `/hangup` (which a closing page can, with `sendBeacon`), to hang
    up. Give the application its `lifespan`, or call `aclose()` at the end: that hangs up all calls.

    `agent` is one, or a function of the request that returns one; `context(request)` makes each session's context.
    `model`, `config`, `hooks` and `observers` are as for `RealtimeSession`. `api_key`, or OPENAI_API_KEY, never leaves
    the server; `base_url`, or OPENAI_BASE_URL, is the API's. `authorize(request)` is asked before anything else: where
    it returns False the answer is 403, and it may raise starlette's `HTTPException`. Without it whoever reaches this
    application calls at your expense. `allow_origins` are pages of other origins that may call.

    `on_session(session)` is called with each session once it has joined its call; what it raises ends the call.
    `on_end(call)` is told how each call ended (`call.end`). A call that the agent can't join within `attach_seconds` of
    its answer is hung up, and so is one at the end of its `leash`. Beyond `max_calls` the answer is 503. `socket` has
    options for the sideband's WebSocket, whose `proxy` and `ssl` hold for HTTP as well; `http` is a client of your own.
    """

    def __init__(
        self,
        agent: AgentFor,
        *,
        model: str | None = None,
        config: Mapping[str, Any] | None = None,
        context: Callable[[Request], Any] | None = None,
        hooks: RealtimeRunHooks[Any] | None = None,
        observers: Iterable[SessionObserver] | None = None,
        api_key: ApiKey | None = None,
        base_url: str | None = None,
        authorize: Callable[[Request], bool | Awaitable[bool]] | None = None,
        allow_origins: Sequence[str] = (),
        leash: Leash | None = None,
        attach_seconds: float = 10.0,
        max_calls: int = 100,
        on_session: OnSession | None = None,
        on_end: OnEnd | None = None,
        socket: SocketSettings | None = None,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        if not isinstance(agent, RealtimeAgent) and not callable(agent):
            raise ConfigurationError(f"agent is a RealtimeAgent, or a function that returns one, not {agent!r:.80}")
        if attach_seconds <= 0 or max_calls < 1:
            raise ConfigurationError("attach_seconds is above 0, and max_calls at least 1")
        self._agent = agent
        self._session_options: dict[str, Any] = {
            "model": model,
            "config": config,
            "hooks": hooks,
            "observers": None if observers is None else tuple(observers),
        }
        self._context = context
        self._authorize = authorize
        self._leash = leash or Leash()
        self._attach_seconds = attach_seconds
        self._max_calls = max_calls
        self._on_session = on_session
        self._on_end = on_end
        self._socket = socket or SocketSettings()
        proxy, trust = self._socket.get("proxy", True), self._socket.get("ssl")
        self._calls = CallsClient(api_key=api_key, base_url=base_url, http=http, proxy=proxy, ssl=trust)
        self._scope = TaskScope()
        self._live: dict[str, tuple[BrowserCall, asyncio.Task[None]]] = {}
        self._app = Starlette(
            routes=[
                Route("/", self._offer, methods=["POST"]),
                Route("/{handle}", self._hang_up, methods=["DELETE"]),
                Route("/{handle}/hangup", self._hang_up, methods=["POST"]),
            ],
            middleware=[
                Middleware(
                    CORSMiddleware,
                    allow_origins=allow_origins,
                    allow_methods=["POST", "DELETE"],
                    allow_headers=["Authorization", "Content-Type"],
                    expose_headers=["Location", "Retry-After"],
                )
            ],
            lifespan=self.lifespan,
        )

    @property
    def calls(self) -> tuple[BrowserCall, ...]:
        """The calls that have not ended."""
        return tuple(call for call, _ in self._live.values())

    async def aclose(self) -> None:
        """Take no more offers, and hang up all calls. Bounded, and idempotent."""
        self._scope.close()
        live = list(self._live.values())
        for call, _ in live:
            call.finish("shutdown", "the relay was closed")
        if live:
            await asyncio.wait([task for _, task in live], timeout=_DRAIN_SECONDS)
        await self._scope.aclose()
        await self._calls.aclose()

    async def _offer(self, request: Request) -> Response:
        """Answer an offer."""
        if self._authorize is not None and not await settled(self._authorize(request)):
            return refusal(403, "this call is not allowed")
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _OFFER:
            return refusal(415, f"an offer is {_OFFER}: send the SDP as it is, with that content type")
        try:
            offer = await read_body(request, largest=_LARGEST_OFFER, seconds=_OFFER_SECONDS)
        except BodyRefused as refused:
            return refusal(refused.status, f"the offer {refused.reason}")
        # Kept byte for byte: without its last line's end the provider can't read it.
        if not offer.startswith(b"v=0"):
            return refusal(400, "this is no SDP offer: it begins with v=0")
        agent = self._agent if isinstance(self._agent, RealtimeAgent) else await settled(self._agent(request))
        context = None if self._context is None else await settled(self._context(request))
        if self._scope.closed or len(self._live) >= self._max_calls:
            return refusal(503, "all lines are busy: try again soon", {"Retry-After": str(_RETRY_AFTER)})
        try:
            call = self._begin(offer, agent, context)
        except ConfigurationError as error:
            return refusal_of(error)
        await asyncio.wait([call.answer])
        if call.answer.cancelled():
            return refusal(503, "the server is shutting down", {"Retry-After": str(_RETRY_AFTER)})
        failure = call.answer.exception()
        if failure is not None:
            return refusal_of(failure)
        place = f"{request.scope.get('root_path', '')}/{call.handle}"
        return Response(call.answer.result(), 201, {"Location": place}, media_type=_OFFER)

    def _begin(self, offer: bytes, agent: RealtimeAgent, context: Any) -> BrowserCall:
        def make_session(transport: RealtimeTransportLayer) -> RealtimeSession:
            # The call itself has closer limits for creating and joining it.
            timeout = 2 * (_CREATE_SECONDS + self._attach_seconds)
            return RealtimeSession(
                agent, transport=transport, context=context, timeout=timeout, **self._session_options
            )

        call = BrowserCall(
            self._calls,
            offer,
            make_session,
            leash=self._leash,
            attach_seconds=self._attach_seconds,
            scope=self._scope,
            socket=self._socket,
            on_session=self._on_session,
            on_end=self._on_end,
        )
        task = self._scope.spawn(call.run(), name="jackfield relay: call")
        assert task is not None, "the scope was open, and nothing was awaited since"
        self._live[call.handle] = (call, task)
        task.add_done_callback(lambda _: self._live.pop(call.handle))
        return call

    async def _hang_up(self, request: Request) -> Response:
        """End the call of that handle."""
        found = self._live.get(request.path_params["handle"])
        if found is None:
            return refusal(404, "there is no such call, or no more")
        call, task = found
        call.finish("browser", "the browser hung up")
        await asyncio.wait([task])
        return Response(status_code=204)
