"""The conversation's items, as every transport reports them: messages, tool calls and MCP items.

Records only. A part's or item's `type` is a class attribute and spelt as users of realtime SDKs know it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, ClassVar, Literal, TypeAlias

from attrs import field, frozen

__all__ = [
    "AssistantAudio",
    "AssistantMessageItem",
    "AssistantText",
    "ContentPart",
    "InputAudio",
    "InputImage",
    "InputText",
    "ItemStatus",
    "McpApprovalRequestItem",
    "McpCallItem",
    "McpListToolsItem",
    "RealtimeItem",
    "RealtimeMessageItem",
    "RealtimeToolCallItem",
    "SystemMessageItem",
    "UserMessageItem",
    "items_that_stay",
]

ItemStatus: TypeAlias = Literal["in_progress", "completed", "incomplete", "interrupted"]


@frozen
class InputText:
    """Text that a user or the system wrote."""

    type: ClassVar[Literal["input_text"]] = "input_text"
    text: str = ""


@frozen
class InputAudio:
    """What a user said. `transcript` is None until it was transcribed; `audio` is base64 where the wire carried it."""

    type: ClassVar[Literal["input_audio"]] = "input_audio"
    transcript: str | None = None
    audio: str | None = field(default=None, repr=False)


@frozen
class InputImage:
    """An image that the user showed: a data URI or URL, and the detail asked for."""

    type: ClassVar[Literal["input_image"]] = "input_image"
    image_url: str | None = field(default=None, repr=False)
    detail: str | None = None


@frozen
class AssistantText:
    """Text that the model wrote."""

    type: ClassVar[Literal["text"]] = "text"
    text: str = ""


@frozen
class AssistantAudio:
    """What the model said; `transcript` is what it generated, which may be more than was heard."""

    type: ClassVar[Literal["audio"]] = "audio"
    transcript: str | None = None
    audio: str | None = field(default=None, repr=False)


ContentPart: TypeAlias = InputText | InputAudio | InputImage | AssistantText | AssistantAudio


@frozen(kw_only=True)
class SystemMessageItem:
    """A message of role `system`."""

    type: ClassVar[Literal["message"]] = "message"
    role: ClassVar[Literal["system"]] = "system"
    item_id: str
    content: tuple[ContentPart, ...] = ()
    status: ItemStatus | None = None


@frozen(kw_only=True)
class UserMessageItem:
    """A message of role `user`: text, audio and images."""

    type: ClassVar[Literal["message"]] = "message"
    role: ClassVar[Literal["user"]] = "user"
    item_id: str
    content: tuple[ContentPart, ...] = ()
    status: ItemStatus | None = None


@frozen(kw_only=True)
class AssistantMessageItem:
    """A message of role `assistant`.

    `text` is what it generated; `played_ms` how much of its audio was heard, and `heard_text` the words of that, both
    None where nothing is known of it. Two versions that differ only in what was heard are equal: the model's
    conversation is the same.
    """

    type: ClassVar[Literal["message"]] = "message"
    role: ClassVar[Literal["assistant"]] = "assistant"
    item_id: str
    content: tuple[ContentPart, ...] = ()
    status: ItemStatus | None = None
    response_id: str | None = None
    played_ms: int | None = field(default=None, eq=False)
    heard_text: str | None = field(default=None, eq=False)

    @property
    def text(self) -> str:
        """All text of the message as it was generated: written text and transcripts."""
        parts = (
            part.text if isinstance(part, AssistantText) else getattr(part, "transcript", None) or ""
            for part in self.content
        )
        return "".join(parts)


@frozen(kw_only=True)
class RealtimeToolCallItem:
    """A function call and, once it is known, its output: one item for both."""

    type: ClassVar[Literal["function_call"]] = "function_call"
    item_id: str
    call_id: str
    name: str
    arguments: str = ""
    output: str | None = None
    status: ItemStatus = "in_progress"
    response_id: str | None = None


@frozen(kw_only=True)
class McpListToolsItem:
    """The tools that a hosted MCP server offers."""

    type: ClassVar[Literal["mcp_list_tools"]] = "mcp_list_tools"
    item_id: str
    server_label: str = ""
    tools: tuple[Mapping[str, Any], ...] = ()


@frozen(kw_only=True)
class McpCallItem:
    """A call that the far end made to a hosted MCP server; `output` or `error` once it ended."""

    type: ClassVar[Literal["mcp_call"]] = "mcp_call"
    item_id: str
    server_label: str = ""
    name: str = ""
    arguments: str = ""
    output: str | None = None
    error: Mapping[str, Any] | None = None
    status: ItemStatus = "in_progress"
    approval_request_id: str | None = None


@frozen(kw_only=True)
class McpApprovalRequestItem:
    """The far end asks whether it may make an MCP call."""

    type: ClassVar[Literal["mcp_approval_request"]] = "mcp_approval_request"
    item_id: str
    server_label: str = ""
    name: str = ""
    arguments: str = ""
    approved: bool | None = None


RealtimeMessageItem: TypeAlias = SystemMessageItem | UserMessageItem | AssistantMessageItem
RealtimeItem: TypeAlias = (
    RealtimeMessageItem | RealtimeToolCallItem | McpListToolsItem | McpCallItem | McpApprovalRequestItem
)


def items_that_stay(old: Sequence[RealtimeItem], new: Sequence[RealtimeItem]) -> set[str]:
    """Return the ids of the items that stay where they are when a conversation is edited from `old` to `new`.

    Those are unchanged, and in the same order among each other. Everything else is deleted, or created anew.
    """
    known = {item.item_id: item for item in new}
    unchanged = {item.item_id for item in old if known.get(item.item_id) == item}
    before = [item.item_id for item in old if item.item_id in unchanged]
    after = [item.item_id for item in new if item.item_id in unchanged]
    blocks = SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
    return {item_id for block in blocks for item_id in before[block.a : block.a + block.size]}
