"""The scripted responder: a TOML file that says what is answered to what."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield.errors import ConfigurationError
from jackfield_local import Call, Reply, ResponseContext, Say
from jackfield_local.responders import ScriptError, ScriptResponder

SCRIPT = """
default = "Pardon?"

[[turn]]
when = ["hello", "good morning"]
say = "Hello yourself."

[[turn]]
when = "what is the weather in {city}[ please]"
call = { name = "get_weather", arguments = { city = "Paris" } }
then = "They say: {output}"

[[turn]]
when = "transfer me"
say = "One moment."
call = { name = "transfer_to_billing" }
"""


def user(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def answer(script: ScriptResponder, *items: dict[str, Any]) -> Reply:
    return asyncio.run(script.respond(ResponseContext("", [], "auto", list(items))))


@pytest.fixture
def script() -> ScriptResponder:
    return ScriptResponder.from_toml(SCRIPT)


@pytest.mark.parametrize("text", ["Hello!", "hello", "Good morning.", "good mornin"])
def test_says_what_the_script_says(script: ScriptResponder, text: str) -> None:
    assert answer(script, user(text)) == [Say("Hello yourself.")]


def test_calls_what_the_script_calls(script: ScriptResponder) -> None:
    expected = [Call("get_weather", {"city": "Paris"})]
    assert answer(script, user("What is the weather in New York, please?")) == expected


def test_says_and_calls(script: ScriptResponder) -> None:
    assert answer(script, user("Transfer me.")) == [Say("One moment."), Call("transfer_to_billing")]


def test_then_speaks_the_output(script: ScriptResponder) -> None:
    output = {"type": "function_call_output", "call_id": "c", "output": "Sunny."}
    assert answer(script, user("what is the weather in paris"), output) == [Say("They say: Sunny.")]
    assert answer(script, user("transfer me"), output) == [Say("Sunny.")]


@pytest.mark.parametrize("text", ["What?", "", "what is the time in paris of all places on earth"])
def test_else_it_says_the_default(script: ScriptResponder, text: str) -> None:
    assert answer(script, user(text)) == [Say("Pardon?")]


def test_nothing_said_is_no_turn(script: ScriptResponder) -> None:
    assert answer(script) == [Say("Pardon?")]


def test_listens_for_every_when(script: ScriptResponder) -> None:
    phrases = script.phrases(ResponseContext("", [], "auto", []))
    assert phrases == ["hello", "good morning", "what is the weather in {city}[ please]", "transfer me"]


def test_a_script_can_be_a_file(tmp_path: Path) -> None:
    path = tmp_path / "script.toml"
    path.write_text(SCRIPT, encoding="utf-8")
    for given_as in (path, str(path)):
        assert answer(ScriptResponder.from_toml(given_as), user("hello")) == [Say("Hello yourself.")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[turn]]\nwhen = a\n", "line 2"),
        ("default = 'x'\n", r"no \[\[turn\]\]"),
        ("turns = 1\n", "'turns'"),
        ("default = 3\n[[turn]]\nwhen = 'a'\nsay = 'b'\n", "default is a string"),
        ("[[turn]]\nwhen = 'a'\nsay = 'b'\n[[turn]]\nsay = 'b'\n", "turn 2: `when`"),
        ("[[turn]]\nwhen = '?'\nsay = 'b'\n", "turn 1: `when`"),
        ("[[turn]]\nwhen = []\nsay = 'b'\n", "turn 1: `when`"),
        ("[[turn]]\nwhen = 'a'\n", "turn 1: it neither says nor calls"),
        ("[[turn]]\nwhen = 'a'\nsays = 'b'\n", "turn 1: 'says' is not known. A turn has when, say"),
        ("[[turn]]\nwhen = 'a'\nsay = 1\n", "turn 1: say is a string"),
        ("[[turn]]\nwhen = 'a'\ncall = 'f'\n", "turn 1: call is"),
        ("[[turn]]\nwhen = 'a'\ncall = { name = 'f', arguments = [] }\n", "turn 1: call is"),
        ("turn = [1]\n", "turn 1 is no table"),
    ],
)
def test_a_script_that_can_t_be_followed_tells_where_and_what(text: str, told: str) -> None:
    with pytest.raises(ScriptError, match=told):
        ScriptResponder.from_toml(text)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match=r"missing\.toml can't be read"):
        ScriptResponder.from_toml(tmp_path / "missing.toml")


def test_its_errors_are_configuration_errors() -> None:
    assert issubclass(ScriptError, ConfigurationError)


@given(st.text(max_size=60))
def test_any_text_is_a_script_or_an_error(text: str) -> None:
    try:
        ScriptResponder.from_toml("# script\n" + text)
    except ScriptError:
        return
    raise AssertionError("a script without turns was taken")


@given(st.text(max_size=60))
def test_any_words_get_an_answer(text: str) -> None:
    assert answer(ScriptResponder.from_toml(SCRIPT), user(text))
