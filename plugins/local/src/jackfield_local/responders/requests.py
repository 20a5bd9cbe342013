"""What a user wants, from one or several utterances: tool calls with their arguments, and what is still missing.

A request may take several turns (the assistant asks, the user answers). Nothing is remembered between responses: the
utterances are read again from the first, which is why the same conversation always gives the same answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from attrs import define, frozen

from jackfield_local.responders.arguments import MISSING, answer, fill
from jackfield_local.responders.matching import ENOUGH, best_match, rank, says
from jackfield_local.responders.sentences import join
from jackfield_local.responders.smalltalk import is_cancellation, knows
from jackfield_local.responders.toolbox import Parameter, Tool
from jackfield_local.speech.spoken import words

__all__ = ["Missing", "Wanted", "question", "read_requests"]

_CLAUSES = re.compile(r"(?:,\s*)?\b(?:and then|and also|and|then|also)\b\s*|(?<=[.;?!])\s+", re.IGNORECASE)
_OVERRIDES = ENOUGH + 1.0
"""The score from which an utterance is a new request although a question is open."""

_MOST_CALLS = 6


@define
class Wanted:
    """A tool that the user wants called."""

    tool: Tool
    arguments: dict[str, Any]

    def missing(self) -> list[Parameter]:
        """Return the required parameters that have no value yet."""
        return [parameter for parameter in self.tool.parameters if parameter.required and not self._settled(parameter)]

    def _settled(self, parameter: Parameter) -> bool:
        return parameter.name in self.arguments or parameter.nullable or "default" in parameter.schema

    def complete(self) -> dict[str, Any]:
        """Return the arguments, with null or the default for required parameters that may have it."""
        filled = dict(self.arguments)
        for parameter in self.tool.parameters:
            if parameter.required and parameter.name not in filled:
                filled[parameter.name] = parameter.schema.get("default")
        return filled


@frozen
class Missing:
    """The question that is open, and whether an answer to it was not understood."""

    tool: Tool
    parameter: Parameter
    again: bool = False


def read_requests(utterances: Sequence[str], tools: Sequence[Tool]) -> tuple[list[Wanted], Missing | None]:
    """Return what the last of `utterances` asks for, earlier ones being what led to it, and the open question."""
    wanted: list[Wanted] = []
    missing: Missing | None = None
    for text in utterances:
        if missing is not None and not _is_new_request(text, tools, missing):
            wanted, missing = _answered(text, wanted, missing)
        else:
            wanted = _wanted(text, tools)
            missing = _first_missing(wanted)
    return wanted, missing


def question(missing: Missing) -> str:
    """Return the question for a missing argument."""
    parameter = missing.parameter
    label = parameter.label
    match parameter.kind:
        case "city" | "country":
            text = f"For which {label}?"
        case "date" | "weekday":
            text = "For which day?"
        case "time":
            text = "At what time?"
        case "number":
            text = "For how many people?" if label in ("people", "guests", "party size") else f"How many {label}?"
            if label in ("amount", "price", "budget", "quantity", "count", "number", "value", "total"):
                text = f"What is the {label}?"
        case "code" | "reference" | "phone":
            text = f"What is the {re.sub(r' ?id$', ' number', label).strip()}?"
        case "choice":
            options = [str(choice) for choice in parameter.choices]
            text = f"Which {label}: {join(options, 'or')}?"
        case "boolean":
            text = f"{label.capitalize()}: yes or no?"
        case _:
            text = f"What is the {label}?"
    return f"Sorry, I did not understand. {text}" if missing.again else text


def _is_new_request(text: str, tools: Sequence[Tool], missing: Missing) -> bool:
    if is_cancellation(text) or (knows(text) and missing.parameter.kind != "boolean"):
        return True
    match = best_match(text, tools)
    return match is not None and match.tool != missing.tool and match.score >= _OVERRIDES


def _answered(text: str, wanted: list[Wanted], missing: Missing) -> tuple[list[Wanted], Missing | None]:
    holder = next(want for want in wanted if missing.parameter in want.missing())
    value = answer(missing.parameter, text) if words(text) else MISSING
    if value is MISSING:
        return wanted, Missing(missing.tool, missing.parameter, again=True)
    # An answer may say more than was asked: "for four people, on Friday at seven".
    more = fill(holder.tool, text) if len(words(text)) > 3 else {}
    holder.arguments = {**more, **holder.arguments, missing.parameter.name: value}
    return wanted, _first_missing(wanted)


def _first_missing(wanted: Sequence[Wanted]) -> Missing | None:
    return next((Missing(want.tool, parameter) for want in wanted for parameter in want.missing()), None)


def _wanted(text: str, tools: Sequence[Tool]) -> list[Wanted]:
    whole = best_match(text, tools)
    if whole is None or is_cancellation(text):
        return []
    clauses = [clause for clause in _CLAUSES.split(text) if words(clause)]
    found: list[tuple[Tool, list[str]]] = []
    for clause in clauses:
        match = best_match(clause, tools)
        if match is not None and (not found or _stands_alone(clause, match.tool, found[-1][0], tools)):
            found.append((match.tool, [clause]))
        elif found:
            found[-1][1].append(clause)
        else:
            found.append((whole.tool, [clause]))
    wanted: list[Wanted] = []
    for tool, parts in found:
        wanted += _calls(tool, parts)
    first_handoff = next((index for index, want in enumerate(wanted) if want.tool.is_handoff), len(wanted))
    # After a handoff it is the other agent's turn.
    return wanted[: min(first_handoff + 1, _MOST_CALLS)]


def _stands_alone(clause: str, tool: Tool, previous: Tool, tools: Sequence[Tool]) -> bool:
    """Tell whether a clause is a request of its own, and not more about the one before it."""
    if tool == previous:
        return any(says(words(clause), word) for word in tool.subject)
    scores = {match.tool.name: match.score for match in rank(clause, tools)}
    return scores[tool.name] > scores[previous.name]


def _calls(tool: Tool, parts: Sequence[str]) -> list[Wanted]:
    """Return one call for all that was said about a tool, or one for each value: "in Paris and in London"."""
    together = Wanted(tool, fill(tool, " and ".join(parts)))
    if len(parts) < 2 or tool.is_handoff:
        return [together]
    first = Wanted(tool, fill(tool, parts[0]))
    if first.missing():
        return [together]
    calls = [first]
    for part in parts[1:]:
        other = _same_but(first, part)
        if other is None:
            return [together]
        calls.append(other)
    return calls


def _same_but(first: Wanted, part: str) -> Wanted | None:
    """Return the call that differs in the one value which `part` names, or None where it names nothing new."""
    if len(words(part)) > 5:
        return None
    for parameter in first.tool.parameters:
        if parameter.name not in first.arguments or parameter.kind == "anything":
            continue
        value = fill(Tool(first.tool.name, "", (parameter,)), part).get(parameter.name, MISSING)
        if value is not MISSING and value != first.arguments[parameter.name]:
            return Wanted(first.tool, {**first.arguments, parameter.name: value})
    return None
