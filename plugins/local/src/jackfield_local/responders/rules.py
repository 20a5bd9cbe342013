"""The rule-driven responder: it works with whatever tools a session has, and is the same every time.

It decides from the conversation alone and keeps no state: what it asked before is read from its own last words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from rapidfuzz import fuzz

from jackfield_local.interfaces import Call, Reply, ResponseContext, Say
from jackfield_local.speech.patterns import parse, plain
from jackfield_local.speech.spoken import parse_number, words

from .arguments import fill
from .intents import Intent, best_intent, intents_of
from .small_talk import FALLBACK, SMALL_TALK, count_aloud

__all__ = ["RuleResponder"]

_WHAT_CAN_YOU_DO = "What can you do?"
_SAY_AGAIN = ("Say that again[ please]", "Could you repeat that[ please]?")
_COUNT = "Count to {number}[ please]"
_ALIKE = 86


class RuleResponder:
    """Matches what was said to the session's tools, speaks results, follows handoffs, and else makes small talk."""

    def phrases(self, context: ResponseContext) -> Sequence[str]:
        """Return utterances that can be acted on in `context`."""
        intents = intents_of(context.tools)
        tools = [phrase for intent in intents for phrase in intent.phrases()]
        asked = self._asked(intents, [*context.items, {"role": "user"}])
        if asked is not None:
            question = _last_text(context.items, "assistant")
            awaited = [one for one in asked[0].parameters if one.question() == question]
            tools += [f"[{lead} ]{one.gap()}[ please]" for one in awaited for lead in ("the", "for", "in")]
        talk = [phrase for entry in SMALL_TALK for phrase in entry.phrases]
        return [*tools, *talk, _WHAT_CAN_YOU_DO, *_SAY_AGAIN, _COUNT]

    async def respond(self, context: ResponseContext) -> Reply:
        """Return the answer to the conversation in `context`."""
        outputs = _fresh_outputs(context.items)
        if outputs:
            return [Say(" ".join(self._told(output, context) for output in outputs))]
        text = _last_text(context.items, "user")
        choice = context.tool_choice
        intents = [] if choice == "none" else intents_of(context.tools)
        named = choice.get("name") if isinstance(choice, Mapping) else None
        if named is not None:
            intents = [intent for intent in intents if intent.name == named]
        must = bool(intents) and (named is not None or choice == "required")
        if text is None and not must:
            return [Say(_greeting(context.instructions))]
        return self._answer(text or "", intents, context, must=must)

    def _answer(self, text: str, intents: Sequence[Intent], context: ResponseContext, *, must: bool) -> Reply:
        asked = None if must else self._asked(intents, context.items)
        if asked is not None:
            intent, earlier = asked
            reply = _call(intent, f"{earlier} {text}", answered=text)
            if isinstance(reply, Call):
                return [reply]
        small = _small_talk(text)
        calls = [] if small and not must else _calls(intents, text, must=must)
        if calls:
            return calls
        if small:
            return [Say(_flavoured(small, context.instructions))]
        if _says(text, _WHAT_CAN_YOU_DO):
            return [Say(_abilities(intents_of(context.tools)))]
        if any(_says(text, phrase) for phrase in _SAY_AGAIN):
            return [Say(_last_text(context.items, "assistant") or FALLBACK)]
        return [Say(_flavoured(FALLBACK, context.instructions))]

    def _asked(self, intents: Sequence[Intent], items: Sequence[Mapping[str, Any]]) -> tuple[Intent, str] | None:
        """Return the tool whose argument was asked for just now, and what the user had said before that."""
        question = _last_text(items, "assistant")
        texts = [_text(item) for item in items if item.get("role") == "user"]
        if question is None or len(texts) < 2:
            return None
        for intent in intents:
            if any(parameter.question() == question for parameter in intent.parameters):
                return intent, texts[-2]
        return None

    def _told(self, output: Mapping[str, Any], context: ResponseContext) -> str:
        text = str(output.get("output") or "")
        try:
            value = json.loads(text)
        except ValueError:
            return text or "That is done."
        if isinstance(value, Mapping) and set(value) == {"assistant"}:
            return f"Hello, this is {value['assistant']}. {_greeting(context.instructions)}"
        return _sentence(value) or "That is done."


def _calls(intents: Sequence[Intent], text: str, *, must: bool) -> list[Say | Call]:
    """One call for each tool that the utterance asks for; "and" joins several, of one tool or of more."""
    first = best_intent(intents, text, at_any_rate=must)
    if first is None:
        return []
    clauses = re.split(r"\band\b", text, flags=re.IGNORECASE)
    found: list[Call] = []
    last = first
    for clause in clauses if len(clauses) > 1 else []:
        intent = best_intent(intents, clause) or last
        call = _call(intent, clause, answered=clause)
        if not isinstance(call, Call) or (not call.arguments and intent.parameters) or call in found:
            found = []
            break
        found.append(call)
        last = intent
    return list(found) if len(found) > 1 else [_call(first, text, answered=text)]


def _call(intent: Intent, text: str, *, answered: str) -> Say | Call:
    """Call the tool, or ask for what it needs and wasn't told."""
    topic = frozenset([*intent.topic, *intent.keywords])
    arguments = fill(intent.parameters, text, topic=topic)
    for parameter in intent.parameters:
        if parameter.required and parameter.name not in arguments and parameter.kind == "string":
            bare = [word for word in words(answered) if word not in topic and word not in {"the", "please", "a", "my"}]
            if 0 < len(bare) <= 3 and answered != text:
                arguments[parameter.name] = " ".join(bare)
        if parameter.required and parameter.name not in arguments:
            return Say(parameter.question())
    return Call(intent.name, arguments)


def _small_talk(text: str) -> str | None:
    spoken = words(text)
    if spoken[:2] == ["count", "to"]:
        last = parse_number([word for word in spoken[2:] if word != "please"])
        return None if last is None else count_aloud(last)
    for entry in SMALL_TALK:
        if any(_says(text, phrase) for phrase in entry.phrases):
            return entry.answer
    return None


def _says(text: str, phrase: str) -> bool:
    spoken = words(text)
    if parse(phrase).match(spoken) is not None:
        return True
    return fuzz.ratio(" ".join(spoken), " ".join(words(plain(phrase)))) >= _ALIKE


def _greeting(instructions: str) -> str:
    return _flavoured("How can I help you?", instructions)


def _flavoured(text: str, instructions: str) -> str:
    return f"Arr, matey! {text}" if "pirate" in instructions.lower() else text


def _abilities(intents: Sequence[Intent]) -> str:
    topics = [" ".join(intent.topic) for intent in intents]
    if not topics:
        return "I can talk with you, tell you a story, or count."
    listed = topics[0] if len(topics) == 1 else ", ".join(topics[:-1]) + " and " + topics[-1]
    return f"I can help you with {listed}."


def _sentence(value: Any) -> str:
    """JSON as one would say it."""
    if isinstance(value, Mapping):
        return ". ".join(f"{str(key).replace('_', ' ')}: {_sentence(part)}" for key, part in value.items())
    if isinstance(value, list):
        return ", ".join(_sentence(part) for part in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "nothing" if value is None else str(value)


def _fresh_outputs(items: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the outputs that nobody has spoken of yet: those after the last message."""
    fresh: list[Mapping[str, Any]] = []
    for item in reversed(items):
        if item.get("type") == "message":
            break
        if item.get("type") == "function_call_output":
            fresh.insert(0, item)
    return fresh


def _last_text(items: Sequence[Mapping[str, Any]], role: str) -> str | None:
    return next((_text(item) for item in reversed(items) if item.get("role") == role and _text(item)), None)


def _text(item: Mapping[str, Any]) -> str:
    parts = item.get("content")
    if not isinstance(parts, list):
        return ""
    told = (part.get("text") or part.get("transcript") or "" for part in parts if isinstance(part, Mapping))
    return " ".join(str(text) for text in told if text)
