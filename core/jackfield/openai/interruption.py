"""What an interruption amounts to: a function of the ledger, the sequencer, the capabilities and turn detection.

It works before the first audio, while audio is being generated, after generation ended while audio still plays, and
over several items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from attrs import frozen

from jackfield.audio.ledger import PartPlayback, PlaybackLedger
from jackfield.transport.capabilities import TransportCapabilities
from jackfield.transport.options import BargeIn

from .sequencer import ResponseSequencer

__all__ = ["Interruption", "plan_interruption", "reaction_to_speech"]


@frozen
class Interruption:
    """What to send, which parts were cut, and whose late audio is to be ignored."""

    frames: tuple[dict[str, Any], ...] = ()
    parts: tuple[PartPlayback, ...] = ()
    response_ids: frozenset[str] = frozenset()


def reaction_to_speech(
    turn_detection: Mapping[str, Any] | None, policy: BargeIn
) -> Literal["ignore", "truncate", "cancel"]:
    """Return what to do when the user begins to speak.

    `truncate` where the server cancels its response by itself, `cancel` where we do that as well. An explicit
    interrupt_response of false means that the model is to be heard out. Without the key a cancel too many does no
    harm, and one too few would leave the model talking.
    """
    if policy == "never":
        return "ignore"
    server_interrupts = (turn_detection or {}).get("interrupt_response")
    if server_interrupts is True:
        return "truncate"
    if server_interrupts is False and policy == "auto":
        return "ignore"
    return "cancel"


def plan_interruption(
    ledger: PlaybackLedger,
    sequencer: ResponseSequencer,
    capabilities: TransportCapabilities,
    *,
    cancel: bool,
    now: float,
    new_event_id: Callable[[], str],
    response_id: str | None = None,
    far_end: Iterable[str] = (),
) -> Interruption:
    """Plan the interruption of everything that is being generated or played, or of one response.

    Where the application plays (playback `client`), each part that was cut is truncated at what was heard of it.
    Where the far end plays, its buffer is cleared, and it truncates by itself. The buffer is cleared as a whole: for
    the sake of one response that is done only where nothing newer is in it. `far_end` names the responses whose audio
    it has not played out, the oldest first.
    """
    frames: list[dict[str, Any]] = []
    active = sequencer.active_response_id if response_id in {None, sequencer.active_response_id} else None
    if cancel and (response_id is None or active is not None):
        frames += sequencer.cancel(now=now)
    parts = ledger.audible(response_id)
    if capabilities.playback == "server":
        if response_id is None:
            clears = bool(parts) or active is not None
        else:
            clears = list(far_end)[-1:] == [response_id]
            parts = parts if clears else []
        if cancel and clears:
            frames.append({"type": "output_audio_buffer.clear", "event_id": new_event_id()})
    elif capabilities.truncate == "client":
        frames += [
            {
                "type": "conversation.item.truncate",
                "event_id": new_event_id(),
                "item_id": part.item_id,
                "content_index": part.content_index,
                "audio_end_ms": part.audio_end_ms,
            }
            for part in parts
        ]
    # An end that has already come is not awaited: only what still generates can send late audio.
    generating = {part.response_id for part in parts if not part.generated} | {active}
    return Interruption(tuple(frames), tuple(parts), frozenset(filter(None, generating)))
