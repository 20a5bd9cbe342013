"""Faults of connecting, closing and ending, and of credentials."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import Any

from attrs import evolve

from jackfield.testing.conformance import checks
from jackfield.transport import RemoteClosedError, TransportError, resolve_api_key
from jackfield.transport.events import ConnectionChange, Error

from .bases import Connection, Mutant, Retold, Wrapper, wire_transport

__all__ = ["MUTANTS"]


class Eager(Wrapper):
    async def connect(self, options: Any = None, /, **kwargs: Any) -> None:
        await self.inner.connect(options, **{**kwargs, "ready": "open"})


class Reconnecting(Wrapper):
    async def connect(self, options: Any = None, /, **kwargs: Any) -> None:
        if self.inner.status == "connected":
            await self.inner.close()
        await self.inner.connect(options, **kwargs)


class LateStatus(Retold):
    seen = "disconnected"

    @property
    def status(self) -> Any:
        return self.seen

    def tell(self, event: Any) -> None:
        super().tell(event)
        if event.type == "connection_change":
            self.seen = event.status


class TwiceClosed(Retold):
    async def close(self) -> None:
        was = self.inner.status
        await self.inner.close()
        if was == "disconnected":
            self.tell(ConnectionChange(status="disconnected", code=1000))


class CloseDoesNotAbort(Wrapper):
    async def close(self) -> None:
        if self.inner.status != "connecting":
            await self.inner.close()


class CancelIsLost(Wrapper):
    async def connect(self, options: Any = None, /, **kwargs: Any) -> None:
        await asyncio.shield(asyncio.ensure_future(self.inner.connect(options, **kwargs)))


class WaitsForAnAnswer(Wrapper):
    async def close(self) -> None:
        if self.inner.status == "connected":
            answered = asyncio.Event()
            self.inner.once("*", lambda _: answered.set())
            await self.inner.request_response()
            await answered.wait()
        await self.inner.close()


class LeavesTheSocket(Connection):
    async def close(self) -> None:
        pass


class ListensAnew(Retold):
    connected = False

    async def connect(self, options: Any = None, /, **kwargs: Any) -> None:
        if self.connected:
            self.listen()
        self.connected = True
        await self.inner.connect(options, **kwargs)


class LocalEnd(Retold):
    def tell(self, event: Any) -> None:
        if event.type == "connection_change":
            event = evolve(event, initiated_by="local")
        super().tell(event)


class EveryEndAnError(Retold):
    def tell(self, event: Any) -> None:
        if event.type == "connection_change" and event.initiated_by == "remote" and event.error is None:
            error = RemoteClosedError("closed", code=event.code, reason=event.reason)
            super().tell(Error(error))
            event = evolve(event, error=error)
        super().tell(event)


class NoEndAnError(Retold):
    def tell(self, event: Any) -> None:
        if event.type == "connection_change":
            event = evolve(event, error=None)
        super().tell(event)


class LateStream(Retold):
    def events(self) -> Any:
        async def stream() -> Any:
            async for event in self.emitter.events():
                yield event

        return stream()


class LeavesATask(Wrapper):
    async def connect(self, options: Any = None, /, **kwargs: Any) -> None:
        await self.inner.connect(options, **kwargs)
        self.keeper = asyncio.ensure_future(asyncio.Event().wait())


class AsksOnce(Wrapper):
    key: str | None = None

    async def connect(self, options: Any = None, /, **kwargs: Any) -> None:
        self.key = self.key or await resolve_api_key(kwargs["api_key"])
        await self.inner.connect(options, **{**kwargs, "api_key": self.key})


class KeyInErrors(Wrapper):
    async def connect(self, options: Any = None, /, **kwargs: Any) -> None:
        try:
            await self.inner.connect(options, **kwargs)
        except TransportError as error:
            error.args = (f"{error} (with {kwargs.get('api_key')})",)
            raise


class KeyInTheLog(Wrapper):
    async def connect(self, options: Any = None, /, **kwargs: Any) -> None:
        logging.getLogger("pigeon").debug("connecting with %s", json.dumps({"api_key": str(kwargs.get("api_key"))}))
        await self.inner.connect(options, **kwargs)


class KeyInTheRepr(Wrapper):
    given: Any = None

    async def connect(self, options: Any = None, /, **kwargs: Any) -> None:
        self.given = kwargs
        await self.inner.connect(options, **kwargs)

    def __repr__(self) -> str:
        return f"<KeyInTheRepr {self.given}>"


class LosesTheCause(Wrapper):
    async def connect(self, options: Any = None, /, **kwargs: Any) -> None:
        try:
            await self.inner.connect(options, **kwargs)
        except TransportError as error:
            error.__cause__ = None
            raise


class SwallowsFailures(Wrapper):
    async def connect(self, options: Any = None, /, **kwargs: Any) -> None:
        with contextlib.suppress(TransportError):
            await self.inner.connect(options, **kwargs)


CONNECT, CLOSE, END = checks.TestConnect, checks.TestClose, checks.TestRemoteEnd
FAILED, CREDENTIALS, SECRETS = checks.TestFailedConnect, checks.TestCredentials, checks.TestSecrets

MUTANTS = (
    Mutant(
        "it is ready before the far end has acknowledged the config",
        Eager,
        CONNECT.test_is_ready_when_the_config_was_acknowledged,
        "'ready'",
        Wrapper,
    ),
    Mutant(
        "a second connect() ends the first connection",
        Reconnecting,
        CONNECT.test_a_second_one_leaves_the_live_one_intact,
        "DID NOT RAISE",
        Wrapper,
    ),
    Mutant(
        "status changes after it was told",
        LateStatus,
        CONNECT.test_tells_how_it_goes,
        "status and connection_change",
        Retold,
    ),
    Mutant("a second close() is told as another end", TwiceClosed, CLOSE.test_is_idempotent, "disconnected", Retold),
    Mutant(
        "close() does nothing while connect() is under way",
        CloseDoesNotAbort,
        CLOSE.test_during_connect_aborts_it,
        "disconnected",
        Wrapper,
    ),
    Mutant(
        "a connect() that is cancelled goes on",
        CancelIsLost,
        CONNECT.test_cancelling_it_leaves_a_transport_that_connects,
        "disconnected",
        Wrapper,
    ),
    Mutant(
        "close() waits for a far end that doesn't answer",
        WaitsForAnAnswer,
        CLOSE.test_does_not_wait_for_a_far_end_that_does_not_answer,
        r"waited in vain for close\(\)",
        Wrapper,
    ),
    Mutant(
        "the socket is left open",
        wire_transport(LeavesTheSocket),
        checks.TestCycles.test_leave_nothing_however_they_end,
        "socket:|Task",
        wire_transport(Connection),
    ),
    Mutant(
        "each connect() listens anew",
        ListensAnew,
        CONNECT.test_the_same_object_connects_again,
        "told more than once",
        Retold,
    ),
    Mutant("the far end's close is told as ours", LocalEnd, END.test_a_clean_close_is_no_error, "local", Retold),
    Mutant("a goodbye is told as an error", EveryEndAnError, END.test_a_clean_close_is_no_error, "closed", Retold),
    Mutant("a lost connection is told as a goodbye", NoEndAnError, END.test_a_reset_is_one, "None", Retold),
    Mutant(
        "the stream of events begins when it is first read",
        LateStream,
        CLOSE.test_ends_the_stream_of_events,
        "the stream of events to end",
        Retold,
    ),
    Mutant(
        "a task outlives its connection",
        LeavesATask,
        checks.TestCycles.test_leave_nothing_however_they_end,
        "Task",
        Wrapper,
    ),
    Mutant("the key is asked for once", AsksOnce, CREDENTIALS.test_are_asked_for_at_every_dial, "async", Wrapper),
    Mutant("the key is in an error", KeyInErrors, FAILED.test_nobody_listens, "the key is in the error", Wrapper),
    Mutant(
        "the key is in the log", KeyInTheLog, SECRETS.test_of_a_session_that_goes_well, "the key is in the log", Wrapper
    ),
    Mutant("the key is in the repr", KeyInTheRepr, SECRETS.test_of_a_session_that_goes_well, "canary", Wrapper),
    Mutant(
        "why there is no key is lost",
        LosesTheCause,
        CREDENTIALS.test_a_function_that_raises,
        "the cause is lost",
        Wrapper,
    ),
    Mutant(
        "a connect() that failed returns as if it had not",
        SwallowsFailures,
        FAILED.test_it_is_refused,
        "DID NOT RAISE",
        Wrapper,
        {"status": 401, "kind": TransportError, "classification": "fatal"},
    ),
)
