"""Guardrails as values: what makes one, what it is called, and what is refused before anything is sent."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from jackfield import (
    GuardrailFunctionOutput,
    OutputGuardrail,
    OutputGuardrailResult,
    RealtimeAgent,
    RealtimeSession,
    RunContextWrapper,
    ToolContext,
    ToolGuardrailFunctionOutput,
    ToolInputGuardrail,
    ToolInputGuardrailData,
    ToolOutputGuardrail,
    ToolOutputGuardrailData,
    function_tool,
    output_guardrail,
    tool_input_guardrail,
    tool_output_guardrail,
)
from jackfield.errors import ConfigurationError
from support.memory_wire import MemoryWire, memory_transport

AGENT = RealtimeAgent("Helper")
CONTEXT: RunContextWrapper[Any] = RunContextWrapper(None)
TOOL_CONTEXT: ToolContext[Any] = ToolContext(
    run_context=CONTEXT, tool_name="book", tool_call_id="call_1", tool_arguments="{}"
)
GOOD = GuardrailFunctionOutput(None, False)
FINE = ToolGuardrailFunctionOutput.allow()


def judge(context: Any, agent: Any, text: str) -> GuardrailFunctionOutput:
    return GOOD


def judge_call(data: ToolInputGuardrailData) -> ToolGuardrailFunctionOutput:
    return FINE


def judge_output(data: ToolOutputGuardrailData) -> ToolGuardrailFunctionOutput:
    return FINE


class Callable:
    """What can be called and isn't a function."""

    async def __call__(self, *given: Any) -> Any:
        return GOOD if len(given) == 3 else FINE


KINDS = pytest.mark.parametrize(
    ("decorate", "function", "kind"),
    [
        (output_guardrail, judge, OutputGuardrail),
        (tool_input_guardrail, judge_call, ToolInputGuardrail),
        (tool_output_guardrail, judge_output, ToolOutputGuardrail),
    ],
)


class TestMaking:
    @KINDS
    def test_with_and_without_a_name(self, decorate: Any, function: Any, kind: Any) -> None:
        for made, name in (
            (decorate(function), function.__name__),
            (decorate()(function), function.__name__),
            (decorate(name="mine")(function), "mine"),
            (kind(function), function.__name__),
            (kind(function, "mine"), "mine"),
            (kind(Callable()), "Callable"),
            (kind(functools.partial(function)), "partial"),
        ):
            assert isinstance(made, kind)
            assert made.get_name() == name

    @KINDS
    @pytest.mark.parametrize("given", ["judge", 3, GOOD])
    def test_of_what_is_no_function(self, decorate: Any, function: Any, kind: Any, given: Any) -> None:
        for make in (kind, decorate, decorate(name="mine")):
            with pytest.raises(ConfigurationError, match="function"):
                make(given)

    @KINDS
    def test_each_is_itself(self, decorate: Any, function: Any, kind: Any) -> None:
        one, other = decorate(function), decorate(function)
        assert one != other
        assert len({one, other, one}) == 2

    def test_verdicts(self) -> None:
        allowed = ToolGuardrailFunctionOutput.allow("seen")
        assert (allowed.behavior, allowed.message, allowed.output_info) == ("allow", "", "seen")
        rejected = ToolGuardrailFunctionOutput.reject_content("No.", {"rule": 3})
        assert (rejected.behavior, rejected.message, rejected.output_info) == ("reject_content", "No.", {"rule": 3})
        assert ToolGuardrailFunctionOutput.raise_exception().behavior == "raise_exception"


class TestRunning:
    @pytest.mark.parametrize("function", [judge, Callable()])
    async def test_an_output_guardrail(self, function: Any) -> None:
        guardrail = OutputGuardrail(function)
        assert await guardrail.run(CONTEXT, AGENT, "Hello.") == OutputGuardrailResult(guardrail, "Hello.", AGENT, GOOD)

    @pytest.mark.parametrize("function", [judge_call, Callable()])
    async def test_the_guardrails_of_a_tool(self, function: Any) -> None:
        assert await ToolInputGuardrail(function).run(ToolInputGuardrailData(TOOL_CONTEXT, AGENT)) is FINE
        data = ToolOutputGuardrailData(TOOL_CONTEXT, AGENT, {"rooms": 3})
        assert await ToolOutputGuardrail(function).run(data) is FINE
        assert isinstance(data, ToolInputGuardrailData)

    @pytest.mark.parametrize("returned", [None, True, "no", {"tripwire_triggered": True}])
    async def test_one_that_returns_no_verdict(self, returned: Any) -> None:
        async def broken(*given: Any) -> Any:
            return returned

        with pytest.raises(ConfigurationError, match=r"'broken' returned .* must return a GuardrailFunctionOutput"):
            await OutputGuardrail(broken).run(CONTEXT, AGENT, "Hello.")
        with pytest.raises(ConfigurationError, match=r"'broken' returned .* must return a ToolGuardrailFunctionOutput"):
            await ToolInputGuardrail(broken).run(ToolInputGuardrailData(TOOL_CONTEXT, AGENT))

    async def test_what_it_raises_is_raised(self) -> None:
        def broken(*given: Any) -> Any:
            raise LookupError("no rules")

        with pytest.raises(LookupError, match="no rules"):
            await OutputGuardrail(broken).run(CONTEXT, AGENT, "Hello.")


class TestWhereTheyGo:
    @pytest.mark.parametrize("given", [judge, "judge", ToolInputGuardrail(judge_call)])
    def test_an_agent_has_output_guardrails(self, given: Any) -> None:
        with pytest.raises(ConfigurationError, match="is no output guardrail"):
            RealtimeAgent("Helper", output_guardrails=[given])

    @pytest.mark.parametrize("given", [judge, "judge", ToolInputGuardrail(judge_call)])
    def test_a_run_has_output_guardrails(self, given: Any) -> None:
        with pytest.raises(ConfigurationError, match="is no output guardrail"):
            RealtimeSession(AGENT, transport=memory_transport(MemoryWire()), config={"output_guardrails": [given]})

    @pytest.mark.parametrize("option", ["tool_input_guardrails", "tool_output_guardrails"])
    @pytest.mark.parametrize("given", [judge_call, "judge", OutputGuardrail(judge)])
    def test_a_tool_has_those_of_its_kind(self, option: str, given: Any) -> None:
        with pytest.raises(ConfigurationError, match=option):
            function_tool(name_override="book", **{option: [given]})(lambda: None)

    def test_the_two_kinds_of_a_tool_are_not_taken_for_each_other(self) -> None:
        with pytest.raises(ConfigurationError, match="tool_input_guardrails"):
            function_tool(name_override="book", tool_input_guardrails=[ToolOutputGuardrail(judge_output)])(lambda: None)
