"""A transport under test: how it is made, how it gets to its far end, and what the checks have to know of it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, Final

from attrs import field, frozen

from jackfield.transport import RealtimeTransportLayer, TransportCapabilities, create_transport

from .far_end import FarConnection, FarEnd, Script, polite

__all__ = ["CANARY", "SUITE", "NewFarEnd", "Subject"]

CANARY: Final = "canary-4f1d9c"
"""The part of every key that must turn up nowhere but in the handshake."""

SUITE: Final = "jackfield.testing.conformance.suite"
"""The checks that every transport is held to, as a module."""

NewFarEnd = Callable[[Script], FarEnd[Any]]
"""Makes a far end that plays a script."""


@frozen(kw_only=True)
class Subject:
    """One transport, with one set of options. A subclass may override the methods that say how it is reached."""

    transport: str = field(kw_only=False)
    """The name that it is installed by."""

    new_far_end: NewFarEnd = field(kw_only=False)
    """Makes the far end that it connects to."""

    connect: Callable[[Any], Mapping[str, Any]] = field(kw_only=False)
    """Returns what `connect()` needs to be told to reach a far end: its url, say."""

    id: str = field()
    """How it is called in reports; the transport's name unless there are several."""

    options: Mapping[str, Any] = field(factory=dict)
    """What `create_transport` is given."""

    key: str | None = f"sk-{CANARY}"
    """The key to connect with, which has the canary in it; None where the transport takes none."""

    create: Callable[..., RealtimeTransportLayer] = create_transport
    """Makes the transport, of its name and its options; by default as everybody does, from what is installed."""

    hurried: Mapping[str, Any] = field(factory=dict)
    """Options with which closing doesn't wait for a far end that doesn't answer."""

    load_bytes: int = 1024 * 1024
    """How many bytes are a lot at a time: a wire takes a dozen times as many before it makes its sender wait."""

    largest_bytes: int | None = None
    """How many bytes a message may have, either way; None: several megabytes at least."""

    exact_input: bool = True
    """Whether the user's audio arrives byte for byte; else it sounds alike."""

    exact_output: bool = True
    """Whether the model's audio does."""

    capturing: Callable[[bytes], Mapping[str, Any]] | None = None
    """Returns the options with which the transport captures audio of its own, the given one (`local_media`)."""

    close_codes: bool = True
    """Whether a far end that closes can say with which code, and why."""

    abnormal_code: int | None = 1006
    """The code that is told of a connection that broke."""

    dial_seconds: float = 0.1
    """A time limit within which connecting gets as far as to wait for the far end's word."""

    suites: tuple[str, ...] = (SUITE,)
    """The modules of checks that it is held to."""

    @id.default  # noqa: A003
    def _default_id(self) -> str:
        return self.transport

    def __str__(self) -> str:
        return self.id

    @property
    def capabilities(self) -> TransportCapabilities:
        """What it claims."""
        return self.make(None).capabilities

    def far_end(self, script: Script = polite) -> FarEnd[Any]:
        """Make a far end that plays `script`."""
        return self.new_far_end(script)

    def make(self, far_end: Any, **options: Any) -> RealtimeTransportLayer:
        """Make a transport that will connect to `far_end`, or, with None, to nowhere."""
        return self.create(self.transport, **{**self.options, **options})

    def where(self, far_end: Any, **options: Any) -> dict[str, Any]:
        """Return what `connect()` needs to be told to reach `far_end`, and `options`."""
        key = {} if self.key is None else {"api_key": self.key}
        return {**key, **self.connect(far_end), **options}

    @contextlib.contextmanager
    def joining(self, far_end: Any, call_id: str) -> Iterator[dict[str, Any]]:
        """Yield what `connect()` needs to be told to join a call at `far_end` (`attach_by_call_id`)."""
        yield self.where(far_end, call_id=call_id)

    @contextlib.asynccontextmanager
    async def connected(self, far_end: Any, **options: Any) -> AsyncIterator[RealtimeTransportLayer]:
        """Connect, yield the transport, and close it."""
        transport = self.make(far_end)
        await transport.connect(**self.where(far_end, **options))
        try:
            yield transport
        finally:
            await transport.close()

    @contextlib.asynccontextmanager
    async def pair(
        self, script: Script = polite, **options: Any
    ) -> AsyncIterator[tuple[RealtimeTransportLayer, FarConnection]]:
        """Start a far end, connect to it, and yield both ends of the connection."""
        async with self.far_end(script) as far_end, self.link(far_end, **options) as ends:
            yield ends

    @contextlib.asynccontextmanager
    async def link(self, far_end: Any, **options: Any) -> AsyncIterator[tuple[RealtimeTransportLayer, Any]]:
        """Connect to a far end that is there, and yield both ends of the connection."""
        number = len(far_end.connections)
        async with self.connected(far_end, **options) as transport:
            yield transport, await far_end.connection(number)
