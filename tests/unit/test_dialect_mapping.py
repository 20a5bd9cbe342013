"""Every server event of the Realtime API and what becomes of it; beta names."""

from __future__ import annotations

import base64
from typing import Any, get_args

import pytest
from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent
from pydantic import TypeAdapter

from jackfield.audio import PCM16, PCMU
from jackfield.openai import OpenAIRealtimeProtocol
from jackfield.transport import ProtocolError, TransportCapabilities, events, items

SERVER_EVENTS: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
CLIENT_EVENTS: TypeAdapter[Any] = TypeAdapter(RealtimeClientEvent)

AUDIO = bytes(range(256)) * 4
PART = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "content_index": 0}
PLACE = ("resp_1", "item_1", 0)
CALL = {"response_id": "resp_1", "item_id": "item_f", "output_index": 0}


def message_item(role: str = "user", **more: Any) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    return {
        "id": "item_1",
        "type": "message",
        "role": role,
        "status": "completed",
        "content": [{"type": kind, "text": "hello"}],
        **more,
    }


def response(**more: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "realtime.response",
        "status": "completed",
        "status_details": None,
        "output": [],
        "conversation_id": "conv_1",
        "usage": None,
        "metadata": None,
        **more,
    }


FUNCTION_CALL = {
    "id": "item_f",
    "type": "function_call",
    "status": "completed",
    "call_id": "call_1",
    "name": "add",
    "arguments": '{"a":1}',
}
TOOLS = [{"name": "search", "input_schema": {"type": "object"}}]
LIST_TOOLS = {"id": "mcpl_1", "type": "mcp_list_tools", "server_label": "docs", "tools": TOOLS}
MCP_CALL = {
    "id": "mcp_1",
    "type": "mcp_call",
    "server_label": "docs",
    "name": "search",
    "arguments": "{}",
    "output": "found",
}
APPROVAL = {
    "id": "mcpr_1",
    "type": "mcp_approval_request",
    "server_label": "docs",
    "name": "search",
    "arguments": "{}",
}

USER = items.UserMessageItem(item_id="item_1", content=(items.InputText("hello"),), status="completed")
ASSISTANT = items.AssistantMessageItem(
    item_id="item_1", content=(items.AssistantText("hello"),), status="completed", response_id="resp_1"
)
CALLED = items.RealtimeToolCallItem(
    item_id="item_f", call_id="call_1", name="add", arguments='{"a":1}', status="in_progress", response_id="resp_1"
)
MCP_CALLED = items.McpCallItem(
    item_id="mcp_1", server_label="docs", name="search", arguments="{}", output="found", status="completed"
)
USAGE_ON_WIRE = {
    "total_tokens": 12,
    "input_tokens": 8,
    "output_tokens": 4,
    "input_token_details": {"text_tokens": 8, "cached_tokens_details": {"text_tokens": 2}},
    "output_token_details": {"text_tokens": 4},
}
USAGE = events.Usage(1, 8, 4, 12, {"text_tokens": 8, "cached_tokens_details": {"text_tokens": 2}}, {"text_tokens": 4})

# type, fields, common events
TABLE: list[tuple[str, dict[str, Any], list[Any]]] = [
    ("session.created", {"session": {"type": "realtime"}}, []),
    ("session.updated", {"session": {"type": "realtime"}}, []),
    ("conversation.created", {"conversation": {"id": "conv_1"}}, []),
    ("conversation.item.added", {"item": message_item(), "previous_item_id": "item_0"},
     [events.ItemUpdate(item=USER, after="item_0")]),
    ("conversation.item.added", {"item": message_item(), "previous_item_id": None},
     [events.ItemUpdate(item=USER, after=None)]),
    ("conversation.item.added", {"item": message_item()}, [events.ItemUpdate(item=USER, after="")]),
    ("conversation.item.created", {"item": message_item(), "previous_item_id": "item_0"},
     [events.ItemUpdate(item=USER, after="item_0")]),
    ("conversation.item.done", {"item": message_item(), "previous_item_id": "item_0"},
     [events.ItemUpdate(item=USER, after="item_0")]),
    ("conversation.item.done", {"item": LIST_TOOLS},
     [events.ItemUpdate(item=items.McpListToolsItem(item_id="mcpl_1", server_label="docs", tools=tuple(TOOLS))),
      events.McpToolsListed("docs", tuple(TOOLS), "mcpl_1")]),
    ("conversation.item.done", {"item": MCP_CALL},
     [events.ItemUpdate(item=MCP_CALLED), events.McpToolCallCompleted(MCP_CALLED)]),
    ("conversation.item.done", {"item": APPROVAL},
     [events.ItemUpdate(item=items.McpApprovalRequestItem(
         item_id="mcpr_1", server_label="docs", name="search", arguments="{}")),
      events.McpApprovalRequest(item_id="mcpr_1", server_label="docs", name="search", arguments="{}")]),
    ("conversation.item.retrieved", {"item": message_item()}, [events.ItemUpdate(item=USER)]),
    ("conversation.item.truncated", {"item_id": "item_1", "content_index": 0, "audio_end_ms": 10}, []),
    ("conversation.item.deleted", {"item_id": "item_1"}, [events.ItemDeleted("item_1")]),
    ("conversation.item.input_audio_transcription.delta", {"item_id": "item_1", "content_index": 0, "delta": "he"},
     [events.InputAudioTranscriptionDelta("he", "item_1", 0)]),
    ("conversation.item.input_audio_transcription.segment",
     {"item_id": "item_1", "content_index": 0, "id": "seg_1", "text": "he", "speaker": "A", "start": 0.0, "end": 0.5},
     [events.InputAudioTranscriptionDelta("he", "item_1", 0)]),
    ("conversation.item.input_audio_transcription.completed",
     {"item_id": "item_1", "content_index": 0, "transcript": "hey", "usage": {"type": "duration", "seconds": 1.5}},
     [events.InputAudioTranscriptionCompleted("hey", "item_1", 0, {"type": "duration", "seconds": 1.5})]),
    ("conversation.item.input_audio_transcription.failed",
     {"item_id": "item_1", "content_index": 0, "error": {"code": "audio_unintelligible", "message": "no words"}},
     [("input_audio_transcription_failed", {"item_id": "item_1", "content_index": 0})]),
    ("input_audio_buffer.committed", {"item_id": "item_1", "previous_item_id": None}, []),
    ("input_audio_buffer.cleared", {}, []),
    ("input_audio_buffer.speech_started", {"item_id": "item_1", "audio_start_ms": 120},
     [events.SpeechStarted("item_1", 120)]),
    ("input_audio_buffer.speech_stopped", {"item_id": "item_1", "audio_end_ms": 920},
     [events.SpeechStopped("item_1", 920)]),
    ("input_audio_buffer.timeout_triggered", {"item_id": "item_1", "audio_start_ms": 100, "audio_end_ms": 6100},
     [events.InputAudioTimeoutTriggered("item_1", 100, 6100)]),
    ("input_audio_buffer.dtmf_event_received", {"event": "#", "received_at": 1763605109},
     [events.DtmfReceived("#", 1763605109)]),
    ("output_audio_buffer.started", {"response_id": "resp_1"}, []),
    ("output_audio_buffer.stopped", {"response_id": "resp_1"}, []),
    ("output_audio_buffer.cleared", {"response_id": "resp_1"}, []),
    ("response.created", {"response": response(status="in_progress")}, [events.TurnStarted("resp_1")]),
    ("response.done", {"response": response(output=[message_item("assistant")], usage=USAGE_ON_WIRE)},
     [events.UsageUpdate("resp_1", USAGE),
      events.TurnDone(response_id="resp_1", output=(ASSISTANT,), usage=USAGE)]),
    ("response.done", {"response": response(status="cancelled", usage=USAGE_ON_WIRE,
                                            status_details={"type": "cancelled", "reason": "turn_detected"})},
     [events.UsageUpdate("resp_1", USAGE),
      events.TurnDone(response_id="resp_1", status="cancelled", usage=USAGE,
                      status_details={"type": "cancelled", "reason": "turn_detected"})]),
    ("response.done", {"response": response(status="failed", status_details={
        "type": "failed", "error": {"type": "server_error", "code": "server_error", "message": "sorry"}})},
     ["error", ("turn_done", {"status": "failed"})]),
    ("response.done", {"response": response(output=[FUNCTION_CALL])},
     [events.ItemUpdate(item=CALLED),
      events.FunctionCall(
          name="add", arguments='{"a":1}', call_id="call_1", item_id="item_f", response_id="resp_1"),
      ("turn_done", {"status": "completed"})]),
    ("response.output_item.added", {"response_id": "resp_1", "output_index": 0, "item": message_item("assistant")},
     [events.ItemUpdate(item=ASSISTANT)]),
    ("response.output_item.done", {"response_id": "resp_1", "output_index": 0, "item": message_item("assistant")},
     [events.ItemUpdate(item=ASSISTANT)]),
    ("response.output_item.added", {"response_id": "resp_1", "output_index": 0,
                                    "item": {**FUNCTION_CALL, "status": "in_progress", "arguments": ""}}, []),
    ("response.output_item.done", {"response_id": "resp_1", "output_index": 0, "item": FUNCTION_CALL},
     [events.ItemUpdate(item=CALLED),
      events.FunctionCall(
          name="add", arguments='{"a":1}', call_id="call_1", item_id="item_f", response_id="resp_1")]),
    ("response.content_part.added", {**PART, "part": {"type": "audio", "transcript": ""}}, []),
    ("response.content_part.done", {**PART, "part": {"type": "audio", "transcript": "hello"}}, []),
    ("response.output_text.delta", {**PART, "delta": "he"}, [events.OutputTextDelta("he", *PLACE)]),
    ("response.output_text.done", {**PART, "text": "hello"}, []),
    ("response.output_audio.delta", {**PART, "delta": base64.b64encode(AUDIO).decode()},
     [events.Audio(AUDIO, *PLACE, PCM16)]),
    ("response.output_audio.done", PART, [events.AudioDone(*PLACE)]),
    ("response.output_audio_transcript.delta", {**PART, "delta": "he"}, [events.AudioTranscriptDelta("he", *PLACE)]),
    ("response.output_audio_transcript.done", {**PART, "transcript": "hello"}, []),
    ("response.function_call_arguments.delta", {**CALL, "call_id": "call_1", "delta": "{"}, []),
    ("response.function_call_arguments.done", {**CALL, "call_id": "call_1", "name": "add", "arguments": "{}"}, []),
    ("response.mcp_call_arguments.delta", {**CALL, "delta": "{"}, []),
    ("response.mcp_call_arguments.done", {**CALL, "arguments": "{}"}, []),
    ("response.mcp_call.in_progress", {"item_id": "mcp_1", "output_index": 0}, []),
    ("response.mcp_call.completed", {"item_id": "mcp_1", "output_index": 0}, []),
    ("response.mcp_call.failed", {"item_id": "mcp_1", "output_index": 0}, [events.McpFailed("call", "mcp_1")]),
    ("mcp_list_tools.in_progress", {"item_id": "mcpl_1"}, []),
    ("mcp_list_tools.completed", {"item_id": "mcpl_1"}, []),
    ("mcp_list_tools.failed", {"item_id": "mcpl_1"}, [events.McpFailed("list_tools", "mcpl_1")]),
    ("rate_limits.updated",
     {"rate_limits": [{"name": "tokens", "limit": 100, "remaining": 40, "reset_seconds": 1.5}]},
     [events.RateLimitsUpdated((events.RateLimit("tokens", 100, 40, 1.5),))]),
    ("error", {"error": {"type": "invalid_request_error", "code": "invalid_value", "message": "no"}}, ["error"]),
]  # fmt: skip

BETA_NAMES = {
    "response.audio.delta": "response.output_audio.delta",
    "response.audio.done": "response.output_audio.done",
    "response.audio_transcript.delta": "response.output_audio_transcript.delta",
    "response.audio_transcript.done": "response.output_audio_transcript.done",
    "response.text.delta": "response.output_text.delta",
    "response.text.done": "response.output_text.done",
    "transcription_session.created": "session.created",
    "transcription_session.updated": "session.updated",
}


def protocol(**options: Any) -> OpenAIRealtimeProtocol:
    return OpenAIRealtimeProtocol(capabilities=TransportCapabilities(), clock=lambda: 100.0, **options)


def connected(**options: Any) -> OpenAIRealtimeProtocol:
    dialect = protocol(**options)
    list(dialect.receive({"type": "session.created", "session": {}}))
    return dialect


def ga_types() -> set[str]:
    union = get_args(RealtimeServerEvent)[0]
    return {get_args(event.model_fields["type"].annotation)[0] for event in get_args(union)}


def test_the_table_holds_every_server_event() -> None:
    assert {type_ for type_, _, _ in TABLE} == ga_types()


@pytest.mark.parametrize(("type_", "fields", "expected"), TABLE, ids=[row[0] for row in TABLE])
def test_server_event(type_: str, fields: dict[str, Any], expected: list[Any]) -> None:
    message = {"type": type_, "event_id": "event_1", **fields}
    assert SERVER_EVENTS.validate_python(message).type == type_, "the sample is no event of the API"
    dialect = connected()

    told = list(dialect.receive(message))

    assert len(told) == len(expected), told
    for event, wanted in zip(told, expected, strict=True):
        match wanted:
            case str():
                assert event.type == wanted
            case (str() as kind, dict() as values):
                assert event.type == kind
                assert {name: getattr(event, name) for name in values} == values
            case _:
                assert event == wanted
    assert not dialect.unknown_types


@pytest.mark.parametrize("beta", BETA_NAMES)
def test_beta_names_are_aliases(beta: str) -> None:
    for type_, fields, _ in TABLE:
        if type_ == BETA_NAMES[beta]:
            as_ga, as_beta = connected(), connected()
            ga = list(as_ga.receive({"type": type_, **fields}))
            assert list(as_beta.receive({"type": beta, **fields})) == ga
            assert not as_beta.unknown_types
            return
    pytest.fail("no such GA event in the table")


@pytest.mark.parametrize("type_", ["session.updated", "transcription_session.updated", " session.updated "])
def test_an_update_acknowledges_the_opening(type_: str) -> None:
    dialect = protocol()
    [opening] = dialect.open({"instructions": "Be brief."})
    assert CLIENT_EVENTS.validate_python(opening).session.instructions == "Be brief."
    list(dialect.receive({"type": "session.created", "session": {}}))
    assert not dialect.acknowledged
    list(dialect.receive({"type": type_, "session": {}}))
    assert dialect.acknowledged


def test_without_a_config_the_session_itself_is_the_acknowledgement() -> None:
    dialect = protocol()
    assert dialect.open(None) == []
    assert not dialect.acknowledged
    list(dialect.receive({"type": "session.created"}))
    assert dialect.acknowledged


def test_a_stray_blank_in_a_type_is_overlooked() -> None:
    told = list(connected().receive({"type": " input_audio_buffer.dtmf_event_received", "event": "5"}))
    assert told == [events.DtmfReceived("5", 0.0)]


def test_unknown_types_are_counted_and_harmless() -> None:
    dialect = connected()
    for _ in range(2):
        assert list(dialect.receive({"type": "session.avatar.connecting", "sdp": "…"})) == []
    assert dict(dialect.unknown_types) == {"session.avatar.connecting": 2}


def test_a_far_end_that_makes_up_types_and_codes_does_not_grow_the_counts() -> None:
    dialect = connected()
    for number in range(2000):
        list(dialect.receive({"type": f"junk.{number}" + "x" * 1000}))
        list(dialect.receive({"type": "error", "error": {"code": f"code_{number}", "message": "no"}}))
    for counts in (dialect.unknown_types, dialect.unknown_codes):
        assert len(counts) < 200
        assert sum(counts.values()) == 2000
        assert max(map(len, counts)) < 200


def test_base64_that_is_none_costs_only_its_frame() -> None:
    dialect = connected()
    delta: Any
    for delta in ("$$$", "YQ", None, 5, ["YQ=="], {}, "ä"):
        [event] = dialect.receive({"type": "response.output_audio.delta", **PART, "delta": delta})
        assert isinstance(event, events.Error)
        assert isinstance(event.error, ProtocolError)
    [event] = dialect.receive({"type": "response.output_audio.delta", **PART, "delta": "YWI="})
    assert event == events.Audio(b"ab", *PLACE)


def test_both_vocabularies_of_content_are_known() -> None:
    content = [
        {"type": "output_text", "text": "a"},
        {"type": "text", "text": "b"},
        {"type": "output_audio", "transcript": "c", "audio": "YQ=="},
        {"type": "audio", "transcript": "d"},
        {"type": "hologram", "depth": 3},
    ]
    [event] = connected().receive(
        {"type": "conversation.item.done", "item": message_item("assistant", content=content)}
    )
    assert isinstance(event, events.ItemUpdate)
    assert isinstance(event.item, items.AssistantMessageItem)
    assert event.item.content == (
        items.AssistantText("a"),
        items.AssistantText("b"),
        items.AssistantAudio("c", "YQ=="),
        items.AssistantAudio("d"),
    )
    assert event.item.text == "abcd"


class TestFunctionCalls:
    def test_a_call_that_is_visible_in_several_events_is_told_once(self) -> None:
        dialect = connected()
        told: list[Any] = []
        for type_, fields in (
            ("response.output_item.added", {"item": {**FUNCTION_CALL, "status": "in_progress", "arguments": ""}}),
            ("conversation.item.added", {"item": {**FUNCTION_CALL, "status": "in_progress", "arguments": ""}}),
            ("response.function_call_arguments.done", {"call_id": "call_1", "arguments": '{"a":1}'}),
            ("conversation.item.done", {"item": FUNCTION_CALL}),
            ("response.output_item.done", {"item": FUNCTION_CALL}),
            ("response.done", {"response": response(output=[FUNCTION_CALL])}),
        ):
            told += dialect.receive({"type": type_, "response_id": "resp_1", **fields})
        assert [event.type for event in told].count("function_call") == 1

    def test_a_server_that_has_only_response_done_is_heard_too(self) -> None:
        told = list(connected().receive({"type": "response.done", "response": response(output=[FUNCTION_CALL])}))
        assert [event.type for event in told] == ["item_update", "function_call", "turn_done"]

    @pytest.mark.parametrize("change", [{"name": "subtract"}, {"arguments": "{}"}])
    def test_another_call_under_the_same_id_is_refused(self, change: dict[str, str]) -> None:
        dialect = connected()
        list(dialect.receive({"type": "response.output_item.done", "item": FUNCTION_CALL}))
        [event] = dialect.receive({"type": "response.output_item.done", "item": {**FUNCTION_CALL, **change}})
        assert isinstance(event, events.Error)
        assert isinstance(event.error, ProtocolError)

    @pytest.mark.parametrize("status", ["cancelled", "incomplete", "failed"])
    def test_a_call_cut_off_by_the_end_of_its_response_is_not_run(self, status: str) -> None:
        cut = {key: value for key, value in FUNCTION_CALL.items() if key != "status"} | {"arguments": '{"a'}
        told = list(connected().receive({"type": "response.done", "response": response(status=status, output=[cut])}))
        assert "function_call" not in [event.type for event in told]
        turn = told[-1]
        assert isinstance(turn, events.TurnDone)
        [item] = turn.output
        assert isinstance(item, items.RealtimeToolCallItem)
        assert item.status == "incomplete"

    def test_call_and_output_are_one_item(self) -> None:
        dialect = connected()
        [_, call] = dialect.receive({"type": "response.output_item.done", "item": FUNCTION_CALL})
        assert isinstance(call, events.FunctionCall)
        frames, told = dialect.function_call_output(call, "42", start_response=False)
        [update] = told
        assert isinstance(update, events.ItemUpdate)
        assert (update.item.item_id, update.item.output, update.item.status) == ("item_f", "42", "completed")  # type: ignore[union-attr]
        echo = {**frames[0]["item"], "id": "item_out"}
        assert list(dialect.receive({"type": "conversation.item.added", "item": echo})) == []
        # What follows the output stands, for us, behind the call; and the output is nobody's to delete.
        [event] = dialect.receive(
            {"type": "conversation.item.added", "previous_item_id": "item_out", "item": message_item()}
        )
        assert event == events.ItemUpdate(item=USER, after="item_f")
        assert list(dialect.receive({"type": "conversation.item.deleted", "item_id": "item_out"})) == []

    def test_an_output_that_another_writer_sent_belongs_to_the_call(self) -> None:
        dialect = connected()
        list(dialect.receive({"type": "response.output_item.done", "response_id": "resp_1", "item": FUNCTION_CALL}))
        output = {"id": "item_out", "type": "function_call_output", "call_id": "call_1", "output": "42"}
        [event] = dialect.receive({"type": "conversation.item.done", "item": output})
        assert isinstance(event, events.ItemUpdate)
        assert (event.item.item_id, event.item.output) == ("item_f", "42")  # type: ignore[union-attr]


class TestOutOfBand:
    """Responses that run beside the conversation (`conversation: "none"`)."""

    def test_its_items_do_not_enter_the_conversation(self) -> None:
        dialect = connected()
        dialect.request_response({"conversation": "none"})
        told: list[Any] = []
        for message in (
            {"type": "response.created", "response": response(conversation_id=None)},
            {"type": "response.output_item.added", "response_id": "resp_1", "item": message_item("assistant")},
            {"type": "response.output_item.done", "response_id": "resp_1", "item": message_item("assistant")},
            {"type": "response.output_item.done", "response_id": "resp_1", "item": FUNCTION_CALL},
            {"type": "response.done", "response": response(conversation_id=None, output=[message_item("assistant")])},
        ):
            told += dialect.receive(message)
        assert [event.type for event in told] == ["turn_started", "function_call", "turn_done"]
        assert told[-1].output == (ASSISTANT,)

    def test_it_leaves_the_slot_free_also_where_it_is_the_first_of_all(self) -> None:
        dialect = connected()
        assert len(dialect.request_response({"conversation": "none"})) == 1
        list(dialect.receive({"type": "response.created", "response": response(conversation_id=None)}))
        assert dialect.sequencer.state == "idle"
        assert len(dialect.request_response()) == 1

    def test_a_server_without_conversation_ids_is_sequenced_all_the_same(self) -> None:
        for lacking in ({}, {"conversation_id": None}):
            dialect = connected()
            dialect.request_response()
            list(dialect.receive({"type": "response.created", "response": {"id": "resp_1", **lacking}}))
            assert dialect.sequencer.active_response_id == "resp_1"
            assert dialect.request_response() == []
            list(dialect.receive({"type": "response.done", "response": {"id": "resp_1", **lacking}}))
            assert [frame["type"] for frame in dialect.data_to_send()] == ["response.create"]


class TestFormats:
    """Each response is measured and told in its own format."""

    def test_the_session_says_which_format_audio_is_in(self) -> None:
        for session in (
            {"audio": {"output": {"format": {"type": "audio/pcmu"}}}},
            {"output_audio_format": "g711_ulaw"},
        ):
            dialect = protocol()
            list(dialect.receive({"type": "session.created", "session": session}))
            [event] = dialect.receive({"type": "response.output_audio.delta", **PART, "delta": "YWI="})
            assert event == events.Audio(b"ab", *PLACE, PCMU)

    def test_a_response_of_another_format_has_its_own(self) -> None:
        dialect = connected()
        told = response(audio={"output": {"format": {"type": "audio/pcmu"}}})
        list(dialect.receive({"type": "response.created", "response": told}))
        delta = base64.b64encode(bytes(8000)).decode()
        [event] = dialect.receive({"type": "response.output_audio.delta", **PART, "delta": delta})
        assert isinstance(event, events.Audio)
        assert event.format == PCMU
        position = dialect.ledger.position("item_1", 0)
        assert position is not None
        assert position.received_ms == 1000

    @pytest.mark.parametrize("junk", ["opus", {"type": "audio/pcmu", "rate": 16000}, {"type": []}, 5, ["pcm16"]])
    def test_a_format_that_is_none_changes_nothing(self, junk: Any) -> None:
        dialect = protocol()
        list(dialect.receive({"type": "session.created", "session": {"audio": {"output": {"format": junk}}}}))
        [event] = dialect.receive({"type": "response.output_audio.delta", **PART, "delta": "YWI="})
        assert event == events.Audio(b"ab", *PLACE, PCM16)
