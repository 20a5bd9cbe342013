"""What a call is asked for with: address, key, model and session, and what the transport's own options do."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aioice import stun
from aiortc import RTCIceServer, RTCPeerConnection

from jackfield.testing.conformance import no_leaks
from jackfield.transport import RealtimeTransportLayer, create_transport
from jackfield_local.conformance.peers import CallRequest, RtcFarEnd

pytestmark = pytest.mark.usefixtures("nothing_is_left")

MAPPED = "198.51.100.7"


@contextlib.asynccontextmanager
async def stun_server() -> AsyncIterator[int]:
    """Answer STUN on loopback: whoever asks is seen at an address that nobody has (RFC 5737)."""
    loop = asyncio.get_running_loop()
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    server.setblocking(False)

    def answer() -> None:
        data, sender = server.recvfrom(2048)
        asked = stun.parse_message(data)
        told = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, transaction_id=asked.transaction_id)
        told.attributes["XOR-MAPPED-ADDRESS"] = (MAPPED, 40_000)
        server.sendto(bytes(told), sender)

    loop.add_reader(server, answer)
    try:
        yield server.getsockname()[1]
    finally:
        loop.remove_reader(server)
        server.close()


async def asked(far_end: RtcFarEnd, *, options: dict[str, Any] | None = None, **connect: Any) -> CallRequest:
    """Make a call and hang up; return the request that it was asked for with."""
    transport = create_transport("webrtc", **(options or {}))
    await transport.connect(**connect)
    await transport.close()
    return far_end.requests[-1]


class TestRequest:
    async def test_the_session_comes_with_the_offer(self) -> None:
        config = {"instructions": "Sing.", "voice": "ash", "inputAudioFormat": "g711_ulaw"}
        async with RtcFarEnd() as far_end:
            request = await asked(
                far_end, url=far_end.calls_url, api_key="sk-a", model="gpt-x", initial_session_config=config
            )
            assert request.path == "/v1/realtime/calls"
            assert request.headers["authorization"] == "Bearer sk-a"
            assert request.headers["user-agent"].startswith("jackfield/")
            assert request.headers["content-type"].startswith("multipart/form-data")
            assert request.offer.startswith("v=0\r\n") and request.offer.endswith("\r\n")
            assert request.session is not None
            told = {name: request.session[name] for name in ("type", "model", "instructions")}
            assert told == {"type": "realtime", "model": "gpt-x", "instructions": "Sing."}
            assert request.session["audio"]["output"] == {"voice": "ash"}
            assert "format" not in str(request.session), "the formats of a media path are negotiated"

    async def test_without_a_model_it_is_that_of_the_config_or_the_default(self) -> None:
        async with RtcFarEnd() as far_end:
            where = {"url": far_end.calls_url, "api_key": "sk-a"}
            request = await asked(far_end, **where)
            assert request.session == {"type": "realtime", "model": "gpt-realtime"}
            request = await asked(far_end, **where, initial_session_config={"model": "gpt-y"})
            assert request.session is not None and request.session["model"] == "gpt-y"

    @pytest.mark.parametrize(
        ("key", "form", "alone"),
        [
            ("sk-a", "auto", False),
            ("ek_a", "auto", True),
            ("sk-a", "sdp", True),
            ("ek_a", "multipart", False),
        ],
    )
    async def test_an_offer_alone_is_bytes(self, key: str, form: str, alone: bool) -> None:
        async with RtcFarEnd() as far_end:
            transport = create_transport("webrtc", offer_form=form)
            config = {"instructions": "Sing."}
            await transport.connect(url=far_end.calls_url, api_key=key, initial_session_config=config)
            far = await far_end.connection()
            assert (far.request.headers["content-type"] == "application/sdp") is alone
            assert (far.given_config is None) is alone
            assert far.types() == (["session.update"] if alone else [])
            assert (await far.configured())["instructions"] == "Sing."
            await transport.close()

    @pytest.mark.parametrize("scheme", ["http", "ws"])
    async def test_the_base_url_of_the_environment(self, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
        async with RtcFarEnd() as far_end:
            monkeypatch.setenv("OPENAI_BASE_URL", f"{scheme}://127.0.0.1:{far_end.port}/v7/")
            monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
            request = await asked(far_end, model="gpt-x")
            assert request.path == "/v7/realtime/calls"
            assert request.headers["authorization"] == "Bearer sk-environment"
            # An offer that comes alone has the model in the address, where that is ours to make.
            request = await asked(far_end, api_key="ek_a", model="gpt x")
            assert request.path == "/v7/realtime/calls?model=gpt+x"

    @pytest.mark.parametrize("headers", [{}, {"X-Own": "yes", "Authorization": "Token t"}])
    async def test_headers_that_are_given_are_all_there_are(self, headers: dict[str, str]) -> None:
        async with RtcFarEnd() as far_end:
            request = await asked(far_end, url=far_end.calls_url, headers=headers)
            assert request.headers.get("authorization") == headers.get("Authorization")
            assert request.headers.get("x-own") == headers.get("X-Own")

    async def test_the_key_is_asked_for_at_every_dial(self) -> None:
        keys = iter(["sk-one", "sk-two", "sk-three"])

        async def key() -> str:
            await asyncio.sleep(0)
            return next(keys)

        async with RtcFarEnd() as far_end:
            transport = create_transport("webrtc")
            for function in (key, lambda: next(keys), key):
                await transport.connect(url=far_end.calls_url, api_key=function)
                await transport.close()
            told = [request.headers["authorization"] for request in far_end.requests]
            assert told == ["Bearer sk-one", "Bearer sk-two", "Bearer sk-three"]


class TestIceServers:
    @pytest.mark.parametrize(
        "shape",
        [
            lambda url: url,
            lambda url: {"urls": url},
            lambda url: {"urls": [url], "username": "u", "credential": "c"},
            lambda url: RTCIceServer(urls=[url]),
        ],
        ids=["url", "mapping", "mapping of a list", "record"],
    )
    async def test_of_each_shape_is_asked(self, shape: Callable[[str], Any]) -> None:
        async with RtcFarEnd() as far_end, stun_server() as port:
            options = {"ice_servers": [shape(f"stun:127.0.0.1:{port}")]}
            request = await asked(far_end, options=options, url=far_end.calls_url, api_key="sk-a")
            assert f"{MAPPED} 40000 typ srflx" in request.offer

    async def test_none_are_asked_unless_given(self) -> None:
        async with RtcFarEnd() as far_end:
            request = await asked(far_end, url=far_end.calls_url, api_key="sk-a")
            assert "typ srflx" not in request.offer and "typ relay" not in request.offer


class TestConfigurePeerConnection:
    @pytest.mark.parametrize("kind", ["function", "coroutine function"])
    async def test_is_called_before_the_offer(self, kind: str) -> None:
        seen: list[RTCPeerConnection] = []

        def configure(connection: RTCPeerConnection) -> None:
            seen.append(connection)
            connection.createDataChannel("of-the-application")

        async def configure_later(connection: RTCPeerConnection) -> None:
            await asyncio.sleep(0)
            configure(connection)

        async with RtcFarEnd() as far_end:
            hook = configure if kind == "function" else configure_later
            transport: Any = create_transport("webrtc", configure_peer_connection=hook)
            await transport.connect(url=far_end.calls_url, api_key="sk-a")
            assert seen == [transport.peer_connection]
            await transport.clear_audio()
            await (await far_end.connection()).expect("input_audio_buffer.clear")
            await transport.close()
            assert transport.peer_connection is None

    @pytest.mark.parametrize("kind", ["function", "coroutine function"])
    async def test_what_it_raises_is_raised(self, kind: str) -> None:
        def fail(_: RTCPeerConnection) -> None:
            raise ZeroDivisionError("oops")

        async def fail_later(_: RTCPeerConnection) -> None:
            await asyncio.sleep(0)
            raise ZeroDivisionError("oops")

        async with RtcFarEnd() as far_end:
            hook = fail if kind == "function" else fail_later
            transport: RealtimeTransportLayer = create_transport("webrtc", configure_peer_connection=hook)
            async with no_leaks():
                with pytest.raises(ZeroDivisionError, match="oops"):
                    await transport.connect(url=far_end.calls_url, api_key="sk-a")
            assert transport.status == "disconnected"
            assert far_end.requests == []
