"""Agents as specifications: what is a valid one, what copies share, and how instructions are resolved."""

from __future__ import annotations

from typing import Any

import pytest

from jackfield import RealtimeAgent, RunContextWrapper, function_tool
from jackfield.errors import ConfigurationError


@function_tool
def ping() -> str:
    return "pong"


class TestConstruction:
    def test_the_name_by_position_the_rest_by_keyword(self) -> None:
        agent = RealtimeAgent("Greeter", instructions="Greet.", tools=[ping], voice="marin")
        assert (agent.name, agent.instructions, agent.tools, agent.voice) == ("Greeter", "Greet.", [ping], "marin")
        assert RealtimeAgent(name="Greeter").handoffs == []
        with pytest.raises(TypeError):
            RealtimeAgent("Greeter", "Greet.")  # type: ignore[misc]

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"name": ""}, "non-empty"),
            ({"name": None}, "name"),
            ({"name": "A", "tools": (ping,)}, "tools is a list"),
            ({"name": "A", "handoffs": None}, "handoffs is a list"),
            ({"name": "A", "tools": [print]}, "decorate it with @function_tool"),
            ({"name": "A", "tools": ["ping"]}, "is no tool$"),
            ({"name": "A", "instructions": 3}, "instructions are"),
        ],
    )
    def test_what_is_no_agent(self, fields: dict[str, Any], words: str) -> None:
        with pytest.raises(ConfigurationError, match=words):
            RealtimeAgent(**fields)

    def test_circles_are_made_afterwards_and_can_be_shown(self) -> None:
        one, two = RealtimeAgent("One"), RealtimeAgent("Two")
        one.handoffs.append(two)
        two.handoffs.append(one)
        assert "One" in repr(one)

    def test_agents_are_told_apart_by_identity(self) -> None:
        assert RealtimeAgent("A") != RealtimeAgent("A")
        assert len({RealtimeAgent("A"), RealtimeAgent("A")}) == 2


class TestClone:
    def test_changes_one_and_leaves_the_other(self) -> None:
        agent = RealtimeAgent("A", instructions="Be kind.", tools=[ping])
        copy = agent.clone(name="B")
        copy.tools.clear()
        assert (copy.name, copy.instructions) == ("B", "Be kind.")
        assert (agent.name, agent.tools) == ("A", [ping])

    def test_a_change_is_checked_like_a_new_agent(self) -> None:
        with pytest.raises(ConfigurationError, match="no tool"):
            RealtimeAgent("A").clone(tools=[print])


class TestInstructions:
    async def test_text_none_and_functions(self) -> None:
        async def later(context: RunContextWrapper[Any], agent: RealtimeAgent) -> str:
            return f"{agent.name} serves {context.context}"

        def now(context: RunContextWrapper[Any], agent: RealtimeAgent) -> str:
            return f"{agent.name} greets {context.context}"

        context = RunContextWrapper("Ann")
        assert await RealtimeAgent("A").get_system_prompt(context) is None
        assert await RealtimeAgent("A", instructions="Hi.").get_system_prompt(context) == "Hi."
        assert await RealtimeAgent("A", instructions=now).get_system_prompt(context) == "A greets Ann"
        assert await RealtimeAgent("A", instructions=later).get_system_prompt(context) == "A serves Ann"

    async def test_a_function_that_returns_no_text(self) -> None:
        agent = RealtimeAgent("A", instructions=lambda context, agent: None)  # type: ignore[arg-type,return-value]
        with pytest.raises(ConfigurationError, match="returned NoneType"):
            await agent.get_system_prompt(RunContextWrapper(None))
