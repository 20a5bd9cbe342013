"""Phrases with gaps, words as they are spoken, and the grammar that is made of them: no sound involved."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield_local.speech import plain
from jackfield_local.speech.grammar import Grammar, build
from jackfield_local.speech.patterns import escape, gap, parse
from jackfield_local.speech.slots import lexicon, rules
from jackfield_local.speech.spoken import number_words, parse_digits, parse_number, words


def accepts(grammar: Grammar, spoken: list[str]) -> bool:
    """Walk the arcs, those without a word for nothing."""

    def closed(states: set[int]) -> set[int]:
        pending = list(states)
        while pending:
            here = pending.pop()
            for start, end, word in grammar.arcs:
                if start == here and word is None and end not in states:
                    states.add(end)
                    pending.append(end)
        return states

    states = closed({grammar.start})
    for said in spoken:
        states = closed({end for start, end, word in grammar.arcs if start in states and word == said})
    return grammar.final in states


class TestSpokenWords:
    @pytest.mark.parametrize(
        ("text", "spoken"),
        [
            ("What's the weather in Zürich?", "what's the weather in zurich"),
            ("order 4217", "order four thousand two hundred seventeen"),
            ("code 0042", "code zero zero four two"),
            ("at 7:30pm on May 5th", "at seven thirty p.m. on may fifth"),
            ("at 7 a.m.", "at seven a.m."),
            ("I am here", "i am here"),
            ("seven am", "seven a.m."),
            ("salt & pepper", "salt and pepper"),
            ("", ""),
            ("😀 ?!", ""),
        ],
    )
    def test_text_is_heard_as(self, text: str, spoken: str) -> None:
        assert words(text) == spoken.split()

    @given(st.integers(0, 999_999))
    def test_a_number_in_words_is_the_number(self, value: int) -> None:
        assert parse_number(number_words(value)) == value

    @pytest.mark.parametrize("said", ["forty forty", "two three", "hundred", "and two", "two and", "banana", ""])
    def test_what_is_no_number(self, said: str) -> None:
        assert parse_number(said.split()) is None

    def test_digits_one_by_one(self) -> None:
        assert parse_digits(["four", "oh", "two"]) == "402"
        assert parse_digits(["four", "twenty"]) is None

    @given(st.text())
    def test_any_text_has_words(self, text: str) -> None:
        assert all(word and word == word.strip() for word in words(text))


class TestPatterns:
    @pytest.mark.parametrize(
        ("phrase", "said", "written"),
        [
            ("What is the weather in {city}?", "what is the weather in new york", "What is the weather in New York?"),
            ("Look up order {code}", "look up order four two one seven", "Look up order 4217"),
            ("Look up order {code}", "look up order four thousand two hundred and seventeen", "Look up order 4217"),
            ("My reference is {reference}", "my reference is a b one two", "My reference is AB12"),
            ("a table for {count}[ at {time}]", "a table for two at seven thirty p.m.", "A table for 2 at 7:30 pm"),
            ("a table for {count}[ at {time}]", "a table for two", "A table for 2"),
            ("Are you open {when}?", "are you open on friday", "Are you open on Friday?"),
            ("On {date}", "on the twenty second of june", "On the 22nd of June"),
            ("Turn {on|off} the {living room|kitchen} light", "turn off the living room light", None),
            ("[Can you|Could you] help me[, please]?", "could you help me please", "Could you help me, please?"),
            ("[Can you|Could you] help me[, please]?", "help me", "Help me?"),
            ("I need {no such slot}", "i need flowers", "I need flowers"),
        ],
    )
    def test_what_was_said_is_written_as_the_phrase_has_it(self, phrase: str, said: str, written: str | None) -> None:
        expected = written if written is not None else "Turn off the living room light"
        assert parse(phrase).match(said.split()) == expected

    @pytest.mark.parametrize("said", ["what is the weather in", "what is the weather in paris now", "hello", ""])
    def test_other_words_are_another_phrase(self, said: str) -> None:
        assert parse("What is the weather in {city}?").match(said.split()) is None

    def test_a_phrase_can_be_said_without_its_optional_parts(self) -> None:
        assert plain("[Please ]tell me the weather in {city}[ please]") == "Tell me the weather in Paris"

    @given(st.text(alphabet="ab {}[]|?1é", max_size=40))
    def test_every_text_is_a_phrase(self, text: str) -> None:
        said = plain(text)
        if words(text):
            assert isinstance(said, str)
        parse(text).match(words(text))
        build([parse(text)])

    @given(st.text(max_size=40))
    def test_escaped_text_has_no_gaps(self, text: str) -> None:
        assert parse(escape(text)).match(words(escape(text))) is not None or not words(escape(text))

    @given(st.lists(st.text(max_size=12), max_size=5))
    def test_a_gap_takes_each_of_its_choices(self, choices: list[str]) -> None:
        pattern = parse(f"take {gap(choices)}")
        for choice in choices:
            if words(escape(choice)):
                assert pattern.match(["take", *words(escape(choice))]) is not None

    def test_many_optional_parts_stay_bounded(self) -> None:
        assert len(parse(" ".join(f"[w{index}]" for index in range(40))).variants) <= 64

    def test_a_slot_without_words_is_refused(self) -> None:
        with pytest.raises(ValueError, match="'nothing' has no words"):
            lexicon("nothing", ["😀", "?"])


class TestGrammar:
    PHRASES = (
        "What is the weather in {city}?",
        "Will it rain in {city}[ {when}]?",
        "Look up order {code}",
        "Look up my order",
        "Book a table[ for {count} people][ at {time}]",
        "Hello[ there]",
    )

    @pytest.mark.parametrize(
        "said",
        [
            "what is the weather in paris",
            "what is the weather in rio de janeiro",
            "will it rain in oslo on friday morning",
            "look up order one two three four five six",
            "look up order nine hundred and two",
            "look up my order",
            "book a table for twelve people at quarter past eight",
            "book a table",
            "hello",
            "hello there",
        ],
    )
    def test_accepts_what_the_phrases_say(self, said: str) -> None:
        assert accepts(build([parse(phrase) for phrase in self.PHRASES]), said.split())

    @pytest.mark.parametrize(
        "said", ["", "what is the weather in", "what is the weather in order", "look up order", "hello hello", "paris"]
    )
    def test_accepts_nothing_else(self, said: str) -> None:
        assert not accepts(build([parse(phrase) for phrase in self.PHRASES]), said.split())

    def test_a_gap_that_many_phrases_end_with_is_there_once(self) -> None:
        one = build([parse("weather in {city}")])
        ten = build([parse(f"{word} weather in {{city}}") for word in "abcdefghij"])
        assert len(ten.arcs) < len(one.arcs) + 60

    @given(st.lists(st.sampled_from(PHRASES), min_size=1, max_size=4), st.data())
    def test_accepts_an_example_of_every_phrase(self, phrases: list[str], data: st.DataObject) -> None:
        grammar = build([parse(phrase) for phrase in phrases])
        assert accepts(grammar, words(plain(data.draw(st.sampled_from(phrases)))))

    def test_every_slot_has_an_example_that_fits_it(self) -> None:
        for name, rule in rules().items():
            said = words(rule.example)
            assert len(said) in set(rule.ends(said, 0)), name
