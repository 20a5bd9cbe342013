"""What the dialect writes: every frame is a client event of the API, and what can't be one is refused before."""

from __future__ import annotations

import base64
import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.realtime import RealtimeClientEvent
from pydantic import TypeAdapter

from jackfield.openai import OpenAIRealtimeProtocol, audio_frame, decode, encode
from jackfield.transport import (
    ConfigurationError,
    TransportCapabilities,
    events,
    items,
)
from support.api_types import undeclared

CLIENT_EVENTS: TypeAdapter[Any] = TypeAdapter(RealtimeClientEvent)
IMAGE = "data:image/png;base64,iVBORw0KGgo="
CALL = events.FunctionCall(name="add", arguments="{}", call_id="call_1", item_id="item_f", response_id="resp_1")
APPROVAL = events.McpApprovalRequest(item_id="mcpr_1", server_label="docs", name="search", arguments="{}")


def check(frames: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return `frames`, once each is seen to be an event of the API, whole, and JSON."""
    for frame in frames:
        event = CLIENT_EVENTS.validate_python(frame)
        assert event.type == frame["type"]
        assert undeclared(event) == []
        assert decode(encode(frame)) == frame
    return frames


@pytest.fixture
def dialect() -> OpenAIRealtimeProtocol:
    return OpenAIRealtimeProtocol(capabilities=TransportCapabilities(), clock=lambda: 0.0)


class TestMessages:
    def test_text(self, dialect: OpenAIRealtimeProtocol) -> None:
        [create, ask] = check(dialect.message("Hello", trigger_response=True))
        assert create["item"] == {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "Hello"}],
        }
        assert ask["type"] == "response.create"
        assert create["event_id"] != ask["event_id"]

    def test_without_asking_for_an_answer(self, dialect: OpenAIRealtimeProtocol) -> None:
        assert len(check(dialect.message("Hello", trigger_response=False))) == 1

    def test_while_a_response_runs_the_item_goes_out_and_the_request_waits(
        self, dialect: OpenAIRealtimeProtocol
    ) -> None:
        list(dialect.receive({"type": "response.created", "response": {"id": "resp_1"}}))
        assert [frame["type"] for frame in dialect.message("Hello", trigger_response=True)] == [
            "conversation.item.create"
        ]
        list(dialect.receive({"type": "response.done", "response": {"id": "resp_1"}}))
        assert [frame["type"] for frame in check(dialect.data_to_send())] == ["response.create"]
        assert dialect.data_to_send() == [], "what is to be sent is handed out once"

    @pytest.mark.parametrize("role", ["user", "system"])
    def test_parts(self, dialect: OpenAIRealtimeProtocol, role: str) -> None:
        [frame] = check(
            dialect.message({"role": role, "id": "item_mine", "content": "Be quick."}, trigger_response=False)
        )
        assert (frame["item"]["role"], frame["item"]["id"]) == (role, "item_mine")

    def test_mixed_parts(self, dialect: OpenAIRealtimeProtocol) -> None:
        content = [
            {"type": "input_text", "text": "What is it?"},
            {"type": "input_image", "image": IMAGE, "detail": "high"},
            {"type": "input_audio", "audio": "AAAA", "transcript": "hm", "surplus": 1},
        ]
        [frame] = check(dialect.message({"content": content}, trigger_response=False))
        assert frame["item"]["content"] == [
            {"type": "input_text", "text": "What is it?"},
            {"type": "input_image", "image_url": IMAGE, "detail": "high"},
            {"type": "input_audio", "audio": "AAAA", "transcript": "hm"},
        ]

    @pytest.mark.parametrize("detail", [None, "auto", "low", "high"])
    def test_an_image(self, dialect: OpenAIRealtimeProtocol, detail: str | None) -> None:
        [frame, _] = check(dialect.image(IMAGE, detail=detail, trigger_response=True))
        [part] = frame["item"]["content"]
        assert part == {"type": "input_image", "image_url": IMAGE} | ({"detail": detail} if detail else {})

    @pytest.mark.parametrize(
        "message",
        [
            None,
            5,
            ["Hello"],
            {},
            {"content": []},
            {"content": None},
            {"content": ["Hello"]},
            {"content": [{"type": "input_text"}]},
            {"content": [{"type": "output_text", "text": "x"}]},
            {"content": [{"type": "input_image"}]},
            {"content": [{"type": "input_image", "image_url": IMAGE, "detail": "medium"}]},
            {"content": [{"type": "input_image", "image_url": IMAGE, "detail": ["low"]}]},
            {"role": "assistant", "content": "x"},
            {"role": ["user"], "content": "x"},
        ],
    )
    def test_what_is_no_message_is_refused(self, dialect: OpenAIRealtimeProtocol, message: Any) -> None:
        with pytest.raises(ConfigurationError):
            dialect.message(message, trigger_response=True)
        assert dialect.sequencer.state == "idle"


class TestAnswers:
    def test_of_a_function_call(self, dialect: OpenAIRealtimeProtocol) -> None:
        frames, told = dialect.function_call_output(CALL, "", start_response=True)
        [output, ask] = check(frames)
        assert output["item"] == {"type": "function_call_output", "call_id": "call_1", "output": ""}
        assert ask["type"] == "response.create"
        [update] = told
        assert isinstance(update, events.ItemUpdate)
        assert update.item == items.RealtimeToolCallItem(
            item_id="item_f",
            call_id="call_1",
            name="add",
            arguments="{}",
            output="",
            status="completed",
            response_id="resp_1",
        )

    def test_of_several_calls_in_one_turn_ask_once(self, dialect: OpenAIRealtimeProtocol) -> None:
        list(dialect.receive({"type": "response.created", "response": {"id": "resp_1"}}))
        for _ in range(3):
            frames, _ = dialect.function_call_output(CALL, "1", start_response=True)
            assert [frame["type"] for frame in frames] == ["conversation.item.create"]
        list(dialect.receive({"type": "response.done", "response": {"id": "resp_1"}}))
        assert len(dialect.data_to_send()) == 1
        assert dialect.sequencer.waiting == 0

    def test_an_output_is_text(self, dialect: OpenAIRealtimeProtocol) -> None:
        output: Any = {"sum": 3}
        with pytest.raises(ConfigurationError, match="JSON"):
            dialect.function_call_output(CALL, output, start_response=True)

    @pytest.mark.parametrize("reason", [None, "", "not now"])
    @pytest.mark.parametrize("approved", [True, False])
    def test_of_an_approval_request(self, dialect: OpenAIRealtimeProtocol, approved: bool, reason: str | None) -> None:
        [frame] = check(dialect.mcp_response(APPROVAL, approved, reason))
        assert frame["previous_item_id"] == "mcpr_1"
        item = frame["item"]
        assert (item["approval_request_id"], item["approve"], item.get("reason")) == ("mcpr_1", approved, reason)
        assert 0 < len(item["id"]) <= 32


class TestRawEvents:
    SAMPLES: tuple[dict[str, Any], ...] = (
        {"type": "session.update", "session": {"type": "realtime", "instructions": "x"}},
        {"type": "input_audio_buffer.append", "audio": "AAAA"},
        {"type": "input_audio_buffer.commit"},
        {"type": "input_audio_buffer.clear"},
        {"type": "output_audio_buffer.clear"},
        {"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": "c", "output": "x"}},
        {"type": "conversation.item.create", "item": {"type": "function_call", "name": "f", "arguments": "{}"}},
        {"type": "conversation.item.retrieve", "item_id": "item_1"},
        {"type": "conversation.item.truncate", "item_id": "item_1", "content_index": 0, "audio_end_ms": 5},
        {"type": "conversation.item.delete", "item_id": "item_1"},
        {"type": "response.create", "event_id": "mine", "response": {"metadata": {"a": "b"}}},
        {"type": "response.cancel", "response_id": "resp_1"},
    )

    def test_the_samples_are_all_client_events(self) -> None:
        union = get_args(RealtimeClientEvent)[0]
        types = {get_args(event.model_fields["type"].annotation)[0] for event in get_args(union)}
        assert {sample["type"] for sample in self.SAMPLES} == types

    @pytest.mark.parametrize("sample", SAMPLES, ids=[sample["type"] for sample in SAMPLES])
    def test_pass_as_they_are(self, dialect: OpenAIRealtimeProtocol, sample: dict[str, Any]) -> None:
        before = json.dumps(sample)
        [frame] = check(dialect.event(sample))
        assert frame == sample
        frame["type"] = "changed"
        assert json.dumps(sample) == before

    def test_unknown_ones_pass_too(self, dialect: OpenAIRealtimeProtocol) -> None:
        event = {"type": "session.avatar.connect", "client_sdp": "…"}
        assert dialect.event(event) == [event]

    def test_a_raw_request_waits_like_any_other_and_never_merges(self, dialect: OpenAIRealtimeProtocol) -> None:
        list(dialect.receive({"type": "response.created", "response": {"id": "resp_1"}}))
        assert dialect.event({"type": "response.create"}) == []
        assert dialect.event({"type": "response.create"}) == []
        assert dialect.sequencer.waiting == 2

    @pytest.mark.parametrize(
        "event",
        [
            {},
            {"type": ""},
            {"type": 5},
            {"event_id": "x"},
            {"type": "response.create", "response": "now"},
            {"type": "response.create", "event_id": 5},
            {"type": "response.cancel", "response_id": ["resp_1"]},
        ],
    )
    def test_what_is_no_event_is_refused(self, dialect: OpenAIRealtimeProtocol, event: dict[str, Any]) -> None:
        with pytest.raises(ConfigurationError):
            dialect.event(event)
        assert dialect.sequencer.state == "idle"

    def test_a_call_that_is_written_into_the_conversation_gets_its_output(
        self, dialect: OpenAIRealtimeProtocol
    ) -> None:
        call = {"type": "function_call", "id": "item_f", "call_id": "call_1", "name": "f", "arguments": "{}"}
        output = {"type": "function_call_output", "id": "item_o", "call_id": "call_1", "output": "42"}
        dialect.event({"type": "conversation.item.create", "item": call})
        told = [
            *dialect.receive({"type": "conversation.item.done", "item": call}),
            *dialect.receive({"type": "conversation.item.done", "item": output}),
        ]
        assert [event.item.output for event in told if isinstance(event, events.ItemUpdate)] == [None, "42"]  # type: ignore[union-attr]
        assert "function_call" not in [event.type for event in told], "it is history, and not to be run"


class TestAudio:
    @given(chunk=st.binary(max_size=5000))
    def test_a_chunk(self, chunk: bytes) -> None:
        frame = json.loads(audio_frame(chunk))
        [event] = check([frame])
        assert base64.b64decode(event["audio"]) == chunk

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_of_any_bytes(self, kind: Any) -> None:
        assert json.loads(audio_frame(kind(b"abc")))["audio"] == "YWJj"

    def test_a_large_one(self) -> None:
        assert len(json.loads(audio_frame(bytes(3_000_000)))["audio"]) == 4_000_000


class TestConfig:
    def test_an_update(self, dialect: OpenAIRealtimeProtocol) -> None:
        [frame] = check(
            dialect.session_update({"instructions": "Be brief.", "voice": "marin", "tool_choice": "get_weather"})
        )
        assert frame["session"]["type"] == "realtime"

    def test_event_ids_are_unique(self, dialect: OpenAIRealtimeProtocol) -> None:
        frames = [
            *dialect.session_update({"instructions": "a"}),
            *dialect.message("a", trigger_response=True),
            *dialect.function_call_output(CALL, "1", start_response=False)[0],
            *dialect.mcp_response(APPROVAL, True, None),
        ]
        ids = [frame["event_id"] for frame in frames]
        assert len(ids) == len(set(ids)) == 5


def user(item_id: str, text: str = "hello") -> items.UserMessageItem:
    return items.UserMessageItem(item_id=item_id, content=(items.InputText(text),), status="completed")


def assistant(item_id: str, text: str = "hi") -> items.AssistantMessageItem:
    return items.AssistantMessageItem(item_id=item_id, content=(items.AssistantText(text),), status="completed")


def called(item_id: str, output: str | None = "42") -> items.RealtimeToolCallItem:
    return items.RealtimeToolCallItem(
        item_id=item_id, call_id=f"call_{item_id}", name="f", arguments="{}", output=output, status="completed"
    )


class Conversation:
    """The server's conversation: wire items in order, changed by the frames that the dialect writes."""

    def __init__(self, dialect: OpenAIRealtimeProtocol) -> None:
        self.dialect = dialect
        self.items: list[dict[str, Any]] = []

    def apply(self, frames: list[dict[str, Any]]) -> None:
        for frame in check(frames):
            ids = [item["id"] for item in self.items]
            if frame["type"] == "conversation.item.delete":
                del self.items[ids.index(frame["item_id"])]
                self.tell("conversation.item.deleted", item_id=frame["item_id"])
                continue
            previous, item = frame.get("previous_item_id"), frame["item"]
            assert item["id"] not in ids
            at = 0 if previous == "root" else ids.index(previous) + 1
            self.items.insert(at, item)
            for type_ in ("conversation.item.added", "conversation.item.done"):
                self.tell(type_, item=item, previous_item_id=None if previous == "root" else previous)

    def tell(self, type_: str, **fields: Any) -> None:
        for event in self.dialect.receive({"type": type_, **fields}):
            assert not isinstance(event, events.Error | events.FunctionCall)

    def shown(self) -> list[str]:
        return [show(item) for item in self.items]


def show(item: dict[str, Any]) -> str:
    match item["type"]:
        case "message":
            return f"{item['role']} {item['id']}: {item['content'][0]['text']}"
        case "function_call":
            return f"call {item['id']}"
        case _:
            return f"output {item['call_id']}: {item['output']}"


def expected(history: list[Any]) -> list[str]:
    lines = []
    for item in history:
        if isinstance(item, items.RealtimeToolCallItem):
            lines.append(f"call {item.item_id}")
            if item.output is not None:
                lines.append(f"output {item.call_id}: {item.output}")
        else:
            lines.append(f"{item.role} {item.item_id}: {item.content[0].text}")
    return lines


histories = st.lists(
    st.builds(
        lambda make, name, text: make(f"item_{name}", text),
        st.sampled_from([user, assistant, called]),
        st.sampled_from("abcdef"),
        st.sampled_from(["one", "two"]),
    ),
    max_size=6,
    unique_by=lambda item: item.item_id,
)


class TestHistory:
    @given(steps=st.lists(histories, max_size=4))
    def test_the_conversation_becomes_the_new_history(self, steps: list[list[Any]]) -> None:
        dialect = OpenAIRealtimeProtocol(capabilities=TransportCapabilities(), clock=lambda: 0.0)
        conversation = Conversation(dialect)
        old: list[Any] = []
        for new in steps:
            conversation.apply(dialect.reset_history(old, new))
            assert conversation.shown() == expected(new)
            assert dialect.reset_history(new, new) == []
            old = new

    def test_what_did_not_change_is_left_alone(self, dialect: OpenAIRealtimeProtocol) -> None:
        spoken = items.AssistantMessageItem(item_id="item_b", content=(items.AssistantAudio("hi"),))
        old: list[Any] = [user("item_a"), spoken, user("item_c")]
        new: list[Any] = [user("item_a"), spoken, user("item_c", "changed"), user("item_d")]
        frames = check(dialect.reset_history(old, new))
        assert [(frame["type"], frame.get("previous_item_id")) for frame in frames] == [
            ("conversation.item.delete", None),
            ("conversation.item.create", "item_b"),
            ("conversation.item.create", "item_c"),
        ]

    def test_the_first_goes_to_the_root(self, dialect: OpenAIRealtimeProtocol) -> None:
        [frame] = check(dialect.reset_history([], [user("item_a")]))
        assert frame["previous_item_id"] == "root"

    def test_its_echo_keeps_the_output_of_a_call(self, dialect: OpenAIRealtimeProtocol) -> None:
        [call, output] = check(dialect.reset_history([], [called("item_f")]))
        told = [
            *dialect.receive({"type": "conversation.item.done", "item": call["item"]}),
            *dialect.receive({"type": "conversation.item.done", "item": output["item"]}),
        ]
        assert [event.item.output for event in told if isinstance(event, events.ItemUpdate)] == ["42"]  # type: ignore[union-attr]

    @pytest.mark.parametrize(
        "item",
        [
            items.AssistantMessageItem(item_id="item_x", content=(items.AssistantAudio("hi"),)),
            items.McpCallItem(item_id="item_x"),
            items.McpListToolsItem(item_id="item_x"),
            items.UserMessageItem(item_id="item_x", content=(items.InputImage(None),)),
            items.UserMessageItem(item_id="item_x", content=(items.InputAudio(None),)),
        ],
    )
    def test_what_cannot_be_created_is_refused_before_anything_is_sent(
        self, dialect: OpenAIRealtimeProtocol, item: Any
    ) -> None:
        with pytest.raises(ConfigurationError, match="item_x"):
            dialect.reset_history([user("item_a")], [item])
        assert len(dialect.reset_history([user("item_a"), item], [item])) == 1

    def test_parts_that_can_be_created(self, dialect: OpenAIRealtimeProtocol) -> None:
        content = (
            items.InputText("a"),
            items.InputImage(IMAGE, "low"),
            items.InputAudio("heard", "AAAA"),
            items.InputAudio("heard"),
        )
        [frame] = check(dialect.reset_history([], [items.UserMessageItem(item_id="item_a", content=content)]))
        assert [part["type"] for part in frame["item"]["content"]] == [
            "input_text",
            "input_image",
            "input_audio",
            "input_text",
        ]
