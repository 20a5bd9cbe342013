"""The network between two peers of one call, in the test's hands: a pair of UDP sockets that all packets go through.

It is put in by what the peers tell one another about their addresses, so that neither knows of it. Packets are held,
dropped, or never seen again, as on a path that is congested, filtered, or gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections import deque
from collections.abc import Callable

__all__ = ["UdpPath", "is_dtls", "is_stun", "through"]

Address = tuple[str, int]

_HOST = "127.0.0.1"
_LARGEST = 65_536
_HELD = 1000
"""Packets that wait on a path that stands still; like a router's, its queue has an end."""


class UdpPath:
    """The path of one call, to the peer at `near`. `drops` says which packets never get through."""

    def __init__(self, near: Address, drops: Callable[[bytes], bool] | None = None) -> None:
        self.far: Address | None = None
        """Where the far end is, once it has said so."""
        self.broken = False
        """Whether packets get lost, all of them, either way."""
        self._near = near
        self._drops = drops
        self._stalled = False
        self._held: deque[bytes] = deque(maxlen=_HELD)
        self._loop = asyncio.get_running_loop()
        self._to_near, self._to_far = _open(), _open()
        self._loop.add_reader(self._to_near, self._from_near_to_far)
        self._loop.add_reader(self._to_far, self._from_far_to_near)

    @property
    def near_port(self) -> int:
        """The port at which the near end takes this path for the far end."""
        port: int = self._to_near.getsockname()[1]
        return port

    @property
    def far_port(self) -> int:
        """The port at which the far end takes this path for the near end."""
        port: int = self._to_far.getsockname()[1]
        return port

    def stall(self) -> None:
        """Hold what goes to the far end."""
        self._stalled = True

    def resume(self) -> None:
        """Let it go on."""
        self._stalled = False
        while self._held:
            self._send(self._to_far, self._held.popleft(), self.far)

    def cut(self) -> None:
        """End it: nothing comes through any more but what is under way, and nobody is told."""
        if self._to_near.fileno() < 0:
            return
        self._from_near_to_far()
        self._from_far_to_near()
        for side in (self._to_near, self._to_far):
            self._loop.remove_reader(side)
            side.close()

    def _from_near_to_far(self) -> None:
        for packet in self._read(self._to_near, self._near):  # the near end tries its other addresses too
            if self._stalled:
                self._held.append(packet)
            else:
                self._send(self._to_far, packet, self.far)

    def _from_far_to_near(self) -> None:
        for packet in self._read(self._to_far, self.far):
            self._send(self._to_near, packet, self._near)

    def _read(self, side: socket.socket, sender: Address | None) -> list[bytes]:
        packets = []
        with contextlib.suppress(BlockingIOError):
            while True:
                packet, address = side.recvfrom(_LARGEST)
                if address == sender and not self.broken and not (self._drops is not None and self._drops(packet)):
                    packets.append(packet)
        return packets

    def _send(self, side: socket.socket, packet: bytes, to: Address | None) -> None:
        if to is not None:
            with contextlib.suppress(BlockingIOError):  # as a router does with what it can't take
                side.sendto(packet, to)


def is_stun(packet: bytes) -> bool:
    """Whether it is ICE's (RFC 7983)."""
    return packet[0] < 4


def is_dtls(packet: bytes) -> bool:
    """Whether it belongs to a handshake, or to a data channel (RFC 7983)."""
    return 19 < packet[0] < 64


def through(sdp: str, port: int) -> tuple[str, Address]:
    """Return `sdp` with `port` on this machine as the only address, and the address on it that was told before."""
    candidate = re.compile(rf"^a=candidate:(\S+) (\d) (udp) (\d+) {_HOST} (\d+) typ host\r\n", re.MULTILINE)
    found = candidate.search(sdp)
    assert found is not None, "the peer has no address on this machine"
    kept = f"a=candidate:{found[1]} {found[2]} udp {found[4]} {_HOST} {port} typ host\r\n"
    told = re.sub(r"^a=candidate:.*\r\n", "", sdp, flags=re.MULTILINE)
    told = re.sub(r"^a=end-of-candidates", kept + "a=end-of-candidates", told, flags=re.MULTILINE)
    return told, (_HOST, int(found[5]))


def _open() -> socket.socket:
    side = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    side.bind((_HOST, 0))
    side.setblocking(False)
    return side
