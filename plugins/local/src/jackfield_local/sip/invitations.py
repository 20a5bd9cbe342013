"""A call within SIP: one dialog begun by an INVITE, and all that may happen in it (RFC 3261, sections 12 to 15).

What both ends have in common is here; `called` adds what only who is called does, `calling` what only who calls does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sipmessage import CSeq, Request, Response

from jackfield_local.sip.building import ALLOW, response_to
from jackfield_local.sip.dialogs import Dialog
from jackfield_local.sip.events import (
    Acknowledged,
    Ended,
    Info,
    Notified,
    ReferAnswered,
    Referred,
    ReinviteAnswered,
    Reinvited,
)
from jackfield_local.sip.flow import Flow
from jackfield_local.sip.messages import parse_address
from jackfield_local.sip.timers import Timer
from jackfield_local.sip.transactions import T1, T2, ServerTransaction

if TYPE_CHECKING:
    from jackfield_local.sip.user_agent import Core

__all__ = ["SDP", "Invitation", "body_of"]

SDP: Final = "application/sdp"
_SIPFRAG: Final = "message/sipfrag;version=2.0"
_SIPFRAG_STATUS: Final = re.compile(rb"SIP/2\.0 +(\d{3})", re.IGNORECASE)
_GONE: Final = (408, 481)
"""Responses within a dialog that say that the peer knows nothing of it (12.2.1.2)."""


class Invitation:
    """One call, from the INVITE to its end. `dialog` is there once the peer's tag and ours are known."""

    def __init__(self, core: Core, invite: Request) -> None:
        self.invite = invite
        self.dialog: Dialog | None = None
        self.over = False
        self._core = core
        self._offered: ServerTransaction | None = None
        """The INVITE of the peer's that waits for an answer, or its answer for an ACK."""
        self._answer: Response | None = None
        self._resending: Timer | None = None
        self._giving_up: Timer | None = None
        self._leaving = False
        self._reinviting = False
        self._subscriber = False
        self._ack: tuple[int, Request, Flow] | None = None

    @property
    def call_id(self) -> str:
        """The Call-ID of the call."""
        return self.invite.headers["Call-ID"]

    def accept(self, sdp: bytes) -> None:
        """Answer the INVITE or re-INVITE that waits with 200 and `sdp`, again and again until it is acknowledged."""
        transaction = self._waiting()
        if transaction is None or self.dialog is None:
            return
        response = self._respond(transaction, 200)
        response.headers.add("Allow", ALLOW)
        _set_body(response, SDP, sdp)
        self._answer = response
        transaction.respond(response)
        self._giving_up = self._core.timers.after(64 * T1, self._never_acknowledged)
        self._resend(transaction, T1)

    def reject(self, code: int, phrase: str | None = None) -> None:
        """Refuse the INVITE or re-INVITE that waits; a call that has not begun is over with that."""
        transaction = self._waiting()
        if transaction is None:
            return
        self._offered = None
        transaction.respond(self._respond(transaction, code, phrase))

    def bye(self) -> None:
        """Hang up: at once, or as soon as the peer has acknowledged our answer (15)."""
        if self.over or self.dialog is None:
            return
        if self._answer is not None:
            self._leaving = True
            return
        self._send("BYE", lambda _response: None, lambda: None)
        self._end(by_peer=False, reason="hung up")

    def reinvite(self, sdp: bytes) -> bool:
        """Offer to change the call; return False where one of us is about to do so already (14.1)."""
        if self.over or self.dialog is None or self._reinviting or self._offered is not None:
            return False
        self._reinviting = True
        sequence = self.dialog.local_sequence + 1
        self._send(
            "INVITE",
            lambda response: self._reinvite_answered(response, sequence),
            lambda: self._reinvite_failed(408),
            body=(SDP, sdp),
        )
        return True

    def refer(self, target: str) -> bool:
        """Ask the peer to call `target`, an address or a URI; return False where there is nobody to ask."""
        if self.over or self.dialog is None:
            return False
        headers = {"Refer-To": target if "<" in target else f"<{target}>", "Referred-By": self.dialog.contact}
        self._send("REFER", self._refer_answered, lambda: self._tell_refer(408), headers=headers)
        return True

    def notify(self, code: int, phrase: str) -> None:
        """Tell the peer how far we have come with what its REFER asked; with a final `code` there is nothing more."""
        if self.over or not self._subscriber:
            return
        final = code >= 200
        self._subscriber = not final
        state = "terminated;reason=noresource" if final else "active;expires=60"
        headers = {"Event": "refer", "Subscription-State": state}
        body = _SIPFRAG, f"SIP/2.0 {code} {phrase}\r\n".encode()
        self._send("NOTIFY", lambda _response: None, lambda: None, headers=headers, body=body)

    def info(self, content_type: str, body: bytes) -> None:
        """Send an INFO."""
        if not self.over and self.dialog is not None:
            self._send("INFO", lambda _response: None, lambda: None, body=(content_type, body))

    def receive(self, request: Request, transaction: ServerTransaction, flow: Flow) -> None:
        """Take a request within the dialog."""
        assert self.dialog is not None
        if not self.dialog.follows(request):
            transaction.respond(self._respond(transaction, 500))
            return
        if flow.transport == self.dialog.flow.transport:
            self.dialog.flow = flow
        handler = self._handlers.get(request.method)
        if handler is None:
            self._core.refuse_method(transaction)
        else:
            handler(self, request, transaction)

    def receive_ack(self, ack: Request) -> None:
        """Take the ACK of our answer."""
        offered = self._offered
        if self._answer is None or offered is None or _sequence(ack) != _sequence(offered.request):
            return
        self._answer = self._offered = None
        self._stop_resending()
        self._core.tell(Acknowledged(self, body_of(ack)))
        if self._leaving:
            self.bye()

    def abandon(self, reason: str) -> None:
        """End the call without a word to the peer, who can't be reached."""
        self._end(by_peer=False, reason=reason)

    def _received_invite(self, request: Request, transaction: ServerTransaction) -> None:
        assert self.dialog is not None
        if self._reinviting:
            transaction.respond(self._respond(transaction, 491))
        elif self._offered is not None:
            response = self._respond(transaction, 500)
            response.headers.add("Retry-After", "1")
            transaction.respond(response)
        else:
            try:
                self.dialog.refresh(request)
            except ValueError as error:
                transaction.respond(self._respond(transaction, 400, f"Bad Request: {error}"))
                return
            self._offered = transaction
            self._core.tell(Reinvited(self, body_of(request)))

    def _received_bye(self, _request: Request, transaction: ServerTransaction) -> None:
        waiting = self._waiting()
        if waiting is not None:
            waiting.respond(self._respond(waiting, 487))
        transaction.respond(self._respond(transaction, 200))
        self._end(by_peer=True, reason="the peer hung up")

    def _received_refer(self, request: Request, transaction: ServerTransaction) -> None:
        targets = request.headers.getlist("Refer-To")
        try:
            if len(targets) != 1:
                raise ValueError("there must be one Refer-To")
            target = str(parse_address(targets[0]).uri)
        except ValueError as error:
            transaction.respond(self._respond(transaction, 400, f"Bad Request: {error}"))
            return
        if not self._core.follows_refer:
            transaction.respond(self._respond(transaction, 603))
            return
        transaction.respond(self._respond(transaction, 202))
        self._subscriber = True
        self.notify(100, "Trying")
        self._core.tell(Referred(self, target))

    def _received_notify(self, request: Request, transaction: ServerTransaction) -> None:
        status = _SIPFRAG_STATUS.match(request.body)
        transaction.respond(self._respond(transaction, 200))
        if status is not None:
            self._core.tell(Notified(self, int(status[1])))

    def _received_info(self, request: Request, transaction: ServerTransaction) -> None:
        transaction.respond(self._respond(transaction, 200))
        self._core.tell(Info(self, request.headers.get("Content-Type") or "", request.body))

    def _received_options(self, _request: Request, transaction: ServerTransaction) -> None:
        self._core.answer_options(transaction)

    _handlers: Final = {
        "INVITE": _received_invite,
        "BYE": _received_bye,
        "REFER": _received_refer,
        "NOTIFY": _received_notify,
        "INFO": _received_info,
        "OPTIONS": _received_options,
    }

    def _waiting(self) -> ServerTransaction | None:
        """Return the INVITE that has no final answer yet."""
        return None if self._offered is None or self._offered.answered else self._offered

    def _respond(self, transaction: ServerTransaction, code: int, phrase: str | None = None) -> Response:
        tag = "" if self.dialog is None else self.dialog.local_tag
        response = response_to(transaction.request, code, phrase, tag=tag)
        if transaction.invites and 101 <= code < 300 and self.dialog is not None:
            response.headers.add("Contact", self.dialog.contact)
            for route in transaction.request.headers.getlist("Record-Route"):
                response.headers.add("Record-Route", route)
        return response

    def _resend(self, transaction: ServerTransaction, interval: float) -> None:
        """Send the 200 again, over TCP too, until it is acknowledged (13.3.1.4)."""

        def again() -> None:
            if self._answer is not None:
                transaction.respond(self._answer)
                self._resend(transaction, min(2 * interval, T2))

        self._resending = self._core.timers.after(interval, again)

    def _never_acknowledged(self) -> None:
        self._answer = self._offered = None
        self._stop_resending()
        if not self.over:
            self._send("BYE", lambda _response: None, lambda: None)
            self._end(by_peer=False, reason="the answer was not acknowledged")

    def _stop_resending(self) -> None:
        for timer in (self._resending, self._giving_up):
            if timer is not None:
                timer.cancel()
        self._resending = self._giving_up = None

    def _reinvite_answered(self, response: Response, sequence: int) -> None:
        if response.code < 200:
            return
        if response.code >= 300:
            self._reinvite_failed(response.code)
            return
        assert self.dialog is not None
        usable = True
        if self._reinviting:
            try:
                self.dialog.refresh(response)
            except ValueError:
                usable = False
        self._acknowledge(sequence)
        if not self._reinviting or self.over:
            return
        self._reinviting = False
        if usable:
            self._core.tell(ReinviteAnswered(self, response.code, body_of(response)))
        else:
            self.bye()

    def _reinvite_failed(self, code: int) -> None:
        self._reinviting = False
        if not self.over:
            self._core.tell(ReinviteAnswered(self, code, None))
        if code in _GONE:
            self.bye()

    def _acknowledge(self, sequence: int) -> None:
        """Acknowledge a 2xx to an INVITE of ours, each time that it comes (13.2.2.4)."""
        assert self.dialog is not None
        if self._ack is None or self._ack[0] != sequence:
            self._ack = (sequence, *self.dialog.request("ACK", self._core.token, sequence=sequence))
        self._core.send(*self._ack[1:])

    def _refer_answered(self, response: Response) -> None:
        if response.code >= 200:
            self._tell_refer(response.code)

    def _tell_refer(self, code: int) -> None:
        if self.over:
            return
        self._core.tell(ReferAnswered(self, code))
        if code in _GONE:
            self.bye()

    def _send(
        self,
        method: str,
        on_response: Callable[[Response], None],
        on_timeout: Callable[[], None],
        *,
        headers: dict[str, str] | None = None,
        body: tuple[str, bytes] | None = None,
    ) -> None:
        assert self.dialog is not None
        request, flow = self.dialog.request(method, self._core.token)
        for name, value in (headers or {}).items():
            request.headers.add(name, value)
        if method in ("INVITE", "REFER"):
            request.headers.add("Allow", ALLOW)
        if body is not None:
            _set_body(request, *body)
        self._core.transactions.start(request, flow, on_response, on_timeout)

    def _end(self, *, by_peer: bool, reason: str) -> None:
        if self.over:
            return
        self.over = True
        self._answer = None
        self._stop_resending()
        self._core.forget(self)
        self._core.tell(Ended(self, by_peer, reason))


def body_of(message: Request | Response) -> bytes | None:
    """Return the session description that a message carries, if it does."""
    return message.body or None


def _set_body(message: Request | Response, content_type: str, body: bytes) -> None:
    message.headers.add("Content-Type", content_type)
    message.body = body


def _sequence(request: Request) -> int:
    return CSeq.parse(request.headers["CSeq"]).sequence
