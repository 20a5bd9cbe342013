"""A responder that follows a script.

The script is TOML::

default = "I did not expect that."

[[turn]]
when = "what is the weather in {city}"     # as it may be said; `{city}` is a gap, `[please]` may be missing
call = { name = "get_weather", arguments = { city = "Paris" } }
then = "It is {output}"                    # said when the call's output is there

[[turn]]
when = ["hello", "good morning"]
say = "Good morning!"
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from attrs import field, frozen
from rapidfuzz import fuzz

from jackfield.errors import ConfigurationError
from jackfield_local.interfaces import Call, Reply, ResponseContext, Say
from jackfield_local.responders.conversation import last_user_text, pending_results
from jackfield_local.speech.patterns import parse, plain
from jackfield_local.speech.spoken import words

__all__ = ["ScriptError", "ScriptResponder"]

_ALIKE = 80
_TURN_KEYS = ("when", "say", "call", "then")


class ScriptError(ConfigurationError):
    """The script can't be followed; the message names the place and what to write there."""


@frozen
class _Turn:
    when: tuple[str, ...]
    say: str | None = None
    call: Call | None = None
    then: str = "{output}"


@frozen
class ScriptResponder:
    """Answers with the turn whose `when` is most like what was said, else with the default."""

    _turns: tuple[_Turn, ...]
    _default: str = field(default="I did not understand that.")

    @classmethod
    def from_toml(cls, script: str | Path) -> Self:
        """Read a script: a file's path, or TOML itself. Raises `ScriptError` where it is none."""
        place = "the script"
        text = str(script)
        if isinstance(script, Path) or ("\n" not in text and "=" not in text):
            place = text
            try:
                text = Path(script).read_text(encoding="utf-8")
            except OSError as error:
                raise ScriptError(f"{place} can't be read: {error.strerror}. Check the path.") from error
        try:
            parsed = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ScriptError(f"{place} is not TOML: {error}") from error
        for key in parsed:
            if key not in {"turn", "default"}:
                raise ScriptError(f"{place}: {key!r} is no part of a script. It has `default` and `[[turn]]`s.")
        turns = parsed.get("turn", [])
        if not isinstance(turns, list) or not turns:
            raise ScriptError(f"{place} has no [[turn]]: write at least one, with `when` and `say` or `call`")
        default = _string(parsed.get("default", "I did not understand that."), f"{place}: default")
        return cls(tuple(_turn(turn, f"{place}: turn {n}") for n, turn in enumerate(turns, 1)), default)

    def phrases(self, context: ResponseContext) -> Sequence[str]:
        """Return what the script expects to hear."""
        return [phrase for turn in self._turns for phrase in turn.when]

    async def respond(self, context: ResponseContext) -> Reply:
        """Return what the script says to the conversation in `context`."""
        turn = self._turn_for(last_user_text(context.items))
        results = pending_results(context.items)
        if results:
            then = turn.then if turn is not None else "{output}"
            return [Say(then.replace("{output}", results[-1].output))]
        if turn is None:
            return [Say(self._default)]
        said: list[Say | Call] = [Say(turn.say)] if turn.say is not None else []
        return said + ([turn.call] if turn.call is not None else [])

    def _turn_for(self, text: str) -> _Turn | None:
        spoken = words(text)
        if not spoken:
            return None
        best = max(self._turns, key=lambda turn: max(_likeness(spoken, phrase) for phrase in turn.when))
        return best if max(_likeness(spoken, phrase) for phrase in best.when) >= _ALIKE else None


def _likeness(spoken: Sequence[str], phrase: str) -> float:
    if parse(phrase).match(spoken) is not None:
        return 101.0
    return fuzz.ratio(" ".join(spoken), " ".join(words(plain(phrase))))


def _turn(turn: Any, place: str) -> _Turn:
    if not isinstance(turn, Mapping):
        raise ScriptError(f"{place} is no table: begin it with [[turn]]")
    for key in turn:
        if key not in _TURN_KEYS:
            raise ScriptError(f"{place}: {key!r} is not known. A turn has {', '.join(_TURN_KEYS)}.")
    when = turn.get("when")
    phrases = [when] if isinstance(when, str) else when
    if not isinstance(phrases, list) or not phrases or not all(isinstance(one, str) and words(one) for one in phrases):
        raise ScriptError(f"{place}: `when` is what the user says, a string or a list of strings with words in them")
    if "say" not in turn and "call" not in turn:
        raise ScriptError(f"{place}: it neither says nor calls anything. Write `say` or `call`.")
    return _Turn(
        tuple(phrases),
        _string(turn["say"], f"{place}: say") if "say" in turn else None,
        _call(turn["call"], f"{place}: call") if "call" in turn else None,
        _string(turn.get("then", "{output}"), f"{place}: then"),
    )


def _call(call: Any, place: str) -> Call:
    arguments = call.get("arguments", {}) if isinstance(call, Mapping) else None
    if not isinstance(call, Mapping) or not isinstance(call.get("name"), str) or not isinstance(arguments, Mapping):
        raise ScriptError(f"{place} is {{ name = ..., arguments = {{ ... }} }}")
    return Call(call["name"], dict(arguments))


def _string(value: Any, place: str) -> str:
    if not isinstance(value, str):
        raise ScriptError(f"{place} is a string, not {value!r}")
    return value
