"""Observers: plugins that watch sessions, such as one that writes traces.

An observer is a function that is called with each new session before it connects. It listens with `session.on(...)`,
and must not keep a session from working. A distribution brings one with an entry point of the group
`jackfield.observers`, whose value is a module with an implementation of the hook::

    @hookimpl
    def jackfield_session_observers():
        return [observe]

Installed observers watch every session; `RealtimeSession(observers=...)` names others, or none with `()`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import cache
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Final, TypeAlias

import pluggy

from .errors import RegistryError
from .transport.discovery import (
    EntryPointSource,
    describe_error,
    entry_points_by_name,
    installed_entry_points,
    load_entry_point,
    origin_of,
)
from .transport.hookspecs import hookspec

if TYPE_CHECKING:
    from .session import RealtimeSession

__all__ = ["ENTRY_POINT_GROUP", "SessionObserver", "find_observers", "installed_observers", "watch"]

logger = logging.getLogger("jackfield.observers")

ENTRY_POINT_GROUP: Final = "jackfield.observers"
"""The entry-point group that observers are declared in."""

SessionObserver: TypeAlias = Callable[["RealtimeSession"], object]
"""Called with a session that is about to connect."""


class ObserverHooks:
    """The hook that jackfield calls once in a process, when the first session starts."""

    @hookspec
    def jackfield_session_observers(self) -> Iterable[SessionObserver]:  # type: ignore[empty-body]
        """Return the observers of this plugin."""


def watch(session: RealtimeSession, observers: Iterable[SessionObserver] | None) -> None:
    """Let `observers` see a session that is about to connect; None: those that are installed."""
    for observe in installed_observers() if observers is None else observers:
        try:
            observe(session)
        except Exception:  # it must not keep a session from working
            logger.exception("a session observer failed", extra={"jackfield_session": session.id})


@cache
def installed_observers() -> tuple[SessionObserver, ...]:
    """Return the observers of the distributions that are installed in this interpreter. They are looked for once."""
    return find_observers(installed_entry_points)


def find_observers(source: EntryPointSource) -> tuple[SessionObserver, ...]:
    """Return the observers that `source` declares. A plugin that is broken is logged and left out."""
    plugins: list[object] = []
    observers: list[SessionObserver] = []
    for points in entry_points_by_name(source, ENTRY_POINT_GROUP).values():
        for point in points:
            try:
                plugin = load_entry_point(point)
                if not any(plugin is known for known in plugins):
                    plugins.append(plugin)
                    observers += _observers_of(plugin, point)
            except RegistryError as error:
                logger.warning("the session observer %s is left out: %s", point.name, error)
    return tuple(observers)


def _observers_of(plugin: object, point: EntryPoint) -> list[SessionObserver]:
    # A manager for each plugin: neither a bad hook nor a hook wrapper of one reaches another.
    manager = pluggy.PluginManager("jackfield")
    manager.add_hookspecs(ObserverHooks)
    where = f"{point.value} of {origin_of(point)}"
    try:
        manager.register(plugin, point.name)
        observers = [observer for some in manager.hook.jackfield_session_observers() for observer in some]
    except (Exception, SystemExit) as error:
        raise RegistryError(f"the hook in {where} fails: {describe_error(error)}") from error
    for observer in observers:
        if not callable(observer):
            raise RegistryError(f"the hook in {where} returns {observer!r:.80}, which is no function")
    return observers
