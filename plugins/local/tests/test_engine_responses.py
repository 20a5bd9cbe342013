"""Responses: chain of events, overrides, calls, limits, cancelling, out of band, usage. Protocol 1.2, 1.7 e-k."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from jackfield.audio import g711
from jackfield_local.engine.outbox import Halt
from jackfield_local.engine.response import OutputLimitReached

RESPONSE_KEYS = {
    "object", "id", "status", "status_details", "output", "conversation_id", "output_modalities",
    "max_output_tokens", "audio", "usage", "metadata",
}  # fmt: skip


class TestChain:
    def test_audio(self, driver: Any, kinds: Any) -> None:
        user = driver.text("Hi")
        response, created = driver.respond()
        events = created + driver.speak(response, "Hello.", ms=100)
        response.close_message()
        events += driver.finish(response)
        assert kinds(events) == [
            "response.created",
            "response.output_item.added",
            "conversation.item.added",
            "response.content_part.added",
            "response.output_audio_transcript.delta",
            "response.output_audio.delta",
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "conversation.item.done",
            "response.output_item.done",
            "response.done",
            "rate_limits.updated",
        ]
        by_kind = {event["type"]: event for event in events}
        assert by_kind["response.output_item.added"]["item"]["content"] == []
        assert by_kind["conversation.item.added"]["previous_item_id"] == user
        assert by_kind["conversation.item.done"]["previous_item_id"] == user
        assert by_kind["response.content_part.added"]["part"] == {"type": "audio", "transcript": ""}
        assert by_kind["response.content_part.done"]["part"] == {"type": "audio", "transcript": "Hello."}
        assert by_kind["response.output_audio_transcript.delta"]["obfuscation"]
        item_id = by_kind["response.output_item.added"]["item"]["id"]
        for event in events[3:9]:
            assert (event["response_id"], event["item_id"]) == (response.id, item_id)
            assert (event["output_index"], event["content_index"]) == (0, 0)
        item = by_kind["response.output_item.done"]["item"]
        assert item["status"] == "completed"
        assert item["content"] == [{"type": "output_audio", "transcript": "Hello."}]
        assert by_kind["response.done"]["response"]["output"] == [item]

    def test_text(self, driver: Any, kinds: Any) -> None:
        driver.update(output_modalities=["text"])
        response, events = driver.respond()
        response.open_message()
        response.write_text("Hello")
        response.write_text(" there")
        response.close_message()
        events += driver.finish(response)
        assert kinds(events) == [
            "response.created",
            "response.output_item.added",
            "conversation.item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "conversation.item.done",
            "response.output_item.done",
            "response.done",
            "rate_limits.updated",
        ]
        assert events[3]["part"] == {"type": "text", "text": ""}
        assert events[6]["text"] == "Hello there"
        assert events[9]["item"]["content"] == [{"type": "output_text", "text": "Hello there"}]

    def test_function_call(self, driver: Any, kinds: Any) -> None:
        response, _ = driver.respond()
        response.call_function("get_weather", {"city": "Paris", "days": 3})
        events = driver.take()
        assert kinds(events)[:2] == ["response.output_item.added", "conversation.item.added"]
        assert kinds(events)[-3:] == [
            "response.function_call_arguments.done",
            "conversation.item.done",
            "response.output_item.done",
        ]
        added, done, item = events[0]["item"], events[-3], events[-1]["item"]
        assert (added["status"], added["arguments"], added["name"]) == ("in_progress", "", "get_weather")
        assert done["call_id"] == added["call_id"] == item["call_id"]
        assert done["name"] == "get_weather"
        assert "".join(event["delta"] for event in events[2:-3]) == done["arguments"] == item["arguments"]
        assert json.loads(done["arguments"]) == {"city": "Paris", "days": 3}

    def test_several_items_are_counted(self, driver: Any) -> None:
        response, _ = driver.respond()
        driver.speak(response)
        response.close_message()
        response.call_function("f", {})
        done = driver.finish(response)[-2]["response"]
        assert [item["type"] for item in done["output"]] == ["message", "function_call"]
        last = [event for event in driver.all if event["type"] == "response.output_item.done"][-1]
        assert last["output_index"] == 1

    def test_every_key_of_the_response_is_there(self, driver: Any) -> None:
        response, created = driver.respond()
        started = created[0]["response"]
        done = driver.finish(response)[0]["response"]
        assert set(started) == set(done) == RESPONSE_KEYS
        assert (started["status"], started["usage"], started["output"]) == ("in_progress", None, [])
        assert started["status_details"] is None
        assert done["status_details"] is None
        assert done["conversation_id"].startswith("conv_")

    @pytest.mark.parametrize(("law", "name"), [("ulaw", "audio/pcmu"), ("alaw", "audio/pcma")])
    def test_g711(self, driver: Any, law: Any, name: str) -> None:
        driver.update(audio={"output": {"format": {"type": name}}})
        item_id = driver.say(ms=1000)
        data = b"".join(
            base64.b64decode(event["delta"]) for event in driver.all if event["type"] == "response.output_audio.delta"
        )
        assert len(data) == 8000
        assert max(g711.decode(data, law)) > 0
        (retrieved,) = driver.send("conversation.item.retrieve", item_id=item_id)
        assert base64.b64decode(retrieved["item"]["content"][0]["audio"]) == data


class TestOverrides:
    def test_they_hold_for_one_response(self, driver: Any) -> None:
        driver.update(instructions="Session.")
        response, created = driver.respond(
            instructions="Response.",
            output_modalities=["text"],
            metadata={"topic": "x"},
            max_output_tokens=50,
            tool_choice="none",
            audio={"output": {"voice": "ash", "format": {"type": "audio/pcmu"}}},
        )
        wire = created[0]["response"]
        assert wire["output_modalities"] == ["text"]
        assert wire["metadata"] == {"topic": "x"}
        assert wire["max_output_tokens"] == 50
        assert wire["audio"]["output"] == {"voice": "ash", "format": {"type": "audio/pcmu"}}
        context = driver.engine.context(response)
        assert (context.instructions, context.tool_choice, context.metadata) == ("Response.", "none", {"topic": "x"})
        driver.finish(response)
        assert driver.engine.session["instructions"] == "Session."
        _, later = driver.respond()
        assert later[0]["response"]["output_modalities"] == ["audio"]

    def test_input_takes_the_place_of_the_conversation(self, driver: Any) -> None:
        driver.text("In the conversation")
        known = driver.text("Referred to")
        message = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "New"}]}
        response, _ = driver.respond(input=[{"type": "item_reference", "id": known}, message], conversation="none")
        texts = [item["content"][0]["text"] for item in driver.engine.context(response).items]
        assert texts == ["Referred to", "New"]
        empty, _ = driver.respond(input=[], conversation="none")
        assert driver.engine.context(empty).items == []

    @pytest.mark.parametrize(
        ("response", "code", "param"),
        [
            ({"conversation": "other"}, "invalid_value", "response.conversation"),
            ({"modalities": ["text"]}, "unknown_parameter", "response.modalities"),
            ({"metadata": {"k" * 65: "v"}}, "string_above_max_length", "response.metadata"),
            ({"metadata": {"k": 3}}, "invalid_type", "response.metadata.k"),
            ({"metadata": {str(n): "" for n in range(17)}}, "object_above_max_properties", "response.metadata"),
            (
                {"input": [{"type": "item_reference", "id": "x"}]},
                "item_reference_invalid_item_id",
                "response.input[0].id",
            ),
            ({"input": [{"type": "nope"}]}, "invalid_value", "response.input[0].type"),
            ({"max_output_tokens": "many"}, "invalid_value", "response.max_output_tokens"),
        ],
    )
    def test_refusals_start_nothing(self, driver: Any, response: Any, code: str, param: str) -> None:
        error = driver.error(driver.send("response.create", response=response, event_id="mine"))
        assert (error["code"], error["param"], error["event_id"]) == (code, param, "mine")
        assert driver.effects == []

    def test_references_are_for_responses_only(self, driver: Any) -> None:
        item = {"type": "item_reference", "id": "x"}
        assert driver.error(driver.send("conversation.item.create", item=item))["param"] == "item.type"


class TestCancelling:
    def test_by_the_client(self, driver: Any, kinds: Any) -> None:
        response, _ = driver.respond()
        driver.speak(response, "Well", ms=200)
        events = driver.send("response.cancel", response_id=response.id)
        assert kinds(events)[-2:] == ["response.done", "rate_limits.updated"]
        done = events[-2]["response"]
        assert done["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
        assert driver.effects_of(Halt)[-1].response_id == response.id
        assert driver.finish(response) == []

    def test_before_there_is_output(self, driver: Any, kinds: Any) -> None:
        driver.respond()
        events = driver.send("response.cancel")
        assert kinds(events) == ["response.done", "rate_limits.updated"]
        assert events[0]["response"]["output"] == []

    @pytest.mark.parametrize("fields", [{}, {"response_id": "resp_unknown"}])
    def test_nothing_to_cancel(self, driver: Any, fields: dict[str, Any]) -> None:
        error = driver.error(driver.send("response.cancel", **fields))
        assert error["code"] == "response_cancel_not_active"
        assert error["message"] == "Cancellation failed: no active response found"

    def test_the_next_response_may_start_at_once(self, driver: Any, kinds: Any) -> None:
        driver.respond()
        driver.send("response.cancel")
        assert kinds(driver.respond()[1]) == ["response.created"]


class TestOneAtATime:
    def test_a_second_default_response_is_refused(self, driver: Any) -> None:
        first, _ = driver.respond()
        error = driver.error(driver.send("response.create", event_id="second"))
        assert error["code"] == "conversation_already_has_active_response"
        assert error["event_id"] == "second"
        assert first.id in error["message"]

    def test_out_of_band_runs_beside_it_and_leaves_no_trace(self, driver: Any, kinds: Any) -> None:
        first, _ = driver.respond()
        aside, created = driver.respond(conversation="none", metadata={"topic": "aside"}, output_modalities=["text"])
        assert created[0]["response"]["conversation_id"] is None
        aside.open_message()
        aside.write_text("Psst")
        aside.close_message()
        events = driver.finish(aside)
        assert not [kind for kind in kinds(events) if kind.startswith("conversation.")]
        done = events[-2]["response"]
        assert (done["metadata"], done["conversation_id"]) == ({"topic": "aside"}, None)
        item_id = done["output"][0]["id"]
        retrieved = driver.send("conversation.item.retrieve", item_id=item_id)
        assert driver.error(retrieved)["code"] == "item_retrieve_invalid_item_id"
        assert kinds(driver.finish(first))[0] == "response.done"

    def test_out_of_band_is_cancelled_by_id_only(self, driver: Any) -> None:
        aside, _ = driver.respond(conversation="none")
        assert driver.error(driver.send("response.cancel"))["code"] == "response_cancel_not_active"
        done = driver.send("response.cancel", response_id=aside.id)[0]["response"]
        assert done["status"] == "cancelled"


class TestEndings:
    def test_max_output_tokens(self, driver: Any) -> None:
        response, _ = driver.respond(max_output_tokens=10)
        with pytest.raises(OutputLimitReached):
            driver.speak(response, "Word", ms=600)
        driver.take()
        done = driver.finish(response, "incomplete", reason="max_output_tokens")[-2]["response"]
        assert done["status"] == "incomplete"
        assert done["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
        assert done["output"][0]["status"] == "incomplete"
        assert done["usage"]["output_tokens"] <= 10

    def test_a_call_that_does_not_fit_is_incomplete(self, driver: Any) -> None:
        response, _ = driver.respond(max_output_tokens=5)
        with pytest.raises(OutputLimitReached):
            response.call_function("f", {"text": "x" * 100})
        events = driver.finish(response, "incomplete", reason="max_output_tokens")
        call = events[-2]["response"]["output"][0]
        assert (call["status"], call["arguments"]) == ("incomplete", '{"text":"xxx')

    def test_failed(self, driver: Any) -> None:
        response, _ = driver.respond()
        error = {"type": "server_error", "code": "server_error", "message": "broken"}
        done = driver.finish(response, "failed", error=error)[0]["response"]
        assert done["status"] == "failed"
        assert done["status_details"] == {"type": "failed", "error": error}


class TestUsage:
    def test_totals_add_up(self, driver: Any) -> None:
        driver.text("x" * 40)
        response, _ = driver.respond()
        driver.speak(response, "y" * 20, ms=1000)
        usage = driver.finish(response)[-2]["response"]["usage"]
        into, out = usage["input_token_details"], usage["output_token_details"]
        assert out == {"text_tokens": 5, "audio_tokens": 20}
        assert usage["input_tokens"] == into["text_tokens"] + into["audio_tokens"] + into["image_tokens"]
        assert usage["output_tokens"] == 25
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
        assert into["cached_tokens"] == sum(into["cached_tokens_details"].values()) == 0

    def test_earlier_turns_are_read_again_and_cached(self, driver: Any, speech: Any, silence: Any) -> None:
        driver.hear(speech(3000) + silence(400))
        first = driver.response()
        driver.speak(first, ms=10_000)
        usage = driver.finish(first)[-2]["response"]["usage"]
        assert usage["input_token_details"]["audio_tokens"] == 32
        driver.text("z" * 4000)
        second, _ = driver.respond()
        usage = driver.finish(second)[-2]["response"]["usage"]
        assert usage["input_token_details"]["audio_tokens"] == 32 + 200
        third, _ = driver.respond()
        usage = driver.finish(third)[-2]["response"]["usage"]
        cached = usage["input_token_details"]["cached_tokens_details"]
        assert cached["audio_tokens"] > 0
        assert cached["text_tokens"] >= 960

    def test_rate_limits(self, driver: Any) -> None:
        response, _ = driver.respond()
        (limit,) = driver.finish(response)[-1]["rate_limits"]
        assert limit["name"] == "tokens"
        assert 0 < limit["remaining"] < limit["limit"]
