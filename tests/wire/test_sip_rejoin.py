"""A call's sideband that is lost on real sockets while the call goes on: it is dialled again, and what is said waits.

What becomes of responses that were under way is in `unit/test_sip_transport`, where time is the test's.
"""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from jackfield.testing.conformance import PATIENCE, Script, no_leaks, polite, settled
from jackfield.testing.conformance.stepping import at_turn, stepwise
from jackfield.transport import (
    AuthenticationError,
    ConnectRefusedError,
    NotConnectedError,
    ProviderError,
    RemoteClosedError,
)
from jackfield.transport.events import ConnectionChange
from jackfield_local.conformance.caller import Caller
from jackfield_local.conformance.dialect import DialectConnection
from jackfield_local.conformance.responder import ANSWER, quiet_server
from jackfield_local.conformance.sockets import SocketConnection, SocketFarEnd
from jackfield_transports.sip import SipTransport

pytestmark = pytest.mark.usefixtures("nothing_is_left")

KEYS = ("canary-first-5b1c", "canary-second-9a07")
"""What the key function returns, dial by dial; neither looks like a key."""
LOAD = "x" * 1024 * 1024


class Joined:
    """A call that was joined: its far end, its transport, and what was told of it since."""

    def __init__(self, far_end: SocketFarEnd, transport: SipTransport) -> None:
        self.far_end = far_end
        self.transport = transport
        self.errors: list[Exception] = []
        self._changes: asyncio.Queue[ConnectionChange] = asyncio.Queue()
        transport.on("error", lambda event: self.errors.append(event.error))
        transport.on("connection_change", self._changes.put_nowait)

    async def change(self) -> ConnectionChange:
        """Return the next change of the connection's status."""
        async with asyncio.timeout(PATIENCE):
            return await self._changes.get()

    async def lose(self, drop: Callable[[SocketConnection], object] = SocketConnection.reset) -> None:
        """Lose the sideband, and wait until that is noticed."""
        dropped = drop(self.far_end.connections[-1])
        if asyncio.iscoroutine(dropped):
            await dropped
        assert (await self.change()).status == self.transport.status == "connecting"

    async def refuse(self, status: int) -> None:
        """Lose the sideband, refuse who dials, and wait until that was tried again and again."""
        self.far_end.status = status
        dials = len(self.far_end.requests)
        await self.lose()
        assert await settled(lambda: len(self.far_end.requests) > dials + 1)

    def send(self, *numbers: int, load: str = "") -> list[asyncio.Task[None]]:
        """Begin to send numbered events."""
        events = [{"type": "x.numbered", "number": number, "load": load} for number in numbers]
        return [asyncio.create_task(self.transport.send_event(event)) for event in events]


def key_of_each_dial() -> Callable[[], str]:
    keys: Iterator[str] = iter(KEYS)
    return lambda: next(keys)


def numbers(far: SocketConnection) -> list[int]:
    return [event["number"] for event in far.of("x.numbered")]


@contextlib.asynccontextmanager
async def joined(
    script: Script = polite, *, api_key: Any = KEYS[0], rejoin_seconds: float = PATIENCE, **options: Any
) -> AsyncIterator[Joined]:
    async with SocketFarEnd(script, plays=True) as far_end:
        transport = SipTransport(rejoin_seconds=rejoin_seconds, **options)
        await transport.connect(api_key=api_key, url=far_end.url, call_id="rtc_1")
        try:
            yield Joined(far_end, transport)
        finally:
            await transport.close()


class TestTheNextSocket:
    @pytest.mark.parametrize(
        ("drop", "code"),
        [
            (SocketConnection.reset, 1006),
            (SocketConnection.half_close, 1006),
            (lambda far: far.close(1012, "restart"), 1012),
        ],
        ids=["reset", "half close", "restart"],
    )
    async def test_leads_to_the_same_call(
        self, wire: str, drop: Callable[[SocketConnection], object], code: int
    ) -> None:
        async with joined(api_key=key_of_each_dial(), wire=wire) as call:
            drops = drop(call.far_end.connections[0])
            if asyncio.iscoroutine(drops):
                await drops
            lost, found = await call.change(), await call.change()
            assert (lost.status, lost.code, lost.initiated_by) == ("connecting", code, "remote")
            assert isinstance(lost.error, RemoteClosedError)
            assert (found.status, found.error, call.transport.status) == ("connected", None, "connected")
            far = call.far_end.connections[1]
            dials = [(request.path, request.headers["Authorization"]) for request in call.far_end.requests]
            assert dials == [("/v1/realtime?call_id=rtc_1", f"Bearer {key}") for key in KEYS]
            events = call.transport.events()
            await far.send({"type": "rate_limits.updated", "rate_limits": []})
            assert (await anext(events)).type == "rate_limits_updated"
            await call.transport.clear_audio()
            await far.expect("input_audio_buffer.clear")
            assert (far.types(), call.errors) == (["input_audio_buffer.clear"], [])

    async def test_may_be_lost_too(self, wire: str) -> None:
        async with joined(wire=wire) as call:
            for _ in range(3):
                await call.lose()
                assert (await call.change()).status == "connected"
            assert len(call.far_end.connections) == 4

    async def test_comes_with_a_key_that_is_told_nowhere(self, wire: str) -> None:
        async with joined(api_key=key_of_each_dial(), wire=wire) as call:
            await call.lose()
            await call.change()
            told = {"type": "error", "error": {"code": "odd", "message": f"not {KEYS[0]}, nor {KEYS[1]}"}}
            await call.far_end.connections[1].send(told)
            await call.far_end.connections[1].close(1008, f"nor {KEYS[1]}")
            end = await call.change()
            shown = "".join("".join(traceback.format_exception(error)) for error in call.errors) + repr(end)
            assert isinstance(call.errors[0], ProviderError) and call.errors[0].code == "odd"
            assert not any(key in shown for key in KEYS)

    async def test_is_told_the_configuration_that_the_last_one_took_with_it(self, wire: str) -> None:
        async def script(connection: DialectConnection) -> None:
            if len(far_end.connections) == 1:
                await connection.take_config()
                connection.reset()
            await polite(connection)

        async with SocketFarEnd(script, plays=True) as far_end:
            transport = SipTransport(wire=wire)
            config = {"instructions": "Be brief."}
            await transport.connect(api_key="k", url=far_end.url, call_id="rtc_1", initial_session_config=config)
            assert far_end.connections[1].of("session.update")[0]["session"]["instructions"] == "Be brief."
            await transport.close()

    async def test_goes_on_with_the_conversation(self, wire: str) -> None:
        async with quiet_server() as server, Caller(server, KEYS[0]) as caller:
            transport = SipTransport(wire=wire)
            await transport.connect(api_key=KEYS[0], url=server.url, call_id=caller.call_id)
            events = transport.events()
            told: list[str] = []
            words = ""
            await server.connections[-1].drop()
            async with asyncio.timeout(PATIENCE):
                async for event in events:
                    match event.type:
                        case "connection_change":
                            told.append(event.status)
                            if event.status == "connecting":
                                await transport.send_message("Hello?")
                        case "audio_transcript_delta":
                            words += event.delta
                        case "turn_done":
                            break
            assert (told, words) == (["connecting", "connected"], ANSWER)
            await transport.close()


class TestSenders:
    async def test_wait_and_nothing_of_theirs_is_lost(self, wire: str) -> None:
        async with joined(wire=wire) as call:
            await call.refuse(503)
            sending = call.send(*range(20))
            dials = len(call.far_end.requests)
            assert await settled(lambda: len(call.far_end.requests) > dials)
            assert not any(task.done() for task in sending)
            call.far_end.status = None
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(*sending)
            far = call.far_end.connections[1]
            await far.expect("x.numbered", 20)
            assert (numbers(far), call.errors) == (list(range(20)), [])

    async def test_that_were_stopped_short_say_it_again(self, wire: str) -> None:
        async with joined(wire=wire) as call:
            call.far_end.connections[0].stall()
            sending = call.send(*range(32), load=LOAD)
            accepted = -1
            while accepted != sum(task.done() for task in sending):  # until the path takes no more
                accepted = sum(task.done() for task in sending)
                for _ in range(200):
                    await asyncio.sleep(0)
            assert accepted < 32
            await call.lose()
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(*sending)
            far = call.far_end.connections[1]
            await far.expect("x.numbered", 32 - accepted)
            assert (numbers(far), call.errors) == (list(range(accepted, 32)), [])


class TestTheEnd:
    """What was waiting to be sent is refused then, as it is after any end."""

    async def ended(self, call: Joined, sending: list[asyncio.Task[None]]) -> ConnectionChange:
        end = await call.change()
        assert (end.status, end.initiated_by, call.transport.status) == ("disconnected", "remote", "disconnected")
        assert call.errors == ([] if end.error is None else [end.error])
        for task in (*sending, *call.send(1)):
            with pytest.raises(NotConnectedError):
                await task
        return end

    async def test_of_the_call_is_a_normal_one(self, wire: str) -> None:
        async with joined(wire=wire) as call:
            call.far_end.status = 404
            await call.lose()
            end = await self.ended(call, call.send(0))
            assert (end.code, end.error) == (1000, None)
            assert len(call.far_end.requests) == 2

    async def test_of_our_patience_is_a_loss(self, wire: str) -> None:
        async with joined(rejoin_seconds=1, wire=wire) as call:
            call.far_end.status = 503
            await call.lose()
            end = await self.ended(call, call.send(0))
            assert end.code == 1006 and isinstance(end.error, RemoteClosedError)
            assert end.error.classification == "reconnect"
            assert isinstance(end.error.__cause__, ConnectRefusedError) and end.error.__cause__.status == 503

    async def test_of_our_patience_comes_while_a_dial_hangs(self, wire: str) -> None:
        async with joined(api_key=hanging_key(), rejoin_seconds=0.2, wire=wire) as call:
            await call.lose()
            end = await self.ended(call, call.send(0))
            assert end.code == 1006 and isinstance(end.error, RemoteClosedError)

    async def test_by_a_far_end_that_will_not_have_us_is_a_loss(self, wire: str) -> None:
        async with joined(wire=wire) as call:
            call.far_end.status = 401
            await call.lose()
            end = await self.ended(call, call.send(0))
            assert end.code == 1006 and isinstance(end.error, RemoteClosedError)
            assert isinstance(end.error.__cause__, AuthenticationError)
            assert len(call.far_end.requests) == 2


class TestClosing:
    async def close(self, call: Joined) -> None:
        sending = call.send(0)
        await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE):
            await call.transport.close()
        with pytest.raises(NotConnectedError):
            await sending[0]
        assert [(await call.change()).status for _ in range(2)] == ["disconnecting", "disconnected"]
        assert call.errors == []

    async def test_while_the_far_end_refuses(self, wire: str) -> None:
        async with joined(wire=wire) as call:
            await call.refuse(503)
            await self.close(call)

    async def test_while_a_dial_hangs(self, wire: str) -> None:
        async with joined(api_key=hanging_key(), wire=wire) as call:
            await call.lose()
            await self.close(call)

    async def close_at(self, wire: str, turn: int) -> bool:
        """Close at a turn of the event loop after the loss; return whether another socket was there before that."""
        closing: list[asyncio.Task[None]] = []
        async with no_leaks(), joined(wire=wire) as call:
            with at_turn(turn, lambda: closing.append(asyncio.create_task(call.transport.close()))):
                call.far_end.connections[0].reset()
                while (await call.change()).status not in ("connected", "disconnected"):
                    pass
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(*closing)
            assert not closing or call.transport.status == "disconnected"
        return not closing

    @stepwise
    async def test_at_any_step(self, wire: str) -> None:
        turn = 1
        while not await self.close_at(wire, turn):
            turn += 1
        assert turn > 10


def hanging_key() -> Callable[[], Any]:
    """Return a key function that answers once, and then no more."""
    asked = 0

    async def key() -> str:
        nonlocal asked
        asked += 1
        if asked > 1:
            await asyncio.Event().wait()
        return KEYS[0]

    return key
