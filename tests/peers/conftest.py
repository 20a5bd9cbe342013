"""What the peers need of the machine, the conversation of each, and the table of them at the end of a run."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from jackfield_local import Recognizer, Synthesizer
from support.machine import missing

from .conversation import Conversation, StuckError, hold
from .observations import Peer
from .peer_agents import openai_agents
from .peer_agents_js import PACKAGE, agents_js
from .peer_jackfield import jackfield_azure, jackfield_websocket
from .peer_openai import openai_azure, openai_python

PEERS: Final[dict[str, Peer]] = {
    "openai": openai_python,
    "openai-azure": openai_azure,
    "openai-agents": openai_agents,
    "agents-js": agents_js,
    "jackfield-websocket": jackfield_websocket,
    "jackfield-azure": jackfield_azure,
}

_OLDEST_NODE: Final = 18
_INSTALL_SECONDS: Final = 80
_TABLE: Final = pytest.StashKey[dict[str, str]]()


@pytest.fixture(scope="session")
def speech() -> tuple[Recognizer, Synthesizer]:
    """The server's ear and voice; the voice is the user's as well."""
    from jackfield_local.speech import default_recognizer, default_synthesizer

    recognizer, synthesizer = default_recognizer(), default_synthesizer()
    if recognizer is None or synthesizer is None:
        missing("the speech extra", "pip install 'jackfield-local[speech]'")
    return recognizer, synthesizer


@pytest.fixture(scope="session")
def node_packages() -> Path:
    """The JavaScript client, installed beside its script; node_modules is no part of the repository."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        missing("Node and npm", "install nodejs and npm")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.lstrip("v").split(".")[0]) < _OLDEST_NODE:
        missing(f"Node {_OLDEST_NODE}", f"this is {version}")
    stamp = PACKAGE / "node_modules" / ".installed"
    wanted = hashlib.sha256((PACKAGE / "package.json").read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        command = [npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
        try:
            subprocess.run(command, cwd=PACKAGE, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=True)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            missing("npm packages", f"{error}\n{str(error.stderr)[-1000:]}")
        stamp.write_text(wanted)
    return PACKAGE


@pytest.fixture(scope="module", params=PEERS)
def conversation(request: pytest.FixtureRequest, speech: tuple[Recognizer, Synthesizer]) -> Conversation:
    """The conversation of one peer, held once for all that is asked about it."""
    name: str = request.param
    if name == "agents-js":
        request.getfixturevalue("node_packages")
    with pytest.MonkeyPatch.context() as surroundings:
        # Loopback needs no proxy; the clients that honour these can't know that.
        for variable in [variable for variable in os.environ if variable.lower().endswith("_proxy")]:
            surroundings.delenv(variable)
        try:
            held = asyncio.run(hold(PEERS[name], *speech))
        except StuckError as error:
            pytest.fail(f"{name} is {error}", pytrace=False)
    request.config.stash.setdefault(_TABLE, {})[name] = _row(held)
    return held


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what each peer did."""
    rows = config.stash.get(_TABLE, {})
    if rows:
        terminalreporter.section("peers of the local server")
        for name, row in rows.items():
            terminalreporter.write_line(f"{name:20} {row}")


def _row(held: Conversation) -> str:
    kinds = len({event["type"] for event in held.sent})
    cuts = ", ".join(f"{event['audio_end_ms']}" for event in held.of("conversation.item.truncated"))
    return (
        f"{len(held.sent):4} server events of {kinds} types, {len(held.received):4} client events, "
        f"{len(held.of('error'))} errors, truncated at {cuts} ms"
    )
