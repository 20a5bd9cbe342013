"""What users of the Python SDK rely on, A68 to A73: handoffs; and what jackfield adds to them.

Where a scenario's outcome differs here on purpose, `docs/compatibility.md` says why.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from pydantic import BaseModel

from jackfield import (
    AssistantAudio,
    AssistantMessageItem,
    Handoff,
    HandoffInputData,
    InputText,
    RealtimeAgent,
    RealtimeItem,
    RealtimeSession,
    RealtimeToolCallItem,
    RunContextWrapper,
    SystemMessageItem,
    UserMessageItem,
    function_tool,
    realtime_handoff,
)
from jackfield.errors import ConfigurationError, NotConnectedError, ToolError
from jackfield.testing import Call, ScriptedTransport
from support.clock import settle, timeless
from support.memory_wire import (
    FarEnd,
    MemoryWire,
    call_turn,
    memory_transport,
    open_session,
    output,
    read_until,
    text_turn,
    user_item,
)


@function_tool
def ping() -> str:
    """Answer."""
    return "pong"


class Reason(BaseModel):
    topic: str
    urgency: int


def taken_by(target: RealtimeAgent, **options: Any) -> RealtimeAgent:
    """Return an agent that may hand over to `target` by calling `go`."""
    return RealtimeAgent("Front", handoffs=[realtime_handoff(target, tool_name_override="go", **options)])


TAKE = call_turn("resp_1", ("call_1", "go", "{}"))


async def failure_of(session: RealtimeSession, far: FarEnd) -> tuple[ToolError, str]:
    """Return the error that a handoff ends with, and what the model is told."""
    error = (await read_until(session, "error"))[-1].error
    assert isinstance(error, ToolError)
    told = await output(far)
    await far.received("response.create")
    return error, told


class TestScenarios:
    async def test_a68_settings_then_output_then_request(self) -> None:
        billing = RealtimeAgent("Billing", instructions="Be exact.", tools=[ping])
        front = taken_by(billing)
        async with open_session(front) as (session, far):
            far.send(*TAKE)
            await far.received("response.create")
            assert far.types == [
                "session.update",
                "session.update",
                "conversation.item.create",
                "response.create",
            ]
            assert far.frames[1]["session"]["instructions"] == "Be exact."
            assert json.loads(far.frames[2]["item"]["output"]) == {"assistant": "Billing"}
            assert session.current_agent is billing
            far.send(*text_turn("resp_2", "item_2"))
            events = await read_until(session, lambda event: getattr(event, "output", None) == "Hello there.")
            handoffs = [event for event in events if event.type == "handoff"]
            assert [(event.from_agent, event.to_agent) for event in handoffs] == [(front, billing)]
            assert [event.type for event in events if event.type in {"tool_start", "tool_end", "error"}] == []

    async def test_a68_what_was_captured_before_is_the_sources(self) -> None:
        finish = asyncio.Event()

        @function_tool
        async def slow() -> str:
            await finish.wait()
            return "the source's"

        billing = RealtimeAgent("Billing")
        front = taken_by(billing)
        front.tools.append(slow)
        async with open_session(front) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "slow", "{}"), ("call_2", "go", "{}")))
            assert json.loads(await output(far)) == {"assistant": "Billing"}
            finish.set()
            assert await output(far) == "the source's"
            assert (await read_until(session, "tool_end"))[-1].agent is front
            await far.received("response.create")

    async def test_a69_a_target_that_is_not_valid(self) -> None:
        front = taken_by(RealtimeAgent("Billing", tools=[ping, ping]))
        async with open_session(front) as (session, far):
            far.send(*TAKE)
            error, told = await failure_of(session, far)
            assert "the handoff to agent 'Billing' failed" in str(error)
            assert isinstance(error.__cause__, ConfigurationError)
            assert told == "An error occurred while handing over to Billing. Please go on without."
            assert session.current_agent is front
            assert far.types == ["session.update", "conversation.item.create", "response.create"]

    async def test_a69_it_can_be_tried_again(self) -> None:
        billing = RealtimeAgent("Billing", tools=[ping, ping])
        async with open_session(taken_by(billing)) as (session, far):
            far.send(*TAKE)
            await failure_of(session, far)
            billing.tools.pop()
            far.send(*call_turn("resp_2", ("call_2", "go", "{}")))
            await read_until(session, "handoff")
            assert session.current_agent is billing

    @pytest.mark.parametrize("target", ["Billing", None, Reason])
    def test_a70_only_agents_take_over(self, target: Any) -> None:
        with pytest.raises(ConfigurationError, match="RealtimeAgent"):
            realtime_handoff(target)
        with pytest.raises(ConfigurationError, match="RealtimeAgent"):
            Handoff(agent=target, tool_name="go", tool_description="")

    @pytest.mark.parametrize("target", ["Billing", None])
    @timeless
    async def test_a70_also_when_they_are_put_in_by_hand(self, target: Any) -> None:
        front = RealtimeAgent("Front")
        async with open_session(front) as (session, far):
            with pytest.raises(ConfigurationError, match="RealtimeAgent"):
                await session.update_agent(target)
            assert session.current_agent is front
            front.handoffs.append(target)
            with pytest.raises(ConfigurationError, match="RealtimeAgent"):
                await session.update_agent(front)
            await settle()
            assert far.types == ["session.update"]

    @timeless
    async def test_a71_update_agent_with_one_that_is_not_valid(self) -> None:
        front = RealtimeAgent("Front", tools=[ping])
        async with open_session(front) as (session, far):
            told: list[Any] = []
            session.on("handoff", told.append)
            with pytest.raises(ConfigurationError, match="ping names more than one"):
                await session.update_agent(RealtimeAgent("Billing", tools=[ping, ping]))
            await settle()
            assert (session.current_agent, far.types, told) == (front, ["session.update"], [])

    async def test_a71_update_agent_is_a_handoff_by_the_application(self) -> None:
        front, billing = RealtimeAgent("Front"), RealtimeAgent("Billing", instructions="Be exact.")
        async with open_session(front) as (session, far):
            await session.update_agent(billing)
            assert (await far.received("session.update"))["session"]["instructions"] == "Be exact."
            event = (await read_until(session, "handoff"))[-1]
            assert (event.from_agent, event.to_agent) == (front, billing)
            assert "response.create" not in far.types

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ('{"topic": "money", "urgency": "25"}', "urgency"),
            ('{"topic": "money"}', "urgency"),
            ('{"topic": "money", "urgency": 2.5}', "urgency"),
            ("null", "not valid"),
            ("", "not valid"),
            ("{", "not valid"),
        ],
    )
    async def test_a72_input_of_the_wrong_type(self, arguments: str, words: str) -> None:
        def on_handoff(context: RunContextWrapper[Any], reason: Reason) -> None:
            raise AssertionError("it is not to be called with that")

        front = taken_by(RealtimeAgent("Billing"), on_handoff=on_handoff, input_type=Reason)
        async with open_session(front) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "go", arguments)))
            error, told = await failure_of(session, far)
            assert words in str(error)
            # The model gets to know what was wrong, and can do better.
            assert told.startswith("The handoff to Billing failed: the arguments of go are not valid")
            assert words in told
            assert session.current_agent is front
            assert far.types.count("session.update") == 1

    async def test_a72_input_that_fits(self) -> None:
        given: list[Any] = []

        async def on_handoff(context: RunContextWrapper[Any], reason: Reason) -> None:
            given.append((context, reason))

        front = taken_by(RealtimeAgent("Billing"), on_handoff=on_handoff, input_type=Reason)
        async with open_session(front) as (session, far):
            (declared,) = far.frames[0]["session"]["tools"]
            assert sorted(declared["parameters"]["required"]) == ["topic", "urgency"]
            far.send(*call_turn("resp_1", ("call_1", "go", '{"topic": "money", "urgency": 25}')))
            await read_until(session, "handoff")
            assert given == [(session.context, Reason(topic="money", urgency=25))]

    @pytest.mark.parametrize("input_type", [int, list[str], dict[str, int], Reason | None])
    async def test_a72_every_type_that_json_can_hold(self, input_type: Any) -> None:
        given: list[Any] = []
        arguments, value = {
            int: ('{"input": 3}', 3),
            list[str]: ('{"input": ["a"]}', ["a"]),
            dict[str, int]: ('{"a": 1}', {"a": 1}),
        }.get(input_type, ('{"input": {"topic": "money", "urgency": 1}}', Reason(topic="money", urgency=1)))
        front = taken_by(
            RealtimeAgent("Billing"), on_handoff=lambda context, it: given.append(it), input_type=input_type
        )
        async with open_session(front) as (session, far):
            assert far.frames[0]["session"]["tools"][0]["parameters"]["type"] == "object"
            far.send(*call_turn("resp_1", ("call_1", "go", arguments)))
            await read_until(session, "handoff")
            assert given == [value]

    async def test_a73_what_was_wrong_is_told_without_the_payload(self, caplog: pytest.LogCaptureFixture) -> None:
        front = taken_by(RealtimeAgent("Billing"), on_handoff=lambda context, it: None, input_type=Reason)
        async with open_session(front) as (session, far):
            far.send(*call_turn("resp_1", ("call_1", "go", '{"topic": "money", "urgency": "hush-hush"}')))
            error, told = await failure_of(session, far)
            chain: list[BaseException] = []
            link: BaseException | None = error
            while link is not None:
                chain.append(link)
                link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
            assert not [link for link in chain if "hush-hush" in f"{link}{link!r}"]
            assert "hush-hush" not in told
        assert "hush-hush" not in caplog.text


class TestOnHandoff:
    def test_its_arguments_are_checked_when_it_is_given(self) -> None:
        billing = RealtimeAgent("Billing")

        def takes_one(context: Any) -> None: ...

        def takes_two(context: Any, reason: Any) -> None: ...

        with pytest.raises(ConfigurationError, match="needs an on_handoff"):
            realtime_handoff(billing, input_type=Reason)
        with pytest.raises(ConfigurationError, match=r"called with \(context, input\)"):
            realtime_handoff(billing, on_handoff=takes_one, input_type=Reason)
        with pytest.raises(ConfigurationError, match=r"called with \(context\)"):
            realtime_handoff(billing, on_handoff=takes_two)
        with pytest.raises(ConfigurationError, match="on_handoff is a function"):
            realtime_handoff(billing, on_handoff="no function")  # type: ignore[arg-type]
        assert realtime_handoff(billing, on_handoff=print).takes_input is False

    @pytest.mark.parametrize(
        "failure", [LookupError("no desk"), NotConnectedError("another line"), TimeoutError("asked too long")]
    )
    async def test_one_that_raises_keeps_the_agent_and_the_call_is_answered(self, failure: Exception) -> None:
        def on_handoff(context: RunContextWrapper[Any]) -> None:
            raise failure

        front = taken_by(RealtimeAgent("Billing"), on_handoff=on_handoff)
        async with open_session(front) as (session, far):
            far.send(*TAKE)
            error, told = await failure_of(session, far)
            assert error.__cause__ is failure
            assert told.startswith("An error occurred while handing over to Billing")
            assert session.current_agent is front

    async def test_one_in_which_something_is_cancelled(self) -> None:
        async def on_handoff(context: RunContextWrapper[Any]) -> None:
            inner = asyncio.get_running_loop().create_future()
            inner.cancel()
            await inner

        front = taken_by(RealtimeAgent("Billing"), on_handoff=on_handoff)
        async with open_session(front) as (session, far):
            far.send(*TAKE)
            await failure_of(session, far)
            assert session.current_agent is front

    async def test_one_that_was_switched_off_meanwhile(self) -> None:
        there = True
        front = taken_by(RealtimeAgent("Billing"), is_enabled=lambda context, agent: there)
        async with open_session(front) as (session, far):
            there = False
            far.send(*TAKE)
            error, told = await failure_of(session, far)
            assert "not enabled any more" in str(error)
            assert "not enabled any more" in told
            assert session.current_agent is front

    async def test_a_session_that_is_closed_meanwhile_stays_silent(self) -> None:
        started = asyncio.Event()

        async def on_handoff(context: RunContextWrapper[Any]) -> None:
            started.set()
            await asyncio.Event().wait()

        front = taken_by(RealtimeAgent("Billing"), on_handoff=on_handoff)
        async with open_session(front) as (session, far):
            errors: list[Any] = []
            session.on("error", errors.append)
            far.send(*TAKE)
            await started.wait()
            await session.close()
            assert (far.types, errors, session.current_agent) == (["session.update"], [], front)


class TestSeveralInOneResponse:
    async def test_the_first_is_taken_and_every_call_is_answered(self) -> None:
        billing, sales = RealtimeAgent("Billing"), RealtimeAgent("Sales")
        front = RealtimeAgent("Front", handoffs=[billing, sales])
        async with open_session(front) as (session, far):
            handoffs: list[Any] = []
            session.on("handoff", lambda event: handoffs.append(event.to_agent))
            far.send(
                *call_turn("resp_1", ("call_1", "transfer_to_billing", "{}"), ("call_2", "transfer_to_sales", "{}"))
            )
            told = {}
            for _ in range(2):
                item = (await far.received("conversation.item.create"))["item"]
                told[item["call_id"]] = item["output"]
            await far.received("response.create")
            assert json.loads(told["call_1"]) == {"assistant": "Billing"}
            assert "This one was ignored" in told["call_2"]
            assert (handoffs, session.current_agent) == ([billing], billing)
            assert far.types.count("session.update") == 2
            assert far.types.count("response.create") == 1

    async def test_where_the_first_failed_the_next_may_be_taken(self) -> None:
        billing, sales = RealtimeAgent("Billing", tools=[ping, ping]), RealtimeAgent("Sales")
        front = RealtimeAgent("Front", handoffs=[billing, sales])
        async with open_session(front) as (session, far):
            turn = call_turn("resp_1", ("call_1", "transfer_to_billing", "{}"), ("call_2", "transfer_to_sales", "{}"))
            second = next(number for number, frame in enumerate(turn) if "item_call_2" in json.dumps(frame))
            far.send(*turn[:second])
            await read_until(session, "error")
            far.send(*turn[second:])
            await read_until(session, "handoff")
            assert session.current_agent is sales

    async def test_the_next_response_may_hand_over_again(self) -> None:
        front, billing = RealtimeAgent("Front"), RealtimeAgent("Billing")
        front.handoffs.append(billing)
        billing.handoffs.append(front)
        async with open_session(front) as (session, far):
            for number, (name, agent) in enumerate([("billing", billing), ("front", front), ("billing", billing)]):
                far.send(*call_turn(f"resp_{number}", (f"call_{number}", f"transfer_to_{name}", "{}")))
                await far.received("response.create")
                assert session.current_agent is agent


class TestWhatTheTransportCanNotDo:
    @pytest.mark.parametrize("lacking", ["session_update", "history"])
    async def test_the_call_is_answered_all_the_same(self, lacking: str) -> None:
        front = taken_by(RealtimeAgent("Billing"), input_filter=lambda data: [])
        wire = MemoryWire()
        async with RealtimeSession(front, transport=memory_transport(wire, **{lacking: False})) as session:
            far = await wire.dialled()
            await far.received("session.update")
            far.send(*user_item("user_1", "My invoice is wrong."))
            far.send(*TAKE)
            error, _ = await failure_of(session, far)
            assert error.__cause__ is not None
            assert session.current_agent is front
            # Nothing is changed by halves.
            assert far.types == ["session.update", "conversation.item.create", "response.create"]


Filter = Callable[[HandoffInputData], Any]


class TestInputFilters:
    """The conversation as the next agent is to know it."""

    @staticmethod
    async def edits(
        far: FarEnd, session: RealtimeSession, *, until: str = "response.create"
    ) -> tuple[list[str], list[dict[str, Any]]]:
        """Have a conversation and a handoff; return the ids of what was deleted, and the items that were created."""
        far.send(*user_item("user_1", "My invoice is wrong."), *text_turn("resp_0", "item_0", previous="user_1"))
        far.send(*user_item("user_2", "Well?", previous="item_0"))
        far.send(*call_turn("resp_1", ("call_1", "go", '{"topic": "money", "urgency": 2}'), previous="user_2"))
        await far.received(until)
        deleted = [frame["item_id"] for frame in far.frames if frame["type"] == "conversation.item.delete"]
        created = [frame["item"] for frame in far.frames if frame["type"] == "conversation.item.create"]
        return deleted, [item for item in created if item["type"] != "function_call_output"]

    async def test_what_it_gets_to_know(self) -> None:
        given: list[HandoffInputData] = []

        def look(data: HandoffInputData) -> Iterable[RealtimeItem]:
            given.append(data)
            return data.history

        billing = RealtimeAgent("Billing")
        front = taken_by(billing, input_filter=look, on_handoff=lambda context, it: None, input_type=Reason)
        async with open_session(front) as (session, far):
            assert await self.edits(far, session) == ([], [])
            (data,) = given
            assert [item.item_id for item in data.history] == ["user_1", "item_0", "user_2", "item_call_1"]
            assert (data.from_agent, data.to_agent) == (front, billing)
            assert data.input == Reason(topic="money", urgency=2)
            assert data.context is session.context

    async def test_nothing_but_the_call_itself_is_left(self) -> None:
        front = taken_by(RealtimeAgent("Billing"), input_filter=lambda data: [])
        async with open_session(front) as (session, far):
            assert await self.edits(far, session) == (["user_1", "item_0", "user_2"], [])
            kinds = far.types[1:]
            assert kinds == [
                *["conversation.item.delete"] * 3,
                "session.update",
                "conversation.item.create",
                "response.create",
            ]

    @pytest.mark.parametrize("how", ["list", "generator", "coroutine", "in place"])
    async def test_some_are_kept_in_whatever_way_it_says_so(self, how: str) -> None:
        def of_the_user(data: HandoffInputData) -> Any:
            if how == "in place":
                items: Any = data.history
                del items[1]
                return items
            kept = [item for item in data.history if isinstance(item, UserMessageItem)]
            return kept if how == "list" else (item for item in kept)

        async def on_the_loop(data: HandoffInputData) -> Any:
            return of_the_user(data)

        given = on_the_loop if how == "coroutine" else of_the_user
        async with open_session(taken_by(RealtimeAgent("Billing"), input_filter=given)) as (session, far):
            assert await self.edits(far, session) == (["item_0"], [])

    async def test_new_ones_are_put_between(self) -> None:
        summary = SystemMessageItem(item_id="summary", content=(InputText("The user complains about an invoice."),))

        def summarize(data: HandoffInputData) -> Iterable[RealtimeItem]:
            return [summary, data.history[2]]

        async with open_session(taken_by(RealtimeAgent("Billing"), input_filter=summarize)) as (session, far):
            deleted, created = await self.edits(far, session)
            assert deleted == ["user_1", "item_0"]
            (item,) = created
            assert (item["id"], item["role"]) == ("summary", "system")
            (frame,) = [frame for frame in far.frames if frame.get("item", {}).get("id") == "summary"]
            assert frame["previous_item_id"] == "root"

    async def test_calls_that_are_not_answered_yet_stay(self) -> None:
        finish = asyncio.Event()

        @function_tool
        async def slow() -> str:
            await finish.wait()
            return "done"

        front = taken_by(RealtimeAgent("Billing"), input_filter=lambda data: [])
        front.tools.append(slow)
        async with open_session(front) as (_, far):
            far.send(*user_item("user_1", "Hello?"))
            far.send(*call_turn("resp_1", ("call_1", "slow", "{}"), ("call_2", "go", "{}"), previous="user_1"))
            await far.received("session.update")
            finish.set()
            await far.received("response.create")
            deleted = [frame["item_id"] for frame in far.frames if frame["type"] == "conversation.item.delete"]
            assert deleted == ["user_1"]

    @timeless
    async def test_a_call_that_is_over_goes_with_its_output(self) -> None:
        front = taken_by(RealtimeAgent("Billing"), input_filter=lambda data: [])
        front.tools.append(ping)
        async with open_session(front) as (session, far):
            far.send(*call_turn("resp_0", ("call_0", "ping", "{}")))
            created = await far.received("conversation.item.create")
            output_item = {**created["item"], "id": "output_0", "status": "completed"}
            far.send({"type": "conversation.item.added", "previous_item_id": "item_call_0", "item": output_item})
            await read_until(session, "tool_end")
            await settle()
            far.send(*TAKE)
            await settle()
            assert session.current_agent.name == "Billing"
            deleted = [frame["item_id"] for frame in far.frames if frame["type"] == "conversation.item.delete"]
            assert deleted == ["item_call_0", "output_0"]

    @pytest.mark.parametrize(
        "given",
        [
            lambda data: "all of it",
            lambda data: None,
            lambda data: {"user_1": "kept"},
            lambda data: [*data.history, "and more"],
            lambda data: 1 / 0,
            lambda data: (item for item in data.history if 1 / 0),
            lambda data: [AssistantMessageItem(item_id="new", content=(1,))],  # type: ignore[arg-type]
        ],
        ids=["str", "None", "mapping", "a str in it", "raises", "raises late", "a strange part"],
    )
    @timeless
    async def test_what_is_no_conversation_changes_nothing(self, given: Filter) -> None:
        front = taken_by(RealtimeAgent("Billing"), input_filter=given)
        async with open_session(front) as (session, far):
            far.send(*user_item("user_1", "Hello?"), *TAKE)
            await failure_of(session, far)
            assert session.current_agent is front
            assert far.types == ["session.update", "conversation.item.create", "response.create"]

    async def test_an_item_that_the_api_can_not_create_changes_nothing(self) -> None:
        def spoken(data: HandoffInputData) -> Iterable[RealtimeItem]:
            return [AssistantMessageItem(item_id="new", content=(AssistantAudio("Hello."),))]

        front = taken_by(RealtimeAgent("Billing"), input_filter=spoken)
        async with open_session(front) as (session, far):
            far.send(*user_item("user_1", "Hello?"), *TAKE)
            error, _ = await failure_of(session, far)
            assert isinstance(error.__cause__, ConfigurationError)
            assert far.types == ["session.update", "conversation.item.create", "response.create"]

    async def test_the_history_follows_what_the_far_end_confirms(self) -> None:
        far_end = ScriptedTransport(strict=False)
        front = taken_by(RealtimeAgent("Billing"), input_filter=lambda data: data.history[1:])
        async with RealtimeSession(front, transport=far_end) as session:
            await session.send_message("One", trigger_response=False)
            await session.send_message("Two", trigger_response=False)
            far_end.emit(Call("go"))
            await far_end.expect_call("request_response")
            texts = [part.text for item in session.history for part in getattr(item, "content", ())]
            calls = [item.output for item in session.history if isinstance(item, RealtimeToolCallItem)]
            assert (texts, calls) == (["Two"], ['{"assistant": "Billing"}'])
