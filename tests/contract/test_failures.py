"""A connect that fails: at every step, in every way, it raises the right error and leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from attrs import frozen

from jackfield.transport import (
    AuthenticationError,
    ConfigurationError,
    ConnectAbortedError,
    ConnectOptions,
    ConnectRefusedError,
    ConnectTimeoutError,
    ProviderError,
    RealtimeTransportLayer,
    RemoteClosedError,
    TransportError,
)
from support.far_end import PATIENCE, FarConnection, FarEnd, polite, tcp_server
from support.leaks import no_leaks, settled
from support.subjects import KEY, Subject

CONFIG = {"instructions": "Speak like a pirate"}

Raw = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def fails(
    subject: Subject, place: Any, kind: type[TransportError], match: str | None = None, **options: Any
) -> TransportError:
    """Connect, which is to fail; prove that nothing is left, that it is told, and that the object connects again."""
    transport = subject.make(place)
    changes: list[Any] = []
    transport.on("connection_change", changes.append)
    async with no_leaks():
        with pytest.raises(kind, match=match) as caught:
            await transport.connect(**subject.where(place, **options))
    error = caught.value
    assert type(error) is kind
    assert transport.status == "disconnected"
    assert [change.status for change in changes] == ["connecting", "disconnected"]
    assert changes[-1].error is error
    shown = "".join(traceback.format_exception(error)) + repr(error) + repr(changes)
    assert KEY not in shown
    assert str(error).rstrip()[-1] not in ":,"
    await connects(subject, transport)
    return error


async def connects(subject: Subject, transport: RealtimeTransportLayer) -> None:
    """Prove that this object can connect to a far end that is well."""
    async with FarEnd() as far_end:
        if subject.transport == "azure":  # its place is fixed when it is made
            where = {"api_key": KEY, "url": f"{far_end.url}?model=gpt-realtime"}
        else:
            where = subject.where(far_end)
        await transport.connect(**where)
        assert transport.status == "connected"
        await transport.close()


@frozen
class Port:
    """A place that is only a port."""

    port: int
    host: str = "127.0.0.1"
    scheme: str = "ws"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}/v1/realtime"

    @property
    def endpoint(self) -> str:
        return f"{'https' if self.scheme == 'wss' else 'http'}://{self.host}:{self.port}"


async def request_of(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


async def forever(reader: asyncio.StreamReader) -> None:
    while await reader.read(4096):
        pass


class TestCredentials:
    async def test_a_key_function_that_raises(self, subject: Subject) -> None:
        def broken() -> str:
            raise RuntimeError("the vault is sealed")

        async def broken_later() -> str:
            await asyncio.sleep(0)
            raise RuntimeError("the vault is sealed")

        async with FarEnd() as far_end:
            for function in (broken, broken_later):
                error = await fails(subject, far_end, AuthenticationError, "api_key", api_key=function)
                assert "sealed" in str(error.__cause__)
                assert far_end.requests == []

    async def test_one_that_times_out_is_not_told_as_our_time_limit(self, subject: Subject) -> None:
        async def slow() -> str:
            raise TimeoutError

        async with FarEnd() as far_end:
            await fails(subject, far_end, AuthenticationError, "api_key", api_key=slow)

    async def test_one_that_hangs(self, subject: Subject) -> None:
        async def hanging() -> str:
            await asyncio.Event().wait()
            return KEY

        async with FarEnd() as far_end:
            error = await fails(subject, far_end, ConnectTimeoutError, "timeout", api_key=hanging, timeout=0.02)
            assert isinstance(error, ConnectTimeoutError) and error.stage == "opening the connection"
            assert far_end.requests == []

    @pytest.mark.parametrize("answer", [None, 5, b"bytes"])
    async def test_one_that_returns_no_text(self, subject: Subject, answer: Any) -> None:
        async with FarEnd() as far_end:
            transport = subject.make(far_end)
            with pytest.raises(ConfigurationError, match="str"):
                await transport.connect(**subject.where(far_end, api_key=lambda: answer))
            assert transport.status == "disconnected"

    async def test_none_at_all(self, subject: Subject) -> None:
        async with FarEnd() as far_end:
            error = await fails(subject, far_end, AuthenticationError, "api_key=", api_key=None)
            assert error.classification == "fatal"
            assert far_end.requests == []

    @pytest.mark.parametrize("key", [f"{KEY}\n", f"{KEY}\r\nX-Injected: yes", "schlüssel", "\0"])
    async def test_a_key_that_no_header_can_hold(self, subject: Subject, key: str) -> None:
        async with FarEnd() as far_end:
            transport = subject.make(far_end)
            with pytest.raises(ConfigurationError, match="header") as caught:
                await transport.connect(**subject.where(far_end, api_key=key))
            assert KEY not in "".join(traceback.format_exception(caught.value))
            assert far_end.requests == []
            await connects(subject, transport)


class TestNetwork:
    async def test_nobody_listens(self, subject: Subject) -> None:
        async with tcp_server(lambda reader, _: forever(reader)) as port:
            pass
        error = await fails(subject, Port(port), ConnectRefusedError, f"127.0.0.1:{port}")
        assert error.classification == "reconnect"

    async def test_a_host_that_does_not_exist(self, subject: Subject) -> None:
        await fails(subject, Port(80, "far-end.invalid"), ConnectRefusedError, "far-end.invalid")

    @pytest.mark.parametrize("host", ["a" * 70 + ".example", "a..example"])
    async def test_a_host_that_can_not_exist(self, subject: Subject, host: str) -> None:
        transport = subject.make(Port(80, host))
        with pytest.raises((ConfigurationError, ConnectRefusedError), match=r"host|no connection"):
            await transport.connect(**subject.where(Port(80, host)))
        assert transport.status == "disconnected"

    async def test_tls_where_there_is_none(self, subject: Subject) -> None:
        async with FarEnd() as far_end:
            await fails(subject, Port(far_end.port, scheme="wss"), ConnectRefusedError, "no connection")

    @pytest.mark.parametrize("scheme", ["ws", "wss"])
    async def test_one_that_accepts_and_says_nothing(self, subject: Subject, scheme: str) -> None:
        async with tcp_server(lambda reader, _: forever(reader)) as port:
            place = Port(port, scheme=scheme)
            error = await fails(subject, place, ConnectTimeoutError, "opening", timeout=0.05)
            assert "0.05 s" in str(error)

    async def test_its_own_limit_for_opening(self, subject: Subject) -> None:
        async with tcp_server(lambda reader, _: forever(reader)) as port:
            transport = subject.make(Port(port), open_timeout=0.05)
            with pytest.raises(ConnectTimeoutError, match=r"open_timeout=0\.05"):
                await transport.connect(**subject.where(Port(port)))
            await connects(subject, transport)

    @pytest.mark.parametrize(
        "answer",
        [
            b"",
            b"HTTP/1.1 101 Switching",
            b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
            b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: wrong\r\n\r\n",
            b"\x00\xff\x00\xff\r\n\r\n",
        ],
        ids=["nothing", "half a line", "another protocol", "200", "no upgrade", "wrong accept", "binary"],
    )
    async def test_an_answer_that_is_no_upgrade(self, subject: Subject, answer: bytes) -> None:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await request_of(reader)
            writer.write(answer)
            await writer.drain()

        async with tcp_server(handle) as port:
            await fails(subject, Port(port), ConnectRefusedError, "Check the url")

    async def test_a_reset_before_the_upgrade(self, subject: Subject) -> None:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await request_of(reader)
            sock = writer.get_extra_info("socket")
            sock.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SOL_SOCKET, SO_LINGER: close() resets

        async with tcp_server(handle) as port:
            await fails(subject, Port(port), ConnectRefusedError)


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
        self, subject: Subject, status: int, kind: type[TransportError], classification: str
    ) -> None:
        body = f'{{"error": {{"code": "call_id_not_found", "message": "you sent {KEY}"}}}}'
        async with FarEnd(status=status, body=body) as far_end:
            error = await fails(subject, far_end, kind, f"HTTP {status}.*call_id_not_found.*Check|try again")
            assert error.classification == classification
            if isinstance(error, ConnectRefusedError):
                assert error.status == status
            assert f"127.0.0.1:{far_end.port}" in str(error)

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    async def test_a_redirect_does_not_carry_credentials_elsewhere(self, subject: Subject, status: int) -> None:
        async with FarEnd() as elsewhere, FarEnd(status=status, headers={"Location": elsewhere.url}) as far_end:
            error = await fails(subject, far_end, ConnectRefusedError, "elsewhere")
            assert error.classification == "fatal"
            assert elsewhere.requests == []


def refusal(code: str | None, message: str, close: int, reason: str = "") -> Callable[[FarConnection], Awaitable[None]]:
    async def script(connection: FarConnection) -> None:
        error = {"type": "invalid_request_error", "code": code, "message": message, "param": None, "event_id": None}
        await connection.send({"type": "error", "error": error})
        await connection.close(close, reason)

    return script


class TestRefusedSessions:
    """The API upgrades first and refuses afterwards: with an error event, a close, or both."""

    @pytest.mark.parametrize(
        ("script", "kind", "match", "classification"),
        [
            (
                refusal("invalid_api_key", f"Incorrect API key provided: {KEY}", 3000),
                AuthenticationError,
                "key",
                "fatal",
            ),
            (
                refusal(None, "Missing bearer or basic authentication in header", 3000),
                AuthenticationError,
                "key|bearer",
                "fatal",
            ),
            (refusal("invalid_model", 'Model "x" is not supported', 4000), ProviderError, "invalid_model", "fatal"),
            (refusal("model_not_found", "No such model", 4004), ProviderError, "model_not_found", "fatal"),
            (refusal("insufficient_quota", "You ran out", 1013), ProviderError, "billing", "fatal"),
        ],
    )
    async def test_error_then_close(
        self, subject: Subject, script: Any, kind: type[TransportError], match: str, classification: str
    ) -> None:
        async with FarEnd(script) as far_end:
            for options in ({}, {"initial_session_config": CONFIG}):
                error = await fails(subject, far_end, kind, match, **options)
                assert error.classification == classification

    @pytest.mark.parametrize(
        ("code", "reason", "kind", "classification"),
        [
            (3000, "invalid_request_error.invalid_api_key", AuthenticationError, "fatal"),
            (4000, "invalid_request_error.invalid_model", ConnectRefusedError, "fatal"),
            (4004, "invalid_request_error.model_not_found", ConnectRefusedError, "fatal"),
            (1011, "", RemoteClosedError, "reconnect"),
            (1000, "", RemoteClosedError, "reconnect"),
        ],
    )
    async def test_close_alone(
        self, subject: Subject, code: int, reason: str, kind: type[TransportError], classification: str
    ) -> None:
        async def script(connection: FarConnection) -> None:
            await connection.close(code, reason)

        async with FarEnd(script) as far_end:
            error = await fails(subject, far_end, kind, str(code))
            assert error.classification == classification

    async def test_the_config_is_refused(self, subject: Subject) -> None:
        async def script(connection: FarConnection) -> None:
            await connection.open_session()
            update = await connection.receive()
            error = {"type": "invalid_request_error", "code": "unknown_parameter", "param": "session.bogus"}
            said = {**error, "message": "Unknown parameter: 'session.bogus'.", "event_id": update["event_id"]}
            await connection.send({"type": "error", "error": said})
            await polite(connection)

        async with FarEnd(script) as far_end:
            error = await fails(subject, far_end, ProviderError, "bogus", initial_session_config={"bogus": 1})
            assert isinstance(error, ProviderError) and error.param == "session.bogus"

    async def test_the_session_never_comes(self, subject: Subject) -> None:
        async def script(connection: FarConnection) -> None:
            await connection.receive()

        async with FarEnd(script) as far_end:
            error = await fails(subject, far_end, ConnectTimeoutError, "acknowledge", timeout=0.1)
            assert isinstance(error, ConnectTimeoutError) and "acknowledge" in error.stage

    async def test_the_acknowledgement_never_comes(self, subject: Subject) -> None:
        async def script(connection: FarConnection) -> None:
            await connection.open_session()
            await connection.receive()
            await connection.receive()

        async with FarEnd(script) as far_end:
            await fails(
                subject, far_end, ConnectTimeoutError, "acknowledge", timeout=0.1, initial_session_config=CONFIG
            )

    @pytest.mark.parametrize("how", ["close", "reset", "half_close"])
    async def test_it_goes_away_meanwhile(self, subject: Subject, how: str) -> None:
        async def script(connection: FarConnection) -> None:
            await connection.open_session()
            await connection.receive()
            result: Any = getattr(connection, how)(*((1012, "restart") if how == "close" else ()))
            if result is not None:
                await result

        async with FarEnd(script) as far_end:
            error = await fails(subject, far_end, RemoteClosedError, initial_session_config=CONFIG)
            assert isinstance(error, RemoteClosedError)
            assert error.code == (1012 if how == "close" else 1006)


class TestEveryStep:
    """The same at each step that the event loop takes on the way, whichever that is."""

    async def abort_after(self, subject: Subject, far_end: FarEnd, steps: int, how: str) -> bool:
        """Stop a connect after so many turns of the event loop; return whether it had got through by then."""
        transport = subject.make(far_end)

        async def key() -> str:
            await asyncio.sleep(0)
            return KEY

        options = ConnectOptions(**subject.where(far_end, api_key=key, initial_session_config=CONFIG))
        async with no_leaks():
            attempt = asyncio.create_task(transport.connect(options))
            for _ in range(steps):
                await asyncio.sleep(0)
            if attempt.done():
                await attempt
                await transport.close()
                return True
            if how == "cancel":
                attempt.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await attempt
            else:
                await transport.close()
                with contextlib.suppress(ConnectAbortedError):
                    await attempt
            assert transport.status == "disconnected"
        await transport.connect(options)
        await transport.close()
        return False

    @pytest.mark.parametrize("how", ["cancel", "close"])
    async def test_can_be_the_last(self, subject: Subject, how: str) -> None:
        async with FarEnd() as far_end:
            steps = 1 if how == "close" else 0  # a close() that comes first closes nothing
            while not await self.abort_after(subject, far_end, steps, how):
                steps += 1
            assert steps > 5


class TestCycles:
    async def test_leave_nothing_however_they_end(self, subject: Subject, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)

        async def one(transport: RealtimeTransportLayer, far_end: FarEnd, number: int) -> None:
            connected = len(far_end.connections)
            match number % 4:
                case 0:
                    await transport.connect(**subject.where(far_end))
                    await transport.send_message("hello")
                    await transport.close()
                case 1:
                    await transport.connect(**subject.where(far_end))
                    (await far_end.connection(connected)).reset()
                    assert await settled(lambda: transport.status == "disconnected")
                case 2:
                    far_end.status = 503
                    with pytest.raises(ConnectRefusedError):
                        await transport.connect(**subject.where(far_end))
                    far_end.status = None
                case 3:
                    with pytest.raises(AuthenticationError):
                        await transport.connect(**subject.where(far_end, api_key=None))

        async with FarEnd() as far_end:
            transport = subject.make(far_end)
            await one(transport, far_end, 0)
            async with no_leaks():
                for number in range(40):
                    await one(transport, far_end, number)
            async with asyncio.timeout(PATIENCE):
                await transport.close()
        assert KEY not in caplog.text
