"""A call that comes in: rung, accepted or rejected by us, or given up by who calls (RFC 3261, 9.2 and 13.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jackfield_local.sip.dialogs import Dialog
from jackfield_local.sip.events import Cancelled, Ended
from jackfield_local.sip.flow import Flow
from jackfield_local.sip.invitations import Invitation
from jackfield_local.sip.transactions import ServerTransaction

if TYPE_CHECKING:
    from jackfield_local.sip.user_agent import Core

__all__ = ["IncomingCall"]


class IncomingCall(Invitation):
    """A call that comes in. Raises `ValueError` where its Contact can't be used."""

    def __init__(self, core: Core, transaction: ServerTransaction, flow: Flow) -> None:
        super().__init__(core, transaction.request)
        self.dialog = Dialog.of_callee(transaction.request, core.token(), flow, core.contact(flow))
        self._offered = transaction

    @property
    def ringing(self) -> bool:
        """Whether the call waits for a final answer."""
        return self._first is not None

    @property
    def _first(self) -> ServerTransaction | None:
        """The transaction of the INVITE that began the call, while it waits for a final answer."""
        waiting = self._waiting()
        return waiting if waiting is not None and waiting.request is self.invite else None

    def ring(self) -> None:
        """Tell who calls that the phone rings."""
        if (transaction := self._first) is not None:
            transaction.respond(self._respond(transaction, 180))

    def reject(self, code: int, phrase: str | None = None) -> None:
        """Refuse the call, or a re-INVITE within it."""
        begins = self.ringing
        super().reject(code, phrase)
        if begins:
            self._end(by_peer=False, reason=f"rejected with {code}")

    def cancel(self) -> None:
        """Take the CANCEL of who calls; a call that is answered already goes on."""
        transaction = self._first
        if transaction is None:
            return
        self._offered = None
        transaction.respond(self._respond(transaction, 487))
        self.over = True
        self._core.forget(self)
        self._core.tell(Cancelled(self))
        self._core.tell(Ended(self, by_peer=True, reason="cancelled"))
