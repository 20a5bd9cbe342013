"""Misbehaviour on command, as a WebRTC client meets it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from jackfield_local import Call, Reply, ResponseContext
from jackfield_local.faults import make_fault
from jackfield_local.sdp_faults import NO_DATA

TEXT = {"output_modalities": ["text"]}


class TestAnswering:
    async def test_a_status(self, local_server: Any, caller: Any) -> None:
        async with local_server() as server, caller() as client:
            server.faults.add("http:429", connections=1)
            response = await client.post(server)
            assert (response.status_code, response.headers["retry-after"]) == (429, "1")
            assert response.json()["error"]["code"] == "rate_limit_exceeded"
            assert server.connections == []
            await client.accept(await client.post(server, content=client.peer.localDescription.sdp))
            assert (await client.next())["type"] == "session.created"

    async def test_junk(self, local_server: Any, caller: Any) -> None:
        async with local_server() as server, caller() as client:
            server.faults.add("junk-answer")
            response = await client.post(server)
            assert (response.status_code, response.headers["content-type"]) == (201, "application/sdp")
            assert "v=0" not in response.text

    async def test_late(self, local_server: Any, caller: Any) -> None:
        async with local_server() as server, caller() as client:
            server.faults.add("late-answer:0.2")
            clock = asyncio.get_running_loop().time
            began = clock()
            await client.dial(server)
            assert clock() - began >= 0.2
            assert (await client.next())["type"] == "session.created"

    async def test_so_late_that_the_server_stops_before(self, local_server: Any, caller: Any) -> None:
        async with local_server() as server, caller() as client:
            server.faults.add("late-answer:1000")
            posting = asyncio.ensure_future(client.post(server))
            while not server.faults.for_connection():
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            async with asyncio.timeout(10):
                await server.__aexit__(None, None, None)
                await asyncio.wait([posting])
            assert posting.exception() is not None or posting.result().status_code == 503

    async def test_no_media_path(self, local_server: Any, caller: Any, dial: Any) -> None:
        async with local_server() as server, caller() as client:
            server.faults.add("no-media")
            await client.dial(server)
            # What doesn't happen can't be waited for; in this time, calls do connect.
            await asyncio.sleep(0.5)
            assert client.state == "connecting"
            with pytest.raises(InvalidStatus, match="404"):
                async with dial(f"{server.url}?call_id={client.call_id}"):
                    pass
            assert server.connections[0].sent == []

    async def test_no_data_channel(self, local_server: Any, caller: Any, dial: Any) -> None:
        async with local_server() as server, caller() as client:
            server.faults.add("no-data-channel", connections=1)
            await client.dial(server)
            await client.listen_until(lambda: len(client.levels) > 10)
            assert client.channel.readyState == "connecting"
            # The call is there, all the same.
            async with dial(f"{server.url}?call_id={client.call_id}") as socket:
                await socket.update(instructions="Hello?")
            assert client.channel.readyState == "connecting"

    def test_data_channels_are_feigned_where_they_were_offered(self) -> None:
        head = "v=0\r\na=group:BUNDLE y\r\n"
        audio, data = "m=audio 9 RTP\r\na=mid:y\r\na=ice-pwd:z\r\n", "m=application 9 SCTP\r\na=mid:x\r\n"
        assert NO_DATA.change_offer(head + data + audio) == head + audio
        answer = NO_DATA.change_answer(head + data + audio, head + audio)
        assert answer.splitlines() == [
            "v=0",
            "a=group:BUNDLE y x",
            "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
            "c=IN IP4 0.0.0.0",
            "a=mid:x",
            "a=ice-pwd:z",
            "a=sctp-port:5000",
            "a=max-message-size:262144",
            "m=audio 9 RTP",
            "a=mid:y",
            "a=ice-pwd:z",
        ]


class TestEvents:
    async def test_drop(self, local_server: Any, caller: Any) -> None:
        async with local_server() as server, caller() as client:
            server.faults.add("drop:session.updated")
            await client.dial(server)
            await client.send("session.update", session={"type": "realtime"})
            assert "session.created" in {event["type"] for event in await client.rest()}
            await client.listen_until(lambda: client.state == "closed")
            assert await (await server.connection()).wait_closed() == 1006

    async def test_close(self, local_server: Any, caller: Any) -> None:
        async with local_server() as server, caller() as client:
            server.faults.add("close:1011:session.created")
            await client.dial(server)
            assert [event["type"] for event in await client.rest()] == ["session.created"]
            assert await (await server.connection()).wait_closed() == 1011

    async def test_stall(self, local_server: Any, caller: Any) -> None:
        async with local_server() as server, caller() as client:
            server.faults.add("stall:session.created")
            await client.dial(server)
            await client.next()
            await client.send("response.create", response=TEXT)
            record = await server.connection()
            await record.received_event("response.create")
            heard = len(client.levels)
            await client.listen_until(lambda: len(client.levels) > heard + 10)
            assert [event["type"] for event in record.sent] == ["session.created"]
            async with asyncio.timeout(10):
                await server.__aexit__(None, None, None)

    async def test_half_close(self, local_server: Any, caller: Any) -> None:
        async with local_server() as server, caller() as client:
            server.faults.add("half-close:session.created")
            await client.dial(server)
            await client.next()
            await client.send("response.cancel")
            record = await server.connection()
            await record.received_event("response.cancel")
            assert not record.closed

    async def test_junk(self, local_server: Any, caller: Any) -> None:
        async with local_server() as server, caller() as client:
            server.faults.add("junk:session.created")
            await client.dial(server)
            frames = [await client.frame() for _ in range(7)]
            assert (frames[1], frames[6]) == ("{not json", "")
            assert isinstance(frames[5], bytes)
            await client.send("response.cancel")
            await client.until("error")

    async def test_lose_and_rename_and_duplicate(self, local_server: Any, caller: Any, kinds: Any) -> None:
        async with local_server() as server, caller() as client:
            for fault in ("lose:response.created", "duplicate:response.done"):
                server.faults.add(fault)
            await client.dial(server)
            await client.next()
            await client.send("response.create", response=TEXT)
            await client.until("rate_limits.updated")
            order = kinds(client.events)
            assert ("response.created" in order, order.count("response.done")) == (False, 2)

    async def test_expire(self, local_server: Any, caller: Any) -> None:
        async with local_server() as server, caller() as client:
            server.faults.add("expire:0.2")
            await client.dial(server)
            assert (await client.rest())[-1]["error"]["code"] == "session_expired"

    @pytest.mark.parametrize("name", ["junk-answer", "late-answer", "no-media", "no-data-channel"])
    def test_they_are_nothing_to_a_websocket(self, name: str) -> None:
        fault = make_fault(name)
        assert (fault.make_filter, fault.http_status, fault.session_seconds) == (None, None, None)


class TestTheHandOnIt:
    async def test_a_test_sees_and_drives_the_call(self, local_server: Any, caller: Any) -> None:
        async with local_server() as server, caller() as client:
            response = await client.post(server)
            record = await server.connection()
            # Before the data channel is there, the hand waits for it.
            injecting = asyncio.ensure_future(record.inject({"type": "rate_limits.updated", "rate_limits": []}))
            await client.accept(response)
            await client.until("rate_limits.updated")
            await injecting
            await record.sent_event("session.created")
            await record.inject("not json")
            while (frame := await client.frame()) != "not json":
                assert "session.created" in frame
            await client.send("response.cancel", event_id="c1")
            assert (await record.received_event("response.cancel"))["event_id"] == "c1"
            assert (await record.sent_event("error"))["error"]["event_id"] == "c1"
            await record.close(1013, "later")
            await client.listen_until(lambda: client.state == "closed")
            assert (record.close_code, record.close_reason) == (1013, "later")

    async def test_breaking_it_off(self, local_server: Any, caller: Any) -> None:
        async with local_server() as server, caller(server) as client:
            await client.next()
            record = await server.connection()
            await record.drop()
            await client.listen_until(lambda: client.state == "closed")
            assert record.close_code == 1006

    async def test_without_records(self, local_server: Any, caller: Any) -> None:
        async with local_server(record=False) as server, caller(server) as client:
            await client.next()
            assert server.connections == []


class Unsound:
    """A responder that doesn't keep to its protocol."""

    def phrases(self, context: ResponseContext) -> Sequence[str]:
        return []

    async def respond(self, context: ResponseContext) -> Reply:
        return [Call("f", {})]

    def transcribe(self, pcm: bytes, phrases: Sequence[str]) -> Any:
        return 7


class TestFailures:
    async def test_a_session_that_fails_ends_the_call_audibly(
        self, local_server: Any, caller: Any, speech: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        session = {"type": "realtime", "audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}}}}
        async with local_server(recognizer=Unsound()) as server, caller() as client:
            files = {"sdp": (None, await client.offer()), "session": (None, json.dumps(session))}
            await client.accept(await client.post(server, files=files, headers={"Authorization": "Bearer x"}))
            await client.next()
            await client.mic.say(speech(400))
            assert (await client.rest())[-1]["error"]["code"] == "server_error"
            await client.listen_until(lambda: client.state == "closed")
            assert await (await server.connection()).wait_closed() == 1011
        assert "The session of a call failed" in caplog.text
