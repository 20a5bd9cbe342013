"""The seam above the wire: what one connection knows of a provider's protocol. It does no I/O.

A dialect opens no socket, starts no task and reads no clock but the one that it was made with. `WireTransport` feeds
it what arrives and writes what it returns, so that whoever speaks to another provider writes a dialect, and inherits
connecting, closing, order, backpressure and listeners. A message is one frame, decoded: a mapping.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar, runtime_checkable

from jackfield.audio.formats import AudioFormat
from jackfield.audio.ledger import PlaybackLedger
from jackfield.errors import TransportError
from jackfield.transport.events import FunctionCall, McpApprovalRequest, TransportEvent
from jackfield.transport.items import RealtimeItem
from jackfield.transport.layer import UserMessage
from jackfield.transport.options import ConnectOptions

from .wires import WireConnection

__all__ = ["Dialect", "MediaDialect", "NewDialect", "RejoiningDialect"]


class Dialect(Protocol):
    """One connection's protocol state. What is asked of it returns messages to write, in order and together.

    What it can't do raises `UnsupportedByTransportError`, and bad input `ConfigurationError`, before its state changes.
    """

    # Frames

    def decode(self, frame: bytes | str) -> dict[str, Any]:
        """Return the message in `frame`; raise `ProtocolError` where it holds none."""

    def encode(self, message: Mapping[str, Any]) -> bytes:
        """Return `message` as a frame; raise `ConfigurationError` where it can't be one."""

    # What arrives

    def receive(self, message: Mapping[str, Any]) -> Iterable[TransportEvent]:
        """Take a message and return the common events that it amounts to.

        Nothing of `message` is kept or referred to by what is returned. What is to be sent in reaction is in
        `data_to_send` afterwards, and is written before anybody is told.
        """

    def data_to_send(self) -> Sequence[Mapping[str, Any]]:
        """Return, once, the messages that received ones, or the time that passed, have called for."""

    def closed(self, code: int | None, reason: str) -> TransportError | None:
        """Return the error that the far end's close amounts to; None where it ended the conversation normally."""

    # Opening

    def open(self, config: Mapping[str, Any] | None, *, given: bool = False) -> Sequence[Mapping[str, Any]]:
        """Return what to write first, for a session that is configured so.

        `given`: the far end has the config already, from the handshake (`ConfiguredConnection`).
        """

    @property
    def acknowledged(self) -> bool:
        """Whether the far end has accepted what `open` said, so that the transport is ready."""

    @property
    def refusal(self) -> TransportError | None:
        """Why the far end won't have the session, where it said so before it acknowledged it."""

    # What is asked: the methods of the contract, in its order

    def event(self, event: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """Return one of the provider's own client messages, as it may go out now."""

    def message(self, message: UserMessage, *, trigger_response: bool) -> Sequence[Mapping[str, Any]]:
        """Return what the user wrote or showed, and the request for an answer."""

    def image(self, image: str, *, detail: str | None, trigger_response: bool) -> Sequence[Mapping[str, Any]]:
        """Return an image (data URI or URL) as a message of the user."""

    def audio(self, chunk: bytes) -> Sequence[bytes]:
        """Return audio of the user as frames. It is called for every chunk, so it may spare itself an object."""

    def commit_audio(self) -> Sequence[Mapping[str, Any]]:
        """Return the end of the user's turn."""

    def clear_audio(self) -> Sequence[Mapping[str, Any]]:
        """Return what drops audio that was not committed."""

    def request_response(self, response: Mapping[str, Any] | None = None) -> Sequence[Mapping[str, Any]]:
        """Return the request for a response, if it may go out now."""

    def session_update(self, config: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """Return the change of the session: only the given keys change."""

    def interrupt(self, response_id: str | None = None) -> tuple[Sequence[Mapping[str, Any]], Sequence[TransportEvent]]:
        """Return what stops the model, or one response, and what was cut. Where nothing is to be stopped, nothing."""

    def reset_history(self, old: Sequence[RealtimeItem], new: Sequence[RealtimeItem]) -> Sequence[Mapping[str, Any]]:
        """Return what edits the model's conversation from `old` to `new`."""

    def function_call_output(
        self, call: FunctionCall, output: str, *, start_response: bool
    ) -> tuple[Sequence[Mapping[str, Any]], Sequence[TransportEvent]]:
        """Return the answer to a function call, and the call's item with its output, to be told once it is sent."""

    def mcp_response(
        self, request: McpApprovalRequest, approved: bool, reason: str | None
    ) -> Sequence[Mapping[str, Any]]:
        """Return the answer to an approval request of a hosted MCP server."""

    # Time and playback

    @property
    def deadline(self) -> float | None:
        """When, by the clock, `expire` wants to be called; None where nothing is awaited."""

    def expire(self) -> Sequence[TransportEvent]:
        """Give up what the far end never answered; what is to be sent is in `data_to_send` afterwards."""

    @property
    def ledger(self) -> PlaybackLedger:
        """How far each content part has come."""


@runtime_checkable
class MediaDialect(Dialect, Protocol):
    """A dialect for connections that carry audio beside the messages (`MediaConnection`)."""

    @property
    def input_format(self) -> AudioFormat:
        """The format of the audio that the application sends."""

    def heard(self, pcm: bytes, *, silent: bool) -> Iterable[TransportEvent]:
        """Take audio that came on its own path (PCM16 mono, 24,000 Hz; `silent`: only silence); say whose it is."""


@runtime_checkable
class RejoiningDialect(Dialect, Protocol):
    """A dialect for connections that dial again under it, to a session that goes on (`RejoiningConnection`)."""

    def rejoined(self, secrets: Iterable[str]) -> None:
        """Note that it got through again, with these `secrets`; what follows is in `data_to_send`."""


D_co = TypeVar("D_co", bound=Dialect, covariant=True)

NewDialect: TypeAlias = Callable[[ConnectOptions, WireConnection], D_co]
"""Makes the dialect of one connection, that was dialled with these options."""
