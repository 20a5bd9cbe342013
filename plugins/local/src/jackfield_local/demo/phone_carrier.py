"""The carrier for phone calls: the caller has a phone, the provider the agent's end of the line, and we the events.

It is the whole of a telephone line in one process, but for the provider: an application that answers calls
(`SipCallServer`), a phone that places one, and another one to which the call is transferred.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import uvicorn

from jackfield import FunctionTool, RealtimeSession, ToolContext, function_tool
from jackfield.observers import installed_observers
from jackfield_local.demo.carrier import Ear
from jackfield_local.demo.desk import DeskHandset, SomebodyThere
from jackfield_local.demo.errors import DemoError
from jackfield_local.demo.handset import Handset, Mouthpiece
from jackfield_local.demo.place import Place
from jackfield_local.demo.script import DESK, DESK_LINE, PHONE_SETTINGS, SETTINGS, make_agents
from jackfield_local.demo.server_process import WebhookAddress
from jackfield_local.embedded import EmbeddedServer
from jackfield_local.sip.caller import CallFailedError, Phone
from jackfield_local.sip.caller import PhoneCall as OwnCall
from jackfield_transports.sip import PhoneCall, Refer, SipCallServer, Webhooks

__all__ = ["PhoneCarrier"]


class PhoneCarrier:
    """Calls the agent at `place`, of which `webhook` is told. `desk_pcm` is said by whom the call is put through to."""

    def __init__(self, place: Place, webhook: WebhookAddress, desk_pcm: bytes) -> None:
        self._place = place
        self._webhook = webhook
        self._somebody = SomebodyThere(desk_pcm)
        self._mouthpiece = Mouthpiece()
        self._call: OwnCall | None = None
        self._transferred: OwnCall | None = None

    @contextlib.asynccontextmanager
    async def meet(self, ear: Ear) -> AsyncIterator[RealtimeSession]:
        """See `Carrier.meet`. It begins when the agent has answered."""
        async with contextlib.AsyncExitStack() as stack:
            desk = await stack.enter_async_context(Phone(name="front-desk", answers=lambda: self._somebody))
            handset = Handset(ear, self._mouthpiece)
            line = _Line(ear, handset)
            calls = SipCallServer(
                make_agents([_transfer_to(desk.uri)]),
                webhooks=Webhooks(self._webhook.secret),
                config={"model_settings": PHONE_SETTINGS},
                observers=(*installed_observers(), line.watch),
                on_session=line.join,
                on_end=line.end,
                drain_seconds=0.0,
                farewell=None,
                socket={"proxy": None},
                **self._place.connect,
            )
            await stack.enter_async_context(calls)
            await stack.enter_async_context(_serving(calls, self._webhook))
            phone = await stack.enter_async_context(Phone())
            self._call = await phone.call(self._place.phone, voice=handset)
            session = await line.joined(self._call)
            following = asyncio.create_task(self._follow(phone, self._call, handset, ear))
            stack.push_async_callback(_ended, following)
            yield session

    async def send(self, pcm: bytes) -> None:
        """See `Carrier.send`."""
        self._mouthpiece.say(pcm)

    async def over(self) -> None:
        """See `Carrier.over`. A call that was transferred goes on there."""
        assert self._call is not None
        await self._call.wait_ended()
        if self._transferred is not None:
            await self._transferred.wait_ended()

    async def _follow(self, phone: Phone, call: OwnCall, handset: Handset, ear: Ear) -> None:
        """Go where the call is referred to, as a trunk does: call there, and tell how that went."""
        with contextlib.suppress(ConnectionError):
            target = await call.wait_referred()
            other = await phone.call(target, voice=DeskHandset(ear, self._mouthpiece, self._somebody))
            try:
                await other.answered()
            except CallFailedError as error:
                call.sip.notify(error.code, "Failed")
            else:
                handset.held = False
                self._transferred = other
                ear.put_through(target, DESK, DESK_LINE, self._somebody.said_ms)
                call.sip.notify(200, "OK")


class _Line:
    """What the server of calls tells of the one call."""

    def __init__(self, ear: Ear, handset: Handset) -> None:
        self._ear = ear
        self._handset = handset
        self._session: RealtimeSession | None = None
        self._why = ""
        self._decided = asyncio.Event()

    def watch(self, session: RealtimeSession) -> None:
        session.transport.on("*", self._handset.take)
        self._ear.watch(session)
        self._ear.pick_up()

    async def join(self, session: RealtimeSession) -> None:
        # A call isn't accepted with how patient the agent is to be: that can be told now.
        await session.transport.update_session_config(SETTINGS)
        self._session = session
        self._decided.set()

    def end(self, call: PhoneCall) -> None:
        if call.end is not None:
            self._why = f"({call.end.reason}): {call.end.detail}"
        self._decided.set()

    async def joined(self, call: OwnCall) -> RealtimeSession:
        """Return the session, once the call is answered and the agent has joined it. Raises `JackfieldError`."""
        await call.answered()
        await self._decided.wait()
        if self._session is None:
            raise DemoError(f"the call ended before the agent had joined it {self._why}")
        return self._session


def _transfer_to(target: str) -> FunctionTool:
    @function_tool
    async def transfer_to_human(context: ToolContext[PhoneCall]) -> str:
        """Transfer the caller to a human being."""
        await context.context.say_then(Refer(target))
        return "Please hold the line, I put you through to a human being."

    return transfer_to_human


@contextlib.asynccontextmanager
async def _serving(application: SipCallServer, webhook: WebhookAddress) -> AsyncIterator[None]:
    config = uvicorn.Config(application, lifespan="off", log_config=None, access_log=False)
    server = EmbeddedServer(config)
    serving = asyncio.create_task(server.serve(sockets=[webhook.listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
