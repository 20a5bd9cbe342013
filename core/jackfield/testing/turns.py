"""Lines for the far end: what the model says and calls, and what the user says and hears.

Each amounts to the events that a real transport tells, in its order. Ids are given where the line has none: `resp_1`,
`item_1`, `call_1` and so on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator, Mapping
from itertools import pairwise, zip_longest
from typing import Any, Literal, TypeAlias

from attrs import field, frozen

from jackfield.audio.formats import AudioFormat
from jackfield.errors import ConfigurationError
from jackfield.transport import events as ev
from jackfield.transport.items import AssistantMessageItem, InputAudio, RealtimeToolCallItem, UserMessageItem

from .calls import shown
from .far_end import FarEnd, Response

__all__ = ["Call", "Finish", "Part", "Played", "Say", "Turn", "UserSays", "Write"]

MS_PER_WORD = 300
"""How long a word takes, where no audio is given."""

_REQUEST = ev.Usage(requests=1)


@frozen
class Say:
    """The model says `text`: transcript and audio, word by word, as one message.

    `audio` is in the session's output format; without it, silence of 300 ms a word. Alone it is a whole `Turn`.
    """

    text: str
    audio: bytes | None = field(default=None, repr=lambda audio: "None" if audio is None else f"<{len(audio)} bytes>")
    item_id: str | None = field(default=None, kw_only=True)

    def events(self, far_end: FarEnd) -> Iterator[ev.TransportEvent]:
        """Yield a turn of this alone."""
        return Turn((self,)).events(far_end)

    def part(self, far_end: FarEnd, response: Response) -> Iterator[ev.TransportEvent]:
        """Yield what belongs to `response`."""
        words = _words(self.text)
        silence = far_end.output_format.silence(MS_PER_WORD * len(words))
        chunks = _shares(silence if self.audio is None else self.audio, len(words), far_end.output_format)
        item_id = yield from _message(far_end, response, self.item_id, spoken=True)
        for word, chunk in zip_longest(words, chunks):
            if word:
                response.words += word
                yield ev.AudioTranscriptDelta(word, response.response_id, item_id, 0)
            if chunk:
                yield ev.Audio(chunk, response.response_id, item_id, 0, far_end.output_format)


@frozen
class Write:
    """The model writes `text`, word by word, as one message. Alone it is a whole `Turn`."""

    text: str
    item_id: str | None = field(default=None, kw_only=True)

    def events(self, far_end: FarEnd) -> Iterator[ev.TransportEvent]:
        """Yield a turn of this alone."""
        return Turn((self,)).events(far_end)

    def part(self, far_end: FarEnd, response: Response) -> Iterator[ev.TransportEvent]:
        """Yield what belongs to `response`."""
        item_id = yield from _message(far_end, response, self.item_id, spoken=False)
        for word in _words(self.text):
            response.words += word
            yield ev.OutputTextDelta(word, response.response_id, item_id, 0)


@frozen
class Call:
    """The model calls the function `name`. Alone it is a whole `Turn`.

    `arguments` is a mapping, or a str as the model wrote it, right or wrong. A handoff is a call too, of
    `transfer_to_<agent>`.
    """

    name: str
    arguments: Mapping[str, Any] | str = field(factory=dict)
    call_id: str | None = field(default=None, kw_only=True)
    item_id: str | None = field(default=None, kw_only=True)

    def events(self, far_end: FarEnd) -> Iterator[ev.TransportEvent]:
        """Yield a turn of this alone."""
        return Turn((self,)).events(far_end)

    def part(self, far_end: FarEnd, response: Response) -> Iterator[ev.TransportEvent]:
        """Yield what belongs to `response`."""
        arguments = self.arguments
        if not isinstance(arguments, str):
            arguments = json.dumps(arguments, ensure_ascii=False)
        call = ev.FunctionCall(
            name=self.name,
            arguments=arguments,
            call_id=self.call_id or far_end.new_id("call"),
            item_id=self.item_id or far_end.new_id("item"),
            response_id=response.response_id,
        )
        item = RealtimeToolCallItem(
            item_id=call.item_id,
            call_id=call.call_id,
            name=call.name,
            arguments=call.arguments,
            response_id=call.response_id,
        )
        yield far_end.added(item)
        yield call
        response.output.append(item)


Part: TypeAlias = Say | Write | Call


def _parts(parts: Part | list[Part] | tuple[Part, ...]) -> tuple[Part, ...]:
    given = (parts,) if isinstance(parts, Say | Write | Call) else tuple(parts)
    for part in given:
        if not isinstance(part, Say | Write | Call):
            raise ConfigurationError(f"a turn is made of Say, Write and Call: {shown(part)} is none of them")
    return given


@frozen
class Turn:
    """One response of the model, with all its `parts`.

    Where it is not `done` it is left open, as if it were still being generated: an interruption cancels it, `Finish`
    ends it, and another `Turn` with its `response_id` goes on with it. `usage` is what it cost.
    """

    parts: tuple[Part, ...] = field(converter=_parts)
    response_id: str | None = field(default=None, kw_only=True)
    usage: ev.Usage | None = field(default=_REQUEST, kw_only=True)
    done: bool = field(default=True, kw_only=True)

    def events(self, far_end: FarEnd) -> Iterator[ev.TransportEvent]:
        """Yield its events."""
        response_id = self.response_id or far_end.new_id("resp")
        if response_id not in far_end.responses:
            yield ev.TurnStarted(response_id)
        response = far_end.responses[response_id]
        for part in self.parts:
            yield from far_end.item_finished(response)
            yield from part.part(far_end, response)
        if self.done:
            yield from far_end.finished(response, "completed", usage=self.usage)


@frozen
class Finish:
    """The response that was left open, or the one with `response_id`, ends.

    `status` is completed, cancelled, failed or incomplete; `details` the provider's object about it.
    """

    status: Literal["completed", "cancelled", "failed", "incomplete"] = "completed"
    response_id: str | None = field(default=None, kw_only=True)
    details: Mapping[str, Any] | None = field(default=None, kw_only=True)
    usage: ev.Usage | None = field(default=_REQUEST, kw_only=True)

    def events(self, far_end: FarEnd) -> Iterator[ev.TransportEvent]:
        """Yield its events."""
        response = far_end.responses.get(self.response_id or next(reversed(far_end.responses), ""))
        if response is None:
            which = "no response" if self.response_id is None else f"no response {self.response_id!r}"
            raise ConfigurationError(f"{which} is open: begin one with Turn(..., done=False)")
        yield from far_end.finished(response, self.status, details=self.details, usage=self.usage)


@frozen
class UserSays:
    """The user says `text`, and it is transcribed; without `text` it is not.

    The user hears the model out first. With `after_ms` the user interrupts, having heard so many milliseconds of what
    was still to be heard: what follows is as `barge_in` and turn detection will have it.
    """

    text: str | None = None
    after_ms: float | None = field(default=None, kw_only=True)
    item_id: str | None = field(default=None, kw_only=True)

    def events(self, far_end: FarEnd) -> Iterator[ev.TransportEvent]:
        """Yield its events."""
        item_id = self.item_id or far_end.new_id("item")
        far_end.play(self.after_ms)
        yield ev.SpeechStarted(item_id, far_end.user_spoke(0))
        yield from far_end.barged_in()
        yield ev.SpeechStopped(item_id, far_end.user_spoke(MS_PER_WORD * len(_words(self.text or ""))))
        yield far_end.added(UserMessageItem(item_id=item_id, content=(InputAudio(),), status="completed"))
        if self.text is not None:
            yield ev.InputAudioTranscriptionCompleted(self.text, item_id, 0)


@frozen
class Played:
    """`ms` milliseconds more of what the model said are heard. Nothing is told of it."""

    ms: float

    def events(self, far_end: FarEnd) -> Iterator[ev.TransportEvent]:
        """Yield nothing."""
        far_end.play(self.ms)
        return iter(())


def _message(
    far_end: FarEnd, response: Response, item_id: str | None, *, spoken: bool
) -> Generator[ev.TransportEvent, None, str]:
    """Begin a message, and return its id."""
    item_id = item_id or far_end.new_id("item")
    response.message = AssistantMessageItem(item_id=item_id, status="in_progress", response_id=response.response_id)
    response.words, response.spoken = "", spoken
    yield far_end.added(response.message)
    return item_id


def _words(text: str) -> list[str]:
    """Split a text as it is streamed: into words, each with the blanks before it."""
    return re.findall(r"\s*\S+|\s+$", text)


def _shares(audio: bytes, count: int, audio_format: AudioFormat) -> list[bytes]:
    """Cut `audio` into `count` chunks of about the same size, at whole samples."""
    count = max(count, 1)
    samples = -(-len(audio) // audio_format.bytes_per_sample)
    edges = [samples * number // count * audio_format.bytes_per_sample for number in range(count + 1)]
    return [audio[start:end] for start, end in pairwise(edges)]
