"""How the responders use hosted tools: they call them like functions, and tell what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from jackfield_local import Call, Reply, Responder, ResponseContext, Say
from jackfield_local.responders import RuleResponder, ScriptResponder

Item = dict[str, Any]
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
QUESTION = "What is the weather in Paris?"
SCRIPT = ScriptResponder.from_toml(
    """
    [[turn]]
    when = "What is the weather in {city}"
    call = { name = "get_weather" }
    then = "They say: {output}"
    """
)


def hosted(label: str, name: str = "get_weather") -> Item:
    return {"type": "mcp", "server_label": label, "name": name, "description": None, "parameters": CITY}


def user(text: str) -> Item:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def assistant(text: str) -> Item:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


def call(output: str | None = None, message: str | None = None, request: str | None = None) -> Item:
    error = None if message is None else {"type": "tool_execution_error", "message": message}
    ids = {"server_label": "a", "name": "get_weather", "arguments": "{}", "approval_request_id": request}
    return {"type": "mcp_call", **ids, "output": output, "error": error}


def asked(request: str) -> Item:
    return {"type": "mcp_approval_request", "id": request, "server_label": "a", "name": "x", "arguments": "{}"}


def decided(request: str, approve: bool = True) -> Item:
    return {"type": "mcp_approval_response", "approval_request_id": request, "approve": approve}


def answer(
    *items: Item,
    tools: Sequence[Item] = (hosted("a"),),
    tool_choice: str | Mapping[str, Any] = "auto",
    responder: Responder | None = None,
) -> Reply:
    context = ResponseContext("", tools, tool_choice, items)
    return asyncio.run((responder or RuleResponder()).respond(context))


class TestRules:
    def test_a_hosted_tool_is_called_at_its_server(self) -> None:
        assert answer(user(QUESTION)) == [Call("get_weather", {"city": "Paris"}, "a")]

    def test_it_is_expected_to_be_asked_for(self) -> None:
        phrases = RuleResponder().phrases(ResponseContext("", [hosted("a")], "auto", []))
        assert len([phrase for phrase in phrases if "weather" in phrase]) > 3

    @pytest.mark.parametrize(
        ("choice", "called"),
        [
            ({"type": "mcp", "server_label": "b"}, Call("get_news", {"city": "Paris"}, "b")),
            ({"type": "mcp", "server_label": "b", "name": None}, Call("get_news", {"city": "Paris"}, "b")),
            ({"type": "mcp", "server_label": "a", "name": "get_news"}, Call("get_news", {"city": "Paris"}, "a")),
            ({"type": "function", "name": "get_news"}, Call("get_news", {"city": "Paris"})),
        ],
    )
    def test_a_choice_of_server_and_tool(self, choice: Mapping[str, Any], called: Call) -> None:
        function = {"type": "function", "name": "get_news", "parameters": CITY}
        tools = [hosted("a"), hosted("a", "get_news"), hosted("b", "get_news"), function]
        assert answer(user("The news in Paris, please."), tools=tools, tool_choice=choice) == [called]

    @pytest.mark.parametrize("choice", [{"type": "mcp", "server_label": "c"}, "none"])
    def test_a_choice_that_leaves_nothing(self, choice: str | Mapping[str, Any]) -> None:
        (reply,) = answer(user(QUESTION), tool_choice=choice)
        assert isinstance(reply, Say)

    @pytest.mark.parametrize(
        ("items", "said"),
        [
            ([call("It rains.")], "It rains."),
            ([call(message="No such city")], "No such city"),
            ([assistant("One moment."), call("It rains."), call("It is cold.")], "It rains. It is cold."),
            ([call("It rains.", request="r"), asked("r"), decided("r")], "It rains."),
            ([call(message="Not approved.", request="r"), asked("r"), decided("r", False)], "Not approved."),
            (
                [call("It rains.", request="r"), asked("r"), user("Hello"), assistant("Hello!"), decided("r")],
                "It rains.",
            ),
        ],
    )
    def test_what_came_of_it_is_told(self, items: list[Item], said: str) -> None:
        assert answer(user(QUESTION), *items) == [Say(said)]

    def test_it_is_told_once(self) -> None:
        told = [user(QUESTION), call("It rains.", request="r"), asked("r"), decided("r"), assistant("It rains.")]
        assert answer(*told, user("Thank you")) == [Say("You are welcome.")]

    def test_what_waits_for_approval_has_no_outcome(self) -> None:
        waiting = [user(QUESTION), call(request="r"), asked("r"), user("Thank you")]
        assert answer(*waiting) == [Say("You are welcome.")]


class TestScript:
    def test_what_came_of_a_hosted_call_is_told(self) -> None:
        script = [user(QUESTION)]
        assert answer(*script, responder=SCRIPT) == [Call("get_weather")]
        assert answer(*script, call("rain"), responder=SCRIPT) == [Say("They say: rain")]
        approved = [call("rain", request="r"), asked("r"), decided("r")]
        assert answer(*script, *approved, responder=SCRIPT) == [Say("They say: rain")]
