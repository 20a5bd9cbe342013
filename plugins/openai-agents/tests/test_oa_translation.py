"""What a transport tells, in the SDK's words: every common event, every item, in the order of the wire."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, get_args

import agents.realtime as sdk
import pytest
from agents.realtime import items as sdk_items
from agents.realtime import model_events
from openai.types.realtime import RealtimeError

from jackfield.transport import ProtocolError, ProviderError, TransportEvent
from jackfield.transport import events as ev
from jackfield.transport import items as it

Connect = Callable[..., Awaitable[Any]]

USAGE = ev.Usage(
    requests=1,
    input_tokens=10,
    output_tokens=7,
    total_tokens=17,
    input_tokens_details={
        "text_tokens": 4,
        "audio_tokens": 5,
        "image_tokens": 1,
        "cached_tokens": 3,
        "cached_tokens_details": {"text_tokens": 2, "audio_tokens": 1},
    },
    output_tokens_details={"text_tokens": 3, "audio_tokens": 4},
)

CALL = ev.FunctionCall(
    name="get_weather", arguments='{"city":"Paris"}', call_id="call_1", item_id="item_3", response_id="resp_1"
)

ONE_FOR_ONE: list[tuple[Any, Any]] = [
    (ev.Audio(b"\1\2", "resp_1", "item_1", 2), sdk.RealtimeModelAudioEvent(b"\1\2", "resp_1", "item_1", 2)),
    (ev.AudioDone("resp_1", "item_1", 2), sdk.RealtimeModelAudioDoneEvent("item_1", 2)),
    (ev.AudioInterrupted("resp_1", "item_1", 2, 500, 900), sdk.RealtimeModelAudioInterruptedEvent("item_1", 2)),
    (
        ev.AudioTranscriptDelta("Hel", "resp_1", "item_1", 0),
        sdk.RealtimeModelTranscriptDeltaEvent(item_id="item_1", delta="Hel", response_id="resp_1"),
    ),
    (
        ev.OutputTextDelta("Hel", "resp_1", "item_1", 0),
        sdk.RealtimeModelOutputTextDeltaEvent(item_id="item_1", delta="Hel", response_id="resp_1"),
    ),
    (
        ev.InputAudioTranscriptionCompleted("Hello", "item_2", 0),
        sdk.RealtimeModelInputAudioTranscriptionCompletedEvent(item_id="item_2", transcript="Hello"),
    ),
    (
        ev.InputAudioTimeoutTriggered("item_2", 100, 900),
        model_events.RealtimeModelInputAudioTimeoutTriggeredEvent("item_2", 100, 900),
    ),
    (ev.ItemDeleted("item_1"), sdk.RealtimeModelItemDeletedEvent("item_1")),
    (ev.TurnStarted("resp_1"), sdk.RealtimeModelTurnStartedEvent(response_id="resp_1")),
    (ev.TurnDone(response_id="resp_1"), sdk.RealtimeModelTurnEndedEvent(response_id="resp_1")),
]

NO_WORD_FOR_IT: list[Any] = [
    ev.SpeechStarted("item_1", 5),
    ev.SpeechStopped("item_1", 5),
    ev.DtmfReceived("5", 1.0),
    ev.RateLimitsUpdated(()),
    ev.InputAudioTranscriptionDelta("Hel", "item_2", 0),
    ev.InputAudioTranscriptionFailed(ProviderError("no"), "item_2", 0),
    ev.McpToolsListed("docs", (), "item_1"),
    ev.McpApprovalRequest(item_id="item_1", server_label="docs", name="search", arguments="{}"),
    ev.McpToolCallCompleted(it.McpCallItem(item_id="item_1")),
    ev.McpFailed("call", "item_1"),
    ev.ItemUpdate(item=it.McpListToolsItem(item_id="item_1")),
]


def name(value: Any) -> str:
    return str(getattr(value, "type", ""))


class TestEvents:
    @pytest.mark.parametrize(("event", "expected"), ONE_FOR_ONE, ids=name)
    async def test_one_for_one(self, connect: Connect, event: Any, expected: Any) -> None:
        line = await connect()
        assert await line.emit(event) == [expected]

    @pytest.mark.parametrize("event", NO_WORD_FOR_IT, ids=name)
    async def test_what_the_sdk_has_no_word_for(self, connect: Connect, event: Any) -> None:
        line = await connect()
        assert await line.emit(event) == [sdk.RealtimeModelOtherEvent(data=event)]

    def test_every_common_event_is_seen_to(self) -> None:
        elsewhere = {ev.ConnectionChange, ev.Error, ev.FunctionCall, ev.ItemUpdate, ev.UsageUpdate}
        seen = {type(event) for event, _ in ONE_FOR_ONE} | {type(event) for event in NO_WORD_FOR_IT}
        assert set(get_args(TransportEvent)) == seen | elsewhere

    async def test_a_frame_is_told_before_what_it_amounts_to(self, connect: Connect) -> None:
        line = await connect()
        frame = {"type": "response.created", "response": {"id": "resp_1"}, "unheard": {"of": None}}
        raw, started = await line.emit(frame, ev.TurnStarted("resp_1"))
        assert raw == model_events.RealtimeModelRawServerEvent(frame)
        assert started.type == "turn_started"

    async def test_an_unknown_frame_is_no_error(self, connect: Connect) -> None:
        line = await connect()
        [told] = await line.emit({"type": "from.the.future"})
        assert told.data == {"type": "from.the.future"}

    async def test_usage(self, connect: Connect) -> None:
        line = await connect()
        [told] = await line.emit(ev.UsageUpdate("resp_1", USAGE))
        usage = told.usage
        assert (usage.requests, usage.input_tokens, usage.output_tokens, usage.total_tokens) == (1, 10, 7, 17)
        assert usage.input_tokens_details.cached_tokens == 3
        assert told.input_tokens_details == sdk.RealtimeModelInputTokensDetails(
            4, 5, 1, 3, sdk.RealtimeModelCachedTokensDetails(2, 1, None)
        )
        assert told.output_tokens_details == sdk.RealtimeModelOutputTokensDetails(3, 4)

    async def test_usage_without_details(self, connect: Connect) -> None:
        line = await connect()
        [told] = await line.emit(ev.UsageUpdate("resp_1", ev.Usage(1, 1, 2, 3)))
        assert (told.usage.total_tokens, told.input_tokens_details, told.output_tokens_details) == (3, None, None)


class TestErrors:
    async def test_of_the_far_end_are_its_own_objects(self, connect: Connect) -> None:
        line = await connect()
        error = ProviderError(
            "too large", code="string_above_max_length", type="invalid_request_error", param="item", event_id="ev_1"
        )
        [told] = await line.emit(ev.Error(error))
        assert told.error == RealtimeError(
            message="too large",
            code="string_above_max_length",
            type="invalid_request_error",
            param="item",
            event_id="ev_1",
        )

    async def test_of_ours_are_told_as_they_are(self, connect: Connect) -> None:
        line = await connect()
        error = ProtocolError("junk")
        [told] = await line.emit(ev.Error(error))
        assert told.error is error


class TestTurns:
    async def test_that_began_without_an_id_end_without_one(self, connect: Connect) -> None:
        line = await connect()
        started, ended = await line.emit(ev.TurnStarted(""), ev.TurnDone(response_id="resp_1"))
        assert (started.response_id, ended.response_id) == (None, None)

    async def test_that_end_without_an_id(self, connect: Connect) -> None:
        line = await connect()
        started, ended = await line.emit(ev.TurnStarted("resp_1"), ev.TurnDone(response_id=""))
        assert (started.response_id, ended.response_id) == ("resp_1", None)  # which ends whichever is open

    async def test_words_without_an_id_belong_to_the_open_one(self, connect: Connect) -> None:
        line = await connect()
        delta, audio = ev.OutputTextDelta("Hel", "", "item_1", 0), ev.Audio(b"\0\0", "", "item_1", 0)
        told = await line.emit(ev.TurnStarted("resp_1"), delta, audio)
        assert [event.response_id for event in told] == ["resp_1"] * 3

    async def test_beside_the_conversation_are_not_taken_for_the_open_one(self, connect: Connect) -> None:
        line = await connect()
        beside = ev.TurnStarted("resp_2", in_conversation=False)
        words, done = ev.OutputTextDelta("psst", "resp_2", "item_2", 0), ev.TurnDone(response_id="resp_2")
        told = await line.emit(ev.TurnStarted("resp_1"), beside, words, done, ev.TurnDone(response_id="resp_1"))
        assert [event.type for event in told] == ["turn_started", "other", "other", "other", "turn_ended"]
        assert [event.data for event in told[1:4]] == [beside, words, done]
        assert told[-1].response_id == "resp_1"

    async def test_beside_one_without_an_id(self, connect: Connect) -> None:
        line = await connect()
        beside = ev.TurnStarted("resp_2", in_conversation=False)
        done = (ev.TurnDone(response_id="resp_2"), ev.TurnDone(response_id="resp_9"))
        told = await line.emit(ev.TurnStarted(""), beside, *done)
        assert [event.type for event in told] == ["turn_started", "other", "other", "turn_ended"]
        assert told[-1].response_id is None


def update(item: it.RealtimeItem, after: str | None = "") -> ev.ItemUpdate:
    return ev.ItemUpdate(item=item, after=after)


class TestItems:
    async def test_an_assistants_message(self, connect: Connect) -> None:
        line = await connect()
        content = (it.AssistantAudio("Hello", "AAA="), it.AssistantText("Hi"))
        item = it.AssistantMessageItem(item_id="item_2", content=content, status="completed", response_id="resp_1")
        [told] = await line.emit(update(item, "item_1"))
        assert told.item == sdk_items.AssistantMessageItem(
            item_id="item_2",
            previous_item_id="item_1",
            status="completed",
            content=[
                sdk_items.AssistantAudio(transcript="Hello", audio="AAA="),
                sdk_items.AssistantText(text="Hi"),
            ],
        )

    @pytest.mark.parametrize(
        ("status", "expected"),
        [
            ("in_progress", "in_progress"),
            ("incomplete", "incomplete"),
            ("interrupted", "incomplete"),
            ("completed", "completed"),
            (None, None),
        ],
    )
    async def test_its_status(self, connect: Connect, status: Any, expected: Any) -> None:
        line = await connect()
        [told] = await line.emit(update(it.AssistantMessageItem(item_id="item_1", status=status)))
        assert told.item.status == expected

    async def test_a_users_message(self, connect: Connect) -> None:
        line = await connect()
        content = (it.InputText("Look"), it.InputImage("data:image/png;base64,AAA=", "low"), it.InputAudio("here"))
        [told] = await line.emit(update(it.UserMessageItem(item_id="item_1", content=content, status="completed")))
        assert isinstance(told.item, sdk.UserMessageItem)
        assert told.item.content == [
            sdk_items.InputText(text="Look"),
            sdk_items.InputImage(image_url="data:image/png;base64,AAA=", detail="low"),
            sdk_items.InputAudio(transcript="here"),
        ]
        assert told.item.model_dump()["status"] == "completed"

    async def test_speech_that_is_not_transcribed_yet(self, connect: Connect) -> None:
        line = await connect()
        [told] = await line.emit(update(it.UserMessageItem(item_id="item_1", content=(it.InputAudio(),))))
        assert told.item.content[0].transcript is None  # "" would take the place of what a session knows already

    async def test_a_systems_message(self, connect: Connect) -> None:
        line = await connect()
        [told] = await line.emit(update(it.SystemMessageItem(item_id="item_1", content=(it.InputText("Be kind"),))))
        assert isinstance(told.item, sdk.SystemMessageItem)
        assert told.item.content == [sdk_items.InputText(text="Be kind")]

    @pytest.mark.parametrize("after", [None, ""])
    async def test_where_it_stands_is_not_known(self, connect: Connect, after: str | None) -> None:
        line = await connect()
        [told] = await line.emit(update(it.UserMessageItem(item_id="item_1"), after))
        assert told.item.previous_item_id is None

    async def test_a_call_is_complete_when_it_is_answered(self, connect: Connect) -> None:
        line = await connect()
        call = it.RealtimeToolCallItem(item_id="item_1", call_id="call_1", name="f", arguments="{}", status="completed")
        [told] = await line.emit(update(call))
        assert (told.item.status, told.item.output) == ("in_progress", None)


class TestCalls:
    async def test_the_item_comes_first(self, connect: Connect) -> None:
        line = await connect()
        item, call = await line.emit(CALL)
        assert item.item == sdk.RealtimeToolCallItem(
            item_id="item_3",
            call_id="call_1",
            status="in_progress",
            arguments='{"city":"Paris"}',
            name="get_weather",
        )
        assert call == sdk.RealtimeModelToolCallEvent(
            name="get_weather", call_id="call_1", arguments='{"city":"Paris"}', id="item_3"
        )

    async def test_and_once(self, connect: Connect) -> None:
        line = await connect()
        item = it.RealtimeToolCallItem(
            item_id="item_3", call_id="call_1", name="get_weather", arguments='{"city":"Paris"}'
        )
        told = await line.emit(update(item, "item_2"), CALL, update(item))
        assert [event.type for event in told] == ["item_updated", "function_call"]
        assert told[0].item.previous_item_id == "item_2"

    async def test_an_output_of_somebody_elses_is_told(self, connect: Connect) -> None:
        line = await connect()
        item = it.RealtimeToolCallItem(
            item_id="item_3", call_id="call_1", name="get_weather", arguments='{"city":"Paris"}', output="Sunny"
        )
        *_, told = await line.emit(CALL, update(item))
        assert (told.item.item_id, told.item.status, told.item.output) == ("item_3", "completed", "Sunny")

    async def test_without_an_item_id(self, connect: Connect) -> None:
        line = await connect()
        call = ev.FunctionCall(name="f", arguments="{}", call_id="call_1", item_id="", response_id="")
        item, told = await line.emit(call)
        assert (item.item.item_id, told.id, told.call_id) == ("call_1", "call_1", "call_1")
