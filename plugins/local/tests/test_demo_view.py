"""What the demo shows: lines of text in a pipe, words that light up on a terminal."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from jackfield_local.demo.live_view import LiveView
from jackfield_local.demo.record import (
    AgentLine,
    CallerLine,
    Cut,
    Entry,
    HandedOver,
    PickedUp,
    Problem,
    PutThrough,
    ToolUse,
    words_heard,
)
from jackfield_local.demo.report import Check, Report
from jackfield_local.demo.speaker import SpokenPart
from jackfield_local.demo.terminal import choose_view
from jackfield_local.demo.view import PlainView, clock


def part(*, received: float, played: float, at: float | None = 0.0, cut: bool = False) -> SpokenPart:
    part = SpokenPart("item", 0, received_ms=received, played_ms=played, started_at_ms=at, cut=cut)
    if not cut and played < received:
        part.queue(bytes(48))
    return part


def shown(entries: Sequence[Entry], width: int = 80) -> list[str]:
    out = io.StringIO()
    PlainView(out, width).refresh(entries)
    return [line.rstrip() for line in out.getvalue().splitlines() if line.strip()]


def caller(text: str | None, at: float = 0.0, *, cuts_in: bool = False) -> CallerLine:
    return CallerLine(at, cuts_in, text, ended_ms=None if text is None else at + 900)


@pytest.mark.parametrize(
    ("ms", "text"), [(0, "00:00.0"), (999, "00:00.9"), (61_260, "01:01.2"), (3_600_000, "60:00.0")]
)
def test_time_is_minutes_and_seconds(ms: float, text: str) -> None:
    assert clock(ms) == text


class TestWordsHeard:
    def test_a_word_cut_in_two_was_not_heard(self) -> None:
        assert words_heard("The quick brown fox", 700, 1000) == "The quick"
        assert words_heard("The quick brown fox", 1000, 1000) == "The quick brown fox"
        assert words_heard("The quick brown fox", 100, 1000) == ""
        assert words_heard("The", 0, 0) == ""

    @given(st.text(alphabet="ab c", max_size=40), st.floats(0, 5000), st.floats(0, 5000))
    def test_they_are_whole_words_from_the_beginning(self, text: str, heard: float, generated: float) -> None:
        words = words_heard(text, heard, generated)
        assert text.startswith(words)
        assert words.split() == text.split()[: len(words.split())]


class TestPlain:
    def test_who_said_what_and_when(self) -> None:
        answer = AgentLine("Reception", "item", text="It is sunny.", worded=True, after_ms=641.0)
        answer.part = part(received=900, played=20, at=4200)
        use = ToolUse(4100, "Reception", "get_weather", {"city": "Paris"}, "call", "sunny")
        assert shown([caller("What is the weather?", 2000), use, answer]) == [
            "00:02.0  Caller     What is the weather?",
            '00:04.1             > get_weather(city="Paris")',
            "                    = sunny",
            "00:04.2  Reception  It is sunny.  [after 641 ms]",
        ]

    def test_an_interruption_tells_what_was_heard(self) -> None:
        line = AgentLine("Reception", "item", text="The telephone has a long history.", worded=True)
        line.part = part(received=9800, played=2300, cut=True)
        cut = Cut(2300, line, 2299, 2300.0, 9800.0, "The telephone")
        assert shown([line, caller("Stop.", 2000, cuts_in=True), cut])[2:] == [
            "00:02.3             x interrupted: heard 2.3 s of 9.8 s, audio_end_ms 2299",
            '                      up to "The telephone"',
        ]
        cut.heard_text = ""
        assert shown([cut])[1].strip() == "not a word of it"

    def test_handoffs_and_problems(self) -> None:
        rows = shown([HandedOver(0, "Reception", "Billing"), Problem(0, "it broke")])
        assert rows[0].endswith("> Reception hands over to Billing")
        assert rows[1].endswith("! it broke")

    def test_a_phone_call_begins_and_goes_elsewhere(self) -> None:
        there = AgentLine("Front desk", "item", text="Good evening.", worded=True)
        there.part = part(received=900, played=20, at=1100)
        assert shown([PickedUp(0), PutThrough(1000, "sip:desk@127.0.0.1:5060", there, 900), there]) == [
            "00:00.0             > the agent answers the phone",
            "00:01.0             > the call is put through to sip:desk@127.0.0.1:5060",
            "00:01.1  Front desk Good evening.",
        ]

    def test_entries_wait_for_those_before_them(self) -> None:
        out = io.StringIO()
        view = PlainView(out)
        question = caller(None)
        answer = AgentLine("Reception", "item", text="Yes.", worded=True, part=part(received=900, played=20, at=1))
        view.refresh([question, answer])
        assert out.getvalue() == ""
        question.text, question.ended_ms = "Really?", 900.0
        view.refresh([question, answer])
        view.refresh([question, answer])
        assert out.getvalue().count("Really?") == 1
        assert out.getvalue().index("Really?") < out.getvalue().index("Yes.")

    def test_an_answer_waits_for_all_its_words_and_its_first_sound(self) -> None:
        line = AgentLine("Reception", "item", text="Well")
        assert shown([line]) == []
        line.worded = True
        assert shown([line]) == []
        line.part = part(received=900, played=20, at=1)
        assert len(shown([line])) == 1

    def test_what_was_cut_before_it_was_heard_was_not_said(self) -> None:
        line = AgentLine("Reception", "item", text="Well", worded=True)
        line.part = part(received=900, played=0, at=None, cut=True)
        assert shown([line, HandedOver(0, "A", "B")]) == ["00:00.0             > A hands over to B"]

    def test_speech_that_was_not_understood_says_so(self) -> None:
        assert shown([caller("")])[0].endswith("(not understood)")

    @given(st.text(max_size=300), st.integers(40, 120))
    def test_no_line_is_wider_than_it_may_be(self, text: str, width: int) -> None:
        rows = shown([caller(text), ToolUse(0, "A", "tool", {"text": text}, "call", text)], width)
        assert all(len(row) <= width for row in rows)

    def test_the_end_shows_what_is_left_and_the_report(self) -> None:
        out = io.StringIO()
        view = PlainView(out)
        view.end([caller(None, 500)], Report([("turns", "1")], [Check(True, "this"), Check(False, "that")]))
        text = out.getvalue()
        assert "00:00.5  Caller     ..." in text
        assert "Not as it should be" in text
        assert "  ok  this\n  NO  that\n" in text


class TestLive:
    def make(self) -> tuple[LiveView, io.StringIO]:
        out = io.StringIO()
        console = Console(file=out, force_terminal=True, width=80, color_system="truecolor", highlight=False)
        return LiveView(console), out

    def test_a_line_stays_when_it_is_over(self) -> None:
        view, out = self.make()
        view.begin("A conversation", "somewhere")
        line = AgentLine("Reception", "item", text="Good morning to you", worded=True)
        line.part = part(received=1000, played=500)
        view.refresh([caller("Hello.", 0), line])
        assert "Hello." in out.getvalue()
        line.part = part(received=1000, played=1000)
        view.refresh([caller("Hello.", 0), line])
        view.end([caller("Hello.", 0), line], None)
        assert "Good morning to you" in out.getvalue()

    def test_words_that_were_never_heard_are_struck_out(self) -> None:
        view, out = self.make()
        line = AgentLine("Reception", "item", text="Good morning to you", worded=True)
        line.part = part(received=1000, played=700, cut=True)
        view.end([line], None)
        struck = "\x1b[9;90m"  # SGR 9: struck out; 90: bright black
        assert f"Good morning{struck} to you" in out.getvalue().replace("\x1b[0m", "")

    def test_the_report_is_at_the_end(self) -> None:
        view, out = self.make()
        view.begin("A conversation", "somewhere")
        view.end([], Report([("turns", "7")], [Check(True, "this"), Check(False, "that")]))
        assert "turns" in out.getvalue()
        assert "✓" in out.getvalue()
        assert "✗" in out.getvalue()


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class TestChoice:
    @pytest.fixture(autouse=True)
    def bare(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("CI", "NO_COLOR"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("TERM", "xterm-256color")

    def test_a_terminal_gets_the_live_view(self) -> None:
        assert isinstance(choose_view(Terminal()), LiveView)

    def test_a_pipe_gets_lines(self) -> None:
        assert isinstance(choose_view(io.StringIO()), PlainView)

    @pytest.mark.parametrize(("name", "value"), [("CI", "true"), ("NO_COLOR", "1"), ("TERM", "dumb")])
    def test_whoever_asks_for_lines_gets_them(self, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
        monkeypatch.setenv(name, value)
        assert isinstance(choose_view(Terminal()), PlainView)
        monkeypatch.delenv(name)
        monkeypatch.setenv("TERM", "xterm")
        assert isinstance(choose_view(Terminal(), plain=True), PlainView)

    def test_an_encoding_without_the_signs_gets_lines(self) -> None:
        terminal = Terminal()
        terminal.encoding = "ascii"  # type: ignore[misc]
        assert isinstance(choose_view(terminal), PlainView)
