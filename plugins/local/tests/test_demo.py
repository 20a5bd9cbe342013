"""`jackfield demo` from outside: what it prints, what it records, how it ends, and that it leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import numpy.typing as npt
import pytest
from attrs import frozen

from jackfield.audio import read_wav
from jackfield.cli import main
from jackfield_local import serve_in_thread
from jackfield_local.demo.errors import DemoError
from jackfield_local.demo.place import local_place
from jackfield_local.demo.server_process import RunningServer, run_server

RATE = 24_000
ENTRY = re.compile(r"^(\d\d):(\d\d)\.(\d)  (.{11})(.*)$")

SPEECH = find_spec("espeakng_loader") is not None and find_spec("pocketsphinx") is not None
if not SPEECH and os.environ.get("CI") == "true":
    pytest.fail("the speech extra is not installed: pip install 'jackfield-local[speech]'", pytrace=False)
needs_speech = pytest.mark.skipif(not SPEECH, reason="needs the extra jackfield-local[speech]")


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "jackfield", "demo", *options]


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "AZURE_"))}
    return {**kept, "PYTHONUTF8": "1"}


@frozen
class Entry:
    at: float
    who: str
    text: str


@frozen
class Demo:
    """A demo that was run: what it printed, and both channels of what it recorded."""

    transport: str
    code: int
    out: str
    err: str
    left: npt.NDArray[np.int16]
    right: npt.NDArray[np.int16]

    @property
    def entries(self) -> list[Entry]:
        found = (ENTRY.match(line) for line in self.out.splitlines())
        return [
            Entry(int(match[1]) * 60 + int(match[2]) + int(match[3]) / 10, match[4].strip(), match[5])
            for match in found
            if match
        ]

    def first(self, text: str) -> Entry:
        return next(entry for entry in self.entries if text in entry.text)

    def after(self, entry: Entry, who: str | None = None) -> Entry:
        later = self.entries[self.entries.index(entry) + 1 :]
        return next(other for other in later if who is None or other.who == who)


def loudness(channel: npt.NDArray[np.int16], start: float, end: float) -> float:
    """Return the loudest sample from `start` to `end`, in seconds."""
    piece = channel[max(0, int(start * RATE)) : int(end * RATE)]
    return float(np.max(np.abs(piece.astype(np.int32)), initial=0))


@pytest.fixture(scope="module", params=["websocket", "azure", "webrtc", "sip"])
def demo(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    out = tmp_path_factory.mktemp("demo")
    # A far end that plays by itself takes as long as the conversation does.
    speed = () if request.param in ("webrtc", "sip") else ("--fast",)
    done = subprocess.run(
        command(*speed, "--transport", request.param, "--out", str(out)),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = out.glob("*.wav")
    pcm, rate, channels = read_wav(path)
    assert (rate, channels) == (RATE, 2)
    assert str(path) in done.stdout
    samples = np.frombuffer(pcm, dtype="<i2").reshape(-1, 2)
    return Demo(request.param, done.returncode, done.stdout, done.stderr, samples[:, 0], samples[:, 1])


@needs_speech
class TestConversation:
    def test_it_says_nothing_on_stderr(self, demo: Demo) -> None:
        assert demo.err == ""

    def test_the_tools_are_called_and_their_results_spoken(self, demo: Demo) -> None:
        weather = demo.first('> get_weather(city="Paris")')
        assert "sunny in Paris" in demo.after(weather, "Reception").text
        hours = demo.first("> opening_hours(place=")
        assert "nine to five" in demo.after(hours, "Reception").text

    def test_the_second_agent_takes_over(self, demo: Demo) -> None:
        handoff = demo.first("> Reception hands over to Billing")
        assert demo.after(handoff, "Billing").text

    def test_the_interruption_is_told(self, demo: Demo) -> None:
        cut = demo.first("x interrupted")
        found = re.search(r"heard ([\d.]+) s(?: of ([\d.]+) s, audio_end_ms|, the server cut at) (\d+)", cut.text)
        assert found is not None
        heard, generated = float(found[1]), float(found[2] or "inf")
        assert 0 < heard < generated
        assert int(found[3]) == pytest.approx(heard * 1000, abs=100 if found[2] else 250)

    def test_a_phone_call_ends_with_another_one(self, demo: Demo) -> None:
        last, called = demo.entries[-1], demo.transport == "sip"
        assert last.who == ("Front desk" if called else "Billing")
        through = [entry for entry in demo.entries if "> the call is put through to sip:" in entry.text]
        assert len(through) == called
        assert loudness(demo.right, last.at + 0.6, last.at + 1.2) > 1000

    def test_time_goes_forward(self, demo: Demo) -> None:
        times = [entry.at for entry in demo.entries]
        assert times == sorted(times)

    def test_the_summary_has_what_happened(self, demo: Demo) -> None:
        summary = demo.out.partition("\nSummary\n")[2]
        for figure in ("turns", "tools called", "handoffs", "interruptions", "tokens", "duration", "recording"):
            assert figure in summary
        assert "NO" not in summary


@needs_speech
class TestRecording:
    def test_it_is_as_long_as_the_conversation(self, demo: Demo) -> None:
        told = re.search(r"duration\s+([\d.]+) s of conversation", demo.out)
        assert told is not None
        assert len(demo.left) / RATE == pytest.approx(float(told[1]), abs=0.1)
        assert len(demo.left) == len(demo.right)

    def test_the_caller_is_on_the_left_when_he_speaks(self, demo: Demo) -> None:
        lines = [entry for entry in demo.entries if entry.who == "Caller"]
        assert len(lines) >= 6
        for line in lines:
            assert loudness(demo.left, line.at, line.at + 0.5) > 1000
            assert loudness(demo.left, line.at - 0.4, line.at - 0.1) == 0

    def test_the_caller_is_silent_while_he_is_answered(self, demo: Demo) -> None:
        for entry in demo.entries:
            if entry.who not in {"", "Caller"}:
                assert loudness(demo.left, entry.at, entry.at + 0.3) == 0
                assert loudness(demo.right, entry.at, entry.at + 0.6) > 1000

    def test_the_agent_is_silent_from_the_cut_to_its_next_line(self, demo: Demo) -> None:
        cut = demo.first("x interrupted")
        assert loudness(demo.right, cut.at - 1.0, cut.at) > 1000
        answer = demo.after(cut, "Reception")
        assert loudness(demo.right, cut.at + 0.11, answer.at - 0.1) == 0

    def test_the_caller_speaks_over_the_agent_only_when_he_interrupts(self, demo: Demo) -> None:
        cut = demo.first("x interrupted")
        both = (np.abs(demo.left.astype(np.int32)) > 500) & (np.abs(demo.right.astype(np.int32)) > 500)
        (at,) = np.nonzero(both)
        assert len(at)
        assert cut.at - 0.5 < at[0] / RATE <= at[-1] / RATE < cut.at + 0.2


@pytest.fixture(params=["websocket", "sip"])
def running(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A demo in realtime, in the midst of the conversation."""
    process = subprocess.Popen(
        command("--transport", request.param, "--out", str(tmp_path)),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


def server_of(process: subprocess.Popen[str]) -> tuple[str, int]:
    """Wait until the caller has spoken, and return the server's address."""
    assert process.stdout is not None
    address = None
    for line in process.stdout:
        found = re.search(r"(?:ws://|sip:\w+@)(127\.0\.0\.1):(\d+)", line)
        address = (found[1], int(found[2])) if found else address
        if "Caller" in line and address:
            return address
    assert process.stderr is not None
    raise AssertionError(f"the demo ended: {process.stderr.read()}")


@needs_speech
class TestNothingStaysBehind:
    def test_ctrl_c_ends_the_demo_and_the_server(self, running: subprocess.Popen[str]) -> None:
        address = server_of(running)
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=20)
        assert running.returncode == 130
        assert "Traceback" not in err
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=5)

    def test_the_server_does_not_outlive_a_demo_that_is_killed(self, running: subprocess.Popen[str]) -> None:
        with socket.create_connection(server_of(running), timeout=20) as to_server:
            running.kill()
            with contextlib.suppress(ConnectionResetError):
                assert to_server.recv(1) == b""


class TestElsewhere:
    @needs_speech
    def test_another_server_is_talked_to_by_its_address(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        with serve_in_thread(api_key="its key", pace=0.0) as server:
            url = f"{server.url}?model=gpt-realtime"
            code = main(["demo", "--fast", "--out", str(tmp_path), "--url", url, "--api-key", "its key"])
            assert len(server.connections) == 1
        assert code == 0, capsys.readouterr()
        assert f"with {url}" in capsys.readouterr().out

    @needs_speech
    def test_what_a_transport_needs_beyond_that_is_an_option(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        with serve_in_thread(api_key="its key", pace=0.0) as server:
            options = ["--option", f"endpoint={server.azure_endpoint}", "--option", "deployment=voice"]
            options += ["--transport", "azure", "--api-key", "its key"]
            code = main(["demo", "--fast", "--out", str(tmp_path), *options])
            assert [connection.query["model"] for connection in server.connections] == ["voice"]
        assert code == 0, capsys.readouterr()

    async def test_a_transport_that_nobody_knows_gets_the_url_and_the_key(self) -> None:
        server = SimpleNamespace(url="ws://127.0.0.1:1/v1/realtime", azure_endpoint="http://127.0.0.1:1")
        async with local_place("carrier-pigeon", cast("RunningServer", server), "its key") as place:
            pass
        assert place.connect == {"url": "ws://127.0.0.1:1/v1/realtime?model=gpt-realtime", "api_key": "its key"}
        assert place.options == {}
        assert "its key" not in repr(place)


class TestFailures:
    def test_without_the_speech_extra_it_says_what_to_install(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        monkeypatch.setitem(sys.modules, "espeakng_loader", None)
        assert main(["demo", "--out", str(tmp_path)]) == 1
        err = capsys.readouterr().err
        assert "pip install 'jackfield-local[speech]'" in err
        assert "Traceback" not in err

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            (["--option", "proxy"], "--option proxy=VALUE"),
            (["--transport", "carrier-pigeon"], "carrier-pigeon"),
            (["--option", "no_such_option=1"], "no_such_option"),
            (["--transport", "sip", "--fast"], "leave out --fast"),
            (["--transport", "sip", "--api-key", "any"], "the local server is called"),
        ],
    )
    @needs_speech
    def test_a_mistake_is_told_in_a_line(
        self, options: list[str], told: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        assert main(["demo", "--out", str(tmp_path), *options]) == 1
        assert told in capsys.readouterr().err

    @needs_speech
    def test_a_far_end_that_is_not_there_is_told(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as unused:
            url = f"ws://127.0.0.1:{unused.getsockname()[1]}/v1/realtime"
        assert main(["demo", "--fast", "--out", str(tmp_path), "--url", url, "--api-key", "any"]) == 1
        assert "127.0.0.1" in capsys.readouterr().err

    async def test_a_server_that_will_not_run_says_why(self) -> None:
        with pytest.raises(DemoError, match="pace must be 0 or more"):
            async with run_server(api_key="key", pace=-1.0):
                raise AssertionError("it runs")
