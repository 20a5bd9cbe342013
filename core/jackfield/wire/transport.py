"""`WireTransport`: a wire and a dialect, joined into a transport.

It implements `jackfield.transport.RealtimeTransportLayer`: what a wire and a dialect have to do with one another, what
the application asks for and what becomes of it. Of no provider it knows anything.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from typing import Any, Generic, TypeVar

from jackfield.audio.ledger import PartPlayback
from jackfield.errors import (
    AlreadyConnectedError,
    ConnectAbortedError,
    ConnectTimeoutError,
    JackfieldError,
    NotConnectedError,
    RemoteClosedError,
    TransportError,
    UnsupportedByTransportError,
)
from jackfield.transport.capabilities import TransportCapabilities
from jackfield.transport.emitter import Emitter
from jackfield.transport.events import (
    ConnectionChange,
    ConnectionStatus,
    Error,
    FunctionCall,
    McpApprovalRequest,
    TransportEvent,
)
from jackfield.transport.items import RealtimeItem
from jackfield.transport.layer import Listener, UserMessage
from jackfield.transport.options import ConnectOptions

from .connection import Connection, close_wire
from .dialect import Dialect, NewDialect
from .wires import ConfiguredConnection, MediaConnection, Wire

__all__ = ["WireTransport"]

D = TypeVar("D", bound=Dialect)
T = TypeVar("T")


class WireTransport(Generic[D]):
    """A transport of the dialect that `new_dialect` makes for each connection, over `wire`."""

    def __init__(
        self,
        wire: Wire,
        new_dialect: NewDialect[D],
        *,
        name: str,
        capabilities: TransportCapabilities,
    ) -> None:
        self._wire = wire
        self._new_dialect = new_dialect
        self._name = name
        self._capabilities = capabilities
        self._emitter = Emitter()
        self._status: ConnectionStatus = "disconnected"
        self._connection: Connection | None = None
        self._dialect: D | None = None
        """That of the latest connection: what was told over it may be played on after its end."""
        self._connecting: asyncio.Task[None] | None = None
        self._cleanups: set[asyncio.Task[None]] = set()
        self._muted = False

    @property
    def name(self) -> str:
        """The name by which users pick it."""
        return self._name

    @property
    def capabilities(self) -> TransportCapabilities:
        """What it can do."""
        return self._capabilities

    @property
    def status(self) -> ConnectionStatus:
        """connecting, connected, disconnecting or disconnected."""
        return self._status

    @property
    def muted(self) -> bool | None:
        """Whether the user's audio is muted; None where muting is not this transport's."""
        return self._muted if self._capabilities.mute else None

    @property
    def dialect(self) -> D | None:
        """The dialect of the live connection: what it knows of the session. None when there is none."""
        return None if self._connection is None else self._dialect

    @property
    def media(self) -> MediaConnection | None:
        """The path of the live connection's audio; None where there is none, or audio has no path of its own."""
        media = None if self._connection is None else self._connection.media
        return None if media is None else media.path

    # Connecting

    async def connect(self, options: ConnectOptions | None = None, /, **kwargs: Any) -> None:
        """Connect; see `RealtimeTransportLayer.connect` and `ConnectOptions`."""
        given = ConnectOptions.of(options, kwargs)
        self._require(given.call_id is None or self._capabilities.attach_by_call_id, "attach_by_call_id (call_id=)")
        if self._status != "disconnected" or self._connecting is not None:
            raise AlreadyConnectedError(
                f"this transport is {self._status}: close() it first, or make another one for a second connection"
            )
        attempt = self._connecting = asyncio.create_task(self._establish(given))
        try:
            await attempt
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if caller is not None and caller.cancelling():
                if not attempt.cancelled() and attempt.exception() is None:  # it got through in the same moment
                    self._connecting = None
                    await _finished(self.close())
                raise
            raise ConnectAbortedError("close() was called while connect() was under way") from None
        finally:
            if self._connecting is attempt:
                self._connecting = None

    async def close(self) -> None:
        """Close; see `RealtimeTransportLayer.close`."""
        connecting = self._connecting
        if connecting is not None:
            connecting.cancel()
            if connecting is not asyncio.current_task():
                await asyncio.wait({connecting})
        connection, self._connection = self._connection, None
        if connection is not None:
            self._change("disconnecting")
            self._clean_up(self._disconnect(connection))
        if self._cleanups:
            # Not awaited directly: who is cancelled here must not stop the cleaning up.
            await asyncio.wait(set(self._cleanups))

    def _clean_up(self, ending: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(ending)
        self._cleanups.add(task)
        task.add_done_callback(self._cleanups.discard)

    async def _disconnect(self, connection: Connection) -> None:
        try:
            await connection.shutdown()
        finally:
            self._change("disconnected", code=1000)

    async def _establish(self, options: ConnectOptions) -> None:
        self._change("connecting")
        stages = ["opening the connection"]
        limit = asyncio.timeout(options.timeout)
        try:
            async with limit:
                await self._open(options, stages)
        except BaseException as error:
            reason: BaseException = error
            if limit.expired() and isinstance(error, TimeoutError):
                reason = ConnectTimeoutError(
                    f"connect() took longer than {options.timeout:g} s; it was {stages[-1]}. Check the url and the "
                    "network, or give a larger timeout.",
                    stage=stages[-1],
                )
            failure = await _finished(self._abandon(reason))
            if failure is error:
                raise
            raise failure from error
        self._change("connected")

    async def _open(self, options: ConnectOptions, stages: list[str]) -> None:
        wire = await self._wire.open(options)
        awaits_ready = options.ready == "updated"
        try:
            dialect = self._new_dialect(options, wire)
            connection = Connection(
                wire, dialect, self._emitter, self._remote_closed, self._gap, awaits_ready=awaits_ready
            )
        except BaseException:
            await close_wire(wire)
            raise
        self._connection, self._dialect = connection, dialect
        connection.start()
        config = options.initial_session_config
        if connection.media is not None:
            connection.media.path.mute(self._muted)
        given = isinstance(wire, ConfiguredConnection) and wire.configured
        stages.append("sending the session's configuration")
        await connection.send(dialect.open(config, given=given))
        if awaits_ready:
            stages.append("waiting for the far end to acknowledge the session")
            await asyncio.shield(connection.ready)
        elif connection.ready.done():
            connection.ready.result()
        if connection.ended_by is not None:  # the acknowledgement and the close came in one batch
            closed = connection.ended_by
            raise dialect.closed(closed.code, closed.reason) or closed

    async def _abandon(self, error: BaseException) -> BaseException:
        """Leave nothing behind of a connect that failed; return what it is to raise."""
        connection, self._connection = self._connection, None
        if connection is not None and isinstance(error, RemoteClosedError | NotConnectedError):
            # A refused session can show as a failed send first; what the far end said about it is the better reason.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    try:
                        await asyncio.shield(connection.ready)
                    except TransportError as told:
                        error = told
        if connection is not None:
            await connection.shutdown()
        self._connecting = None  # whoever is told may try again at once
        self._change("disconnected", error=error if isinstance(error, TransportError) else None)
        return error

    def _remote_closed(self, closed: RemoteClosedError) -> None:
        """The reader met the far end's close. While connecting, connect() deals with it."""
        connection = self._connection
        if connection is None or not (self._status == "connected" or connection.rejoining):
            return
        error = connection.dialect.closed(closed.code, closed.reason)
        self._connection = None
        self._status = "disconnected"
        self._clean_up(connection.shutdown(_gone(closed)))
        if isinstance(error, RemoteClosedError):  # an error that the far end reported was told when it came
            if isinstance(closed.__cause__, TransportError):
                error.__cause__ = closed.__cause__  # why the wire could not go on
            self._emitter.emit(Error(error))
        self._emitter.emit(
            ConnectionChange(
                status="disconnected", code=closed.code, reason=closed.reason, initiated_by="remote", error=error
            )
        )

    def _gap(self, lost: RemoteClosedError | None) -> None:
        """The wire lost its socket and dials again, or has another. While connecting, that is part of it."""
        connection = self._connection
        if connection is None or not (self._status == "connected" or connection.rejoining):
            return
        connection.rejoining = lost is not None
        if lost is None:
            self._status = "connected"
            self._emitter.emit(ConnectionChange(status="connected", reason="what happened in between is not known"))
        else:
            self._status = "connecting"
            self._emitter.emit(
                ConnectionChange(
                    status="connecting", code=lost.code, reason=lost.reason, initiated_by="remote", error=lost
                )
            )

    def _change(
        self, status: ConnectionStatus, *, code: int | None = None, error: TransportError | None = None
    ) -> None:
        if status == self._status:
            return
        self._status = status
        self._emitter.emit(ConnectionChange(status=status, code=code, error=error))

    # Sending

    async def send_event(self, event: Mapping[str, Any]) -> None:
        """Send one of the provider's own client events; one that asks for a response waits for its turn."""
        connection = self._live()
        connection.check(event)  # or a request for a response would take a turn and never be sent
        await connection.send(connection.dialect.event(event))

    async def send_message(self, message: UserMessage, *, trigger_response: bool = True) -> None:
        """Send what the user wrote or showed."""
        self._require(self._capabilities.images or not _shows_image(message), "images")
        connection = self._live()
        connection.check({"message": message})  # or the response to it would take a turn and never be asked for
        await connection.send(connection.dialect.message(message, trigger_response=trigger_response))

    async def add_image(self, image: str, *, detail: str | None = None, trigger_response: bool = True) -> None:
        """Send an image as a message of the user."""
        self._require(self._capabilities.images, "images")
        connection = self._live()
        connection.check({"image": image})
        events = connection.dialect.image(image, detail=detail, trigger_response=trigger_response)
        await connection.send(events)

    async def send_audio(self, chunk: bytes, *, commit: bool = False) -> None:
        """Send audio in the session's input format."""
        self._require(self._capabilities.audio_in, "audio_in: its audio does not pass through here")
        connection = self._live()
        media = connection.media
        if media is None and commit:  # in one group, so that no other sender's audio gets in between
            frames = connection.dialect.audio(chunk) if chunk else ()
            await connection.send(connection.dialect.commit_audio(), first=frames)
        elif media is None:
            if chunk:
                await connection.send_audio(chunk)
        else:
            if chunk:
                await media.path.send_audio(chunk, media.dialect.input_format, flush=commit)
            elif commit:
                await media.path.flush_audio()
            if commit:
                await connection.send(connection.dialect.commit_audio())

    async def commit_audio(self) -> None:
        """End the user's turn by hand."""
        connection = self._live()
        if connection.media is not None:
            await connection.media.path.flush_audio()
        await connection.send(connection.dialect.commit_audio())

    async def clear_audio(self) -> None:
        """Drop audio that was not committed."""
        self._require(self._capabilities.clear_audio, "clear_audio")
        connection = self._live()
        if connection.media is not None:
            connection.media.path.clear_audio()
        await connection.send(connection.dialect.clear_audio())

    async def request_response(self, response: Mapping[str, Any] | None = None) -> None:
        """Ask for a response; it waits for its turn."""
        self._require(response is None or self._capabilities.response_overrides, "response_overrides")
        connection = self._live()
        if response is not None:
            connection.check({"response": response})  # or it would take a turn and never be sent
        await connection.send(connection.dialect.request_response(response))

    async def update_session_config(self, config: Mapping[str, Any]) -> None:
        """Change the session."""
        self._require(self._capabilities.session_update, "session_update")
        connection = self._live()
        await connection.send(connection.dialect.session_update(config))

    async def mute(self, muted: bool) -> None:
        """Mute or unmute the user's audio, also before the connection, and for those that follow.

        Raises `UnsupportedByTransportError` where muting is not this transport's.
        """
        if not self._capabilities.mute:
            raise UnsupportedByTransportError(
                f"the {self._name} transport doesn't mute: stop calling send_audio instead (see capabilities.mute)"
            )
        self._muted = muted
        connection = self._connection
        if connection is not None and connection.media is not None:
            connection.media.path.mute(muted)

    async def interrupt(self, response_id: str | None = None) -> None:
        """Stop what is being generated and what is being played. Where there is nothing, nothing is sent."""
        connection = self._live()
        events, told = connection.dialect.interrupt(response_id)
        connection.tell(told)
        await connection.send(events)

    def playback(self, item_id: str, content_index: int = 0) -> PartPlayback | None:
        """Return how far a content part has come, by the ledger of the latest connection: it plays on after that."""
        return None if self._dialect is None else self._dialect.ledger.position(item_id, content_index)

    async def reset_history(self, old: Sequence[RealtimeItem], new: Sequence[RealtimeItem]) -> None:
        """Edit the model's conversation from `old` to `new`."""
        self._require(self._capabilities.history, "history")
        connection = self._live()
        await connection.send(connection.dialect.reset_history(old, new))

    async def send_function_call_output(self, call: FunctionCall, output: str, *, start_response: bool = True) -> None:
        """Answer a function call."""
        connection = self._live()
        connection.check({"output": output})  # or the response to it would take a turn in vain
        events, told = connection.dialect.function_call_output(call, output, start_response=start_response)
        await connection.send(events)
        connection.tell(told)

    async def send_mcp_response(self, request: McpApprovalRequest, approved: bool, reason: str | None = None) -> None:
        """Answer an MCP approval request."""
        self._require(self._capabilities.hosted_mcp, "hosted_mcp")
        connection = self._live()
        await connection.send(connection.dialect.mcp_response(request, approved, reason))

    # Listening

    def on(self, type: str, listener: Listener) -> Listener:  # noqa: A002
        """Call `listener` for each event of `type`."""
        return self._emitter.on(type, listener)

    def once(self, type: str, listener: Listener) -> Listener:  # noqa: A002
        """Call `listener` for the next event of `type`."""
        return self._emitter.once(type, listener)

    def off(self, type: str, listener: Listener) -> None:  # noqa: A002
        """Take `listener` away."""
        self._emitter.off(type, listener)

    def events(self) -> AsyncIterator[TransportEvent]:
        """Iterate over the common events from now on, until the transport disconnects."""
        return self._emitter.events()

    def report(self, error: JackfieldError) -> None:
        """Tell of an `error` beside the dialect's own: for transports that do more than speak it."""
        self._emitter.emit(Error(error))

    def _live(self) -> Connection:
        connection = self._connection
        if connection is None or self._status == "disconnecting":
            raise NotConnectedError(f"the {self._name} transport is {self._status}: call connect() before you send")
        return connection

    def _require(self, capable: bool, capability: str) -> None:
        if not capable:
            raise UnsupportedByTransportError(
                f"the {self._name} transport has no capability {capability} (see its `capabilities`)"
            )


def _shows_image(message: UserMessage) -> bool:
    content = () if isinstance(message, str) else message.get("content")
    parts = content if isinstance(content, Sequence) else ()
    return any(isinstance(part, Mapping) and part.get("type") == "input_image" for part in parts)


async def _finished(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run `coroutine` to its end also when its caller is cancelled meanwhile; that is told afterwards."""
    task = asyncio.get_running_loop().create_task(coroutine)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    return task.result()


def _gone(closed: RemoteClosedError) -> NotConnectedError:
    return NotConnectedError(f"the far end closed the connection (code {closed.code}): call connect() before you send")
