"""The transports that come with jackfield, as the conformance kit takes them: for tests beside the kit."""

from __future__ import annotations

from collections.abc import Sequence

from jackfield_local.conformance.subjects import DialectSubject, azure, sip, webrtc, websocket

__all__ = ["SOCKETS", "SUBJECTS"]

SUBJECTS: Sequence[DialectSubject] = (*websocket(), *azure(), *webrtc(), *sip())
"""All of them."""

SOCKETS: Sequence[DialectSubject] = tuple(subject for subject in SUBJECTS if subject.frames)
"""Those whose events are the frames of a WebSocket."""
