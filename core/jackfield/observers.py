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
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pluggy

from .errors import RegistryError
from .transport.discovery import EntryPointSource, entry_points_by_name, installed_entry_points, load_entry_point
from .transport.hookspecs import hookspec

if TYPE_CHECKING:
    from .session import RealtimeSession

__all__ = ["ENTRY_POINT_GROUP", "SessionObserver", "find_observers", "installed_observers"]

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


@cache
def installed_observers() -> tuple[SessionObserver, ...]:
    """Return the observers of the distributions that are installed in this interpreter. They are looked for once."""
    return find_observers(installed_entry_points)


def find_observers(source: EntryPointSource) -> tuple[SessionObserver, ...]:
    """Return the observers that `source` declares. A plugin that is broken is logged and left out."""
    points = [point for same in entry_points_by_name(source, ENTRY_POINT_GROUP).values() for point in same]
    if not points:
        return ()
    manager = pluggy.PluginManager("jackfield")
    manager.add_hookspecs(ObserverHooks)
    for point in points:
        try:
            manager.register(load_entry_point(point), f"{point.name} ({point.value})")
        except (RegistryError, ValueError) as error:
            logger.warning("the session observer %s is left out: %s", point.name, error)
    found: list[Any] = manager.hook.jackfield_session_observers()
    # pluggy calls the plugin that was registered last first.
    return tuple(observer for observers in reversed(found) for observer in observers)
