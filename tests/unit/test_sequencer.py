"""One response at a time: scenarios, and a state machine against a server that loses, refuses and reorders."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from jackfield.openai import OpenAIRealtimeProtocol, ResponseSequencer, Watchdog
from jackfield.transport import ResponseLostError, TransportCapabilities, events

BUSY = "conversation_already_has_active_response"


class Bench:
    """A sequencer, its clock, and what it has sent."""

    def __init__(self) -> None:
        numbers = itertools.count(1)
        self.now = 0.0
        self.sequencer = ResponseSequencer(lambda: f"jf_{next(numbers)}", Watchdog())
        self.sent: list[dict[str, Any]] = []

    def auto(self) -> None:
        self.sent += self.sequencer.request(manual=False, now=self.now)

    def manual(self, name: str) -> None:
        self.sent += self.sequencer.request({"instructions": name}, manual=True, event_id=name, now=self.now)

    def created(self, response_id: str) -> None:
        self.sent += self.sequencer.created(response_id, now=self.now)

    def done(self, response_id: str) -> None:
        self.sent += self.sequencer.done(response_id, now=self.now)

    def cancel(self) -> None:
        self.sent += self.sequencer.cancel(now=self.now)

    def refused(self, code: str | None, event_id: str | None, message: str = "") -> bool:
        absorbed, frames = self.sequencer.refused(code, event_id, message, now=self.now)
        self.sent += frames
        return absorbed

    def expire(self, seconds: float) -> str | None:
        self.now += seconds
        lost, frames = self.sequencer.expire(self.now)
        self.sent += frames
        return lost

    def take(self) -> list[str]:
        """Return, once, what was sent: instructions, "auto", or "cancel" with the response's id."""
        shown = [
            f"cancel {frame.get('response_id', '?')}"
            if frame["type"] == "response.cancel"
            else frame.get("response", {}).get("instructions", "auto")
            for frame in self.sent
        ]
        self.sent = []
        return shown


@pytest.fixture
def bench() -> Bench:
    return Bench()


class TestOrder:
    def test_an_idle_slot_is_taken_at_once(self, bench: Bench) -> None:
        bench.auto()
        assert bench.take() == ["auto"]
        assert bench.sequencer.state == "requested"

    def test_a_request_waits_for_the_end_of_the_response_before_it(self, bench: Bench) -> None:
        bench.auto()
        bench.created("resp_1")
        bench.auto()
        assert bench.take() == ["auto"]
        assert (bench.sequencer.state, bench.sequencer.waiting) == ("active", 1)
        bench.done("resp_1")
        assert bench.take() == ["auto"]
        assert bench.sequencer.state == "requested"

    def test_automatic_requests_coalesce_and_manual_ones_do_not(self, bench: Bench) -> None:
        bench.created("resp_0")
        bench.auto()
        bench.auto()
        bench.manual("a")
        bench.auto()
        assert bench.sequencer.waiting == 3
        bench.manual("b")
        bench.manual("b")
        served = []
        for number in range(5):
            bench.done(f"resp_{number}")
            served += bench.take()
            bench.created(f"resp_{number + 1}")
        assert served == ["auto", "a", "auto", "b", "b"]
        assert bench.sequencer.waiting == 0

    def test_a_request_that_is_under_way_does_not_answer_for_a_later_one(self, bench: Bench) -> None:
        bench.auto()
        bench.sequencer.input_added()  # which the first may not have seen
        bench.auto()
        assert bench.take() == ["auto"]
        assert bench.sequencer.waiting == 1

    def test_a_request_that_is_under_way_answers_for_all_that_was_there_before_it(self, bench: Bench) -> None:
        bench.created("resp_1")
        bench.sequencer.input_added()
        bench.auto()
        bench.done("resp_1")
        bench.auto()  # for something that had been there as well
        assert bench.take() == ["auto"]
        assert bench.sequencer.waiting == 0
        bench.created("resp_2")
        bench.auto()
        assert bench.sequencer.waiting == 1, "a response that has begun answers for nothing more"

    def test_out_of_band_runs_beside(self, bench: Bench) -> None:
        bench.created("resp_1")
        frames = bench.sequencer.request({"conversation": "none"}, manual=True, now=0.0)
        assert [frame["type"] for frame in frames] == ["response.create"]
        assert (bench.sequencer.active_response_id, bench.sequencer.waiting) == ("resp_1", 0)

    def test_overrides_and_event_id_go_out_as_given(self, bench: Bench) -> None:
        bench.manual("mine")
        assert bench.sent == [
            {"type": "response.create", "event_id": "mine", "response": {"instructions": "mine"}},
        ]

    def test_the_servers_own_response_fills_the_slot(self, bench: Bench) -> None:
        bench.created("resp_vad")
        bench.auto()
        assert bench.take() == []
        bench.done("resp_vad")
        assert bench.take() == ["auto"]


class TestRefusals:
    def test_a_request_that_lost_the_race_against_the_server_goes_out_again(self, bench: Bench) -> None:
        bench.manual("mine")
        bench.take()
        bench.created("resp_vad")
        assert bench.refused(BUSY, "mine", "… in progress: resp_vad.")
        assert bench.take() == []
        bench.done("resp_vad")
        assert bench.take() == ["mine"]
        bench.created("resp_mine")
        bench.done("resp_mine")
        assert bench.take() == []
        assert bench.sequencer.state == "idle"

    def test_so_does_one_whose_refusal_came_without_an_event_id(self, bench: Bench) -> None:
        bench.auto()
        bench.created("resp_vad")
        assert bench.refused(BUSY, None)
        bench.take()
        bench.done("resp_vad")
        assert bench.take() == ["auto"]

    def test_the_refusal_may_come_after_the_end_of_the_other(self, bench: Bench) -> None:
        bench.manual("mine")
        bench.created("resp_vad")
        bench.done("resp_vad")
        bench.take()
        assert bench.refused(BUSY, "mine")
        bench.done("resp_other")
        assert bench.take() == ["mine"]

    def test_the_refusal_names_a_response_that_nobody_announced(self, bench: Bench) -> None:
        bench.auto()
        assert bench.refused(BUSY, "jf_1", "active response in progress: resp_lost.")
        assert bench.sequencer.active_response_id == "resp_lost"
        bench.done("resp_older")
        bench.take()
        assert bench.sequencer.state == "active"
        bench.done("resp_lost")
        assert bench.take() == ["auto"]

    def test_a_refused_automatic_request_merges_with_one_that_waits(self, bench: Bench) -> None:
        bench.auto()
        bench.auto()
        bench.created("resp_vad")
        bench.refused(BUSY, "jf_1")
        assert bench.sequencer.waiting == 1

    def test_a_refused_manual_request_stands_first_again(self, bench: Bench) -> None:
        bench.manual("a")
        bench.auto()
        bench.created("resp_vad")
        bench.refused(BUSY, "a")
        bench.take()
        bench.done("resp_vad")
        assert bench.take() == ["a"]

    def test_a_server_that_holds_what_it_said_to_be_over_is_asked_again(self, bench: Bench) -> None:
        bench.auto()
        bench.created("resp_1")
        bench.done("resp_1")
        bench.manual("mine")
        bench.take()
        assert bench.refused(BUSY, "mine", "… in progress: resp_1.")
        assert bench.take() == []
        assert bench.expire(Watchdog().cancelling) is not None
        assert bench.take() == ["mine"]

    def test_any_other_refusal_frees_the_slot_and_is_the_applications_to_know(self, bench: Bench) -> None:
        bench.manual("bad")
        bench.auto()
        bench.take()
        assert not bench.refused("invalid_value", "bad")
        assert bench.take() == ["auto"]

    def test_an_unrelated_error_changes_nothing(self, bench: Bench) -> None:
        bench.manual("mine")
        bench.auto()
        bench.take()
        for event_id in (None, "somebody_elses"):
            assert not bench.refused("invalid_value", event_id, "Invalid value: 'nope'.")
        assert bench.sequencer.state == "requested"
        assert bench.take() == []


class TestCancelling:
    def test_once_for_each_response(self, bench: Bench) -> None:
        bench.created("resp_1")
        bench.cancel()
        bench.cancel()
        bench.created("resp_1")  # told twice
        bench.cancel()
        assert bench.take() == ["cancel resp_1"]
        assert bench.sequencer.state == "cancelling"
        bench.done("resp_1")
        bench.cancel()
        assert bench.take() == []
        bench.created("resp_2")
        bench.cancel()
        assert bench.take() == ["cancel resp_2"]

    def test_nothing_to_cancel(self, bench: Bench) -> None:
        bench.cancel()
        bench.created("resp_1")
        assert bench.take() == []

    def test_before_it_was_created(self, bench: Bench) -> None:
        bench.auto()
        bench.cancel()
        assert bench.take() == ["auto"]
        bench.created("resp_1")
        assert bench.take() == ["cancel resp_1"]

    def test_before_it_was_refused(self, bench: Bench) -> None:
        bench.manual("bad")
        bench.cancel()
        bench.refused("invalid_value", "bad")
        bench.take()
        bench.created("resp_vad")
        assert bench.take() == [], "the server's own response was not asked to be cancelled"

    def test_what_waits_follows(self, bench: Bench) -> None:
        bench.created("resp_1")
        bench.auto()
        bench.cancel()
        assert bench.take() == ["cancel resp_1"]
        bench.done("resp_1")
        assert bench.take() == ["auto"]

    @pytest.mark.parametrize("told", [True, False])
    def test_a_refused_cancel_means_that_nothing_runs(self, bench: Bench, told: bool) -> None:
        bench.created("resp_1")
        bench.auto()
        bench.cancel()
        cancel = bench.sent[-1]["event_id"]
        bench.take()
        absorbed = bench.refused("response_cancel_not_active", cancel if told else None)
        assert absorbed is told
        assert bench.take() == ["auto"]

    def test_a_late_refusal_of_a_cancel_does_not_touch_the_next_response(self, bench: Bench) -> None:
        bench.created("resp_1")
        bench.auto()
        bench.cancel()
        cancel = bench.sent[-1]["event_id"]
        bench.done("resp_1")
        bench.created("resp_2")
        assert bench.refused("response_cancel_not_active", cancel)
        assert bench.sequencer.active_response_id == "resp_2"

    def test_the_applications_own_cancel_counts(self, bench: Bench) -> None:
        bench.created("resp_1")
        bench.sequencer.cancel_sent("mine", None, now=0.0)
        bench.cancel()
        assert bench.take() == []
        assert not bench.refused("response_cancel_not_active", "mine"), "the application is told of its own"
        assert bench.sequencer.active_response_id is None

    def test_the_applications_cancel_of_another_response_does_not(self, bench: Bench) -> None:
        bench.created("resp_1")
        bench.sequencer.cancel_sent(None, "resp_out_of_band", now=0.0)
        assert bench.sequencer.state == "active"


class TestDisorder:
    def test_a_late_end_of_an_older_response(self, bench: Bench) -> None:
        bench.created("resp_1")
        bench.created("resp_2")
        bench.auto()
        bench.done("resp_1")
        assert bench.take() == []
        bench.done("resp_2")
        assert bench.take() == ["auto"]

    def test_an_end_that_comes_twice_does_not_end_the_next_request(self, bench: Bench) -> None:
        bench.created("resp_1")
        bench.auto()
        bench.done("resp_1")
        bench.auto()
        bench.done("resp_1")
        assert bench.take() == ["auto"]

    def test_a_beginning_after_its_end_takes_no_slot(self, bench: Bench) -> None:
        bench.auto()
        bench.done("resp_1")
        bench.created("resp_1")
        assert bench.sequencer.state == "idle"

    def test_a_response_without_an_id(self, bench: Bench) -> None:
        bench.auto()
        bench.created("")
        assert (bench.sequencer.state, bench.sequencer.active_response_id) == ("active", "")
        bench.cancel()
        assert bench.take() == ["auto", "cancel ?"]
        bench.done("")
        assert bench.sequencer.state == "idle"

    def test_a_lost_beginning(self, bench: Bench) -> None:
        bench.auto()
        bench.sequencer.input_added()
        bench.auto()
        bench.take()
        bench.done("resp_1")
        assert bench.take() == ["auto"]


class TestWatchdog:
    def test_a_request_without_an_answer(self, bench: Bench) -> None:
        bench.manual("a")
        bench.manual("b")
        assert bench.sequencer.deadline == Watchdog().requested
        assert bench.expire(Watchdog().requested - 1) is None
        assert "not answered" in (bench.expire(1) or "")
        assert bench.take() == ["a", "b"]

    def test_a_request_that_was_given_up_is_not_sent_again(self, bench: Bench) -> None:
        bench.manual("a")
        bench.expire(Watchdog().requested)
        assert not bench.refused(BUSY, "a")
        bench.done("resp_vad")
        assert bench.take() == ["a"]

    def test_a_response_that_goes_silent(self, bench: Bench) -> None:
        bench.created("resp_1")
        bench.auto()
        bench.now = 50.0
        bench.sequencer.heard(bench.now)
        assert bench.expire(Watchdog().active - 1) is None
        assert bench.sequencer.deadline == 50 + Watchdog().active
        assert "resp_1" in (bench.expire(1) or "")
        assert bench.take() == ["auto"]

    def test_a_cancelled_response_that_does_not_end(self, bench: Bench) -> None:
        bench.created("resp_1")
        bench.cancel()
        assert bench.expire(Watchdog().cancelling) is not None
        assert (bench.sequencer.state, bench.sequencer.deadline) == ("idle", None)

    def test_its_late_end_does_not_answer_the_next_request(self, bench: Bench) -> None:
        bench.created("resp_1")
        bench.auto()
        bench.auto()
        bench.cancel()
        bench.expire(Watchdog().cancelling)
        bench.done("resp_1")
        assert bench.sequencer.state == "requested"

    def test_nothing_awaited_no_deadline(self, bench: Bench) -> None:
        assert bench.sequencer.deadline is None
        bench.auto()
        bench.created("resp_1")
        bench.done("resp_1")
        assert bench.sequencer.deadline is None
        assert bench.expire(1000) is None

    def test_the_dialect_tells_what_was_lost(self) -> None:
        now = 0.0
        dialect = OpenAIRealtimeProtocol(capabilities=TransportCapabilities(), clock=lambda: now)
        dialect.request_response({"instructions": "a"})
        dialect.request_response()
        now = dialect.deadline or 0.0
        [event] = dialect.expire()
        assert isinstance(event, events.Error)
        assert isinstance(event.error, ResponseLostError)
        assert event.error.classification == "retry_turn"
        assert [frame["type"] for frame in dialect.data_to_send()] == ["response.create"]

    def test_a_long_function_call_keeps_its_response_alive(self) -> None:
        now = 0.0
        dialect = OpenAIRealtimeProtocol(capabilities=TransportCapabilities(), clock=lambda: now)
        list(dialect.receive({"type": "response.created", "response": {"id": "resp_1"}}))
        for _ in range(10):
            now += Watchdog().active - 1
            list(dialect.receive({"type": "response.function_call_arguments.delta", "delta": "x"}))
            assert dialect.expire() == []
        assert dialect.sequencer.state == "active"


class Server(RuleBasedStateMachine):
    """A server that is asked by the sequencer, speaks when it likes, and may lose or delay what it says.

    Frames to the client travel in `wire`. The server serves one response at a time and refuses a second one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench()
        self.names = itertools.count(1)
        self.ids = itertools.count(1)
        self.running: str | None = None
        self.serves: dict[str, str] = {}
        """Which request a response answers, by response id."""
        self.wire: list[tuple[str, Any]] = []
        self.inbox: list[dict[str, Any]] = []
        self.manual: list[str] = []
        self.autos = 0
        self.asked = ""
        """The request that was sent last."""
        self.patient = True
        """Whether the watchdog has not given up anything: then the order holds, too."""
        self.given_up: set[str] = set()
        """Requests that the application was told to be lost."""
        self.swallowed: set[str] = set()
        """Requests that the server never answers."""
        self.cancelled: list[str] = []

    # What the application asks

    @rule(about_something_new=st.booleans())
    def ask(self, about_something_new: bool) -> None:
        self.autos += 1
        if about_something_new:
            self.bench.sequencer.input_added()
        self.bench.auto()
        self.collect()

    @rule()
    def ask_with_overrides(self) -> None:
        name = f"manual_{next(self.names)}"
        self.manual.append(name)
        self.bench.manual(name)
        self.collect()

    @rule()
    def interrupt(self) -> None:
        self.bench.cancel()
        self.collect()

    # What the server does

    @precondition(lambda self: self.inbox)
    @rule(swallow=st.integers(0, 9))
    def handle(self, swallow: int) -> None:
        frame = self.inbox.pop(0)
        if frame["type"] == "response.cancel":
            if self.running is None or frame.get("response_id") != self.running:
                self.wire.append(("error", ("response_cancel_not_active", frame["event_id"], "nothing runs")))
            else:
                self.finish()
        elif self.running is not None:
            told = f"Conversation already has an active response in progress: {self.running}."
            self.wire.append(("error", (BUSY, frame["event_id"], told)))
        elif swallow == 0:
            self.swallowed.add(frame["event_id"])
        else:
            self.begin(frame["event_id"])

    @precondition(lambda self: self.running is None)
    @rule()
    def speak_of_its_own(self) -> None:
        self.begin("vad")

    @precondition(lambda self: self.running is not None)
    @rule()
    def finish(self) -> None:
        self.wire.append(("done", self.running))
        self.running = None

    # What the wire does

    @precondition(lambda self: self.wire)
    @rule()
    def deliver(self) -> None:
        self.give(*self.wire.pop(0))

    @precondition(lambda self: self.wire and self.wire[0][0] != "error")
    @rule()
    def lose(self) -> None:
        self.wire.pop(0)

    @precondition(lambda self: self.wire and self.wire[0][0] != "error")
    @rule()
    def duplicate(self) -> None:
        self.give(*self.wire[0])

    @precondition(lambda self: len(self.wire) > 1 and self.wire[0][0] == "done")
    @rule()
    def delay_an_end(self) -> None:
        self.wire[0], self.wire[1] = self.wire[1], self.wire[0]

    @rule(seconds=st.sampled_from([1.0, 6.0, 20.0, 100.0]))
    def wait(self, seconds: float) -> None:
        lost = self.bench.expire(seconds)
        if lost is not None:
            self.patient = False
            self.cancelled.clear()  # what was given up may be cancelled anew, should it show up again
            if "response.create" in lost:
                self.given_up.add(self.asked)
        self.collect()

    # Helpers

    def begin(self, request: str) -> None:
        self.running = f"resp_{next(self.ids)}"
        self.serves[self.running] = request
        self.wire.append(("created", self.running))

    def give(self, kind: str, value: Any) -> None:
        if kind == "created":
            self.bench.created(value)
        elif kind == "done":
            self.bench.done(value)
        else:
            code, event_id, message = value
            absorbed = self.bench.refused(code, event_id, message)
            assert absorbed == (event_id not in self.given_up), "a race of our own is dealt with, and not told"
        self.collect()

    def collect(self) -> None:
        for frame in self.bench.sent:
            self.inbox.append(frame)
            if frame["type"] == "response.cancel":
                self.cancelled.append(frame["response_id"])
            else:
                self.asked = frame["event_id"]
        self.bench.sent = []

    def served(self) -> list[str]:
        return [request for request in self.serves.values() if request != "vad"]

    # What must hold

    @invariant()
    def no_response_is_cancelled_twice(self) -> None:
        assert len(self.cancelled) == len(set(self.cancelled))

    @invariant()
    def no_request_is_served_twice(self) -> None:
        assert len(self.served()) == len(set(self.served()))

    @invariant()
    def requests_with_overrides_keep_their_order(self) -> None:
        served = [request for request in self.served() if request.startswith("manual")]
        assert not self.patient or served == sorted(served, key=self.manual.index)

    @invariant()
    def nothing_is_awaited_for_ever(self) -> None:
        sequencer = self.bench.sequencer
        if sequencer.state != "idle" or sequencer.waiting:
            assert sequencer.deadline is not None

    def teardown(self) -> None:
        """Let the server go on in peace: all that was asked for is served, and the queue is empty."""
        for _ in range(400):
            if self.wire:
                self.deliver()
            elif self.running is not None:
                self.finish()
            elif self.inbox:
                self.handle(swallow=1)
            elif self.bench.sequencer.deadline is not None:
                self.wait(100.0)
            else:
                break
        assert self.bench.sequencer.state == "idle"
        assert self.bench.sequencer.waiting == 0
        missing = set(self.manual) - set(self.served())
        assert missing <= self.swallowed | self.given_up, "a request was lost and nobody told"
        if self.autos and not self.swallowed and not self.given_up:
            assert any(request.startswith("jf_") for request in self.served())


TestAgainstAServer = Server.TestCase
TestAgainstAServer.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
