"""A bad network between two peers: packets that are lost, alone or in a row, and packets that are late.

It sits below everything: audio, reports and the data channel are treated alike. Only a peer's own side is touched: what
it sends, or what it receives.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any, Literal

from aiortc import RTCPeerConnection
from attrs import define, field, frozen

from jackfield.errors import ConfigurationError

__all__ = ["Impairment", "Network", "impair"]


def _share(_: object, attribute: Any, value: float) -> None:
    if not 0 <= value <= 1:
        raise ConfigurationError(f"{attribute.name}={value!r} is no share of packets: give 0 to 1")


@frozen(kw_only=True)
class Impairment:
    """What happens to packets. The same `seed` does the same to the same packets."""

    loss: float = field(default=0.0, validator=_share)
    """The share of packets that are lost; 1: the path is down."""
    burst: float = 1.0
    """How many are lost in a row, on average."""
    jitter_ms: float = 0.0
    """Each is late by up to so much, and overtaken by others."""
    seed: int = 0


@define
class Network:
    """One direction of a peer's path. `impairment` can be changed while it is in use."""

    impairment: Impairment
    _chance: random.Random = field(factory=random.Random)
    _losing: bool = False

    def __attrs_post_init__(self) -> None:
        self._chance.seed(self.impairment.seed)

    def loses(self) -> bool:
        """Whether the next packet is lost: by two states (Gilbert), of which the bad one makes bursts."""
        loss = self.impairment.loss
        if loss >= 1:
            return True
        leave = 1 / max(1.0, self.impairment.burst)
        enter = loss * leave / (1 - loss)
        self._losing = self._chance.random() >= leave if self._losing else self._chance.random() < enter
        return self._losing

    def delay(self) -> float:
        """How late the next packet is, in seconds."""
        return self._chance.uniform(0, self.impairment.jitter_ms / 1000)


def impair(
    connection: RTCPeerConnection, impairment: Impairment, *, direction: Literal["out", "in"] = "out"
) -> Network:
    """Make one direction of a connected peer's path bad, from now on; return the network, to change it."""
    ice: Any = connection.getTransceivers()[0].sender.transport.transport
    network = Network(impairment)
    if direction == "out":
        ice._send = _sender(ice._send, network)
    else:
        ice._recv = _receiver(ice._recv, network)
    return network


def _sender(send: Callable[[bytes], Any], network: Network) -> Callable[[bytes], Any]:
    loop = asyncio.get_running_loop()
    late: set[asyncio.Task[None]] = set()

    async def deliver(data: bytes) -> None:
        try:
            await send(data)
        except ConnectionError:
            return  # the call is over by now

    def set_out(data: bytes) -> None:
        task = loop.create_task(deliver(data))
        late.add(task)
        task.add_done_callback(late.discard)

    async def unreliable(data: bytes) -> None:
        if network.loses():
            return
        delay = network.delay()
        if delay > 0:
            loop.call_later(delay, set_out, data)
        else:
            await send(data)

    return unreliable


def _receiver(receive: Callable[[], Any], network: Network) -> Callable[[], Any]:
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[bytes] = asyncio.Queue()
    receiving: asyncio.Task[bytes] | None = None

    async def unreliable() -> bytes:
        nonlocal receiving
        while True:
            arriving = asyncio.ensure_future(arrived.get())
            if receiving is None:
                receiving = asyncio.ensure_future(receive())
            try:
                await asyncio.wait({arriving, receiving}, return_when=asyncio.FIRST_COMPLETED)
            except asyncio.CancelledError:
                receiving.cancel()
                arriving.cancel()
                raise
            if receiving.done():
                came, receiving = receiving, None
                if came.exception() is not None:
                    arriving.cancel()
                    came.result()
                if not network.loses():
                    loop.call_later(network.delay(), arrived.put_nowait, came.result())
            if arriving.done():
                return arriving.result()
            arriving.cancel()

    return unreliable
