"""Which utterance is meant by "then", and when it is over: what `say_then` goes by. Pure state, no clock.

The far end plays the model's audio and says so (API events `output_audio_buffer.*`): `started`, then `stopped` once
it has played a response out, or `cleared` where that was cut, as a rule because the caller spoke over it. Either is
its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from attrs import define, field

from jackfield.bounded import remember

__all__ = ["METADATA_KEY", "Progress", "Utterances"]

METADATA_KEY = "jackfield_say_then"
"""Where a response's metadata says that it is the one which was asked for."""

Progress: TypeAlias = Literal["begun", "played", "cut"]
"""What became of the utterance that is followed: it is being heard; it was heard to its end; it was cut."""


@define(eq=False)
class _Response:
    generating: bool = True
    has_audio: bool = False
    playing: bool = False
    drained: Literal["played", "cut"] | None = None


@define(eq=False)
class _Followed:
    token: str | None
    """How the response is known that was asked for; None: any."""
    response_id: str | None = None
    later: set[str] = field(factory=set)
    """Responses that began since, any of which may turn out to be the utterance."""


class Utterances:
    """What is being said in one call, and which of it is followed."""

    def __init__(self) -> None:
        self._responses: dict[str, _Response] = {}
        self._calls: dict[str, None] = {}
        self._followed: _Followed | None = None

    def follow(self, token: str | None = None) -> None:
        """Follow one utterance from now on, in place of another.

        With a `token` it is that of the response whose metadata has it. Else it is the one that is under way; where
        there is none, or a tool is at work, whose output the model has yet to speak of, it is the next.
        """
        followed = self._followed = _Followed(token)
        if token is None and not self._calls:
            under_way = [response_id for response_id, response in self._responses.items() if _may_be_heard(response)]
            if under_way:
                followed.response_id = under_way[-1]
                followed.later.add(under_way[-1])

    def forget(self) -> None:
        """Follow nothing."""
        self._followed = None

    def called(self, call_id: str) -> None:
        """The model called a tool."""
        remember(self._calls, call_id, None)

    def answered(self, call_id: str) -> None:
        """The model was given a tool's output."""
        self._calls.pop(call_id, None)

    def began(self, response_id: str, metadata: Mapping[str, Any] | None) -> None:
        """A response began."""
        remember(self._responses, response_id, _Response())
        followed = self._followed
        if followed is None:
            return
        if followed.token is None:
            followed.later.add(response_id)
        elif (metadata or {}).get(METADATA_KEY) == followed.token:
            followed.response_id = response_id
            followed.later.add(response_id)

    def has_audio(self, response_id: str) -> None:
        """A response has something to be heard."""
        self._known(response_id, generating=True).has_audio = True
        self._choose(response_id)

    def started(self, response_id: str) -> Progress | None:
        """The far end began to play a response. It plays one at a time: another one is over, though nobody said so."""
        others = [other for other, response in self._responses.items() if response.playing and other != response_id]
        missed = any(self._is_followed(other) for other in others)
        for other in others:
            del self._responses[other]
        response = self._known(response_id, generating=False)
        response.has_audio = response.playing = True
        response.drained = None
        if missed:
            return "played"
        self._choose(response_id)
        return "begun" if self._is_followed(response_id) else None

    def stopped(self, response_id: str, how: Literal["played", "cut"]) -> Progress | None:
        """The far end no longer plays a response. Of one that is still being generated more may come."""
        response = self._of(response_id)
        response.playing = False
        response.drained = how
        self._choose(response_id)
        if response.generating and how == "played":
            return None
        self._responses.pop(response_id, None)
        return how if self._is_followed(response_id) else None

    def ended(self, response_id: str, status: str) -> Progress | None:
        """A response was generated whole, or as far as it will be. It may have to be heard yet."""
        response = self._of(response_id)
        response.generating = False
        if response.playing or (response.has_audio and response.drained is None and status == "completed"):
            return None
        self._responses.pop(response_id, None)
        followed = self._followed
        if followed is None or not self._is_followed(response_id):
            return None
        if response.drained is not None:
            return response.drained
        followed.response_id = followed.token = None  # it was never heard: what is said next is
        return None

    def _of(self, response_id: str) -> _Response:
        response = self._responses.get(response_id)
        return _Response() if response is None else response

    def _known(self, response_id: str, *, generating: bool) -> _Response:
        """Return a response. One that began before we listened is taken up."""
        response = self._responses.get(response_id)
        if response is None:
            response = _Response(generating)
            remember(self._responses, response_id, response)
        return response

    def _choose(self, response_id: str) -> None:
        followed = self._followed
        if followed is not None and followed.response_id is None and response_id in followed.later:
            followed.response_id = response_id

    def _is_followed(self, response_id: str) -> bool:
        return self._followed is not None and self._followed.response_id == response_id


def _may_be_heard(response: _Response) -> bool:
    return response.generating or response.playing or (response.has_audio and response.drained is None)
