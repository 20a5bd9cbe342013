"""Calls that ring: the webhook, and accepting, rejecting and giving up. Protocol sections 2.3 and 4.2."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest
from openai import AsyncOpenAI, NotFoundError

from jackfield.errors import ConfigurationError
from jackfield_local import LocalServer, LocalServerError
from jackfield_local.sip import sdp
from jackfield_local.sip.webhooks import signature

SECRET = "whsec_c2VjcmV0IG9mIHRoZSB0ZXN0cw=="
SESSION = {"type": "realtime", "model": "gpt-realtime", "instructions": "Be a pirate."}


class TestWebhook:
    async def test_it_tells_of_a_call(self, talk: Any) -> None:
        async with talk() as line:
            await line.phone.call(line.server.sip_uri, headers={"X-Order": "7", "Authorization": "Digest secret"})
            headers, body = await line.told.request()
            async with AsyncOpenAI(api_key="x", webhook_secret=SECRET) as api:
                event = api.webhooks.unwrap(body, headers)
            assert event.type == "realtime.call.incoming"
            assert event.data.call_id.startswith("rtc_")
            sip = {header.name: header.value for header in event.data.sip_headers}
            assert sip["To"] == f"<{line.server.sip_uri}>"
            assert sip["From"].startswith("<sip:caller@127.0.0.1:")
            assert (sip["X-Order"], "Authorization" in sip) == ("7", False)
            assert headers["user-agent"].startswith("OpenAI/1.0")
            assert (await line.server.connection()).call_id == event.data.call_id

    async def test_it_is_sent_until_it_is_taken(self, talk: Any) -> None:
        async with talk(500, 302) as line:
            call = await line.phone.call(line.server.sip_uri)
            requests = [await line.told.request(number) for number in range(3)]
            assert len({headers["webhook-id"] for headers, _ in requests}) == 1
            assert len({body for _, body in requests}) == 1
            await call.ringing()

    def test_a_plain_secret(self) -> None:
        assert signature("plain", "wh_1", 1_700_000_000, b"{}").startswith("v1,")
        assert signature("plain", "wh_1", 1_700_000_000, b"{}") != signature(SECRET, "wh_1", 1_700_000_000, b"{}")

    @pytest.mark.parametrize(
        "options",
        [
            {"webhook_url": "ftp://x", "webhook_secret": "x"},
            {"webhook_url": "http://x"},
            {"webhook_url": "http://x", "webhook_secret": "whsec_?"},
            {"ring_seconds": 0},
            {"silent_seconds": 0},
        ],
    )
    def test_what_cannot_be(self, options: Any) -> None:
        with pytest.raises(ConfigurationError):
            LocalServer(sip=True, **options)

    def test_without_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in [name for name in sys.modules if name.startswith("jackfield_local.sip.")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "sipmessage", None)
        with pytest.raises(ConfigurationError, match=r"jackfield-local\[sip\]"):
            LocalServer(sip=True)

    async def test_no_door(self, local_server: Any) -> None:
        async with local_server() as server:
            with pytest.raises(LocalServerError, match="sip=True"):
                _ = server.sip_uri


class TestRinging:
    async def test_accepted(self, talk: Any) -> None:
        async with talk() as line:
            call, call_id = await line.accepted()
            assert call.statuses == [180, 200]
            async with line.sideband(call_id) as client:
                session = (await client.next())["session"]
                assert (session["instructions"], session["model"]) == ("Be a pirate.", "gpt-realtime")
                assert session["audio"]["input"]["format"] == {"type": "audio/pcmu"}
                assert session["audio"]["output"]["format"] == {"type": "audio/pcmu"}

    async def test_over_tcp(self, talk: Any, ended: Any) -> None:
        async with talk() as line:
            call, call_id = await line.accepted(tcp=True)
            assert (await line.post(call_id, "hangup")).status_code == 200
            assert await ended(call)

    @pytest.mark.parametrize(("body", "code"), [(None, 603), ({"status_code": 486}, 486)])
    async def test_rejected(self, talk: Any, body: Any, code: int, refused: Any) -> None:
        async with talk() as line:
            call = await line.phone.call(line.server.sip_uri)
            call_id = await line.told.call_id()
            assert (await line.post(call_id, "reject", body)).status_code == 200
            assert await refused(call) == code
            assert (await line.post(call_id, "reject")).status_code == 404
            assert (await line.post(call_id, "accept", SESSION)).status_code == 404

    @pytest.mark.parametrize("body", [{"status_code": 200}, {"status_code": "busy"}, {"code": 486}, [486]])
    async def test_no_rejection(self, talk: Any, body: Any) -> None:
        async with talk() as line:
            await line.phone.call(line.server.sip_uri)
            response = await line.post(await line.told.call_id(), "reject", body)
            assert response.status_code == 400

    async def test_nobody_accepts(self, talk: Any, refused: Any) -> None:
        async with talk(ring_seconds=0.05) as line:
            call = await line.phone.call(line.server.sip_uri)
            assert await refused(call) == 480
            connection = await line.server.connection()
            assert await connection.wait_closed() == 1006
            response = await line.post(connection.call_id, "accept", SESSION)
            assert (response.status_code, response.json()["error"]["code"]) == (404, "call_id_not_found")

    async def test_the_caller_gives_up(self, talk: Any, refused: Any) -> None:
        async with talk() as line:
            call = await line.phone.call(line.server.sip_uri)
            call_id = await line.told.call_id()
            call.hang_up()
            assert await refused(call) == 487
            assert await (await line.server.connection()).wait_closed() == 1000
            for action, body in (
                ("accept", SESSION),
                ("reject", None),
                ("hangup", None),
                ("refer", {"target_uri": "tel:+1"}),
            ):
                assert (await line.post(call_id, action, body)).status_code == 404

    async def test_hung_up_by_the_application(self, talk: Any, refused: Any) -> None:
        async with talk() as line:
            call = await line.phone.call(line.server.sip_uri)
            assert (await line.post(await line.told.call_id(), "hangup")).status_code == 200
            assert await refused(call) == 480

    @pytest.mark.parametrize("name", ["threshold", "prefix_padding_ms", "silence_duration_ms"])
    async def test_turn_detection_is_tuned_later(self, talk: Any, name: str) -> None:
        async with talk() as line:
            await line.phone.call(line.server.sip_uri)
            audio = {"input": {"turn_detection": {"type": "server_vad", name: 1}}}
            response = await line.post(await line.told.call_id(), "accept", {**SESSION, "audio": audio})
            path = f"session.audio.input.turn_detection.{name}"
            assert (response.status_code, response.json()["error"]["param"]) == (400, path)

    async def test_no_sideband_before_it_is_accepted(self, talk: Any) -> None:
        async with talk() as line:
            await line.phone.call(line.server.sip_uri)
            with pytest.raises(Exception, match="404"):
                async with line.sideband(await line.told.call_id()):
                    pass

    async def test_accepted_twice(self, talk: Any) -> None:
        async with talk() as line:
            _, call_id = await line.accepted()
            for action, body in (("accept", SESSION), ("reject", None)):
                response = await line.post(call_id, action, body)
                assert (response.status_code, response.json()["error"]["code"]) == (409, "call_already_accepted")

    async def test_accepted_twice_at_once(self, talk: Any) -> None:
        async with talk() as line:
            call = await line.phone.call(line.server.sip_uri)
            call_id = await line.told.call_id()
            answers = await asyncio.gather(*(line.post(call_id, "accept", SESSION) for _ in range(3)))
            assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
            await call.answered()

    @pytest.mark.parametrize(
        ("body", "param"),
        [
            ({"model": "gpt-realtime"}, "session.type"),
            ({"type": "realtime", "voice": "marin"}, "session.voice"),
            ({"type": "transcription"}, "session.type"),
            ({"type": "realtime", "model": 5}, "session.model"),
            ({"type": "realtime", "model": "davinci"}, None),
        ],
    )
    async def test_an_accept_that_is_wrong_may_be_tried_again(self, talk: Any, body: Any, param: str | None) -> None:
        async with talk() as line:
            call = await line.phone.call(line.server.sip_uri)
            call_id = await line.told.call_id()
            response = await line.post(call_id, "accept", body)
            assert (response.status_code, response.json()["error"]["param"]) == (400, param)
            assert (await line.post(call_id, "accept", SESSION)).status_code == 200
            await call.answered()

    async def test_or_is_taken_and_breaks(self, talk: Any, refused: Any) -> None:
        async with talk() as line:
            line.server.faults.add("blind-accept")
            call = await line.phone.call(line.server.sip_uri)
            assert (await line.post(await line.told.call_id(), "accept", {"model": "gpt-realtime"})).status_code == 200
            assert await refused(call) == 400
            assert await (await line.server.connection()).wait_closed() == 1011

    async def test_refused_by_a_fault(self, talk: Any) -> None:
        async with talk() as line:
            line.server.faults.add("http:429", connections=1)
            await line.phone.call(line.server.sip_uri)
            call_id = await line.told.call_id()
            assert (await line.post(call_id, "accept", SESSION)).status_code == 429
            assert (await line.post(call_id, "accept", SESSION)).status_code == 200

    async def test_formats_are_not_the_applications(self, talk: Any, Voice: Any) -> None:
        pcm = {"type": "audio/pcm", "rate": 24000}
        async with talk(codecs=(sdp.PCMA,)) as line:
            voice = Voice()
            audio = {"input": {"format": pcm}, "output": {"format": pcm}}
            _, call_id = await line.accepted(voice, audio=audio)
            async with line.sideband(call_id) as client:
                assert (await client.next())["session"]["audio"]["input"]["format"] == {"type": "audio/pcma"}
                await client.update(audio=audio)
                await client.send("response.create")
                await voice.heard_something()

    @pytest.mark.parametrize("key", [None, "Bearer wrong", "Bearer ek_no"])
    @pytest.mark.parametrize("action", ["accept", "reject", "refer"])
    async def test_keys(self, talk: Any, key: str | None, action: str) -> None:
        async with talk(api_key="right") as line:
            await line.phone.call(line.server.sip_uri)
            headers = {"Authorization": key} if key else {}
            response = await line.post(await line.told.call_id(), action, SESSION, headers=headers)
            assert response.status_code == 401

    async def test_a_webrtc_call_is_not_to_be_accepted(self, talk: Any) -> None:
        async with talk() as line:
            assert (await line.post("rtc_none", "accept", SESSION)).status_code == 404

    async def test_the_official_client(self, talk: Any, ended: Any) -> None:
        async with talk() as line, AsyncOpenAI(base_url=line.server.http_url, api_key="x") as api:
            call = await line.phone.call(line.server.sip_uri)
            call_id = await line.told.call_id()
            await api.realtime.calls.accept(call_id, type="realtime", model="gpt-realtime")
            await call.answered()
            async with api.realtime.connect(call_id=call_id) as connection:
                assert (await connection.recv()).type == "session.created"
            await api.realtime.calls.refer(call_id, target_uri="tel:+15551234")
            assert await call.wait_referred() == "tel:+15551234"
            await api.realtime.calls.hangup(call_id)
            assert await ended(call)
            with pytest.raises(NotFoundError):
                await api.realtime.calls.hangup(call_id)
