"""One phone call, from its ringing to its end: accepted, joined, greeted, watched, and hung up whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Literal, TypeAlias

from attrs import field, frozen

from jackfield import RealtimeAgent, RealtimeSession
from jackfield.errors import SessionStateError
from jackfield.task_scope import TaskScope
from jackfield.transport import ConnectOptions, TransportError
from jackfield.transport.events import ConnectionChange
from jackfield_transports.sideband.calls import CallsClient
from jackfield_transports.sideband.ending import converse, settled, tell_end, tried, words
from jackfield_transports.sideband.errors import CallGoneError, CallOutcomeUnknownError, CallTakenError
from jackfield_transports.sideband.leash import Leash, LeashWatch
from jackfield_transports.websocket.transport import SocketSettings

from .afterwards import Action, Afterwards, Hangup
from .config import accept_payload
from .incoming import IncomingCall
from .transport import SipTransport

__all__ = ["AgentFor", "CallEnd", "CallSettings", "EndReason", "Leash", "OnEnd", "OnSession", "PhoneCall"]

logger = logging.getLogger("jackfield.sip")

EndReason: TypeAlias = Literal[
    "declined", "gone", "taken", "unknown", "refused", "unattached",
    "remote", "application", "leash", "lost", "failed", "shutdown",
]  # fmt: skip
"""Why a call ended.

Before it was answered: `declined`: the agent function returned None. `gone`: the caller hung up, or another server
answered. `taken`: another server answered. `unknown`: the answer to our accept was lost. `refused`: the provider, or
the agent's settings, would not have it.

After that: `unattached`: the agent could not join it in time. `remote`: the caller or the provider ended it, also at
our request. `application`: the session was closed here. `leash`: it was at its limit. `lost`: the sideband broke, and
could not be joined again. `failed`: `on_session` raised. `shutdown`: the server was closed.
"""

_DECLINE: Final = 603
_FAILED: Final = 500
_UNAVAILABLE: Final = 503
_CONNECT_SECONDS: Final = 60.0
"""More than accepting and joining take together: each has a closer limit of its own."""
_ACCEPT_LEFT_SECONDS: Final = 3.0
"""How long an accept that is under way is waited for when everything ends: what was answered is to be hung up."""
_AFTERWORK_SECONDS: Final = 30.0
"""How long `on_session` may go on after the call."""


@frozen
class CallEnd:
    """How a call ended; `detail` says it in words, `error` is what was raised, where something was."""

    reason: EndReason
    detail: str
    error: BaseException | None = field(default=None, repr=False)


AgentFor: TypeAlias = RealtimeAgent | Callable[[IncomingCall], RealtimeAgent | Awaitable[RealtimeAgent | None] | None]
OnSession: TypeAlias = Callable[[RealtimeSession], Awaitable[object]]
OnEnd: TypeAlias = "Callable[[PhoneCall], object]"


@frozen(kw_only=True)
class CallSettings:
    """What all calls of a server have in common; the fields are its own options."""

    calls: CallsClient
    agent: AgentFor
    make_session: Callable[..., RealtimeSession]
    context: Callable[[PhoneCall], Any] | None
    greeting: str | bool
    attach_seconds: float
    rejoin_seconds: float
    leash: Leash
    socket: SocketSettings
    on_session: OnSession | None
    on_end: OnEnd | None


class PhoneCall:
    """A call that was announced: `incoming` says by whom, `session` is the agent's once there is one.

    Tools find it as their context, unless the server's `context` makes another one. `end` is how the call ended, once
    it has. `over(call)` is called when it has no part in anything any more but for what `on_session` may still do.
    """

    def __init__(self, incoming: IncomingCall, settings: CallSettings, over: Callable[[PhoneCall], None]) -> None:
        self.incoming = incoming
        self.session: RealtimeSession | None = None
        self.end: CallEnd | None = None
        self._settings = settings
        self._tell_over = over
        self._scope = TaskScope()
        self._over = asyncio.Event()
        self._accepting: asyncio.Task[None] | None = None
        self._accepted = False
        """Whether the call is ours: we answered it, and nobody else."""
        self._not_accepted: Exception | None = None
        self._joined = False
        self._watch = LeashWatch(settings.leash, lambda reason: self.finish("leash", reason))
        self._transport = SipTransport(
            calls=settings.calls,
            begin=self._answer,
            attach_seconds=settings.attach_seconds,
            rejoin_seconds=settings.rejoin_seconds,
            **settings.socket,
        )
        self._transport.on("connection_change", self._connection_changed)

    def __repr__(self) -> str:
        return f"<PhoneCall {self.incoming.call_id}: {'goes on' if self.end is None else self.end.reason}>"

    async def say_then(self, action: Action, *, say: str | None = None, limit: float = 30.0) -> Afterwards:
        """Hang up, or transfer, once an utterance has been heard; see `SipTransport.say_then`."""
        return await self._transport.say_then(action, say=say, limit=limit)

    async def hangup(self) -> None:
        """End the call, now."""
        await self._transport.hangup()

    async def refer(self, target_uri: str) -> None:
        """Transfer the call, now; see `SipTransport.refer`."""
        await self._transport.refer(target_uri)

    # The server's part

    async def run(self) -> None:
        """Hold the call until it ends."""
        holding = self._scope.spawn(self._hold(), name="jackfield sip: session")
        assert holding is not None, "the scope is new"
        try:
            await self._over.wait()
        finally:
            self.finish("shutdown", "the server was closed")
            try:
                await self._clear_up()
            finally:
                self._tell_over(self)
            await asyncio.wait([holding], timeout=_AFTERWORK_SECONDS)
            await self._scope.aclose()

    def finish(self, reason: EndReason, detail: str, error: BaseException | None = None) -> None:
        """End the call; the first reason counts."""
        if self.end is None:
            self.end = CallEnd(reason, detail, error)
            self._watch.close()
            self._over.set()

    async def say_goodbye(self, words_of_ours: str | None, seconds: float) -> None:
        """Have the agent say goodbye, and hang up; return when the call is over, or the seconds are."""
        with contextlib.suppress(TransportError, TimeoutError):
            async with asyncio.timeout(seconds):
                if words_of_ours is not None and self._joined:
                    await self._transport.say_then(Hangup(), say=words_of_ours, limit=seconds)
                    await self._over.wait()

    async def _hold(self) -> None:
        settings = self._settings
        try:
            agent = settings.agent
            if not isinstance(agent, RealtimeAgent):
                chosen = await settled(agent(self.incoming))
                if chosen is None:
                    self.finish("declined", "the agent function has no agent for this call")
                    return
                agent = chosen
            context = self if settings.context is None else await settled(settings.context(self))
            session = settings.make_session(agent, transport=self._transport, context=context, timeout=_CONNECT_SECONDS)
            self.session = session
            if self.end is not None:
                return
            await session.enter()
        except Exception as error:  # noqa: BLE001 - whatever the application or the provider raise, the call ends
            self.finish(self._why_not_joined(error), words(error), error)
            return
        await self._converse(session)

    async def _converse(self, session: RealtimeSession) -> None:
        greeting = self._settings.greeting
        if greeting:
            with contextlib.suppress(TransportError, SessionStateError):  # that it is over is told otherwise
                await session.request_response(None if greeting is True else {"instructions": greeting})
        await converse(self, session, self._settings.on_session)

    async def _answer(self, options: ConnectOptions) -> str:
        """Accept the call as the session's first config has it."""
        call_id = self.incoming.call_id
        payload = accept_payload(options.initial_session_config or {}, options.model)
        # A task of its own: an end in the midst of it is to know what comes of it.
        self._accepting = self._scope.spawn(self._accept(call_id, payload), name="jackfield sip: accept")
        if self._accepting is None:
            raise SessionStateError("the call ended before it was accepted")
        await asyncio.shield(self._accepting)
        if self._not_accepted is not None:
            raise self._not_accepted
        assert self.session is not None, "it is the session that connects"
        self._watch.start(self.session)
        return call_id

    async def _accept(self, call_id: str, payload: Mapping[str, Any]) -> None:
        try:
            await self._settings.calls.accept(call_id, payload)
            self._accepted = True
        except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
            self._not_accepted = error

    def _why_not_joined(self, error: Exception) -> EndReason:
        if self._accepted:
            return "unattached"
        match error:
            case CallGoneError():
                return "gone"
            case CallTakenError():
                return "taken"
            case CallOutcomeUnknownError():
                return "unknown"
        return "refused"

    def _connection_changed(self, event: ConnectionChange) -> None:
        if event.status == "connected":
            self._joined = True
        if event.status != "disconnected" or not self._joined:
            return  # why it was never joined `enter` raises
        if event.initiated_by == "local":
            self.finish("application", "the session was closed")
        elif event.error is None:
            self.finish("remote", "the call was ended at the far end")
        else:
            self.finish("lost", words(event.error), event.error)

    async def _clear_up(self) -> None:
        """Close the session and hang up, both at once: neither waits for the other to fail."""
        end = self.end
        assert end is not None
        normal = end.error is None or end.reason in ("gone", "taken")
        log = logger.info if normal else logger.warning
        log("call %s ended (%s): %s", self.incoming.call_id, end.reason, end.detail)
        work = [self._end_leg(end.reason)]
        if self.session is not None:
            work.append(tried("closing the session", self.session.close()))
        await asyncio.gather(*work)
        await tell_end(self, self._settings.on_end)

    async def _end_leg(self, reason: EndReason) -> None:
        """Hang up what we answered, turn away what still rings, and leave alone what is another server's."""
        call_id, calls = self.incoming.call_id, self._settings.calls
        accepting = self._accepting
        if accepting is not None and not accepting.done():
            await asyncio.wait([accepting], timeout=_ACCEPT_LEFT_SECONDS)
        error = self._not_accepted
        if self._accepted:
            if reason != "remote":
                await tried("hanging up", calls.hangup(call_id))
        elif isinstance(error, CallGoneError | CallTakenError):
            pass  # it is over, or somebody else's
        elif accepting is not None and (error is None or isinstance(error, CallOutcomeUnknownError)):
            logger.error("call %s: whether it was answered is not known; it is left to itself", call_id)
        else:
            status = {"declined": _DECLINE, "shutdown": _UNAVAILABLE}.get(reason, _FAILED)
            await tried("turning the call away", calls.reject(call_id, status))
