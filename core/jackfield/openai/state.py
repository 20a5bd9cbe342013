"""What one connection knows. A record: the rules are in `inbound` and `protocol`."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, field

from jackfield.audio.formats import PCM16, AudioFormat
from jackfield.audio.ledger import PlaybackLedger
from jackfield.audio.tracker import RealtimePlaybackTracker
from jackfield.bounded import remember
from jackfield.errors import TransportError
from jackfield.transport.capabilities import TransportCapabilities
from jackfield.transport.events import AudioInterrupted, TransportEvent
from jackfield.transport.items import McpApprovalRequestItem, RealtimeToolCallItem
from jackfield.transport.options import BargeIn

from .interruption import plan_interruption
from .remote_audio import RemoteAudio
from .sequencer import ResponseSequencer

__all__ = ["ConnectionState", "event_ids"]

_REMEMBERED_CALLS = 512


@define(kw_only=True, eq=False)
class ConnectionState:
    """The state of one connection to a provider that speaks the dialect."""

    capabilities: TransportCapabilities
    clock: Callable[[], float]
    barge_in: BargeIn
    sequencer: ResponseSequencer
    ledger: PlaybackLedger
    tracker: RealtimePlaybackTracker | None
    new_event_id: Callable[[], str]
    secrets: tuple[str, ...] = ()

    reactions: list[dict[str, Any]] = field(factory=list)
    """Client events that a received frame calls for, to be written after its events were told."""

    opening: dict[str, Any] | None = None
    """The update that the session begins with; None where there is none."""
    acknowledged: bool = False
    refusal: TransportError | None = None
    failure: TransportError | None = None
    """The last error that is fatal to the connection: the reason of the close that follows it."""

    output_format: AudioFormat = PCM16
    turn_detection: Mapping[str, Any] | None = None
    response_formats: dict[str, AudioFormat] = field(factory=dict)
    discarded: dict[str, None] = field(factory=dict)
    """Responses that were interrupted: what still arrives of their audio is dropped."""
    ended: dict[str, None] = field(factory=dict)
    """Responses whose end was told: it is told once."""
    out_of_band: dict[str, None] = field(factory=dict)
    out_of_band_asked: int = 0
    """How many out-of-band responses were asked for and have not begun."""
    sees_conversation_ids: bool = False
    calls: dict[str, RealtimeToolCallItem] = field(factory=dict)
    approval_requests: dict[str, McpApprovalRequestItem] = field(factory=dict)
    aliases: dict[str, str] = field(factory=dict)
    """The item id of a call's output, to that of the call, and of an approval, to its request: one item for us."""
    parting: dict[str, None] = field(factory=dict)
    """Those of them that are being deleted."""
    spoken_parts: dict[str, tuple[str, int]] = field(factory=dict)
    """With server-side playback: a response's latest audio part, until the far end has played it out."""
    remote: RemoteAudio | None = None
    """Where audio comes on a path of its own: whose it is."""
    input_format: AudioFormat = PCM16
    """Of the audio that we are given to send, as it was configured."""

    unknown_types: Counter[str] = field(factory=Counter)
    unknown_codes: Counter[str] = field(factory=Counter)

    def remember_call(self, call: RealtimeToolCallItem) -> None:
        """Keep `call` for its output; the oldest go first."""
        remember(self.calls, call.call_id, call, _REMEMBERED_CALLS)

    def remember_follower(self, item_id: str, leader_id: str) -> None:
        """Keep that `item_id` is, for us, a part of the item `leader_id`."""
        if item_id and leader_id:
            remember(self.aliases, item_id, leader_id, _REMEMBERED_CALLS)

    def followers(self, leader_id: str) -> list[str]:
        """Return the ids of the items that are a part of `leader_id`, in order."""
        return [item_id for item_id, leader in self.aliases.items() if leader == leader_id]

    def part_followers(self, leader_id: str) -> list[str]:
        """Return the ids of the items that are a part of `leader_id`, and take them for gone: they are deleted."""
        parting = self.followers(leader_id)
        for item_id in parting:
            del self.aliases[item_id]
            remember(self.parting, item_id, None, _REMEMBERED_CALLS)
        return parting

    def parted(self, item_id: str) -> bool:
        """Note that an item was deleted; return whether it was, for us, a part of another one."""
        was_parting = item_id in self.parting
        self.parting.pop(item_id, None)
        return self.aliases.pop(item_id, None) is not None or was_parting

    def interrupt(
        self, response_id: str | None = None, *, cancel: bool
    ) -> tuple[list[dict[str, Any]], list[TransportEvent]]:
        """Interrupt everything, or one response; return what to send and what to tell."""
        plan = plan_interruption(
            self.ledger,
            self.sequencer,
            self.capabilities,
            cancel=cancel,
            now=self.clock(),
            new_event_id=self.new_event_id,
            response_id=response_id,
            far_end=self.spoken_parts,
        )
        self.ledger.cut(plan.parts)
        for generating in plan.response_ids:
            remember(self.discarded, generating, None)
        told: list[TransportEvent] = [
            AudioInterrupted(
                part.response_id,
                part.item_id,
                part.content_index,
                part.audio_end_ms,
                round(part.received_ms) if math.isfinite(part.received_ms) else None,
            )
            for part in plan.parts
        ]
        if self.remote is not None:
            told += self.remote.interrupted({part.response_id for part in plan.parts} | plan.response_ids)
        return list(plan.frames), told


def event_ids(prefix: str = "jf") -> Callable[[], str]:
    """Return a function that makes the event ids of one connection: short, unique and readable in a log."""
    numbers = itertools.count(1)
    return lambda: f"{prefix}_{next(numbers)}"
