"""What the server's parts know of one another: hearing, thinking, speaking, and hosted tools.

Only protocols and records live here. The server engine calls them; `speech`, `responders` and whatever a test
brings implement them. Audio between the parts is always 16-bit little-endian mono PCM at 24,000 Hz.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

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


@runtime_checkable
class PreparingRecognizer(Recognizer, Protocol):
    """A recogniser that is quicker where it knows beforehand what may be said."""

    def prepare(self, phrases: Sequence[str]) -> None:
        """Get ready for `phrases`. Called on a worker thread when a session was configured: it may block."""
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
    """The assistant calls the tool `name` with `arguments` (a JSON object): one function_call or mcp_call item.

    It is a function where the response has one of that name, else a hosted tool; `server_label` says which server's.
    """

    name: str
    arguments: Mapping[str, Any] = field(factory=dict)
    server_label: str | None = None


Reply = Sequence[Say | Call]
"""The output items of one response, in order. Empty: the response completes with no output."""


@frozen
class ResponseContext:
    """What a responder may look at: the effective settings of one response and the conversation so far.

    `instructions`, `tools` and `tool_choice` have the wire's GA shapes (protocol: `session` object), with one
    exception: in the place of each `mcp` tool stand the tools that its server has listed so far and the session
    allows, in the shape of functions: `{"type": "mcp", "server_label", "name", "description", "parameters",
    "annotations"}`. `items` are the wire's conversation items in order; user audio carries the recognised text in its
    `transcript`.
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


@frozen(eq=False)
class HostedTool:
    """A tool of a hosted MCP server, with the fields that MCP's `tools/list` gives it.

    `input_schema` is a JSON schema, of no arguments where none is given; of the `annotations`, `readOnlyHint` decides
    what `read_only` filters match. Two tools are never equal, so that they may be keys.
    """

    name: str
    description: str | None = None
    input_schema: Mapping[str, Any] = field(factory=lambda: {"type": "object", "properties": {}})
    annotations: Mapping[str, Any] | None = None


@runtime_checkable
class HostedServer(Protocol):
    """An MCP server that sessions use as if it were out there: `mcp.FunctionServer` is one made of functions.

    `authorization` and `headers` are those of the session's `mcp` tool. Both methods may raise an `mcp.McpError`, which
    tells the client what went wrong; any other exception counts as the server's own failure, HTTP status 500.
    """

    async def list_tools(self, *, authorization: str | None, headers: Mapping[str, str]) -> Sequence[HostedTool]:
        """Return the server's tools."""
        ...

    async def call_tool(
        self, name: str, arguments: Mapping[str, Any], *, authorization: str | None, headers: Mapping[str, str]
    ) -> str:
        """Call a tool and return its output."""
        ...
