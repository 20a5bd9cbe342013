"""`SessionState`: a conversation as plain JSON, to be taken up again later or in another process.

What it holds is what the model can be told anew: messages, calls with their outputs, who has the conversation, and what
was used. Audio isn't part of it: the API can't be given the assistant's speech again, so its words go back as text, and
of what was cut only what was heard. Approvals that were given for good aren't part of it either: they are asked anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs
from attrs import evolve, field, frozen

from jackfield.agent import RealtimeAgent
from jackfield.errors import ConfigurationError
from jackfield.handoffs import Handoff
from jackfield.transport import items as it
from jackfield.transport.events import Usage
from jackfield.transport.items import RealtimeItem

__all__ = ["SessionState", "find_agent", "seed_items"]

VERSION: Final = 1

_PARTS = {part.type: part for part in (it.InputText, it.InputAudio, it.InputImage, it.AssistantText, it.AssistantAudio)}
_MESSAGES: Mapping[str, Any] = {
    message.role: message for message in (it.SystemMessageItem, it.UserMessageItem, it.AssistantMessageItem)
}
_OTHERS: Mapping[str, Any] = {
    kind.type: kind
    for kind in (it.RealtimeToolCallItem, it.McpListToolsItem, it.McpCallItem, it.McpApprovalRequestItem)
}


@frozen(kw_only=True)
class SessionState:
    """The conversation of one session: `RealtimeSession.state()` makes it, `RealtimeSession(state=)` takes it up."""

    agent: str
    """The name of the agent that has the conversation."""
    history: tuple[RealtimeItem, ...] = ()
    usage: Usage = field(factory=Usage)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "version": VERSION,
            "agent": self.agent,
            "history": [_item_to_dict(item) for item in self.history],
            "usage": attrs.asdict(self.usage),
        }

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> SessionState:
        """Return what `to_dict` returned; raise `ConfigurationError` for what isn't that."""
        if not isinstance(given, Mapping) or given.get("version") != VERSION:
            told = given.get("version") if isinstance(given, Mapping) else type(given).__name__
            raise ConfigurationError(f"a session's state has version {VERSION}; this one is {told!r}")
        try:
            return cls(
                agent=given["agent"],
                history=tuple(_item_from_dict(item) for item in given["history"]),
                usage=Usage(**given["usage"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(
                f"this is no session's state: {type(error).__name__}: {error}. Give what to_dict() returned"
            ) from error

    def to_json(self) -> str:
        """Return it as JSON text."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> SessionState:
        """Return what `to_json` returned; raise `ConfigurationError` for what isn't that."""
        try:
            given = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(f"this is no session's state: it is no JSON ({error})") from error
        return cls.from_dict(given)


def find_agent(start: RealtimeAgent, name: str) -> RealtimeAgent:
    """Return the agent of that name among `start` and those that can be reached from it by handoffs.

    Raises `ConfigurationError` where there is none.
    """
    seen: dict[RealtimeAgent, None] = {}
    queue = [start]
    while queue:
        agent = queue.pop(0)
        if agent.name == name:
            return agent
        if agent in seen:
            continue
        seen[agent] = None
        queue += [way.agent if isinstance(way, Handoff) else way for way in agent.handoffs]
    known = ", ".join(agent.name for agent in seen)
    raise ConfigurationError(f"the state was left with agent {name!r}, which can't be reached here: there are {known}")


def seed_items(history: Iterable[RealtimeItem]) -> list[RealtimeItem]:
    """Return the items that the model can be told anew: as they are, or as text; without those that it can't."""
    return [seed for item in history if (seed := _seed(item)) is not None]


def _seed(item: RealtimeItem) -> RealtimeItem | None:
    if isinstance(item, it.RealtimeToolCallItem):
        return item if item.output is not None else None
    if isinstance(item, it.AssistantMessageItem):
        text = item.heard_text if item.status == "interrupted" and item.heard_text is not None else item.text
        return evolve(item, content=(it.AssistantText(text),)) if text else None
    if isinstance(item, it.UserMessageItem | it.SystemMessageItem):
        content = tuple(part for part in (_seed_part(part) for part in item.content) if part is not None)
        return evolve(item, content=content) if content else None
    return None


def _seed_part(part: it.ContentPart) -> it.ContentPart | None:
    if isinstance(part, it.InputAudio):
        return it.InputText(part.transcript) if part.transcript else None
    if isinstance(part, it.InputImage):
        return part if part.image_url else None
    return part


def _item_to_dict(item: RealtimeItem) -> dict[str, Any]:
    told: dict[str, Any] = {"type": item.type}
    if role := getattr(item, "role", None):
        told["role"] = role
    for attribute in attrs.fields(type(item)):
        value = getattr(item, attribute.name)
        if attribute.name == "content":
            value = [{"type": part.type, **attrs.asdict(part, filter=_no_audio)} for part in value]
        elif attribute.name == "tools":
            value = [dict(tool) for tool in value]
        told[attribute.name] = value
    return told


def _no_audio(attribute: attrs.Attribute[Any], _: object) -> bool:
    return attribute.name != "audio"


def _item_from_dict(given: Mapping[str, Any]) -> RealtimeItem:
    fields = dict(given)
    kind, role = fields.pop("type"), fields.pop("role", None)
    if kind == "message":
        fields["content"] = tuple(
            _PARTS[part["type"]](**{key: value for key, value in part.items() if key != "type"})
            for part in fields["content"]
        )
        message: RealtimeItem = _MESSAGES[role](**fields)
        return message
    if "tools" in fields:
        fields["tools"] = tuple(fields["tools"])
    other: RealtimeItem = _OTHERS[kind](**fields)
    return other
