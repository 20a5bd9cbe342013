"""How events are cut into frames, and what frames there can be: the same events come out of all of them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from jackfield.testing.conformance import PATIENCE
from jackfield.transport import ProtocolError, RealtimeTransportLayer
from jackfield_local.conformance.sockets import SocketConnection
from jackfield_local.conformance.subjects import DialectSubject

pytestmark = pytest.mark.usefixtures("nothing_is_left")


async def heard(transport: RealtimeTransportLayer, far: SocketConnection) -> None:
    """Wait until the transport has dealt with everything that was sent."""
    marked = asyncio.Event()
    transport.on("rate_limits_updated", lambda _: marked.set())
    await far.send({"type": "rate_limits.updated", "rate_limits": []})
    async with asyncio.timeout(PATIENCE):
        await marked.wait()


async def test_text_that_is_no_utf8_is_junk(subject: DialectSubject) -> None:
    async with subject.far_end() as far_end, subject.link(far_end) as (transport, far):
        errors: list[Exception] = []
        transport.on("error", lambda event: errors.append(event.error))
        await far.socket.send(b'{"type": "x.\xff\xfe"}', text=True)
        await heard(transport, far)
        assert [type(error) for error in errors] == [ProtocolError]


async def test_messages_in_fragments(subject: DialectSubject) -> None:
    async with subject.far_end() as far_end, subject.link(far_end) as (transport, far):
        raw: list[dict[str, Any]] = []
        transport.on("*", raw.append)
        text = json.dumps({"type": "x.pieces", "text": "ü" * 1000}, ensure_ascii=False)
        pieces = [text[start : start + 7] for start in range(0, len(text), 7)]
        await far.socket.send(pieces)
        await far.socket.send(["", '{"type": ', '"x.more"}', ""])
        await heard(transport, far)
        assert [event["type"] for event in raw[:2]] == ["x.pieces", "x.more"]
        assert raw[0]["text"] == "ü" * 1000


async def test_many_messages_of_every_kind_stay_in_order(subject: DialectSubject) -> None:
    async with subject.far_end() as far_end, subject.link(far_end) as (transport, far):
        raw: list[int] = []
        transport.on("*", lambda event: raw.append(event.get("n")))
        for number in range(600):
            text = json.dumps({"type": "x.n", "n": number})
            kinds: list[Any] = [text, [text[:4], text[4:]], text.encode()]
            await far.socket.send(kinds[number % 3 if number % 7 else 0])
        await heard(transport, far)
        assert raw[:-1] == list(range(600))
