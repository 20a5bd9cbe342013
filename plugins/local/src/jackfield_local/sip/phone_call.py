"""One call of a phone: waiting for what becomes of it, keys, hold, and both ends' audio.

Audio is PCM16 mono at 8,000 Hz here, in frames of 20 ms; G.711 on the way. `caller` is the phone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Protocol, Self

from jackfield.audio.g711 import Law, decode, encode
from jackfield.errors import JackfieldError
from jackfield_local.sip import sdp
from jackfield_local.sip.called import IncomingCall
from jackfield_local.sip.calling import OutgoingCall
from jackfield_local.sip.events import (
    Acknowledged,
    Answered,
    Ended,
    Event,
    Referred,
    Refused,
    ReinviteAnswered,
    Reinvited,
    Ringing,
)
from jackfield_local.sip.flow import Flow
from jackfield_local.sip.invitations import Invitation
from jackfield_local.sip.rtp_port import RtpPort

if TYPE_CHECKING:
    from jackfield_local.sip.caller import Phone

__all__ = ["FRAME_BYTES", "CallFailedError", "PhoneCall", "Silence", "Voice"]

logger = logging.getLogger(__name__)

FRAME_BYTES: Final = 320
"""20 ms of PCM16 mono at 8,000 Hz."""
_LAWS: Final[dict[str, Law]] = {"audio/pcmu": "ulaw", "audio/pcma": "alaw"}


class CallFailedError(JackfieldError):
    """The call was not answered: `code` is the status of the SIP response, 408 where there was none."""

    def __init__(self, code: int, phrase: str) -> None:
        super().__init__(f"The call was not answered: {code} {phrase}")
        self.code = code


class Voice(Protocol):
    """Who speaks and listens on a phone."""

    def speak(self) -> bytes | None:
        """Return the next 20 ms, None for silence. It is called in that time."""
        ...

    def hear(self, pcm: bytes) -> None:
        """Take what came from the other end, as it comes."""
        ...


class Silence:
    """Nobody."""

    def speak(self) -> bytes | None:
        """Say nothing."""
        return None

    def hear(self, pcm: bytes) -> None:
        """Hear nothing."""


class PhoneCall:
    """A call of a `Phone`, that it has placed or was called by."""

    def __init__(self, phone: Phone, voice: Voice) -> None:
        self.statuses: list[int] = []
        """Provisional and final status codes of the INVITE."""
        self.pressed: list[str] = []
        """Keys that the other end pressed."""
        self.referred_to: str | None = None
        """The target of a REFER that came."""
        self.transfer: PhoneCall | None = None
        """The call to there, where the phone follows."""
        self.voice = voice
        self._phone = phone
        self._call: Invitation | None = None
        self._port: RtpPort | None = None
        self._version = 0
        self._news = asyncio.Event()
        self._answered = False
        self._refusal: CallFailedError | None = None
        self._end: Ended | None = None
        self._reinvited: list[int] = []

    @property
    def ended(self) -> Ended | None:
        """How the call ended; None while it lasts."""
        return self._end

    @property
    def port(self) -> RtpPort:
        """The call's audio."""
        assert self._port is not None
        return self._port

    @property
    def sip(self) -> Invitation:
        """The call within SIP."""
        assert self._call is not None
        return self._call

    async def answered(self) -> Self:
        """Wait for the answer. Raises `CallFailedError`."""
        await self._until(lambda: self._answered or self._refusal is not None)
        if self._refusal is not None:
            raise self._refusal
        return self

    async def ringing(self) -> None:
        """Wait until it rings, or is answered. Raises `CallFailedError`."""
        await self._until(lambda: bool(self.statuses))
        if self._refusal is not None:
            raise self._refusal

    async def wait_ended(self) -> Ended:
        """Wait for the end of the call, and return how it came."""
        await self._until(lambda: self._end is not None)
        assert self._end is not None
        return self._end

    async def wait_referred(self) -> str:
        """Wait for a REFER, and return its target. Raises `ConnectionError` where the call ends without one."""
        await self._until(lambda: self.referred_to is not None or self._end is not None)
        if self.referred_to is None:
            raise ConnectionError("the call has ended")
        return self.referred_to

    def press(self, keys: str) -> None:
        """Press keys. Raises `ConfigurationError` for what is on no keypad."""
        self.port.press(keys)

    def hang_up(self) -> None:
        """End the call, or give it up before there is an answer."""
        if isinstance(self.sip, OutgoingCall):
            self.sip.cancel()
        self.sip.bye()

    async def hold(self, direction: sdp.Direction = "sendonly") -> int:
        """Send a re-INVITE with that direction ("sendrecv" takes a call up again), and return how it was answered."""
        self._version += 1
        count = len(self._reinvited)
        self.sip.reinvite(sdp.offer(self.port.local, version=self._version, direction=direction))
        await self._until(lambda: len(self._reinvited) > count or self._end is not None)
        return self._reinvited[count] if len(self._reinvited) > count else 481

    async def place(self, target: str, flow: Flow, codecs: tuple[sdp.Codec, ...], headers: Mapping[str, str]) -> None:
        """Send the INVITE; the phone does so."""
        self._port = await self._open(flow.local[0])
        try:
            offer = sdp.offer(self._port.local, version=0, codecs=codecs)
            self._call = self._phone.endpoint.agent.invite(target, flow, offer, headers=dict(headers))
        except BaseException:
            self._port.close()
            raise

    async def answer(self, call: IncomingCall, body: bytes | None) -> None:
        """Answer an INVITE; the phone does so."""
        assert call.dialog is not None
        self._call = call
        self._port = await self._open(call.dialog.flow.local[0])
        if call.over:
            self._port.close()
            return
        self._take_offer(body)
        self._answered = True

    def close(self) -> None:
        """Close the port for the audio; the phone does so at its own end."""
        if self._port is not None:
            self._port.close()

    def take(self, event: Event) -> None:
        """Take an event; the phone hands it on."""
        match event:
            case Ringing(_, code):
                self.statuses.append(code)
            case Answered(_, body):
                self.statuses.append(200)
                self._take_answer(body)
            case Refused(_, code, phrase):
                self.statuses.append(code)
                self._refusal = CallFailedError(code, phrase)
            case Reinvited(_, body):
                self._take_offer(body)
            case Acknowledged(_, body) if body is not None:
                self._agree(body)
            case ReinviteAnswered(_, code, body):
                self._reinvited.append(code)
                if body is not None:
                    self._agree(body)
            case Referred(_, target):
                self.referred_to = target
                self._phone.follow(self, target)
            case Ended():
                self._end = event
                self.close()
            case _:
                pass
        self._news.set()
        self._news = asyncio.Event()

    async def _open(self, host: str) -> RtpPort:
        return await RtpPort.open(
            host, self._phone.clock, play=self._play, hear=self._hear, pressed=self.pressed.append
        )

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._news.wait()

    def _take_answer(self, body: bytes | None) -> None:
        if self._agree(body or b""):
            self._answered = True
        else:
            self._refusal = CallFailedError(488, "The answer has no audio that we understand")
            self.sip.bye()

    def _take_offer(self, body: bytes | None) -> None:
        self._version += 1
        if body is None:
            self.sip.accept(sdp.offer(self.port.local, version=self._version))
        elif self._agree(body):
            assert self.port.agreement is not None
            self.sip.accept(sdp.answer(sdp.read(body), self.port.agreement, self.port.local, version=self._version))
        else:
            self.sip.reject(488)

    def _agree(self, body: bytes) -> bool:
        try:
            self.port.agree(sdp.agree(sdp.read(body)))
        except sdp.SdpError as error:
            logger.debug("No agreement: %s", error)
            return False
        return True

    def _play(self) -> bytes | None:
        pcm = self.voice.speak()
        return None if pcm is None else encode(pcm, self._law)

    def _hear(self, data: bytes) -> None:
        self.voice.hear(decode(data, self._law))

    @property
    def _law(self) -> Law:
        assert self.port.agreement is not None
        return _LAWS[self.port.agreement.codec.format]
