"""sipp, which knows nothing of this server, calls it: what RFC 3261 wants of both ends, and many calls at once."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from websockets.asyncio.client import connect

from jackfield.testing.conformance import no_leaks
from jackfield_local.engine.engine import Engine
from jackfield_local.sip.called import IncomingCall
from jackfield_local.sip.rtp_port import RtpPort
from jackfield_local.sip.sip_call import SipCall
from support.call_application import CallApplication

from . import scenarios

pytestmark = pytest.mark.timeout(150)


async def accept(application: CallApplication, call_id: str) -> None:
    await application.accept(call_id)


async def ring(application: CallApplication, call_id: str) -> None:
    """Leave the call ringing."""


async def closed(server: Any) -> list[int]:
    """Wait until all calls are over; return how they ended."""
    return [await connection.wait_closed() for connection in server.connections]


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
class TestOneCall:
    async def test_a_call(self, sipp: Any, line: Any, tcp: bool) -> None:
        async with line(accept) as (server, _):
            await sipp.play(scenarios.call(500), server, tcp=tcp)
            assert await closed(server) == [1000]

    async def test_cancelled(self, sipp: Any, line: Any, tcp: bool) -> None:
        async with line(ring) as (server, application):
            await sipp.play(scenarios.CANCEL, server, tcp=tcp)
            assert await closed(server) == [1000]
            assert await application.accept(server.connections[0].call_id) == 404

    async def test_rejected(self, sipp: Any, line: Any, tcp: bool) -> None:
        async def reject(application: CallApplication, call_id: str) -> None:
            await application.post(call_id, "reject")

        async with line(reject) as (server, application):
            await sipp.play(scenarios.REJECTED, server, tcp=tcp)
            assert application.answers == [200]

    async def test_hung_up(self, sipp: Any, line: Any, tcp: bool) -> None:
        async def hang_up(application: CallApplication, call_id: str) -> None:
            await application.accept(call_id)
            await application.post(call_id, "hangup")

        async with line(hang_up) as (server, application):
            await sipp.play(scenarios.HUNG_UP, server, tcp=tcp)
            assert application.answers == [200, 200]

    async def test_held_and_taken_up_again(self, sipp: Any, line: Any, tcp: bool) -> None:
        async with line(accept) as (server, application):
            await sipp.play(scenarios.HOLD, server, tcp=tcp)
            assert len(application.calls) == 1
            assert await closed(server) == [1000]

    async def test_referred(self, sipp: Any, line: Any, tcp: bool) -> None:
        async def refer(application: CallApplication, call_id: str) -> None:
            await application.accept(call_id)
            await application.post(call_id, "refer", {"target_uri": "tel:+15551234"})

        async with line(refer) as (server, application):
            await sipp.play(scenarios.REFERRED, server, tcp=tcp)
            assert application.answers == [200, 200]
            assert await closed(server) == [1000]

    async def test_the_offer_comes_late(self, sipp: Any, line: Any, tcp: bool) -> None:
        async with line(accept) as (server, _):
            await sipp.play(scenarios.LATE_OFFER, server, tcp=tcp)

    async def test_nothing_in_common(self, sipp: Any, line: Any, tcp: bool) -> None:
        async with line(accept) as (server, application):
            await sipp.play(scenarios.NO_CODEC, server, tcp=tcp)
            assert application.calls == []

    async def test_options(self, sipp: Any, line: Any, tcp: bool) -> None:
        async with line(accept) as (server, _):
            await sipp.play(scenarios.OPTIONS, server, tcp=tcp)


class TestUnreliable:
    async def test_twice_the_invite_and_no_ack(self, sipp: Any, line: Any) -> None:
        async def late(application: CallApplication, call_id: str) -> None:
            await asyncio.sleep(0.3)  # the INVITE comes again while it rings
            await application.accept(call_id)

        async with line(late) as (server, application):
            await sipp.play(scenarios.LOST_ACK, server)
            assert len(application.calls) == 1
            assert await closed(server) == [1000]


class TestMedia:
    async def test_keys(self, sipp: Any, line: Any) -> None:
        pressed: list[str] = []

        async def listen(application: CallApplication, call_id: str) -> None:
            await application.accept(call_id)
            async with connect(
                f"{application.api.replace('http', 'ws')}/realtime?call_id={call_id}",
                additional_headers={"Authorization": "Bearer test-key"},
                proxy=None,
            ) as socket:
                while len(pressed) < 2:
                    frame = await socket.recv()
                    if '"input_audio_buffer.dtmf_event_received"' in str(frame):
                        pressed.append(str(frame).partition('"event":"')[2][0])
            await application.post(call_id, "hangup")

        async with line(listen) as (server, _):
            await sipp.play(scenarios.DTMF, server)
            assert pressed == ["5", "#"]

    async def test_a_bye_while_the_agent_speaks(self, sipp: Any, line: Any) -> None:
        told: list[str] = []

        async def speak(application: CallApplication, call_id: str) -> None:
            await application.accept(call_id)
            async with connect(
                f"{application.api.replace('http', 'ws')}/realtime?call_id={call_id}",
                additional_headers={"Authorization": "Bearer test-key"},
                proxy=None,
            ) as socket:
                await socket.send(
                    '{"type": "session.update", "session": '
                    '{"type": "realtime", "audio": {"input": {"turn_detection": null}}}}'
                )
                await socket.send('{"type": "response.create"}')
                told.extend([str(frame).partition('"type":"')[2].partition('"')[0] async for frame in socket])
                assert socket.close_code == 1000

        async with line(speak) as (server, _):
            await sipp.play(scenarios.call(1000), server)
            assert await closed(server) == [1000, 1000]  # the call, and the sideband
        assert "output_audio_buffer.started" in told
        assert "output_audio_buffer.stopped" not in told


class TestMany:
    """200 calls, 20 at a time: what they took is given back while the server runs on."""

    async def test_callers_who_are_gone_without_a_word(self, sipp: Any, line: Any) -> None:
        async with line(accept, silent_seconds=0.5) as (server, _), no_leaks():
            await sipp.play(scenarios.ABORTED, server, calls=40, at_once=20)
            assert await closed(server) == [1006] * 40

    @pytest.mark.parametrize("ending", ["caller", "application", "rejected", "cancelled"])
    async def test_nothing_is_left(self, sipp: Any, line: Any, ending: str) -> None:
        async def take(application: CallApplication, call_id: str) -> None:
            if ending == "rejected":
                await application.post(call_id, "reject")
            elif ending != "cancelled":
                await application.accept(call_id)
            if ending == "application":
                await application.post(call_id, "hangup")

        scenario = {
            "caller": scenarios.call(400),
            "application": scenarios.HUNG_UP,
            "rejected": scenarios.REJECTED,
            "cancelled": scenarios.CANCEL,
        }[ending]
        async with line(take, record=False) as (server, application):
            await sipp.play(scenario, server, calls=20, at_once=20)
            async with no_leaks():
                await sipp.play(scenario, server, calls=200, at_once=20)
            gc.collect()
            kept = [thing for thing in gc.get_objects() if isinstance(thing, (SipCall, IncomingCall, RtpPort, Engine))]
            assert kept == []
            # Who gives up at once is gone before the application is told.
            assert len(application.calls) == 220 or ending == "cancelled"
            assert set(application.answers) <= {200}
