"""Transactions (RFC 3261, section 17, with RFC 6026): what is sent again, what was heard before, and when to give up.

The four state machines have the states and the timers of the standard under their own names. They send through the
`send` that they are given, and wait by `timers`; who uses a transaction is told by callables.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, TypeAlias

from attrs import frozen
from sipmessage import CSeq, Request, Response

from jackfield_local.sip.building import BRANCH_COOKIE, ack_of_refusal, response_flow
from jackfield_local.sip.flow import Flow
from jackfield_local.sip.messages import parse_via, split_list, tag_of
from jackfield_local.sip.timers import Timer, Timers

__all__ = ["T1", "T2", "T4", "ClientTransaction", "Send", "ServerTransaction", "Transactions"]

T1: Final = 0.5
"""Estimate of a round trip, in seconds (17.1.1.1)."""
T2: Final = 4.0
"""The longest interval at which anything but an INVITE is sent again."""
T4: Final = 5.0
"""The longest time that a message stays in the network."""
_TIMER_D: Final = 32.0

State: TypeAlias = Literal["trying", "calling", "proceeding", "completed", "confirmed", "accepted", "terminated"]
Send: TypeAlias = Callable[[Request | Response, Flow], None]
Key: TypeAlias = tuple[str, ...]


@frozen
class _Context:
    """What all transactions of one user agent share."""

    timers: Timers
    send: Send
    forget: Callable[[Key], None]


class _Transaction:
    """One transaction: its state, and the timers that end with it."""

    def __init__(self, key: Key, request: Request, flow: Flow, state: State, context: _Context) -> None:
        self.request = request
        self.flow = flow
        self.state: State = state
        self._key = key
        self._context = context
        self._timers: list[Timer] = []

    @property
    def invites(self) -> bool:
        """Whether the request is an INVITE."""
        return self.request.method == "INVITE"

    def terminate(self) -> None:
        """End the transaction at once: what still comes for it is no concern of its."""
        if self.state != "terminated":
            self._enter("terminated")
            self._context.forget(self._key)

    def _enter(self, state: State) -> None:
        self.state = state
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _after(self, seconds: float, call: Callable[[], None]) -> None:
        self._timers.append(self._context.timers.after(seconds, call))

    def _terminate_after(self, seconds: float) -> None:
        if seconds:
            self._after(seconds, self.terminate)
        else:
            self.terminate()


class ServerTransaction(_Transaction):
    """A request that we got (17.2.1 for an INVITE, 17.2.2 for others): `respond` to it.

    `unacknowledged` is called where nobody acknowledges a refused INVITE.
    """

    def __init__(self, key: Key, request: Request, flow: Flow, context: _Context) -> None:
        super().__init__(key, request, flow, "proceeding" if request.method == "INVITE" else "trying", context)
        self._last: Response | None = None

    @property
    def answered(self) -> bool:
        """Whether a final response was sent."""
        return self.state not in ("trying", "proceeding")

    def respond(self, response: Response) -> None:
        """Send a response; after a final one there are no others, but a 2xx to an INVITE may be sent again."""
        accepted_again = self.state == "accepted" and 200 <= response.code < 300
        if self.answered and not accepted_again:
            return
        self._last = response
        if response.code < 200:
            self.state = "proceeding"
        elif not self.invites:
            self._enter("completed")
            self._terminate_after(0 if self.flow.reliable else 64 * T1)  # Timer J
        elif response.code < 300:
            if not accepted_again:
                self._enter("accepted")
                self._terminate_after(64 * T1)  # Timer L of RFC 6026
        else:
            self._enter("completed")
            self._after(64 * T1, self.terminate)  # Timer H
            if not self.flow.reliable:
                self._repeat(T1)  # Timer G
        self._context.send(response, self.flow)

    def receive_again(self) -> None:
        """Take note that the request came once more."""
        if self._last is not None and self.state in ("proceeding", "completed"):
            self._context.send(self._last, self.flow)

    def receive_ack(self) -> bool:
        """Take an ACK of this INVITE. Return False where it is for who accepted the call."""
        if self.state == "completed":
            self._enter("confirmed")
            self._terminate_after(0 if self.flow.reliable else T4)  # Timer I
        return self.state != "accepted"

    def _repeat(self, interval: float) -> None:
        def again() -> None:
            assert self._last is not None
            self._context.send(self._last, self.flow)
            self._repeat(min(2 * interval, T2))

        self._after(interval, again)


class ClientTransaction(_Transaction):
    """A request of ours (17.1.1 for an INVITE, 17.1.2 for others).

    `on_response` gets each response once (and each 2xx to an INVITE as often as it comes), `on_timeout` is called where
    there was no final one in time. An INVITE that rings may ring for as long as its user lets it.
    """

    def __init__(
        self,
        key: Key,
        request: Request,
        flow: Flow,
        context: _Context,
        on_response: Callable[[Response], None],
        on_timeout: Callable[[], None],
    ) -> None:
        super().__init__(key, request, flow, "calling" if request.method == "INVITE" else "trying", context)
        self._on_response = on_response
        self._on_timeout = on_timeout
        self._ack: Request | None = None

    def start(self) -> None:
        """Send the request."""
        self._context.send(self.request, self.flow)
        self._after(64 * T1, self._time_out)  # Timers B and F
        if not self.flow.reliable:
            self._repeat(T1)  # Timers A and E

    def receive(self, response: Response) -> None:
        """Take a response that belongs to this transaction."""
        if self.invites:
            self._receive_for_invite(response)
        else:
            self._receive_for_other(response)

    def fail(self) -> None:
        """Take note that the request can't be sent (17.1.4): as if nobody had answered it, but at once."""
        if self.state in ("calling", "trying", "proceeding"):
            self._time_out()

    def _receive_for_invite(self, response: Response) -> None:
        if response.code < 200:
            if self.state in ("calling", "proceeding"):
                self._enter("proceeding")
                self._on_response(response)
        elif response.code < 300:
            if self.state in ("calling", "proceeding"):
                self._enter("accepted")
                self._terminate_after(64 * T1)  # Timer M of RFC 6026
            if self.state == "accepted":
                self._on_response(response)
        elif self.state in ("calling", "proceeding"):
            self._ack = ack_of_refusal(self.request, response)
            self._context.send(self._ack, self.flow)
            self._enter("completed")
            self._terminate_after(0 if self.flow.reliable else _TIMER_D)
            self._on_response(response)
        elif self.state == "completed" and self._ack is not None:
            self._context.send(self._ack, self.flow)

    def _receive_for_other(self, response: Response) -> None:
        if self.state not in ("trying", "proceeding"):
            return
        if response.code < 200:
            self.state = "proceeding"
        else:
            self._enter("completed")
            self._terminate_after(0 if self.flow.reliable else T4)  # Timer K
        self._on_response(response)

    def _repeat(self, interval: float) -> None:
        def again() -> None:
            self._context.send(self.request, self.flow)
            if self.invites:
                self._repeat(2 * interval)
            else:
                self._repeat(T2 if self.state == "proceeding" else min(2 * interval, T2))

        self._after(interval, again)

    def _time_out(self) -> None:
        self.terminate()
        self._on_timeout()


class Transactions:
    """The transactions of one user agent, and which message belongs to which (17.1.3 and 17.2.3)."""

    def __init__(self, timers: Timers, send: Send) -> None:
        self._servers: dict[Key, ServerTransaction] = {}
        self._clients: dict[Key, ClientTransaction] = {}
        self._for_servers = _Context(timers, send, lambda key: self._forget(self._servers, key))
        self._for_clients = _Context(timers, send, lambda key: self._forget(self._clients, key))

    def __len__(self) -> int:
        return len(self._servers) + len(self._clients)

    def receive_request(self, request: Request, flow: Flow) -> ServerTransaction | None:
        """Return the new transaction of a request; None for one that is known, and is dealt with.

        An ACK has no transaction of its own: see `takes_ack`.
        """
        key = _server_key(request, request.method)
        known = self._servers.get(key)
        if known is not None:
            known.receive_again()
            return None
        transaction = ServerTransaction(key, request, response_flow(request, flow), self._for_servers)
        self._servers[key] = transaction
        return transaction

    def takes_ack(self, ack: Request) -> bool:
        """Return whether an ACK was for the refusal of an INVITE, and is dealt with."""
        known = self._servers.get(_server_key(ack, "INVITE"))
        return known is not None and known.receive_ack()

    def cancelled(self, cancel: Request) -> ServerTransaction | None:
        """Return the INVITE that a CANCEL is for (9.2)."""
        return self._servers.get(_server_key(cancel, "INVITE"))

    def receive_response(self, response: Response) -> bool:
        """Hand a response to the request that it answers. Return False where there is none."""
        known = self._clients.get(_client_key(response))
        if known is None:
            return False
        known.receive(response)
        return True

    def start(
        self,
        request: Request,
        flow: Flow,
        on_response: Callable[[Response], None],
        on_timeout: Callable[[], None],
    ) -> ClientTransaction:
        """Send a request in a transaction of its own."""
        key = _client_key(request)
        transaction = ClientTransaction(key, request, flow, self._for_clients, on_response, on_timeout)
        self._clients[key] = transaction
        transaction.start()
        return transaction

    def fail(self, flow: Flow) -> None:
        """Take note that nothing can be sent on a flow any more."""
        for transaction in [one for one in self._clients.values() if one.flow == flow]:
            transaction.fail()

    @staticmethod
    def _forget(transactions: dict[Key, ServerTransaction] | dict[Key, ClientTransaction], key: Key) -> None:
        transactions.pop(key, None)


def _server_key(request: Request, method: str) -> Key:
    top = split_list(request.headers.getlist("Via"))[0]
    via = parse_via(top)
    branch = via.parameters.get("branch") or ""
    if branch.startswith(BRANCH_COOKIE) and len(branch) > len(BRANCH_COOKIE):
        return branch, via.host.lower(), str(via.port), method
    # RFC 2543 had no such branches: there, requests are the same where all this is.
    sequence = str(CSeq.parse(request.headers["CSeq"]).sequence)
    return top, request.headers["Call-ID"], sequence, tag_of(request, "From"), method


def _client_key(message: Request | Response) -> Key:
    via = parse_via(split_list(message.headers.getlist("Via"))[0])
    return via.parameters.get("branch") or "", CSeq.parse(message.headers["CSeq"]).method
