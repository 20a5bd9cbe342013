"""The ways in which people ask for a tool: the sentences that a recogniser should listen for.

Made from the tool's name and parameters, in the notation of `speech.patterns`. Understanding them is `matching` and
`arguments`, which take many more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, permutations

from jackfield_local.responders.matching import handoff_topics
from jackfield_local.responders.thesaurus import ACTIONS, GENERIC, stem
from jackfield_local.responders.toolbox import Parameter, Tool, name_words
from jackfield_local.speech.patterns import escape, gap

__all__ = ["answers_for", "offer", "together", "utterances"]

_MOST_SAID_AT_ONCE = 4
"""Parameters of one tool that the sentences mention; the rest is asked for."""

_MOST_TOGETHER = 24
_OPTIONAL = re.compile(r"\[[^\[\]]*\]\s*")
_CALENDAR = ("date", "time", "weekday", "month")

_ARTICLES: Mapping[str, str] = {
    "light": "the ",
    "message": "a ",
    "music": "",
    "order": "my ",
    "temperature": "the ",
    "weather": "the ",
}

_ALSO: Mapping[str, tuple[str, ...]] = {"book": ("reserve",), "buy": ("order",), "call": ("phone",)}
_DOUBLED = ("set", "stop")

_FAMILY_CARRIERS: Mapping[str, tuple[str, ...]] = {
    "weather": (
        "What is the weather [like] {tail}?",
        "What's the weather [like] {tail}?",
        "How is the weather {tail}?",
        "What will the weather be [like] {tail}?",
        "What is the temperature {tail}?",
        "Will it rain {tail}?",
        "Do I need an umbrella {tail}?",
    ),
    "hour": (
        "What are your opening hours {tail}?",
        "What are the opening hours {tail}?",
        "When are you open {tail}?",
        "Are you open {tail}?",
        "When do you open {tail}?",
        "When do you close {tail}?",
    ),
    "order": (
        "Where is my order {tail}?",
        "What is the status of [my] order {tail}?",
        "Look up [my] order {tail} [please]",
        "Check [my] order {tail} [please]",
        "Track [my] order {tail} [please]",
    ),
    "time": ("What time is it {tail}?", "What is the time {tail}?"),
}
_HANDOFF_FAMILIES: Mapping[str, tuple[str, ...]] = {
    "billing": (
        "I have a problem with my bill",
        "I have a question about my bill",
        "I have a question about my invoice",
        "I was charged twice",
        "There is a mistake on my bill",
        "I want to pay my bill",
    ),
    "refund": ("I want a refund", "I'd like a refund [please]", "I want my money back", "Can I get a refund?"),
    "support": ("I have a technical problem", "It is not working", "My phone is broken", "I need technical support"),
    "human": ("I want to talk to a person", "Let me talk to a human", "I'd like to speak to someone"),
    "sale": ("I want to buy something", "I'd like to buy a new phone"),
}


def utterances(tool: Tool) -> list[str]:
    """Return sentences that ask for `tool`, the most usual first."""
    made = _for_handoff(tool) if tool.is_handoff else _for_tool(tool)
    return list(dict.fromkeys(_tidied(sentence) for sentence in made))


def together(tools: Sequence[Tool]) -> list[str]:
    """Return sentences that ask for two things at once."""
    made: list[str] = []
    for tool in tools:
        where = next((_slot(parameter) for parameter in tool.parameters if parameter.kind == "city"), None)
        if where:
            first = _plain_ask(tool)
            made += [f"{first} and [in ]{where}?"]
    for one, other in permutations(tools, 2):
        asked = _plain_ask(one)
        for follows in dict.fromkeys((_plain_ask(other), _plain_ask(other, bare=True))):
            made.append(f"{asked} and {follows[:1].lower()}{follows[1:]}{'?' * asked.startswith('W')}")
    return [_tidied(sentence) for sentence in islice(made, _MOST_TOGETHER)]


def answers_for(parameter: Parameter) -> list[str]:
    """Return what people answer when they are asked for `parameter`."""
    if parameter.kind == "boolean":
        return ["Yes [please]", "No [thank you]"]
    slot = _slot(parameter)
    if slot is None:
        return ["{anything}"]
    leads = {
        "city": ("", "in ", "for ", "to ", "from "),
        "time": ("", "at "),
        "number": ("", "for ", "we are ", "there are "),
        "name": ("", "my name is ", "for "),
        "code": ("", "it is ", "it's ", "number ", "the number is "),
        "reference": ("", "it is ", "it's ", "number ", "the number is "),
        "date": ("", "on "),
    }.get(parameter.kind, ("", "the "))
    spoken = [f"{lead}{slot} [please]" for lead in leads]
    if parameter.kind == "number":
        spoken += [f"{slot} people", f"for {slot} people", f"{slot} of us"]
    return [_tidied(sentence) for sentence in spoken]


def offer(tool: Tool) -> str:
    """Return what a tool makes possible, as it follows "I can help you with"."""
    verb, noun = _verb_and_noun(tool)
    if tool.is_handoff or verb not in ACTIONS:
        return tool.topic
    doing = verb[:-1] + "ing" if verb.endswith("e") else verb + verb[-1] * (verb in _DOUBLED) + "ing"
    return f"{doing} {_ARTICLES.get(stem(noun.split()[-1]), 'a ')}{noun}" if noun else doing


def _for_tool(tool: Tool) -> Iterator[str]:
    tails = _tails(tool.parameters)
    families = [stem(word) for word in tool.subject]
    verb, _ = _verb_and_noun(tool)
    if verb not in ACTIONS:
        # People name the day also where no parameter takes it.
        day = "" if any(parameter.kind in _CALENDAR for parameter in tool.parameters) else " [{when}]"
        for family in dict.fromkeys(families):
            dated = day if family in ("weather", "hour") else ""
            for sentence in _FAMILY_CARRIERS.get(family, ()):
                for tail in (f"{tail}{dated}" for tail in tails):
                    yield sentence.replace("{tail}", tail)
        if "order" in families:
            for parameter in tool.parameters:
                if parameter.kind in ("code", "reference"):
                    yield f"My order number is {_slot(parameter)}"
    yield from _general(tool, tails)


def _general(tool: Tool, tails: Sequence[str]) -> Iterator[str]:
    verb, noun = _verb_and_noun(tool)
    if verb in ACTIONS:
        yield from _for_action(tool, verb, noun)
        return
    is_or_are = "are" if noun.endswith("s") else "is"
    for tail in tails:
        yield f"What {is_or_are} the {noun} {tail}?"
        yield f"[Please] tell me the {noun} {tail} [please]"
        yield f"Can you tell me the {noun} {tail} [please]?"
        yield f"[Please] {verb} [the] {noun} {tail} [please]"
        yield f"I need the {noun} {tail} [please]"


def _for_action(tool: Tool, verb: str, noun: str) -> Iterator[str]:
    """Yield "turn on the kitchen light", "order a large pizza": what is chosen stands before the noun."""
    switches = [one for one in tool.parameters if {str(choice) for choice in one.choices} == {"on", "off"}]
    chosen = [one for one in tool.parameters if one.kind == "choice" and one not in switches][:1]
    others = [one for one in tool.parameters if one not in switches and one not in chosen]
    switch = " ".join(_slot(one) or "" for one in switches[:1])
    article = _ARTICLES.get(stem(noun.rsplit(maxsplit=1)[-1]), "a ") if noun else ""
    adjective = " ".join(f"[{_slot(one)}]" for one in chosen)
    for tail in _tails(others):
        things = [f"{switch} {article}{adjective} {noun} {tail}"]
        if switch:
            things.append(f"{article}{adjective} {noun} {switch} {tail}")
        if noun and any(one.kind == "anything" for one in others):
            things.append(tail)
        for thing in dict.fromkeys(" ".join(thing.split()) for thing in things):
            for said in (verb, *_ALSO.get(verb, ())):
                yield f"[Please] {said} {thing} [please]"
                yield f"[I would like to|I'd like to|I want to] {said} {thing} [please]"
                yield f"Can you {said} {thing} [please]?"


def _for_handoff(tool: Tool) -> Iterator[str]:
    subject = [word for word in tool.subject if word not in GENERIC]
    named = escape(" ".join(subject) or tool.topic)
    yield f"[Please] transfer me to [the] {named} [department] [please]"
    yield f"[Please] connect me to {named} [please]"
    yield f"I'd like to talk to {named} [please]"
    yield f"Can I speak to [the] {named} [department] [please]?"
    yield f"I have a question about [my] {named}"
    yield f"I need help with [my] {named}"
    topics = handoff_topics(tool)
    for family in dict.fromkeys(stem(word) for word in topics):
        yield from _HANDOFF_FAMILIES.get(family, ())
    for word in topics[:6]:
        if word not in subject:
            plain = escape(word)
            yield f"I have a question about [a|my] {plain}"
            yield f"I need [a|help with my] {plain} [please]"


def _verb_and_noun(tool: Tool) -> tuple[str, str]:
    said = " ".join(tool.words).split()
    if len(said) > 1 and said[0] == "look" and said[1] == "up":
        return "look up", escape(" ".join(said[2:]) or "it")
    if len(said) > 1 and (said[0] in ACTIONS or said[0] in GENERIC):
        return said[0], escape(" ".join(said[1:]))
    if said and said[0] in ACTIONS:
        return said[0], ""
    return "get", escape(" ".join(said))


def _plain_ask(tool: Tool, *, bare: bool = False) -> str:
    """Return the shortest sentence that asks for `tool`, with what it needs; `bare`: without."""
    required = (
        [] if bare else [piece for parameter in tool.parameters if parameter.required and (piece := _piece(parameter))]
    )
    tail = " ".join(required[:_MOST_SAID_AT_ONCE])
    verb, noun = _verb_and_noun(tool)
    if verb in ACTIONS:
        return _tidied(f"{verb} {_ARTICLES.get(stem(noun.split()[-1]), 'a ') if noun else ''}{noun} {tail}")
    family = next((stem(word) for word in tool.subject if stem(word) in _FAMILY_CARRIERS), None)
    if family:
        return _tidied(_FAMILY_CARRIERS[family][0].replace("[like] ", "").replace("{tail}", tail)).rstrip("?")
    return _tidied(f"What {'are' if noun.endswith('s') else 'is'} the {noun} {tail}")


def _tails(parameters: Sequence[Parameter]) -> list[str]:
    """Return the ways to mention parameters: each may be left out, and what belongs to the calendar may move."""
    # What is needed is mentioned more often than what is not.
    wanted = sorted(parameters, key=lambda parameter: not parameter.required)
    pieces = [(parameter, piece) for parameter in wanted if (piece := _piece(parameter))][:_MOST_SAID_AT_ONCE]
    if len(pieces) < 2:
        return [piece for _, piece in pieces] + [""]
    # Optional parts don't nest.
    flat = [(parameter.kind in _CALENDAR, f"[{_OPTIONAL.sub('', piece)}]") for parameter, piece in pieces]
    when = [piece for calendar, piece in flat if calendar]
    other = [piece for calendar, piece in flat if not calendar]
    orders = [[piece for _, piece in flat], [*other, *reversed(when)], [*when, *other]]
    orders += [[piece.replace(" people]", "]") for piece in order] for order in orders[:2]]
    return list(dict.fromkeys(" ".join(order) for order in orders))


def _piece(parameter: Parameter) -> str | None:
    """Return how a parameter is mentioned in a sentence: a preposition and a gap."""
    slot = _slot(parameter)
    if slot is None:
        return None
    said = set(name_words(parameter.name))
    match parameter.kind:
        case "city" | "country":
            if said & {"origin", "from", "source", "departure"}:
                return f"from {slot}"
            return f"to {slot}" if said & {"destination", "to", "target"} else f"in {slot}"
        case "number":
            people = said & {"people", "guests", "persons", "party", "seats"}
            return f"for {slot} people" if people else f"{slot} {escape(parameter.label)}"
        case "name":
            return f"to {slot}" if said & {"recipient", "to", "contact"} else f"for {slot}"
        case "anything":
            if parameter.examples:
                return f"[of the|of|in the|for the|for|the] {slot}"
            return f"saying {slot}" if said & {"text", "message", "content", "body"} else slot
        case "code" | "reference" | "phone":
            return f"[number] {slot}"
        case "date":
            return "{when}"
        case kind:
            preposition = {"weekday": "on ", "month": "in ", "time": "at ", "language": "in "}.get(kind, "")
            return f"{preposition}{slot}"


def _slot(parameter: Parameter) -> str | None:
    if parameter.kind == "choice":
        return gap([str(choice) for choice in parameter.choices])
    if parameter.kind in ("boolean", "object", "list"):
        return None
    if parameter.kind == "number":
        small = set(name_words(parameter.name)) & {"amount", "price", "budget", "sum", "total", "value"}
        return "{number}" if small else "{count}"
    if parameter.kind == "anything" and parameter.examples:
        return gap(parameter.examples)
    return "{" + parameter.kind + "}"


def _tidied(sentence: str) -> str:
    """Return `sentence` with single spaces, none before punctuation, and a capital."""
    text = re.sub(r"\s+([?!.,])", r"\1", " ".join(sentence.split()))
    index = 1 if text.startswith("[") else 0
    return text[:index] + text[index : index + 1].upper() + text[index + 1 :]
