"""One phone call to the server: it rings until somebody accepts it, and is then a session whose audio goes over RTP.

G.711 goes to the session and comes from it as it is. Who may do what with a call is decided in `rest` and `doors`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from attrs import frozen

from jackfield_local.connection import Connection
from jackfield_local.engine.engine import Engine
from jackfield_local.engine.errors import ApiError, invalid_value, server_failure
from jackfield_local.engine.ids import IdSource
from jackfield_local.engine.media import Media, media_of
from jackfield_local.fanout import FanOut
from jackfield_local.faults import Fault
from jackfield_local.live_calls import call_not_found
from jackfield_local.media_clock import Gaps
from jackfield_local.reception import Admission
from jackfield_local.session import Channel, Services, Session
from jackfield_local.sip import sdp
from jackfield_local.sip.call_control import CallControl
from jackfield_local.sip.called import IncomingCall
from jackfield_local.sip.events import Acknowledged, Cancelled, Ended, Event, Notified, ReferAnswered, Reinvited
from jackfield_local.sip.media_clock import MediaClock
from jackfield_local.sip.messages import parse_uri
from jackfield_local.sip.rest import CALL_TAKEN
from jackfield_local.sip.rtp_port import RtpPort

__all__ = ["PhoneLine", "SipCall"]

logger = logging.getLogger(__name__)

_UNANSWERED: Final = 480
_BROKEN: Final = 400


class _Over(Exception):  # noqa: N818 - ends the task group, and is no error
    """The call is over."""


@frozen(kw_only=True)
class PhoneLine:
    """What the calls of one door have in common.

    A call may ring for `ring_seconds`, and last for `silent_seconds` without a packet. `make_engine` makes a session's
    engine, whose media are of a format.
    """

    clock: MediaClock
    services: Callable[[], Services]
    make_engine: Callable[[Admission, Sequence[Fault], str], Engine]
    seconds: Callable[[Sequence[Fault]], float]
    ring_seconds: float
    silent_seconds: float


class SipCall:
    """A call: `sip` is its signalling, `offer` what it offered (None: it wants ours).

    `run` holds it from the ringing to its end, and `over` is set then.
    """

    def __init__(
        self,
        line: PhoneLine,
        sip: IncomingCall,
        offer: sdp.Offer | None,
        connection: Connection,
    ) -> None:
        assert connection.call_id is not None
        self.id = connection.call_id
        self.live = False
        self.over = asyncio.Event()
        self._line = line
        self._sip = sip
        self._offer = offer
        self._connection = connection
        self._agreement = None if offer is None else sdp.agree(offer)
        self._format = sdp.PCMU.format if self._agreement is None else self._agreement.codec.format
        self._media: Media = media_of(self._format)
        self._version = 0
        self._accepting = False
        self._decided = asyncio.Event()
        self._fanout = FanOut()
        self._engine: Engine | None = None
        self._session: Session | None = None
        self._port: RtpPort | None = None
        self._now = asyncio.get_running_loop().time
        self._gaps = Gaps(self._now())
        self._heard = 0
        self._heard_at = self._now()
        connection.attach(CallControl(self._tell_all, self.end))

    async def run(self) -> None:
        """Hold the call until it is over."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._hold())
                group.create_task(self._wait_end())
        except* _Over:
            logger.debug("Call %s is over", self.id)
        finally:
            self.end(1006, "")

    async def join(self, channel: Channel) -> None:
        """Let a sideband take part, until it is gone or the call is over."""
        assert self._engine is not None
        await self._fanout.attend(channel, self._engine.greeting())

    def end(self, code: int, reason: str) -> None:
        """End the call. The first one to end it says why."""
        if self.over.is_set():
            return
        self.live = False
        self.over.set()
        self._connection.note_closed(code, reason)
        if self._sip.ringing:
            self._sip.reject(_UNANSWERED)
        else:
            self._sip.bye()
        if self._port is not None:
            self._port.close()

    async def accept(self, admission: Admission, faults: Sequence[Fault]) -> None:
        """Answer the call with a session. Raises `ApiError` where that can't be, or was done already."""
        self._check_waiting()
        engine = self._line.make_engine(admission, faults, self._format)
        assert self._sip.dialog is not None
        host, _ = self._sip.dialog.flow.local
        self._accepting = True
        try:
            port = await RtpPort.open(
                host,
                self._line.clock,
                play=self._play,
                hear=self._hear,
                pressed=self._press,
                tick=self._tick,
            )
        finally:
            self._accepting = False
        if not self._sip.ringing:
            port.close()
            raise call_not_found()
        self._engine, self._port = engine, port
        seconds = self._line.seconds(faults)
        self._fanout = FanOut(engine.take_events())
        self._session = Session(engine, self._fanout, self._line.services(), seconds=seconds)
        self._heard_at = self._now()
        self._gaps = Gaps(self._heard_at)
        self._sip.accept(self._description())
        if self._agreement is not None:
            port.agree(self._agreement)
        self.live = True
        self._decided.set()

    def reject(self, status_code: int) -> None:
        """Refuse the call with a SIP status. Raises `ApiError` where it doesn't ring any more."""
        self._check_waiting()
        self._sip.reject(status_code)
        self.end(1000, "")

    def refer(self, target: str) -> None:
        """Have the caller call `target`, a `tel:` or `sip:` URI. Raises `ApiError`."""
        try:
            parse_uri(target)
        except ValueError:
            raise invalid_value(target, "target_uri") from None
        if not self.live or not self._sip.refer(target):
            raise call_not_found()

    def fail(self) -> None:
        """Break the call off before it has begun."""
        self._check_waiting()
        self._sip.reject(_BROKEN)
        self.end(1011, "")

    def take(self, event: Event) -> None:
        """Take what happens to the call within SIP."""
        match event:
            case Acknowledged(_, body) if self._agreement is None:
                self._take_late_answer(body)
            case Reinvited(_, body):
                self._take_offer(body)
            case ReferAnswered(_, code) if code >= 300:
                logger.info("The caller of %s does not let itself be referred: %d", self.id, code)
            case Notified(_, code) if 200 <= code < 300:
                # The caller is where it was to go: this leg has done its part.
                self.end(1000, "")
            case Cancelled() | Ended():
                self.end(1000, "")
            case _:
                logger.debug("Call %s: %s", self.id, type(event).__name__)

    def _tell_all(self, event: dict[str, Any]) -> None:
        self._fanout.announce(event)

    async def _hold(self) -> None:
        try:
            async with asyncio.timeout(self._line.ring_seconds):
                await self._decided.wait()
        except TimeoutError:
            self.end(1006, "Nobody has accepted the call.")
            return
        assert self._session is not None
        try:
            await self._session.run()
        except* Exception:  # noqa: BLE001 - `_fail` logs it
            self._fail()
        else:
            self.end(*(self._fanout.farewell or (1000, "")))

    async def _wait_end(self) -> None:
        await self.over.wait()
        code = self._connection.close_code
        # A call that broke has no close frame, but those who have joined get one.
        await self._fanout.close(1000 if code is None or code == 1006 else code, self._connection.close_reason)
        raise _Over

    def _fail(self) -> None:
        """End the call because of the exception that was caught, and tell the clients."""
        logger.exception("The session of a call failed")
        failure = server_failure()
        self._fanout.announce({"type": "error", "event_id": IdSource().event(), "error": failure.to_wire()})
        self.end(1011, f"{failure.type}.{failure.code}")

    def _check_waiting(self) -> None:
        """Raise `ApiError` unless the call waits for somebody to take it."""
        if self._accepting or self.live:
            raise ApiError("The call has been accepted already.", code=CALL_TAKEN)
        if not self._sip.ringing:
            raise call_not_found()

    def _description(self) -> bytes:
        """Return our answer to what was offered, or else our own offer."""
        assert self._port is not None
        self._version += 1
        if self._offer is None or self._agreement is None:
            codec = sdp.PCMU if self._format == sdp.PCMU.format else sdp.PCMA
            return sdp.offer(self._port.local, version=self._version, codecs=(codec,))
        return sdp.answer(self._offer, self._agreement, self._port.local, version=self._version)

    def _take_late_answer(self, body: bytes | None) -> None:
        """Take the answer to our offer, which comes with the ACK (RFC 3261, 13.2.1)."""
        assert self._port is not None
        try:
            self._agreement = sdp.agree(sdp.read(body or b""), codec=self._format)
        except sdp.SdpError as error:
            logger.info("Call %s has no audio: %s", self.id, error)
            self.end(1006, "The caller's answer has no audio.")
            return
        self._port.agree(self._agreement)

    def _take_offer(self, body: bytes | None) -> None:
        """Answer a re-INVITE: hold, another address, or only a sign of life."""
        if self._port is None:
            self._sip.reject(488)
            return
        try:
            self._offer = None if body is None else sdp.read(body)
            self._agreement = None if self._offer is None else sdp.agree(self._offer, codec=self._format)
        except sdp.SdpError:
            self._sip.reject(488)
            return
        self._sip.accept(self._description())
        if self._agreement is not None:
            self._port.agree(self._agreement)

    def _tick(self) -> None:
        """Put silence in where none came, and hang up where nothing comes any more."""
        assert self._session is not None and self._port is not None
        now = self._now()
        if self._port.received != self._heard or not self._port.hears:
            self._heard, self._heard_at = self._port.received, now
        elif now - self._heard_at > self._line.silent_seconds:
            self.end(1006, "No audio came any more.")
            return
        for _ in range(self._gaps.missing(now)):
            self._guard(partial(self._session.hear, self._media.silence))

    def _hear(self, audio: bytes) -> None:
        if self.live and self._session is not None:
            self._gaps.heard(self._now())
            self._guard(partial(self._session.hear, audio))

    def _press(self, key: str) -> None:
        if self.live and self._session is not None:
            self._guard(partial(self._session.press, key))

    def _play(self) -> bytes | None:
        if not self.live or self._session is None:
            return None
        audio: bytes | None = self._guard(self._session.next_audio)
        return audio

    def _guard(self, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except Exception:  # noqa: BLE001 - nobody above the port would see it
            self._fail()
            return None
