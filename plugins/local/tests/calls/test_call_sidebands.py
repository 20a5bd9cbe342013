"""WebSockets that join a call: protocol section 2.4."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus


def sideband(server: Any, call_id: str) -> str:
    return f"{server.url}?call_id={call_id}"


class TestJoining:
    async def test_not_before_the_call_is_live(self, local_server: Any, caller: Any, dial: Any) -> None:
        async with local_server() as server, caller() as client:
            response = await client.post(server)
            call_id = response.headers["location"].rpartition("/")[2]
            with pytest.raises(InvalidStatus) as refused:
                async with dial(sideband(server, call_id)):
                    pass
            assert refused.value.response.status_code == 404
            assert json.loads(refused.value.response.body or b"")["error"]["code"] == "call_id_not_found"
            await client.accept(response)
            await client.next()
            async with dial(sideband(server, call_id)) as socket:
                assert (await socket.next())["type"] == "session.created"

    async def test_never_where_there_is_no_call(self, local_server: Any, dial: Any) -> None:
        async with local_server() as server:
            with pytest.raises(InvalidStatus, match="404"):
                async with dial(sideband(server, "rtc_nobody")):
                    pass

    async def test_not_with_the_beta_header(self, local_server: Any, caller: Any, dial: Any) -> None:
        async with local_server() as server, caller(server) as client:
            await client.next()
            with pytest.raises(InvalidStatus, match="404"):
                async with dial(sideband(server, client.call_id), additional_headers={"OpenAI-Beta": "realtime=v1"}):
                    pass

    async def test_who_may(self, local_server: Any, caller: Any, dial: Any) -> None:
        headers = {"Authorization": "Bearer right", "Content-Type": "application/sdp"}
        async with local_server(api_key="right") as server, caller(server, headers=headers) as client:
            await client.next()
            async with httpx.AsyncClient(headers={"Authorization": "Bearer right"}) as http:
                ephemeral = (await http.post(f"{server.http_url}/realtime/client_secrets", json={})).json()["value"]
            for key in ("wrong", ephemeral, None):
                async with dial(sideband(server, client.call_id), key=key) as socket:
                    (error,) = await socket.rest()
                    assert error["type"] == "error"
                    assert socket.socket.close_code == 3000
            async with dial(sideband(server, client.call_id), key="right") as socket:
                assert (await socket.next())["type"] == "session.created"

    async def test_the_record(self, local_server: Any, caller: Any, dial: Any) -> None:
        async with local_server() as server, caller(server) as client:
            await client.next()
            async with dial(sideband(server, client.call_id)) as socket:
                await socket.send("response.cancel", event_id="from the sideband")
                record = await server.connection(1)
                assert (record.path, record.call_id) == ("/v1/realtime", client.call_id)
                assert (await record.received_event("response.cancel"))["event_id"] == "from the sideband"
                assert server.connections[0].received == []


class TestOneConversation:
    async def test_both_see_it_and_take_part(
        self, local_server: Any, caller: Any, dial: Any, kinds: Any, StubResponder: Any
    ) -> None:
        async with local_server(responder=StubResponder("Hello.", "Bye.")) as server, caller(server) as client:
            await client.send("session.update", session={"type": "realtime", "instructions": "Be brief."})
            await client.until("session.updated")
            async with dial(sideband(server, client.call_id)) as socket:
                created = await socket.next()
                assert created["session"]["instructions"] == "Be brief."
                assert created["session"]["id"] == client.events[0]["session"]["id"]
                await socket.update(instructions="Be kind.")
                updated = await client.until("session.updated")
                assert updated["session"]["instructions"] == "Be kind."
                for one, other in ((client, socket), (socket, client)):
                    await one.send("response.create")
                    said = [await end.until("output_audio_buffer.stopped") for end in (one, other)]
                    assert said[0] == said[1]
                start = kinds(client.events).index("response.created")
                shared = client.events[start:]
                assert socket.events[-len(shared) :] == shared
                assert "response.output_audio.delta" not in kinds(shared)

    async def test_errors_go_to_all(self, local_server: Any, caller: Any, dial: Any) -> None:
        async with local_server() as server, caller(server) as client:
            await client.next()
            async with dial(sideband(server, client.call_id)) as socket:
                await socket.send("output_audio_buffer.dance", event_id="e1")
                for end in (client, socket):
                    assert (await end.until("error"))["error"]["event_id"] == "e1"

    async def test_several_come_and_go(self, local_server: Any, caller: Any, dial: Any) -> None:
        async with local_server() as server, caller(server) as client:
            await client.next()
            async with (
                dial(sideband(server, client.call_id)) as first,
                dial(sideband(server, client.call_id)) as second,
            ):
                for socket in (first, second):
                    await socket.next()
                first.socket.transport.abort()
                assert await (await server.connection(1)).wait_closed() == 1006
                await second.update(instructions="Still here.")
                await client.until("session.updated")
            assert await (await server.connection(2)).wait_closed() == 1000
            await client.send("response.cancel")
            assert (await client.until("error"))["error"]["code"] == "response_cancel_not_active"

    async def test_a_sideband_that_does_not_read_harms_nobody(
        self, local_server: Any, caller: Any, dial: Any, StubResponder: Any
    ) -> None:
        responder = StubResponder("word " * 2500)
        async with local_server(responder=responder) as server, caller(server) as client:
            await client.next()
            server.faults.add("stall:session.created")
            async with dial(sideband(server, client.call_id)) as stuck:
                await client.send("response.create", response={"output_modalities": ["text"]})
                while '"type":"response.done"' not in await client.frame():
                    pass
                # That was more than it may lag behind: it was let go.
                assert [event["type"] for event in await stuck.rest()] == ["session.created"]
                assert stuck.socket.close_code == 1006
            assert not server.connections[0].closed

    async def test_it_stays_when_the_data_channel_goes_and_comes_back(
        self, local_server: Any, caller: Any, dial: Any
    ) -> None:
        async with local_server() as server, caller(server) as client:
            await client.next()
            async with dial(sideband(server, client.call_id)) as socket:
                await socket.next()
                client.channel.close()
                assert await client.rest() == []
                await socket.update(instructions="Alone.")
                client.channel = client.open_channel("again")
                again = await client.next()
                assert (again["type"], again["session"]["instructions"]) == ("session.created", "Alone.")
                await client.send("response.cancel")
                for end in (client, socket):
                    assert (await end.until("error"))["error"]["code"] == "response_cancel_not_active"

    async def test_a_second_data_channel_is_declined(self, local_server: Any, caller: Any) -> None:
        async with local_server() as server, caller(server) as client:
            await client.next()
            second = client.open_channel("second")
            closed = asyncio.Event()
            second.on("close", closed.set)
            async with asyncio.timeout(20):
                await closed.wait()
            # Its end is in the inbox, too.
            assert await client.frame() is None
            await client.send("response.cancel")
            await client.until("error")

    async def test_what_is_too_large_for_the_data_channel_is_left_to_the_sideband(
        self, local_server: Any, caller: Any, dial: Any
    ) -> None:
        async with local_server() as server, caller(server) as client:
            await client.next()
            async with dial(sideband(server, client.call_id)) as socket:
                await socket.update(instructions="x" * 300_000)
                error = (await client.until("error"))["error"]
                assert (error["type"], error["code"]) == ("server_error", "event_too_large")
                assert "session.updated" in error["message"]
                await client.send("response.cancel")
                assert (await client.until("error"))["error"]["code"] == "response_cancel_not_active"


class TestTheEnd:
    async def test_hanging_up_ends_it(self, local_server: Any, caller: Any, dial: Any, hang_up: Any) -> None:
        async with local_server() as server, caller(server) as client:
            await client.next()
            async with dial(sideband(server, client.call_id)) as socket:
                await socket.next()
                await hang_up(server, client.call_id)
                assert await socket.rest() == []
                assert socket.socket.close_code == 1000

    async def test_so_does_the_caller(self, local_server: Any, caller: Any, dial: Any) -> None:
        async with local_server() as server, caller(server) as client:
            await client.next()
            async with dial(sideband(server, client.call_id)) as socket:
                await socket.next()
                await client.close()
                assert await socket.rest() == []
                assert socket.socket.close_code == 1000

    async def test_expiry(self, local_server: Any, caller: Any, dial: Any) -> None:
        async with local_server(session_seconds=0.8) as server, caller(server) as client:
            await client.next()
            async with dial(sideband(server, client.call_id)) as socket:
                events = await socket.rest()
                assert events[-1]["error"]["code"] == "session_expired"
                assert socket.socket.close_code == 1001
