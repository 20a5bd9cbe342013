"""Calls that were answered: audio both ways, keys, hold, transfers, and how they end. Protocol section 4.3."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from jackfield_local import Call, Say
from jackfield_local.sip.caller import Phone

SESSION = {"type": "realtime", "model": "gpt-realtime", "instructions": "Be a pirate."}
PATIENCE = 20.0


class TestTalking:
    async def test_it_hears_and_answers(self, talk: Any, kinds: Any, Voice: Any) -> None:
        async with talk() as line:
            voice = Voice()
            _, call_id = await line.accepted(voice)
            async with line.sideband(call_id) as client:
                await client.update(audio={"input": {"transcription": {"model": "gpt-4o-transcribe"}}})
                await voice.say(600)
                await client.until("input_audio_buffer.speech_stopped")
                heard = await client.until("conversation.item.input_audio_transcription.completed")
                assert heard["transcript"] == "What is the weather in Paris"
                await client.until("output_audio_buffer.started")
                await voice.heard_something()
                await client.until("output_audio_buffer.stopped")
            assert "response.output_audio.delta" not in kinds(client.events)

    async def test_a_tool(self, talk: Any, Voice: Any) -> None:
        tool = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}}
        async with talk() as line:
            voice = Voice()
            _, call_id = await line.accepted(voice, tools=[tool])
            async with line.sideband(call_id) as client:
                await voice.say(600)
                called = await client.until("response.function_call_arguments.done")
                assert called["name"] == "get_weather"

    async def test_it_is_interrupted(self, talk: Any, Voice: Any) -> None:
        class Talker:
            def phrases(self, context: Any) -> list[str]:
                return []

            async def respond(self, context: Any) -> list[Say | Call]:
                return [Say("This is a long story that nobody wants to hear to its end. " * 5)]

        async with talk(responder=Talker()) as line:
            voice = Voice()
            _, call_id = await line.accepted(voice)
            async with line.sideband(call_id) as client:
                await client.send("response.create")
                await voice.heard_something()
                await voice.say(400)
                await client.until("output_audio_buffer.cleared")
                truncated = await client.until("conversation.item.truncated")
                assert 0 < truncated["audio_end_ms"] < 10_000

    async def test_keys_of_the_telephone(self, talk: Any) -> None:
        async with talk() as line:
            call, call_id = await line.accepted()
            async with line.sideband(call_id) as client:
                call.press("15*#")
                pressed: list[str] = []
                while len(pressed) < 4:
                    event = json.loads(await client.socket.recv())
                    if event["type"] == "input_audio_buffer.dtmf_event_received":
                        assert set(event) == {"type", "event", "received_at"}
                        pressed.append(event["event"])
                assert pressed == ["1", "5", "*", "#"]

    async def test_on_hold_nothing_is_sent(self, talk: Any) -> None:
        async with talk() as line:
            call, call_id = await line.accepted()
            assert await call.hold("sendonly") == 200
            assert call.port.agreement is not None
            assert not call.port.agreement.hears
            assert await call.hold("sendrecv") == 200
            assert call.port.agreement.hears
            assert len(line.server.connections) == 1
            assert len(line.told.requests) == 1
            async with line.sideband(call_id) as client:
                await client.next()


class TestEnding:
    async def test_the_caller_hangs_up(self, talk: Any) -> None:
        async with talk() as line:
            call, call_id = await line.accepted()
            async with line.sideband(call_id) as client, line.sideband(call_id) as other:
                await client.next()
                await other.next()
                call.hang_up()
                await client.rest()
                await other.rest()
                assert (client.socket.close_code, other.socket.close_code) == (1000, 1000)
            assert (await line.post(call_id, "hangup")).status_code == 404

    async def test_while_the_agent_speaks(self, talk: Any, Voice: Any) -> None:
        async with talk() as line:
            voice = Voice()
            call, call_id = await line.accepted(voice)
            async with line.sideband(call_id) as client:
                await client.send("response.create")
                await voice.heard_something()
                call.hang_up()
                await client.rest()
                assert client.socket.close_code == 1000

    async def test_the_application_hangs_up(self, talk: Any, ended: Any) -> None:
        async with talk() as line:
            call, call_id = await line.accepted()
            async with line.sideband(call_id) as client:
                await client.next()
                assert (await line.post(call_id, "hangup")).status_code == 200
                assert await ended(call)
                await client.rest()
                assert client.socket.close_code == 1000

    async def test_the_time_is_over(self, talk: Any, ended: Any) -> None:
        async with talk() as line:
            line.server.faults.add("expire:0.3")
            call, _ = await line.accepted()
            assert await ended(call)
            assert await (await line.server.connection()).wait_closed() == 1001

    async def test_the_server_stops(self, talk: Any, refused: Any, ended: Any) -> None:
        async with talk() as line:
            call, _ = await line.accepted()
            ringing = await line.phone.call(line.server.sip_uri)
            await line.told.request(1)
            await line.server.__aexit__(None, None, None)
            assert await ended(call)
            assert await refused(ringing) == 480

    async def test_the_caller_is_gone(self, talk: Any, ended: Any) -> None:
        async with talk(silent_seconds=0.3) as line:
            call, call_id = await line.accepted()
            assert await call.hold("inactive") == 200
            async with line.sideband(call_id) as client:
                await client.next()
                assert await call.hold("sendrecv") == 200
                call.port.close()
                assert await ended(call)
                await client.rest()
                assert client.socket.close_code == 1000
            assert (await line.server.connection()).close_code == 1006

    async def test_a_test_breaks_it_off(self, talk: Any, ended: Any) -> None:
        async with talk() as line:
            call, _ = await line.accepted()
            connection = await line.server.connection()
            await connection.drop()
            assert await ended(call)
            assert connection.close_code == 1006


class TestAddresses:
    async def test_ipv6(self, local_server: Any) -> None:
        async with local_server(sip=True, host="::1") as server, Phone(host="::1") as phone:
            assert server.sip_uri.startswith("sip:proj_local@[::1]:")
            call = await phone.call(server.sip_uri)
            await call.ringing()
            connection = await server.connection()
            async with httpx.AsyncClient(headers={"Authorization": "Bearer x"}) as http:
                url = f"{server.http_url}/realtime/calls/{connection.call_id}/accept"
                assert (await http.post(url, json=SESSION)).status_code == 200
            await call.answered()
            call.hang_up()
            assert await connection.wait_closed() == 1000

    async def test_all_of_this_machine(self, local_server: Any) -> None:
        async with local_server(sip=True, host="0.0.0.0", allow_remote=True) as server, Phone() as phone:
            uri = server.sip_uri.replace("0.0.0.0", "127.0.0.1")
            for target in (uri, f"{uri};transport=tcp"):
                call = await phone.call(target)
                await call.ringing()
                connection = server.connections[-1]
                async with httpx.AsyncClient(headers={"Authorization": "Bearer x"}) as http:
                    url = f"http://127.0.0.1:{server.port}/v1/realtime/calls/{connection.call_id}/accept"
                    assert (await http.post(url, json=SESSION)).status_code == 200
                await call.answered()
                assert call.sip.dialog is not None
                assert call.sip.dialog.target.host == "127.0.0.1"
                assert call.port.agreement is not None
                assert call.port.agreement.remote[0] == "127.0.0.1"
                call.hang_up()
                assert await connection.wait_closed() == 1000


class TestReferring:
    async def test_the_caller_goes_there(self, talk: Any, ended: Any) -> None:
        async with talk(follow_refer=True) as line:
            call, call_id = await line.accepted()
            async with line.sideband(call_id) as client:
                await client.next()
                assert (await line.post(call_id, "refer", {"target_uri": line.server.sip_uri})).status_code == 200
                other = await line.told.call_id(1)
                assert (await line.post(other, "accept", SESSION)).status_code == 200
                assert await ended(call)
                await client.rest()
                assert client.socket.close_code == 1000
            assert call.transfer is not None
            assert call.transfer.ended is None

    async def test_another_phone_answers(self, talk: Any, Voice: Any, ended: Any) -> None:
        desk = Voice()
        async with talk(follow_refer=True) as line, Phone(name="desk", answers=lambda: desk) as other:
            caller = Voice()
            call, call_id = await line.accepted(caller)
            assert (await line.post(call_id, "refer", {"target_uri": other.uri})).status_code == 200
            assert await ended(call)
            there = await other.nth_call(0)
            await asyncio.gather(desk.heard_something(), caller.say(200))
            await asyncio.gather(caller.heard_something(), desk.say(200))
            assert call.transfer is not None
            there.press("3")
            there.hang_up()
            await call.transfer.wait_ended()

    async def test_nobody_is_there(self, talk: Any, refused: Any) -> None:
        async with talk(follow_refer=True) as line, Phone() as busy:
            call, call_id = await line.accepted()
            assert (await line.post(call_id, "refer", {"target_uri": busy.uri})).status_code == 200
            assert await call.wait_referred() == busy.uri
            async with asyncio.timeout(PATIENCE):
                transfer = await line.phone.nth_call(1)
                assert await refused(transfer) == 486
            assert call.ended is None

    async def test_the_caller_cannot_go_there(self, talk: Any, ended: Any) -> None:
        async with talk(follow_refer=True) as line:
            call, call_id = await line.accepted()
            assert (await line.post(call_id, "refer", {"target_uri": "tel:+15551234"})).status_code == 200
            assert await call.wait_referred() == "tel:+15551234"
            assert (await line.post(call_id, "hangup")).status_code == 200
            assert await ended(call)

    @pytest.mark.parametrize("body", [None, {}, {"target_uri": 5}, {"target_uri": "somebody"}, {"target_uri": ""}])
    async def test_nobody_to_go_to(self, talk: Any, body: Any) -> None:
        async with talk() as line:
            _, call_id = await line.accepted()
            assert (await line.post(call_id, "refer", body)).status_code == 400

    async def test_a_call_that_rings_cannot_be_referred(self, talk: Any) -> None:
        async with talk() as line:
            await line.phone.call(line.server.sip_uri)
            response = await line.post(await line.told.call_id(), "refer", {"target_uri": "tel:+1"})
            assert response.status_code == 404
