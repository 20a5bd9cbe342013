"""Whatever JSON arrives, in whatever order: nothing raises, and a clean turn works afterwards."""

from __future__ import annotations

import copy
import gc
import json
import types
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jackfield.openai import OpenAIRealtimeProtocol, decode
from jackfield.transport import ProtocolError, TransportCapabilities

CONVERSATION = Path(__file__).parent.parent / "data" / "conversation.jsonl"
FRAMES: list[dict[str, Any]] = [
    line["event"]
    for line in map(json.loads, CONVERSATION.read_text(encoding="utf-8").splitlines())
    if line.get("from") == "server"
]
BETA = {
    "response.output_audio.delta": "response.audio.delta",
    "response.output_text.delta": "response.text.delta",
    "conversation.item.added": "conversation.item.created",
}
EXTRA: list[dict[str, Any]] = [
    {"type": "output_audio_buffer.started", "response_id": "resp_2"},
    {"type": "output_audio_buffer.stopped", "response_id": "resp_2"},
    {"type": "output_audio_buffer.cleared", "response_id": "resp_2"},
    {"type": "response.mcp_call.failed", "item_id": "mcp_1", "output_index": 0},
    {"type": "mcp_list_tools.failed", "item_id": "mcpl_1"},
    {"type": "input_audio_buffer.dtmf_event_received", "event": "5", "received_at": 1763605109},
    {
        "type": "error",
        "error": {
            "code": "conversation_already_has_active_response",
            "message": "Conversation already has an active response in progress: resp_2.",
        },
    },
    {"type": "error", "error": {"code": "response_cancel_not_active", "event_id": "jf_1"}},
]
SEEDS = [*FRAMES, *EXTRA, *({**frame, "type": BETA[frame["type"]]} for frame in FRAMES if frame["type"] in BETA)]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def nearly_right(draw: st.DrawFn) -> dict[str, Any]:
    """An event of the API with some of its fields, at any depth, missing or of another type."""
    event: dict[str, Any] = copy.deepcopy(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 3))):
        places = [
            (container, key)
            for container in containers(event)
            for key in (container if isinstance(container, dict) else range(len(container)))
            if (container is not event or key != "type")
        ]
        if not places:
            break
        container, key = draw(st.sampled_from(places))
        if draw(st.booleans()):
            container[key] = draw(json_values)
        else:
            del container[key]
    return event


def containers(value: Any) -> list[Any]:
    """Return every dict and list in `value`, itself included."""
    if isinstance(value, dict):
        return [value, *(inner for child in value.values() for inner in containers(child))]
    if isinstance(value, list):
        return [value, *(inner for child in value for inner in containers(child))]
    return []


capabilities = st.sampled_from(
    [
        TransportCapabilities(),
        TransportCapabilities(audio_out=False, playback="server", truncate="server"),
        TransportCapabilities(playback="client", truncate="server"),
    ]
)
server_frames = nearly_right() | st.sampled_from(SEEDS)
actions = st.sampled_from(["message", "request", "manual", "out_of_band", "interrupt", "cancel", "expire"])


class Driven:
    """A dialect with a clock, driven by frames and by its user; whatever it returns is looked at."""

    def __init__(self, told: TransportCapabilities) -> None:
        self.now = 100.0
        self.dialect = OpenAIRealtimeProtocol(
            capabilities=told, clock=lambda: self.now, secrets=("hunter2hunter2",), barge_in="always"
        )
        self.sent: list[dict[str, Any]] = []

    def frame(self, message: dict[str, Any]) -> list[Any]:
        told = list(self.dialect.receive(decode(orjson.dumps(message))))
        for event in told:
            assert isinstance(event.type, str)
            assert "hunter2" not in repr(event)
        self.sent += self.dialect.data_to_send()
        return told

    def act(self, action: str) -> None:
        match action:
            case "message":
                self.sent += self.dialect.message("hi", trigger_response=True)
            case "request":
                self.sent += self.dialect.request_response()
            case "manual":
                self.sent += self.dialect.request_response({"instructions": "now"})
            case "out_of_band":
                self.sent += self.dialect.request_response({"conversation": "none"})
            case "interrupt":
                self.sent += self.dialect.interrupt()[0]
            case "cancel":
                self.sent += self.dialect.event({"type": "response.cancel"})
            case "expire":
                self.now += 100
                self.dialect.expire()
                self.sent += self.dialect.data_to_send()

    def settle(self) -> None:
        """Give up, by the clock, whatever the far end never answers; that empties the queue."""
        for _ in range(200):
            if self.dialect.deadline is None:
                break
            self.act("expire")
        assert self.dialect.deadline is None
        assert self.dialect.sequencer.state == "idle"
        assert self.dialect.sequencer.waiting == 0

    def clean_turn(self, number: int) -> list[str]:
        response = {"id": f"resp_clean_{number}", "conversation_id": "conv_1", "status": "completed"}
        place = {"response_id": response["id"], "item_id": f"item_clean_{number}", "content_index": 0}
        before = len(self.sent)
        self.act("manual")
        assert [frame["type"] for frame in self.sent[before:]] == ["response.create"]
        told: list[Any] = []
        told += self.frame({"type": "response.created", "response": response})
        assert self.dialect.sequencer.active_response_id == response["id"]
        told += self.frame({"type": "response.output_audio.delta", **place, "delta": "AAAA"})
        told += self.frame({"type": "response.output_audio.done", **place})
        told += self.frame({"type": "response.done", "response": response})
        assert self.dialect.sequencer.state == "idle"
        assert self.dialect.sequencer.waiting == 0
        return [event.type for event in told]


CLEAN = ["turn_started", "audio", "audio_done", "turn_done"]


@given(frame=json_values | st.text(max_size=60) | st.binary(max_size=60))
def test_a_frame_of_any_json_or_none_is_an_event_or_a_protocol_error(frame: Any) -> None:
    raw = frame if isinstance(frame, str | bytes) else orjson.dumps(frame)
    dialect = Driven(TransportCapabilities()).dialect
    try:
        message = decode(raw)
    except ProtocolError as error:
        assert error.classification == "rejected"
    else:
        list(dialect.receive(message))


@given(told=capabilities, frames=st.lists(server_frames, max_size=4), values=st.lists(json_values, max_size=4))
def test_fields_of_any_type_never_raise(
    told: TransportCapabilities, frames: list[dict[str, Any]], values: list[Any]
) -> None:
    driven = Driven(told)
    for frame in frames:
        for value in [*values, [], {}, {"type": "message", "id": "item_1", "status": []}]:
            driven.frame({key: frame["type"] if key == "type" else value for key in frame})
            driven.frame(frame)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    told=capabilities,
    steps=st.lists(server_frames | actions, max_size=40),
)
def test_any_frames_in_any_order_and_a_clean_turn_works_afterwards(
    told: TransportCapabilities, steps: list[dict[str, Any] | str]
) -> None:
    driven = Driven(told)
    for step in steps:
        if isinstance(step, str):
            driven.act(step)
        else:
            driven.frame(step)
        sequencer = driven.dialect.sequencer
        assert (sequencer.active_response_id is None) == (sequencer.state in {"idle", "requested"})
        if sequencer.state != "idle" or sequencer.waiting:
            assert driven.dialect.deadline is not None, "something is awaited for ever"
    driven.settle()
    assert driven.clean_turn(1) == CLEAN
    assert driven.clean_turn(2) == CLEAN


@given(told=capabilities, frames=st.lists(server_frames, min_size=1, max_size=10))
def test_what_a_listener_does_to_the_message_changes_nothing(
    told: TransportCapabilities, frames: list[dict[str, Any]]
) -> None:
    untouched, abused = Driven(told), Driven(told)
    for frame in frames:
        message = decode(orjson.dumps(frame))
        events = list(abused.dialect.receive(message))
        shown = [repr(event) for event in events]
        for container in containers(message):
            if isinstance(container, dict):
                container.clear()
                container["id"] = "overwritten"
            else:
                container[:] = ["overwritten"]
        expected = untouched.frame(frame)
        abused.sent += abused.dialect.data_to_send()
        assert [repr(event) for event in events] == shown
        assert shown_without_addresses(events) == shown_without_addresses(expected)
        assert abused.sent == untouched.sent


def shown_without_addresses(events: list[Any]) -> list[str]:
    return [repr(event) if "error" not in event.type else f"{event.type}: {event.error}" for event in events]


def test_nothing_grows_with_a_far_end_that_never_ends_anything() -> None:
    def footprint(rounds: int) -> int:
        driven = Driven(TransportCapabilities(playback="server", truncate="server"))
        dialect = driven.dialect
        for number in range(rounds):
            response = {"id": f"resp_{number}", "conversation_id": None if number % 2 else "conv_1"}
            place = {"response_id": f"resp_{number}", "item_id": f"item_{number}", "content_index": 0}
            call = {"id": f"f_{number}", "type": "function_call", "call_id": f"c_{number}", "name": "add"}
            output = {"id": f"o_{number}", "type": "function_call_output", "call_id": f"c_{number}", "output": "1"}
            driven.frame({"type": "response.created", "response": response})
            driven.frame({"type": "response.content_part.added", **place, "part": {"type": "audio"}})
            driven.frame({"type": "output_audio_buffer.started", **place})
            driven.frame({"type": "response.output_audio.delta", **place, "delta": "AAAA"})
            driven.frame({"type": "response.output_item.done", **place, "item": {**call, "status": "completed"}})
            driven.frame({"type": "conversation.item.done", "item": output})
            driven.frame({"type": "conversation.item.truncated", "item_id": f"t_{number}", "audio_end_ms": 5})
            driven.frame({"type": "error", "error": {"code": f"odd_{number}", "event_id": f"jf_{number}"}})
            dialect.request_response({"conversation": "none"})
            dialect.interrupt()
        return reachable(dialect)

    assert footprint(3000) <= footprint(1500) * 1.02


def reachable(root: object) -> int:
    """Return how many containers hang on `root`."""
    seen: set[int] = set()
    line = [root]
    while line:
        for inner in gc.get_referents(line.pop()):
            if id(inner) not in seen and not isinstance(inner, type | types.ModuleType | types.FunctionType):
                seen.add(id(inner))
                line.append(inner)
    return len(seen)


@pytest.mark.parametrize("depth", [40, 400, 990])
def test_deep_nesting_costs_its_frame_at_most(depth: int) -> None:
    deep = '{"id":[' * (depth // 2) + '"bottom"' + "]}" * (depth // 2)
    driven = Driven(TransportCapabilities())
    for type_ in sorted({frame["type"] for frame in SEEDS}):
        for nested in ("@", {"id": "x", "type": "mcp_list_tools", "status": "@", "tools": [{"schema": "@"}]}):
            response = {"id": "resp_1", "status_details": nested, "usage": nested, "output": [nested], "audio": nested}
            message = {
                "type": type_,
                "response_id": "resp_1",
                "response": response,
                "usage": {"input_token_details": nested},
                **dict.fromkeys(("error", "item", "session", "delta", "rate_limits", "part"), nested),
            }
            for event in driven.dialect.receive(decode(json.dumps(message).replace('"@"', deep))):
                repr(event)
    driven.dialect.data_to_send()
    driven.settle()
    assert driven.clean_turn(1) == CLEAN
