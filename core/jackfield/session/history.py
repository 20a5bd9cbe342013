"""The conversation, item by item, in the order of `previous_item_id`.

Nothing here costs more as the conversation grows: items are found by id, new ones come at the end, and words that
stream in are kept in pieces until somebody looks.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve

from jackfield.transport.items import (
    AssistantAudio,
    AssistantMessageItem,
    AssistantText,
    ContentPart,
    InputAudio,
    InputImage,
    RealtimeItem,
    RealtimeToolCallItem,
    UserMessageItem,
)

__all__ = ["History"]

_MOST_PARTS = 64
"""Words for a content part beyond are not kept: no message has so many, and the gap before would have to be filled."""


class History:
    """The items of one conversation. Iterating and `items()` give them in order, with what was said so far."""

    def __init__(self) -> None:
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
        return [self._items[item_id] for item_id in self._order]

    def get(self, item_id: str) -> RealtimeItem | None:
        """Return one item, or None."""
        self._put_words(item_id)
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
        if self._items.pop(item_id, None) is None:
            return False
        self._order.remove(item_id)
        return True

    def add_words(self, item_id: str, content_index: int, delta: str, *, written: bool, response_id: str) -> None:
        """Append to what the assistant says (or writes) in one content part."""
        if not 0 <= content_index < _MOST_PARTS:
            return
        if item_id not in self._items:
            self.update(AssistantMessageItem(item_id=item_id, status="in_progress", response_id=response_id))
        self._words.setdefault(item_id, {}).setdefault(content_index, (written, []))[1].append(delta)

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

    def interrupted(self, item_id: str, played_ms: int) -> bool:
        """Note how much of a message was heard when it was cut; return whether it is known."""
        self._put_words(item_id)
        known = self._items.get(item_id)
        if not isinstance(known, AssistantMessageItem):
            return False
        self._items[item_id] = evolve(known, status="interrupted", played_ms=played_ms)
        return True

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
            case (AssistantText(), AssistantText(text="")) | (InputImage(), InputImage(image_url=None)):
                merged[index] = old
    return tuple(merged)
