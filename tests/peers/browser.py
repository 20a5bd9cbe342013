"""Chromium with a microphone that plays a recording: `js/chromium.mjs` at the other end of a pipe."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from .peer_agents_js import PACKAGE

__all__ = ["Browser", "BrowserError", "open_browser"]

_PAGE: Final = PACKAGE / "client.html"
_BUNDLE: Final = PACKAGE / "node_modules/@openai/agents-realtime/dist/bundle"
_LONGEST_LINE: Final = 16 * 1024 * 1024
_PATIENCE: Final = 60.0
"""Seconds after which a browser that says nothing has failed. Nothing is measured by it."""
_EXIT_SECONDS: Final = 15.0


class BrowserError(RuntimeError):
    """The browser, or the page in it, failed."""


class Browser:
    """The page, and what it has told: each entry has its `kind`."""

    def __init__(self, node: Process) -> None:
        self.told: list[dict[str, Any]] = []
        self._node = node
        self._ids = itertools.count(1)
        self._news = asyncio.Event()
        self._failure: str | None = None

    async def run(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        return await self._perform({"run": expression})

    async def until(self, expression: str) -> None:
        """Wait until an expression is true in the page."""
        await self._perform({"until": expression})

    async def screenshot(self, path: Path, scheme: str = "light") -> None:
        """Take a picture of the page."""
        await self._perform({"screenshot": str(path), "scheme": scheme})

    async def wait(self, what: str, found: Callable[[], Any]) -> Any:
        """Wait until `found` returns something; `what` says what is missed where it doesn't."""
        try:
            async with asyncio.timeout(_PATIENCE):
                while not (result := found()):
                    if self._failure is not None:
                        raise BrowserError(f"{self._failure}\nWaited for {what}. {self._account()}")
                    await self._news.wait()
        except TimeoutError:
            raise BrowserError(f"Waited in vain for {what}. {self._account()}") from None
        return result

    async def wait_told(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Wait until the page has told something of that kind, with these fields, and return it."""

        def found() -> dict[str, Any] | None:
            entries = (entry for entry in self.of(kind) if fields.items() <= entry.items())
            return next(entries, None)

        entry: dict[str, Any] = await self.wait(f"{kind} {fields or ''}", found)
        return entry

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return what was told of a kind so far."""
        return [entry for entry in self.told if entry["kind"] == kind]

    async def listen(self) -> None:
        """Read what is told, until the browser is closed; `open_browser` does so."""
        assert self._node.stdout is not None and self._node.stderr is not None
        complaints = asyncio.create_task(self._node.stderr.read())
        async for line in self._node.stdout:
            self.told.append(json.loads(line))
            self._tell()
        status = await self._node.wait()
        self._failure = f"the browser's driver ended with {status}: {(await complaints).decode()[-2000:]}"
        self._tell()

    async def _perform(self, command: Mapping[str, Any]) -> Any:
        number = next(self._ids)
        assert self._node.stdin is not None
        self._node.stdin.write(json.dumps({"id": number, **command}).encode() + b"\n")
        done = await self.wait_told("done", id=number)
        if "failed" in done:
            raise BrowserError(f"{done['failed']}\n{self._account()}")
        return done.get("value")

    def _account(self) -> str:
        return f"The page told, last of all: {[str(entry)[:200] for entry in self.told[-12:]]}"

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


@contextlib.asynccontextmanager
async def open_browser(
    executable: str, profile: Path, *, microphone: Path, url: str | None = None
) -> AsyncIterator[Browser]:
    """Open `url` in a browser of its own; None is the published client's page, `js/client.html`.

    `profile` is a new directory, `microphone` a WAV file, which is repeated.
    """
    setup = {
        "executable": executable,
        "profile": str(profile),
        "microphone": str(microphone),
        "url": url,
        "page": str(_PAGE),
        "bundle": f"{_BUNDLE}/",
    }
    node = await asyncio.create_subprocess_exec(
        *("node", "chromium.mjs", json.dumps(setup)),
        cwd=PACKAGE,
        env={**os.environ, "HOME": str(profile)},
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        limit=_LONGEST_LINE,
        start_new_session=True,
    )
    browser = Browser(node)
    listening = asyncio.create_task(browser.listen())
    try:
        await browser.wait_told("loaded")
        yield browser
    finally:
        assert node.stdin is not None
        node.stdin.close()
        _, busy = await asyncio.wait([listening], timeout=_EXIT_SECONDS)
        if busy:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(node.pid, signal.SIGKILL)
        await listening
