"""`jackfield serve-calls`: what it finds, what it runs, and what it says is missing."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from jackfield.errors import ConfigurationError, TransportUnavailableError
from jackfield.testing.conformance import settled
from jackfield_transports.sip import SipCallServer, command
from support.phone_provider import SECRET

SHOP = """
from jackfield import RealtimeAgent
from jackfield_transports.sip import SipCallServer, Webhooks

agent = RealtimeAgent("Shop")
server = SipCallServer(agent, webhooks=Webhooks("a secret of its own"))
number = 5

def agent_for(call):
    return agent
"""


@pytest.fixture
def here(modules_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a module `shop`, which is where we are."""
    (modules_path / "shop.py").write_text(SHOP)
    monkeypatch.chdir(modules_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("OPENAI_WEBHOOK_SECRET", SECRET)
    return modules_path


def arguments(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(list(given))


@pytest.mark.parametrize("target", ["shop:agent", "shop:agent_for", "shop:server"])
def test_what_it_serves(target: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Any] = []
    monkeypatch.setattr("uvicorn.run", lambda app, **options: served.append((app, options)))
    assert command.run(arguments(target, "--port", "0")) == 0
    [(server, options)] = served
    assert isinstance(server, SipCallServer)
    assert options == {"host": "127.0.0.1", "port": 0}


@pytest.mark.parametrize("target", ["shop", "shop:", ":agent", "shop:nobody", "no_shop:agent", "shop:number"])
def test_what_it_does_not_find(target: str, here: Path) -> None:
    with pytest.raises(ConfigurationError):
        command.run(arguments(target))


def test_a_module_that_lacks_another_is_not_taken_for_missing(here: Path) -> None:
    (here / "shop2.py").write_text("import no_such_module\n")
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        command.run(arguments("shop2:agent"))


def test_the_extra_is_missing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(TransportUnavailableError, match=r"jackfield\[sip\]"):
        command.run(arguments("shop:agent"))


async def test_it_serves_until_it_is_told_to_end(here: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    program = (
        "import sys; from jackfield_transports.sip import command; import argparse; "
        "p = argparse.ArgumentParser(); command.add_arguments(p); sys.exit(command.run(p.parse_args(sys.argv[1:])))"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, "shop:agent", "--port", str(port)),
        env={**os.environ, "OPENAI_API_KEY": "sk-1"},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        said = b""
        async with asyncio.timeout(60):
            while b"running on" not in said:
                line = await process.stderr.readline()
                assert line, said
                said += line
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.post(f"http://127.0.0.1:{port}/webhook", content=b"{}")).status_code == 400
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            said += await process.stderr.read()
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert b"shutdown complete" in said
    assert await settled(lambda: SECRET.encode() not in said)
