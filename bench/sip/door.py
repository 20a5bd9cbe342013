"""The process of the door: a local server that takes phone calls, announces them to a webhook, and echoes.

Its sessions are whole ones, with turn detection and a responder who never says a word; only that what they hear is what
they say, where the media path meets the engine. Run as `python -m bench.sip.door WEBHOOK_URL SECRET`.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO
from unittest.mock import patch

from bench.commands import cost, live, take_commands
from jackfield_local import LocalServer, reception
from jackfield_local.engine.engine import Engine

if TYPE_CHECKING:
    from jackfield_local.interfaces import Reply, ResponseContext


class EchoEngine(Engine):
    """An engine that says what it heard last; older audio is forgotten, so that no queue is measured."""

    _heard: bytes | None = None

    def hear(self, audio: bytes) -> None:
        super().hear(audio)
        self._heard = audio

    def next_audio(self) -> bytes | None:
        super().next_audio()
        audio, self._heard = self._heard, None
        return audio


class Silent:
    """A responder who never says a word."""

    def phrases(self, context: ResponseContext) -> Sequence[str]:
        return ()

    async def respond(self, context: ResponseContext) -> Reply:
        return ()


async def obey(do: str) -> dict[str, Any]:
    if do == "close":
        gc.collect()
    return cost()


async def main(answers: TextIO) -> None:
    server = LocalServer(
        responder=Silent(),
        recognizer=None,
        synthesizer=None,
        record=False,
        sip=True,
        webhook_url=sys.argv[1],
        webhook_secret=sys.argv[2],
    )
    with patch.object(reception, "Engine", EchoEngine):
        async with server:
            await take_commands(obey, answers, {"sip_uri": server.sip_uri, "base_url": server.http_url})


if __name__ == "__main__":
    live(main)
