"""The contract of a transport: one protocol that fits on a screen. Nobody needs to inherit from it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

from jackfield.audio.ledger import PartPlayback

from .capabilities import TransportCapabilities
from .events import ConnectionStatus, FunctionCall, McpApprovalRequest, TransportEvent
from .items import RealtimeItem
from .options import ConnectOptions

__all__ = ["Listener", "RealtimeTransportLayer", "UserMessage"]

Listener: TypeAlias = Callable[[Any], object]
"""A function or coroutine function that takes one event."""

UserMessage: TypeAlias = str | Mapping[str, Any]
"""Text, or a message: {"type": "message", "role": "user", "content": [{"type": "input_text", "text": ...}, ...]}."""


@runtime_checkable
class RealtimeTransportLayer(Protocol):
    """One wire to a realtime model, seen from the session.

    A send returns when the wire has accepted it, in call order: a slow wire slows its callers. On a transport that
    isn't connected it raises `NotConnectedError`, and for what isn't a capability `UnsupportedByTransportError`.
    """

    @property
    def name(self) -> str:
        """The name by which users pick it."""

    @property
    def capabilities(self) -> TransportCapabilities:
        """What it can do; the same before, during and after a connection."""

    @property
    def status(self) -> ConnectionStatus:
        """connecting, connected, disconnecting or disconnected."""

    @property
    def muted(self) -> bool | None:
        """Whether the user's audio is muted; None where muting is not this transport's."""

    async def connect(self, options: ConnectOptions | None = None, /, **kwargs: Any) -> None:
        """Connect and return when ready (see `ConnectOptions.ready`), or leave nothing behind and raise.

        Keyword arguments are fields of `ConnectOptions`. A transport can connect again after it disconnected.
        """

    async def close(self) -> None:
        """End the connection, in bounded time, whatever the far end does. Calling it again does nothing."""

    async def send_event(self, event: Mapping[str, Any]) -> None:
        """Send one of the provider's own client events."""

    async def send_message(self, message: UserMessage, *, trigger_response: bool = True) -> None:
        """Send what the user wrote or showed, and ask for an answer."""

    async def add_image(self, image: str, *, detail: str | None = None, trigger_response: bool = True) -> None:
        """Send an image (data URI or URL) as a message of the user."""

    async def send_audio(self, chunk: bytes, *, commit: bool = False) -> None:
        """Send audio in the session's input format (PCM16 mono 24,000 Hz unless configured otherwise)."""

    async def commit_audio(self) -> None:
        """End the user's turn by hand: what was sent becomes an item. It doesn't ask for an answer."""

    async def clear_audio(self) -> None:
        """Drop the audio that was sent and not committed."""

    async def request_response(self, response: Mapping[str, Any] | None = None) -> None:
        """Ask for a response, as soon as no other is active. Requests without `response` coalesce."""

    async def update_session_config(self, config: Mapping[str, Any]) -> None:
        """Change the session; only the given keys change."""

    async def mute(self, muted: bool) -> None:
        """Mute or unmute the user's audio."""

    async def interrupt(self, response_id: str | None = None) -> None:
        """Stop the model: cancel what is being generated, and drop what is not yet played.

        With `response_id`, of that response only: a newer one is left alone.
        """

    def playback(self, item_id: str, content_index: int = 0) -> PartPlayback | None:
        """Return how far a content part has come; None where nothing is known of it, or no more."""

    async def reset_history(self, old: Sequence[RealtimeItem], new: Sequence[RealtimeItem]) -> None:
        """Edit the model's conversation from `old` to `new`."""

    async def send_function_call_output(self, call: FunctionCall, output: str, *, start_response: bool = True) -> None:
        """Answer a `function_call`, and ask for a response to it."""

    async def send_mcp_response(self, request: McpApprovalRequest, approved: bool, reason: str | None = None) -> None:
        """Answer an `mcp_approval_request`."""

    def on(self, type: str, listener: Listener) -> Listener:  # noqa: A002 - as in every event emitter
        """Call `listener` for each event of `type`: a common event, `*` (raw inbound) or `*out` (raw outbound)."""

    def once(self, type: str, listener: Listener) -> Listener:  # noqa: A002
        """Like `on`, for the next event only."""

    def off(self, type: str, listener: Listener) -> None:  # noqa: A002
        """Take `listener` away; nothing happens where it isn't there."""

    def events(self) -> AsyncIterator[TransportEvent]:
        """Iterate over the common events from now on, until the transport disconnects."""
