"""What comes to the ports of the SIP door that is no call for us: it is refused, or ignored, and harms nobody."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from jackfield_local import LocalServer

PATIENCE = 20.0

Raw = Callable[[bytes], Awaitable[bytes]]


class TestOtherSip:
    """What comes to the port that is no call for us."""

    @pytest.fixture
    def raw(self) -> Callable[[LocalServer], contextlib.AbstractAsyncContextManager[Raw]]:
        @contextlib.asynccontextmanager
        async def make(server: LocalServer) -> AsyncIterator[Raw]:
            inbox: asyncio.Queue[bytes] = asyncio.Queue()

            class Protocol(asyncio.DatagramProtocol):
                def datagram_received(self, data: bytes, addr: Any) -> None:
                    inbox.put_nowait(data)

            loop = asyncio.get_running_loop()
            remote = ("127.0.0.1", int(server.sip_uri.rpartition(":")[2]))
            transport, _ = await loop.create_datagram_endpoint(
                Protocol, local_addr=("127.0.0.1", 0), remote_addr=remote
            )

            async def ask(data: bytes) -> bytes:
                transport.sendto(data.replace(b"PORT", str(transport.get_extra_info("sockname")[1]).encode()))
                async with asyncio.timeout(PATIENCE):
                    while (answer := await inbox.get()).startswith(b"SIP/2.0 100"):
                        pass
                    return answer

            yield ask
            transport.close()

        return make

    @pytest.mark.parametrize(
        ("request_line", "body", "status"),
        [
            (b"OPTIONS sip:x SIP/2.0", b"", b"200"),
            (b"REGISTER sip:x SIP/2.0", b"", b"405"),
            (b"DANCE sip:x SIP/2.0", b"", b"501"),
            (b"INVITE http:x SIP/2.0", b"", b"416"),
            (b"INVITE sip:x SIP/3.0", b"", b"505"),
            (b"INVITE sip:x SIP/2.0", b"hello", b"400"),
            (b"INVITE sip:x SIP/2.0", b"v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 4000 RTP/AVP 18\r\n", b"488"),
        ],
    )
    async def test_it_is_refused(
        self, local_server: Any, raw: Any, request_line: bytes, body: bytes, status: bytes
    ) -> None:
        async with local_server(sip=True) as server, raw(server) as ask:
            head = (
                b"%s\r\nVia: SIP/2.0/UDP 127.0.0.1:PORT;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\n"
                b"Contact: <sip:a@b>\r\nCall-ID: c\r\nCSeq: 1 %s\r\nContent-Length: %d\r\n\r\n"
            )
            answer = await ask(head % (request_line, request_line.split()[0], len(body)) + body)
            assert answer.split()[1] == status
            assert server.connections == []

    async def test_junk_harms_nobody(self, local_server: Any, raw: Any) -> None:
        async with local_server(sip=True) as server, raw(server) as ask:
            answer = await ask(
                b"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:PORT;branch=z9hG4bKy\r\nJUNK\r\n\xff\xfe\r\n\r\n"
            )
            assert answer.startswith(b"SIP/2.0 400 Bad Request")

    async def test_junk_for_the_ears(self, talk: Any, Voice: Any) -> None:
        async with talk() as line:
            voice = Voice()
            call, call_id = await line.accepted(voice)
            assert call.port.agreement is not None
            loop = asyncio.get_running_loop()
            remote = call.port.agreement.remote
            junk, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=remote)
            for data in (b"", b"hello", bytes(12), b"\x80\x00" + bytes(10), b"\x80\xc8" + bytes(26), bytes(3000)):
                junk.sendto(data)
            junk.close()
            async with line.sideband(call_id) as client:
                await voice.say(600)
                await client.until("input_audio_buffer.speech_stopped")

    async def test_tcp(self, local_server: Any) -> None:
        options = (
            b"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK%d\r\nFrom: <sip:a@b>;tag=1\r\n"
            b"To: <sip:c@d>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        )
        async with local_server(sip=True) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(server.sip_uri.rpartition(":")[2]))
            async with asyncio.timeout(PATIENCE):
                writer.write(b"\r\n\r\n")
                assert await reader.readexactly(2) == b"\r\n"
                writer.write(options % 1 + options % 2 + (options % 3)[:40])
                for _ in range(2):
                    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"SIP/2.0 200")
                writer.write((options % 3)[40:])
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"SIP/2.0 200")
                writer.write(b"OPTIONS without a length\r\n\r\n")
                assert await reader.read() == b""
            writer.close()
