"""What the server's parts know of one another: hearing, thinking and speaking.

Only protocols and records live here. The server engine calls them; `speech`, `responders` and whatever a test
brings implement them. Audio between the parts is always 16-bit little-endian mono PCM at 24,000 Hz.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from attrs import field, frozen

SAMPLE_RATE = 24_000
"""Samples per second of all PCM that the parts exchange."""


class Recognizer(Protocol):
    """Turns speech into text. Called on a worker thread: it may block."""

    def transcribe(self, pcm: bytes, phrases: Sequence[str]) -> str:
        """Return what was said in `pcm` (PCM16 mono, 24,000 Hz), or "" where nothing was understood.

        `phrases` are utterances that the responder can act on; a recogniser may use them as a grammar.
        """
        ...


class Synthesizer(Protocol):
    """Turns text into speech. Called on a worker thread: it may block."""

    def synthesize(self, text: str, *, voice: str, speed: float) -> bytes:
        """Return `text` spoken as PCM16 mono at 24,000 Hz; `speed` 1.0 is normal, `voice` an API voice name."""
        ...


@frozen
class Say:
    """The assistant says (or, in a text response, writes) `text`: one message item."""

    text: str


@frozen
class Call:
    """The assistant calls the function `name` with `arguments` (a JSON object): one function_call item."""

    name: str
    arguments: Mapping[str, Any] = field(factory=dict)


Reply = Sequence[Say | Call]
"""The output items of one response, in order. Empty: the response completes with no output."""


@frozen
class ResponseContext:
    """What a responder may look at: the effective settings of one response and the conversation so far.

    `instructions`, `tools` and `tool_choice` have the wire's GA shapes (protocol: `session` object). `items` are the
    wire's conversation items in order; user audio carries the recognised text in its `transcript`.
    """

    instructions: str
    tools: Sequence[Mapping[str, Any]]
    tool_choice: str | Mapping[str, Any]
    items: Sequence[Mapping[str, Any]]
    metadata: Mapping[str, str] = field(factory=dict)


class Responder(Protocol):
    """Decides what the assistant answers."""

    def phrases(self, context: ResponseContext) -> Sequence[str]:
        """Return utterances that this responder understands in `context`: the recogniser's grammar.

        They are plain text, or have gaps and optional parts: see `jackfield_local.speech.patterns`.
        """
        ...

    async def respond(self, context: ResponseContext) -> Reply:
        """Return the answer to the conversation in `context`."""
        ...
