"""The `sip` transport: a phone call that the provider answered, joined by its id over its sideband socket.

The caller's audio flows between the phone network and the provider. What comes here are the call's events; what goes
is our part in it: answers, tools, handoffs, and what is done to the call itself.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator, Mapping
from typing import Any, Unpack

from jackfield.task_scope import TaskScope
from jackfield.transport import ConfigurationError, ConnectOptions, NotConnectedError
from jackfield.transport.events import ConnectionChange, FunctionCall, ItemUpdate, TurnDone, TurnStarted
from jackfield.transport.items import RealtimeToolCallItem
from jackfield_transports.sideband.calls import CallsClient
from jackfield_transports.sideband.errors import CallGoneError, CallOutcomeUnknownError, CallTakenError
from jackfield_transports.sideband.transport import SidebandTransport
from jackfield_transports.sideband.wire import Begin
from jackfield_transports.websocket.transport import SocketSettings

from .address import calls_of, sideband_address
from .afterwards import Action, Afterwards, Hangup
from .plugin import CAPABILITIES
from .utterances import METADATA_KEY, Progress, Utterances

__all__ = [
    "CallGoneError",
    "CallOutcomeUnknownError",
    "CallTakenError",
    "CallsClient",
    "SipTransport",
]


class SipTransport(SidebandTransport):
    """Joins the phone call `connect(call_id=)`, and controls it.

    `api_key`, `url` and `headers` are those of `connect()`, unless `calls`, a client for requests about calls, says
    where they lead. Nothing that the call was accepted with is sent: no formats, no model, and of the initial session
    config only what it holds. `begin` answers the call itself, with that config, and returns its id: then nothing of it
    is sent again.

    A call that was only just answered may be unknown to the far end for `attach_seconds`. A sideband that is lost is
    dialled again for `rejoin_seconds`, while the call goes on (0: never): `connection_change` tells `connecting` and
    `connected`, and what happened in between is not known. The other options are those of `SocketSettings`.
    """

    def __init__(
        self,
        *,
        calls: CallsClient | None = None,
        begin: Begin | None = None,
        attach_seconds: float = 10.0,
        rejoin_seconds: float = 20.0,
        **settings: Unpack[SocketSettings],
    ) -> None:
        if attach_seconds <= 0 or rejoin_seconds < 0:
            raise ConfigurationError("attach_seconds is above 0, and rejoin_seconds not below 0")
        super().__init__(
            self._join,
            sideband_address if calls is None else calls.sideband,
            name="sip",
            capabilities=CAPABILITIES,
            configured=begin is not None,
            attach_seconds=attach_seconds,
            rejoin_seconds=rejoin_seconds,
            **settings,
        )
        self._calls = calls
        self._begin = begin or _given_call
        self._call: _Call | None = None
        self.on("connection_change", self._connection_changed)
        self.on("turn_started", self._turn_started)
        self.on("turn_done", self._turn_done)
        self.on("function_call", self._called)
        self.on("item_update", self._answered)
        self.on("*", self._heard)

    @property
    def call_id(self) -> str | None:
        """The id of the call that is joined, or was last."""
        return None if self._call is None else self._call.call_id

    async def close(self) -> None:
        """Leave the call. It goes on without us: `hangup()` ends it."""
        await super().close()
        if self._call is not None:
            await self._call.scope.aclose()

    async def hangup(self) -> None:
        """End the call, now. One that is over already needs nothing."""
        call = self._joined()
        async with self._control(call) as calls:
            await calls.hangup(call.call_id)

    async def refer(self, target_uri: str) -> None:
        """Transfer the call to `tel:...` or `sip:...`, now.

        Where the trunk does it the call ends here. Raises `CallGoneError`, `CallOutcomeUnknownError` and the like.
        """
        call = self._joined()
        async with self._control(call) as calls:
            await calls.refer(call.call_id, target_uri)

    async def say_then(self, action: Action, *, say: str | None = None, limit: float = 30.0) -> Afterwards:
        """Hang up, or transfer, once an utterance has been heard; return at once, with what can cancel that.

        The utterance is the one that is under way. From within a tool, and where nothing is being said, it is the next
        one: what the model makes of the tool's output. With `say` it is one of its own, which is asked for with these
        instructions. Heard is what was played out, and what the caller cut by speaking. What is never said, or doesn't
        end, is waited for no longer than `limit` seconds. A later action takes the place of one that still waits.
        """
        call = self._joined()
        if limit <= 0:
            raise ConfigurationError(f"limit={limit!r} is not a time limit: give seconds above 0")
        if call.afterwards is not None:
            call.afterwards.cancel()
        token = None if say is None else secrets.token_hex(4)
        call.utterances.follow(token)
        afterwards = call.afterwards = Afterwards(action, self._act, self.report, call.scope, limit)
        if say is not None:
            asked = {"instructions": say, "tool_choice": "none", "metadata": {METADATA_KEY: token}}
            try:
                await self.request_response(asked)
            except BaseException:
                afterwards.cancel()
                raise
        return afterwards

    async def _join(self, options: ConnectOptions) -> str:
        if self._call is not None:
            await self._call.scope.aclose()
        call_id = await self._begin(options)
        self._call = _Call(call_id, options)
        return call_id

    def _joined(self) -> _Call:
        if self._call is None or self.status not in ("connected", "connecting"):
            raise NotConnectedError("no call is joined: call connect(call_id=...) before you control it")
        return self._call

    @contextlib.asynccontextmanager
    async def _control(self, call: _Call) -> AsyncIterator[CallsClient]:
        if self._calls is not None:
            yield self._calls
        else:
            async with calls_of(call.options) as calls:
                yield calls

    async def _act(self, action: Action) -> None:
        if isinstance(action, Hangup):
            await self.hangup()
        else:
            await self.refer(action.target_uri)

    # What is heard

    def _connection_changed(self, event: ConnectionChange) -> None:
        if event.status == "disconnected" and self._call is not None:
            self._call.end()

    def _turn_started(self, event: TurnStarted) -> None:
        if self._call is not None and event.in_conversation:
            self._call.utterances.began(event.response_id, event.metadata)

    def _turn_done(self, event: TurnDone) -> None:
        if self._call is not None:
            self._call.progress(self._call.utterances.ended(event.response_id, event.status))

    def _called(self, event: FunctionCall) -> None:
        if self._call is not None:
            self._call.utterances.called(event.call_id)

    def _answered(self, event: ItemUpdate) -> None:
        item = event.item
        if self._call is not None and isinstance(item, RealtimeToolCallItem) and item.output is not None:
            self._call.utterances.answered(item.call_id)

    def _heard(self, message: Mapping[str, Any]) -> None:
        """How the far end plays: no common event tells that, as sessions have it from the ledger."""
        if self._call is None:
            return
        response_id = message.get("response_id")
        if not isinstance(response_id, str):
            return
        utterances = self._call.utterances
        match message["type"]:
            case "response.content_part.added":
                part = message.get("part")
                if isinstance(part, Mapping) and part.get("type") in ("audio", "output_audio"):
                    utterances.has_audio(response_id)
            case "output_audio_buffer.started":
                self._call.progress(utterances.started(response_id))
            case "output_audio_buffer.stopped":
                self._call.progress(utterances.stopped(response_id, "played"))
            case "output_audio_buffer.cleared":
                self._call.progress(utterances.stopped(response_id, "cut"))


class _Call:
    """One call, for as long as it is joined."""

    def __init__(self, call_id: str, options: ConnectOptions) -> None:
        self.call_id = call_id
        self.options = options
        self.scope = TaskScope()
        self.utterances = Utterances()
        self.afterwards: Afterwards | None = None

    def progress(self, progress: Progress | None) -> None:
        if progress is not None and self.afterwards is not None:
            self.afterwards.progress(progress)
            if progress != "begun":
                self.utterances.forget()

    def end(self) -> None:
        """The call is over: what still waits is not done. What is under way may come to its end."""
        if self.afterwards is not None:
            self.afterwards.cancel()
        self.scope.close()


async def _given_call(options: ConnectOptions) -> str:
    if not options.call_id:
        raise ConfigurationError(
            "the sip transport joins a call that was answered: give call_id=, which realtime.call.incoming tells"
        )
    return options.call_id
