"""`SessionState`: a conversation that is put down as JSON in one place, and taken up in another."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jackfield import (
    AssistantAudio,
    AssistantMessageItem,
    AssistantText,
    InputAudio,
    InputImage,
    InputText,
    RealtimeAgent,
    RealtimePlaybackTracker,
    RealtimeSession,
    RealtimeToolCallItem,
    SessionState,
    SystemMessageItem,
    UserMessageItem,
    function_tool,
    realtime_handoff,
)
from jackfield.errors import ConfigurationError
from jackfield.transport.events import Usage
from jackfield.transport.items import McpApprovalRequestItem, McpCallItem, McpListToolsItem, RealtimeItem
from support.memory_wire import (
    FarEnd,
    MemoryWire,
    call_turn,
    memory_transport,
    open_session,
    read_until,
    spoken_turn,
    text_turn,
    user_item,
)

texts = st.text(max_size=8)
maybe = st.none() | texts
names = st.text(min_size=1, max_size=8)
numbers = st.integers(0, 1_000_000)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
mappings = st.dictionaries(texts, json_values, max_size=3)
statuses = st.sampled_from(["in_progress", "completed", "incomplete", "interrupted"])
input_parts = (
    st.builds(InputText, texts)
    | st.builds(InputAudio, maybe)
    | st.builds(InputImage, maybe, st.none() | st.just("low"))
)
assistant_parts = st.builds(AssistantText, texts) | st.builds(AssistantAudio, maybe)
items = st.one_of(
    st.builds(SystemMessageItem, item_id=names, content=st.lists(st.builds(InputText, texts), max_size=2).map(tuple)),
    st.builds(
        UserMessageItem,
        item_id=names,
        content=st.lists(input_parts, max_size=3).map(tuple),
        status=st.none() | statuses,
    ),
    st.builds(
        AssistantMessageItem,
        item_id=names,
        content=st.lists(assistant_parts, max_size=3).map(tuple),
        status=st.none() | statuses,
        response_id=maybe,
        played_ms=st.none() | numbers,
        heard_text=maybe,
    ),
    st.builds(
        RealtimeToolCallItem,
        item_id=names,
        call_id=names,
        name=names,
        arguments=texts,
        output=maybe,
        status=statuses,
        response_id=maybe,
    ),
    st.builds(McpListToolsItem, item_id=names, server_label=texts, tools=st.lists(mappings, max_size=2).map(tuple)),
    st.builds(
        McpCallItem,
        item_id=names,
        server_label=texts,
        name=texts,
        arguments=texts,
        output=maybe,
        error=st.none() | mappings,
        status=statuses,
        approval_request_id=maybe,
    ),
    st.builds(
        McpApprovalRequestItem,
        item_id=names,
        server_label=texts,
        name=texts,
        arguments=texts,
        approved=st.none() | st.booleans(),
    ),
)
usages = st.builds(Usage, numbers, numbers, numbers, numbers, mappings, mappings)
states = st.builds(
    SessionState,
    agent=names,
    history=st.lists(items, max_size=5, unique_by=lambda i: i.item_id).map(tuple),
    usage=usages,
)

ASKED = UserMessageItem(item_id="user_1", content=(InputText("Two and two?"),), status="completed")
SAID = AssistantMessageItem(
    item_id="item_1", content=(AssistantAudio("It is four."),), status="completed", response_id="resp_1"
)


def heard(item: RealtimeItem) -> Any:
    """All fields of an item, also those that don't count for equality."""
    return type(item), attrs.asdict(item)


def created(far: FarEnd) -> list[dict[str, Any]]:
    """The items that the far end was told of, and where each was put."""
    frames = [frame for frame in far.frames if frame["type"] == "conversation.item.create"]
    return [{"after": frame.get("previous_item_id"), **frame["item"]} for frame in frames]


async def seeds(*history: RealtimeItem) -> list[dict[str, Any]]:
    """Take a conversation up; return what the model is told of it."""
    async with open_session(state=SessionState(agent="Greeter", history=history)) as (_, far):
        return created(far)


class TestAsJson:
    @given(states)
    def test_comes_back_as_it_was(self, state: SessionState) -> None:
        for again in (SessionState.from_json(state.to_json()), SessionState.from_dict(state.to_dict())):
            assert again == state
            assert [heard(item) for item in again.history] == [heard(item) for item in state.history]

    @given(states)
    def test_is_plain(self, state: SessionState) -> None:
        told = state.to_dict()
        assert json.loads(json.dumps(told)) == told
        assert json.loads(state.to_json()) == told
        assert SessionState.from_json(state.to_json().encode()) == state

    def test_says_its_version(self) -> None:
        assert SessionState(agent="A").to_dict() == {
            "version": 1,
            "agent": "A",
            "history": [],
            "usage": attrs.asdict(Usage()),
        }

    def test_holds_no_audio(self) -> None:
        said = UserMessageItem(item_id="user_1", content=(InputAudio("Hi", "c291bmQ="),))
        answered = AssistantMessageItem(item_id="item_1", content=(AssistantAudio("Hello", "c291bmQ="),))
        assert "c291bmQ=" not in SessionState(agent="A", history=(said, answered)).to_json()

    @pytest.mark.parametrize(
        "change",
        [
            {"version": 2},
            {"version": 0},
            {"version": None},
            {"version": "1"},
            {"history": None},
            {"history": 5},
            {"history": ["text"]},
            {"history": [{"type": "message"}]},
            {"history": [{"type": "message", "role": "user", "item_id": "a"}]},
            {"history": [{"type": "message", "role": "user", "item_id": "a", "content": ["text"]}]},
            {"history": [{"type": "message", "role": "user", "item_id": "a", "content": [{"type": "smell"}]}]},
            {
                "history": [
                    {"type": "message", "role": "user", "item_id": "a", "content": [{"type": "input_text", "x": 1}]}
                ]
            },
            {"history": [{"type": "message", "role": "ghost", "item_id": "a", "content": []}]},
            {"history": [{"type": "dream", "item_id": "a"}]},
            {"history": [{"type": [], "item_id": "a"}]},
            {"history": [{"type": "function_call", "item_id": "a"}]},
            {"history": [{"type": "mcp_list_tools", "item_id": "a", "tools": None}]},
            {"history": [{"item_id": "a"}]},
            {"usage": None},
            {"usage": {"tokens": 1}},
        ],
    )
    def test_what_is_none_is_refused(self, change: dict[str, Any]) -> None:
        with pytest.raises(ConfigurationError):
            SessionState.from_dict({**SessionState(agent="A").to_dict(), **change})

    @pytest.mark.parametrize("key", ["version", "agent", "history", "usage"])
    def test_what_lacks_something_is_refused(self, key: str) -> None:
        told = SessionState(agent="A").to_dict()
        del told[key]
        with pytest.raises(ConfigurationError):
            SessionState.from_dict(told)

    @pytest.mark.parametrize(
        "text", ["", "{", "[]", "null", '"state"', "5", b"\xff", "[" * 100_000], ids=lambda text: repr(text[:8])
    )
    def test_text_that_is_none_is_refused(self, text: str | bytes) -> None:
        with pytest.raises(ConfigurationError):
            SessionState.from_json(text)

    @given(json_values)
    def test_no_json_whatever_breaks_it(self, value: Any) -> None:
        with pytest.raises(ConfigurationError):
            SessionState.from_json(json.dumps(value))

    def test_a_session_refuses_it_before_it_is_entered(self) -> None:
        with pytest.raises(ConfigurationError, match="has version 1; this one is 7"):
            RealtimeSession(RealtimeAgent("A"), transport=memory_transport(MemoryWire()), state={"version": 7})


class TestExport:
    async def test_of_a_session_that_was_not_entered(self) -> None:
        session = RealtimeSession(RealtimeAgent("A"), transport=memory_transport(MemoryWire()))
        assert session.state() == SessionState(agent="A")

    async def test_holds_what_was_said_and_done_and_who_has_the_conversation(self) -> None:
        @function_tool
        def add() -> int:
            return 4

        second = RealtimeAgent("Second")
        tracker = RealtimePlaybackTracker()
        agent = RealtimeAgent("First", tools=[add], handoffs=[second])
        async with open_session(agent, playback_tracker=tracker) as (session, far):
            far.send(
                *user_item("user_1", "Two and two?"), *call_turn("resp_1", ("call_1", "add", "{}"), previous="user_1")
            )
            await far.received("response.create")
            far.send(*spoken_turn("resp_2", "item_2", ["It is", " four."], previous="item_call_1", tokens=5))
            await read_until(session, lambda event: getattr(event, "output", "") == "It is four.")
            tracker.on_play_ms("item_2", 0, 100)
            await session.interrupt()
            await session.update_agent(second)
            state = session.state()
            assert state.history == tuple(session.history)
        asked, call, said = state.history
        assert asked == UserMessageItem(item_id="user_1", content=(InputText("Two and two?"),), status="completed")
        assert isinstance(call, RealtimeToolCallItem)
        assert (call.output, call.status) == ("4", "completed")
        assert isinstance(said, AssistantMessageItem)
        assert (said.status, said.played_ms, said.heard_text) == ("interrupted", 100, "It is")
        assert (state.agent, state.usage.total_tokens) == ("Second", 10)
        assert SessionState.from_json(state.to_json()) == state
        assert session.state() == state  # also once it is closed

    async def test_of_a_session_that_took_one_up_and_could_not_connect(self) -> None:
        state = SessionState(agent="A", history=(ASKED, SAID), usage=Usage(1, 2, 3, 5))
        transport = memory_transport(MemoryWire(refusal=OSError("no route")))
        session = RealtimeSession(RealtimeAgent("A"), transport=transport, state=state)
        assert session.state() == state
        with pytest.raises(OSError, match="no route"):
            await session.enter()
        assert session.state() == state

    async def test_is_a_picture_and_no_window(self) -> None:
        async with open_session() as (session, far):
            far.send(*user_item("user_1", "Hi"))
            await far.heard()
            state = session.state()
            far.send(*text_turn("resp_1", "item_1", previous="user_1"))
            await read_until(session, "agent_end")
            assert [item.item_id for item in state.history] == ["user_1"]


class TestTakingUp:
    async def test_everything_is_told_anew_in_order_once_it_is_connected(self) -> None:
        image = InputImage("data:image/png;base64,AA", "low")
        history = (
            SystemMessageItem(item_id="sys_1", content=(InputText("Be brief."),)),
            UserMessageItem(item_id="user_1", content=(InputText("What is it?"), image)),
            RealtimeToolCallItem(item_id="item_c", call_id="call_1", name="look", arguments="{}", output="a cat"),
            AssistantMessageItem(item_id="item_1", content=(AssistantText("A cat."),), status="completed"),
            UserMessageItem(item_id="user_2", content=(InputAudio("Really?"),)),
            AssistantMessageItem(item_id="item_2", content=(AssistantAudio("Really."),), status="completed"),
        )
        async with open_session(state=SessionState(agent="Greeter", history=history)) as (session, far):
            assert far.types == ["session.update"] + ["conversation.item.create"] * 7
            assert created(far) == [
                {
                    "after": "root",
                    "type": "message",
                    "id": "sys_1",
                    "role": "system",
                    "content": [{"type": "input_text", "text": "Be brief."}],
                },
                {
                    "after": "sys_1",
                    "type": "message",
                    "id": "user_1",
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "What is it?"},
                        {"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "low"},
                    ],
                },
                {
                    "after": "user_1",
                    "type": "function_call",
                    "id": "item_c",
                    "call_id": "call_1",
                    "name": "look",
                    "arguments": "{}",
                },
                {
                    "after": "item_c",
                    "type": "function_call_output",
                    "id": "item_c_out",
                    "call_id": "call_1",
                    "output": "a cat",
                },
                {
                    "after": "item_c_out",
                    "type": "message",
                    "id": "item_1",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "A cat."}],
                },
                {
                    "after": "item_1",
                    "type": "message",
                    "id": "user_2",
                    "role": "user",
                    "content": [{"type": "input_text", "text": "Really?"}],
                },
                {
                    "after": "user_2",
                    "type": "message",
                    "id": "item_2",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "Really."}],
                },
            ]
            assert session.history == list(history)

    @pytest.mark.parametrize(
        ("status", "heard_text", "told"),
        [
            ("completed", None, "It is four, I think."),
            ("completed", "It is four,", "It is four, I think."),
            ("interrupted", "It is four,", "It is four,"),
            ("interrupted", None, "It is four, I think."),
            ("interrupted", "", None),
        ],
    )
    async def test_of_an_answer_that_was_cut_only_what_was_heard(
        self, status: Any, heard_text: str | None, told: str | None
    ) -> None:
        said = AssistantMessageItem(
            item_id="item_1",
            content=(AssistantAudio("It is four,"), AssistantAudio(" I think.")),
            status=status,
            heard_text=heard_text,
        )
        expected = [] if told is None else [[{"type": "output_text", "text": told}]]
        assert [item["content"] for item in await seeds(said)] == expected

    @pytest.mark.parametrize(
        "item",
        [
            RealtimeToolCallItem(item_id="item_c", call_id="call_1", name="look"),
            UserMessageItem(item_id="user_1", content=(InputAudio(None),)),
            UserMessageItem(item_id="user_1", content=(InputImage(None),)),
            UserMessageItem(item_id="user_1"),
            AssistantMessageItem(item_id="item_1"),
            AssistantMessageItem(item_id="item_1", content=(AssistantAudio(None),)),
            McpListToolsItem(item_id="mcpl_1", server_label="docs"),
            McpCallItem(item_id="mcp_1", name="search", output="found"),
            McpApprovalRequestItem(item_id="mcpr_1", name="search"),
        ],
        ids=lambda item: type(item).__name__,
    )
    async def test_what_can_not_be_told_anew_is_left_out_and_what_follows_finds_its_place(
        self, item: RealtimeItem
    ) -> None:
        last = UserMessageItem(item_id="user_9", content=(InputText("And?"),))
        told = await seeds(SAID, item, last)
        assert [(item["id"], item["after"]) for item in told] == [("item_1", "root"), ("user_9", "item_1")]

    async def test_the_echo_of_it_changes_neither_order_nor_what_was_heard(self) -> None:
        cut = attrs.evolve(SAID, status="interrupted", played_ms=120, heard_text="It is")
        call = RealtimeToolCallItem(item_id="item_c", call_id="call_1", name="look", output="a cat", status="completed")
        listed = McpListToolsItem(item_id="mcpl_1", server_label="docs")
        waiting = RealtimeToolCallItem(item_id="item_d", call_id="call_2", name="look")
        last = UserMessageItem(item_id="user_9", content=(InputText("And?"),), status="completed")
        history = (listed, ASKED, cut, call, waiting, last)
        async with open_session(state=SessionState(agent="Greeter", history=history)) as (session, far):
            before = [item.item_id for item in session.history]
            for item in created(far):
                after = None if item["after"] == "root" else item["after"]
                echo = {key: value for key, value in item.items() if key != "after"} | {"status": "completed"}
                far.send({"type": "conversation.item.added", "previous_item_id": after, "item": echo})
            await far.heard()
            assert [item.item_id for item in session.history] == before
            said = next(item for item in session.history if item.item_id == "item_1")
            assert isinstance(said, AssistantMessageItem)
            assert (said.status, said.text, said.played_ms, said.heard_text) == ("interrupted", "It is", 120, "It is")
            looked = next(item for item in session.history if item.item_id == "item_c")
            assert looked == call

    async def test_it_can_be_edited_afterwards(self) -> None:
        listed = McpListToolsItem(item_id="mcpl_1", server_label="docs")
        waiting = RealtimeToolCallItem(item_id="item_d", call_id="call_2", name="look")
        state = SessionState(agent="Greeter", history=(listed, ASKED, waiting))
        async with open_session(state=state) as (session, far):
            known = {"root", *(item["id"] for item in created(far))}
            sent = len(far.frames)
            note = UserMessageItem(item_id="note", content=(InputText("By the way"),))
            await session.update_history(lambda history: [*history, note])
            await session.update_history(lambda history: [])
            # Nothing is said about items of which the far end has never heard.
            for frame in far.frames[sent:]:
                assert frame.get("previous_item_id", frame.get("item_id")) in known
                known.add(frame.get("item", {}).get("id"))

    async def test_usage_goes_on_from_there(self) -> None:
        used = Usage(2, 30, 40, 70, {"text_tokens": 30})
        async with open_session(state=SessionState(agent="Greeter", usage=used)) as (session, far):
            assert session.usage == used
            far.send(*spoken_turn("resp_1", "item_1", tokens=5))
            await read_until(session, "agent_end")
            assert (session.usage.requests, session.usage.total_tokens) == (3, 80)
            assert session.state().usage == session.usage

    async def test_tools_and_instructions_see_it(self) -> None:
        seen: list[list[str]] = []

        def instructions(context: Any, agent: Any) -> str:
            seen.append([item.item_id for item in context.history])
            return "Be kind."

        state = SessionState(agent="Greeter", history=(ASKED, SAID))
        async with open_session(RealtimeAgent("Greeter", instructions=instructions), state=state) as (session, _):
            (update,) = await read_until(session, "history_updated")
            assert [item.item_id for item in update.history] == ["user_1", "item_1"]
            assert seen == [["user_1", "item_1"]]

    async def test_from_plain_json_and_through_many_sessions(self) -> None:
        state: Any = SessionState(agent="Greeter", history=(ASKED, SAID)).to_dict()
        told = []
        for _ in range(3):
            async with open_session(state=json.loads(json.dumps(state))) as (session, far):
                told.append(created(far))
                state = session.state().to_dict()
        assert told[0] == told[1] == told[2]
        assert len(told[0]) == 2

    @settings(max_examples=50, deadline=None)
    @given(states)
    def test_whatever_it_holds(self, state: SessionState) -> None:
        async def take_up() -> None:
            agent = RealtimeAgent(state.agent)
            async with open_session(agent, state=state) as (session, far):
                anchors = [item["after"] for item in created(far)]
                assert anchors == ["root", *[item["id"] for item in created(far)]][: len(anchors)]
                assert session.usage == state.usage

        asyncio.run(take_up())

    async def test_where_the_transport_can_not_tell_it(self) -> None:
        transport = memory_transport(MemoryWire(), history=False)
        with pytest.raises(ConfigurationError, match="can't be told an earlier conversation"):
            RealtimeSession(
                RealtimeAgent("Greeter"), transport=transport, state=SessionState(agent="Greeter", history=(ASKED,))
            )
        RealtimeSession(RealtimeAgent("Greeter"), transport=transport, state=SessionState(agent="Greeter"))


class TestWhoHasTheConversation:
    async def test_is_found_through_handoffs_that_go_in_circles(self) -> None:
        deep = RealtimeAgent("Deep", instructions="Dive.")
        middle = RealtimeAgent("Middle", handoffs=[realtime_handoff(deep, is_enabled=False)])
        start = RealtimeAgent("Start", instructions="Begin.", handoffs=[middle])
        middle.handoffs.append(start)
        deep.handoffs += [start, deep]
        async with open_session(start, state=SessionState(agent="Deep")) as (session, far):
            assert session.current_agent is deep
            assert far.frames[0]["session"]["instructions"] == "Dive."
            far.send(*text_turn("resp_1", "item_1"))
            assert (await read_until(session, "agent_end"))[-1].agent is deep

    async def test_the_start_comes_first_and_then_the_nearest(self) -> None:
        far_away, near = RealtimeAgent("Twin"), RealtimeAgent("Twin")
        start = RealtimeAgent("Start", handoffs=[RealtimeAgent("Between", handoffs=[far_away]), near])
        session = RealtimeSession(start, transport=memory_transport(MemoryWire()), state=SessionState(agent="Twin"))
        assert session.current_agent is near

    async def test_one_that_is_not_to_be_found(self) -> None:
        start = RealtimeAgent("Start", handoffs=[RealtimeAgent("Other")])
        start.handoffs[0].handoffs.append(start)  # type: ignore[union-attr]
        with pytest.raises(
            ConfigurationError, match="agent 'Gone', which can't be reached here: there are Start, Other"
        ):
            RealtimeSession(start, transport=memory_transport(MemoryWire()), state=SessionState(agent="Gone"))
