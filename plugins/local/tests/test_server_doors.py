"""Who is let in, and how the others are told: protocol sections 1.5, 2.1, 5.1 and 7, over real sockets."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from jackfield.errors import ConfigurationError
from jackfield_local import LocalServer, LocalServerError
from jackfield_local.auth import Keyring
from jackfield_local.engine.errors import ApiError

MODEL = "?model=gpt-realtime"


class TestRefusalsInBand:
    @pytest.mark.parametrize(
        ("query", "key", "headers", "code", "close_code", "reason"),
        [
            (MODEL, "wrong", {}, "invalid_api_key", 3000, "invalid_request_error.invalid_api_key"),
            (MODEL, None, {}, None, 3000, "invalid_request_error"),
            (MODEL, None, {"api-key": "right"}, None, 3000, "invalid_request_error"),
            ("?model=gpt-9", "right", {}, "invalid_model", 4000, "invalid_request_error.invalid_model"),
            ("", "right", {}, "missing_model", 4000, "invalid_request_error.missing_model"),
            (
                "?model=gpt-4o-realtime-preview",
                "right",
                {},
                "model_not_found",
                4004,
                "invalid_request_error.model_not_found",
            ),
            (
                MODEL,
                "right",
                {"OpenAI-Beta": "realtime=v1"},
                "beta_api_shape_disabled",
                4000,
                "invalid_request_error.beta_api_shape_disabled",
            ),
        ],
    )
    async def test_101_then_an_error_then_a_close(
        self,
        local_server: Any,
        dial: Any,
        query: str,
        key: str | None,
        headers: dict[str, str],
        code: str | None,
        close_code: int,
        reason: str,
    ) -> None:
        async with local_server(api_key="right") as server:
            async with dial(server.url + query, key=key, additional_headers=headers) as client:
                (event,) = await client.rest()
                assert event["type"] == "error"
                assert set(event["error"]) == {"type", "code", "message", "param", "event_id"}
                assert event["error"]["code"] == code
                assert (client.socket.close_code, client.socket.close_reason) == (close_code, reason)
            record = server.connections[0]
            assert (record.close_code, record.close_reason) == (close_code, reason)

    async def test_keys_are_never_shown(self, local_server: Any, dial: Any) -> None:
        async with local_server(api_key="the-right-one") as server:
            async with dial(server.url + MODEL, key="my-secret-key-12345") as client:
                (event,) = await client.rest()
            assert "my-secret-key-12345" not in json.dumps(event)
            headers = server.connections[0].request_headers
            assert "my-secret-key" not in repr(headers)
            assert headers["Authorization"] == "Bearer my-secret-key-12345"

    async def test_a_list_of_models(self, local_server: Any, dial: Any) -> None:
        async with local_server(models=["my-model"]) as server:
            async with dial(server.url + "?model=my-model") as client:
                assert (await client.next())["session"]["model"] == "my-model"
            async with dial(server.url + MODEL) as client:
                assert (await client.rest())[0]["error"]["code"] == "invalid_model"


class TestAdmission:
    @pytest.mark.parametrize("key", ["anything", "sk-x"])
    async def test_any_key_by_default(self, local_server: Any, dial: Any, key: str) -> None:
        async with local_server() as server, dial(server.url + MODEL, key=key) as client:
            assert (await client.next())["type"] == "session.created"

    async def test_basic_authentication(self, local_server: Any, dial: Any) -> None:
        headers = {"Authorization": "Basic OnJpZ2h0"}  # ":right"
        async with (
            local_server(api_key="right") as server,
            dial(server.url + MODEL, key=None, additional_headers=headers) as client,
        ):
            assert (await client.next())["type"] == "session.created"

    async def test_browsers_offer_their_key_as_a_subprotocol(self, local_server: Any, dial: Any) -> None:
        offered = ["realtime", "openai-insecure-api-key.right", "openai-agents-sdk.0.1"]
        async with local_server(api_key="right") as server:
            async with dial(server.url + MODEL, key=None, subprotocols=offered) as client:
                assert client.socket.subprotocol == "realtime"
                assert (await client.next())["type"] == "session.created"
            assert server.connections[0].subprotocol == "realtime"

    async def test_no_subprotocol_is_chosen_that_was_not_offered(self, local_server: Any, dial: Any) -> None:
        async with local_server() as server, dial(server.url + MODEL) as client:
            assert client.socket.subprotocol is None

    async def test_intent_transcription_needs_no_model(self, local_server: Any, dial: Any) -> None:
        async with local_server() as server, dial(server.url + "?intent=transcription") as client:
            assert (await client.next())["session"]["type"] == "transcription"

    async def test_unknown_call_id_is_a_404(self, local_server: Any, dial: Any) -> None:
        async with local_server() as server:
            with pytest.raises(InvalidStatus) as refused:
                async with dial(server.url + "?call_id=rtc_gone"):
                    pass
            assert refused.value.response.status_code == 404
            body = json.loads(refused.value.response.body or b"")
            assert body["error"]["code"] == "call_id_not_found"
            assert body["error"]["message"] == "No session found for the provided call_id"


class TestAzure:
    URL = "/openai/v1/realtime?model=my-deployment"

    @pytest.mark.parametrize(
        ("headers", "query"),
        [({"api-key": "right"}, ""), ({}, "&api-key=right"), ({"Authorization": "Bearer right"}, "")],
    )
    async def test_three_places_for_the_key(
        self, local_server: Any, dial: Any, headers: dict[str, str], query: str
    ) -> None:
        async with local_server(api_key="right") as server:
            url = server.azure_endpoint.replace("http", "ws") + self.URL + query
            async with dial(url, key=None, additional_headers=headers) as client:
                assert (await client.next())["session"]["model"] == "my-deployment"
            assert server.connections[0].path == "/openai/v1/realtime"

    @pytest.mark.parametrize(
        ("path", "key", "status", "code"),
        [
            (URL, "wrong", 401, "401"),
            (URL + "&api-version=2025-04-01-preview", "right", 401, "401"),
            ("/openai/v1/realtime", "right", 404, "DeploymentNotFound"),
            ("/openai/v1/realtime?model=other", "right", 404, "DeploymentNotFound"),
            ("/openai/realtime?api-version=2025-04-01-preview&deployment=my-deployment", "right", 404, "404"),
        ],
    )
    async def test_refusals_are_http(self, local_server: Any, path: str, key: str, status: int, code: str) -> None:
        async with local_server(api_key="right", deployments=["my-deployment"]) as server:
            url = server.azure_endpoint.replace("http", "ws") + path
            with pytest.raises(InvalidStatus) as refused:
                async with connect(url, additional_headers={"api-key": key}):
                    pass
            assert refused.value.response.status_code == status
            assert json.loads(refused.value.response.body or b"")["error"]["code"] == code

    async def test_the_preview_path_over_http(self, local_server: Any) -> None:
        async with local_server() as server, httpx.AsyncClient(base_url=server.azure_endpoint) as http:
            answer = await http.get("/openai/realtime", params={"api-version": "2025-04-01-preview"})
            assert answer.status_code == 404
            assert "/openai/v1/realtime" in answer.json()["error"]["message"]


class TestClientSecrets:
    async def post(
        self, server: LocalServer, body: Any, key: str | None = "right", path: str = "/v1"
    ) -> httpx.Response:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(base_url=server.azure_endpoint, headers=headers) as http:
            return await http.post(f"{path}/realtime/client_secrets", json=body)

    async def test_a_secret_starts_sessions_with_its_defaults(self, local_server: Any, dial: Any) -> None:
        async with local_server(api_key="right") as server:
            session = {"type": "realtime", "model": "gpt-realtime-2.1", "instructions": "Be a pirate."}
            answer = await self.post(
                server, {"session": session, "expires_after": {"anchor": "created_at", "seconds": 60}}
            )
            assert answer.status_code == 200
            body = answer.json()
            assert set(body) == {"value", "expires_at", "session"}
            assert body["session"]["instructions"] == "Be a pirate."
            assert body["session"]["object"] == "realtime.session"
            for url in (server.url, server.url):
                async with dial(url, key=body["value"]) as client:
                    created = (await client.next())["session"]
                    assert (created["model"], created["instructions"]) == ("gpt-realtime-2.1", "Be a pirate.")
                    assert created["id"] != body["session"]["id"]
            async with dial(server.url + MODEL, key=body["value"]) as client:
                assert (await client.next())["session"]["model"] == "gpt-realtime"

    async def test_a_secret_that_does_not_suit_the_model(self, local_server: Any, dial: Any) -> None:
        async with local_server() as server:
            session = {"type": "realtime", "model": "gpt-realtime-2.1", "reasoning": {"effort": "high"}}
            value = (await self.post(server, {"session": session})).json()["value"]
            async with dial(server.url + MODEL, key=value) as client:
                assert (await client.rest())[0]["error"]["param"] == "session.reasoning"

    async def test_a_transcription_secret(self, local_server: Any, dial: Any) -> None:
        async with local_server() as server:
            session = {"type": "transcription", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}
            value = (await self.post(server, {"session": session})).json()["value"]
            async with dial(server.url, key=value) as client:
                created = (await client.next())["session"]
                assert created["audio"]["input"]["transcription"]["model"] == "whisper-1"

    async def test_an_empty_body_gives_the_defaults(self, local_server: Any) -> None:
        async with local_server() as server:
            assert (await self.post(server, {})).json()["session"]["model"] == "gpt-realtime"

    @pytest.mark.parametrize(
        ("body", "param"),
        [
            ({"session": {}}, "session.type"),
            ({"session": {"type": "realtime", "bogus": 1}}, "session.bogus"),
            ({"expires_after": {"anchor": "created_at", "seconds": 5}}, "expires_after.seconds"),
            ({"expires_after": {"anchor": "birth"}}, "expires_after.anchor"),
            ({"other": 1}, "other"),
            ([], "body"),
        ],
    )
    async def test_bad_requests(self, local_server: Any, body: Any, param: str) -> None:
        async with local_server() as server:
            answer = await self.post(server, body)
            assert answer.status_code == 400
            assert set(answer.json()["error"]) == {"message", "type", "code", "param"}
            assert answer.json()["error"]["param"] == param

    async def test_keys_are_checked(self, local_server: Any) -> None:
        async with local_server(api_key="right") as server:
            assert (await self.post(server, {}, "wrong")).json()["error"]["code"] == "invalid_api_key"
            assert (await self.post(server, {}, None)).status_code == 401
            ephemeral = (await self.post(server, {})).json()["value"]
            assert (await self.post(server, {}, ephemeral)).status_code == 401

    async def test_unknown_ephemeral_keys_are_no_api_keys(self, local_server: Any, dial: Any) -> None:
        async with local_server() as server, dial(server.url + MODEL, key="ek_made_up") as client:
            assert (await client.rest())[0]["error"]["code"] == "invalid_api_key"

    async def test_azure(self, local_server: Any) -> None:
        async with local_server(api_key="right") as server:
            assert (await self.post(server, {}, path="/openai/v1")).status_code == 200
            refused = await self.post(server, {}, "wrong", path="/openai/v1")
            assert (refused.status_code, refused.json()["error"]["code"]) == (401, "401")

    def test_secrets_expire(self) -> None:
        now = 1000.0
        keyring = Keyring("right", clock=lambda: now)
        value = keyring.mint({"type": "realtime"}, 60).value
        assert keyring.check(value) is not None
        now = 1060.0
        with pytest.raises(ApiError, match="Incorrect API key"):
            keyring.check(value)

    async def test_what_is_not_there_is_told_in_json(self, local_server: Any) -> None:
        async with local_server() as server, httpx.AsyncClient(base_url=server.azure_endpoint) as http:
            missing = await http.get("/v1/nothing")
            assert (missing.status_code, missing.json()["error"]["type"]) == (404, "invalid_request_error")
            wrong = await http.get("/v1/realtime/client_secrets")
            assert (wrong.status_code, wrong.json()["error"]["type"]) == (405, "invalid_request_error")


class Endless:
    """Speaks for a quarter of an hour at once."""

    def synthesize(self, text: str, *, voice: str, speed: float) -> bytes:
        return bytes(900_000 * 48)


class TestListening:
    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
    def test_other_machines_need_an_explicit_word(self, host: str) -> None:
        with pytest.raises(ConfigurationError, match="allow_remote"):
            LocalServer(host=host)
        LocalServer(host=host, allow_remote=True)

    async def test_a_taken_port_is_told(self, local_server: Any) -> None:
        async with local_server() as first:
            with pytest.raises(LocalServerError, match="another port"):
                async with local_server(port=first.port):
                    pass

    async def test_the_server_stops_at_once_with_open_sockets(self, local_server: Any, dial: Any) -> None:
        async with local_server() as server:
            server.faults.add("half-close:1", connections=1)
            deaf = connect(server.url + MODEL, additional_headers={"Authorization": "Bearer x"})
            async with deaf as stuck, dial(server.url + MODEL) as client:
                await client.next()
                async with asyncio.timeout(5):
                    await server.__aexit__(None, None, None)
                    await client.socket.wait_closed()
                assert [connection.closed for connection in server.connections] == [True, True]
                await stuck.wait_closed()

    async def test_the_server_stops_when_a_client_does_not_read(self, local_server: Any, dial: Any) -> None:
        async with (
            local_server(synthesizer=Endless()) as server,
            dial(server.url + MODEL, compression=None) as client,
        ):
            await client.send("response.create")
            client.socket.transport.pause_reading()
            record = await server.connection()
            await record.sent_event("response.output_audio.delta")
            sent = -1
            while sent < len(record.sent):
                sent = len(record.sent)
                for _ in range(500):
                    await asyncio.sleep(0)
            assert "response.done" not in {event["type"] for event in record.sent}
            async with asyncio.timeout(5):
                await server.__aexit__(None, None, None)
            client.socket.transport.abort()
