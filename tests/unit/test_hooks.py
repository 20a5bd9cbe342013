"""Hooks: which are called, with what, in which order, and what happens when one fails."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jackfield import (
    RealtimeAgent,
    RealtimeAgentHooks,
    RealtimeRunHooks,
    RealtimeRunner,
    RealtimeSession,
    RunContextWrapper,
    ToolContext,
    ToolGuardrailFunctionOutput,
    ToolInputGuardrailData,
    UserMessageItem,
    function_tool,
    realtime_handoff,
    tool_input_guardrail,
)
from jackfield.errors import ConfigurationError, ListenerError
from support.clock import advance, settle, timeless
from support.memory_wire import (
    MemoryWire,
    call_turn,
    memory_transport,
    open_session,
    read_until,
    response_done,
    text_turn,
    user_item,
)

RUN = ("on_agent_start", "on_agent_end", "on_handoff", "on_tool_start", "on_tool_end", "on_llm_start", "on_llm_end")
AGENT = ("on_start", "on_end", "on_handoff", "on_tool_start", "on_tool_end", "on_llm_start", "on_llm_end")

Log = list[tuple[str, str, tuple[Any, ...]]]


def recording(base: type, names: tuple[str, ...], who: str, log: Log, *, sync: bool) -> Any:
    """Return hooks that note who was called for what."""

    def of(name: str) -> Any:
        def hook(self: Any, *arguments: Any) -> None:
            log.append((who, name, arguments))

        async def hook_on_the_loop(self: Any, *arguments: Any) -> None:
            await asyncio.sleep(0)
            log.append((who, name, arguments))

        return hook if sync else hook_on_the_loop

    return type("Recording", (base,), {name: of(name) for name in names})()


def run_hooks(log: Log, *, sync: bool = False) -> RealtimeRunHooks[Any]:
    hooks = recording(RealtimeRunHooks, RUN, "run", log, sync=sync)
    assert isinstance(hooks, RealtimeRunHooks)
    return hooks


def agent_hooks(name: str, log: Log, *, sync: bool = False) -> RealtimeAgentHooks[Any]:
    hooks = recording(RealtimeAgentHooks, AGENT, name, log, sync=sync)
    assert isinstance(hooks, RealtimeAgentHooks)
    return hooks


def names(log: Log) -> list[str]:
    return [f"{who}.{name}" for who, name, _ in log]


@function_tool
async def ping() -> str:
    return "pong"


@function_tool
async def fail() -> None:
    raise LookupError("no such city")


BOTH = pytest.mark.parametrize("sync", [True, False], ids=["functions", "coroutine functions"])


class TestOrder:
    @BOTH
    @timeless
    async def test_of_a_response_those_of_the_run_first(self, sync: bool) -> None:
        log: Log = []
        agent = RealtimeAgent("Helper", instructions="Be kind.", hooks=agent_hooks("agent", log, sync=sync))
        async with open_session(agent, hooks=run_hooks(log, sync=sync), context="ours") as (session, far):
            far.send(*user_item("user_1", "Hello?"), *text_turn("resp_1", "item_1", previous="user_1"))
            await settle()
            assert names(log) == [
                "run.on_agent_start",
                "agent.on_start",
                "run.on_llm_start",
                "agent.on_llm_start",
                "run.on_llm_end",
                "agent.on_llm_end",
                "run.on_agent_end",
                "agent.on_end",
            ]
            for _, name, arguments in log:
                context, subject, *rest = arguments
                assert context is session.context
                assert isinstance(context, RunContextWrapper)
                assert subject is agent
                match name:
                    case "on_llm_start":
                        instructions, items = rest
                        assert instructions == "Be kind."
                        assert [type(item) for item in items] == [UserMessageItem]
                    case "on_llm_end":
                        (done,) = rest
                        assert (done.type, done.response_id, done.status) == ("turn_done", "resp_1", "completed")
                    case "on_agent_end" | "on_end":
                        assert rest == ["Hello there."]
                    case _:
                        assert rest == []

    @BOTH
    @timeless
    async def test_of_a_call_around_its_tool(self, sync: bool) -> None:
        log: Log = []

        @function_tool
        async def look(city: str) -> str:
            log.append(("tool", "runs", ()))
            return f"Sunny in {city}"

        agent = RealtimeAgent("Helper", tools=[look], hooks=agent_hooks("agent", log, sync=sync))
        async with open_session(agent, hooks=run_hooks(log, sync=sync)) as (session, far):
            for kind in ("tool_start", "tool_end"):
                session.on(kind, lambda event: log.append(("session", event.type, ())))
            far.send(*call_turn("resp_1", ("call_1", "look", '{"city": "Rome"}')))
            await settle()
            assert [name for name in names(log) if "tool" in name] == [
                "session.tool_start",
                "run.on_tool_start",
                "agent.on_tool_start",
                "tool.runs",
                "run.on_tool_end",
                "agent.on_tool_end",
                "session.tool_end",
            ]
            for _, name, arguments in log:
                if name in {"on_tool_start", "on_tool_end"}:
                    context, subject, tool, *rest = arguments
                    assert isinstance(context, ToolContext)
                    assert (context.tool_call_id, context.tool_arguments) == ("call_1", '{"city": "Rome"}')
                    assert (subject, tool) == (agent, look)
                    assert rest == (["Sunny in Rome"] if name == "on_tool_end" else [])

    @BOTH
    @pytest.mark.parametrize("how", ["by the model", "by the application"])
    @timeless
    async def test_of_a_handoff_that_of_the_target(self, sync: bool, how: str) -> None:
        log: Log = []
        billing = RealtimeAgent("Billing", hooks=agent_hooks("billing", log, sync=sync))
        front = RealtimeAgent("Front", handoffs=[billing], hooks=agent_hooks("front", log, sync=sync))
        async with open_session(front, hooks=run_hooks(log, sync=sync)) as (session, far):
            session.on("handoff", lambda event: log.append(("session", "handoff", ())))
            if how == "by the model":
                far.send(*call_turn("resp_1", ("call_1", "transfer_to_billing", "{}")))
            else:
                await session.update_agent(billing)
            await settle()
            handoffs = [entry for entry in log if "handoff" in entry[1]]
            assert names(handoffs) == ["session.handoff", "run.on_handoff", "billing.on_handoff"]
            assert handoffs[1][2] == (session.context, front, billing)
            assert handoffs[2][2] == (session.context, billing, front)
            far.send(*text_turn("resp_2", "item_2"))
            await settle()
            assert names(log)[-8:] == [
                "run.on_agent_start",
                "billing.on_start",
                "run.on_llm_start",
                "billing.on_llm_start",
                "run.on_llm_end",
                "billing.on_llm_end",
                "run.on_agent_end",
                "billing.on_end",
            ]

    @timeless
    async def test_of_the_events_however_long_one_takes(self) -> None:
        log: Log = []

        class Slow(RealtimeRunHooks[Any]):
            async def on_agent_start(self, *arguments: Any) -> None:
                await asyncio.sleep(60)
                log.append(("slow", "on_agent_start", ()))

        agent = RealtimeAgent("Helper", hooks=agent_hooks("agent", log))
        async with open_session(agent, hooks=Slow()) as (session, far):
            far.send(*text_turn("resp_1", "item_1"))
            await read_until(session, "agent_end")  # nothing of the conversation waits for it
            await advance(59)
            assert log == []
            await advance(1)
            assert names(log) == [
                "slow.on_agent_start",
                "agent.on_start",
                "agent.on_llm_start",
                "agent.on_llm_end",
                "agent.on_end",
            ]

    @timeless
    async def test_a_tool_waits_for_its_start_and_its_output_for_its_end(self) -> None:
        log: Log = []

        class Slow(RealtimeRunHooks[Any]):
            async def on_tool_start(self, *arguments: Any) -> None:
                await asyncio.sleep(10)

            async def on_tool_end(self, *arguments: Any) -> None:
                await asyncio.sleep(10)

        @function_tool
        async def note() -> None:
            log.append(("tool", "runs", ()))

        async with open_session(RealtimeAgent("Helper", tools=[note]), hooks=Slow()) as (_, far):
            far.send(*call_turn("resp_1", ("call_1", "note", "{}")))
            await advance(9)
            assert log == []
            await advance(1)
            assert names(log) == ["tool.runs"]
            await advance(9)
            assert "conversation.item.create" not in far.types
            await advance(1)
            assert "conversation.item.create" in far.types

    @timeless
    async def test_a_response_that_was_cut_ends_too(self) -> None:
        log: Log = []
        async with open_session(hooks=run_hooks(log)) as (_, far):
            far.send(text_turn("resp_1", "item_1")[0], response_done("resp_1", status="cancelled"))
            await settle()
            ends = {name: arguments for _, name, arguments in log if name.endswith("_end")}
            assert list(ends) == ["on_llm_end", "on_agent_end"]
            assert ends["on_llm_end"][2].status == "cancelled"
            assert ends["on_agent_end"][2] == ""


class TestEveryToolThatStartsEnds:
    @pytest.mark.parametrize(
        ("name", "result"),
        [
            ("ping", "pong"),
            ("fail", "An error occurred while running the tool. Please try again. Error: no such city"),
            ("slow", "Tool 'slow' timed out after 60 seconds."),
        ],
    )
    @timeless
    async def test_with_what_the_model_is_told(self, name: str, result: str) -> None:
        @function_tool(timeout=60)
        async def slow() -> None:
            await asyncio.Event().wait()

        log: Log = []
        async with open_session(RealtimeAgent("Helper", tools=[ping, fail, slow]), hooks=run_hooks(log)) as (_, far):
            far.send(*call_turn("resp_1", ("call_1", name, "{}")))
            await advance(60)
            ends = [arguments[3] for _, name, arguments in log if name == "on_tool_end"]
            assert ends == [result]
            assert names(log).count("run.on_tool_start") == 1

    @timeless
    async def test_one_that_never_started_has_none(self) -> None:
        @tool_input_guardrail
        async def no(data: ToolInputGuardrailData) -> ToolGuardrailFunctionOutput:
            return ToolGuardrailFunctionOutput.reject_content("no")

        @function_tool(needs_approval=True)
        async def asked() -> None: ...

        @function_tool(tool_input_guardrails=[no])
        async def stopped() -> None: ...

        log: Log = []
        async with open_session(RealtimeAgent("Helper", tools=[asked, stopped]), hooks=run_hooks(log)) as (
            session,
            far,
        ):
            far.send(*call_turn("resp_1", ("call_1", "asked", "{}"), ("call_2", "stopped", "{}")))
            await read_until(session, "tool_approval_required")
            await session.reject_tool_call("call_1")
            await far.received("response.create")
            await settle()
            assert [name for name in names(log) if "tool" in name] == []


class TestFailing:
    @pytest.mark.parametrize("failure", [LookupError("no dashboard, Bearer abc"), asyncio.CancelledError()])
    @pytest.mark.parametrize("broken", ["on_agent_start", "on_llm_start", "on_tool_start", "on_tool_end", "on_llm_end"])
    @timeless
    async def test_one_that_raises_is_told_and_costs_nothing_else(self, broken: str, failure: BaseException) -> None:
        log: Log = []

        async def raising(self: Any, *arguments: Any) -> None:
            raise failure

        raising.__name__, raising.__qualname__ = broken, f"Broken.{broken}"
        hooks = type("Broken", (RealtimeRunHooks,), {broken: raising})()
        agent = RealtimeAgent("Helper", tools=[ping], hooks=agent_hooks("agent", log))
        async with open_session(agent, hooks=hooks) as (session, far):
            errors: list[Any] = []
            session.on("error", lambda event: errors.append(event.error))
            far.send(*call_turn("resp_1", ("call_1", "ping", "{}")))
            await settle()
            (error,) = errors
            assert isinstance(error, ListenerError)
            assert f"the hook Broken.{broken} raised" in str(error)
            assert "Bearer abc" not in str(error)
            assert (error.event_type, error.__cause__) == (broken, failure)
            assert far.frames[-2]["item"]["output"] == "pong"
            assert far.types[-1] == "response.create"
            assert sorted(names(log)) == sorted(
                f"agent.{name}"
                for name in ("on_start", "on_llm_start", "on_tool_start", "on_tool_end", "on_llm_end", "on_end")
            )

    @pytest.mark.parametrize("hooks", [RealtimeAgentHooks(), RealtimeRunHooks, print, object()])
    def test_what_are_no_hooks_of_a_run(self, hooks: Any) -> None:
        agent = RealtimeAgent("Helper")
        with pytest.raises(ConfigurationError, match="RealtimeRunHooks"):
            RealtimeSession(agent, transport=memory_transport(MemoryWire()), hooks=hooks)

    @pytest.mark.parametrize("hooks", [RealtimeRunHooks(), RealtimeAgentHooks, print, object()])
    def test_what_are_no_hooks_of_an_agent(self, hooks: Any) -> None:
        with pytest.raises(ConfigurationError, match="RealtimeAgentHooks"):
            RealtimeAgent("Helper", hooks=hooks)


class TestWhatAHookMayDo:
    @timeless
    async def test_it_may_use_the_session(self) -> None:
        class Polite(RealtimeRunHooks[Any]):
            async def on_tool_start(self, *arguments: Any) -> None:
                await session.send_message("One moment.", trigger_response=False)

            async def on_agent_end(self, *arguments: Any) -> None:
                await session.update_agent(second)

        second = RealtimeAgent("Second")
        async with open_session(RealtimeAgent("Helper", tools=[ping]), hooks=Polite()) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "ping", "{}")))
            await settle()
            kinds = [frame["item"]["type"] for frame in far.frames if "item" in frame]
            assert kinds == ["message", "function_call_output"]
            assert session.current_agent is second

    @timeless
    async def test_it_may_close_the_session(self) -> None:
        class Final(RealtimeRunHooks[Any]):
            async def on_agent_end(self, *arguments: Any) -> None:
                await session.close()

        async with open_session(hooks=Final()) as (session, far):
            far.send(*text_turn("resp_1", "item_1"))
            events = [event.type async for event in session]
            assert "agent_end" in events
            assert "error" not in events
            assert far.gone.is_set()

    @timeless
    async def test_one_that_waits_when_the_session_is_closed_is_cancelled(self) -> None:
        ended: list[str] = []

        class Endless(RealtimeRunHooks[Any]):
            async def on_agent_start(self, *arguments: Any) -> None:
                try:
                    await asyncio.Event().wait()
                finally:
                    ended.append("cancelled")

        async with open_session(hooks=Endless()) as (session, far):
            errors: list[Any] = []
            session.on("error", errors.append)
            far.send(*text_turn("resp_1", "item_1"))
            await settle()
        assert (ended, errors) == (["cancelled"], [])


class TestRunner:
    @timeless
    async def test_its_hooks_are_every_runs(self) -> None:
        log: Log = []
        wires = [MemoryWire(), MemoryWire()]
        transports = iter(wires)
        runner = RealtimeRunner(
            RealtimeAgent("Helper"), transport=lambda: memory_transport(next(transports)), hooks=run_hooks(log)
        )
        for wire in wires:
            async with await runner.run():
                far = await wire.dialled()
                far.send(*text_turn("resp_1", "item_1"))
                await settle()
        assert names(log).count("run.on_agent_end") == 2


@timeless
async def test_where_there_are_none_only_the_others_are_called() -> None:
    log: Log = []
    silent = RealtimeAgent("Silent", tools=[ping])
    front = RealtimeAgent(
        "Front", hooks=agent_hooks("front", log), handoffs=[realtime_handoff(silent, tool_name_override="go")]
    )
    async with open_session(front) as (_, far):
        far.send(*call_turn("resp_1", ("call_1", "go", "{}")))
        await settle()
        far.send(*call_turn("resp_2", ("call_2", "ping", "{}")))
        await settle()
        assert names(log) == ["front.on_start", "front.on_llm_start", "front.on_llm_end", "front.on_end"]
