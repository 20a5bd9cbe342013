"""`SipCallServer`: the ASGI application that the provider's webhook reaches when a phone call rings.

It verifies, deduplicates and admits; a call's own life is in `call`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from jackfield import RealtimeAgent, RealtimeSession
from jackfield.hooks import RealtimeRunHooks
from jackfield.observers import SessionObserver
from jackfield.task_scope import TaskScope
from jackfield.transport import ApiKey, ConfigurationError
from jackfield_transports.sideband.application import BodyRefused, CallApplication, read_body
from jackfield_transports.sideband.calls import CallsClient
from jackfield_transports.sideband.ending import tried
from jackfield_transports.websocket.transport import SocketSettings

from .call import AgentFor, CallSettings, Leash, OnEnd, OnSession, PhoneCall
from .config import check_turn_detection
from .incoming import IncomingCall
from .webhooks import Recent, WebhookReplayedError, Webhooks, WebhookVerificationError

__all__ = ["SipCallServer"]

logger = logging.getLogger("jackfield.sip")

_LARGEST_WEBHOOK: Final = 256 * 1024
_WEBHOOK_SECONDS: Final = 10.0
_RETRY_AFTER: Final = 1
_ENDING_SECONDS: Final = 12.0
_REMEMBERED_SECONDS: Final = 3600.0
"""How long a call's id is known after it rang: a webhook may come again much later, and under another id."""
FAREWELL: Final = "Say in one short, friendly sentence that you have to end the call now, and say goodbye."


class SipCallServer(CallApplication):
    """Answers phone calls: `agent` has each, from the provider's webhook to the end of the call.

    Give the provider the address of this application, and run it: `uvicorn module:server`, or `jackfield serve-calls
    module:agent`; or have a route lead to it, `Route("/webhook", server)`, and give the application its `lifespan`.

    `agent` is one, or a function of the `IncomingCall` that returns one; where it returns None the call is declined.
    `model`, `config`, `hooks` and `observers` are as for `RealtimeSession`. Tools' context is the `PhoneCall`, or what
    `context(call)` makes. `greeting`: True has the agent speak first, text are instructions for that, and with False
    it waits for the caller. `webhooks` verify; by default with the secrets in OPENAI_WEBHOOK_SECRET. `api_key` and
    `base_url` are those of `CallsClient`.

    Beyond `max_calls` callers hear `busy_status`: 486 is busy, 503 has a trunk take its next route. An agent that can't
    join its call within `attach_seconds` gives it up; a sideband that is lost later is joined again, for
    `rejoin_seconds`. `leash` bounds what a call may cost. `on_session(session)` is called with each session once it has
    joined; what it raises ends the call. `on_end(call)` is told how each ended (`call.end`). `socket` has options for
    the sideband's WebSocket, whose `proxy` and `ssl` hold for HTTP as well; `http` is a client of your own.

    At the end (`aclose`, the lifespan's end, SIGTERM) no more calls are admitted: the provider is told to deliver its
    webhooks again, elsewhere. Calls have `drain_seconds` to end by themselves. Then the agent says goodbye as
    `farewell` has it (None: not a word), for `farewell_seconds` at most, and hangs up.
    """

    def __init__(
        self,
        agent: AgentFor,
        *,
        webhooks: Webhooks | None = None,
        model: str | None = None,
        config: Mapping[str, Any] | None = None,
        context: Callable[[PhoneCall], Any] | None = None,
        hooks: RealtimeRunHooks[Any] | None = None,
        observers: Iterable[SessionObserver] | None = None,
        api_key: ApiKey | None = None,
        base_url: str | None = None,
        greeting: str | bool = True,
        max_calls: int = 100,
        busy_status: int = 486,
        attach_seconds: float = 10.0,
        rejoin_seconds: float = 20.0,
        drain_seconds: float = 15.0,
        farewell: str | None = FAREWELL,
        farewell_seconds: float = 8.0,
        leash: Leash | None = None,
        on_session: OnSession | None = None,
        on_end: OnEnd | None = None,
        socket: SocketSettings | None = None,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        if not isinstance(agent, RealtimeAgent) and not callable(agent):
            raise ConfigurationError(f"agent is a RealtimeAgent, or a function that returns one, not {agent!r:.80}")
        if max_calls < 1 or drain_seconds < 0 or farewell_seconds <= 0:
            raise ConfigurationError("max_calls is at least 1, drain_seconds 0, and farewell_seconds above 0")
        check_turn_detection((config or {}).get("model_settings") or {})
        socket = socket or SocketSettings()
        self._webhooks = webhooks or Webhooks()
        self._calls = CallsClient(
            api_key=api_key, base_url=base_url, http=http, proxy=socket.get("proxy", True), ssl=socket.get("ssl")
        )
        make_session = functools.partial(
            RealtimeSession,
            model=model,
            config=config,
            hooks=hooks,
            observers=None if observers is None else tuple(observers),
        )
        self._settings = CallSettings(
            calls=self._calls,
            agent=agent,
            make_session=make_session,
            context=context,
            greeting=greeting,
            attach_seconds=attach_seconds,
            rejoin_seconds=rejoin_seconds,
            leash=leash or Leash(),
            socket=socket,
            on_session=on_session,
            on_end=on_end,
        )
        self._max_calls = max_calls
        self._busy_status = busy_status
        self._drain_seconds = drain_seconds
        self._farewell = farewell
        self._farewell_seconds = farewell_seconds
        self._draining = False
        self._scope = TaskScope()
        self._live: dict[str, PhoneCall] = {}
        self._rang = Recent(_REMEMBERED_SECONDS, self._webhooks.clock)
        self._fewer = asyncio.Event()
        self._app = Starlette(routes=[Route("/{path:path}", self._webhook, methods=["POST"])], lifespan=self.lifespan)

    @property
    def calls(self) -> tuple[PhoneCall, ...]:
        """The calls that take up a slot."""
        return tuple(self._live.values())

    async def drain(self) -> None:
        """Admit no more calls, and return once those that there are have ended. Bounded, as the options say."""
        self._draining = True
        if await self._emptied(self._drain_seconds):
            return
        logger.info("%d calls go on: their agents say goodbye", len(self._live))
        goodbyes = [call.say_goodbye(self._farewell, self._farewell_seconds) for call in self.calls]
        await asyncio.gather(*goodbyes)
        for call in self.calls:
            call.finish("shutdown", "the server was closed")
        await self._emptied(_ENDING_SECONDS)

    async def aclose(self) -> None:
        """Drain, and end what is left. Idempotent, and bounded."""
        if not self._scope.closed:
            await self.drain()
        await self._scope.aclose(_ENDING_SECONDS)
        await self._calls.aclose()

    async def _webhook(self, request: Request) -> Response:
        try:
            # The signature is that of these bytes.
            body = await read_body(request, largest=_LARGEST_WEBHOOK, seconds=_WEBHOOK_SECONDS)
            incoming = self._webhooks.unwrap(body, request.headers)
        except BodyRefused as refused:
            return _told(f"the webhook {refused.reason}", refused.status)
        except WebhookReplayedError:
            return _told("this was delivered before")
        except WebhookVerificationError as error:
            logger.warning("a webhook was refused: %s", error)
            return _told("refused", error.status)
        if incoming is None:
            return _told("nothing is done about such events here")
        if self._draining:
            self._webhooks.forget(incoming.webhook_id)
            return PlainTextResponse("elsewhere", 503, {"Retry-After": str(_RETRY_AFTER)})
        if not self._rang.claim(incoming.call_id):
            return _told("this call was announced before")
        if len(self._live) >= self._max_calls:
            logger.warning("call %s is turned away: %d calls go on", incoming.call_id, len(self._live))
            turning_away = self._calls.reject(incoming.call_id, self._busy_status)
            self._scope.spawn(tried("turning a call away", turning_away), name="jackfield sip: busy")
            return _told("all lines are busy")
        self._begin(incoming)
        return _told("the call is answered")

    def _begin(self, incoming: IncomingCall) -> None:
        call = PhoneCall(incoming, self._settings, self._ended)
        self._live[incoming.call_id] = call
        self._scope.spawn(call.run(), name="jackfield sip: call")
        logger.info("call %s rings", incoming.call_id)

    def _ended(self, call: PhoneCall) -> None:
        del self._live[call.incoming.call_id]
        self._fewer.set()

    async def _emptied(self, seconds: float) -> bool:
        """Wait for all calls to end; return whether they did."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._live:
                    self._fewer.clear()
                    await self._fewer.wait()
        return not self._live


def _told(what: str, status: int = 200) -> Response:
    return PlainTextResponse(what, status)
