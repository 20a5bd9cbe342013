"""A user agent (RFC 3261, sections 8 to 15) without I/O: messages and the time in, messages, events and deadlines out.

`receive` takes what came on a flow, `advance` does what is due by the clock that it is given, and `deadline` says when
that is. `take_messages` and `take_events` return what follows; `wake` is called when there is something to take. Calls
are told of by events, and dealt with by their methods.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from sipmessage import CSeq, Request, Response

from jackfield_local.sip.building import ALLOW, Token, new_token, response_flow, response_to, via_for
from jackfield_local.sip.called import IncomingCall
from jackfield_local.sip.calling import OutgoingCall
from jackfield_local.sip.dialogs import DialogId, dialog_id
from jackfield_local.sip.events import Event, Invited
from jackfield_local.sip.flow import Flow
from jackfield_local.sip.invitations import SDP, Invitation, body_of
from jackfield_local.sip.messages import (
    BadMessageError,
    BadRequestError,
    parse_message,
    parse_uri,
    serialize,
    split_list,
    tag_of,
)
from jackfield_local.sip.timers import Timers
from jackfield_local.sip.transactions import ServerTransaction, Transactions

__all__ = ["Core", "UserAgent"]

_KNOWN: Final = {*ALLOW.split(", "), "REGISTER", "SUBSCRIBE", "PUBLISH", "MESSAGE", "PRACK", "UPDATE"}
_USER_AGENT: Final = "jackfield-local"


class Core(Protocol):
    """What a call needs of its user agent."""

    timers: Timers
    transactions: Transactions
    token: Token
    follows_refer: bool

    def tell(self, event: Event) -> None:
        """Tell the user."""
        ...

    def send(self, message: Request | Response, flow: Flow) -> None:
        """Send a message that belongs to no transaction."""
        ...

    def contact(self, flow: Flow) -> str:
        """Return our Contact for who is at the other end of a flow."""
        ...

    def keep(self, call: Invitation) -> None:
        """Have requests within the call's dialog led to it."""
        ...

    def forget(self, call: Invitation) -> None:
        """Have no more requests led to it."""
        ...

    def answer_options(self, transaction: ServerTransaction) -> None:
        """Say what we can."""
        ...

    def refuse_method(self, transaction: ServerTransaction) -> None:
        """Say that we can't do that."""
        ...


class UserAgent:
    """Answers calls and places some.

    `name` is the user part of its address. `follows_refer`: a REFER within a call is told of, instead of declined.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        name: str = "jackfield",
        follows_refer: bool = False,
        token: Token = new_token,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self.timers = Timers(clock)
        self.transactions = Transactions(self.timers, self.send)
        self.token = token
        self.follows_refer = follows_refer
        self.malformed = 0
        """How much came that was no SIP message, or not enough of one to be answered."""
        self._name = name
        self._wake = wake
        self._calls: dict[DialogId, Invitation] = {}
        self._ringing: dict[tuple[str, str, int], IncomingCall] = {}
        self._out: list[tuple[bytes, Flow]] = []
        self._events: list[Event] = []

    @property
    def deadline(self) -> float | None:
        """When `advance` must be called at the latest; None where nothing waits."""
        return self.timers.deadline

    @property
    def calls(self) -> int:
        """How many calls there are."""
        return len(self._calls)

    def take_messages(self) -> list[tuple[bytes, Flow]]:
        """Return what is to be sent since the last call, in order."""
        out, self._out = self._out, []
        return out

    def take_events(self) -> list[Event]:
        """Return what happened since the last call, in order."""
        events, self._events = self._events, []
        return events

    def advance(self) -> None:
        """Do what is due."""
        self.timers.run()

    def receive(self, data: bytes, flow: Flow) -> None:
        """Take a message that came on `flow`."""
        if not data.strip(b"\r\n\0 "):
            return  # a keep-alive
        try:
            message = parse_message(data)
        except BadRequestError as error:
            self._refuse(error, flow)
        except BadMessageError:
            self.malformed += 1
        else:
            if isinstance(message, Request):
                self._receive_request(message, flow)
            else:
                self.transactions.receive_response(message)

    def invite(
        self, target: str, flow: Flow, sdp: bytes | None, *, headers: dict[str, str] | None = None
    ) -> OutgoingCall:
        """Call `target`, a SIP URI, by way of `flow`; without `sdp` the peer makes the offer. Raises `ValueError`."""
        uri = parse_uri(target)
        contact = self.contact(flow)
        invite = Request("INVITE", uri)
        invite.headers.add("Via", via_for(flow, self.token()))
        invite.headers.add("Max-Forwards", "70")
        invite.headers.add("From", f"{contact};tag={self.token()}")
        invite.headers.add("To", f"<{uri}>")
        invite.headers.add("Call-ID", self.token())
        invite.headers.add("CSeq", "1 INVITE")
        invite.headers.add("Contact", contact)
        invite.headers.add("Allow", ALLOW)
        for name, value in (headers or {}).items():
            invite.headers.set(name, value)
        if sdp is not None:
            invite.headers.set("Content-Type", SDP)
            invite.body = sdp
        return OutgoingCall(self, invite, flow)

    def lost(self, flow: Flow) -> None:
        """Take note that a connection is gone, or was never made: requests on it have failed."""
        self.transactions.fail(flow)

    def tell(self, event: Event) -> None:
        """Tell the user."""
        self._events.append(event)
        self._wake()

    def send(self, message: Request | Response, flow: Flow) -> None:
        """Send a message."""
        if message.headers.get("User-Agent") is None and isinstance(message, Request):
            message.headers.add("User-Agent", _USER_AGENT)
        self._out.append((serialize(message), flow))
        self._wake()

    def contact(self, flow: Flow) -> str:
        """Return our Contact."""
        host, port = flow.local
        transport = ";transport=tcp" if flow.reliable else ""
        return f"<sip:{self._name}@{f'[{host}]' if ':' in host else host}:{port}{transport}>"

    def keep(self, call: Invitation) -> None:
        """Have requests within the call's dialog led to it."""
        assert call.dialog is not None
        self._calls[call.dialog.id] = call

    def forget(self, call: Invitation) -> None:
        """Have no more requests led to it."""
        if call.dialog is not None:
            self._calls.pop(call.dialog.id, None)
        self._ringing.pop(_merge_key(call.invite), None)

    def answer_options(self, transaction: ServerTransaction) -> None:
        """Say what we can (11.2)."""
        response = self._response(transaction, 200)
        response.headers.add("Allow", ALLOW)
        response.headers.add("Accept", SDP)
        transaction.respond(response)

    def refuse_method(self, transaction: ServerTransaction) -> None:
        """Refuse a method that we know with 405, and one that we don't with 501 (21.4.6 and 21.5.2)."""
        known = transaction.request.method in _KNOWN
        response = self._response(transaction, 405 if known else 501)
        response.headers.add("Allow", ALLOW)
        transaction.respond(response)

    def _receive_request(self, request: Request, flow: Flow) -> None:
        if request.method == "ACK":
            call = self._calls.get(dialog_id(request))
            if not self.transactions.takes_ack(request) and call is not None:
                call.receive_ack(request)
            return
        transaction = self.transactions.receive_request(request, flow)
        if transaction is None:
            return
        if request.method == "CANCEL":
            self._receive_cancel(transaction)
        elif tag_of(request, "To"):
            self._receive_within(transaction, flow)
        elif request.method == "INVITE":
            self._receive_invite(transaction, flow)
        elif request.method == "OPTIONS":
            self.answer_options(transaction)
        elif request.method in ("BYE", "INFO", "REFER", "NOTIFY"):
            transaction.respond(self._response(transaction, 481))
        else:
            self.refuse_method(transaction)

    def _receive_within(self, transaction: ServerTransaction, flow: Flow) -> None:
        call = self._calls.get(dialog_id(transaction.request))
        if call is None:
            transaction.respond(self._response(transaction, 481))
        elif (refusal := self._unusable(transaction)) is not None:
            transaction.respond(refusal)
        else:
            call.receive(transaction.request, transaction, flow)

    def _receive_cancel(self, transaction: ServerTransaction) -> None:
        invite = self.transactions.cancelled(transaction.request)
        if invite is None:
            transaction.respond(self._response(transaction, 481))
            return
        transaction.respond(self._response(transaction, 200))
        call = self._ringing.get(_merge_key(invite.request))
        if call is not None:
            call.cancel()

    def _receive_invite(self, transaction: ServerTransaction, flow: Flow) -> None:
        request = transaction.request
        if _merge_key(request) in self._ringing:
            # The same call has come by another way (8.2.2.2).
            transaction.respond(self._response(transaction, 482))
            return
        if (refusal := self._unusable(transaction)) is not None:
            transaction.respond(refusal)
            return
        transaction.respond(response_to(request, 100))
        try:
            call = IncomingCall(self, transaction, flow)
        except ValueError as error:
            transaction.respond(self._response(transaction, 400, f"Bad Request: {error}"))
            return
        self.keep(call)
        self._ringing[_merge_key(request)] = call
        self.tell(Invited(call, body_of(request)))

    def _unusable(self, transaction: ServerTransaction) -> Response | None:
        """Return the refusal of what a request requires or brings, where that is beyond us (8.2.2.3 and 8.2.3)."""
        request = transaction.request
        required = split_list(request.headers.getlist("Require"))
        if required:
            response = self._response(transaction, 420)
            response.headers.add("Unsupported", ", ".join(required))
            return response
        if request.method != "INVITE" or not request.body:
            return None
        content_type = (request.headers.get("Content-Type") or SDP).partition(";")[0].strip().lower()
        encoding = (request.headers.get("Content-Encoding") or "identity").lower()
        if content_type == SDP and encoding == "identity":
            return None
        response = self._response(transaction, 415)
        response.headers.add("Accept", SDP)
        return response

    def _refuse(self, error: BadRequestError, flow: Flow) -> None:
        """Refuse a request that can't be read in full: without a state, so that it may come as often as it likes."""
        self.malformed += 1
        if error.request.method == "ACK":
            return
        to = response_flow(error.request, flow)
        self.send(response_to(error.request, error.code, error.reason, tag=self.token()), to)

    def _response(self, transaction: ServerTransaction, code: int, phrase: str | None = None) -> Response:
        return response_to(transaction.request, code, phrase, tag=self.token())


def _merge_key(invite: Request) -> tuple[str, str, int]:
    sequence = CSeq.parse(invite.headers["CSeq"]).sequence
    return invite.headers["Call-ID"], tag_of(invite, "From"), sequence
