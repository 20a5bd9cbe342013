"""A call's data channel as a wire of `channel`: frames as messages, and an end that is the call's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from aiortc import InvalidStateError, RTCDataChannel

from jackfield_local.channel import FrameTooLargeError
from jackfield_local.connection import ConnectionEndedError
from jackfield_transports.webrtc.media import DataChannelPort, MessageTooLargeError

__all__ = ["DataChannelWire"]

_FLUSH_SECONDS: Final = 0.5


class DataChannelWire:
    """The data channel that a client opened. `end` ends the call with a code and a reason."""

    def __init__(self, channel: RTCDataChannel, max_message_size: int, end: Callable[[int, str], None]) -> None:
        self._channel = channel
        self._port = DataChannelPort(channel, max_message_size)
        self._end = end
        self._half_closed = False

    async def receive(self) -> str | bytes | None:
        """Return the next message, None once the channel is closed."""
        return await self._port.receive()

    async def send(self, frame: str | bytes) -> None:
        """Send a message; wait while the client is slow."""
        if self._half_closed:
            return
        try:
            if isinstance(frame, str):
                await self._port.send(frame)
            else:
                self._port.check(len(frame))
                self._channel.send(frame)
        except MessageTooLargeError as error:
            raise FrameTooLargeError(str(error)) from error
        except InvalidStateError as error:
            raise ConnectionEndedError("The data channel is closed.") from error

    async def close(self, code: int, reason: str) -> None:
        """End the call, once the client has what was sent before, and in a moment at the latest."""
        if not self._port.closed and self._channel.transport.transport.state == "connected":
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_FLUSH_SECONDS):
                    await self._port.finish()
        self._end(code, reason)

    def dismiss(self) -> None:
        """Close the channel, and leave the call as it is."""
        self._port.close()

    def half_close(self) -> None:
        """Send nothing more; a data channel has no halves, so that the client isn't told."""
        self._half_closed = True

    def abort(self) -> None:
        """Break the call off."""
        self._end(1006, "")
