"""Chromium calls: as the published browser client, and as the page of our example, whose agent is here.

Its microphone plays a recorded question, and the answer comes over WebRTC. Where the machine is too slow to connect
before the question begins, half of it is heard; so it is asked again, and what counts is the turn that heard it whole.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from jackfield.audio import write_wav
from jackfield_local import LocalServer, Recognizer, Synthesizer
from support.programs import Running, running_program

from .browser import Browser, open_browser
from .conftest import missing
from .conversation import INSTRUCTIONS, MODEL, TOOL_DESCRIPTION, get_weather

ROOT: Final = Path(__file__).parents[2]
EXAMPLE: Final = ROOT / "docs" / "examples" / "browser_call" / "app.py"
PICTURES: Final = ROOT / "out"
KEY: Final = "sk-canary-58aa1c"
QUESTION: Final = "What is the weather in Paris?"
ANSWER: Final = "sunny in Paris, with 21 degrees"
"""What the example's tool answers, and its agent says."""

_RATE: Final = 24_000
_EXECUTABLES: Final = ("chromium", "chromium-browser", "google-chrome")

pytestmark = pytest.mark.usefixtures("node_packages")


@pytest.fixture(scope="session")
def chromium() -> str:
    found = next(filter(None, map(shutil.which, _EXECUTABLES)), None)
    if found is None:
        missing("Chromium", "install chromium")
    return found


@pytest.fixture(scope="session")
def microphone(speech: tuple[Recognizer, Synthesizer], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The question in the midst of silence: time to connect before it, and to answer behind it."""
    path = tmp_path_factory.mktemp("microphone") / "question.wav"
    spoken = speech[1].synthesize(QUESTION, voice="echo", speed=1.0)
    write_wav(path, bytes(2 * _RATE * 3) + spoken + bytes(2 * _RATE * 10), _RATE)
    return path


@pytest.fixture
async def server(speech: tuple[Recognizer, Synthesizer]) -> AsyncIterator[LocalServer]:
    recognizer, synthesizer = speech
    async with LocalServer(recognizer=recognizer, synthesizer=synthesizer, api_key=KEY) as running:
        yield running


async def test_the_published_client_has_a_spoken_turn_with_a_tool(
    server: LocalServer, chromium: str, microphone: Path, tmp_path: Path
) -> None:
    session = {"type": "realtime", "model": MODEL}
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {KEY}"}) as client:
        minted = await client.post(f"{server.http_url}/realtime/client_secrets", json={"session": session})
    setup = {
        "baseUrl": server.http_url,
        "apiKey": minted.json()["value"],
        "model": MODEL,
        "instructions": INSTRUCTIONS,
        "toolDescription": TOOL_DESCRIPTION,
        "toolAnswer": get_weather("{city}"),
        "config": {},
    }
    async with open_browser(chromium, tmp_path / "profile", microphone=microphone) as browser:
        await browser.run(f"talk({json.dumps(setup)})")
        connected = await browser.wait_told("connected")
        whole = [QUESTION, "get_weather", get_weather("Paris")]
        await browser.wait("the question and its answer", lambda: turn(browser)[:3] == whole)
        await browser.wait_told("event", type="output_audio_buffer.stopped")
        heard = await browser.run("heard()")
        await browser.run("leave()")
        assert browser.of("error") == []
    assert connected["callId"].startswith("rtc_")
    assert {"kind": "tool", "name": "get_weather", "arguments": {"city": "Paris"}} in browser.told
    assert heard["packetsReceived"] > 0
    assert heard["totalAudioEnergy"] > 0
    [call] = server.connections
    await call.wait_closed()
    kind = "conversation.item.input_audio_transcription.completed"
    assert QUESTION in [event["transcript"] for event in call.sent if event["type"] == kind]


async def test_a_page_is_called_by_an_agent_of_ours(
    server: LocalServer, chromium: str, microphone: Path, tmp_path: Path
) -> None:
    async with (
        example({"OPENAI_BASE_URL": server.http_url, "OPENAI_API_KEY": KEY}) as (program, place),
        open_browser(chromium, tmp_path / "profile", microphone=microphone, url=place) as browser,
    ):
        await picture(browser, "ready")
        await browser.run(_PRESS)
        await program.expect("get_weather('Paris')")
        await browser.until(f"{_STATE} === 'agent'")
        await picture(browser, "talking")
        from_question = f"{_LINES}.slice({_LINES}.indexOf({json.dumps(QUESTION)}))"
        await browser.until(f"{_STATE} === 'listening' && {from_question}[2] === {json.dumps(ANSWER)}")
        lines = await browser.run(from_question)
        await picture(browser, "answered")
        await browser.run(_PRESS)
        await program.expect("a call ended")
        assert await browser.run(_STATE) == "idle"
        assert browser.of("error") == []
        status = await program.interrupt()
    assert lines == [QUESTION, f'get_weather({{"city":"Paris"}}) → {ANSWER}', ANSWER]
    assert status == 0
    # It hangs up with us and closes its connection, and either may be heard of first.
    assert re.search(r"a call ended \((browser|remote)\)", program.printed)
    assert KEY not in program.printed
    call, sideband = server.connections
    assert sideband.query == {"call_id": call.call_id}
    assert call.received == []
    assert [event["type"] for event in sideband.received[-2:]] == ["conversation.item.create", "response.create"]
    assert sideband.received[-2]["item"]["output"] == ANSWER


async def test_a_page_that_is_left_frees_its_call(
    server: LocalServer, chromium: str, microphone: Path, tmp_path: Path
) -> None:
    async with (
        example({"OPENAI_BASE_URL": server.http_url, "OPENAI_API_KEY": KEY}) as (program, place),
        open_browser(chromium, tmp_path / "profile", microphone=microphone, url=place) as browser,
    ):
        await browser.run(_PRESS)
        await program.expect("a call begins")
        await browser.run("location.reload()")
        await program.expect("a call ended")
        await server.connections[0].wait_closed()
    assert re.search(r"a call ended \((browser|remote)\)", program.printed)


async def test_the_example_brings_a_server_of_its_own() -> None:
    async with example({}, "--local") as (_, place), httpx.AsyncClient() as client:
        assert "Weather desk" in (await client.get(place)).text
        headers = {"content-type": "application/sdp"}
        refused = await client.post(f"{place}call/", content=b"v=0\r\n", headers=headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_offer")


_PRESS: Final = "document.getElementById('button').click()"
_LINES: Final = "[...document.querySelectorAll('[data-id] span')].map((line) => line.textContent)"
_STATE: Final = "document.querySelector('main').dataset.state"


@contextlib.asynccontextmanager
async def example(environment: dict[str, str], *arguments: str) -> AsyncIterator[tuple[Running, str]]:
    """Run the example as a user would, and yield it with the address of its page."""
    command = (sys.executable, EXAMPLE, "--port", "0", *arguments)
    async with running_program(*command, environment={"PYTHONWARNINGS": "error", **environment}) as program:
        await program.expect("open http://")
        yield program, program.printed.split()[1]


async def picture(browser: Browser, name: str) -> None:
    """Take a picture of the page, by day and by night."""
    PICTURES.mkdir(exist_ok=True)
    for scheme in ("light", "dark"):
        path = PICTURES / f"browser-call-{name}-{scheme}.png"
        await browser.screenshot(path, scheme)
        assert path.stat().st_size > 10_000


def turn(browser: Browser) -> list[str]:
    """Return the client's history from the question on: what was said, and which tool was called."""
    told = browser.of("history")
    said = []
    for item in told[-1]["items"] if told else []:
        words = "".join(part.get("transcript") or "" for part in item.get("content", []))
        said.append(item["name"] if item["type"] == "function_call" else words)
    return said[said.index(QUESTION) :] if QUESTION in said else []
