"""What the kit asks of a far end: a provider that does exactly what a check tells it, and remembers what came.

Who ships a transport for a provider of its own writes these two classes over the provider's protocol, on a real socket
where the transport opens one. For wires that speak the OpenAI dialect they are there: `jackfield_local.conformance`.
"""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Generic, Self, TypeAlias, TypeVar

__all__ = ["AUDIO", "PATIENCE", "FarConnection", "FarEnd", "Script", "answering", "listening", "polite", "silent"]

AUDIO: Final = bytes(range(256)) * 18
"""What is said where nothing else is asked for: 96 ms of PCM16 mono at 24,000 Hz, of every byte value."""

PATIENCE: Final = 30.0
"""Seconds after which a check that waits has failed. Nothing is measured by it."""

Script: TypeAlias = Callable[[Any], Awaitable[None]]
"""What a far end does on a connection (a `FarConnection`). The connection is closed when it returns."""

C = TypeVar("C", bound="FarConnection")


class FarConnection(abc.ABC):
    """One connection, seen from the far end."""

    close_code: int | None = None
    """How the near end closed: 1000 where it said goodbye; None where it has not."""
    junk: Sequence[str] = ("", "nonsense", "[1, 2]", "null", '"text"', "5", '{"broken": ')
    """Frames that hold no message of the protocol."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        """Every message that came, decoded."""
        self.finished = asyncio.Event()
        """Set once the connection is over and its script has ended."""
        self._news = asyncio.Event()

    # What came

    @property
    @abc.abstractmethod
    def headers(self) -> Mapping[str, str]:
        """Those of the handshake, or whatever else carried the credentials."""

    @property
    @abc.abstractmethod
    def instructions(self) -> Sequence[str]:
        """The instructions of each configuration that came, in order."""

    @property
    @abc.abstractmethod
    def tools(self) -> Sequence[str]:
        """The names of the tools that were declared last."""

    @property
    @abc.abstractmethod
    def messages(self) -> Sequence[str]:
        """The texts of the user's messages, in order."""

    @property
    @abc.abstractmethod
    def heard(self) -> bytes:
        """The user's audio so far, PCM16 mono at 24,000 Hz; where it comes as sound, without the silence."""

    @property
    @abc.abstractmethod
    def commits(self) -> int:
        """How often the user's turn was ended by hand."""

    @property
    @abc.abstractmethod
    def requests(self) -> int:
        """How many responses were asked for, in whatever way the protocol does that."""

    @property
    @abc.abstractmethod
    def outputs(self) -> Mapping[str, str]:
        """The outputs of function calls that came, by call id."""

    # What came, for transports that claim it. A far end without one of these leaves that claim unproven

    @property
    def images(self) -> int:
        """How many images came (`images`)."""
        raise _unseen("images")

    @property
    def clears(self) -> int:
        """How often audio that was not committed was dropped (`clear_audio`)."""
        raise _unseen("clear_audio")

    @property
    def cancels(self) -> int:
        """How often a running response was told to stop (`cancel`)."""
        raise _unseen("cancel")

    @property
    def truncations(self) -> Sequence[int]:
        """Where spoken items were truncated, in ms of audio, in order (`truncate=client`)."""
        raise _unseen("truncate=client")

    @property
    def overrides(self) -> Sequence[Mapping[str, Any]]:
        """The settings of single responses that came, in order (`response_overrides`)."""
        raise _unseen("response_overrides")

    @property
    def conversation(self) -> Sequence[str]:
        """The texts of the messages in the model's conversation, in order: those that the near end made (`history`)."""
        raise _unseen("history")

    @property
    def call_id(self) -> str | None:
        """The call that was joined (`attach_by_call_id`)."""
        raise _unseen("attach_by_call_id")

    @property
    def approvals(self) -> Mapping[str, bool]:
        """The answers to approval requests, by the request's id (`hosted_mcp`)."""
        raise _unseen("hosted_mcp")

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait until `condition` is true; it is looked at whenever something has come."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not condition():
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"the far end waited in vain for {what}") from None

    @abc.abstractmethod
    async def receive(self) -> Mapping[str, Any]:
        """Take the next message into account, and return it. Raises what ends the script when the connection is over.

        Once `accept` was called, what configures the session is acknowledged here.
        """

    # What is said

    @abc.abstractmethod
    async def accept(self) -> None:
        """Open the session, and from now on acknowledge what configures it; what has come already, at once."""

    @abc.abstractmethod
    async def speak(self, audio: bytes = AUDIO, *, text: str = "Hello.", response_id: str = "resp_1") -> None:
        """Begin a spoken response, or go on with it; nothing says that it ends.

        `audio` is PCM16 mono at 24,000 Hz; `response_id` tells responses apart, if the protocol has such ids.
        """

    @abc.abstractmethod
    async def finish(self, *, response_id: str = "resp_1", cancelled: bool = False) -> None:
        """End what `speak` began: it is complete, or was `cancelled`. It costs tokens."""

    async def say(self, audio: bytes = AUDIO, *, text: str = "Hello.", response_id: str = "resp_1") -> None:
        """Say a whole spoken response."""
        await self.speak(audio, text=text, response_id=response_id)
        await self.finish(response_id=response_id)

    @abc.abstractmethod
    async def write(self, *pieces: str, response_id: str = "resp_1") -> None:
        """Write a whole response, in pieces of text."""

    @abc.abstractmethod
    async def call(self, *calls: tuple[str, str, str], response_id: str = "resp_1") -> None:
        """Respond with function calls: each a call id, a name, and arguments as JSON."""

    @abc.abstractmethod
    async def user_interrupts(self) -> None:
        """Tell that the user began to speak while the model does."""

    @abc.abstractmethod
    async def transcribe(self, text: str) -> None:
        """Tell what the user has said, whole."""

    @abc.abstractmethod
    async def strange(self, number: int, text: str = "") -> Mapping[str, Any]:
        """Send a message of a kind that nobody knows, with `number` and `text` in it; return it as it was sent."""

    @abc.abstractmethod
    async def send_frame(self, frame: str | bytes) -> None:
        """Send a frame as it is."""

    async def press(self, digit: str) -> None:
        """Tell that the caller pressed a key (`dtmf`)."""
        raise _unseen("dtmf")

    async def ask_approval(self, request_id: str) -> None:
        """Ask whether a hosted MCP tool may be called (`hosted_mcp`)."""
        raise _unseen("hosted_mcp")

    async def fail(self, message: str) -> None:
        """Tell of an error, in these words, and go on. Where the protocol has no such message, end with it."""
        await self.close(1011, message)

    @abc.abstractmethod
    def own_message(self, number: int) -> Mapping[str, Any]:
        """Return a client message of the provider's own that does no harm, for `send_event`."""

    # How it ends, and how it is no longer well

    @abc.abstractmethod
    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close it, with code and reason where there are such; what was sent before arrives before."""

    @abc.abstractmethod
    def reset(self) -> None:
        """Break it, as a crash would."""

    @abc.abstractmethod
    def stall(self) -> None:
        """Stop reading, also what the network has already brought."""

    @abc.abstractmethod
    def resume(self) -> None:
        """Read again."""

    def tell(self) -> None:
        """Have everybody who waits look again: something came. For the classes that stand on this one."""
        self._news.set()
        self._news = asyncio.Event()


class FarEnd(abc.ABC, Generic[C]):
    """A provider on loopback, in an `async with` block. `script` plays each connection."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.connections: list[C] = []
        """All connections so far."""
        self._connected = asyncio.Condition()

    @abc.abstractmethod
    async def __aenter__(self) -> Self:
        """Listen."""

    @abc.abstractmethod
    async def __aexit__(self, *_: object) -> None:
        """End every connection, and wait until nothing is left of them."""

    def refuse(self, status: int | None) -> None:
        """Refuse whoever comes from now on, with an HTTP status; with None, no more. Where there is no HTTP, leave it.

        Raises NotImplementedError where it can't be done, and the checks that need it are skipped.
        """
        raise NotImplementedError

    async def connection(self, number: int = 0) -> C:
        """Wait for the connection of that number, counted from 0."""
        try:
            async with asyncio.timeout(PATIENCE), self._connected:
                await self._connected.wait_for(lambda: len(self.connections) > number)
        except TimeoutError:
            raise AssertionError(f"the far end waited in vain for connection {number}") from None
        return self.connections[number]

    async def let_go(self) -> None:
        """Give up what is half-made and that no goodbye can reach; where connecting is TCP's affair, there is none."""

    async def play(self, connection: C, gone: type[Exception] | tuple[type[Exception], ...]) -> None:
        """Play the script on a new connection, until it ends or the near end is `gone`: for classes that stand on it.

        They close the connection afterwards.
        """
        async with self._connected:
            self.connections.append(connection)
            self._connected.notify_all()
        try:
            await self.script(connection)
        except gone:
            pass  # the near end went away, which ends every script
        finally:
            connection.finished.set()


def _unseen(capability: str) -> NotImplementedError:
    return NotImplementedError(f"this far end doesn't show {capability}, so that the claim can't be proven")


def answering(*calls: tuple[str, str, str], text: str = "Hello.") -> Script:
    """Return a script that accepts the session and answers each request: the first with `calls`, if any, then aloud."""

    async def script(connection: FarConnection) -> None:
        await connection.accept()
        answered = 0
        while True:
            await connection.receive()
            while connection.requests > answered:
                answered += 1
                if answered == 1 and calls:
                    await connection.call(*calls)
                else:
                    await connection.say(text=text, response_id=f"resp_{answered}")

    return script


polite: Script = answering()
"""Does as providers do: accepts the session, and answers each request with a spoken turn."""


async def listening(connection: FarConnection) -> None:
    """Accept the session, and say only what the check says."""
    await connection.accept()
    await silent(connection)


async def silent(connection: FarConnection) -> None:
    """Read what comes, and say nothing, not even that there is a session."""
    while True:
        await connection.receive()
