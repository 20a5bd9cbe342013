"""Making and ending calls: protocol sections 2.2, 2.3 and 3, with a plain aiortc peer at the other end."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI

SESSION = {"type": "realtime", "model": "gpt-realtime", "instructions": "Be a pirate."}


async def mint(server: Any, session: dict[str, Any]) -> str:
    async with httpx.AsyncClient() as http:
        url = f"{server.http_url}/realtime/client_secrets"
        answer = await http.post(url, json={"session": session}, headers={"Authorization": "Bearer right"})
    return answer.json()["value"]  # type: ignore[no-any-return]


class TestBothForms:
    async def test_raw_sdp(self, local_server: Any, caller: Any) -> None:
        async with local_server() as server, caller() as client:
            response = await client.post(server, query="?model=gpt-realtime-2.1")
            assert (response.status_code, response.headers["content-type"]) == (201, "application/sdp")
            path, _, call_id = response.headers["location"].rpartition("/")
            assert (path, call_id[:4]) == ("/v1/realtime/calls", "rtc_")
            assert response.text.startswith("v=0\r\n")
            assert "a=setup:active" in response.text
            await client.accept(response)
            created = await client.next()
            assert created["type"] == "session.created"
            assert created["session"]["model"] == "gpt-realtime-2.1"
            record = await server.connection()
            assert (record.path, record.call_id) == ("/v1/realtime/calls", call_id)
            assert record.query == {"model": "gpt-realtime-2.1"}

    async def test_a_model_is_not_needed(self, local_server: Any, caller: Any) -> None:
        async with local_server() as server, caller(server, query="") as client:
            assert (await client.next())["session"]["model"] == "gpt-realtime"

    async def test_an_ephemeral_key_brings_its_session(self, local_server: Any, caller: Any) -> None:
        async with local_server(api_key="right") as server:
            key = await mint(server, SESSION)
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/sdp; charset=utf-8"}
            async with caller(server, query="", headers=headers) as client:
                created = (await client.next())["session"]
                assert (created["instructions"], created["model"]) == ("Be a pirate.", "gpt-realtime")
            async with caller(server, query="?model=gpt-realtime-2.1", headers=headers) as client:
                assert (await client.next())["session"]["model"] == "gpt-realtime-2.1"

    @pytest.mark.parametrize(
        "parts",
        [
            lambda sdp, session: {"sdp": (None, sdp), "session": (None, session)},
            lambda sdp, session: {
                "session": (None, session, "application/json"),
                "sdp": (None, sdp, "application/sdp"),
            },
            lambda sdp, session: {"sdp": ("blob", sdp, "application/sdp"), "session": ("blob", session)},
        ],
        ids=["strings", "typed", "files"],
    )
    async def test_a_form(self, local_server: Any, caller: Any, parts: Any) -> None:
        async with local_server() as server, caller() as client:
            files = parts(await client.offer(), json.dumps(SESSION))
            response = await client.post(server, query="", files=files, headers={"Authorization": "Bearer x"})
            await client.accept(response)
            assert (await client.next())["session"]["instructions"] == "Be a pirate."

    async def test_the_form_says_more_than_the_key(self, local_server: Any, caller: Any) -> None:
        async with local_server(api_key="right") as server, caller() as client:
            headers = {"Authorization": f"Bearer {await mint(server, {**SESSION, 'output_modalities': ['text']})}"}
            files = {"sdp": (None, await client.offer()), "session": (None, '{"instructions": "Be brief."}')}
            await client.accept(await client.post(server, query="", files=files, headers=headers))
            session = (await client.next())["session"]
            assert (session["instructions"], session["output_modalities"]) == ("Be brief.", ["text"])

    async def test_the_official_client(self, local_server: Any, caller: Any) -> None:
        async with local_server() as server, caller() as client:
            async with AsyncOpenAI(base_url=server.http_url, api_key="x") as api:
                answer = await api.realtime.calls.create(sdp=await client.offer(), session=SESSION)
                await client.accept(answer.response)
                assert (await client.next())["session"]["instructions"] == "Be a pirate."
                await api.realtime.calls.hangup(client.call_id)
            assert await (await server.connection()).wait_closed() == 1000

    async def test_lines_may_end_in_line_feeds_alone(self, local_server: Any, caller: Any) -> None:
        async with local_server() as server, caller() as client:
            offer = (await client.offer()).replace("\r\n", "\n")
            await client.accept(await client.post(server, content=offer))
            assert (await client.next())["type"] == "session.created"

    async def test_any_label_will_do(self, local_server: Any, caller: Any) -> None:
        async with local_server() as server, caller() as client:
            client.channel.close()
            client.channel = client.open_channel("realtime-channel")
            await client.dial(server)
            # The channel that was closed before it could open has its end in the inbox.
            while (frame := await client.frame()) is None:
                pass
            assert json.loads(frame)["type"] == "session.created"

    async def test_what_else_is_offered_is_left_alone(self, local_server: Any, caller: Any, speech: Any) -> None:
        async with local_server() as server, caller() as client:
            client.peer.addTransceiver("video", "recvonly")
            await client.dial(server)
            await client.mic.say(speech(400))
            await client.until("response.created")
            await client.close()
            assert await (await server.connection()).wait_closed() == 1000

    async def test_a_transcription_session(self, local_server: Any, caller: Any, speech: Any) -> None:
        session = {"type": "transcription", "audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}}}}
        async with local_server() as server, caller() as client:
            files = {"sdp": (None, await client.offer()), "session": (None, json.dumps(session))}
            await client.accept(await client.post(server, query="", files=files, headers={"Authorization": "Bearer x"}))
            assert (await client.next())["session"]["type"] == "transcription"
            await client.mic.say(speech(400))
            heard = await client.until("conversation.item.input_audio_transcription.completed")
            assert heard["transcript"] == "What is the weather in Paris"


class TestRefusals:
    async def post(self, server: Any, content: bytes | str, **options: Any) -> httpx.Response:
        headers = {"Authorization": "Bearer right", "Content-Type": "application/sdp", **options.pop("headers", {})}
        async with httpx.AsyncClient(timeout=20) as http:
            url = f"{server.http_url}/realtime/calls{options.pop('query', '')}"
            response = await http.post(url, content=content, headers=headers, **options)
        assert set(response.json()["error"]) == {"message", "type", "code", "param"}
        assert server.connections == []
        return response

    @pytest.mark.parametrize("key", [None, "Bearer wrong", "Bearer ek_made_up", "right"])
    async def test_keys(self, local_server: Any, key: str | None) -> None:
        async with local_server(api_key="right") as server:
            response = await self.post(server, "v=0\r\n", headers={"Authorization": key or ""})
            assert response.status_code == 401

    @pytest.mark.parametrize(
        "offer",
        [
            "hello\r\n",
            "\r\n",
            "v=0\r\n",
            "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n",
            "v=0\r\nm=audio nine\r\n",
            b"\xff\xfe\x00\r\n",
        ],
    )
    async def test_offers(self, local_server: Any, offer: bytes | str) -> None:
        async with local_server() as server:
            response = await self.post(server, offer)
            assert response.status_code == 400
            assert response.json()["error"] == {
                "message": "Invalid SDP offer. Please try again with a WHIP-compliant offer.",
                "type": "invalid_request_error",
                "param": None,
                "code": "invalid_offer",
            }

    async def test_an_offer_that_was_trimmed(self, local_server: Any, caller: Any) -> None:
        async with local_server() as server, caller() as client:
            for offer in ((await client.offer()).strip(), ""):
                response = await self.post(server, offer)
                assert response.status_code == 400
                assert response.json()["error"]["message"].endswith("failed to unmarshal SDP: EOF")

    @pytest.mark.parametrize(
        ("session", "param"),
        [
            ('{"type": "realtime", "bogus": 1}', "session.bogus"),
            ('{"type": "realtime", "audio": {"output": {"voice": 7}}}', "session.audio.output.voice"),
            ('{"type": "dance"}', "session.type"),
            ('{"instructions": "x"}', "session.type"),
            ('{"type": "realtime", "model": 7}', "session.model"),
            ("[]", "session"),
            ("{broken", None),
            ("", None),
        ],
    )
    async def test_sessions(self, local_server: Any, caller: Any, session: str, param: str | None) -> None:
        async with local_server() as server, caller() as client:
            files = {"sdp": (None, await client.offer()), "session": (None, session)}
            response = await client.post(server, query="", files=files, headers={"Authorization": "Bearer x"})
            assert (response.status_code, response.json()["error"]["param"]) == (400, param)
            assert server.connections == []

    @pytest.mark.parametrize(
        ("model", "code"), [("gpt-9", "invalid_model"), ("gpt-4o-realtime-preview", "model_not_found")]
    )
    async def test_models(self, local_server: Any, model: str, code: str) -> None:
        async with local_server() as server:
            response = await self.post(server, "v=0\r\n", query=f"?model={model}")
            assert (response.status_code, response.json()["error"]["code"]) == (400, code)

    @pytest.mark.parametrize("kind", ["application/json", "", "text/plain", "multipart/mixed; boundary=x"])
    async def test_content_types(self, local_server: Any, kind: str) -> None:
        async with local_server() as server:
            response = await self.post(server, "v=0\r\n", headers={"Content-Type": kind})
            assert (response.status_code, response.json()["error"]["code"]) == (400, "unsupported_content_type")

    @pytest.mark.parametrize(
        "body", [b"", b"--x", b"--x\r\n\r\nno disposition\r\n--x--\r\n", b'--x\r\nContent-Disposition: "\r\n\r\n']
    )
    async def test_broken_forms(self, local_server: Any, body: bytes) -> None:
        async with local_server() as server:
            headers = {"Content-Type": "multipart/form-data; boundary=x"}
            assert (await self.post(server, body, headers=headers)).status_code == 400
            assert (await self.post(server, body, headers={"Content-Type": "multipart/form-data"})).status_code == 400

    async def test_a_form_without_an_offer(self, local_server: Any) -> None:
        async with local_server() as server, httpx.AsyncClient() as http:
            url, headers = f"{server.http_url}/realtime/calls", {"Authorization": "Bearer x"}
            response = await http.post(url, files={"session": (None, "{}")}, headers=headers)
            assert (response.status_code, response.json()["error"]["param"]) == (400, "sdp")

    async def test_size(self, local_server: Any) -> None:
        async with local_server() as server:
            assert (await self.post(server, "v=0\r\n" * 250_000)).status_code == 413

    async def test_without_aiortc(self, local_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "jackfield_local.webrtc", None)
        async with local_server() as server:
            response = await self.post(server, "v=0\r\n")
            assert response.status_code == 501
            assert "Install jackfield-local[webrtc]" in response.json()["error"]["message"]

    def test_aiortc_is_imported_for_calls_only(self) -> None:
        program = (
            "import sys, jackfield_local.server; jackfield_local.server.LocalServer(); "
            "assert not {'aiortc', 'av'} & set(sys.modules)"
        )
        subprocess.run([sys.executable, "-c", program], check=True)


class TestPages:
    """What a browser asks before it lets a page call."""

    async def test_preflight(self, local_server: Any) -> None:
        async with local_server() as server, httpx.AsyncClient() as http:
            asks = {
                "Origin": "https://example.org",
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,content-type,openai-safety-identifier",
            }
            response = await http.options(f"{server.http_url}/realtime/calls", headers=asks)
            assert response.status_code == 200
            assert response.headers["access-control-allow-origin"] == "*"
            assert "POST" in response.headers["access-control-allow-methods"]
            allowed = response.headers["access-control-allow-headers"]
            assert allowed == "authorization,content-type,openai-safety-identifier"

    async def test_the_location_is_readable_and_errors_too(self, local_server: Any, caller: Any) -> None:
        headers = {
            "Authorization": "Bearer x",
            "Content-Type": "application/sdp",
            "Origin": "https://example.org",
        }
        async with local_server() as server, caller() as client:
            for content, status in (((await client.offer()).encode(), 201), (b"junk\n", 400)):
                response = await client.post(server, content=content, headers=headers)
                assert response.status_code == status
                assert response.headers["access-control-allow-origin"] == "*"
                assert response.headers["access-control-expose-headers"] == "Location"


class TestHangingUp:
    async def test_by_rest(self, local_server: Any, caller: Any, hang_up: Any) -> None:
        async with local_server() as server, caller(server) as client:
            await client.next()
            assert (await hang_up(server, client.call_id)).status_code == 200
            assert await client.rest() == []
            await client.listen_until(lambda: client.state == "closed")
            assert await (await server.connection()).wait_closed() == 1000
            again = await hang_up(server, client.call_id)
            assert (again.status_code, again.json()["error"]["code"]) == (404, "call_id_not_found")

    async def test_who_may(self, local_server: Any, caller: Any, hang_up: Any) -> None:
        async with local_server(api_key="right") as server:
            headers = {"Authorization": "Bearer right", "Content-Type": "application/sdp"}
            async with caller(server, headers=headers) as client:
                await client.next()
                for key in ("wrong", await mint(server, SESSION)):
                    assert (await hang_up(server, client.call_id, key)).status_code == 401
                unknown = await hang_up(server, "rtc_nobody", "right")
                assert unknown.json()["error"]["message"] == "No session found for the provided call_id"
                assert not server.connections[0].closed

    async def test_by_the_client(self, local_server: Any, caller: Any, hang_up: Any) -> None:
        async with local_server() as server, caller(server) as client:
            await client.next()
            await client.close()
            async with asyncio.timeout(20):
                assert await (await server.connection()).wait_closed() == 1000
                while (await hang_up(server, client.call_id)).status_code != 404:
                    await asyncio.sleep(0.01)

    async def test_a_call_that_never_connects_can_be_hung_up(
        self, local_server: Any, caller: Any, hang_up: Any
    ) -> None:
        async with local_server() as server, caller() as client:
            response = await client.post(server)
            call_id = response.headers["location"].rpartition("/")[2]
            assert (await hang_up(server, call_id)).status_code == 200
            assert await (await server.connection()).wait_closed() == 1000

    async def test_expiry(self, local_server: Any, caller: Any) -> None:
        async with local_server(session_seconds=0.3) as server, caller(server) as client:
            assert (await client.rest())[-1]["error"]["code"] == "session_expired"
            await client.listen_until(lambda: client.state == "closed")
            record = await server.connection()
            assert await record.wait_closed() == 1001
            assert "maximum duration" in record.close_reason

    async def test_the_server_stops_and_nothing_is_left(self, local_server: Any, caller: Any) -> None:
        before = asyncio.all_tasks()
        async with local_server() as server, caller(server) as client, caller() as late:
            await client.next()
            await late.post(server)
            async with asyncio.timeout(10):
                await server.__aexit__(None, None, None)
            assert [record.close_code for record in server.connections] == [1001, 1001]
            await client.listen_until(lambda: client.state == "closed")
        async with asyncio.timeout(20):
            while asyncio.all_tasks() - before:
                await asyncio.sleep(0.01)
