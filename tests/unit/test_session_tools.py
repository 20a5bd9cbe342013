"""Tool calls in a session: each gets exactly one output, and all of a response's are answered by one request."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from jackfield import FunctionTool, RealtimeAgent, RunContextWrapper, ToolContext, function_tool
from jackfield.errors import ProtocolError, ToolError
from support.memory_wire import FarEnd, call_turn, open_session, outputs, read_until, response_done, text_turn


@function_tool
def add(first: int, second: int) -> int:
    """Add."""
    return first + second


ADD = '{"first": 2, "second": 2}'


def agent_with(*tools: FunctionTool) -> RealtimeAgent:
    return RealtimeAgent("Helper", tools=list(tools))


async def output_of(far: FarEnd, tool: FunctionTool, arguments: str = "{}") -> str:
    """Have the model call `tool` and return what it is told."""
    far.send(*call_turn("resp_1", ("call_1", tool.name, arguments)))
    return (await outputs(far))["call_1"]


class TestACall:
    async def test_output_then_request_then_the_events(self) -> None:
        agent = agent_with(add)
        async with open_session(agent) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "add", ADD)))
            events = await read_until(session, "tool_end")
            await far.received("response.create")
            assert far.types == ["session.update", "conversation.item.create", "response.create"]
            assert await outputs(far) == {"call_1": "4"}
            (start,) = [event for event in events if event.type == "tool_start"]
            end = events[-1]
            for event in (start, end):
                assert (event.agent, event.tool, event.arguments, event.call_id) == (agent, add, ADD, "call_1")
            assert end.output == 4
            (item,) = session.history
            assert (item.name, item.arguments, item.output, item.status) == ("add", ADD, "4", "completed")

    async def test_the_request_waits_for_the_responses_end(self) -> None:
        async with open_session(agent_with(add)) as (session, far):
            turn = call_turn("resp_1", ("call_1", "add", ADD))
            far.send(*turn[:-1])
            await read_until(session, "tool_end")
            await far.heard()
            assert "response.create" not in far.types
            far.send(turn[-1])
            await far.received("response.create")

    async def test_a_call_that_is_told_many_times_runs_once(self) -> None:
        runs: list[int] = []

        @function_tool
        def count() -> None:
            runs.append(1)

        async with open_session(agent_with(count)) as (session, far):
            turn = call_turn("resp_1", ("call_1", "count", "{}"))
            far.send(*turn[:-1], *turn[1:-1], turn[-1])
            await far.received("response.create")
            far.send(*text_turn("resp_2", "item_2"))
            await read_until(session, lambda event: getattr(event, "output", None) == "Hello there.")
            assert runs == [1]
            assert await outputs(far) == {"call_1": "null"}

    async def test_a_call_that_changes_is_refused(self) -> None:
        async with open_session(agent_with(add)) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "add", ADD)))
            await far.received("response.create")
            far.send(*call_turn("resp_2", ("call_1", "add", '{"first": 9, "second": 9}')))
            assert isinstance((await read_until(session, "error"))[-1].error, ProtocolError)
            assert await outputs(far) == {"call_1": "4"}

    async def test_what_a_tool_gets_to_know(self) -> None:
        seen: list[ToolContext[Any]] = []

        @function_tool
        async def look(context: ToolContext[dict[str, int]], n: int) -> int:
            seen.append(context)
            context.context["count"] += n
            return context.context["count"]

        @function_tool
        def bare(context: RunContextWrapper[dict[str, int]]) -> int:
            return context.context["count"]

        agent = agent_with(look, bare)
        application = {"count": 1}
        async with open_session(agent, context=application) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "look", '{"n": 2}')))
            assert await outputs(far) == {"call_1": "3"}
            await far.received("response.create")
            far.send(*call_turn("resp_2", ("call_2", "bare", "")))
            assert await outputs(far) == {"call_2": "3"}
            (context,) = seen
            assert (context.tool_name, context.tool_call_id, context.tool_arguments) == ("look", "call_1", '{"n": 2}')
            assert context.agent is agent
            assert context.run_context is session.context
        assert application == {"count": 3}


class TestSeveralCalls:
    async def test_are_answered_by_one_request(self) -> None:
        async with open_session(agent_with(add)) as (_, far):
            calls = [(f"call_{number}", "add", json.dumps({"first": number, "second": 1})) for number in range(4)]
            far.send(*call_turn("resp_1", *calls))
            await far.received("response.create")
            assert await outputs(far, 4) == {f"call_{number}": str(number + 1) for number in range(4)}
            assert far.types.count("response.create") == 1

    async def test_a_fast_one_is_sent_at_once_and_the_request_waits_for_the_slow_one(self) -> None:
        finish = asyncio.Event()

        @function_tool
        async def slow() -> str:
            await finish.wait()
            return "slow"

        async with open_session(agent_with(slow, add)) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "slow", "{}"), ("call_2", "add", ADD)))
            assert await outputs(far) == {"call_2": "4"}
            await read_until(session, "tool_end")
            assert "response.create" not in far.types
            finish.set()
            assert await outputs(far) == {"call_1": "slow"}
            await far.received("response.create")
            assert far.types.count("response.create") == 1

    async def test_the_user_meanwhile_gets_an_answer_and_the_tools_another(self) -> None:
        finish = asyncio.Event()

        @function_tool
        async def slow() -> str:
            await finish.wait()
            return "slow"

        async with open_session(agent_with(slow)) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "slow", "{}")))
            await read_until(session, "agent_end")
            await session.send_message("Are you there?")
            await far.received("response.create")
            finish.set()
            await read_until(session, "tool_end")
            assert far.types.count("response.create") == 1
            far.send(*text_turn("resp_2", "item_2"))
            await far.received("response.create")

    async def test_more_slow_ones_than_there_are_threads(self) -> None:
        gate = threading.Event()

        @function_tool
        def wait() -> str:
            gate.wait(30)
            return "waited"

        async with open_session(agent_with(wait)) as (_, far):
            far.send(*call_turn("resp_1", *((f"call_{number}", "wait", "{}") for number in range(40))))
            await far.heard()
            gate.set()
            assert set((await outputs(far, 40)).values()) == {"waited"}
            await far.received("response.create")


class TestWhereToolsRun:
    async def test_sync_ones_on_threads_of_the_sessions_own(self) -> None:
        loop = asyncio.get_running_loop()
        busy = threading.Event()
        pool = ThreadPoolExecutor(1)
        loop.set_default_executor(pool)
        blocked = loop.run_in_executor(None, busy.wait, 30)

        @function_tool
        def where() -> str:
            return threading.current_thread().name

        async with open_session(agent_with(where)) as (_, far):
            # The loop's default pool is full; media and name look-ups use it.
            name = await output_of(far, where)
        assert name.startswith("jackfield-tool")
        busy.set()
        await blocked

    async def test_a_sync_one_does_not_hold_up_the_conversation(self) -> None:
        gate = threading.Event()

        @function_tool
        def wait() -> None:
            gate.wait(30)

        async with open_session(agent_with(wait)) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "wait", "{}")), *text_turn("resp_2", "item_2"))
            await read_until(session, lambda event: getattr(event, "output", None) == "Hello there.")
            assert far.types == ["session.update"]
            gate.set()
            await outputs(far)

    async def test_async_ones_on_the_loop(self) -> None:
        @function_tool
        async def where() -> int:
            return threading.get_ident()

        async with open_session(agent_with(where)) as (_, far):
            assert await output_of(far, where) == str(threading.get_ident())

    async def test_a_tool_may_use_its_session(self) -> None:
        @function_tool
        async def announce() -> str:
            await session.send_message("And now:", trigger_response=False)
            return "announced"

        async with open_session(agent_with(announce)) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "announce", "{}")))
            assert (await far.received("conversation.item.create"))["item"]["type"] == "message"
            assert await outputs(far) == {"call_1": "announced"}
            await far.received("response.create")


class TestFailures:
    async def test_an_unknown_tool_is_answered_and_told_and_the_model_waits(self) -> None:
        async with open_session(agent_with(add)) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "subtract", "{}")))
            assert await outputs(far) == {"call_1": "Tool subtract not found"}
            error = (await read_until(session, "error"))[-1].error
            assert isinstance(error, ToolError)
            assert "'subtract', which agent 'Helper' has not: it has add" in str(error)
            await far.heard()
            assert "response.create" not in far.types
            await session.send_message("Well?")
            await far.received("response.create")

    async def test_an_unknown_tool_beside_a_known_one(self) -> None:
        finish = asyncio.Event()

        @function_tool
        async def slow() -> str:
            await finish.wait()
            return "slow"

        async with open_session(agent_with(slow)) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "slow", "{}"), ("call_2", "nothing", "{}")))
            await read_until(session, "error")
            finish.set()
            assert await outputs(far, 2) == {"call_1": "slow", "call_2": "Tool nothing not found"}
            await far.received("response.create")

    @pytest.mark.parametrize(
        ("sync", "failure", "words"),
        [
            (True, StopIteration("empty"), "StopIteration: empty"),
            *(
                (sync, failure, words)
                for sync in (True, False)
                for failure, words in (
                    (LookupError("no such city"), "no such city"),
                    (AssertionError(), "AssertionError"),
                    (TimeoutError("too slow"), "too slow"),
                    (ToolError("\udcff"), "\\udcff"),
                )
            ),
        ],
    )
    async def test_one_that_raises_tells_the_model_and_the_session_goes_on(
        self, sync: bool, failure: Exception, words: str
    ) -> None:
        def fail() -> None:
            raise failure

        async def fail_on_the_loop() -> None:
            raise failure

        tool = function_tool(name_override="fail")(fail if sync else fail_on_the_loop)
        async with open_session(agent_with(tool)) as (session, far):
            output = await output_of(far, tool)
            assert output.startswith("An error occurred while running the tool. Please try again. Error: ")
            assert words in output
            await far.received("response.create")
            end = (await read_until(session, "tool_end"))[-1]
            assert "An error occurred" in end.output

    @pytest.mark.parametrize("arguments", ['{"first": "two"}', "{", "[]", "", "null"])
    async def test_arguments_that_do_not_fit_are_explained(self, arguments: str) -> None:
        async with open_session(agent_with(add)) as (_, far):
            output = await output_of(far, add, arguments)
            assert "Please try again. Error: the arguments of add are not valid: " in output
            await far.received("response.create")

    async def test_something_inside_that_was_cancelled_is_a_failure_like_others(self) -> None:
        @function_tool
        async def fragile() -> None:
            inner = asyncio.create_task(asyncio.Event().wait())
            await asyncio.sleep(0)
            inner.cancel()
            await inner

        async with open_session(agent_with(fragile)) as (_, far):
            assert "it was cancelled" in await output_of(far, fragile)
            await far.received("response.create")

    async def test_a_result_that_json_can_not_hold_is_not_lost(self) -> None:
        @function_tool
        def odd() -> Any:
            return {("a", "b"): 1}

        async with open_session(agent_with(odd)) as (session, far):
            assert await output_of(far, odd) == "{('a', 'b'): 1}"
            await far.received("response.create")
            assert (await read_until(session, "tool_end"))[-1].output == {("a", "b"): 1}

    async def test_a_tool_made_by_hand_that_raises(self) -> None:
        async def invoke(context: ToolContext[Any], arguments: str) -> Any:
            raise OSError(f"no disk for {arguments}")

        tool = FunctionTool(name="save", description="", params_json_schema={}, on_invoke_tool=invoke)
        async with open_session(agent_with(tool)) as (_, far):
            assert "no disk for {x" in await output_of(far, tool, "{x")

    async def test_a_connection_that_ends_meanwhile_is_no_error_of_the_tools(self) -> None:
        started, finish = asyncio.Event(), asyncio.Event()

        @function_tool
        async def slow() -> str:
            started.set()
            await finish.wait()
            return "slow"

        async with open_session(agent_with(slow)) as (session, far):
            errors: list[Any] = []
            session.on("error", errors.append)
            far.send(*call_turn("resp_1", ("call_1", "slow", "{}")))
            await started.wait()
            far.close()
            async for _ in session:
                pass
            finish.set()
            assert errors == []

    async def test_a_response_that_was_cancelled_with_its_calls_half_done(self) -> None:
        async with open_session(agent_with(add)) as (session, far):
            turn = call_turn("resp_1", ("call_1", "add", ADD))
            far.send(*turn[:4], response_done("resp_1", status="cancelled"))
            await read_until(session, "agent_end")
            await far.heard()
            assert far.types == ["session.update"]
