"""Conversation items: create, retrieve, truncate, delete. Protocol sections 1.2, 1.3, 1.7 g, i and p."""

from __future__ import annotations

import base64
from typing import Any

import pytest


def message(text: str, **fields: Any) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}], **fields}


class TestCreate:
    def test_added_then_done(self, driver: Any, kinds: Any) -> None:
        events = driver.send("conversation.item.create", item=message("Hi"))
        assert kinds(events) == ["conversation.item.added", "conversation.item.done"]
        assert events[0]["item"] == events[1]["item"]
        assert events[0]["previous_item_id"] is None
        assert events[0]["item"]["status"] == "completed"
        assert events[0]["item"]["id"].startswith("item_")

    def test_client_ids_and_the_chain(self, driver: Any) -> None:
        driver.send("conversation.item.create", item=message("1", id="one"))
        second = driver.send("conversation.item.create", item=message("2", id="two"))
        assert second[0]["previous_item_id"] == "one"
        empty = driver.send("conversation.item.create", item=message("3", id="three"), previous_item_id="")
        assert empty[0]["previous_item_id"] == "two"
        between = driver.send("conversation.item.create", item=message("1.5", id="middle"), previous_item_id="one")
        assert between[0]["previous_item_id"] == "one"
        first = driver.send("conversation.item.create", item=message("0", id="zero"), previous_item_id="root")
        assert first[0]["previous_item_id"] is None
        items = [item["id"] for item in driver.engine.context().items]
        assert items == ["zero", "one", "middle", "two", "three"]

    def test_unknown_previous_item(self, driver: Any) -> None:
        error = driver.error(driver.send("conversation.item.create", item=message("x"), previous_item_id="gone"))
        assert error["code"] == "item_create_invalid_previous_item_id"
        assert error["message"] == "Error adding item: the previous item with id 'gone' does not exist."
        assert not driver.engine.context().items

    def test_a_repeated_id_is_appended(self, driver: Any, kinds: Any) -> None:
        driver.send("conversation.item.create", item=message("1", id="same"))
        events = driver.send("conversation.item.create", item=message("2", id="same"))
        assert kinds(events) == ["conversation.item.added", "conversation.item.done"]
        assert events[0]["previous_item_id"] == "same"

    def test_images_resolve_to_high_detail(self, driver: Any) -> None:
        image = {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"}
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "See"}, image]}
        events = driver.send("conversation.item.create", item=item)
        assert events[1]["item"]["content"][1] == {**image, "detail": "high"}

    def test_user_audio_goes_to_the_recogniser(self, driver: Any, speech: Any) -> None:
        audio = base64.b64encode(speech(500)).decode()
        item = {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": audio}]}
        events = driver.send("conversation.item.create", item=item)
        assert events[0]["item"]["content"] == [{"type": "input_audio", "transcript": None}]
        assert driver.recognized("hello") == []
        assert driver.engine.context().items[0]["content"][0]["transcript"] == "hello"

    def test_function_calls_get_a_call_id(self, driver: Any) -> None:
        item = {"type": "function_call", "name": "look", "arguments": "{}"}
        events = driver.send("conversation.item.create", item=item)
        assert events[0]["item"]["call_id"].startswith("call_")

    @pytest.mark.parametrize(
        ("item", "code", "param"),
        [
            ({}, "missing_required_parameter", "item.type"),
            ({"type": "dance"}, "invalid_value", "item.type"),
            ({"type": "message"}, "missing_required_parameter", "item.role"),
            ({"type": "message", "role": "user"}, "missing_required_parameter", "item.content"),
            ({"type": "message", "role": "tool", "content": []}, "invalid_value", "item.role"),
            (
                {"type": "message", "role": "user", "content": [{"type": "text", "text": "x"}]},
                "invalid_value",
                "item.content[0].type",
            ),
            (
                {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": "%%%"}]},
                "invalid_value",
                "item.content[0].audio",
            ),
            (
                {"type": "message", "role": "assistant", "content": [{"type": "output_audio", "audio": "AAAA"}]},
                "missing_required_parameter",
                "item.content[0].text",
            ),
            ({"type": "function_call_output", "output": "x"}, "missing_required_parameter", "item.call_id"),
            (
                {"type": "function_call_output", "call_id": "c", "output": {"a": 1}},
                "invalid_type",
                "item.output",
            ),
            ({"type": "message", "role": "user", "content": [], "mood": 1}, "unknown_parameter", "item.mood"),
        ],
    )
    def test_refusals(self, driver: Any, item: Any, code: str, param: str) -> None:
        error = driver.error(driver.send("conversation.item.create", item=item))
        assert (error["code"], error["param"]) == (code, param)
        assert not driver.engine.context().items


class TestRetrieveAndDelete:
    def test_retrieved_user_audio_is_the_turn_itself(self, driver: Any, speech: Any) -> None:
        driver.update(audio={"input": {"turn_detection": None}})
        pcm = speech(400)
        driver.hear(pcm)
        item_id = driver.send("input_audio_buffer.commit")[0]["item_id"]
        (retrieved,) = driver.send("conversation.item.retrieve", item_id=item_id)
        assert base64.b64decode(retrieved["item"]["content"][0]["audio"]) == pcm

    def test_the_oldest_audio_goes_when_there_is_too_much(self, driver: Any, silence: Any) -> None:
        driver.update(audio={"input": {"turn_detection": None}})
        items = []
        for _ in range(2):
            driver.hear(silence(360_000), chunk_ms=360_000)
            items.append(driver.send("input_audio_buffer.commit")[0]["item_id"])
        first, second = (driver.send("conversation.item.retrieve", item_id=item_id)[0]["item"] for item_id in items)
        assert "audio" not in first["content"][0]
        assert "audio" in second["content"][0]

    def test_an_endless_answer_keeps_its_length_and_not_its_audio(self, driver: Any, silence: Any) -> None:
        response, _ = driver.respond()
        driver.speak(response, ms=700_000)
        item_id = response.output[0].id
        (retrieved,) = driver.send("conversation.item.retrieve", item_id=item_id)
        assert "audio" not in retrieved["item"]["content"][0]
        events = driver.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=700_001)
        assert "700000ms is already shorter" in driver.error(events)["message"]

    def test_unknown_items(self, driver: Any) -> None:
        error = driver.error(driver.send("conversation.item.retrieve", item_id="gone", event_id="q"))
        assert (error["code"], error["event_id"]) == ("item_retrieve_invalid_item_id", "q")
        assert error["message"] == "Error retrieving item: the item with id 'gone' does not exist."
        assert driver.error(driver.send("conversation.item.delete", item_id="gone"))["code"] == (
            "item_delete_invalid_item_id"
        )

    def test_deleting_the_last_item_mends_the_chain(self, driver: Any) -> None:
        driver.send("conversation.item.create", item=message("1", id="one"))
        driver.send("conversation.item.create", item=message("2", id="two"))
        (deleted,) = driver.send("conversation.item.delete", item_id="two")
        assert (deleted["type"], deleted["item_id"]) == ("conversation.item.deleted", "two")
        assert driver.send("conversation.item.create", item=message("3"))[0]["previous_item_id"] == "one"


class TestTruncate:
    def test_cuts_the_audio_and_forgets_the_transcript(self, driver: Any) -> None:
        item_id = driver.say("A long story.", ms=1000)
        (event,) = driver.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=400)
        assert event["type"] == "conversation.item.truncated"
        assert (event["item_id"], event["content_index"], event["audio_end_ms"]) == (item_id, 0, 400)
        (retrieved,) = driver.send("conversation.item.retrieve", item_id=item_id)
        part = retrieved["item"]["content"][0]
        assert part["transcript"] is None
        assert len(base64.b64decode(part["audio"])) == 400 * 48

    def test_the_transcript_stays_forgotten_when_the_item_was_not_complete(self, driver: Any) -> None:
        response, _ = driver.respond()
        driver.speak(response, "Once upon a time", ms=500)
        driver.send("conversation.item.truncate", item_id=response.output[0].id, content_index=0, audio_end_ms=100)
        done = driver.send("response.cancel")[-2]["response"]
        assert done["output"][0]["content"][0]["transcript"] is None

    def test_past_the_end(self, driver: Any) -> None:
        item_id = driver.say(ms=1000)
        events = driver.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=1001)
        error = driver.error(events)
        assert error["code"] == "invalid_value"
        assert error["message"] == "Audio content of 1000ms is already shorter than 1001ms"

    def test_the_very_end_is_no_error(self, driver: Any, kinds: Any) -> None:
        item_id = driver.say(ms=1000)
        events = driver.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=1000)
        assert kinds(events) == ["conversation.item.truncated"]

    def test_unknown_item(self, driver: Any) -> None:
        events = driver.send("conversation.item.truncate", item_id="gone", content_index=0, audio_end_ms=0)
        assert driver.error(events)["code"] == "item_truncate_invalid_item_id"

    @pytest.mark.parametrize("role", ["user", "assistant"])
    def test_only_the_assistant_s_audio(self, driver: Any, role: str) -> None:
        kind = "input_text" if role == "user" else "output_text"
        item = {"type": "message", "role": role, "id": "t", "content": [{"type": kind, "text": "x"}]}
        driver.send("conversation.item.create", item=item)
        events = driver.send("conversation.item.truncate", item_id="t", content_index=0, audio_end_ms=0)
        error = driver.error(events)
        assert error["code"] == "unsupported_content_type"
        assert error["message"] == "Only model output audio messages can be truncated"

    def test_the_sent_part_of_a_cut_answer_is_what_can_be_truncated(self, driver: Any) -> None:
        response, _ = driver.respond()
        driver.speak(response, ms=300)
        driver.send("response.cancel")
        item_id = response.output[0].id
        events = driver.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=301)
        assert "300ms is already shorter" in driver.error(events)["message"]
