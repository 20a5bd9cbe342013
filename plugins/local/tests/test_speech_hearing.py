"""pocketsphinx as the server's ear: spoken by espeak-ng, heard, and acted on."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jackfield_local import Call, ResponseContext
from jackfield_local.responders import RuleResponder
from jackfield_local.speech import default_recognizer, speak_to_pcm
from jackfield_local.speech.sphinx import SphinxError, SphinxRecognizer

if find_spec("pocketsphinx") is None or find_spec("espeakng_loader") is None:
    if os.environ.get("CI") == "true":
        raise RuntimeError("the speech tests must run here: pip install 'jackfield-local[speech]'")
    pytest.skip("needs pip install 'jackfield-local[speech]'", allow_module_level=True)


def tool(name: str, description: str, **properties: Mapping[str, Any]) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "name": name, "description": description, "parameters": parameters}


TOOLS = [
    tool("get_weather", "The weather in a city, today.", city={"type": "string"}),
    tool("get_opening_hours", "When the restaurant is open."),
    tool("lookup_order", "Look up an order.", order_id={"type": "string"}),
    tool(
        "book_table",
        "Book a table in the restaurant.",
        people={"type": "integer"},
        day={"type": "string"},
        time={"type": "string"},
    ),
    tool("transfer_to_billing", "Handoff to the Billing agent to handle the request. Bills, invoices and refunds."),
]
CONTEXT = ResponseContext("", TOOLS, "auto", [])
PHRASES = RuleResponder().phrases(CONTEXT)

HEARD = [
    ("marin", "What is the weather in Paris?", "What is the weather in Paris?"),
    ("cedar", "What is the weather in Paris?", "What is the weather in Paris?"),
    ("alloy", "What's the weather like in New York?", "What's the weather like in New York?"),
    ("echo", "How is the weather in Lisbon?", "How is the weather in Lisbon?"),
    ("ash", "Tell me the weather in Tokyo, please.", "Tell me the weather in Tokyo please"),
    ("verse", "Will it rain in London on Friday?", "Will it rain in London on Friday?"),
    ("echo", "What is the weather in Rome and in Berlin?", "What is the weather in Rome and in Berlin?"),
    ("echo", "What are your opening hours?", "What are your opening hours?"),
    ("coral", "When do you close on Sunday?", "When do you close on Sunday?"),
    ("sage", "Are you open tomorrow?", "Are you open tomorrow?"),
    ("ash", "Look up order four two one seven.", "Look up order 4217"),
    ("echo", "Where is my order five five nine two?", "Where is my order 5592?"),
    ("echo", "What is the status of order number one two three?", "What is the status of order number 123?"),
    (
        "shimmer",
        "Book a table for four people on Friday at seven pm.",
        "Book a table for 4 people on Friday at 7 pm",
    ),
    (
        "marin",
        "Book a table for two people on Saturday at noon.",
        "Book a table for 2 people on Saturday at noon",
    ),
    (
        "ash",
        "I would like to book a table for six people on Saturday at seven thirty pm.",
        "I would like to book a table for 6 people on Saturday at 7:30 pm",
    ),
    ("cedar", "Reserve a table for twelve people on Monday.", "Reserve a table for 12 people on Monday"),
    ("coral", "Transfer me to billing, please.", "Transfer me to billing please"),
    ("ballad", "I have a question about my bill.", "I have a question about my bill"),
    ("verse", "I was charged twice.", "I was charged twice"),
    ("shimmer", "I want a refund.", "I want a refund"),
    ("ash", "Stop.", "Stop"),
    ("cedar", "Stop, please.", "Stop please"),
    ("marin", "Wait a moment.", "Wait a moment"),
    ("alloy", "Thank you very much.", "Thank you very much"),
    ("echo", "Hello there.", "Hello there"),
    ("coral", "Tell me about the history of the telephone.", "Tell me about the history of the telephone"),
    ("ballad", "Tell me about the history of the telephone.", "Tell me about the history of the telephone"),
    ("sage", "Tell me a long story, please.", "Tell me a long story please"),
    ("verse", "What can you do?", "What can you do?"),
    ("cedar", "Could you repeat that, please?", "Could you repeat that please?"),
    ("marin", "No, thank you.", "No, thank you"),
]


@pytest.fixture(scope="module")
def ear() -> Iterator[SphinxRecognizer]:
    recognizer = SphinxRecognizer()
    yield recognizer
    recognizer.close()


def around(pcm: bytes, *, before_ms: int = 300, after_ms: int = 500) -> bytes:
    return bytes(48 * before_ms) + pcm + bytes(48 * after_ms)


def pcm16(wave: Any) -> bytes:
    return np.clip(wave, -32_768, 32_767).astype("<i2").tobytes()


@pytest.mark.parametrize(("voice", "said", "written"), HEARD)
def test_what_tools_and_small_talk_understand_is_heard(
    ear: SphinxRecognizer, voice: str, said: str, written: str
) -> None:
    assert ear.transcribe(around(speak_to_pcm(said, voice=voice)), PHRASES) == written


def test_what_was_heard_calls_the_tool(ear: SphinxRecognizer) -> None:
    text = ear.transcribe(speak_to_pcm("Book a table for four people on Friday at seven pm.", voice="marin"), PHRASES)
    said = {"type": "message", "role": "user", "content": [{"type": "input_audio", "transcript": text}]}
    reply = asyncio.run(RuleResponder().respond(ResponseContext("", TOOLS, "auto", [said])))
    assert reply == [Call("book_table", {"people": 4, "day": "Friday", "time": "7 pm"})]


@pytest.mark.parametrize(
    "phrase",
    ["Ask jackfield about kubernetes", "Is the {zyzzyva|qwertz} ready?", "Call Grzegorz"],
)
def test_words_that_no_dictionary_has_are_heard(ear: SphinxRecognizer, phrase: str) -> None:
    said = phrase.replace("{zyzzyva|qwertz}", "zyzzyva")
    assert ear.transcribe(speak_to_pcm(said), ["Hello", "What is the weather in {city}?", phrase]) == said


def test_the_phrases_decide(ear: SphinxRecognizer) -> None:
    pcm = speak_to_pcm("four", voice="marin")
    assert ear.transcribe(pcm, ["For", "To", "Ate"]) == "For"
    assert ear.transcribe(pcm, ["{count}"]) == "4"


FOX = "The quick brown fox jumps over the lazy dog."


def of_the_fox(text: str) -> int:
    """Count the words of the sentence that were heard: free English is not heard to the letter, nor always alike."""
    return len({"brown", "fox", "jumps", "jumped", "over", "lazy", "dog"} & set(text.lower().split()))


def test_without_phrases_english_is_heard(ear: SphinxRecognizer) -> None:
    assert of_the_fox(ear.transcribe(speak_to_pcm(FOX), [])) >= 3


def test_what_is_none_of_the_phrases_is_not_forced_into_one(ear: SphinxRecognizer) -> None:
    assert of_the_fox(ear.transcribe(speak_to_pcm(FOX), PHRASES)) >= 3


def test_phrases_without_a_word_are_passed_over(ear: SphinxRecognizer) -> None:
    assert ear.transcribe(speak_to_pcm("Hello there."), ["?", "", "😀", "{|}", "Hello there"]) == "Hello there"


@pytest.mark.parametrize("level", [0, 3, 50, 500, 5_000])
def test_noise_and_silence_are_nothing(ear: SphinxRecognizer, level: int) -> None:
    noise = np.random.default_rng(level).standard_normal(48_000) * level
    assert ear.transcribe(pcm16(noise), PHRASES) == ""


@pytest.mark.parametrize("hertz", [110, 220, 440, 1_000])
def test_tones_and_beeps_are_nothing(ear: SphinxRecognizer, hertz: int) -> None:
    time = np.arange(48_000) / 24_000
    tone = 8_000 * np.sin(2 * np.pi * hertz * time)
    assert ear.transcribe(pcm16(tone), PHRASES) == ""
    assert ear.transcribe(pcm16(tone * (np.floor(time * 3) % 2)), PHRASES) == ""


def test_clicks_are_nothing(ear: SphinxRecognizer) -> None:
    clicks = np.zeros(48_000)
    clicks[::6_000] = 20_000
    assert ear.transcribe(pcm16(clicks), PHRASES) == ""


@pytest.mark.parametrize("size", [0, 1, 2, 3, 479, 1_441])
def test_scraps_of_sound_are_nothing(ear: SphinxRecognizer, size: int) -> None:
    assert ear.transcribe(b"\x10" * size, PHRASES) == ""


def test_speech_is_heard_through_noise_and_quietly(ear: SphinxRecognizer) -> None:
    said = np.frombuffer(around(speak_to_pcm("What is the weather in Paris?", voice="marin")), "<i2").astype(float)
    noisy = said / 4 + np.random.default_rng(1).standard_normal(len(said)) * 40
    assert ear.transcribe(pcm16(noisy), PHRASES) == "What is the weather in Paris?"


def test_the_same_sound_gives_the_same_words(ear: SphinxRecognizer) -> None:
    pcm = speak_to_pcm("What is the weather in Paris?", voice="ash")
    other = speak_to_pcm("The quick brown fox.", voice="coral")
    heard = set()
    for _ in range(3):
        heard.add(ear.transcribe(pcm, PHRASES))
        ear.transcribe(other, PHRASES)
    assert len(heard) == 1


def test_threads_are_served_side_by_side(ear: SphinxRecognizer) -> None:
    said = {"Hello there": "Hello there", "Goodbye": "Goodbye", "Thank you": "Thank you"}
    pcm = {text: speak_to_pcm(text, voice="marin") for text in said}
    heard: list[tuple[str, str]] = []

    def listen(text: str) -> None:
        heard.extend((text, ear.transcribe(pcm[text], list(said))) for _ in range(3))

    threads = [threading.Thread(target=listen, args=(text,)) for text in said]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(heard) == sorted((text, text) for text in said for _ in range(3))


def test_more_grammars_than_are_kept_all_work(ear: SphinxRecognizer) -> None:
    pcm = speak_to_pcm("Thank you.", voice="marin")
    for _ in range(2):
        for index in range(10):
            assert ear.transcribe(pcm, ["Thank you", f"Number {index}"]) == "Thank you"


def children_of(pid: int) -> set[int]:
    found = set()
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            _, _, rest = entry.read_text().rpartition(") ")
        except OSError:  # gone meanwhile
            continue
        if int(rest.split()[1]) == pid:
            found.add(int(entry.parent.name))
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes")
def test_a_listening_process_that_dies_is_replaced() -> None:
    before = children_of(os.getpid())
    recognizer = SphinxRecognizer(processes=1)
    try:
        pcm = speak_to_pcm("Thank you.", voice="marin")
        assert recognizer.transcribe(pcm, ["Thank you"]) == "Thank you"
        (worker,) = children_of(os.getpid()) - before
        os.kill(worker, signal.SIGKILL)
        assert recognizer.transcribe(pcm, ["Thank you"]) == "Thank you"
        assert children_of(os.getpid()) - before != {worker}
    finally:
        recognizer.close()


@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes")
def test_close_leaves_no_process_and_takes_no_more_work() -> None:
    before = children_of(os.getpid())
    recognizer = SphinxRecognizer()
    recognizer.start()
    recognizer.close()
    recognizer.close()
    assert children_of(os.getpid()) == before
    with pytest.raises(SphinxError, match=r"SphinxRecognizer\(\)"):
        recognizer.transcribe(b"\1\1", ["Hello"])


def test_a_program_that_never_closes_it_still_ends() -> None:
    program = """
        from jackfield_local.speech import default_recognizer
        recognizer = default_recognizer()
        recognizer.prepare(["Hello"])
        print("ready")
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "ready\n", "")


def test_no_processes_are_refused() -> None:
    with pytest.raises(ValueError, match="1 or more"):
        SphinxRecognizer(processes=0)


def test_the_default_recogniser_is_one_for_all() -> None:
    assert default_recognizer() is default_recognizer()
