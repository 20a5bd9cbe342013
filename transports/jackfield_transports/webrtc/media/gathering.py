"""How a peer finds the addresses that it can be reached at (ICE candidates), and that it can be stopped in the middle.

aioice does the work, but lets go of nothing when it is cancelled: sockets of a gathering that was under way stay open,
and questions to STUN and TURN servers are repeated for a minute. So its two parts are done one by one: sockets are
opened whatever happens, as that takes no time, and servers are asked by tasks that end with the gathering.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Final

from aioice import TransportPolicy
from aioice.ice import StunProtocol, relayed_candidate, server_reflexive_candidate
from aiortc import RTCIceGatherer

__all__ = ["gather_here"]

_LOOPBACK: Final = "127.0.0.1"


def gather_here(gatherer: RTCIceGatherer, *, loopback: bool, alone: bool) -> None:
    """Have `gatherer` gather so that it can be stopped; with `loopback` on 127.0.0.1 too, `alone`: nowhere else.

    aioice would leave out just that address.
    """
    connection: Any = gatherer._connection
    open_sockets = connection.get_component_candidates

    async def gather(component: int, addresses: Sequence[str], timeout: float = 5) -> list[Any]:
        if loopback:
            others = [] if alone else [address for address in addresses if address != _LOOPBACK]
            addresses = [_LOOPBACK, *others]
        stun, turn = connection.stun_server, connection.turn_server
        connection.stun_server = connection.turn_server = None
        try:
            candidates: list[Any] = await _whole(open_sockets(component=component, addresses=list(addresses)))
        finally:
            connection.stun_server, connection.turn_server = stun, turn
        questions: list[Coroutine[Any, Any, tuple[Any, Any]]] = []
        if stun is not None:
            on_ipv4 = [protocol for protocol in connection._protocols if ":" not in protocol.local_candidate.host]
            questions += [server_reflexive_candidate(protocol, stun) for protocol in on_ipv4]
        if turn is not None:
            questions.append(_relayed(connection, component))
        for candidate, relay in await _answers(questions, timeout):
            candidates.append(candidate)
            if relay is not None:
                connection._protocols.append(relay)
        return candidates

    connection.get_component_candidates = gather


def _relayed(connection: Any, component: int) -> Coroutine[Any, Any, tuple[Any, Any]]:
    return relayed_candidate(
        component=component,
        hide_related_address=connection._transport_policy == TransportPolicy.RELAY,
        protocol_factory=lambda: StunProtocol(connection),
        turn_server=connection.turn_server,
        turn_username=connection.turn_username,
        turn_password=connection.turn_password,
        turn_ssl=connection.turn_ssl,
        turn_transport=connection.turn_transport,
    )


async def _answers(questions: Sequence[Coroutine[Any, Any, tuple[Any, Any]]], seconds: float) -> list[tuple[Any, Any]]:
    """Ask servers at the same time; return what was answered in time."""
    if not questions:
        return []
    tasks = [asyncio.ensure_future(question) for question in questions]
    try:
        done, _ = await asyncio.wait(tasks, timeout=seconds)
        return [task.result() for task in tasks if task in done and task.exception() is None]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _whole(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run `coroutine` to its end, also when we are cancelled meanwhile."""
    task = asyncio.ensure_future(coroutine)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
