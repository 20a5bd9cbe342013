"""One WebRTC call: a session whose audio goes over a peer connection, and its events over the data channel.

Media and data channel are aiortc's, by way of `jackfield_transports.webrtc.media`; so this module is imported when the
first call is made, and not before. Who may call is decided in `calls`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from aiortc import RTCDataChannel

from jackfield_local.channel import ClientChannel
from jackfield_local.connection import Connection
from jackfield_local.data_channel import DataChannelWire
from jackfield_local.engine.engine import Engine
from jackfield_local.engine.errors import server_failure
from jackfield_local.engine.ids import IdSource
from jackfield_local.fanout import FanOut
from jackfield_local.faults import FrameFilter
from jackfield_local.media_clock import SILENCE, Gaps
from jackfield_local.session import Channel, Services, Session
from jackfield_transports.webrtc.media import AudioPeer, SdpError, max_message_size

__all__ = ["SdpError", "WebRtcCall"]

logger = logging.getLogger(__name__)

_CONNECT_SECONDS: Final = 30.0
"""How long a client may take from the answer to a media path."""


class _Over(Exception):  # noqa: N818 - ends the task group, and is no error
    """The call is over."""


class WebRtcCall:
    """A call: `answer` the offer, then `run`. It lasts `seconds` from when the client is connected, at most.

    `connection` is its record, with its id; `make_filters` returns the faults of a data channel.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        services: Services,
        connection: Connection,
        make_filters: Callable[[], Sequence[FrameFilter]],
        seconds: float,
        local_only: bool,
    ) -> None:
        assert connection.call_id is not None
        self.id = connection.call_id
        self.live = False
        self._engine = engine
        self._connection = connection
        self._make_filters = make_filters
        self._fanout = FanOut(engine.take_events())
        self._session = Session(engine, self._fanout, services, seconds=seconds)
        self._clock = asyncio.get_running_loop().time
        self._gaps = Gaps(self._clock())
        self._max_message_size = 0
        self._connected = asyncio.Event()
        self._ended = asyncio.Event()
        self._wires: asyncio.Queue[DataChannelWire] = asyncio.Queue()
        self._wire: DataChannelWire | None = None
        self._peer = AudioPeer(source=self._play, sink=self._hear, local_only=local_only, on_state=self._note_state)
        self._peer.connection.on("datachannel", self._note_data_channel)

    async def answer(self, offer: str) -> str:
        """Return the answer to an offer. Raises `SdpError` where the offer can't be used; the call is over then."""
        self._max_message_size = max_message_size(offer)
        try:
            return await self._peer.answer(offer)
        except BaseException:
            await self.close()
            raise

    async def run(self) -> None:
        """Hold the call until it is over."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._hold())
                group.create_task(self._wait_end())
                group.create_task(self._admit(group))
        except* _Over:
            logger.debug("Call %s is over", self.id)
        finally:
            self.end(1006, "")
            await self._peer.close()

    async def close(self) -> None:
        """Give up a call that is answered and won't be run."""
        await self._peer.close()

    async def join(self, channel: Channel) -> None:
        """Let a sideband take part, until it is gone or the call is over."""
        await self._fanout.attend(channel, self._engine.greeting())

    def end(self, code: int, reason: str) -> None:
        """End the call. The first one to end it says why."""
        self.live = False
        self._connection.note_closed(code, reason)
        self._ended.set()

    async def _hold(self) -> None:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await self._connected.wait()
        except TimeoutError:
            self.end(1006, "The client did not connect.")
            return
        if self._ended.is_set():
            return
        self._gaps = Gaps(self._clock())
        self.live = True
        try:
            await self._session.run()
        except* Exception:  # noqa: BLE001 - `_fail` logs it
            self._fail()
        else:
            self.end(*(self._fanout.farewell or (1000, "")))

    async def _wait_end(self) -> None:
        await self._ended.wait()
        code = self._connection.close_code
        # A path that broke has no close frame, but those who have joined get one.
        await self._fanout.close(1000 if code is None or code == 1006 else code, self._connection.close_reason)
        raise _Over

    async def _admit(self, group: asyncio.TaskGroup) -> None:
        """Let data channels take part, one at a time: a second one would have the client get every event twice."""
        while True:
            wire = await self._wires.get()
            if self._wire is None:
                self._wire = wire
                group.create_task(self._attend(wire))
            else:
                wire.dismiss()

    async def _attend(self, wire: DataChannelWire) -> None:
        channel = ClientChannel(wire, self._connection, self._make_filters())
        await self._fanout.lead(channel, self._engine.greeting())
        self._wire = None

    def _fail(self) -> None:
        """End the call because of the exception that was caught, and tell the clients."""
        logger.exception("The session of a call failed")
        failure = server_failure()
        self._fanout.announce({"type": "error", "event_id": IdSource().event(), "error": failure.to_wire()})
        self.end(1011, f"{failure.type}.{failure.code}")

    def _note_state(self, state: str) -> None:
        if state == "connected":
            self._connected.set()
        elif state == "failed":
            self.end(1006, "The media path broke.")
        elif state == "closed":
            # Both when the client has hung up, and when it has been silent for so long that it must be gone.
            transports = [each.sender.transport.transport for each in self._peer.connection.getTransceivers()]
            lost = any(transport.state == "failed" for transport in transports)
            self.end(*((1006, "The media path broke.") if lost else (1000, "")))

    def _note_data_channel(self, channel: RTCDataChannel) -> None:
        # Made at once: a message that nobody listens to is lost.
        self._wires.put_nowait(DataChannelWire(channel, self._max_message_size, self.end))

    def _hear(self, pcm: bytes) -> None:
        if not self.live:
            return
        self._gaps.heard(self._clock())
        try:
            self._session.hear(pcm)
        except Exception:  # noqa: BLE001 - the peer connection would swallow it
            self._fail()

    def _play(self) -> bytes | None:
        if not self.live:
            return None
        try:
            for _ in range(self._gaps.missing(self._clock())):
                self._session.hear(SILENCE)
            return self._session.next_audio()
        except Exception:  # noqa: BLE001 - the peer connection would swallow it
            self._fail()
            return None
