"""Whether the far end is still there. aiortc notices a vanished one after half a minute, by ICE's consent checks.

Every peer that receives our audio reports on it every few seconds (RFC 3550), also while it is silent itself. Where
nothing at all arrives for longer than that, the path is down. It may come back for as long as the grace lasts; aiortc
can't look for another one (no ICE restart), so after that the call is over, and that is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from attrs import frozen

from jackfield.transport import RemoteClosedError

from .media import AudioPeer

__all__ = ["PathWatch", "Patience", "path_lost"]

logger = logging.getLogger("jackfield.webrtc")

_LOOK_SECONDS = 0.5
"""Between two looks; less where a shorter patience asks for it."""


@frozen(kw_only=True)
class Patience:
    """How long a path may be quiet. Seconds."""

    quiet: float = 6.0
    """Nothing has arrived for so long: the path counts as down."""
    grace: float = 5.0
    """And for so long it may come back."""


class PathWatch:
    """Watches the path of one peer."""

    def __init__(self, peer: AudioPeer, patience: Patience) -> None:
        self.down = False
        """Whether nothing arrives at the moment."""
        self._peer = peer
        self._patience = patience
        self._watching: asyncio.Task[None] | None = None

    def start(self, lost: Callable[[RemoteClosedError], None]) -> None:
        """Begin to watch; `lost` is told, once, when the path is given up."""
        self._watching = asyncio.get_running_loop().create_task(self._watch(lost), name="jackfield webrtc path watch")

    async def stop(self) -> None:
        """Watch no longer."""
        watching, self._watching = self._watching, None
        if watching is not None and watching is not asyncio.current_task():
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching

    async def _watch(self, lost: Callable[[RemoteClosedError], None]) -> None:
        clock = asyncio.get_running_loop().time
        interval = min(_LOOK_SECONDS, self._patience.quiet / 4)
        known, looked, quiet = await self._peer.packets_received(), clock(), 0.0
        while True:
            await asyncio.sleep(interval)
            packets, now = await self._peer.packets_received(), clock()
            # Time in which this process stood still says nothing about the path.
            quiet += min(now - looked, 2 * interval)
            looked = now
            if packets != known:
                if self.down:
                    logger.info("the path is back")
                known, quiet, self.down = packets, 0.0, False
            elif quiet >= self._patience.quiet + self._patience.grace:
                lost(path_lost())
                return
            elif quiet >= self._patience.quiet and not self.down:
                self.down = True
                logger.warning("nothing has arrived for %.2g s: the path is down", quiet)


def path_lost() -> RemoteClosedError:
    """Return what the loss of the path amounts to."""
    reason = "the network path is gone, and aiortc can't look for another one: it has no ICE restart"
    return RemoteClosedError(reason, code=1006, reason=reason)
