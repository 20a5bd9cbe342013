"""The SIP door: a port on which calls come in, and are announced by a webhook."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from jackfield.task_scope import TaskScope
from jackfield_local.connection import Connection, RequestHeaders
from jackfield_local.engine.engine import Engine
from jackfield_local.engine.ids import IdSource
from jackfield_local.faults import Fault
from jackfield_local.live_calls import LiveCalls
from jackfield_local.reception import Admission, Reception
from jackfield_local.sip import sdp
from jackfield_local.sip.called import IncomingCall
from jackfield_local.sip.endpoint import Endpoint
from jackfield_local.sip.events import Ended, Event, Invited
from jackfield_local.sip.invitations import Invitation
from jackfield_local.sip.media_clock import MediaClock
from jackfield_local.sip.sip_call import PhoneLine, SipCall
from jackfield_local.sip.webhooks import Webhook, WebhookSender

__all__ = ["SipDoor"]

logger = logging.getLogger(__name__)

_PROJECT: Final = "proj_local"
_MOST_CALLS: Final = 1_000


class SipDoor:
    """Takes calls and keeps them among `calls`; they are announced to `webhook`.

    They ring for `ring_seconds`, and last for `silent_seconds` without a packet of audio.
    """

    def __init__(
        self,
        reception: Reception,
        calls: LiveCalls,
        *,
        webhook: Webhook | None,
        ring_seconds: float,
        silent_seconds: float,
    ) -> None:
        self._reception = reception
        self._calls = calls
        self._ring_seconds = ring_seconds
        self._silent_seconds = silent_seconds
        self._sender = None if webhook is None else WebhookSender(webhook)
        self._webhooks = TaskScope()
        self._ids = IdSource()
        self._endpoint: Endpoint | None = None
        self._line: PhoneLine | None = None
        self._sip_calls: dict[Invitation, SipCall] = {}

    @property
    def uri(self) -> str:
        """What to call: `sip:proj_local@127.0.0.1:PORT`."""
        assert self._endpoint is not None
        host, port = self._endpoint.local
        return f"sip:{_PROJECT}@{f'[{host}]' if ':' in host else host}:{port}"

    async def open(self, host: str, port: int = 0) -> None:
        """Listen on UDP and TCP; port 0 is a free one. Raises `OSError`."""
        self._line = PhoneLine(
            clock=MediaClock(),
            services=self._reception.services,
            make_engine=self._make_engine,
            seconds=self._reception.seconds,
            ring_seconds=self._ring_seconds,
            silent_seconds=self._silent_seconds,
        )
        self._endpoint = Endpoint(self._take, name=_PROJECT)
        await self._endpoint.open(host, port)

    async def close(self) -> None:
        """Close the port. Calls are ended by who keeps them, and before."""
        if self._endpoint is not None:
            await self._endpoint.close()
        await self._webhooks.aclose()
        if self._sender is not None:
            await self._sender.close()

    def _take(self, event: Event) -> None:
        if isinstance(event, Invited):
            assert isinstance(event.call, IncomingCall)
            self._take_call(event.call, event.offer)
            return
        call = self._sip_calls.get(event.call)
        if call is not None:
            call.take(event)
        if isinstance(event, Ended):
            self._sip_calls.pop(event.call, None)

    def _take_call(self, sip: IncomingCall, body: bytes | None) -> None:
        assert self._line is not None
        try:
            offer = None if body is None else sdp.read(body)
        except sdp.NoCommonCodecError:
            sip.reject(488)
            return
        except sdp.SdpError as error:
            sip.reject(400, f"Bad Request: {error}")
            return
        if len(self._sip_calls) >= _MOST_CALLS:
            sip.reject(503)
            return
        headers = _headers(sip)
        connection = Connection(
            path=str(sip.invite.uri),
            query={},
            request_headers=RequestHeaders(headers),
            call_id=self._ids.new("rtc"),
            record=self._reception.record,
        )
        call = SipCall(self._line, sip, offer, connection)
        self._sip_calls[sip] = call
        sip.ring()
        if not self._calls.start(call):
            sip.reject(503)
            return
        self._reception.opened(connection)
        if self._sender is not None:
            self._webhooks.spawn(self._sender.send(call.id, headers, call.over), name=f"jackfield-local {call.id}")

    def _make_engine(self, admission: Admission, faults: Sequence[Fault], audio_format: str) -> Engine:
        return self._reception.engine(admission, faults, playback="server", media=audio_format)


def _headers(sip: IncomingCall) -> list[tuple[str, str]]:
    headers = sip.invite.headers
    names: list[str] = headers.keys()
    return [(name, value) for name in names for value in headers.getlist(name)]
