"""Whatever a client sends, in any order: the engine neither raises nor sends what isn't of the protocol."""

from __future__ import annotations

import base64
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
ids = st.sampled_from(["item_a", "item_b", "", "root", "item_gone"])
audio = st.sampled_from(
    [
        base64.b64encode(data).decode()
        for data in (
            b"",
            b"x",
            bytes(960),
            bytes(48_000),
            b"\x00\x20" * 2400 + b"\x00\xe0" * 2400,
            b"\xff\x7f" * 24_000,
        )
    ]
)
contents = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["input_text", "input_audio", "input_image", "output_text", "output_audio", "text"])},
        optional={
            "text": st.text(max_size=20),
            "audio": audio,
            "image_url": st.just("data:image/png;base64,AA"),
            "detail": st.sampled_from(["auto", "low"]),
            "transcript": st.none() | st.text(max_size=5),
        },
    ),
    max_size=3,
)
items = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            ["message", "function_call", "function_call_output", "item_reference", "mcp_approval_response"]
        )
    },
    optional={
        "id": ids,
        "role": st.sampled_from(["user", "assistant", "system"]),
        "content": contents,
        "name": st.text(max_size=5),
        "arguments": st.text(max_size=20),
        "call_id": st.text(max_size=5),
        "output": st.text(max_size=20),
        "approve": st.booleans(),
        "approval_request_id": st.just("a"),
        "status": st.sampled_from(["completed", "in_progress"]),
    },
)
formats = st.sampled_from(
    [{"type": "audio/pcm"}, {"type": "audio/pcm", "rate": 24000}, {"type": "audio/pcmu"}, {"type": "audio/pcma"}]
)
detections = st.none() | st.fixed_dictionaries(
    {"type": st.sampled_from(["server_vad", "semantic_vad"])},
    optional={
        "threshold": st.floats(0, 1),
        "prefix_padding_ms": st.integers(0, 10**20),
        "silence_duration_ms": st.integers(0, 10**20),
        "idle_timeout_ms": st.integers(5000, 30000),
        "eagerness": st.sampled_from(["low", "high"]),
        "create_response": st.booleans(),
        "interrupt_response": st.booleans(),
    },
)
tools = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["function", "mcp"])},
        optional={
            "name": st.just("f"),
            "parameters": json_values,
            "server_label": st.just("s"),
            "server_url": st.just("u"),
        },
    ),
    max_size=2,
)
shared = {
    "instructions": st.text(max_size=10),
    "output_modalities": st.sampled_from([["audio"], ["text"], ["audio", "text"]]),
    "tools": tools,
    "tool_choice": st.sampled_from(["auto", "none", {"type": "function", "name": "f"}]) | json_values,
    "max_output_tokens": st.sampled_from(["inf", 1, 20]) | json_values,
}
sessions = st.fixed_dictionaries(
    {"type": st.just("realtime")},
    optional={
        **shared,
        "audio": st.fixed_dictionaries(
            {},
            optional={
                "input": st.fixed_dictionaries(
                    {},
                    optional={
                        "format": formats,
                        "turn_detection": detections,
                        "transcription": st.sampled_from(
                            [None, {"model": "whisper-1"}, {"model": "gpt-4o-transcribe"}]
                        ),
                    },
                ),
                "output": st.fixed_dictionaries({}, optional={"format": formats, "speed": st.floats(0.25, 1.5)}),
            },
        ),
    },
)
responses = st.fixed_dictionaries(
    {},
    optional={
        **shared,
        "conversation": st.sampled_from(["auto", "none"]),
        "metadata": st.none() | st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
        "input": st.lists(items, max_size=2),
    },
)
events = st.one_of(
    st.fixed_dictionaries({"type": st.just("session.update"), "session": sessions | json_values}),
    st.fixed_dictionaries({"type": st.just("input_audio_buffer.append"), "audio": audio | st.text(max_size=5)}),
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(
                ["input_audio_buffer.commit", "input_audio_buffer.clear", "output_audio_buffer.clear"]
            )
        }
    ),
    st.fixed_dictionaries(
        {"type": st.just("conversation.item.create"), "item": items}, optional={"previous_item_id": ids | st.none()}
    ),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["conversation.item.retrieve", "conversation.item.delete"]), "item_id": ids}
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("conversation.item.truncate"),
            "item_id": ids,
            "content_index": st.integers(0, 1),
            "audio_end_ms": st.integers(0, 300),
        }
    ),
    st.fixed_dictionaries({"type": st.just("response.create")}, optional={"response": responses}),
    st.fixed_dictionaries({"type": st.just("response.cancel")}, optional={"response_id": st.text(max_size=3)}),
    st.dictionaries(st.sampled_from(["type", "event_id", "item", "x"]), json_values, max_size=3),
)
frames = events.map(json.dumps) | st.text(max_size=10) | st.binary(max_size=5)
moves = st.sampled_from(
    ["speak", "write", "call", "finish", "recognise", "fail to recognise", "idle", "hear", "listen"]
)


def make_move(driver: Any, move: str) -> None:
    """Do one of the things that effects ask for, as a session would; cancelled responses are left alone."""
    running = [effect.response for effect in driver.effects if hasattr(effect, "response") and not effect.response.done]
    heard = [effect for effect in driver.effects if hasattr(effect, "pcm")]
    if move == "recognise" and heard:
        driver.engine.recognized(heard.pop().item_id, "some words")
    elif move == "fail to recognise" and heard:
        driver.engine.recognition_failed(heard.pop().item_id, "no")
    elif move == "idle":
        driver.engine.idle_elapsed()
    elif move == "hear":
        driver.engine.hear(b"\x00\x20" * 1440 + bytes(1920))
    elif move == "listen":
        assert len(driver.engine.next_audio() or bytes(960)) == 960
    elif running:
        produce(driver, running[-1], move)
    driver.take()


def produce(driver: Any, response: Any, move: str) -> None:
    from jackfield_local.engine.response import OutputLimitReached

    try:
        if move == "call":
            response.call_function("f", {"a": 1})
        elif move != "finish":
            response.open_message()
            response.write_text("words")
            if response.speaks:
                driver.engine.audible(response)
                response.write_audio(bytes(4800))
            response.close_message()
        driver.engine.finish(response, "completed")
    except OutputLimitReached:
        driver.engine.finish(response, "incomplete", reason="max_output_tokens")


@settings(max_examples=150, deadline=None)
@given(st.lists(frames | moves.map(lambda move: ("move", move)), max_size=25), st.sampled_from(["client", "server"]))
def test_any_frames_in_any_order(make_driver: Any, steps: list[Any], playback: str) -> None:
    driver = make_driver(playback=playback)
    for step in steps:
        if isinstance(step, tuple):
            make_move(driver, step[1])
        else:
            driver.frame(step)

    # The session is as good as ever: nothing is stuck, and a turn can be had.
    driver.send("response.cancel")
    driver.update(output_modalities=["audio"], max_output_tokens="inf", tools=[], tool_choice="auto")
    assert driver.say("Still here.")
    assert_lives_of_responses(driver.all)
    assert len({event["event_id"] for event in driver.all}) == len(driver.all)


def assert_lives_of_responses(all_events: list[dict[str, Any]]) -> None:
    """Each response is created once, done once, and silent before and after; one at a time in the conversation."""
    running: dict[str, bool] = {}
    ended: set[str] = set()
    for event in all_events:
        if event["type"] == "response.created":
            default = event["response"]["conversation_id"] is not None
            assert not (default and True in running.values())
            running[event["response"]["id"]] = default
        elif event["type"] == "response.done":
            del running[event["response"]["id"]]
            ended.add(event["response"]["id"])
        elif event["type"].startswith("response."):
            assert event["response_id"] in running
