"""Observers of sessions: given ones, installed ones, and those that are broken."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from jackfield import RealtimeAgent, RealtimeRunner, RealtimeSession
from jackfield.observers import ENTRY_POINT_GROUP, SessionObserver, find_observers, installed_observers
from support.memory_wire import MemoryWire, memory_transport, open_session, read_until, text_turn


class Site:
    """A directory of modules, and the entry points that name them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.points: list[EntryPoint] = []
        self.groups: list[str] = []

    def __call__(self, group: str) -> list[EntryPoint]:
        self.groups.append(group)
        return self.points

    def plugin(self, name: str, source: str) -> None:
        """Install a plugin whose hook's body is `source`."""
        body = textwrap.indent(textwrap.dedent(source).strip(), " " * 4)
        head = "from jackfield.transport.hookspecs import hookimpl\n\nseen = []\n\n@hookimpl\n"
        self.module(name, f"{head}def jackfield_session_observers():\n{body}\n")

    def module(self, name: str, source: str) -> None:
        (self.path / f"{name}.py").write_text(textwrap.dedent(source))
        self.points.append(EntryPoint(name, name, ENTRY_POINT_GROUP))

    def observers(self) -> tuple[SessionObserver, ...]:
        return find_observers(self)


@pytest.fixture
def site(modules_path: Path) -> Site:
    return Site(modules_path)


def seen_by(name: str) -> list[Any]:
    seen: list[Any] = sys.modules[name].seen
    return seen


GOOD = "return [seen.append]"


class TestGiven:
    async def test_each_is_called_once_in_order_before_it_connects(self) -> None:
        seen: list[Any] = []

        def observer(name: str) -> Callable[[RealtimeSession], None]:
            return lambda session: seen.append((name, session, session.status, len(wire.far_ends)))

        wire = MemoryWire()
        observers = (observer(name) for name in ("one", "two"))
        session = RealtimeSession(RealtimeAgent("A"), transport=memory_transport(wire), observers=observers)
        assert seen == []
        async with session:
            pass
        assert seen == [("one", session, "disconnected", 0), ("two", session, "disconnected", 0)]

    async def test_it_hears_everything_from_the_beginning_to_the_end(self) -> None:
        told: list[Any] = []

        def observe(session: RealtimeSession) -> None:
            session.on("connection_change", lambda event: told.append(event.status))
            session.on("history_updated", lambda event: told.append(len(event.history)))
            session.on("agent_end", lambda event: told.append(event.output))

        async with open_session(observers=[observe]) as (session, far):
            far.send(*text_turn("resp_1", "item_1", ["Hi"]))
            await read_until(session, "agent_end")
        assert told[:3] == [0, "connecting", "connected"]
        assert told[-3:] == ["Hi", "disconnecting", "disconnected"]

    async def test_one_that_raises_is_logged_and_the_next_and_the_session_go_on(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(session: RealtimeSession) -> None:
            raise LookupError("no place for traces")

        seen: list[Any] = []
        async with open_session(observers=[fail, seen.append]) as (session, far):
            far.send(*text_turn("resp_1", "item_1"))
            await read_until(session, "agent_end")
            assert seen == [session]
        assert "no place for traces" in caplog.text
        assert [record.jackfield_session for record in caplog.records if hasattr(record, "jackfield_session")] == [
            session.id
        ]

    async def test_one_whose_listener_raises_is_told_like_any_listener(self) -> None:
        def fail(event: Any) -> None:
            raise LookupError("no place for words")

        async with open_session(observers=[lambda session: session.on("agent_start", fail)]) as (session, far):
            far.send(*text_turn("resp_1", "item_1"))
            events = await read_until(session, "agent_end")
            (error,) = [event.error for event in events if event.type == "error"]
            assert "no place for words" in str(error)

    async def test_a_session_that_is_not_entered_is_not_observed(self) -> None:
        seen: list[Any] = []
        session = RealtimeSession(RealtimeAgent("A"), transport=memory_transport(MemoryWire()), observers=[seen.append])
        await session.close()
        assert seen == []

    async def test_a_runner_has_them_for_each_of_its_sessions(self) -> None:
        seen: list[Any] = []
        runner = RealtimeRunner(
            RealtimeAgent("A"), transport=lambda: memory_transport(MemoryWire()), observers=[seen.append]
        )
        for _ in range(2):
            async with await runner.run():
                pass
        assert len({id(session) for session in seen}) == 2


class TestInstalled:
    async def test_those_of_all_plugins_in_the_order_of_their_names(self, site: Site) -> None:
        site.plugin("watch_b", "return [seen.append]")
        site.plugin("watch_a", "return (observe for observe in [seen.append, lambda session: seen.append('again')])")
        observers = site.observers()
        assert site.groups == ["jackfield.observers"]
        assert observers[0] == seen_by("watch_a").append
        assert observers[2] == seen_by("watch_b").append
        async with open_session(observers=observers) as (session, _):
            pass
        assert seen_by("watch_a") == [session, "again"]
        assert seen_by("watch_b") == [session]

    @pytest.mark.parametrize("body", ["return []", "return None", "pass"])
    def test_a_plugin_may_have_none(self, site: Site, body: str) -> None:
        site.plugin("watch", body)
        assert site.observers() == ()

    def test_a_module_without_the_hook_has_none(self, site: Site) -> None:
        site.module("watch", "x = 1")
        assert site.observers() == ()

    def test_none_are_installed(self, site: Site) -> None:
        assert site.observers() == ()
        assert isinstance(installed_observers(), tuple)

    @pytest.mark.parametrize(
        ("source", "words"),
        [
            ("import nothing_of_that_name", "nothing_of_that_name"),
            ("raise RuntimeError('at import')", "at import"),
            ("raise SystemExit(3)", "SystemExit"),
            ("def f(:", "SyntaxError"),
        ],
    )
    def test_one_that_can_not_be_imported_is_left_out_and_named(
        self, site: Site, source: str, words: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        site.plugin("watch_a", GOOD)
        site.module("watch_broken", source)
        site.plugin("watch_c", GOOD)
        assert len(site.observers()) == 2
        assert "watch_broken" in caplog.text
        assert words in caplog.text

    @pytest.mark.parametrize(
        "body",
        [
            "raise LookupError('in the hook')",
            "raise SystemExit(3)",
            "return 5",
            "return seen.append",
            "return [seen.append, 5]",
            "return ['text']",
        ],
    )
    def test_one_whose_hook_fails_is_left_out_and_named(
        self, site: Site, body: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        site.plugin("watch_a", GOOD)
        site.plugin("watch_broken", body)
        site.plugin("watch_c", GOOD)
        assert list(site.observers()) == [seen_by("watch_a").append, seen_by("watch_c").append]
        assert "watch_broken" in caplog.text

    def test_one_whose_hook_wants_arguments_is_left_out_and_named(
        self, site: Site, caplog: pytest.LogCaptureFixture
    ) -> None:
        site.plugin("watch_a", GOOD)
        head = "from jackfield.transport.hookspecs import hookimpl\n\n"
        site.module("watch_broken", head + "@hookimpl\ndef jackfield_session_observers(session):\n    return []\n")
        assert len(site.observers()) == 1
        assert "watch_broken" in caplog.text

    def test_one_module_under_two_names_counts_once(self, site: Site) -> None:
        site.plugin("watch", GOOD)
        site.points.append(EntryPoint("watch_again", "watch", ENTRY_POINT_GROUP))
        assert len(site.observers()) == 1
