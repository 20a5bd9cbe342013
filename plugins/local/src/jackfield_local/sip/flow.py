"""Where a message came from and where one goes: an address over UDP, or a connection over TCP."""

from __future__ import annotations

from typing import Literal, TypeAlias

from attrs import frozen

__all__ = ["Flow", "HostPort", "Transport"]

HostPort: TypeAlias = tuple[str, int]
Transport: TypeAlias = Literal["UDP", "TCP"]


@frozen
class Flow:
    """A way to a peer. `connection` numbers TCP connections; 0 is one that isn't made yet."""

    transport: Transport
    local: HostPort
    remote: HostPort
    connection: int = 0

    @property
    def reliable(self) -> bool:
        """Whether nothing is lost on it, so that nothing has to be sent again."""
        return self.transport != "UDP"
