"""Whatever a far end says, the dialect takes it, and goes on."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from jackfield_gemini.dialect import GeminiDialect
from jackfield_gemini.session_setup import Settings

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def either(known: Any) -> Any:
    return known | JUNK


def told(**fields: Any) -> Any:
    return st.fixed_dictionaries({}, optional={name: either(field) for name, field in fields.items()})


BASE64 = st.sampled_from(["AAAA", "AQIDBA==", "?", "AAA", ""])
BLOB = told(
    mimeType=st.sampled_from(
        ["audio/pcm;rate=24000", "audio/pcm", "audio/pcm;rate=9999999", "audio/opus", "image/png"]
    ),
    data=BASE64,
)
TRANSCRIPT = told(text=st.sampled_from([" one", "two.", ""]), finished=st.booleans())
PART = told(text=st.sampled_from(["Hi", ""]), thought=st.booleans(), inlineData=BLOB)
CALL_IDS = st.sampled_from(["c1", "c2", "c3", ""])
COUNT = st.integers(0, 100)
MEMBERS = {
    "setupComplete": told(),
    "serverContent": told(
        modelTurn=told(parts=st.lists(either(PART), max_size=3)),
        inputTranscription=TRANSCRIPT,
        outputTranscription=TRANSCRIPT,
        generationComplete=st.booleans(),
        interrupted=st.booleans(),
        turnComplete=st.booleans(),
        turnCompleteReason=st.sampled_from(["NEED_MORE_INPUT", "OTHER"]),
    ),
    "toolCall": told(
        functionCalls=st.lists(either(told(id=CALL_IDS, name=st.sampled_from(["f", ""]), args=JUNK)), max_size=3)
    ),
    "toolCallCancellation": told(ids=st.lists(either(CALL_IDS), max_size=3)),
    "goAway": told(timeLeft=st.sampled_from(["10s", "s", "-1s", "1e999s", "nans"])),
    "sessionResumptionUpdate": told(newHandle=st.sampled_from(["h1", ""]), resumable=st.booleans()),
    "usageMetadata": told(
        promptTokenCount=COUNT,
        responseTokenCount=COUNT,
        totalTokenCount=COUNT | st.sampled_from(["12", "x"]),
        promptTokensDetails=st.lists(either(told(modality=st.sampled_from(["AUDIO", "TEXT"]), tokenCount=COUNT))),
    ),
    "voiceActivity": told(
        type=st.sampled_from(["ACTIVITY_START", "ACTIVITY_END"]), audioOffset=st.sampled_from(["1.5s", "x"])
    ),
}
MESSAGE = st.fixed_dictionaries({}, optional={**{key: either(value) for key, value in MEMBERS.items()}, "new": JUNK})
ASK = st.sampled_from(["message", "request", "interrupt", "audio", "commit", "answer", "expire", "rejoin", "update"])


@settings(max_examples=200, deadline=None)
@given(steps=st.lists(MESSAGE | ASK, max_size=25), manual=st.booleans())
def test_nothing_that_is_said_breaks_a_session(steps: list[Any], manual: bool) -> None:
    now = [0.0]
    config = {"turn_detection": None} if manual else {}
    dialect = GeminiDialect(settings=Settings.of(config, "models/m"), clock=lambda: now[0])
    events: list[Any] = []
    answered: set[str] = set()

    def take(message: Any) -> None:
        events.extend(dialect.receive(dialect.decode(json.dumps(message))))
        for sent in dialect.data_to_send():
            dialect.encode(sent)

    for step in steps:
        now[0] += 0.1
        if isinstance(step, dict):
            take(step)
        elif step == "message":
            dialect.message("Hello?", trigger_response=True)
        elif step == "request":
            dialect.request_response()
        elif step == "interrupt":
            events += dialect.interrupt()[1]
        elif step == "audio":
            dialect.audio(bytes(960))
        elif step == "commit":
            dialect.commit_audio()
        elif step == "answer":
            for call in [event for event in events if event.type == "function_call" and event.call_id not in answered]:
                answered.add(call.call_id)
                dialect.function_call_output(call, "42", start_response=False)
        elif step == "expire" and dialect.deadline is not None:
            now[0] = max(now[0], dialect.deadline)
            events += dialect.expire()
        elif step == "rejoin":
            dialect.rejoined(())
        else:
            dialect.session_update({"instructions": f"At {now[0]}"})
    now[0] += 1000
    take({"serverContent": {"turnComplete": True}})
    take({"serverContent": {"turnComplete": True}})
    while dialect.deadline is not None:
        now[0] = max(now[0], dialect.deadline)
        events += dialect.expire()

    begun = [event.response_id for event in events if event.type == "turn_started"]
    done = [event.response_id for event in events if event.type == "turn_done"]
    assert begun == done, "each response that began has ended, once and in order"
    calls = [event.call_id for event in events if event.type == "function_call"]
    assert len(calls) == len(set(calls))
    take({"serverContent": {"modelTurn": {"parts": [{"text": "Still here."}]}, "turnComplete": True}})
    assert events[-1].type == "turn_done"
