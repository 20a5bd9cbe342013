"""The leash of a call: how long it may last, what it may use, and how long it may be silent.

A browser can keep a call open for as long as it likes, at the expense of the key's owner. Unlike a session's budget,
which ends a conversation politely, a leash cuts it without a word.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from typing import Any

from attrs import field, frozen

from jackfield import RealtimeSession
from jackfield.transport import ConfigurationError, TransportEvent

__all__ = ["Leash", "LeashWatch"]


def _limit(_: object, attribute: Any, value: object) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ConfigurationError(f"a leash's {attribute.name} is a number above 0, or None: not {value!r}")


@frozen(kw_only=True)
class Leash:
    """The limits of one call; None is no limit."""

    max_seconds: float | None = field(default=3600.0, validator=_limit)
    """Seconds from the call's creation."""
    max_tokens: float | None = field(default=None, validator=_limit)
    """Tokens of all responses, input and output."""
    idle_seconds: float | None = field(default=300.0, validator=_limit)
    """Seconds in which nobody speaks, the model answers nothing and no tool runs."""


class LeashWatch:
    """Watches one call. `pull` is called once, with the reason, when the leash is at its end."""

    def __init__(self, leash: Leash, pull: Callable[[str], None]) -> None:
        self._leash = leash
        self._pull = pull
        self._tokens = 0
        self._under_way: set[tuple[str, str]] = set()
        """What keeps the call from being idle: who speaks, which response is made or played, which tool runs."""
        self._lifetime: asyncio.TimerHandle | None = None
        self._idle: asyncio.TimerHandle | None = None

    def start(self, session: RealtimeSession) -> None:
        """Watch `session`, from now on."""
        limit = self._leash.max_seconds
        if limit is not None:
            told = f"the call lasted {limit:g} s"
            self._lifetime = asyncio.get_running_loop().call_later(limit, self._end, told)
        transport = session.transport
        transport.on("speech_started", lambda _: self._begins("speech", "user"))
        transport.on("speech_stopped", lambda _: self._ends("speech", "user"))
        transport.on("turn_started", lambda event: self._begins("response", event.response_id))
        transport.on("turn_done", lambda event: self._ends("response", event.response_id))
        transport.on("usage_update", self._used)
        transport.on("item_update", self._moved)
        transport.on("*", self._played)
        session.on("tool_start", lambda event: self._begins("tool", event.call_id))
        session.on("tool_end", lambda event: self._ends("tool", event.call_id))
        self._rest()

    def close(self) -> None:
        """Let go."""
        for timer in (self._lifetime, self._idle):
            if timer is not None:
                timer.cancel()
        self._pull = _nothing

    def _begins(self, kind: str, name: str) -> None:
        self._under_way.add((kind, name))
        self._rest()

    def _ends(self, kind: str, name: str) -> None:
        self._under_way.discard((kind, name))
        self._rest()

    def _moved(self, _: TransportEvent) -> None:
        self._rest()

    def _played(self, message: Mapping[str, Any]) -> None:
        """The far end plays; no common event tells that, as the session has it from the ledger."""
        if message["type"] == "output_audio_buffer.started":
            self._begins("playback", "")
        elif message["type"] in ("output_audio_buffer.stopped", "output_audio_buffer.cleared"):
            self._ends("playback", "")

    def _used(self, event: Any) -> None:
        self._tokens += event.usage.total_tokens
        limit = self._leash.max_tokens
        if limit is not None and self._tokens >= limit:
            self._end(f"the call used {self._tokens} tokens, and {limit:g} is its limit")

    def _rest(self) -> None:
        """Count the idle seconds anew."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        limit = self._leash.idle_seconds
        if limit is not None and not self._under_way and self._pull is not _nothing:
            told = f"nothing was said or done for {limit:g} s"
            self._idle = asyncio.get_running_loop().call_later(limit, self._end, told)

    def _end(self, reason: str) -> None:
        pull, self._pull = self._pull, _nothing
        pull(reason)


def _nothing(_: str) -> None:
    return
