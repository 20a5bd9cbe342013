"""What a transport can do, as plain data. The session adapts to this record and never to a class."""

from __future__ import annotations

from typing import Literal

from attrs import fields, frozen

__all__ = ["TransportCapabilities"]


@frozen(kw_only=True)
class TransportCapabilities:
    """The claims of one transport. A conformance run proves each claim; what isn't claimed is refused early.

    A transport whose media bypasses us (SIP attach) claims neither `audio_in` nor `audio_out`.
    """

    audio_in: bool = True
    """`send_audio` carries the user's audio."""

    audio_out: bool = True
    """`audio` events carry the model's audio."""

    mute: bool = False
    """`mute()` works, and `muted` is a bool. Without it `muted` is None."""

    playback: Literal["client", "server"] = "client"
    """Who holds the queue of unplayed audio: the application (WebSocket) or the far end (WebRTC, SIP)."""

    truncate: Literal["client", "server"] = "client"
    """Who cuts an interrupted item to what was heard: we tell the model, or the model's end does it by itself."""

    attach_by_call_id: bool = False
    """`connect(call_id=...)` joins a call that already exists."""

    local_media: bool = False
    """The transport itself captures or plays media (tracks, devices)."""

    images: bool = True
    """`add_image`, and images in messages."""

    history: bool = True
    """`reset_history` can edit the model's conversation."""

    session_update: bool = True
    """`update_session_config` works after connect; handoffs need it."""

    hosted_mcp: bool = True
    """The far end runs MCP servers, and asks for approvals."""

    clear_audio: bool = True
    """`clear_audio` drops the user's audio that was sent and not committed (contract 1.1)."""

    response_overrides: bool = True
    """`request_response` takes settings for one response (contract 1.1)."""

    cancel: bool = True
    """`interrupt` stops the far end. Without it, what it goes on to generate is not told any more (contract 1.1)."""

    dtmf: bool = False
    """`dtmf_received` is emitted when the caller presses a key."""

    def names(self) -> list[str]:
        """Return the claims as short words, for tables: true flags by name, choices as `name=value`."""
        values = {attribute.name: getattr(self, attribute.name) for attribute in fields(type(self))}
        flags = [name for name, value in values.items() if value is True]
        return flags + [f"{name}={value}" for name, value in values.items() if isinstance(value, str)]
