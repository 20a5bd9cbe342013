"""Spans: their names, attributes and parents, when they begin and end, and what they say of failures."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from jackfield import (
    ConfigurationError,
    GuardrailFunctionOutput,
    RealtimeAgent,
    RealtimeSession,
    function_tool,
    output_guardrail,
)
from jackfield.errors import ConnectRefusedError, ProviderError, TransportError
from jackfield.testing import Call, Disconnect, Finish, Played, Say, Turn, UserSays
from jackfield.transport.events import Error, McpToolCallCompleted, TurnStarted, Usage
from jackfield.transport.items import McpCallItem
from jackfield_otel import observer


@function_tool
def get_weather(city: str) -> str:
    return f"Sunny in {city}"


@function_tool
async def wait_for_ever() -> None:
    await asyncio.Event().wait()


USAGE = Usage(
    1,
    30,
    20,
    50,
    {"text_tokens": 10, "audio_tokens": 20, "cached_tokens": 6, "cached_tokens_details": {"audio_tokens": 6}},
    {"text_tokens": 5, "audio_tokens": 15},
)


class TestTheTree:
    async def test_of_a_conversation(self, telemetry: Any) -> None:
        far_end = telemetry.far_end()
        async with telemetry.session(far_end, RealtimeAgent("Greeter", tools=[get_weather])):
            far_end.emit(UserSays("What is the weather?"), Call("get_weather", {"city": "Paris"}))
            await far_end.expect_call("request_response")
            far_end.emit(Say("It is sunny."))
        assert telemetry.tree() == [
            ("invoke_agent Greeter", None),
            ("chat gpt-realtime", "invoke_agent Greeter"),
            ("execute_tool get_weather", "chat gpt-realtime"),
            ("chat gpt-realtime", "invoke_agent Greeter"),
        ]
        assert [span.kind for span in telemetry.spans] == [
            SpanKind.INTERNAL,
            SpanKind.CLIENT,
            SpanKind.INTERNAL,
            SpanKind.CLIENT,
        ]
        assert {span.status.status_code for span in telemetry.spans} == {StatusCode.UNSET}

    async def test_begins_beneath_the_applications_span(self, telemetry: Any) -> None:
        tracer = telemetry.tracer_provider.get_tracer("application")
        far_end = telemetry.far_end()
        session = telemetry.session(far_end)
        with tracer.start_as_current_span("call"):
            await session.enter()
        far_end.emit(Say("Hello."))
        await session.close()
        assert telemetry.tree() == [
            ("call", None),
            ("invoke_agent Greeter", "call"),
            ("chat gpt-realtime", "invoke_agent Greeter"),
        ]

    async def test_begins_before_the_agent_is_prepared(self, telemetry: Any) -> None:
        async def instructions(context: Any, agent: Any) -> str:
            with telemetry.tracer_provider.get_tracer("application").start_as_current_span("look up the customer"):
                return "Greet the customer."

        async with telemetry.session(telemetry.far_end(), RealtimeAgent("Greeter", instructions=instructions)):
            pass
        assert [span.name for span in telemetry.spans] == ["invoke_agent Greeter", "look up the customer"]

    async def test_has_the_model_that_is_told_first(self, telemetry: Any) -> None:
        def created(model: str) -> Mapping[str, Any]:
            return {"type": "session.created", "session": {"model": model}}

        updated = {"type": "session.updated", "session": {"model": "none"}}
        far_end = telemetry.far_end(connect_events=[updated, created("gpt-one"), created("gpt-two")])
        async with telemetry.session(far_end):
            far_end.emit(Say("Hello."))
        assert telemetry.span("invoke_agent Greeter").attributes["gen_ai.request.model"] == "gpt-one"
        assert telemetry.span("chat gpt-one").attributes["gen_ai.request.model"] == "gpt-one"

    async def test_has_no_model_that_is_told_late(self, telemetry: Any) -> None:
        far_end = telemetry.far_end(connect_events=[])
        async with telemetry.session(far_end):
            far_end.emit(Say("Hello."), {"type": "session.created", "session": {"model": "gpt-realtime"}})
        assert "gen_ai.request.model" not in telemetry.span("invoke_agent Greeter").attributes

    async def test_without_a_word_about_the_model(self, telemetry: Any) -> None:
        far_end = telemetry.far_end(connect_events=[])
        async with telemetry.session(far_end):
            far_end.emit(Say("Hello."))
        assert "gen_ai.request.model" not in telemetry.span("chat").attributes

    async def test_of_sessions_that_run_at_the_same_time(self, telemetry: Any) -> None:
        far_ends = [telemetry.far_end() for _ in range(3)]
        sessions = [
            telemetry.session(far_end, RealtimeAgent(f"Agent {number}", tools=[get_weather]))
            for number, far_end in enumerate(far_ends)
        ]
        await asyncio.gather(*(session.enter() for session in sessions))
        for far_end in far_ends:
            far_end.emit(Turn([Say("One moment."), Call("get_weather", {"city": "Rome"})], done=False))
        for far_end in far_ends:
            far_end.emit(Finish())
            await far_end.expect_call("request_response")
        await asyncio.gather(*(session.close() for session in sessions))
        assert sorted(telemetry.tree()) == sorted(
            [
                *((f"invoke_agent Agent {number}", None) for number in range(3)),
                *(("chat gpt-realtime", f"invoke_agent Agent {number}") for number in range(3)),
                *(("execute_tool get_weather", "chat gpt-realtime") for _ in range(3)),
            ]
        )
        for session in sessions:
            name = session.current_agent.name
            ours = [span for span in telemetry.spans if span.attributes["gen_ai.conversation.id"] == session.id]
            assert {span.attributes["gen_ai.agent.name"] for span in ours} == {name}
            assert len({span.get_span_context().trace_id for span in ours}) == 1
            assert len(ours) == 3

    async def test_of_a_transport_that_is_used_twice(self, telemetry: Any) -> None:
        far_end = telemetry.far_end()
        for name in ("First", "Second"):
            async with telemetry.session(far_end, RealtimeAgent(name)):
                far_end.emit(Say("Hello."))
        assert telemetry.tree() == [
            ("invoke_agent First", None),
            ("chat gpt-realtime", "invoke_agent First"),
            ("invoke_agent Second", None),
            ("chat gpt-realtime", "invoke_agent Second"),
        ]

    async def test_of_a_transport_that_is_used_again_before_the_last_session_closed(self, telemetry: Any) -> None:
        far_end = telemetry.far_end(connect_events=[])
        lost = telemetry.session(far_end, RealtimeAgent("First"))
        await lost.enter()
        far_end.emit(Disconnect())
        async with telemetry.session(far_end, RealtimeAgent("Second")):
            far_end.emit({"type": "session.created", "session": {"model": "gpt-realtime"}}, Say("Hello."))
        await lost.close()
        assert telemetry.tree() == [
            ("invoke_agent First", None),
            ("invoke_agent Second", None),
            ("chat gpt-realtime", "invoke_agent Second"),
        ]
        assert "gen_ai.request.model" not in telemetry.span("invoke_agent First").attributes

    async def test_of_a_response_that_is_told_twice(self, telemetry: Any) -> None:
        far_end = telemetry.far_end()
        async with telemetry.session(far_end):
            far_end.emit(TurnStarted("resp_1"), TurnStarted("resp_1"), Finish(response_id="resp_1"))
        assert len(telemetry.named("chat gpt-realtime")) == 1

    async def test_of_responses_that_never_end(self, telemetry: Any) -> None:
        far_end = telemetry.far_end()
        async with telemetry.session(far_end):
            far_end.emit(*(TurnStarted(f"resp_{number}") for number in range(100)))
            ended = telemetry.named("chat gpt-realtime")
            assert 0 < len(ended) < 100
            assert ended[0].attributes["gen_ai.response.id"] == "resp_0"
        assert len(telemetry.named("chat gpt-realtime")) == 100

    async def test_a_session_that_never_dials_has_no_span(self, telemetry: Any) -> None:
        twice = RealtimeAgent("Greeter", tools=[get_weather, get_weather])
        with pytest.raises(ConfigurationError):
            await telemetry.session(telemetry.far_end(), twice).enter()
        assert telemetry.spans == []
        assert telemetry.metrics() == {}

    async def test_nothing_is_done_for_each_chunk(self, telemetry: Any) -> None:
        class Watched(RealtimeSession):
            def on(self, kind: str, listener: Any) -> Any:
                kinds.add(kind)
                return super().on(kind, listener)

        kinds: set[str] = set()

        session = Watched(RealtimeAgent("G"), transport=telemetry.far_end(), observers=[observer()])
        async with session:
            assert kinds & {"audio", "transcript_delta", "raw_model_event", "history_updated"} == set()
            assert "turn_metrics" in kinds


class TestAttributes:
    async def test_of_a_session(self, telemetry: Any) -> None:
        far_end = telemetry.far_end()
        async with telemetry.session(far_end) as session:
            far_end.emit(Turn([Say("Hello.")], usage=USAGE), Turn([Say("Hello?")], usage=USAGE))
        assert dict(telemetry.span("invoke_agent Greeter").attributes) == {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.provider.name": "scripted",
            "gen_ai.agent.name": "Greeter",
            "gen_ai.conversation.id": session.id,
            "gen_ai.request.model": "gpt-realtime",
            "gen_ai.usage.input_tokens": 60,
            "gen_ai.usage.output_tokens": 40,
            "gen_ai.usage.text.input_tokens": 20,
            "gen_ai.usage.audio.input_tokens": 40,
            "gen_ai.usage.cache_read.input_tokens": 12,
            "gen_ai.usage.text.output_tokens": 10,
            "gen_ai.usage.audio.output_tokens": 30,
            "jackfield.transport.name": "scripted",
            "jackfield.provider.session.id": "sess_1",
            "jackfield.connected": True,
            "jackfield.close.initiated_by": "local",
            "jackfield.close.code": 1000,
            "jackfield.responses": 2,
            "jackfield.interruptions": 0,
        }

    async def test_of_a_turn(self, telemetry: Any) -> None:
        far_end = telemetry.far_end()
        async with telemetry.session(far_end) as session:
            far_end.emit(Turn([Say("Hello.")], usage=USAGE))
        (metrics,) = session.metrics.turns
        assert dict(telemetry.span("chat gpt-realtime").attributes) == {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "scripted",
            "gen_ai.agent.name": "Greeter",
            "gen_ai.conversation.id": session.id,
            "gen_ai.request.model": "gpt-realtime",
            "gen_ai.response.id": "resp_1",
            "gen_ai.usage.input_tokens": 30,
            "gen_ai.usage.output_tokens": 20,
            "gen_ai.usage.text.input_tokens": 10,
            "gen_ai.usage.audio.input_tokens": 20,
            "gen_ai.usage.cache_read.input_tokens": 6,
            "gen_ai.usage.text.output_tokens": 5,
            "gen_ai.usage.audio.output_tokens": 15,
            "jackfield.transport.name": "scripted",
            "jackfield.response.status": "completed",
            "jackfield.turn.time_to_first_delta": metrics.time_to_first_delta,
        }

    async def test_of_a_tool_call(self, telemetry: Any) -> None:
        far_end = telemetry.far_end()
        async with telemetry.session(far_end, RealtimeAgent("Greeter", tools=[get_weather])) as session:
            far_end.emit(Call("get_weather", {"city": "Paris"}, call_id="call_7"))
            await far_end.expect_call("request_response")
        assert dict(telemetry.span("execute_tool get_weather").attributes) == {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.agent.name": "Greeter",
            "gen_ai.conversation.id": session.id,
            "gen_ai.tool.name": "get_weather",
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.id": "call_7",
        }


class TestTimes:
    async def test_of_a_turns_milestones(self, telemetry: Any) -> None:
        far_end = telemetry.far_end()
        async with telemetry.session(far_end) as session:
            far_end.emit(UserSays("Hello?"), Say("Hello."))
            await read_until(session, "audio_start")
        (metrics,) = session.metrics.turns
        span = telemetry.span("chat gpt-realtime")
        reached = {
            "jackfield.speech_stopped": metrics.speech_stopped_at,
            "jackfield.response_created": metrics.created_at,
            "jackfield.first_delta": metrics.first_delta_at,
            "jackfield.response_done": metrics.done_at,
            "jackfield.first_audio_delivered": metrics.first_audio_delivered_at,
        }
        assert [event.name for event in span.events] == list(reached)
        since_speech = [(event.timestamp - span.start_time) / 1e9 for event in span.events]
        assert since_speech == pytest.approx([at - metrics.speech_stopped_at for at in reached.values()], abs=1e-6)
        assert all(span.start_time <= event.timestamp <= span.end_time for event in span.events)

    async def test_a_turn_without_speech_begins_with_the_response(self, telemetry: Any) -> None:
        far_end = telemetry.far_end()
        async with telemetry.session(far_end):
            far_end.emit(Say("Hello."))
        span = telemetry.span("chat gpt-realtime")
        assert (span.events[0].name, span.events[0].timestamp) == ("jackfield.response_created", span.start_time)

    async def test_nothing_is_outside_of_its_session(self, telemetry: Any) -> None:
        far_end = telemetry.far_end()
        async with telemetry.session(far_end, RealtimeAgent("Greeter", tools=[get_weather])):
            far_end.emit(UserSays("Hello?"), Call("get_weather", {"city": "Paris"}))
            await far_end.expect_call("request_response")
            far_end.emit(Say("Hello."))
        session, *others = telemetry.spans
        assert all(session.start_time <= span.start_time <= span.end_time <= session.end_time for span in others)
        assert [event.name for event in session.events] == ["jackfield.connected"]
        for earlier, later in itertools.pairwise(others):
            assert earlier.start_time <= later.start_time


class TestInterruptions:
    async def test_while_the_model_generates(self, telemetry: Any) -> None:
        far_end = telemetry.far_end()
        async with telemetry.session(far_end) as session:
            far_end.emit(Turn([Say("Once upon a time")], done=False), UserSays("Stop!", after_ms=500))
        span = telemetry.span("chat gpt-realtime")
        assert span.attributes["jackfield.response.status"] == "cancelled"
        assert telemetry.events(span)["jackfield.audio_interrupted"] == {
            "jackfield.item.id": "item_1",
            "jackfield.played_ms": 500,
        }
        (metrics,) = session.metrics.turns
        (cut,) = (event for event in span.events if event.name == "jackfield.audio_interrupted")
        assert (cut.timestamp - span.start_time) / 1e9 == pytest.approx(
            metrics.interrupted_at - metrics.created_at, abs=1e-6
        )

    async def test_after_the_model_has_generated(self, telemetry: Any) -> None:
        far_end = telemetry.far_end()
        async with telemetry.session(far_end) as session:
            far_end.emit(Say("Once upon a time"), Played(700))
            await session.interrupt()
            span = telemetry.span("chat gpt-realtime")
        assert span.attributes["jackfield.response.status"] == "completed"
        assert telemetry.events(span)["jackfield.audio_interrupted"]["jackfield.played_ms"] == 700
        assert telemetry.span("invoke_agent Greeter").attributes["jackfield.interruptions"] == 1

    async def test_of_several_items(self, telemetry: Any) -> None:
        far_end = telemetry.far_end()
        async with telemetry.session(far_end):
            far_end.emit(Turn([Say("One."), Say("Two.")], done=False), UserSays("Stop!", after_ms=100))
        cut = [
            event.attributes["jackfield.item.id"]
            for event in telemetry.span("chat gpt-realtime").events
            if event.name == "jackfield.audio_interrupted"
        ]
        assert cut == ["item_1", "item_2"]


class TestTools:
    async def test_what_they_trace_is_beneath_them(self, telemetry: Any) -> None:
        tracer = telemetry.tracer_provider.get_tracer("application")

        @function_tool
        def on_a_thread() -> str:
            with tracer.start_as_current_span("query of a function"):
                return "done"

        @function_tool
        async def on_the_loop() -> str:
            with tracer.start_as_current_span("query of a coroutine"):
                return "done"

        far_end = telemetry.far_end()
        async with telemetry.session(far_end, RealtimeAgent("Greeter", tools=[on_a_thread, on_the_loop])):
            far_end.emit(Turn([Call("on_a_thread"), Call("on_the_loop")]))
            await far_end.expect_call("request_response")
        tree = telemetry.tree()
        assert ("query of a function", "execute_tool on_a_thread") in tree
        assert ("query of a coroutine", "execute_tool on_the_loop") in tree

    async def test_nothing_else_is_beneath_them(self, telemetry: Any) -> None:
        current = []
        far_end = telemetry.far_end()
        async with telemetry.session(far_end, RealtimeAgent("Greeter", tools=[get_weather])) as session:
            for kind in ("tool_end", "agent_start"):
                session.on(kind, lambda event: current.append(trace.get_current_span()))
            far_end.emit(Call("get_weather", {"city": "Paris"}))
            await far_end.expect_call("request_response")
            far_end.emit(Say("Hello."))
        assert set(current) == {trace.INVALID_SPAN}

    async def test_after_their_turn_is_over(self, telemetry: Any) -> None:
        agent = RealtimeAgent("Greeter", tools=[approved_weather()])
        far_end = telemetry.far_end()
        async with telemetry.session(far_end, agent) as session:
            asked = asyncio.Event()
            session.on("tool_approval_required", lambda event: asked.set())
            far_end.emit(Call("get_weather", {"city": "Paris"}))
            await asked.wait()
            far_end.emit(Say("One moment."))
            await session.approve_tool_call("call_1")
            await far_end.expect_call("request_response")
        tool = telemetry.span("execute_tool get_weather")
        assert telemetry.parent(tool).attributes["gen_ai.response.id"] == "resp_1"

    async def test_whose_turn_is_long_over_are_beneath_the_session(self, telemetry: Any) -> None:
        far_end = telemetry.far_end()
        async with telemetry.session(far_end, RealtimeAgent("Greeter", tools=[approved_weather()])) as session:
            asked = asyncio.Event()
            session.on("tool_approval_required", lambda event: asked.set())
            far_end.emit(Call("get_weather", {"city": "Paris"}))
            await asked.wait()
            far_end.emit(*(Turn([]) for _ in range(100)))
            await session.approve_tool_call("call_1")
            await far_end.expect_call("request_response")
        assert telemetry.parent(telemetry.span("execute_tool get_weather")).name == "invoke_agent Greeter"

    async def test_that_are_rejected_have_no_span(self, telemetry: Any) -> None:
        far_end = telemetry.far_end()
        async with telemetry.session(far_end, RealtimeAgent("Greeter", tools=[approved_weather()])) as session:
            asked, told = asyncio.Event(), asyncio.Event()
            session.on("tool_approval_required", lambda event: asked.set())
            session.on("tool_end", lambda event: told.set())
            far_end.emit(Turn([Call("get_weather", {"city": "Paris"})], done=False))
            await asked.wait()
            await session.reject_tool_call("call_1")
            await told.wait()
        call = {"gen_ai.tool.name": "get_weather", "gen_ai.tool.call.id": "call_1"}
        events = telemetry.events(telemetry.span("chat gpt-realtime"))
        assert events["jackfield.tool_approval_required"] == call
        assert events["jackfield.tool_not_run"] == call
        assert "execute_tool get_weather" not in dict(telemetry.tree())

    @pytest.mark.parametrize("fatal", [False, True])
    async def test_that_fail(self, telemetry: Any, fatal: bool) -> None:
        def broken() -> str:
            raise LookupError("no such table")

        tool = function_tool(broken, failure_error_function=None) if fatal else function_tool(broken)
        far_end = telemetry.far_end()
        async with telemetry.session(far_end, RealtimeAgent("Greeter", tools=[tool])) as session:
            ended = asyncio.Event()
            session.on("tool_end", lambda event: ended.set())
            far_end.emit(Call("broken"))
            await ended.wait()
        span = telemetry.span("execute_tool broken")
        assert span.status.status_code is StatusCode.ERROR
        assert span.attributes["error.type"] == "LookupError"
        ((attributes, (count, _)),) = telemetry.metrics()["gen_ai.execute_tool.duration"]
        assert (attributes["error.type"], count) == ("LookupError", 1)

    async def test_that_the_session_does_not_wait_for(self, telemetry: Any) -> None:
        far_end = telemetry.far_end()
        async with telemetry.session(far_end, RealtimeAgent("Greeter", tools=[wait_for_ever])) as session:
            started = asyncio.Event()
            session.on("tool_start", lambda event: started.set())
            far_end.emit(Call("wait_for_ever"))
            await started.wait()
        span = telemetry.span("execute_tool wait_for_ever")
        assert span.status.status_code is StatusCode.ERROR
        assert span.attributes["error.type"] == "unanswered"

    async def test_whose_output_goes_out_at_the_second_attempt(self, telemetry: Any) -> None:
        far_end = telemetry.far_end()
        async with telemetry.session(far_end, RealtimeAgent("Greeter", tools=[get_weather])) as session:
            failed = asyncio.Event()
            session.on("error", lambda event: failed.set())
            far_end.fail_next("send_function_call_output", TransportError("the wire is full"))
            far_end.emit(Call("get_weather", {"city": "Paris"}, call_id="call_1"))
            await failed.wait()
            assert telemetry.named("execute_tool get_weather") == []
            far_end.emit(Call("get_weather", {"city": "Paris"}, call_id="call_1"))
            await far_end.expect_call("request_response")
        assert telemetry.span("execute_tool get_weather").status.status_code is StatusCode.UNSET


class TestWhatElseHappens:
    async def test_a_handoff(self, telemetry: Any) -> None:
        billing = RealtimeAgent("Billing")
        far_end = telemetry.far_end()
        async with telemetry.session(far_end, RealtimeAgent("Front", handoffs=[billing])):
            far_end.emit(Call("transfer_to_billing"))
            await far_end.expect_call("request_response")
            far_end.emit(Say("Which invoice?"))
        session = telemetry.span("invoke_agent Front")
        assert telemetry.events(session)["jackfield.handoff"] == {
            "jackfield.handoff.from": "Front",
            "jackfield.handoff.to": "Billing",
        }
        turns = telemetry.named("chat gpt-realtime")
        assert [turn.attributes["gen_ai.agent.name"] for turn in turns] == ["Front", "Billing"]

    @pytest.mark.parametrize("done", [True, False])
    async def test_a_guardrail(self, telemetry: Any, done: bool) -> None:
        @output_guardrail
        def no_prices(context: Any, agent: Any, output: str) -> GuardrailFunctionOutput:
            return GuardrailFunctionOutput(output_info=None, tripwire_triggered="dollars" in output)

        agent = RealtimeAgent("Shop", output_guardrails=[no_prices])
        config = {"guardrails_settings": {"debounce_text_length": 5}}
        far_end = telemetry.far_end()
        async with telemetry.session(far_end, agent, config=config):
            far_end.emit(Turn([Say("It costs a hundred dollars.")], done=done))
            await far_end.expect_call("interrupt")
        span = telemetry.span("chat gpt-realtime")
        assert telemetry.events(span)["jackfield.guardrail_tripped"] == {
            "jackfield.guardrail.names": ("no_prices",),
            "jackfield.response.id": "resp_1",
        }

    async def test_a_guardrail_that_comes_when_its_turn_is_over(self, telemetry: Any) -> None:
        @output_guardrail
        async def slow(context: Any, agent: Any, output: str) -> GuardrailFunctionOutput:
            await over.wait()
            return GuardrailFunctionOutput(output_info=None, tripwire_triggered=output == "A.")

        over = asyncio.Event()
        far_end = telemetry.far_end()
        async with telemetry.session(far_end, RealtimeAgent("Shop", output_guardrails=[slow])):
            far_end.emit(Say("A."), Say("B."))
            over.set()
            await far_end.expect_call("interrupt")
        tripped = telemetry.events(telemetry.span("invoke_agent Shop"))["jackfield.guardrail_tripped"]
        assert tripped["jackfield.response.id"] == "resp_1"

    async def test_a_hosted_tool(self, telemetry: Any) -> None:
        item = McpCallItem(item_id="mcp_1", server_label="docs", name="search", error={"type": "http_error"})
        far_end = telemetry.far_end()
        async with telemetry.session(far_end):
            far_end.emit(McpToolCallCompleted(item))
        assert telemetry.events(telemetry.span("invoke_agent Greeter"))["jackfield.mcp_tool_call_completed"] == {
            "gen_ai.tool.name": "search",
            "gen_ai.tool.call.id": "mcp_1",
            "jackfield.mcp.server.label": "docs",
            "jackfield.mcp.failed": True,
        }

    async def test_a_budget(self, telemetry: Any) -> None:
        config = {"budget": {"max_tokens": 50, "farewell": None}}
        far_end = telemetry.far_end()
        async with telemetry.session(far_end, config=config) as session:
            far_end.emit(Turn([Say("Hello.")], usage=USAGE))
            async for _ in session:
                pass
        events = telemetry.events(telemetry.span("invoke_agent Greeter"))
        assert events["jackfield.budget_exceeded"] == {
            "jackfield.budget.kind": "tokens",
            "jackfield.budget.used": 50,
            "jackfield.budget.limit": 50,
        }


class TestFailures:
    async def test_a_response_that_fails(self, telemetry: Any) -> None:
        error = ProviderError("too much of it", code="rate_limit_exceeded", classification="retry_turn")
        far_end = telemetry.far_end()
        async with telemetry.session(far_end):
            far_end.emit(Turn([Say("Hello")], done=False), Error(error), Finish("failed"))
            far_end.emit(Turn([], done=False), Finish("failed"))
            far_end.emit(Say("Hello."))
        failed, nameless, fine = telemetry.named("chat gpt-realtime")
        assert failed.status.status_code is StatusCode.ERROR
        assert failed.attributes["error.type"] == "rate_limit_exceeded"
        assert nameless.attributes["error.type"] == "failed"
        assert fine.status.status_code is StatusCode.UNSET
        session = telemetry.span("invoke_agent Greeter")
        assert session.status.status_code is StatusCode.UNSET
        assert telemetry.events(session)["exception"] == {
            "error.type": "rate_limit_exceeded",
            "exception.type": "jackfield.errors.ProviderError",
            "jackfield.error.classification": "retry_turn",
        }

    async def test_a_connection_that_is_lost(self, telemetry: Any) -> None:
        far_end = telemetry.far_end()
        session = telemetry.session(far_end, RealtimeAgent("Greeter", tools=[wait_for_ever]))
        async with session:
            started = asyncio.Event()
            session.on("tool_start", lambda event: started.set())
            far_end.emit(Turn([Say("One moment."), Call("wait_for_ever")], done=False))
            await started.wait()
            far_end.emit(Disconnect(1011, "server error"))
            assert {span.name for span in telemetry.spans} == {
                "invoke_agent Greeter",
                "chat gpt-realtime",
                "execute_tool wait_for_ever",
            }
        span = telemetry.span("invoke_agent Greeter")
        assert span.status.status_code is StatusCode.ERROR
        assert "server error" in span.status.description
        assert span.attributes["error.type"] == "RemoteClosedError"
        assert span.attributes["jackfield.close.code"] == 1011
        assert span.attributes["jackfield.close.initiated_by"] == "remote"
        assert telemetry.span("chat gpt-realtime").attributes["jackfield.response.status"] == "in_progress"
        assert telemetry.span("execute_tool wait_for_ever").attributes["error.type"] == "unanswered"

    async def test_a_far_end_that_hangs_up(self, telemetry: Any) -> None:
        far_end = telemetry.far_end()
        async with telemetry.session(far_end):
            far_end.emit(Disconnect(1000, "bye"))
        assert telemetry.span("invoke_agent Greeter").status.status_code is StatusCode.UNSET

    async def test_a_connection_that_never_came_up(self, telemetry: Any) -> None:
        far_end = telemetry.far_end(connect_events=[], connect_error=ConnectRefusedError("no route"))
        with pytest.raises(ConnectRefusedError):
            await telemetry.session(far_end).enter()
        span = telemetry.span("invoke_agent Greeter")
        assert span.status.status_code is StatusCode.ERROR
        assert span.attributes["error.type"] == "ConnectRefusedError"
        assert span.attributes["jackfield.connected"] is False
        assert "jackfield.close.code" not in span.attributes
        assert span.events == ()

    async def test_a_connect_that_is_given_up(self, telemetry: Any) -> None:
        async def key() -> str:
            asked.set()
            return await asyncio.Future()

        asked = asyncio.Event()
        dial = asyncio.create_task(telemetry.session(telemetry.far_end(), api_key=key).enter())
        await asked.wait()
        dial.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dial
        span = telemetry.span("invoke_agent Greeter")
        assert span.status.status_code is StatusCode.UNSET
        assert span.attributes["jackfield.connected"] is False


def approved_weather() -> Any:
    @function_tool(needs_approval=True)
    def get_weather(city: str) -> str:
        return f"Sunny in {city}"

    return get_weather


async def read_until(session: RealtimeSession, kind: str) -> None:
    async for event in session:
        if event.type == kind:
            return
