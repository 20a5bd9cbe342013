"""The options of the `websocket` transport, each as the far end sees it, with either library that dials."""

from __future__ import annotations

import asyncio
import struct
import sys
from typing import Any

import pytest

from jackfield.testing.conformance import PATIENCE, settled
from jackfield.transport import (
    AuthenticationError,
    ConfigurationError,
    ConnectRefusedError,
    RealtimeTransportLayer,
    RemoteClosedError,
    create_transport,
)
from jackfield_local.conformance.dialect import DialectConnection
from jackfield_local.conformance.sockets import SocketFarEnd

pytestmark = pytest.mark.usefixtures("nothing_is_left")

KEY = "sk-canary-77aa"


async def ended(transport: RealtimeTransportLayer, *, of: type[Exception] = RemoteClosedError) -> Any:
    """Wait for the end of the connection, and return the error that it was told with."""
    if transport.status != "disconnected":
        change: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        transport.once("connection_change", change.set_result)
        async with asyncio.timeout(PATIENCE):
            event = await change
        assert isinstance(event.error, of)
        return event.error
    return None


class TestAddress:
    async def test_the_url_is_used_as_given(self, wire: str) -> None:
        async with SocketFarEnd() as far_end:
            transport = create_transport("websocket", wire=wire)
            await transport.connect(url=f"{far_end.url}/other?a=1&model=x%20y", api_key=KEY, model="ignored")
            far = await far_end.connection()
            assert far.path == "/v1/realtime/other?a=1&model=x%20y"
            await transport.close()

    @pytest.mark.parametrize("slash", ["", "/"])
    @pytest.mark.parametrize("scheme", ["http", "ws"])
    async def test_the_base_url_of_the_environment(
        self, wire: str, monkeypatch: pytest.MonkeyPatch, slash: str, scheme: str
    ) -> None:
        async with SocketFarEnd() as far_end:
            monkeypatch.setenv("OPENAI_BASE_URL", f"{scheme}://127.0.0.1:{far_end.port}/v1{slash}")
            monkeypatch.setenv("OPENAI_API_KEY", KEY)
            transport = create_transport("websocket", wire=wire)
            await transport.connect(model="gpt-realtime-mini")
            far = await far_end.connection()
            assert far.path == "/v1/realtime?model=gpt-realtime-mini"
            assert far.headers["Authorization"] == f"Bearer {KEY}"
            await transport.close()

    async def test_a_call_that_exists(self, wire: str, monkeypatch: pytest.MonkeyPatch) -> None:
        async with SocketFarEnd() as far_end:
            monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{far_end.port}/v1")
            transport = create_transport("websocket", wire=wire)
            await transport.connect(api_key=KEY, call_id="rtc_u7_1")
            assert (await far_end.connection()).path == "/v1/realtime?call_id=rtc_u7_1"
            await transport.close()

    async def test_a_call_that_does_not_exist(self, wire: str, monkeypatch: pytest.MonkeyPatch) -> None:
        body = '{"error": {"code": "call_id_not_found", "message": "No session found for the provided call_id"}}'
        async with SocketFarEnd(status=404, body=body) as far_end:
            monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{far_end.port}/v1")
            transport = create_transport("websocket", wire=wire)
            with pytest.raises(ConnectRefusedError, match=r"call_id_not_found.*call_id") as caught:
                await transport.connect(api_key=KEY, call_id="rtc_u7_1")
            assert caught.value.status == 404

    async def test_a_call_and_a_model_exclude_each_other(self) -> None:
        with pytest.raises(ConfigurationError, match="call_id"):
            await create_transport("websocket").connect(api_key=KEY, call_id="rtc_1", model="gpt-realtime")

    @pytest.mark.parametrize(
        "url",
        [
            "https://api.openai.com/v1/realtime",
            "api.openai.com/v1/realtime",
            "",
            "wss://",
            "wss:///v1/realtime",
            "ws://host:99999/",
            "ws://host:port/",
            "ws://[::1/",
            "ws://host/#fragment",
            "ws://user:secret-password@host/",
        ],
    )
    async def test_a_url_that_is_none(self, wire: str, url: str) -> None:
        transport = create_transport("websocket", wire=wire)
        with pytest.raises(ConfigurationError, match="url") as caught:
            await transport.connect(url=url, api_key=KEY)
        assert "secret-password" not in str(caught.value)
        assert transport.status == "disconnected"

    async def test_names_itself(self, wire: str) -> None:
        async with SocketFarEnd() as far_end:
            transport = create_transport("websocket", wire=wire)
            await transport.connect(url=far_end.url, api_key=KEY)
            far = await far_end.connection()
            assert far.headers["User-Agent"].startswith("jackfield/")
            assert far.headers["Host"] == f"127.0.0.1:{far_end.port}"
            assert "OpenAI-Beta" not in far.headers
            await transport.close()


class TestCredentials:
    async def test_the_key_of_the_environment(self, wire: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        async with SocketFarEnd() as far_end:
            transport = create_transport("websocket", wire=wire)
            await transport.connect(url=far_end.url)
            await transport.close()
            await transport.connect(url=far_end.url, api_key="sk-other")
            await transport.close()
            assert [request.headers["Authorization"] for request in far_end.requests] == [
                f"Bearer {KEY}",
                "Bearer sk-other",
            ]

    async def test_a_function_is_asked_at_every_dial(self, wire: str) -> None:
        keys = iter(f"sk-{number}" for number in range(9))

        async def key_later() -> str:
            await asyncio.sleep(0)
            return next(keys)

        async with SocketFarEnd() as far_end:
            transport = create_transport("websocket", wire=wire)
            for key in (lambda: next(keys), key_later, lambda: key_later()):
                await transport.connect(url=far_end.url, api_key=key)
                await transport.close()
            sent = [request.headers["Authorization"] for request in far_end.requests]
            assert sent == ["Bearer sk-0", "Bearer sk-1", "Bearer sk-2"]

    async def test_headers_replace_the_authorization(self, wire: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        async with SocketFarEnd() as far_end:
            transport = create_transport("websocket", wire=wire)
            await transport.connect(url=far_end.url, headers={"api-key": "secret", "X-Mine": "a, b"}, api_key=KEY)
            await transport.close()
            await transport.connect(url=far_end.url, headers={})
            await transport.close()
            first, second = far_end.requests
            assert (first.headers["api-key"], first.headers["X-Mine"]) == ("secret", "a, b")
            assert "Authorization" not in first.headers
            assert "Authorization" not in second.headers and "api-key" not in second.headers

    async def test_what_the_far_end_repeats_of_them_is_cut_out(self, wire: str) -> None:
        async with SocketFarEnd(status=401, body='{"error": "bad key: not-shaped-like-a-key"}') as far_end:
            transport = create_transport("websocket", wire=wire)
            with pytest.raises(AuthenticationError) as caught:
                await transport.connect(url=far_end.url, headers={"api-key": "not-shaped-like-a-key"})
            assert "not-shaped-like-a-key" not in str(caught.value)
            assert "bad key: ***" in str(caught.value)

    async def test_a_key_in_the_url_is_not_shown(self, wire: str) -> None:
        async with SocketFarEnd(status=403, body="go away, not-shaped-like-a-key") as far_end:
            transport = create_transport("websocket", wire=wire)
            with pytest.raises(AuthenticationError) as caught:
                await transport.connect(url=f"{far_end.url}?api-key=not-shaped-like-a-key", headers={})
            assert "not-shaped-like-a-key" not in str(caught.value)


class TestCompression:
    async def test_none_is_offered(self, wire: str) -> None:
        async with SocketFarEnd() as far_end:
            transport = create_transport("websocket", wire=wire)
            await transport.connect(url=far_end.url, api_key=KEY)
            assert "Sec-WebSocket-Extensions" not in (await far_end.connection()).headers
            await transport.close()

    async def test_unless_it_is_wanted(self) -> None:
        async with SocketFarEnd() as far_end:
            transport = create_transport("websocket", compression="deflate")
            raw: list[Any] = []
            transport.on("*", raw.append)
            await transport.connect(url=far_end.url, api_key=KEY)
            far = await far_end.connection()
            assert "permessage-deflate" in far.headers["Sec-WebSocket-Extensions"]
            await transport.send_event({"type": "x.there", "text": "a" * 10_000})
            assert (await far.expect("x.there"))["text"] == "a" * 10_000
            await far.send({"type": "x.back", "text": "b" * 10_000})
            assert await settled(lambda: raw[-1]["type"] == "x.back")
            assert raw[-1]["text"] == "b" * 10_000
            await transport.close()

    async def test_picows_has_none(self) -> None:
        transport = create_transport("websocket", wire="picows", compression="deflate")
        with pytest.raises(ConfigurationError, match="compress"):
            await transport.connect(url="ws://127.0.0.1:1/", api_key=KEY)


class TestMaxSize:
    @pytest.mark.parametrize("fragments", [1, 3])
    async def test_a_larger_message_ends_the_connection(self, wire: str, fragments: int) -> None:
        async with SocketFarEnd() as far_end:
            transport = create_transport("websocket", wire=wire, max_size=1000)
            seen: list[str] = []
            transport.on("*", lambda event: seen.append(event["type"]))
            await transport.connect(url=far_end.url, api_key=KEY)
            far = await far_end.connection()
            small = '{"type": "x.small", "text": "' + "a" * (1000 - 31) + '"}'
            assert len(small) == 1000
            await far.send_text(small)
            large = '{"type": "x.large", "text": "' + "a" * (1001 - 31) + '"}'
            pieces = [large[start : start + -(-1001 // fragments)] for start in range(0, 1001, -(-1001 // fragments))]
            ending = asyncio.create_task(ended(transport))
            await asyncio.sleep(0)
            await far.socket.send(pieces if fragments > 1 else large)
            error = await ending
            assert (error.code, error.classification) == (1009, "fatal")
            assert "max_size" in error.reason
            assert seen == ["session.created", "x.small"]
            assert await settled(far.finished.is_set)
            assert far.close_code == 1009
            await transport.close()

    async def test_none_is_no_limit(self, wire: str) -> None:
        async with SocketFarEnd() as far_end:
            transport = create_transport("websocket", wire=wire, max_size=None)
            heard: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            transport.on("*", lambda event: heard.set_result(len(event["text"])) if "text" in event else None)
            await transport.connect(url=far_end.url, api_key=KEY)
            await (await far_end.connection()).send({"type": "x.huge", "text": "a" * 40_000_000})
            assert await heard == 40_000_000
            await transport.close()


class TestPings:
    async def test_a_far_end_that_does_not_answer_is_given_up(self, wire: str) -> None:
        async with SocketFarEnd(answers_pings=False) as far_end:
            transport = create_transport("websocket", wire=wire, ping_interval=0.01, ping_timeout=0.02)
            await transport.connect(url=far_end.url, api_key=KEY)
            error = await ended(transport)
            assert (error.code, error.classification) == (1006, "reconnect")
            assert "ping" in error.reason
            await transport.close()

    async def test_one_that_answers_is_kept(self, wire: str) -> None:
        async with SocketFarEnd() as far_end:
            transport = create_transport("websocket", wire=wire, ping_interval=0.005, ping_timeout=PATIENCE)
            await transport.connect(url=far_end.url, api_key=KEY)
            far = await far_end.connection()
            await far.pings(5)
            assert transport.status == "connected"
            await transport.close()

    async def test_without_a_limit_it_may_be_deaf(self, wire: str) -> None:
        async with SocketFarEnd(answers_pings=False) as far_end:
            transport = create_transport("websocket", wire=wire, ping_interval=0.005, ping_timeout=None)
            await transport.connect(url=far_end.url, api_key=KEY)
            far = await far_end.connection()
            await far.pings(1)
            await transport.clear_audio()
            await far.expect("input_audio_buffer.clear")
            assert transport.status == "connected"
            await transport.close()

    async def test_ours_are_answered(self, wire: str) -> None:
        async with SocketFarEnd() as far_end:
            transport = create_transport("websocket", wire=wire, ping_interval=None)
            await transport.connect(url=far_end.url, api_key=KEY)
            far = await far_end.connection()
            async with asyncio.timeout(PATIENCE):
                await (await far.socket.ping(b"1234"))
            await transport.close()


FRAMES = {
    "masked": b"\x81\x82\0\0\0\0{}",
    "a fragment of nothing": b"\x80\x02{}",
    "a message within another": b"\x01\x02{}\x81\x02{}",
    "an unknown opcode": b"\x83\x02{}",
    "a long ping": b"\x89\x7e\x01\x00" + b"x" * 256,
    "a close of one byte": b"\x88\x01\x03",
    "a close with a code that may not be sent": b"\x88\x02" + struct.pack("!H", 1005),
    "a close whose reason is no text": b"\x88\x04" + struct.pack("!H", 1000) + b"\xff\xfe",
}


class TestBrokenFrames:
    @pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
    async def test_end_the_connection(self, wire: str, frame: bytes) -> None:
        async def script(connection: DialectConnection) -> None:
            await connection.open_session()
            await connection.receive()
            connection.socket.transport.write(frame)
            await connection.receive()

        async with SocketFarEnd(script) as far_end:
            transport = create_transport("websocket", wire=wire)
            await transport.connect(url=far_end.url, api_key=KEY)
            ending = asyncio.create_task(ended(transport))
            await transport.clear_audio()
            error = await ending
            assert error.code in {1002, 1007}
            assert error.classification == "fatal"
            await transport.close()


async def test_a_close_without_a_code(wire: str) -> None:
    async def script(connection: DialectConnection) -> None:
        await connection.open_session()
        await connection.receive()
        connection.socket.transport.write(b"\x88\x00")
        await connection.receive()

    async with SocketFarEnd(script) as far_end:
        transport = create_transport("websocket", wire=wire)
        await transport.connect(url=far_end.url, api_key=KEY)
        ending = asyncio.create_task(ended(transport))
        await transport.clear_audio()
        assert (await ending).code == 1005
        await transport.close()


async def test_a_wire_that_does_not_exist() -> None:
    with pytest.raises(ConfigurationError, match="picows"):
        create_transport("websocket", wire="tincan")


async def test_a_wire_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "jackfield_transports.websocket.picows_dialer", raising=False)
    monkeypatch.setitem(sys.modules, "picows", None)
    with pytest.raises(ConfigurationError, match=r"jackfield\[fast\]"):
        create_transport("websocket", wire="picows")
