"""`ScriptedTransport`: a transport whose far end is the test."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from jackfield.audio.ledger import PartPlayback
from jackfield.errors import (
    AlreadyConnectedError,
    ConfigurationError,
    ConnectAbortedError,
    JackfieldError,
    NotConnectedError,
    UnsupportedByTransportError,
)
from jackfield.openai.codec import encode
from jackfield.openai.session_payload import response_payload, session_payload
from jackfield.openai.wire_items import message_to_wire
from jackfield.transport.capabilities import TransportCapabilities
from jackfield.transport.events import ConnectionStatus, FunctionCall, McpApprovalRequest, TransportEvent
from jackfield.transport.items import RealtimeItem
from jackfield.transport.layer import Listener, UserMessage
from jackfield.transport.options import ConnectOptions, resolve_api_key

from .calls import Method, RecordedCall, connect_arguments
from .delivery import Delivery
from .emissions import Echo, Emission, checked_emissions, checked_raw
from .far_end import FarEnd
from .record import Record
from .script import Expectation, Matching, Script, Step, Steps, Waits

__all__ = ["ScriptedTransport"]

PATIENCE = 30.0
"""Seconds after which a test that waits has failed. Nothing is measured by it."""


class ScriptedTransport:
    """A transport without a wire: a test says what the far end does, and looks at what the session did.

    The test has either a script, the `steps` that are written down beforehand, or none, and then waits for calls with
    `expect_call`. `strict` means that calls come in the order in which they are expected and that nothing else comes;
    otherwise what isn't expected is let through. `connect` and `close` may be expected, and are never in the way.

    `capabilities` are those that the session adapts to. `connect_events` are told as soon as it is connected.
    `connect_error` and `close_error` are raised by every `connect()` and `close()`. With `echo` the far end does by
    itself what every far end does: it tells the items that it was sent, and ends the responses that are interrupted.

    It refuses what the Realtime API refuses. It never sleeps and reads no clock.
    """

    def __init__(
        self,
        steps: Iterable[Step] = (),
        *,
        capabilities: TransportCapabilities | None = None,
        connect_events: Emission | Iterable[Emission] = (),
        connect_error: Exception | None = None,
        close_error: Exception | None = None,
        strict: bool = True,
        echo: bool = True,
    ) -> None:
        given = tuple(steps)
        self._waits = None if given else Waits(strict=strict)
        self._script: Script = Steps(given, strict=strict) if self._waits is None else self._waits
        self._capabilities = capabilities or TransportCapabilities()
        self._connect_events = checked_emissions(connect_events)
        self._connect_error = connect_error
        self._close_error = close_error
        if connect_error is not None and self._connect_events:
            raise ConfigurationError("give connect_events or connect_error: a connect that fails tells no events")
        self._echo = echo
        self._muted = False
        self._dial: asyncio.Task[None] | None = None
        self._progress = asyncio.Event()
        self._record = Record(self._script, self._progress)
        self._delivery = Delivery(
            audio_out=self._capabilities.audio_out, progress=self._progress, broke=self._record.broke
        )
        self._numbers: defaultdict[str, Callable[[], int]] = defaultdict(lambda: itertools.count(1).__next__)

    # What the test does

    @property
    def calls(self) -> tuple[RecordedCall, ...]:
        """All calls that reached the far end so far, in order; also those that failed there, or weren't expected."""
        return tuple(self._record.calls)

    @property
    def remaining_steps(self) -> tuple[Step, ...]:
        """The steps that are left."""
        return self._script.steps

    def emit(self, *emissions: Emission) -> None:
        """Let the far end say something, after what it is still to say; it is told when this returns.

        An emission is a common event (`jackfield.transport.events`), a line (`Say`, `Write`, `Call`, `Turn`, `Finish`,
        `UserSays`, `Played`), `Disconnect`, or one of the provider's own events, as a mapping, for those who listen to
        `*`. Called by a listener, it is told after what is being told.

        Raises `NotConnectedError` where there is no connection, and `ConfigurationError` for what isn't an emission.
        """
        checked = checked_emissions(emissions)
        if self.status != "connected":
            raise NotConnectedError(f"the scripted transport is {self.status}: nobody hears what the far end says")
        self._delivery.outgoing.extend(checked)
        self._delivery.deliver()

    async def expect_call(
        self, method: Method, matching: Matching = None, *, timeout: float = PATIENCE
    ) -> RecordedCall:
        """Return the next call that nobody waited for before, once it was made.

        `method` and `matching` are those of `Step`. `timeout` (s) ends a test that hangs.

        Raises:
            UnexpectedCallError: the session made another call, and the transport is strict.
            MissingCallError: it made none.

        """
        if self._waits is None:
            raise ConfigurationError("this transport has a script: put the call into its steps, or give it no steps")
        expectation = Expectation(method, matching)
        self._record.check()
        return await self._waits.expect(expectation, timeout)

    def fail_next(self, method: Method, error: Exception) -> None:
        """Let the next call of `method` fail with `error`. It counts as made; several failures are met in turn."""
        self._record.fail_next(method, error)

    async def wait_complete(self, *, timeout: float = PATIENCE) -> None:
        """Return once all steps were done and all that the far end says to them was told.

        `timeout` (s) ends a test that hangs. Raises like `assert_complete`.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while self._script.steps or self._delivery.outgoing:
                    self._record.check()
                    self._progress.clear()
                    await self._progress.wait()
        self.assert_complete()

    def assert_complete(self) -> None:
        """Check that everything happened that was to happen, and nothing else; call it at a test's end.

        Raises:
            UnexpectedCallError: the session made a call that wasn't expected, whoever was told of it.
            UnfinishedScriptError: steps are left, a failure met no call, or (strict) nobody waited for a call.

        """
        self._record.assert_complete()

    # The contract

    @property
    def name(self) -> str:
        """Scripted."""
        return "scripted"

    @property
    def capabilities(self) -> TransportCapabilities:
        """What it was given."""
        return self._capabilities

    @property
    def status(self) -> ConnectionStatus:
        """connecting, connected, disconnecting or disconnected."""
        return self._delivery.status

    @property
    def muted(self) -> bool | None:
        """Whether the user's audio is muted; None without the capability."""
        return self._muted if self._capabilities.mute else None

    async def connect(self, options: ConnectOptions | None = None, /, **kwargs: Any) -> None:
        """Connect. The api_key is asked for, as at every dial, and not kept."""
        given = ConnectOptions.of(options, kwargs)
        if self.status != "disconnected" or self._dial is not None:
            raise AlreadyConnectedError("the scripted transport is connected, or about to be: close() it first")
        self._require(given.call_id is None or self._capabilities.attach_by_call_id, "attach_by_call_id")
        if given.initial_session_config is not None:
            encode(session_payload(given.initial_session_config))
        dial = self._dial = asyncio.get_running_loop().create_task(self._connect(given))
        try:
            await dial
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if caller is not None and caller.cancelling():
                if not dial.cancelled() and dial.exception() is None:  # it got through in the same moment
                    self._delivery.hang_up()
                raise
            raise ConnectAbortedError("close() was called while connect() was under way") from None
        finally:
            self._dial = None

    async def _connect(self, options: ConnectOptions) -> None:
        delivery = self._delivery
        delivery.change("connecting")
        try:
            await resolve_api_key(options.api_key)
            answer = self._record.take("connect", **connect_arguments(options))
            if self._connect_error is not None:
                raise self._connect_error
        except BaseException as error:
            delivery.change("disconnected", error=error if isinstance(error, JackfieldError) else None)
            raise
        delivery.far_end = FarEnd(options, self._new_id)
        delivery.change("connected")
        delivery.outgoing.extend((*self._connect_events, *answer))
        delivery.deliver_later()

    async def close(self) -> None:
        """Close. The connection is over also where it raises."""
        dial = self._dial
        if dial is not None and dial is not asyncio.current_task():
            dial.cancel()
            await asyncio.wait({dial})
        if self.status != "connected":
            return
        try:
            self._record.take("close")
            if self._close_error is not None:
                raise self._close_error
        finally:
            self._delivery.hang_up()

    async def send_event(self, event: Mapping[str, Any]) -> None:
        """Send a raw client event; it is told on `*out`."""
        self._delivery.live()
        encode(checked_raw(event))
        answer = self._record.take("send_event", event=event)
        self._delivery.emitter.emit_raw("*out", lambda: dict(deepcopy(event)))
        await self._sent(*answer)

    async def send_message(self, message: UserMessage, *, trigger_response: bool = True) -> None:
        """Send what the user wrote or showed; the far end echoes its item."""
        self._delivery.live()
        wire_item = message_to_wire(message)
        images = any(part["type"] == "input_image" for part in wire_item["content"])
        self._require(not images or self._capabilities.images, "images")
        encode(wire_item)
        answer = self._record.take("send_message", message=message, trigger_response=trigger_response)
        await self._sent(*self._echoed(lambda far_end: [far_end.sent(wire_item)]), *answer)

    async def add_image(self, image: str, *, detail: str | None = None, trigger_response: bool = True) -> None:
        """Send an image as a message of the user; the far end echoes its item."""
        self._delivery.live()
        self._require(self._capabilities.images, "images")
        wire_item = message_to_wire({"content": [{"type": "input_image", "image_url": image, "detail": detail}]})
        answer = self._record.take("add_image", image=image, detail=detail, trigger_response=trigger_response)
        await self._sent(*self._echoed(lambda far_end: [far_end.sent(wire_item)]), *answer)

    async def send_audio(self, chunk: bytes, *, commit: bool = False) -> None:
        """Send audio; where it is committed the far end echoes its item."""
        far_end = self._delivery.live()
        self._require(self._capabilities.audio_in, "audio_in")
        answer = self._record.take("send_audio", chunk=chunk, commit=commit)
        far_end.uncommitted += len(chunk)
        await self._sent(*(self._committed(far_end) if commit else ()), *answer)

    async def commit_audio(self) -> None:
        """End the user's turn by hand; the far end echoes the item that its audio becomes."""
        far_end = self._delivery.live()
        answer = self._record.take("commit_audio")
        await self._sent(*self._committed(far_end), *answer)

    async def clear_audio(self) -> None:
        """Drop audio that was not committed."""
        far_end = self._delivery.live()
        self._require(self._capabilities.clear_audio, "clear_audio")
        answer = self._record.take("clear_audio")
        far_end.uncommitted = 0
        await self._sent(*answer)

    async def request_response(self, response: Mapping[str, Any] | None = None) -> None:
        """Ask for a response. What comes of it is the test's to say."""
        self._delivery.live()
        self._require(response is None or self._capabilities.response_overrides, "response_overrides")
        if response is not None:
            encode(response_payload(response))
        await self._sent(*self._record.take("request_response", response=response))

    async def update_session_config(self, config: Mapping[str, Any]) -> None:
        """Change the session."""
        far_end = self._delivery.live()
        self._require(self._capabilities.session_update, "session_update")
        encode(session_payload(config))
        answer = self._record.take("update_session_config", config=config)
        far_end.configure(config)
        await self._sent(*answer)

    async def mute(self, muted: bool) -> None:
        """Mute or unmute the user's audio."""
        self._delivery.live()
        self._require(self._capabilities.mute, "mute")
        answer = self._record.take("mute", muted=muted)
        self._muted = muted
        await self._sent(*answer)

    async def interrupt(self, response_id: str | None = None) -> None:
        """Stop the model, or one response: what isn't heard yet is cut, and the far end cancels what it generates."""
        far_end = self._delivery.live()
        answer = self._record.take("interrupt", response_id=response_id)
        self._delivery.tell(far_end.interrupted(response_id))
        await self._sent(*(self._echoed(lambda far_end: far_end.cancelled(response_id, "client_cancelled"))), *answer)

    def playback(self, item_id: str, content_index: int = 0) -> PartPlayback | None:
        """Return how far a content part has come, by what the test says was heard."""
        far_end = self._delivery.far_end
        return None if far_end is None else far_end.playback(item_id, content_index)

    async def reset_history(self, old: Sequence[RealtimeItem], new: Sequence[RealtimeItem]) -> None:
        """Edit the model's conversation; the far end echoes what changes."""
        far_end = self._delivery.live()
        self._require(self._capabilities.history, "history")
        edits = far_end.edited(old, new)
        answer = self._record.take("reset_history", old=tuple(old), new=tuple(new))
        await self._sent(*self._echoed(lambda far_end: edits), *answer)

    async def send_function_call_output(self, call: FunctionCall, output: str, *, start_response: bool = True) -> None:
        """Answer a function call; the call's item is told with its output."""
        far_end = self._delivery.live()
        if not isinstance(output, str):
            raise ConfigurationError(f"a function call's output is a str, not {type(output).__name__}")
        answer = self._record.take("send_function_call_output", call=call, output=output, start_response=start_response)
        self._delivery.tell([far_end.answered(call, output)])
        await self._sent(*answer)

    async def send_mcp_response(self, request: McpApprovalRequest, approved: bool, reason: str | None = None) -> None:
        """Answer an MCP approval request."""
        self._delivery.live()
        self._require(self._capabilities.hosted_mcp, "hosted_mcp")
        await self._sent(*self._record.take("send_mcp_response", request=request, approved=approved, reason=reason))

    def on(self, type: str, listener: Listener) -> Listener:  # noqa: A002
        """Call `listener` for each event of `type`."""
        return self._delivery.emitter.on(type, listener)

    def once(self, type: str, listener: Listener) -> Listener:  # noqa: A002
        """Call `listener` for the next event of `type`."""
        return self._delivery.emitter.once(type, listener)

    def off(self, type: str, listener: Listener) -> None:  # noqa: A002
        """Take `listener` away."""
        self._delivery.emitter.off(type, listener)

    def events(self) -> AsyncIterator[TransportEvent]:
        """Iterate over the common events from now on, until the transport disconnects."""
        return self._delivery.emitter.events()

    def _require(self, capable: bool, capability: str) -> None:
        if not capable:
            raise UnsupportedByTransportError(f"this scripted transport was given no capability {capability}")

    def _echoed(self, happens: Callable[[FarEnd], Iterable[TransportEvent]]) -> tuple[Emission, ...]:
        return (Echo(happens),) if self._echo else ()

    def _committed(self, far_end: FarEnd) -> tuple[Emission, ...]:
        heard, far_end.uncommitted = far_end.uncommitted, 0
        return self._echoed(lambda far_end: [far_end.committed()]) if heard else ()

    async def _sent(self, *answer: Emission) -> None:
        """Let others on the loop have their turn, as a wire does. What the far end says to a call comes after it."""
        self._delivery.outgoing.extend(answer)
        try:
            await asyncio.sleep(0)
        finally:
            if self._delivery.outgoing:
                asyncio.get_running_loop().call_soon(self._delivery.deliver_later)

    def _new_id(self, prefix: str) -> str:
        return f"{prefix}_{self._numbers[prefix]()}"
