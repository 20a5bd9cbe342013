"""The conversation that every client holds: what the user says, what the server answers, and when a turn is over.

One connection, four turns: a question, a tool, a story, and thanks that cut the story short. Audio is sent as fast as
the client takes it, so that each turn also begins while the answer before it is still being played: two ways of
interrupting, while the server generates (the story) and after it has finished (the opening hours).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from attrs import frozen

from jackfield_local import Call, Connection, LocalServer, Recognizer, Reply, ResponseContext, Say, Synthesizer

from .observations import AgentSpoke, Kind, Log, Peer, ResponseEnded, Speak

__all__ = [
    "CHUNK_BYTES",
    "INSTRUCTIONS",
    "MODEL",
    "SETTINGS",
    "TOOL_DESCRIPTION",
    "TURNS",
    "Conversation",
    "Script",
    "StuckError",
    "Turn",
    "chunks",
    "get_weather",
    "hold",
]

MODEL: Final = "gpt-realtime"
INSTRUCTIONS: Final = "You answer the telephone of a small shop."
SETTINGS: Final[dict[str, Any]] = {
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24000},
            "transcription": {"model": "gpt-4o-mini-transcribe"},
            "turn_detection": {
                "type": "server_vad",
                "silence_duration_ms": 500,
                "create_response": True,
                "interrupt_response": True,
            },
        },
        "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "marin"},
    }
}
"""Session settings, as the API spells them; every client is configured with these, in its own spelling."""

TOOL_DESCRIPTION: Final = "Get the weather in a city."
CHUNK_BYTES: Final = 1_920
"""40 ms of PCM16 at 24,000 Hz."""

_BEFORE_CUTTING: Final = 48_000
"""Bytes of the story, a second, that the user listens to before speaking up."""

_STEP_SECONDS: Final = 30.0


class StuckError(AssertionError):
    """A client didn't get to the end of a turn; the message tells what was said and done until then."""


@frozen
class Turn:
    """The user says `says`; `cut`: the next turn begins as soon as the agent speaks, else after the whole answer."""

    says: str
    answer: str
    cut: bool = False


TURNS: Final[dict[str, Turn]] = {
    "question": Turn(
        "What are your opening hours",
        "We are open from eight in the morning until six in the evening, from Monday to Friday. "
        "On Saturday we open at nine and close at noon. On Sunday we are closed.",
    ),
    "tool": Turn("What is the weather in Paris", "They tell me that it is sunny in Paris."),
    "story": Turn(
        "Tell me a long story",
        "Once upon a time there was a lighthouse keeper who could not sleep. " * 12,
        cut=True,
    ),
    "thanks": Turn("Thank you very much", "You are welcome."),
}


def get_weather(city: str) -> str:
    """Answer as the tool does."""
    return f"it is sunny in {city}"


class Script:
    """The server's responder for this conversation."""

    def phrases(self, context: ResponseContext) -> Sequence[str]:
        """Return what the user may say."""
        return [turn.says for turn in TURNS.values()]

    async def respond(self, context: ResponseContext) -> Reply:
        """Answer the turn that the user's words stand for; the weather is the tool's to tell."""
        last = context.items[-1]
        if last["type"] == "function_call_output":
            return [Say(f"They tell me that {last['output']}.")]
        said = last["content"][0].get("transcript") or ""
        turn = next((turn for turn in TURNS.values() if turn.says == said), None)
        if turn is None:
            return [Say(f"Sorry, I heard {said!r}.")]
        if turn is TURNS["tool"]:
            return [Call(context.tools[0]["name"], {"city": "Paris"})]
        return [Say(turn.answer)]


@frozen
class Conversation:
    """What came of it: what the client told, and what the server saw of it on the wire."""

    log: Log
    sent: list[dict[str, Any]]
    received: list[dict[str, Any]]
    answers: dict[str, str]
    """The id of the response that the user heard, by the name of the turn."""
    starts: dict[str, int]
    """How long the log was when the user began to speak, by the name of the turn."""

    def told(self, turn: str, kind: type[Kind]) -> list[Kind]:
        """Return the observations of a kind during a turn."""
        starts = [*self.starts.values(), len(self.log.entries)]
        begin = self.starts[turn]
        return self.log.of(kind, begin, min(start for start in starts if start > begin))

    def speech(self, turn: str) -> bytes:
        """Return the agent's speech of a turn as the client delivered it."""
        return b"".join(part.pcm for part in self.log.of(AgentSpoke) if part.response_id == self.answers[turn])

    def text(self, turn: str) -> str:
        """Return what the agent said in a turn, as the client told it."""
        return next(end.text for end in self.log.of(ResponseEnded) if end.response_id == self.answers[turn])

    def of(self, kind: str, turn: str | None = None) -> list[dict[str, Any]]:
        """Return the server's events of type `kind`; with `turn`, those of its answer."""
        events = [event for event in self.sent if event["type"] == kind]
        if turn is None:
            return events
        return [event for event in events if _response_id(event) == self.answers[turn]]

    def item_id(self, turn: str) -> str:
        """Return the id of the message that answered a turn."""
        added: str = self.of("response.output_item.added", turn)[0]["item"]["id"]
        return added


async def hold(peer: Peer, recognizer: Recognizer, synthesizer: Synthesizer) -> Conversation:
    """Let `peer` hold the conversation with a server of its own. Raises `StuckError` where it gets stuck."""
    log = Log()
    answers: dict[str, str] = {}
    starts: dict[str, int] = {}
    stuck = ""
    async with LocalServer(responder=Script(), recognizer=recognizer, synthesizer=synthesizer) as server:
        async with peer(server, log) as say:
            wire = await server.connection()
            step = ""
            try:
                for step, turn in TURNS.items():
                    speech = synthesizer.synthesize(turn.says, voice="echo", speed=1.0)
                    starts[step] = len(log.entries)
                    async with asyncio.timeout(_STEP_SECONDS):
                        answers[step] = await _take(turn, _silence(200) + speech + _silence(1000), say, log)
                step = "end"
                async with asyncio.timeout(_STEP_SECONDS):
                    await _settled(wire)
            except TimeoutError:
                # Told outside, where the client's own clean-up can't wrap it.
                stuck = _account(step, log, wire)
        async with asyncio.timeout(_STEP_SECONDS):
            await wire.wait_closed()
    if stuck:
        raise StuckError(stuck)
    return Conversation(log, list(wire.sent), list(wire.received), answers, starts)


def chunks(pcm: bytes) -> Iterator[bytes]:
    """Cut audio into what is sent in one go."""
    for start in range(0, len(pcm), CHUNK_BYTES):
        yield pcm[start : start + CHUNK_BYTES]


async def _settled(wire: Connection) -> None:
    """Wait until the server has answered every truncation."""
    kind = "conversation.item.truncate"
    for number in range(1, sum(event["type"] == kind for event in wire.received) + 1):
        await wire.sent_event(f"{kind}d", number)


async def _take(turn: Turn, pcm: bytes, say: Speak, log: Log) -> str:
    """Say `pcm` and wait for what ends the turn; return the id of the response that is its answer."""
    before = {part.response_id for part in log.of(AgentSpoke)}

    def spoken() -> Counter[str]:
        heard: Counter[str] = Counter()
        for part in log.of(AgentSpoke):
            if part.response_id not in before:
                heard[part.response_id] += len(part.pcm)
        return heard

    def over() -> bool:
        if turn.cut:
            return any(size >= _BEFORE_CUTTING for size in spoken().values())
        return any(end.response_id in spoken() for end in log.of(ResponseEnded))

    await say(pcm)
    await log.wait(over)
    return next(iter(spoken()))


def _silence(ms: int) -> bytes:
    # No line is quite silent: a faint noise, the same each time.
    noise: bytes = np.random.default_rng(ms).integers(-4, 5, ms * 24).astype("<i2").tobytes()
    return noise


def _response_id(event: dict[str, Any]) -> str | None:
    response: str | None = event.get("response_id") or event.get("response", {}).get("id")
    return response


def _account(step: str, log: Log, wire: Connection) -> str:
    told = [repr(entry)[:120] for entry in log.entries if not isinstance(entry, AgentSpoke)]
    heard_ms = sum(len(part.pcm) for part in log.of(AgentSpoke)) // 48
    return (
        f"stuck at {step!r} for {_STEP_SECONDS} s.\n"
        f"The client told, last of all: {told[-8:]}, and {heard_ms} ms of speech.\n"
        f"It sent: {[event['type'] for event in wire.received if 'append' not in event['type']][-12:]}\n"
        f"The server sent: {[event['type'] for event in wire.sent if 'delta' not in event['type']][-16:]}\n"
        f"Errors: {[event['error'] for event in wire.sent if event['type'] == 'error']}"
    )
