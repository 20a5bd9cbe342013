"""A call that we place: provisional answers, the answer, or a refusal; and giving it up (RFC 3261, 9.1 and 13.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmessage import CSeq, Request, Response

from jackfield_local.sip.building import cancel_of
from jackfield_local.sip.dialogs import Dialog
from jackfield_local.sip.events import Answered, Refused, Ringing
from jackfield_local.sip.flow import Flow
from jackfield_local.sip.invitations import Invitation, body_of
from jackfield_local.sip.messages import tag_of
from jackfield_local.sip.transactions import T1

if TYPE_CHECKING:
    from jackfield_local.sip.user_agent import Core

__all__ = ["OutgoingCall"]


class OutgoingCall(Invitation):
    """A call that we place."""

    def __init__(self, core: Core, invite: Request, flow: Flow) -> None:
        super().__init__(core, invite)
        self._flow = flow
        self._provisional = False
        self._cancelled = False
        self._cancel_sent = False
        self._transaction = core.transactions.start(invite, flow, self._received, self._timed_out)

    def cancel(self) -> None:
        """Give the call up; nothing happens where it was answered."""
        if self.over or self.dialog is not None or self._cancelled:
            return
        self._cancelled = True
        if self._provisional:
            self._send_cancel()

    def _received(self, response: Response) -> None:
        if response.code < 200:
            self._provisional = True
            if self._cancelled:
                self._send_cancel()
            elif response.code > 100:
                self._core.tell(Ringing(self, response.code))
        elif response.code < 300:
            self._received_answer(response)
        else:
            self._fail(response.code, response.phrase)

    def _received_answer(self, response: Response) -> None:
        sequence = CSeq.parse(self.invite.headers["CSeq"]).sequence
        if self.dialog is None:
            try:
                self.dialog = Dialog.of_caller(self.invite, response, self._flow)
            except ValueError:
                # An answer that can't be acknowledged where it wants to be: there is no call.
                self._fail(500, "The answer has no Contact")
                return
            self._core.keep(self)
            self._acknowledge(sequence)
            if self._cancelled:
                # The answer was faster than the CANCEL, which is then of no effect.
                self.bye()
            else:
                self._core.tell(Answered(self, body_of(response)))
        elif tag_of(response, "To") == self.dialog.remote_tag:
            self._acknowledge(sequence)
        else:
            self._refuse_fork(response, sequence)

    def _refuse_fork(self, response: Response, sequence: int) -> None:
        """End the call with a second phone that has answered the same INVITE (13.2.2.4)."""
        try:
            other = Dialog.of_caller(self.invite, response, self._flow)
        except ValueError:
            return
        self._core.send(*other.request("ACK", self._core.token, sequence=sequence))
        bye, flow = other.request("BYE", self._core.token)
        self._core.transactions.start(bye, flow, lambda _response: None, lambda: None)

    def _send_cancel(self) -> None:
        if self._cancel_sent:
            return
        self._cancel_sent = True
        self._core.transactions.start(cancel_of(self.invite), self._flow, lambda _response: None, lambda: None)
        # A peer of RFC 2543 sends no 487: the call is over without it (9.1).
        self._giving_up = self._core.timers.after(64 * T1, self._timed_out)

    def _timed_out(self) -> None:
        if self.dialog is None:
            self._transaction.terminate()
            self._fail(408, "Request Timeout")

    def _fail(self, code: int, phrase: str) -> None:
        if not self.over:
            self._core.tell(Refused(self, code, phrase))
            self._end(by_peer=False, reason=phrase)
