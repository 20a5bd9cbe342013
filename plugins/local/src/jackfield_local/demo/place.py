"""Where the transport is told to go: the local server's door for it, or wherever the user says.

This small table is the only place in the demo that knows transports by name. Others are given the server's address; one
that speaks to another kind of server brings a stand-in for that, which has the local server behind it.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, TypeAlias, cast

from attrs import field, frozen

from jackfield.transport.discovery import entry_points_by_name, installed_entry_points, load_entry_point
from jackfield_local.demo.server_process import Door, RunningServer

__all__ = ["Place", "is_called", "local_place"]

MODEL = "gpt-realtime"

STAND_INS: Final = "jackfield.stand_ins"
"""The entry-point group that stand-ins are declared in."""

StandIn: TypeAlias = Callable[[str, str], AbstractAsyncContextManager[Mapping[str, Any]]]


@frozen(kw_only=True)
class Place:
    """How a session gets to its far end: `options` make the transport, `connect` are the session's own arguments.

    Where there is a `phone`, that is a SIP URI: the agent answers it, and `connect` is for who serves the calls.
    """

    name: str
    options: Mapping[str, Any] = field(factory=dict)
    connect: Mapping[str, Any] = field(factory=dict, repr=False)
    phone: str = ""
    door: Door | None = None
    """How the server must have seen it come in, where that is known."""


def is_called(transport: str) -> bool:
    """Tell whether with this transport the agent doesn't connect, but is called, by phone."""
    return transport in _CALLED


@contextlib.asynccontextmanager
async def local_place(transport: str, server: RunningServer, api_key: str) -> AsyncIterator[Place]:
    """Yield how `transport` gets to the local server.

    A transport that isn't known here is given the server's URL and key, which is all that most of them need; unless its
    distribution declares a stand-in, by an entry point of the group `jackfield.stand_ins` with the transport's name: a
    function of the server's URL and key that returns an asynchronous context manager of what `connect` is to be told.
    """
    stand_in = None if transport in _PLACES else _stand_in(transport)
    if stand_in is None:
        yield _PLACES.get(transport, _other)(server, api_key)
        return
    async with stand_in(server.url, api_key) as connect:
        yield Place(name=str(connect.get("url", "its own stand-in")), connect=connect)


def _stand_in(transport: str) -> StandIn | None:
    """Return the stand-in that a distribution declares. Raises `RegistryError` where it can't be loaded."""
    for point in entry_points_by_name(installed_entry_points, STAND_INS).get(transport, ()):
        return cast("StandIn", load_entry_point(point))
    return None


def _websocket(server: RunningServer, api_key: str) -> Place:
    return Place(
        name=f"{server.url}?model={MODEL}",
        options={"proxy": None},
        connect={"url": f"{server.url}?model={MODEL}", "api_key": api_key},
        door=Door("/v1/realtime", f"model={MODEL}", "authorization"),
    )


def _azure(server: RunningServer, api_key: str) -> Place:
    return Place(
        name=f"{server.azure_endpoint}, deployment {MODEL}",
        options={"endpoint": server.azure_endpoint, "deployment": MODEL, "proxy": None},
        connect={"api_key": api_key},
        door=Door("/openai/v1/realtime", f"model={MODEL}", "api-key"),
    )


def _webrtc(server: RunningServer, api_key: str) -> Place:
    url = f"{server.azure_endpoint}/v1/realtime/calls"
    return Place(
        name=url,
        options={"proxy": None},
        connect={"url": url, "api_key": api_key, "model": MODEL},
        door=Door("/v1/realtime/calls", "", "authorization"),
    )


def _sip(server: RunningServer, api_key: str) -> Place:
    base_url = f"{server.azure_endpoint}/v1"
    return Place(
        name=server.sip_uri,
        connect={"base_url": base_url, "api_key": api_key, "model": MODEL},
        phone=server.sip_uri,
        door=Door(server.sip_uri, "", ""),
    )


def _other(server: RunningServer, api_key: str) -> Place:
    url = f"{server.url}?model={MODEL}"
    return Place(name=url, connect={"url": url, "api_key": api_key})


_PLACES: Mapping[str, Callable[[RunningServer, str], Place]] = {
    "websocket": _websocket,
    "azure": _azure,
    "webrtc": _webrtc,
    "sip": _sip,
}
_CALLED: Collection[str] = {"sip"}
