"""MCP tools as an agent gets them: filters, names, schemas, arguments and results. The server is a list in memory."""

from __future__ import annotations

import asyncio
import json
import string
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
    Tool,
)

from jackfield import FunctionTool, RealtimeAgent, RunContextWrapper, ToolContext
from jackfield.errors import ConfigurationError, ToolError
from jackfield.mcp import MCPServer, ToolFilter, mcp_function_tools
from jackfield.tools import default_tool_error_function

CONTEXT: RunContextWrapper[Any] = RunContextWrapper("the application's")
AGENT: RealtimeAgent[Any] = RealtimeAgent("Helper")
DONE = CallToolResult(content=[TextContent(text="done")])


class ListedServer(MCPServer):
    """Has these tools, and answers every call with `result`."""

    def __init__(
        self,
        *tools: str | Tool,
        name: str = "shop",
        tool_filter: ToolFilter | None = None,
        result: CallToolResult = DONE,
        failure: Exception | None = None,
    ) -> None:
        self.tools = [
            Tool(name=tool, input_schema={"type": "object"}) if isinstance(tool, str) else tool for tool in tools
        ]
        self.tool_filter = tool_filter
        self.result = result
        self.failure = failure
        self.calls: list[tuple[str, dict[str, Any] | None]] = []
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    async def connect(self) -> None:
        pass

    async def cleanup(self) -> None:
        pass

    async def list_tools(self) -> list[Tool]:
        if self.failure is not None:
            raise self.failure
        return list(self.tools)

    async def call_tool(self, name: str, arguments: dict[str, Any] | None) -> CallToolResult:
        self.calls.append((name, arguments))
        return self.result


async def tools_of(*servers: MCPServer, **config: Any) -> list[FunctionTool]:
    return await mcp_function_tools(servers, CONTEXT, AGENT, config)


async def names_of(*servers: MCPServer, **config: Any) -> list[str]:
    return [tool.name for tool in await tools_of(*servers, **config)]


async def invoke(tool: FunctionTool, arguments: str = "{}") -> Any:
    context: ToolContext[Any] = ToolContext(
        run_context=CONTEXT, tool_name=tool.name, tool_call_id="call_1", tool_arguments=arguments
    )
    return await tool.on_invoke_tool(context, arguments)


class TestTheTool:
    async def test_what_the_model_is_told(self) -> None:
        schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
        [tool] = await tools_of(ListedServer(Tool(name="weather", description="In a city.", input_schema=schema)))
        assert tool.to_wire() == {
            "type": "function",
            "name": "weather",
            "description": "In a city.",
            "parameters": schema,
        }

    async def test_a_title_describes_where_nothing_else_does(self) -> None:
        titled = Tool(name="a", title="The weather", input_schema={"type": "object"})
        assert [tool.description for tool in await tools_of(ListedServer(titled, "b"))] == ["The weather", ""]

    async def test_a_schema_without_properties_gets_some(self) -> None:
        [tool] = await tools_of(ListedServer("now"))
        assert tool.params_json_schema == {"type": "object", "properties": {}}

    async def test_a_call_goes_to_its_server_under_its_own_name(self) -> None:
        shop, bank = ListedServer("items.list"), ListedServer("pay", name="bank")
        tools = await tools_of(shop, bank, include_server_in_tool_names=True)
        assert await invoke(tools[0], '{"n": 1}') == "done"
        assert (shop.calls, bank.calls) == ([("items.list", {"n": 1})], [])

    async def test_no_servers_no_tools(self) -> None:
        assert await tools_of() == []
        assert await mcp_function_tools([], CONTEXT, AGENT) == []

    async def test_failures_are_told_as_those_of_any_tool(self) -> None:
        def explain(context: ToolContext[Any], error: Exception) -> str:
            return f"sorry: {error}"

        async def told(**config: Any) -> Any:
            return (await tools_of(ListedServer("pay"), **config))[0].failure_error_function

        assert await told() is default_tool_error_function
        assert await told(failure_error_function=explain) is explain
        assert await told(failure_error_function=None) is None


class TestFilters:
    SERVER_TOOLS = ("read", "write", "erase")

    @pytest.mark.parametrize(
        ("tool_filter", "left"),
        [
            (None, ["read", "write", "erase"]),
            ({}, ["read", "write", "erase"]),
            ({"allowed_tool_names": ["write", "read"]}, ["read", "write"]),
            ({"allowed_tool_names": []}, []),
            ({"blocked_tool_names": ["erase", "format"]}, ["read", "write"]),
            ({"allowed_tool_names": ["read", "erase"], "blocked_tool_names": ["erase"]}, ["read"]),
            (lambda context, agent, tool: "e" not in tool.name[:1], ["read", "write"]),
        ],
    )
    async def test_what_is_left(self, tool_filter: Any, left: list[str]) -> None:
        assert await names_of(ListedServer(*self.SERVER_TOOLS, tool_filter=tool_filter)) == left

    async def test_an_async_function_is_told_who_asks(self) -> None:
        asked = []

        async def only_reading(context: RunContextWrapper[Any], agent: RealtimeAgent[Any], tool: Tool) -> bool:
            await asyncio.sleep(0)
            asked.append((context, agent))
            return tool.name == "read"

        assert await names_of(ListedServer(*self.SERVER_TOOLS, tool_filter=only_reading)) == ["read"]
        assert asked == [(CONTEXT, AGENT)] * 3

    async def test_one_that_raises_is_heard(self) -> None:
        def broken(*_: Any) -> bool:
            raise LookupError("no such user")

        with pytest.raises(LookupError, match="no such user"):
            await names_of(ListedServer("read", tool_filter=broken))

    async def test_names_are_the_servers_own(self) -> None:
        server = ListedServer("read.all", tool_filter={"allowed_tool_names": ["read.all"]})
        assert await names_of(server, include_server_in_tool_names=True) == ["shop__read_all"]


class TestNames:
    async def test_with_the_server_in_front(self) -> None:
        servers = ListedServer("list", name="the shop: north"), ListedServer("list", name="bank")
        assert await names_of(*servers, include_server_in_tool_names=True) == ["the_shop__north__list", "bank__list"]

    async def test_long_names_stay_apart(self) -> None:
        server = ListedServer("a" * 80 + "1", "a" * 80 + "2", "b" * 64)
        first, second, fits = await names_of(server)
        assert first != second
        assert (len(first), first[:20], fits) == (64, "a" * 20, "b" * 64)

    @given(st.text(min_size=1, max_size=200), st.text(min_size=1, max_size=200), st.booleans())
    async def test_any_name_is_made_one_that_the_api_takes(self, server: str, tool: str, prefixed: bool) -> None:
        [name] = await names_of(ListedServer(tool, name=server), include_server_in_tool_names=prefixed)
        assert 1 <= len(name) <= 64
        assert set(name) <= set(string.ascii_letters + string.digits + "_-")

    @given(st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True))
    async def test_a_name_that_it_takes_is_left_alone(self, tool: str) -> None:
        assert await names_of(ListedServer(tool)) == [tool]

    async def test_two_servers_with_one_name_of_a_tool(self) -> None:
        with pytest.raises(ConfigurationError) as caught:
            await names_of(ListedServer("list", name="shop"), ListedServer("list", name="bank"))
        for words in ("'shop'", "'bank'", "'list'", "include_server_in_tool_names"):
            assert words in str(caught.value)

    async def test_two_servers_of_one_name(self) -> None:
        with pytest.raises(ConfigurationError, match="give the servers names of their own"):
            await names_of(ListedServer("list"), ListedServer("list"), include_server_in_tool_names=True)

    async def test_one_server_with_two_tools_that_would_be_named_alike(self) -> None:
        with pytest.raises(ConfigurationError, match=r"'a\.b' and 'a/b', that would both be called 'a_b'.*tool_filter"):
            await names_of(ListedServer("a.b", "a/b"))

    async def test_a_filter_settles_it(self) -> None:
        other = ListedServer("list", name="bank", tool_filter={"blocked_tool_names": ["list"]})
        assert await names_of(ListedServer("list"), other) == ["list"]


class TestArguments:
    @pytest.mark.parametrize("arguments", ["{", "", "[]", "null", '"text"', "[" * 100_000])
    async def test_those_that_are_none_are_explained_and_not_sent(self, arguments: str) -> None:
        server = ListedServer("pay")
        [tool] = await tools_of(server)
        with pytest.raises(ToolError, match="the arguments of pay are not valid: ") as caught:
            await invoke(tool, arguments)
        assert len(str(caught.value)) < 200
        assert server.calls == []


class TestResults:
    async def text_of(self, *content: ContentBlock, **result: Any) -> Any:
        server = ListedServer("look", result=CallToolResult(content=list(content), **result))
        return await invoke((await tools_of(server))[0])

    async def test_texts_are_joined(self) -> None:
        assert await self.text_of(TextContent(text="one"), TextContent(text="zwei €")) == "one\nzwei €"

    async def test_a_text_says_it_all(self) -> None:
        assert await self.text_of(TextContent(text="3 °C"), structured_content={"celsius": 3}) == "3 °C"

    async def test_structured_content_where_there_is_no_text(self) -> None:
        assert await self.text_of(structured_content={"city": "Köln", "celsius": [3, None]}) == (
            '{"city": "Köln", "celsius": [3, null]}'
        )

    async def test_a_text_file_is_text(self) -> None:
        file = EmbeddedResource(resource=TextResourceContents(uri="file:///a.txt", text="inside"))
        assert await self.text_of(TextContent(text="look:"), file) == "look:\ninside"

    async def test_the_rest_is_described_and_never_spelled_out(self) -> None:
        data = "AAAA" * 100
        described = await self.text_of(
            TextContent(text="see"),
            ImageContent(data=data, mime_type="image/png"),
            AudioContent(data=data, mime_type="audio/wav"),
            EmbeddedResource(resource=BlobResourceContents(uri="file:///b.bin", blob=data)),
            ResourceLink(uri="https://example.com/c", name="c", description="A page"),
        )
        text, *others = described.split("\n")
        assert text == "see"
        assert [json.loads(other) for other in others] == [
            {"type": "image", "mimeType": "image/png", "bytes": 300},
            {"type": "audio", "mimeType": "audio/wav", "bytes": 300},
            {"type": "resource", "uri": "file:///b.bin", "bytes": 300},
            {"type": "resource_link", "uri": "https://example.com/c", "name": "c", "description": "A page"},
        ]

    async def test_a_picture_with_structured_content(self) -> None:
        image = ImageContent(data="AAAA", mime_type="image/png")
        lines = (await self.text_of(image, structured_content=[1])).split("\n")
        assert (lines[0], json.loads(lines[1])["type"]) == ("[1]", "image")

    async def test_nothing_is_nothing(self) -> None:
        assert await self.text_of() == ""

    async def test_an_error_is_raised_in_the_servers_words(self) -> None:
        with pytest.raises(ToolError, match=r"^no such city$"):
            await self.text_of(TextContent(text="no such city"), is_error=True)
        with pytest.raises(ToolError, match="look failed and does not say why"):
            await self.text_of(is_error=True)


class TestAsking:
    async def test_servers_are_asked_at_the_same_time(self) -> None:
        met = asyncio.Barrier(3)

        class Meeting(ListedServer):
            async def list_tools(self) -> list[Tool]:
                await met.wait()
                return await super().list_tools()

        async with asyncio.timeout(30):
            assert await names_of(*(Meeting(name) for name in "abc")) == ["a", "b", "c"]

    async def test_the_first_failure_is_raised_as_itself_and_ends_the_asking(self) -> None:
        ended = []

        class Waiting(ListedServer):
            async def list_tools(self) -> list[Tool]:
                try:
                    await asyncio.Event().wait()
                finally:
                    ended.append(self.name)
                raise AssertionError

        failure = ToolError("gone")
        with pytest.raises(ToolError) as caught:
            await names_of(Waiting(name="slow"), ListedServer(failure=failure))
        assert caught.value is failure
        assert ended == ["slow"]

    @pytest.mark.parametrize(
        ("config", "words"),
        [
            ({"include_server_in_tool_name": True}, "did you mean 'include_server_in_tool_names'"),
            ({"include_server_in_tool_names": "yes"}, "include_server_in_tool_names is True or False"),
            ({"convert_schemas_to_strict": None}, "convert_schemas_to_strict is True or False"),
            ({"failure_error_function": "sorry"}, "failure_error_function is a function"),
            ("strict", "mcp_config is a dictionary"),
        ],
    )
    async def test_a_config_without_a_meaning(self, config: Any, words: str) -> None:
        with pytest.raises(ConfigurationError, match=words):
            await mcp_function_tools([], CONTEXT, AGENT, config)


class TestStrict:
    SCHEMA: Mapping[str, Any] = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}, "near": {"type": ["string", "null"]}},
        "required": ["city"],
    }

    async def strict(self, schema: Mapping[str, Any]) -> tuple[ListedServer, FunctionTool]:
        server = ListedServer(Tool(name="weather", input_schema=dict(schema)))
        [tool] = await tools_of(server, convert_schemas_to_strict=True)
        return server, tool

    async def test_closed_and_all_required(self) -> None:
        _, tool = await self.strict(self.SCHEMA)
        assert tool.params_json_schema == {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
                "near": {"type": ["string", "null"]},
            },
            "required": ["city", "days", "near"],
            "additionalProperties": False,
        }

    async def test_a_null_that_the_server_does_not_know_is_left_out(self) -> None:
        server, tool = await self.strict(self.SCHEMA)
        await invoke(tool, '{"city": "Bonn", "days": null, "near": null}')
        assert server.calls == [("weather", {"city": "Bonn", "near": None})]

    async def test_what_can_not_be_strict_is_left_as_it_is(self) -> None:
        schema = {"type": "object", "properties": {"any": {"type": "object", "additionalProperties": True}}}
        server, tool = await self.strict(schema)
        assert tool.params_json_schema == schema
        await invoke(tool, '{"any": null}')
        assert server.calls == [("weather", {"any": None})]

    async def test_the_servers_schema_is_not_changed(self) -> None:
        before = json.dumps(self.SCHEMA)
        server, _ = await self.strict(self.SCHEMA)
        assert json.dumps(server.tools[0].input_schema) == before
