"""`TransportModel`: the SDK's `RealtimeModel` over any of jackfield's transports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agents.exceptions import UserError
from agents.realtime import (
    RealtimeModel,
    RealtimeModelConfig,
    RealtimeModelListener,
    RealtimeModelSendEvent,
    RealtimeSessionModelSettings,
)

from jackfield.transport import (
    AlreadyConnectedError,
    ConnectOptions,
    NotConnectedError,
    RealtimeTransportLayer,
    UnsupportedByTransportError,
    create_transport,
)

from .connection import Connection
from .playback import playback_of
from .settings import SDK_DEFAULTS, SessionSettings, check_call, model_of

__all__ = ["TransportModel"]


class TransportModel(RealtimeModel):
    """A model that a session of OpenAI's Agents SDK talks to over `transport`.

    `transport` is the name of an installed transport ("websocket", "webrtc", "azure", "sip", ...), whose own options
    follow as keyword arguments, or a transport that was made already. The way it is connected is told, as ever, by the
    model config of `RealtimeRunner.run()`.

    `default_model_settings` are what holds where a session's settings say nothing: by default, those of the SDK's own
    model. Give {} for a far end that has its own. `connect_options` are those of jackfield that the SDK has no word
    for: `timeout`, `ready`, `barge_in`.

    A model serves one session at a time, and another one after it was closed.
    """

    def __init__(
        self,
        transport: str | RealtimeTransportLayer = "websocket",
        *,
        default_model_settings: RealtimeSessionModelSettings | None = None,
        connect_options: ConnectOptions | None = None,
        **transport_options: Any,
    ) -> None:
        if isinstance(transport, str):
            transport = create_transport(transport, **transport_options)
        elif transport_options:
            raise UserError(f"the {transport.name} transport is made already: give it its options when you make it")
        elif not isinstance(transport, RealtimeTransportLayer):
            raise UserError(f"a {type(transport).__name__} is no transport: give a name, or a RealtimeTransportLayer")
        self._transport = transport
        defaults: Mapping[str, Any] | None = default_model_settings
        self._defaults = SDK_DEFAULTS if defaults is None else defaults
        self._connect_options = connect_options
        self._listeners: list[RealtimeModelListener] = []
        self._connection: Connection | None = None

    def __repr__(self) -> str:
        return f"TransportModel({self._transport.name!r})"

    @property
    def transport(self) -> RealtimeTransportLayer:
        """The transport, for what the SDK has no word for: muting, frames as they are sent (`*out`), a call's end."""
        return self._transport

    async def connect(self, options: RealtimeModelConfig) -> None:
        """Connect, and return when the far end has acknowledged the session; or leave nothing behind and raise.

        Raises:
            UserError: settings that can't be, such as two tools of one name, or handoffs where nothing can be changed.
            TransportError: the connection could not be made. `AlreadyConnectedError`, where the model has one.

        """
        if self._connection is not None:
            raise AlreadyConnectedError(
                "this model has a connection: close its session first, or make another model for a second session"
            )
        settings = options.get("initial_model_settings") or {}
        call_id = options.get("call_id") or None
        check_call(settings, call_id)
        self._check_capabilities(settings, call_id)
        session = SessionSettings(self._defaults, joins_call=call_id is not None)
        tracker = playback_of(options.get("playback_tracker"))
        given = {
            "api_key": options.get("api_key"),
            "url": options.get("url"),
            "headers": options.get("headers"),
            "call_id": call_id,
            "model": model_of(
                settings,
                {} if call_id else self._defaults,
                transport=self._transport.name,
                elsewhere=call_id is not None or options.get("url") is not None,
            ),
            "initial_session_config": session.initial(settings),
            "playback_tracker": tracker,
        }
        said = {name: value for name, value in given.items() if value is not None}
        connection = self._connection = Connection(self._transport, session, tracker, lambda: tuple(self._listeners))
        try:
            await self._transport.connect(self._connect_options, **said)
        except BaseException:
            self._connection = None
            connection.detach()
            await connection.end()
            raise

    def add_listener(self, listener: RealtimeModelListener) -> None:
        """Tell `listener` of everything, after those that were added before; adding it again changes nothing."""
        if listener not in self._listeners:
            self._listeners.append(listener)

    def remove_listener(self, listener: RealtimeModelListener) -> None:
        """Tell `listener` nothing more, not even what has arrived already."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    async def send_event(self, event: RealtimeModelSendEvent) -> None:
        """Send `event`, and return when the wire has taken it.

        Raises `NotConnectedError` without a connection, and `UnsupportedByTransportError` for what is none of the
        transport's capabilities, such as audio where that doesn't pass through here.
        """
        await self._connected().send(event)

    async def send_event_if(self, event: RealtimeModelSendEvent, send_if: Callable[[], bool]) -> bool:
        """Send `event` if `send_if` is true at the moment when it is handed to the transport; return whether it was.

        A user's input isn't sent, either, where a response was asked for that has not begun.
        """
        return await self._connected().send_if(event, send_if)

    def _retire_response_audio(self, response_id: str) -> None:
        # The session calls this when a response and its guardrails are over.
        if self._connection is not None:
            self._connection.responses.retire(response_id)

    async def close(self) -> None:
        """Close the connection, if there is one. Listeners aren't told: it is the application's own doing."""
        connection = self._connection
        if connection is None:
            return
        connection.detach()
        try:
            await self._transport.close()
        finally:
            await connection.end()
        if self._connection is connection:
            self._connection = None

    def _connected(self) -> Connection:
        if self._connection is None:
            raise NotConnectedError(f"this model has no connection over {self._transport.name}: call connect() first")
        return self._connection

    def _check_capabilities(self, settings: RealtimeSessionModelSettings, call_id: str | None) -> None:
        capabilities = self._transport.capabilities
        if call_id is not None and not capabilities.attach_by_call_id:
            raise UnsupportedByTransportError(
                f"the {self._transport.name} transport can't join a call: leave out call_id, or use one that can "
                "(attach_by_call_id)"
            )
        if settings.get("handoffs") and not capabilities.session_update:
            raise UnsupportedByTransportError(
                f"the {self._transport.name} transport can't change a session (session_update), which a handoff does: "
                "use agents without handoffs, or another transport"
            )
