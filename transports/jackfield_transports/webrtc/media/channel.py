"""A data channel as a pipe of messages: sends that wait where the path is slow, and a `receive` to wait on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from aiortc import InvalidStateError, RTCDataChannel
from pyee import EventEmitter

from jackfield.transport import TransportError

__all__ = ["DataChannelPort", "MessageTooLargeError"]

_HIGH_WATER: Final = 256 * 1024
"""Bytes that may wait in SCTP before a sender waits, too."""
_LOW_WATER: Final = 64 * 1024
_INBOX: Final = 10_000
"""Messages that may wait to be received. SCTP has no way to hold a sender back in aiortc: beyond it we hang up."""


class MessageTooLargeError(TransportError):
    """A message is larger than the far end takes through a data channel."""


class DataChannelPort:
    """Both ends of an `RTCDataChannel` for one reader and any number of writers.

    `max_message_size` is what the far end announced, in bytes (RFC 8841, a=max-message-size); 0: any size.
    """

    def __init__(self, channel: RTCDataChannel, max_message_size: int = 65_536) -> None:
        self.max_message_size = max_message_size
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Resolved when messages can be sent; cancelled when the channel is closed before that."""
        self._channel = channel
        self._inbox: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self._low = asyncio.Event()
        self._low.set()
        self._closed = False
        self._ended = asyncio.Event()
        self._deliver: Callable[[str | bytes], bool] | None = None
        channel.bufferedAmountLowThreshold = _LOW_WATER
        events: EventEmitter = channel
        events.on("message", self._take)
        events.on("close", self._end)
        events.on("open", self._open)
        events.on("bufferedamountlow", self._low.set)
        if channel.readyState == "open":
            self._open()

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._closed

    def check(self, size: int) -> None:
        """Raise `MessageTooLargeError` for a message of so many bytes, where the far end wouldn't take it."""
        if self.max_message_size and size > self.max_message_size:
            raise MessageTooLargeError(
                f"the event has {size:,} bytes, and the far end takes {self.max_message_size:,} at most through a data "
                "channel: send images smaller or as URLs, or use a WebSocket"
            )

    async def send(self, text: str) -> None:
        """Send a message; wait while too much is under way. Raises `ConnectionError` once the channel is closed."""
        if len(text) * 4 > self.max_message_size:  # as UTF-8 it might be too long
            self.check(len(text.encode()))
        while not self._low.is_set() and not self._closed:
            await self._low.wait()
        self.send_now(text)

    def send_now(self, text: str) -> None:
        """Send a message at once, however much is under way; raises as `send` does."""
        if self._closed:
            raise ConnectionError("the data channel is closed")
        try:
            self._channel.send(text)
        except (InvalidStateError, ValueError) as error:
            raise ConnectionError(f"the data channel takes no message: {error}") from error
        if self._channel.bufferedAmount > _HIGH_WATER:
            self._low.clear()

    @property
    def writable(self) -> bool:
        """Whether a send would not have to wait."""
        return self._low.is_set() and not self._closed

    def deliver(self, take: Callable[[str | bytes], bool]) -> None:
        """Offer messages to `take` where they come in, as long as none waits; those it returns False for wait."""
        self._deliver = take

    async def finish(self) -> None:
        """Close it, and wait until the far end has got what was sent, and has closed it as well (RFC 8831, 6.7)."""
        self.close()
        await self._ended.wait()

    async def receive(self) -> str | bytes | None:
        """Return the next message, None once there will be no more."""
        message = await self._inbox.get()
        if message is None:
            self._inbox.put_nowait(None)
        return message

    def close(self) -> None:
        """Close it; who waits to send or to receive learns of it. Messages that came before can still be received."""
        if self._closed:
            return
        self._closed = True
        if not self.opened.done():
            self.opened.cancel()
        self._low.set()
        self._inbox.put_nowait(None)
        if self._channel.readyState in {"open", "connecting"}:
            self._channel.close()

    def _end(self) -> None:
        self.close()
        self._ended.set()

    def _open(self) -> None:
        if not self.opened.done():
            self.opened.set_result(None)

    def _take(self, message: str | bytes) -> None:
        if self._closed:
            return
        if self._deliver is not None and self._inbox.empty() and self._deliver(message):
            return
        if self._inbox.qsize() >= _INBOX:
            self.close()
            return
        self._inbox.put_nowait(message)
