"""Audio that comes on a path of its own: whose it is, where it begins and ends, and what of it is dropped."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jackfield.audio import PCM16, PCMU
from jackfield.openai import OpenAIRealtimeProtocol
from jackfield.transport import TransportCapabilities, events

FRAME_MS = 20
FRAME = bytes(FRAME_MS * 48)
CAPABILITIES = TransportCapabilities(mute=True, playback="server", truncate="server", local_media=True)


class Call:
    """A call by WebRTC, as the dialect sees it: events on a channel, frames of 20 ms beside them."""

    def __init__(self, *, interrupts: bool = True) -> None:
        self.now = 100.0
        self.told: list[Any] = []
        self.sent: list[dict[str, Any]] = []
        self.dialect = OpenAIRealtimeProtocol(
            capabilities=CAPABILITIES, clock=lambda: self.now, negotiated_formats=True, audio_apart=True
        )
        detection = {"type": "server_vad", "interrupt_response": interrupts}
        self.event("session.created", session={"audio": {"input": {"turn_detection": detection}}})

    def event(self, kind: str, **fields: Any) -> None:
        self.told += self.dialect.receive({"type": kind, **fields})
        self.sent += self.dialect.data_to_send()

    def begin(self, response: str = "r", item: str = "i") -> None:
        self.event("response.created", response={"id": response, "conversation_id": "c"})
        self.part(response, item)

    def part(self, response: str = "r", item: str = "i") -> None:
        self.event(
            "response.content_part.added", response_id=response, item_id=item, content_index=0, part={"type": "audio"}
        )

    def end(self, response: str = "r", item: str = "i", status: str = "completed") -> None:
        self.event("response.output_audio.done", response_id=response, item_id=item, content_index=0)
        self.event("response.done", response={"id": response, "conversation_id": "c", "status": status})

    def buffer(self, what: str, response: str = "r") -> None:
        self.event(f"output_audio_buffer.{what}", response_id=response)

    def hear(self, frames: int = 1, *, silent: bool = False, mark: int = 0) -> None:
        for _ in range(frames):
            self.now += FRAME_MS / 1000
            self.told += self.dialect.heard(bytes([mark, 0]) * 480, silent=silent)

    def wait(self, seconds: float) -> None:
        """Let time pass, with the protocol's timer in it."""
        end = self.now + seconds
        while self.dialect.deadline is not None and self.dialect.deadline <= end:
            self.now = self.dialect.deadline
            self.told += self.dialect.expire()
        self.now = end

    def interrupt(self, response: str | None = None) -> None:
        frames, told = self.dialect.interrupt(response)
        self.sent += frames
        self.told += told

    def shown(self) -> list[str]:
        """Return, once, what was told, short: audio by response and item, with its milliseconds."""
        out: list[list[Any]] = []
        for event in self.told:
            match event:
                case events.Audio():
                    key = f"audio {event.response_id} {event.item_id}"
                    ms = len(event.data) // 48
                    if out and out[-1][0] == key:
                        out[-1][1] += ms
                    else:
                        out.append([key, ms])
                case events.AudioDone():
                    out.append([f"done {event.response_id} {event.item_id}", None])
                case events.AudioInterrupted():
                    out.append([f"cut {event.response_id} {event.item_id}", event.played_ms])
        self.told = []
        return [key if value is None else f"{key} {value}" for key, value in out]


class TestTurns:
    def test_a_turn(self) -> None:
        call = Call()
        call.hear(5, silent=True)
        call.begin()
        call.hear(5, silent=True)
        call.buffer("started")
        call.hear(10)
        call.end()
        call.hear(3, silent=True)
        call.hear(10)
        call.buffer("stopped")
        call.hear(1)
        call.hear(5, silent=True)
        assert call.shown() == ["audio r i 480", "done r i"], "a pause within is part of it, silence around is not"

    def test_done_is_told_when_it_was_heard_out(self) -> None:
        call = Call()
        call.begin()
        call.buffer("started")
        call.end()
        call.hear(2)
        assert call.shown() == ["audio r i 40"]
        call.buffer("stopped")
        assert call.shown() == []
        call.wait(0.3)
        assert call.shown() == ["done r i"], "also where nothing follows"

    def test_turns_follow_one_another(self) -> None:
        call = Call()
        for response in ("r1", "r2"):
            call.begin(response, f"i_{response}")
            call.buffer("started", response)
            call.hear(5)
            call.end(response, f"i_{response}")
            call.buffer("stopped", response)
            call.hear(1, silent=True)
        assert call.shown() == ["audio r1 i_r1 100", "done r1 i_r1", "audio r2 i_r2 100", "done r2 i_r2"]

    def test_the_next_one_ends_the_one_before(self) -> None:
        call = Call()
        call.begin("r1", "i1")
        call.buffer("started", "r1")
        call.hear(2)
        call.end("r1", "i1")
        call.begin("r2", "i2")
        call.buffer("started", "r2")
        call.hear(2)
        assert call.shown() == ["audio r1 i1 40", "done r1 i1", "audio r2 i2 40"]

    def test_a_second_item_of_the_same_response(self) -> None:
        call = Call()
        call.begin()
        call.buffer("started")
        call.hear(2)
        call.part("r", "i2")
        call.hear(2)
        assert call.shown() == ["audio r i 40", "done r i", "audio r i2 40"]

    def test_audio_has_the_format_that_it_has(self) -> None:
        call = Call()
        call.event("session.updated", session={"audio": {"output": {"format": {"type": "audio/pcmu"}}}})
        call.begin()
        call.buffer("started")
        call.hear()
        assert [event.format for event in call.told if isinstance(event, events.Audio)] == [PCM16]


class TestWhatComesTooEarlyOrLate:
    def test_the_first_word_comes_before_its_event(self) -> None:
        call = Call()
        call.hear(3)
        call.hear(2, silent=True)
        call.hear(1)
        assert call.shown() == []
        call.begin()
        call.buffer("started")
        call.hear(1)
        assert call.shown() == ["audio r i 140"]

    def test_the_part_is_known_before_its_playback_is(self) -> None:
        call = Call()
        call.begin()
        call.hear(2)
        call.buffer("started")
        call.hear(1)
        assert call.shown() == ["audio r i 60"]

    def test_what_nobody_claims_is_bounded(self) -> None:
        call = Call()
        call.hear(2_000)
        call.begin()
        call.buffer("started")
        assert call.shown() == ["audio r i 5000"]

    def test_a_far_end_that_tells_nothing_of_its_buffer(self) -> None:
        call = Call()
        call.begin("r1", "i1")
        call.hear(5)
        call.end("r1", "i1")
        call.hear(5)
        call.hear(60, silent=True)
        call.begin("r2", "i2")
        call.hear(2)
        shown = call.shown()
        assert shown[-1] == "audio r2 i2 40"
        assert shown[1] == "done r1 i1"


class TestInterruption:
    def test_by_the_user(self) -> None:
        call = Call()
        call.begin()
        call.buffer("started")
        call.hear(10)
        call.event("input_audio_buffer.speech_started", item_id="u", audio_start_ms=0)
        assert call.shown() == ["audio r i 200", "cut r i 200", "done r i"]
        assert call.sent == [], "the far end cuts its buffer, and the item, by itself"
        call.hear(3)
        call.buffer("cleared")
        call.event("conversation.item.truncated", item_id="i", content_index=0, audio_end_ms=180)
        call.hear(2)
        call.hear(5, silent=True)
        assert call.shown() == [], "what was on its way is dropped"
        part = call.dialect.ledger.position("i", 0)
        assert part is not None and part.played_ms == 180

    def test_by_the_application(self) -> None:
        call = Call()
        call.begin()
        call.buffer("started")
        call.hear(10)
        call.interrupt()
        assert [event["type"] for event in call.sent] == ["response.cancel", "output_audio_buffer.clear"]
        assert call.shown() == ["audio r i 200", "cut r i 200", "done r i"]

    def test_after_generation_ended(self) -> None:
        call = Call()
        call.begin()
        call.buffer("started")
        call.hear(2)
        call.end()
        call.interrupt()
        assert [event["type"] for event in call.sent] == ["output_audio_buffer.clear"]
        assert call.shown() == ["audio r i 40", "cut r i 40", "done r i"]

    def test_by_the_far_end_alone(self) -> None:
        call = Call(interrupts=False)
        call.begin()
        call.buffer("started")
        call.hear(5)
        call.buffer("cleared")
        call.hear(2)
        assert call.shown() == ["audio r i 100", "cut r i 100", "done r i"]

    def test_of_nothing(self) -> None:
        call = Call()
        call.interrupt()
        assert call.sent == [] and call.shown() == []

    def test_before_anything_was_heard(self) -> None:
        call = Call()
        call.begin("r1", "i1")
        call.interrupt()
        call.hear(3)
        call.end("r1", "i1", status="cancelled")
        call.buffer("cleared", "r1")
        call.hear(2, silent=True)
        call.begin("r2", "i2")
        call.hear(1)
        call.buffer("started", "r2")
        call.hear(1)
        assert call.shown() == ["audio r2 i2 40"]

    def test_an_answer_that_was_cancelled_unheard_claims_nothing(self) -> None:
        call = Call()
        call.begin("r1", "i1")
        call.end("r1", "i1", status="cancelled")
        call.begin("r2", "i2")
        call.hear(1)
        assert call.shown() == ["audio r2 i2 20"]

    def test_the_next_answer_comes_while_the_last_is_still_on_its_way(self) -> None:
        call = Call()
        call.begin("r1", "i1")
        call.buffer("started", "r1")
        call.hear(2, mark=1)
        call.interrupt()
        call.hear(2, mark=1)
        call.begin("r2", "i2")
        call.hear(2, mark=1)
        call.buffer("cleared", "r1")
        call.buffer("started", "r2")
        call.hear(2, mark=2)
        marks = [event.data[0] for event in call.told if isinstance(event, events.Audio)]
        assert marks == [1, 1, 2, 2]
        assert call.shown() == ["audio r1 i1 40", "cut r1 i1 40", "done r1 i1", "audio r2 i2 40"]


class TestLedger:
    def test_it_follows_what_was_delivered(self) -> None:
        call = Call()
        call.begin()
        call.buffer("started")
        call.hear(10)
        call.end()
        part = call.dialect.ledger.position("i", 0)
        assert part is not None
        assert (part.received_ms, round(part.played_ms)) == (float("inf"), 200), "nobody knows how much is to come"
        assert part.audible and part.started_at == 100.0
        call.buffer("stopped")
        call.hear(1, silent=True)
        part = call.dialect.ledger.position("i", 0)
        assert part is not None
        assert (round(part.received_ms), round(part.played_ms), part.generated) == (200, 200, True)
        assert not part.audible


class TestFormats:
    def test_the_configured_one_says_what_is_sent_and_is_not_told(self) -> None:
        call = Call()
        [update] = call.dialect.session_update({"input_audio_format": "g711_ulaw", "voice": "ash"})
        assert call.dialect.input_format == PCMU
        assert "format" not in update["session"]["audio"].get("input", {})


@given(
    st.lists(
        st.sampled_from(
            ["hear", "silence", "begin", "end", "started", "stopped", "cleared", "interrupt", "speech", "wait"]
        ),
        max_size=40,
    )
)
def test_whatever_comes_every_part_ends_once(steps: list[str]) -> None:
    """Each part that was heard has its end told once, audio behind it is nobody's, and nothing is told of strangers."""
    call, number = Call(), 0
    for step in steps:
        match step:
            case "hear" | "silence":
                call.hear(2, silent=step == "silence")
            case "begin":
                number += 1
                call.begin(f"r{number}", f"i{number}")
            case "end":
                call.end(f"r{number}", f"i{number}")
            case "started" | "stopped" | "cleared":
                call.buffer(step, f"r{number}")
            case "interrupt":
                call.interrupt()
            case "speech":
                call.event("input_audio_buffer.speech_started", item_id="u", audio_start_ms=0)
            case "wait":
                call.wait(3)
    over: set[str] = set()
    heard: list[str] = []
    for event in call.told:
        if isinstance(event, events.Audio):
            assert event.item_id and event.item_id not in over
            heard.append(event.item_id)
        elif isinstance(event, events.AudioDone):
            assert event.item_id not in over
            over.add(event.item_id)
    assert set(dict.fromkeys(heard[:-1])) - {heard[-1] if heard else ""} <= over, "one at a time"
