"""A connect that fails: at every step, in every way, it raises the right error and leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import struct
import traceback
from typing import Any

import pytest

from jackfield.testing.conformance import CANARY, polite
from jackfield.testing.conformance.check import area
from jackfield.testing.conformance.checks.ends import connects
from jackfield.transport import (
    AuthenticationError,
    ConfigurationError,
    ConnectRefusedError,
    ConnectTimeoutError,
    ProviderError,
    RemoteClosedError,
    TransportError,
)
from jackfield_local.conformance.checks.common import fails
from jackfield_local.conformance.dialect import DialectConnection
from jackfield_local.conformance.sockets import tcp_server
from jackfield_local.conformance.subjects import DialectSubject, Port

__all__ = ["TestDialectCredentials", "TestNetwork", "TestRefusedSessions", "TestStatus"]


CONFIG = {"instructions": "Speak like a pirate"}


async def request_of(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


async def forever(reader: asyncio.StreamReader) -> None:
    while await reader.read(4096):
        pass


@area("dialect")
class TestDialectCredentials:
    async def test_one_that_times_out_is_not_told_as_our_time_limit(self, subject: DialectSubject) -> None:
        async def slow() -> str:
            raise TimeoutError

        async with subject.far_end() as far_end:
            await fails(subject, far_end, AuthenticationError, "api_key", api_key=slow)

    @pytest.mark.parametrize("answer", [None, 5, b"bytes"])
    async def test_one_that_returns_no_text(self, subject: DialectSubject, answer: Any) -> None:
        async with subject.far_end() as far_end:
            transport = subject.make(far_end)
            with pytest.raises(ConfigurationError, match="str"):
                await transport.connect(**subject.where(far_end, api_key=lambda: answer))
            assert transport.status == "disconnected"

    async def test_none_at_all(self, subject: DialectSubject) -> None:
        async with subject.far_end() as far_end:
            error = await fails(subject, far_end, AuthenticationError, "api_key=", api_key=None)
            assert error.classification == "fatal"
            assert far_end.requests == []

    @pytest.mark.parametrize("key", [f"{CANARY}\n", f"{CANARY}\r\nX-Injected: yes", "schlüssel", "\0"])
    async def test_a_key_that_no_header_can_hold(self, subject: DialectSubject, key: str) -> None:
        async with subject.far_end() as far_end:
            transport = subject.make(far_end)
            with pytest.raises(ConfigurationError, match="header") as caught:
                await transport.connect(**subject.where(far_end, api_key=key))
            assert CANARY not in "".join(traceback.format_exception(caught.value))
            assert far_end.requests == []
            await connects(subject, transport)


@area("dialect")
class TestNetwork:
    async def test_a_host_that_does_not_exist(self, subject: DialectSubject) -> None:
        await fails(subject, Port(80, "far-end.invalid"), ConnectRefusedError, "far-end.invalid")

    @pytest.mark.parametrize("host", ["a" * 70 + ".example", "a..example"])
    async def test_a_host_that_can_not_exist(self, subject: DialectSubject, host: str) -> None:
        transport = subject.make(Port(80, host))
        with pytest.raises((ConfigurationError, ConnectRefusedError), match=r"host|no connection|not be posted"):
            await transport.connect(**subject.where(Port(80, host)))
        assert transport.status == "disconnected"

    async def test_tls_where_there_is_none(self, subject: DialectSubject) -> None:
        async with subject.far_end() as far_end:
            await fails(subject, Port(far_end.port, tls=True), ConnectRefusedError, "no connection|not be posted")

    @pytest.mark.parametrize("tls", [False, True])
    async def test_one_that_accepts_and_says_nothing(self, subject: DialectSubject, tls: bool) -> None:
        async with tcp_server(lambda reader, _: forever(reader)) as port:
            place = Port(port, tls=tls)
            error = await fails(subject, place, ConnectTimeoutError, r"longer than 0\.0\d+ s", timeout=0.05)
            assert isinstance(error, ConnectTimeoutError) and error.stage in str(error)

    @pytest.mark.parametrize(
        "answer",
        [
            b"",
            b"HTTP/1.1 101 Switching",
            b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
            b"\x00\xff\x00\xff\r\n\r\n",
        ],
        ids=["nothing", "half a line", "another protocol", "binary"],
    )
    async def test_an_answer_that_is_no_http(self, subject: DialectSubject, answer: bytes) -> None:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await request_of(reader)
            writer.write(answer)
            await writer.drain()

        async with tcp_server(handle) as port:
            await fails(subject, Port(port), ConnectRefusedError, "Check the url")

    async def test_a_reset_before_the_answer(self, subject: DialectSubject) -> None:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await request_of(reader)
            sock = writer.get_extra_info("socket")
            sock.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SOL_SOCKET, SO_LINGER: close() resets

        async with tcp_server(handle) as port:
            await fails(subject, Port(port), ConnectRefusedError)


@area("dialect")
class TestStatus:
    @pytest.mark.parametrize(
        ("status", "kind", "classification"),
        [
            (400, ConnectRefusedError, "fatal"),
            (401, AuthenticationError, "fatal"),
            (403, AuthenticationError, "fatal"),
            (404, ConnectRefusedError, "fatal"),
            (408, ConnectRefusedError, "reconnect"),
            (429, ConnectRefusedError, "reconnect"),
            (500, ConnectRefusedError, "reconnect"),
            (503, ConnectRefusedError, "reconnect"),
            (529, ConnectRefusedError, "reconnect"),
        ],
    )
    async def test_is_told_with_the_body(
        self, subject: DialectSubject, status: int, kind: type[TransportError], classification: str
    ) -> None:
        if status == 404:
            kind = subject.unknown
        body = f'{{"error": {{"code": "call_id_not_found", "message": "you sent {subject.key}"}}}}'
        async with subject.far_end(status=status, body=body) as far_end:
            error = await fails(subject, far_end, kind, f"HTTP {status}.*call_id_not_found.*Check|try again")
            assert error.classification == classification
            if isinstance(error, ConnectRefusedError):
                assert error.status == status
            assert f"127.0.0.1:{far_end.port}" in str(error)

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    async def test_a_redirect_does_not_carry_credentials_elsewhere(self, subject: DialectSubject, status: int) -> None:
        async with subject.far_end() as elsewhere:
            there = {"Location": f"http://127.0.0.1:{elsewhere.port}/v1/realtime"}
            async with subject.far_end(status=status, headers=there) as far_end:
                error = await fails(subject, far_end, ConnectRefusedError, "elsewhere")
            assert error.classification == "fatal"
            assert elsewhere.requests == []


@area("dialect")
class TestRefusedSessions:
    """The API accepts first and refuses afterwards: with an error event, an end, or both."""

    @pytest.mark.parametrize(
        ("code", "message", "close", "kind", "match", "classification"),
        [
            ("invalid_api_key", "Incorrect API key provided: {key}", 3000, AuthenticationError, "key", "fatal"),
            (
                None,
                "Missing bearer or basic authentication in header",
                3000,
                AuthenticationError,
                "key|bearer",
                "fatal",
            ),
            ("invalid_model", 'Model "x" is not supported', 4000, ProviderError, "invalid_model", "fatal"),
            ("model_not_found", "No such model", 4004, ProviderError, "model_not_found", "fatal"),
            ("insufficient_quota", "You ran out", 1013, ProviderError, "billing", "fatal"),
        ],
    )
    async def test_error_then_end(
        self,
        subject: DialectSubject,
        code: str | None,
        message: str,
        close: int,
        kind: type[TransportError],
        match: str,
        classification: str,
    ) -> None:
        said = message.format(key=subject.key)

        async def script(connection: DialectConnection) -> None:
            error = {"type": "invalid_request_error", "code": code, "message": said, "param": None, "event_id": None}
            await connection.send({"type": "error", "error": error})
            await connection.close(close)

        async with subject.far_end(script) as far_end:
            for options in ({}, {"initial_session_config": CONFIG}):
                error = await fails(subject, far_end, kind, match, **options)
                assert error.classification == classification

    async def test_an_end_alone(self, subject: DialectSubject) -> None:
        async def script(connection: DialectConnection) -> None:
            await connection.close(1000)

        async with subject.far_end(script) as far_end:
            error = await fails(subject, far_end, RemoteClosedError, "1000")
            assert error.classification == "reconnect"

    async def test_the_config_is_refused(self, subject: DialectSubject) -> None:
        said = {"type": "invalid_request_error", "code": "unknown_parameter", "param": "session.bogus"}
        said["message"] = "Unknown parameter: 'session.bogus'."

        async def script(connection: DialectConnection) -> None:
            await connection.take_config()
            event_id = connection.received[0]["event_id"]
            await connection.send({"type": "error", "error": {**said, "event_id": event_id}})
            await polite(connection)

        config = {"bogus": 1}
        if subject.config_first:
            async with subject.far_end(status=400, body=json.dumps({"error": said})) as far_end:
                await fails(subject, far_end, ConnectRefusedError, "session.bogus", initial_session_config=config)
            return
        async with subject.far_end(script) as far_end:
            error = await fails(subject, far_end, ProviderError, "bogus", initial_session_config=config)
            assert isinstance(error, ProviderError) and error.param == "session.bogus"

    async def test_the_acknowledgement_never_comes(self, subject: DialectSubject) -> None:
        async def script(connection: DialectConnection) -> None:
            await connection.take_config()
            await connection.receive()

        async with subject.far_end(script) as far_end:
            options = {"timeout": subject.dial_seconds, "initial_session_config": CONFIG}
            await fails(subject, far_end, ConnectTimeoutError, "acknowledge", **options)
