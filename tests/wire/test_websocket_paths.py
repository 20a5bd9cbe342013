"""The way to the far end: through proxies and TLS, with either library that dials."""

from __future__ import annotations

import asyncio
import ssl
import traceback

import pytest

from jackfield.testing.conformance import PATIENCE, no_leaks
from jackfield.transport import (
    ConfigurationError,
    ConnectRefusedError,
    ConnectTimeoutError,
    RealtimeTransportLayer,
    create_transport,
)
from jackfield_local.conformance.sockets import SocketFarEnd, tcp_server
from support.proxy import connect_proxy
from support.tls import make_contexts

pytestmark = pytest.mark.usefixtures("nothing_is_left")

KEY = "sk-canary-90bc"


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return make_contexts(tmp_path_factory.mktemp("tls"))


async def talks(transport: RealtimeTransportLayer, far_end: SocketFarEnd) -> None:
    """Prove that the two are connected, and close."""
    await transport.connect(url=far_end.url, api_key=KEY)
    far = await far_end.connection()
    await transport.send_event({"type": "x.there", "text": "a" * 100_000})
    assert len((await far.expect("x.there"))["text"]) == 100_000
    await transport.close()


class TestProxy:
    async def test_one_that_is_given(self, wire: str) -> None:
        async with SocketFarEnd() as far_end, connect_proxy() as proxy:
            await talks(create_transport("websocket", wire=wire, proxy=proxy.url), far_end)
            assert proxy.requests[0].startswith(f"CONNECT 127.0.0.1:{far_end.port} HTTP/1.1\r\n".encode())
            assert KEY.encode() not in proxy.requests[0]

    @pytest.mark.parametrize("variable", ["ws_proxy", "https_proxy", "HTTPS_PROXY", "http_proxy"])
    async def test_one_of_the_environment(self, wire: str, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
        async with SocketFarEnd() as far_end, connect_proxy() as proxy:
            monkeypatch.setenv(variable, proxy.url)
            await talks(create_transport("websocket", wire=wire), far_end)
            assert len(proxy.requests) == 1

    async def test_none_for_hosts_that_need_none(self, wire: str, monkeypatch: pytest.MonkeyPatch) -> None:
        async with SocketFarEnd() as far_end, connect_proxy() as proxy:
            monkeypatch.setenv("https_proxy", proxy.url)
            monkeypatch.setenv("no_proxy", "example.com,127.0.0.1")
            await talks(create_transport("websocket", wire=wire), far_end)
            assert proxy.requests == []

    async def test_none_where_none_is_wanted(self, wire: str, monkeypatch: pytest.MonkeyPatch) -> None:
        async with SocketFarEnd() as far_end, connect_proxy() as proxy:
            monkeypatch.setenv("https_proxy", proxy.url)
            await talks(create_transport("websocket", wire=wire, proxy=None), far_end)
            assert proxy.requests == []

    async def test_a_user_and_a_password(self, wire: str) -> None:
        async with SocketFarEnd() as far_end, connect_proxy(login="me:p@ss word") as proxy:
            url = proxy.url.replace("http://", "http://me:p%40ss%20word@")
            await talks(create_transport("websocket", wire=wire, proxy=url), far_end)

    async def test_a_wrong_password(self, wire: str) -> None:
        async with SocketFarEnd() as far_end, connect_proxy(login="me:right") as proxy:
            url = proxy.url.replace("http://", "http://me:wrong-password@")
            transport = create_transport("websocket", wire=wire, proxy=url)
            with pytest.raises(ConnectRefusedError, match=r"proxy .*407.*password") as caught:
                await transport.connect(url=far_end.url, api_key=KEY)
            assert "wrong-password" not in "".join(traceback.format_exception(caught.value))
            assert (caught.value.status, caught.value.classification) == (407, "fatal")

    @pytest.mark.parametrize(
        ("answer", "match"),
        [
            (b"HTTP/1.1 403 Forbidden\r\n\r\n", "403"),
            (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", "502"),
            (b"", "no HTTP answer"),
            (b"HTTP/1.1 200", "no HTTP answer"),
            (b"SSH-2.0-OpenSSH\r\n\r\n", "no HTTP answer"),
            (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 40_000, "no HTTP answer"),
        ],
    )
    async def test_one_that_refuses(self, wire: str, answer: bytes, match: str) -> None:
        async with SocketFarEnd() as far_end, connect_proxy(answer=answer) as proxy:
            transport = create_transport("websocket", wire=wire, proxy=proxy.url)
            with pytest.raises(ConnectRefusedError, match=match):
                await transport.connect(url=far_end.url, api_key=KEY)
            assert far_end.requests == []

    async def test_one_that_hangs(self, wire: str) -> None:
        async with SocketFarEnd() as far_end, connect_proxy(hangs=True) as proxy:
            transport = create_transport("websocket", wire=wire, proxy=proxy.url)
            async with no_leaks():  # and not only when the proxy has gone as well
                with pytest.raises(ConnectTimeoutError):
                    await transport.connect(url=far_end.url, api_key=KEY, timeout=0.05)

    async def test_cancelling_while_it_hangs(self, wire: str) -> None:
        async with SocketFarEnd() as far_end, connect_proxy(hangs=True) as proxy:
            transport = create_transport("websocket", wire=wire, proxy=proxy.url)
            async with no_leaks():
                attempt = asyncio.create_task(transport.connect(url=far_end.url, api_key=KEY))
                async with asyncio.timeout(PATIENCE):
                    await proxy.reached.wait()
                attempt.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await attempt

    async def test_one_that_is_not_there(self, wire: str) -> None:
        async with connect_proxy() as proxy:
            pass
        transport = create_transport("websocket", wire=wire, proxy=proxy.url)
        with pytest.raises(ConnectRefusedError, match="proxy settings"):
            await transport.connect(url="ws://127.0.0.1:9/", api_key=KEY)

    @pytest.mark.parametrize("url", ["ftp://host:1", "host:8080", "http://", "http://host:port", ""])
    async def test_a_url_that_is_none(self, wire: str, url: str) -> None:
        transport = create_transport("websocket", wire=wire, proxy=url)
        with pytest.raises(ConfigurationError, match="proxy"):
            await transport.connect(url="ws://127.0.0.1:9/", api_key=KEY)

    async def test_one_that_speaks_socks(self, wire: str) -> None:
        pytest.importorskip("python_socks")
        asked: list[bytes] = []

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            """Do as RFC 1928 says, for an IPv4 address and no authentication."""
            _, count = await reader.readexactly(2)
            await reader.readexactly(count)
            writer.write(b"\x05\x00")
            request = await reader.readexactly(10)
            asked.append(request)
            host = ".".join(str(byte) for byte in request[4:8])
            far_reader, far_writer = await asyncio.open_connection(host, int.from_bytes(request[8:10]))
            writer.write(b"\x05\x00\x00\x01" + bytes(6))

            async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
                while data := await source.read(65_536):
                    target.write(data)
                target.close()

            try:
                await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))
            finally:
                far_writer.transport.abort()

        async with SocketFarEnd() as far_end, tcp_server(handle) as port:
            await talks(create_transport("websocket", wire=wire, proxy=f"socks5://127.0.0.1:{port}"), far_end)
            assert len(asked) == 1


class TestTls:
    async def test_a_certificate_that_is_trusted(
        self, wire: str, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
    ) -> None:
        server, client = contexts
        async with SocketFarEnd(ssl_context=server) as far_end:
            assert far_end.url.startswith("wss://")
            await talks(create_transport("websocket", wire=wire, ssl=client), far_end)

    async def test_one_that_is_not(self, wire: str, contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
        async with SocketFarEnd(ssl_context=contexts[0]) as far_end:
            transport = create_transport("websocket", wire=wire)
            with pytest.raises(ConnectRefusedError, match="CERTIFICATE_VERIFY_FAILED"):
                await transport.connect(url=far_end.url, api_key=KEY)
            assert far_end.requests == []

    async def test_a_name_that_is_not_in_it(self, wire: str, contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
        server, client = contexts
        async with SocketFarEnd(ssl_context=server) as far_end:
            transport = create_transport("websocket", wire=wire, ssl=client)
            with pytest.raises(ConnectRefusedError, match="CERTIFICATE_VERIFY_FAILED"):
                await transport.connect(url=far_end.url.replace("127.0.0.1", "localhost"), api_key=KEY)

    async def test_through_a_proxy(self, wire: str, contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
        server, client = contexts
        async with SocketFarEnd(ssl_context=server) as far_end, connect_proxy() as proxy:
            await talks(create_transport("websocket", wire=wire, ssl=client, proxy=proxy.url), far_end)
            assert len(proxy.requests) == 1

    async def test_a_context_for_an_address_without_it_is_not_used(
        self, wire: str, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
    ) -> None:
        async with SocketFarEnd() as far_end:
            await talks(create_transport("websocket", wire=wire, ssl=contexts[1]), far_end)

    async def test_a_far_end_that_hangs_in_its_handshake(self, wire: str) -> None:
        async def handle(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            await reader.read()

        async with tcp_server(handle) as port:
            transport = create_transport("websocket", wire=wire)
            async with no_leaks():
                with pytest.raises(ConnectTimeoutError):
                    await transport.connect(url=f"wss://127.0.0.1:{port}/", api_key=KEY, timeout=0.05)


async def test_a_machine_that_has_no_such_address(wire: str) -> None:
    transport = create_transport("websocket", wire=wire)
    with pytest.raises(ConnectRefusedError, match=r"far-end\.invalid"):
        await transport.connect(url="ws://far-end.invalid/", api_key=KEY)


async def test_every_address_of_a_host_is_tried(wire: str) -> None:
    # localhost is ::1 as well on most machines, where nobody listens.
    async with SocketFarEnd() as far_end:
        transport = create_transport("websocket", wire=wire)
        await transport.connect(url=far_end.url.replace("127.0.0.1", "localhost"), api_key=KEY)
        await transport.close()
