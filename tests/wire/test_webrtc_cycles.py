"""Two hundred calls that end well, are given up or fail at each step leave everything as it was, memory as well."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

from jackfield.testing.conformance import no_leaks
from jackfield.testing.conformance.stepping import at_turn, stepwise
from jackfield.transport import RealtimeTransportLayer, TransportError, create_transport
from jackfield_local.conformance.peers import RtcFarEnd

CYCLES = 200
STEPS = 100
"""Turns of the event loop that a connect takes, about."""
WARM_UP = STEPS
"""Cycles after which whatever is kept for good, such as what is loaded late, is there."""
BYTES = 30_000
"""Of memory that a cycle may leave behind on the average. One call takes ten times as much."""

CONFIG = {"instructions": "Speak like a pirate"}


async def cycles(one: Callable[[RtcFarEnd, RealtimeTransportLayer, int], Awaitable[None]]) -> None:
    """Run cycles of `one`, and prove that they leave nothing: not one object each, and no memory outside of Python."""
    async with RtcFarEnd() as far_end:
        transport = create_transport("webrtc")
        objects = memory = 0
        for number in range(CYCLES):
            async with no_leaks():
                await one(far_end, transport, number)
                await far_end.let_go()
                for far in far_end.connections:
                    await far.finished.wait()
            far_end.connections.clear()
            far_end.requests.clear()
            if number % 10 == 0:
                gc.collect()  # what is garbage is not to be taken for what is left
            if number == WARM_UP:
                objects, memory = await what_there_is()
        left_objects, left_memory = await what_there_is()
    measured = CYCLES - WARM_UP - 1
    assert left_objects - objects < measured
    assert left_memory - memory < BYTES * measured


async def what_there_is() -> tuple[int, int]:
    """Return how many objects there are, and how much memory this process has."""
    await asyncio.sleep(0)
    re.purge()  # a form's boundary is a new pattern each time, and the last ones are kept
    for _ in range(3):
        gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return len(gc.get_objects()), pages * os.sysconf("SC_PAGE_SIZE")


@stepwise
async def test_calls_that_end_well() -> None:
    async def one(far_end: RtcFarEnd, transport: RealtimeTransportLayer, _: int) -> None:
        await transport.connect(api_key="sk-a", url=far_end.calls_url, initial_session_config=CONFIG)
        await transport.close()
        await far_end.connection()

    await cycles(one)


@stepwise
async def test_calls_that_are_given_up_at_every_step() -> None:
    async def one(far_end: RtcFarEnd, transport: RealtimeTransportLayer, number: int) -> None:
        attempt = asyncio.create_task(
            transport.connect(api_key="sk-a", url=far_end.calls_url, initial_session_config=CONFIG)
        )
        with at_turn(number % STEPS + 1, attempt.cancel), contextlib.suppress(asyncio.CancelledError):
            await attempt
        await transport.close()

    await cycles(one)


@stepwise
async def test_calls_that_fail_at_every_step() -> None:
    async def one(far_end: RtcFarEnd, transport: RealtimeTransportLayer, number: int) -> None:
        """The network is gone from one step on, and the time is over soon after."""
        attempt = asyncio.create_task(transport.connect(api_key="sk-a", url=far_end.calls_url, timeout=0.1))
        with at_turn(number % STEPS + 1, far_end.lose_calls), contextlib.suppress(TransportError):
            await attempt
        await transport.close()
        for far in far_end.connections:
            far.reset()  # no goodbye came through

    await cycles(one)
