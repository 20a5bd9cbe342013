"""The far end of the conformance kit for `gemini`: `pytest --jackfield-transport gemini`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

from websockets.exceptions import ConnectionClosed

from jackfield.audio import Resampler
from jackfield.testing.conformance import AUDIO, FarConnection, FarEnd, Script, Subject

from .testing import ClientRefusedError, GeminiConnectionEnd, GeminiServer

__all__ = ["SUBJECTS", "GeminiFarConnection", "GeminiFarEnd"]


class GeminiFarConnection(FarConnection):
    """A connection of the scripted server, in the kit's words."""

    def __init__(self, end: GeminiConnectionEnd) -> None:
        super().__init__()
        self.received = end.received
        self._end = end

    @property
    def headers(self) -> Mapping[str, str]:
        """Those of the handshake."""
        return self._end.headers

    @property
    def close_code(self) -> int | None:  # type: ignore[override]
        """How the client closed."""
        return self._end.close_code

    @property
    def instructions(self) -> Sequence[str]:
        """Those of the setup, and of each update."""
        return self._end.instructions

    @property
    def tools(self) -> Sequence[str]:
        """The functions that were declared last."""
        return self._end.tools

    @property
    def messages(self) -> Sequence[str]:
        """What the user wrote."""
        return self._end.messages

    @property
    def heard(self) -> bytes:
        """The user's audio, at 24,000 Hz again."""
        resampler = Resampler(16_000, 24_000)
        return resampler.process(self._end.heard) + resampler.flush()

    @property
    def commits(self) -> int:
        """Ends of the user's turn by hand."""
        return self._end.commits

    @property
    def requests(self) -> int:
        """Whatever asked for a response."""
        return self._end.requests

    @property
    def outputs(self) -> Mapping[str, str]:
        """The answers to function calls."""
        return self._end.outputs

    @property
    def images(self) -> int:
        """How many images came."""
        return self._end.images

    async def receive(self) -> Mapping[str, Any]:
        """Take the next message."""
        try:
            return await self._end.receive()
        finally:
            self.tell()

    async def accept(self) -> None:
        """Acknowledge the setup."""
        await self._end.accept()

    async def speak(self, audio: bytes = AUDIO, *, text: str = "Hello.", response_id: str = "resp_1") -> None:
        """Begin a spoken turn; the protocol has no ids for them."""
        await self._end.speak(text, audio)

    async def finish(self, *, response_id: str = "resp_1", cancelled: bool = False) -> None:
        """End it."""
        await self._end.finish(interrupted=cancelled)

    async def write(self, *pieces: str, response_id: str = "resp_1") -> None:
        """Write a turn."""
        await self._end.write(*pieces)

    async def call(self, *calls: tuple[str, str, str], response_id: str = "resp_1") -> None:
        """Call functions, in one message."""
        await self._end.call_all(*((name, arguments, call_id) for call_id, name, arguments in calls), usage=True)

    async def user_interrupts(self) -> None:
        """Tell of an interruption."""
        await self._end.user_interrupts()

    async def transcribe(self, text: str) -> None:
        """Tell what the user said."""
        await self._end.transcribe(text)

    async def strange(self, number: int, text: str = "") -> Mapping[str, Any]:
        """Send what nobody knows."""
        return await self._end.strange(number, text)

    async def send_frame(self, frame: str | bytes) -> None:
        """Send a frame as it is."""
        await self._end.send_raw(frame)

    def own_message(self, number: int) -> Mapping[str, Any]:
        """Return a turn of the model's, for its memory."""
        turn = {"role": "model", "parts": [{"text": f"I have said {number}."}]}
        return {"clientContent": {"turns": [turn], "turnComplete": False}}

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close it."""
        await self._end.close(code, reason)

    def reset(self) -> None:
        """Break it."""
        self._end.reset()

    def stall(self) -> None:
        """Stop reading."""
        self._end.stall()

    def resume(self) -> None:
        """Read again."""
        self._end.resume()


class GeminiFarEnd(FarEnd[GeminiFarConnection]):
    """The scripted server, for the kit."""

    def __init__(self, script: Script) -> None:
        super().__init__(script)

        async def play(end: GeminiConnectionEnd) -> None:
            await self.play(GeminiFarConnection(end), (ConnectionClosed, ClientRefusedError))

        self._server = GeminiServer(play)

    @property
    def url(self) -> str:
        """The address to connect to."""
        return self._server.url

    def refuse(self, status: int | None) -> None:
        """Refuse the upgrade with an HTTP status."""
        self._server.status = status

    async def __aenter__(self) -> Self:
        await self._server.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._server.__aexit__(*exc)


SUBJECTS: Final = (
    Subject(
        "gemini",
        GeminiFarEnd,
        lambda far_end: {"url": far_end.url},
        key="AIza-canary-4f1d9c",
        hurried={"close_timeout": 0.05},
        exact_input=False,
    ),
)
"""What the kit is run on."""
