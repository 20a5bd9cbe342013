"""One browser's call, from its offer to its end: created, joined, watched, and hung up whatever happens."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Literal, TypeAlias

from attrs import field, frozen

from jackfield import RealtimeSession
from jackfield.openai import session_payload
from jackfield.task_scope import TaskScope
from jackfield.transport import ConnectOptions, RealtimeTransportLayer
from jackfield.transport.events import ConnectionChange
from jackfield_transports.endpoint import DEFAULT_MODEL
from jackfield_transports.sideband.calls import CallsClient
from jackfield_transports.sideband.ending import converse, tell_end, tried, words
from jackfield_transports.sideband.leash import Leash, LeashWatch
from jackfield_transports.sideband.transport import SidebandTransport
from jackfield_transports.websocket.transport import SocketSettings

__all__ = ["BrowserCall", "CallEnd", "EndReason", "OnEnd", "OnSession"]

logger = logging.getLogger("jackfield.relay")

EndReason: TypeAlias = Literal[
    "refused", "unattached", "remote", "browser", "application", "leash", "lost", "failed", "shutdown"
]
"""Why a call ended.

`refused`: the provider, or the agent's settings, would not have it. `unattached`: the agent could not join it in time.
`remote`: the browser or the provider ended it. `browser`: the browser asked us to hang up. `application`: the session
was closed here. `leash`: it was at its limit. `lost`: the sideband broke. `failed`: `on_session` raised.
`shutdown`: the relay was closed.
"""


_INSIST_SECONDS = 30.0
"""How long a call that was never joined is hung up again and again, until there is one to hang up."""


@frozen
class CallEnd:
    """How a call ended; `detail` says it in words, `error` is what was raised, where something was."""

    reason: EndReason
    detail: str
    error: BaseException | None = field(default=None, repr=False)


OnSession: TypeAlias = Callable[[RealtimeSession], Awaitable[object]]
OnEnd: TypeAlias = "Callable[[BrowserCall], object]"


class BrowserCall:
    """A call and its session.

    `handle` is its name towards the browser: who knows it may hang up, and nothing else. `call_id` is its name towards
    the provider, None until it was created. `session` is the agent's; `end` is how the call ended, once it has.
    `answer` is the SDP for the browser, as soon as there is one, or why there is none.

    `make_session` makes the session on a transport, which creates the call when it is connected, and joins it.
    """

    def __init__(
        self,
        calls: CallsClient,
        offer: bytes,
        make_session: Callable[[RealtimeTransportLayer], RealtimeSession],
        *,
        leash: Leash,
        attach_seconds: float,
        scope: TaskScope,
        socket: SocketSettings,
        on_session: OnSession | None,
        on_end: OnEnd | None,
    ) -> None:
        self.handle = secrets.token_urlsafe(24)
        self.call_id: str | None = None
        self.end: CallEnd | None = None
        self.session = make_session(SidebandTransport(self._create, calls.sideband, name="browser call", **socket))
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._calls = calls
        self._offer = offer
        self._attach_seconds = attach_seconds
        self._scope = scope
        self._on_session = on_session
        self._on_end = on_end
        self._joined = False
        self._over = asyncio.Event()
        self._watch = LeashWatch(leash, lambda reason: self.finish("leash", reason))
        self._attaching: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Hold the call until it ends."""
        self.session.transport.on("connection_change", self._connection_changed)
        self._scope.spawn(self._hold(), name="jackfield relay: session")
        try:
            await self._over.wait()
        finally:
            self.finish("shutdown", "the relay was closed")
            await self._clear_up()

    def finish(self, reason: EndReason, detail: str, error: BaseException | None = None) -> None:
        """End the call; the first reason counts."""
        if self.end is not None:
            return
        self.end = CallEnd(reason, detail, error)
        self._watch.close()
        if self._attaching is not None:
            self._attaching.cancel()
        self._over.set()

    async def _create(self, options: ConnectOptions) -> str:
        """Create the call as the session's first config has it, and hand out the answer; return the call's id."""
        config = options.initial_session_config or {}
        model = options.model or config.get("model") or DEFAULT_MODEL
        session = session_payload({**config, "model": model}, with_model=True, formats=False)
        created = await self._calls.create(self._offer, session)
        self.call_id = created.call_id
        self._watch.start(self.session)
        told = f"the agent could not join the call within {self._attach_seconds:g} s of its answer"
        loop = asyncio.get_running_loop()
        self._attaching = loop.call_later(self._attach_seconds, self.finish, "unattached", told)
        # The browser connects with the answer, and not before it has connected can the call be joined.
        self.answer.set_result(created.answer)
        return created.call_id

    async def _hold(self) -> None:
        session = self.session
        try:
            await session.enter()
        except Exception as error:  # noqa: BLE001 - whatever the agent's settings or the provider raise, it is told
            if self.answer.done():
                self.finish("unattached", f"the agent could not join the call: {words(error)}", error)
            else:
                self.finish("refused", words(error), error)
            return
        await converse(self, session, self._on_session)

    def _connection_changed(self, event: ConnectionChange) -> None:
        if event.status == "connected":
            self._joined = True
            if self._attaching is not None:
                self._attaching.cancel()
        if event.status != "disconnected" or not self._joined:
            return  # why it was never joined `enter` raises
        if event.initiated_by == "local":
            self.finish("application", "the session was closed")
        elif event.error is None:
            self.finish("remote", "the far end ended the call")
        else:
            self.finish("lost", words(event.error), event.error)

    async def _clear_up(self) -> None:
        """Close the session and hang up, both at once: neither waits for the other to fail."""
        end = self.end
        assert end is not None
        log = logger.info if end.error is None and end.reason != "unattached" else logger.warning
        log("call of session %s ended (%s): %s", self.session.id, end.reason, end.detail)
        work = [tried("closing the session", self.session.close())]
        if self.call_id is not None and end.reason == "unattached":
            # A slow browser may get through yet, to a call without its agent: that is waited for, without a slot.
            insisting = self._calls.hangup(self.call_id, insist_seconds=_INSIST_SECONDS)
            self._scope.spawn(tried("hanging up", insisting), name="jackfield relay: hang up")
        elif self.call_id is not None and end.reason != "remote":
            work.append(tried("hanging up", self._calls.hangup(self.call_id)))
        await asyncio.gather(*work)
        if self.answer.done():
            pass
        elif end.error is not None:
            self.answer.set_exception(end.error)
        else:
            self.answer.cancel()
        await tell_end(self, self._on_end)
