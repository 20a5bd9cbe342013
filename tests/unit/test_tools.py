"""`function_tool` and what becomes of a tool's result, without a session."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from functools import partial
from types import MappingProxyType
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from jackfield import FunctionTool, RunContextWrapper, ToolContext, function_tool
from jackfield.errors import ConfigurationError, ToolError
from jackfield.tools import tool_output_text


def context_for(tool: FunctionTool, run_context: RunContextWrapper[Any] | None = None) -> ToolContext[Any]:
    return ToolContext(
        run_context=run_context or RunContextWrapper("the application's"),
        tool_name=tool.name,
        tool_call_id="call_1",
        tool_arguments="{}",
    )


async def invoke(tool: FunctionTool, **arguments: Any) -> Any:
    return await tool.on_invoke_tool(context_for(tool), json.dumps(arguments))


class TestDeclaration:
    def test_with_and_without_parentheses(self) -> None:
        @function_tool
        def one(city: str) -> None:
            """Weather."""

        @function_tool(name_override="two", description_override="Other.", use_docstring_info=False)
        def other(city: str) -> None:
            """Weather."""

        assert (one.name, one.description) == ("one", "Weather.")
        assert (two := other).name == "two"
        assert two.to_wire() == {
            "type": "function",
            "name": "two",
            "description": "Other.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
                "additionalProperties": False,
            },
        }

    @pytest.mark.parametrize("name", ["", "with blank", "a" * 65, "grün", "a.b", "line\n"])
    def test_names_that_the_api_refuses(self, name: str) -> None:
        async def run(context: ToolContext[Any], arguments: str) -> None: ...

        with pytest.raises(ConfigurationError, match="can't be named"):
            FunctionTool(name=name, description="", params_json_schema={}, on_invoke_tool=run)

    def test_a_lambda_needs_a_name(self) -> None:
        with pytest.raises(ConfigurationError, match="name_override"):
            function_tool(lambda: 1)
        assert function_tool(name_override="one")(lambda: 1).name == "one"

    def test_what_has_no_annotations_of_its_own(self) -> None:
        with pytest.raises(ConfigurationError, match="annotations of split"):
            function_tool(name_override="split")(partial(str.split, maxsplit=1))

    def test_what_is_no_function(self) -> None:
        with pytest.raises(ConfigurationError, match="not str"):
            function_tool("get_weather")  # type: ignore[call-overload]


class TestInvoking:
    async def test_a_coroutine_function_runs_on_the_loop(self) -> None:
        @function_tool
        async def where() -> int:
            return threading.get_ident()

        assert await invoke(where) == threading.get_ident()

    async def test_a_function_runs_on_a_thread(self) -> None:
        @function_tool
        def where() -> int:
            return threading.get_ident()

        assert await invoke(where) != threading.get_ident()

    async def test_what_a_function_returns_is_awaited_on_the_loop(self) -> None:
        async def inner() -> int:
            return threading.get_ident()

        @function_tool
        def where() -> Awaitable[int]:
            return inner()

        assert await invoke(where) == threading.get_ident()

    async def test_context_variables_reach_the_thread(self) -> None:
        variable: ContextVar[str] = ContextVar("variable")
        variable.set("seen")

        @function_tool
        def look() -> str:
            return variable.get()

        assert await invoke(look) == "seen"

    async def test_each_gets_the_context_that_it_asks_for(self) -> None:
        got: list[Any] = []

        @function_tool
        def with_tool_context(context: ToolContext[str]) -> None:
            got.append(context)

        @function_tool
        async def with_run_context(context: RunContextWrapper[str], city: str) -> None:
            got.append(context)

        context = context_for(with_tool_context)
        await with_tool_context.on_invoke_tool(context, "{}")
        await with_run_context.on_invoke_tool(context, '{"city": "Rome"}')
        assert got == [context, context.run_context]
        assert isinstance(got[1], RunContextWrapper)
        assert got[0].context == got[1].context == "the application's"
        assert got[0].usage is got[1].usage

    async def test_bad_arguments_never_reach_the_function(self) -> None:
        reached = []

        @function_tool
        def tool(city: str) -> None:
            reached.append(city)

        with pytest.raises(ToolError, match=r"^the arguments of tool are not valid: city: "):
            await invoke(tool, city=3)
        assert reached == []

    async def test_an_exception_is_the_callers(self) -> None:
        @function_tool
        def tool() -> None:
            raise LookupError("no such city")

        with pytest.raises(LookupError, match="no such city"):
            await invoke(tool)

    async def test_a_stop_iteration_on_a_thread_is_an_error_like_others(self) -> None:
        @function_tool
        def first() -> int:
            return next(iter([]))

        async with asyncio.timeout(30):
            with pytest.raises(ToolError, match="StopIteration"):
                await invoke(first)


class Model(BaseModel):
    name: str
    day: date


@dataclass
class Data:
    name: str
    inner: Any = None


@attrs.frozen
class Record:
    name: str
    inner: Any = None


class Mood(Enum):
    GOOD = "good"


class TestOutputText:
    @pytest.mark.parametrize(
        ("output", "text"),
        [
            ("as it is", "as it is"),
            ("", ""),
            (None, "null"),
            (True, "true"),
            (3, "3"),
            (1.5, "1.5"),
            ({"Ort": "Köln"}, '{"Ort": "Köln"}'),
            ([1, "a", None], '[1, "a", null]'),
            ((1, 2), "[1, 2]"),
            ({7}, "[7]"),
            (frozenset({7}), "[7]"),
            (b"raw", "\"b'raw'\""),
            (Model(name="Ann", day=date(2026, 1, 2)), '{"name": "Ann", "day": "2026-01-02"}'),
            (Data("Ann", Data("Bob")), '{"name": "Ann", "inner": {"name": "Bob", "inner": null}}'),
            (Record("Ann", {Data("Bob").name: {1}}), '{"name": "Ann", "inner": {"Bob": [1]}}'),
            ([Model(name="Ann", day=date(2026, 1, 2))], '[{"name": "Ann", "day": "2026-01-02"}]'),
            (MappingProxyType({"a": 1}), '{"a": 1}'),
            (Mood.GOOD, '"good"'),
            (Decimal("1.10"), '"1.10"'),
            (date(2026, 1, 2), '"2026-01-02"'),
            ({1: "int keys are words"}, '{"1": "int keys are words"}'),
        ],
    )
    def test_results_of_every_type(self, output: Any, text: str) -> None:
        assert tool_output_text(output) == text

    @pytest.mark.parametrize("output", [Model, Data, Record, Mood, object()])
    def test_classes_and_strangers_are_told_as_their_str(self, output: Any) -> None:
        assert json.loads(tool_output_text(output)) == str(output)

    def test_what_json_can_not_hold_is_told_as_its_str(self) -> None:
        circle: list[Any] = []
        circle.append(circle)
        assert tool_output_text(circle) == "[[...]]"
        assert tool_output_text({("a", 1): 2}) == "{('a', 1): 2}"

    def test_lone_surrogates_become_escapes(self) -> None:
        assert tool_output_text("file\udcff.txt") == "file\\udcff.txt"
        assert tool_output_text({"name": "\ud800"}) == '{"name": "\\ud800"}'

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.characters(),
            lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text() | st.integers(), inner),
        )
    )
    def test_any_result_is_text_that_a_wire_carries(self, output: Any) -> None:
        text = tool_output_text(output)
        assert text.encode().decode() == text

    def test_mappings_of_other_kinds(self) -> None:
        class Lazy(Mapping[str, int]):
            def __getitem__(self, key: str) -> int:
                return {"a": 1}[key]

            def __iter__(self) -> Any:
                return iter(["a"])

            def __len__(self) -> int:
                return 1

        assert tool_output_text(Lazy()) == '{"a": 1}'
