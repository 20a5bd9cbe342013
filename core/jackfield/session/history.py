"""The conversation, item by item, in the order of `previous_item_id`.

Nothing here costs more as the conversation grows: items are found by id, new ones come at the end, and words that
stream in are kept in pieces until somebody looks. How much of an answer was heard is asked of the playback ledger while
it plays, and kept once that is settled.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from attrs import evolve

from jackfield.audio.ledger import PartPlayback
from jackfield.transport.items import (
    AssistantAudio,
    AssistantMessageItem,
    AssistantText,
    ContentPart,
    InputAudio,
    InputImage,
    InputText,
    RealtimeItem,
    RealtimeToolCallItem,
    SystemMessageItem,
    UserMessageItem,
)

__all__ = ["History"]

_MOST_PARTS = 64
"""Words for a content part beyond are not kept: no message has so many, and the gap before would have to be filled."""
_MOST_UNSETTLED = 64
"""Messages whose audio may still be playing. Playback is in order: the oldest of so many has long been heard."""


def _unknown(_: str, __: int) -> PartPlayback | None:
    return None


class History:
    """The items of one conversation. Iterating and `items()` give them in order, with what was said so far.

    `playback` tells how far a content part (item id, content index) has come.
    """

    def __init__(self, playback: Callable[[str, int], PartPlayback | None] = _unknown) -> None:
        self._playback = playback
        self._unsettled: dict[str, set[int]] = {}
        """Messages of which some audio may still be playing, and their content parts with audio."""
        self._cuts: dict[tuple[str, int], PartPlayback] = {}
        """Where content parts of those were cut."""
        self._items: dict[str, RealtimeItem] = {}
        self._order: list[str] = []
        self._words: dict[str, dict[int, tuple[bool, list[str]]]] = {}

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[RealtimeItem]:
        return iter(self.items())

    def items(self) -> list[RealtimeItem]:
        """Return all items in order."""
        for item_id in list(self._words):
            self._put_words(item_id)
        for item_id in list(self._unsettled):
            self._settle(item_id)
        return [self._items[item_id] for item_id in self._order]

    def get(self, item_id: str) -> RealtimeItem | None:
        """Return one item, or None."""
        self._put_words(item_id)
        self._settle(item_id)
        return self._items.get(item_id)

    def update(self, item: RealtimeItem, after: str | None = "") -> bool:
        """Add or change an item; return whether it is new.

        `after` is the id of the item before it, None for the first place, "" where that isn't known: then a new item
        comes last and a known one stays. What is already known of a message (transcripts, images, what was heard) is
        kept where the new version doesn't say.
        """
        item_id = item.item_id
        if after == item_id:
            after = ""
        self._put_words(item_id)
        known = self._items.get(item_id)
        self._items[item_id] = item if known is None else _merged(known, item)
        if known is None:
            self._place(item_id, after)
            return True
        if after != "" and self._before(item_id) != after and (after is None or after in self._items):
            self._order.remove(item_id)
            self._place(item_id, after)
        return False

    def delete(self, item_id: str) -> bool:
        """Take an item out; return whether it was there."""
        self._words.pop(item_id, None)
        self._forget_playback(item_id)
        if self._items.pop(item_id, None) is None:
            return False
        self._order.remove(item_id)
        return True

    def add_words(self, item_id: str, content_index: int, delta: str, *, written: bool, response_id: str) -> None:
        """Append to what the assistant says (or writes) in one content part."""
        if not 0 <= content_index < _MOST_PARTS:
            return
        self._begin(item_id, response_id)
        parts = self._words.setdefault(item_id, {})
        part = parts.get(content_index)
        if part is None:
            part = parts[content_index] = (written, [])
            if not written:
                self._plays(item_id, content_index)
        part[1].append(delta)

    def audio_begins(self, item_id: str, content_index: int, response_id: str) -> None:
        """Note that a content part of the assistant has audio, which will be heard."""
        if 0 <= content_index < _MOST_PARTS:
            self._begin(item_id, response_id)
            self._plays(item_id, content_index)

    def transcribed(self, item_id: str, content_index: int, transcript: str) -> bool:
        """Put the transcript of what the user said into its part; return whether the item is new."""
        known = self._items.get(item_id)
        if not isinstance(known, UserMessageItem):
            part = InputAudio(transcript)
            return self.update(UserMessageItem(item_id=item_id, content=(part,), status="completed"))
        content = list(known.content)
        spoken = [index for index, part in enumerate(content) if isinstance(part, InputAudio)]
        place = content_index if content_index in spoken else (spoken or [len(content)])[0]
        content[place : place + 1] = [InputAudio(transcript)]
        self._items[item_id] = evolve(known, content=tuple(content), status="completed")
        return False

    def interrupted(self, item_id: str, content_index: int, played_ms: int, received_ms: int | None) -> bool:
        """Note how much of a content part was heard when it was cut; return whether its message is known."""
        self._put_words(item_id)
        known = self._items.get(item_id)
        if not isinstance(known, AssistantMessageItem):
            return False
        received = math.inf if received_ms is None else received_ms
        self._cuts[item_id, content_index] = PartPlayback("", item_id, content_index, received, played_ms, True)
        self._plays(item_id, content_index)
        self._items[item_id] = evolve(known, status="interrupted")
        self._settle(item_id)
        return True

    def settle(self) -> None:
        """Keep what was heard to its end. Playback is in order: behind the first that still plays, nothing was."""
        while self._unsettled:
            oldest = next(iter(self._unsettled))
            self._settle(oldest)
            if oldest in self._unsettled:
                return

    def freeze(self) -> None:
        """Ask the ledger no more: the transport may carry another conversation by now."""
        self.items()
        self._unsettled.clear()
        self._cuts.clear()

    def _begin(self, item_id: str, response_id: str) -> None:
        if item_id not in self._items:
            self.update(AssistantMessageItem(item_id=item_id, status="in_progress", response_id=response_id))

    def _plays(self, item_id: str, content_index: int) -> None:
        self._unsettled.setdefault(item_id, set()).add(content_index)
        if len(self._unsettled) > _MOST_UNSETTLED:
            self._forget_playback(next(iter(self._unsettled)))

    def _settle(self, item_id: str) -> None:
        indices = self._unsettled.get(item_id)
        item = self._items.get(item_id)
        if indices is None or not isinstance(item, AssistantMessageItem):
            return
        parts = {index: self._cuts.get((item_id, index)) or self._playback(item_id, index) for index in indices}
        known = {index: part for index, part in parts.items() if part is not None}
        if not known:
            return
        played = sum(part.audio_end_ms for part in known.values())
        heard = _heard_text(item, known)
        if (item.played_ms, item.heard_text) != (played, heard):
            self._items[item_id] = evolve(item, played_ms=played, heard_text=heard)
        if len(known) == len(parts) and not any(part.audible for part in known.values()):
            self._forget_playback(item_id)

    def _forget_playback(self, item_id: str) -> None:
        for index in self._unsettled.pop(item_id, ()):
            self._cuts.pop((item_id, index), None)

    def _place(self, item_id: str, after: str | None) -> None:
        if after is None:
            self._order.insert(0, item_id)
        elif after == "" or (self._order and self._order[-1] == after) or after not in self._items:
            self._order.append(item_id)
        else:
            self._order.insert(self._order.index(after) + 1, item_id)

    def _before(self, item_id: str) -> str | None:
        place = len(self._order) - 1 if self._order[-1] == item_id else self._order.index(item_id)
        return self._order[place - 1] if place else None

    def _put_words(self, item_id: str) -> None:
        words = self._words.pop(item_id, None)
        if not words:
            return
        item = self._items[item_id]
        if not isinstance(item, AssistantMessageItem):
            return
        content = list(item.content)
        for index, (written, pieces) in sorted(words.items()):
            while len(content) <= index:
                content.append(AssistantText() if written else AssistantAudio())
            part = content[index]
            if isinstance(part, AssistantText):
                content[index] = evolve(part, text=part.text + "".join(pieces))
            elif isinstance(part, AssistantAudio):
                content[index] = evolve(part, transcript=(part.transcript or "") + "".join(pieces))
        self._items[item_id] = evolve(item, content=tuple(content))


def _merged(known: RealtimeItem, item: RealtimeItem) -> RealtimeItem:
    if isinstance(known, AssistantMessageItem) and isinstance(item, AssistantMessageItem):
        status = "interrupted" if known.status == "interrupted" else item.status or known.status
        if known.status == "completed" and item.status == "in_progress":
            status = known.status
        return evolve(
            item,
            content=_merged_parts(known.content, item.content),
            status=status,
            response_id=item.response_id or known.response_id,
            played_ms=known.played_ms if item.played_ms is None else item.played_ms,
            heard_text=known.heard_text if item.heard_text is None else item.heard_text,
        )
    if isinstance(known, UserMessageItem) and isinstance(item, UserMessageItem):
        content = _merged_parts(known.content, item.content)
        if not any(isinstance(part, InputImage) for part in content):
            kept = list(content)
            for index, part in enumerate(known.content):
                if isinstance(part, InputImage):
                    kept.insert(index, part)
            content = tuple(kept)
        return evolve(item, content=content)
    if isinstance(known, SystemMessageItem) and isinstance(item, SystemMessageItem):
        return evolve(item, content=_merged_parts(known.content, item.content))
    if isinstance(known, RealtimeToolCallItem) and isinstance(item, RealtimeToolCallItem) and item.output is None:
        return evolve(item, output=known.output, status=item.status if known.output is None else known.status)
    return item


def _merged_parts(known: tuple[ContentPart, ...], parts: tuple[ContentPart, ...]) -> tuple[ContentPart, ...]:
    """A part that comes back without its words keeps those that are known."""
    if not parts:
        return known
    merged = list(parts)
    for index, old in enumerate(known):
        if index >= len(merged):
            break
        new = merged[index]
        match old, new:
            case AssistantAudio(), AssistantAudio() if not new.transcript:
                merged[index] = evolve(new, transcript=old.transcript)
            case InputAudio(), InputAudio() if not new.transcript:
                merged[index] = evolve(new, transcript=old.transcript)
            case (
                (AssistantText(), AssistantText(text=""))
                | (InputText(), InputText(text=""))
                | (InputImage(), InputImage(image_url=None))
            ):
                merged[index] = old
    return tuple(merged)


def _heard_text(item: AssistantMessageItem, parts: dict[int, PartPlayback]) -> str | None:
    """Return the words that were heard; None where nobody knows. What was written needs no hearing."""
    if any(part.played_ms > 0 and index >= len(item.content) for index, part in parts.items()):
        return None  # it was heard before its words came
    heard: list[str] = []
    for index, part in enumerate(item.content):
        if isinstance(part, AssistantText):
            heard.append(part.text)
        elif isinstance(part, AssistantAudio):
            playback = parts.get(index)
            words = None if playback is None else _heard_words(part.transcript or "", playback)
            if words is None:
                return None
            heard.append(words)
    return "".join(heard)


def _heard_words(transcript: str, playback: PartPlayback) -> str | None:
    """Return the whole words of `transcript` that fit into what was played: words are spread evenly over the audio."""
    if playback.played_ms <= 0:
        return ""
    if math.isinf(playback.received_ms) or not transcript:
        return None
    if playback.generated and playback.played_ms + 1 > playback.received_ms:
        return transcript
    # The small term undoes what binary fractions take away.
    end = int(len(transcript) * playback.played_ms / playback.received_ms + 1e-6) if playback.received_ms else 0
    if end >= len(transcript) or transcript[end : end + 1].isspace():
        return transcript[:end]
    return transcript[: _last_break(transcript[:end])]


def _last_break(text: str) -> int:
    """Return where the last whole word ends; languages without spaces end anywhere."""
    space = max((place for place, character in enumerate(text) if character.isspace()), default=-1)
    return len(text) if space < 0 and not text.isascii() else max(space, 0)
