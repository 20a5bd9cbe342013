"""Close codes and reasons, and a far end that closes its half of the TCP connection: what only a WebSocket has."""

from __future__ import annotations

import pytest

from jackfield.testing.conformance.checks.ends import remote_end
from jackfield.transport import AuthenticationError, ConnectRefusedError, RemoteClosedError, TransportError
from jackfield_local.conformance.checks.common import fails
from jackfield_local.conformance.sockets import SocketConnection
from jackfield_local.conformance.subjects import DialectSubject

pytestmark = pytest.mark.usefixtures("nothing_is_left")


@pytest.mark.parametrize(
    ("code", "classification"), [(1011, "reconnect"), (1013, "reconnect"), (4000, "fatal"), (4123, "reconnect")]
)
async def test_a_close_that_is_an_error(subject: DialectSubject, code: int, classification: str) -> None:
    event, errors = await remote_end(subject, lambda far: far.close(code, "went wrong"))
    assert (event.code, event.reason) == (code, "went wrong")
    assert event.error is errors[0] and len(errors) == 1
    assert isinstance(event.error, RemoteClosedError)
    assert (event.error.code, event.error.reason) == (code, "went wrong")
    assert event.error.classification == classification


async def test_an_end_of_file_is_an_error(subject: DialectSubject) -> None:
    event, _ = await remote_end(subject, lambda far: far.half_close())
    assert event.code == 1006 and isinstance(event.error, RemoteClosedError)


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
async def test_a_close_in_the_place_of_a_session(
    subject: DialectSubject, code: int, reason: str, kind: type[TransportError], classification: str
) -> None:
    async def script(connection: SocketConnection) -> None:
        await connection.close(code, reason)

    async with subject.far_end(script) as far_end:
        error = await fails(subject, far_end, kind, str(code))
        assert error.classification == classification


async def test_an_end_of_file_in_the_place_of_an_acknowledgement(subject: DialectSubject) -> None:
    async def script(connection: SocketConnection) -> None:
        await connection.take_config()
        connection.half_close()

    async with subject.far_end(script) as far_end:
        error = await fails(subject, far_end, RemoteClosedError, initial_session_config={"instructions": "Listen."})
        assert isinstance(error, RemoteClosedError) and error.code == 1006
