"""`jackfield serve`, as a process."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from jackfield_local.commands import serve

RUN = (
    "import argparse, sys; from jackfield_local.commands import serve; p = argparse.ArgumentParser();"
    "serve.add_arguments(p); sys.exit(serve.run(p.parse_args()))"
)


@contextmanager
def running(*options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """Run the command and read what it prints, until it is ready."""
    command = [sys.executable, "-c", RUN, "--port", "0", "--no-speech", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = {}
        try:
            for line in process.stdout:
                if line.startswith("Ctrl-C"):
                    break
                if "=" in line and "export" in line:
                    name, _, value = line.strip().removeprefix("export ").partition("=")
                    said[name] = value.split()[0]
            yield process, said
        finally:
            process.kill()


class TestServe:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_it_tells_where_it_is_and_ends_cleanly(self, number: int) -> None:
        with running("--api-key", "right") as (process, said):
            assert said["OPENAI_BASE_URL"].startswith("http://127.0.0.1:")
            url = said["OPENAI_BASE_URL"] + "/realtime/client_secrets"
            assert httpx.post(url, headers={"Authorization": "Bearer wrong"}).status_code == 401
            assert httpx.post(url, headers={"Authorization": "Bearer right"}).status_code == 200
            os.kill(process.pid, number)
            assert process.wait(20) == 0
            assert process.stderr is not None
            assert process.stderr.read() == ""

    def test_phone_calls(self) -> None:
        with running("--sip", "--sip-port", "0", "--webhook-url", "http://127.0.0.1:9/", "--webhook-secret", "x") as (
            process,
            _,
        ):
            os.kill(process.pid, signal.SIGTERM)
            assert process.wait(20) == 0
            assert process.stderr is not None
            assert process.stderr.read() == ""

    def test_phone_calls_need_a_secret(self) -> None:
        options = ["--sip", "--sip-port", "0", "--webhook-url", "http://127.0.0.1:9/"]
        environment = {name: value for name, value in os.environ.items() if name != "OPENAI_WEBHOOK_SECRET"}
        command = [sys.executable, "-c", RUN, "--port", "0", "--no-speech", *options]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
        assert done.returncode == 2
        assert "secret is empty" in done.stderr

    def test_faults(self) -> None:
        with running("--fault", "http:429") as (_, said):
            base = said["OPENAI_BASE_URL"]
            headers = {
                "Connection": "Upgrade",
                "Upgrade": "websocket",
                "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            }
            assert httpx.get(f"{base}/realtime?model=gpt-realtime", headers=headers).status_code == 429


class TestArguments:
    def run(self, *arguments: str) -> int:
        parser = argparse.ArgumentParser()
        serve.add_arguments(parser)
        return serve.run(parser.parse_args(arguments))

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["--fault", "explode"], "There is no fault 'explode'"),
            (["--host", "0.0.0.0"], "allow"),
            (["--pace", "-1"], "pace"),
            (["--api-key", ""], "empty"),
        ],
    )
    def test_mistakes_are_told_without_a_traceback(
        self, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
    ) -> None:
        assert self.run("--no-speech", *arguments) == 2
        assert told in capsys.readouterr().err

    def test_a_list_of_faults(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.run("--fault", "help") == 0
        assert "`drop:AFTER`" in capsys.readouterr().out

    def test_the_command_imports_cheaply(self) -> None:
        code = (
            "import sys, jackfield_local.commands.serve as s; s.SUMMARY;"
            "print([m for m in ('starlette', 'uvicorn', 'numpy', 'websockets', 'rich') if m in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
        assert done.stdout.strip() == "[]"
