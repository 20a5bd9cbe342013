"""The sideband's wire: it begins a call, joins it once that is live, and takes its end for one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from jackfield.errors import ConnectRefusedError, ConnectTimeoutError, RemoteClosedError
from jackfield.transport import ConnectOptions
from jackfield.wire import WireConnection
from jackfield_transports.sideband.wire import SidebandWire
from support.clock import advance, settle, timeless

CALL_ID = "rtc_u0_abc"


class Socket:
    """A wire whose far end refuses with `refusals`, one after the other, and then closes with `code`."""

    def __init__(self, *refusals: Exception, code: int = 1000) -> None:
        self.secrets: Sequence[str] = ("sk-canary",)
        self.dialled: list[ConnectOptions] = []
        self.sent: list[bytes] = []
        self.closed = False
        self._refusals = list(refusals)
        self._code = code

    async def open(self, options: ConnectOptions) -> WireConnection:
        self.dialled.append(options)
        if self._refusals:
            raise self._refusals.pop(0)
        return self

    async def send(self, frame: bytes) -> None:
        self.sent.append(frame)

    async def receive(self) -> bytes:
        raise RemoteClosedError("closed", code=self._code, reason="", clean=self._code != 1006)

    async def close(self) -> None:
        self.closed = True


def refused(status: int | None, classification: str = "fatal") -> ConnectRefusedError:
    error = ConnectRefusedError("no", status=status)
    error.classification = classification  # type: ignore[assignment]
    return error


async def begin(options: ConnectOptions) -> str:
    return CALL_ID


async def test_it_joins_the_call_that_was_begun() -> None:
    begun: list[ConnectOptions] = []

    async def begin(options: ConnectOptions) -> str:
        begun.append(options)
        return CALL_ID

    socket = Socket()
    wire = SidebandWire(socket, begin)
    config = {"instructions": "Be brief."}
    connection = await wire.open(ConnectOptions(model="gpt-realtime", initial_session_config=config))
    assert (begun[0].model, begun[0].initial_session_config) == ("gpt-realtime", {"instructions": "Be brief."})
    assert (socket.dialled[0].call_id, socket.dialled[0].model) == (CALL_ID, None)
    await connection.send(b"{}")
    await connection.close()
    assert (connection.secrets, socket.sent, socket.closed) == (("sk-canary",), [b"{}"], True)


@timeless
async def test_it_dials_again_while_that_may_help() -> None:
    trouble = [
        refused(404),
        refused(None, "reconnect"),
        refused(503, "reconnect"),
        ConnectTimeoutError("slow", stage="opening the connection"),
    ]
    socket = Socket(*trouble)
    opening = asyncio.ensure_future(SidebandWire(socket, begin).open(ConnectOptions()))
    await settle()
    assert len(socket.dialled) == 1
    await advance(5)
    assert opening.done()
    assert len(socket.dialled) == len(trouble) + 1


async def test_it_takes_a_no_for_one() -> None:
    socket = Socket(refused(400))
    with pytest.raises(ConnectRefusedError):
        await SidebandWire(socket, begin).open(ConnectOptions())
    assert len(socket.dialled) == 1


@pytest.mark.parametrize(("code", "told"), [(1000, 1000), (1005, 1000), (1001, 1001), (1006, 1006)])
async def test_a_close_without_a_code_is_the_calls_end(code: int, told: int) -> None:
    connection = await SidebandWire(Socket(code=code), begin).open(ConnectOptions())
    with pytest.raises(RemoteClosedError) as closed:
        await connection.receive()
    assert closed.value.code == told
