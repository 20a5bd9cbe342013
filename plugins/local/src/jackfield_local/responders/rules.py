"""The default responder: no model, only rules, and the same answer every time.

It matches what was said to the session's tools, asks for what is missing, says what the tools return, follows
handoffs, and has a small script for the rest. How each of that is done is in the modules beside this one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jackfield_local.interfaces import Call, Reply, ResponseContext, Say
from jackfield_local.responders import carriers, smalltalk
from jackfield_local.responders.arguments import MISSING, invented
from jackfield_local.responders.conversation import (
    ToolResult,
    assistant_has_spoken,
    last_assistant_text,
    last_user_text,
    open_requests,
    pending_results,
    shows_image,
)
from jackfield_local.responders.matching import rank
from jackfield_local.responders.persona import Persona
from jackfield_local.responders.requests import Wanted, question, read_requests
from jackfield_local.responders.sentences import handed_over_to, join, spoken_output
from jackfield_local.responders.toolbox import Tool, read_tools

__all__ = ["RuleResponder"]

_MOST_OFFERS = 4
_MOST_PHRASES = 600


class RuleResponder:
    """A `Responder` that acts on tools' names, descriptions and parameters. Stateless: one serves all sessions.

    `tool_choice` is honoured: "none" calls nothing, "required" and a tool's name make a call whatever was said, with
    invented arguments where none were given. Once a tool has answered, its answer is spoken in any case.
    """

    def phrases(self, context: ResponseContext) -> Sequence[str]:
        """Return what this responder understands in `context`, in the notation of `speech.patterns`.

        Answers to an open question come first, then one sentence for each tool, then all others.
        """
        tools = _allowed(context)
        _, missing = read_requests(open_requests(context.items), tools)
        found = carriers.answers_for(missing.parameter) if missing is not None else []
        by_tool = [carriers.utterances(tool) for tool in tools]
        found += [sentences[0] for sentences in by_tool if sentences]
        found += carriers.together([tool for tool in tools if not tool.is_handoff])
        found += [sentence for sentences in by_tool for sentence in sentences]
        found += smalltalk.phrases()
        return list(dict.fromkeys(found))[:_MOST_PHRASES]

    async def respond(self, context: ResponseContext) -> Reply:
        """Return the answer to the conversation in `context`."""
        persona = Persona(context.instructions)
        results = pending_results(context.items)
        if results:
            return _after_tools(context, persona, results)
        tools = _allowed(context)
        forced = _forced(context, tools)
        if forced:
            return forced
        return _to_user(context, persona, tools)


def _to_user(context: ResponseContext, persona: Persona, tools: Sequence[Tool]) -> Reply:
    situation = _situation(context, persona, tools)
    utterances = open_requests(context.items)
    if not utterances:
        # Nobody has spoken since the last tool was called, or at all: say hello, or go on.
        return [Say(persona.greeting(offer=situation.offer))]
    text = utterances[-1]
    wanted, missing = read_requests(utterances, tools)
    if missing is not None:
        return [_say(context, persona, question(missing))]
    if wanted:
        return _calls(wanted)
    if not text:
        pictured = any(shows_image(item) for item in context.items[-1:])
        return [_say(context, persona, "Thank you for the picture." if pictured else smalltalk.NOT_HEARD)]
    scripted = smalltalk.answer(text, situation)
    if scripted is not None:
        # A greeting has its persona's manner already.
        greeted = scripted == persona.greeting(offer=situation.offer)
        return [Say(scripted) if greeted else _say(context, persona, scripted)]
    return [_say(context, persona, smalltalk.fallback(text, situation))]


def _after_tools(context: ResponseContext, persona: Persona, results: Sequence[ToolResult]) -> Reply:
    """Say what the tools returned; after a handoff the new agent introduces itself, and gets to work if it can."""
    agent = next((name for result in results if (name := handed_over_to(result.output))), None)
    spoken = [spoken_output(result.output) for result in results if handed_over_to(result.output) is None]
    if agent is None:
        return [_say(context, persona, " ".join(spoken))]
    tools = [tool for tool in _allowed(context) if not tool.is_handoff]
    greeting = persona.greeting(name=agent, offer=_offer(tools))
    reply: list[Say | Call] = [Say(" ".join([*spoken, greeting]))]
    wanted, missing = read_requests([last_user_text(context.items)], tools)
    if wanted and missing is None:
        reply += _calls(wanted)
    return reply


def _say(context: ResponseContext, persona: Persona, text: str) -> Say:
    """Return `text` in the persona's manner, after a hello where the instructions want one and none was said."""
    if persona.greets and not assistant_has_spoken(context.items) and not text.lower().startswith("hello"):
        text = f"Hello! {text}"
    return Say(persona.manner(text))


def _calls(wanted: Sequence[Wanted]) -> list[Say | Call]:
    return [_call(want) for want in wanted]


def _call(want: Wanted) -> Call:
    return Call(want.tool.name, want.complete(), want.tool.server_label)


def _situation(context: ResponseContext, persona: Persona, tools: Sequence[Tool]) -> smalltalk.Situation:
    return smalltalk.Situation(persona, _offer(tools), last_assistant_text(context.items))


def _offer(tools: Sequence[Tool]) -> str | None:
    topics = list(dict.fromkeys(carriers.offer(tool) for tool in tools))[:_MOST_OFFERS]
    return join(topics) if topics else None


def _allowed(context: ResponseContext) -> list[Tool]:
    """Return the tools that `tool_choice` leaves."""
    if context.tool_choice == "none":
        return []
    return [tool for tool in read_tools(context.tools) if _chosen(tool, context.tool_choice)]


def _chosen(tool: Tool, choice: str | Mapping[str, Any]) -> bool:
    if not isinstance(choice, Mapping):
        return True
    return choice.get("name") in (None, tool.name) and choice.get("server_label") == tool.server_label


def _forced(context: ResponseContext, tools: Sequence[Tool]) -> Reply | None:
    """Return the call that `tool_choice` demands, if it demands one and there is a tool to call."""
    if not tools or not (context.tool_choice == "required" or isinstance(context.tool_choice, Mapping)):
        return None
    wanted, _ = read_requests(open_requests(context.items), tools)
    if not wanted:
        ordered = sorted(tools, key=lambda tool: tool.is_handoff)
        tool = rank(last_user_text(context.items), ordered)[0].tool
        wanted = read_requests([f"{tool.topic} {last_user_text(context.items)}"], [tool])[0] or [Wanted(tool, {})]
    calls: list[Say | Call] = []
    for want in wanted:
        for parameter in want.missing():
            value = invented(parameter)
            if value is not MISSING:
                want.arguments[parameter.name] = value
        calls.append(_call(want))
    return calls
