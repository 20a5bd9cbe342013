"""A dialog (RFC 3261, section 12): what two user agents know of each other, and the requests that follow from it."""

from __future__ import annotations

import ipaddress
from typing import Self, TypeAlias

from attrs import define
from sipmessage import CSeq, Request, Response

from jackfield_local.sip.building import Token, via_for
from jackfield_local.sip.flow import Flow
from jackfield_local.sip.messages import WireUri, parse_address, parse_uri, split_list, tag_of

__all__ = ["Dialog", "DialogId", "dialog_id", "remote_target"]

DialogId: TypeAlias = tuple[str, str, str]
"""Call-ID, local tag, remote tag (12)."""

_DEFAULT_PORT = 5060


@define
class Dialog:
    """One dialog. `local` and `remote` are the values of From in our requests and in the peer's, tags included.

    `flow` is how the peer was last heard. `remote_sequence` is None until a request of its came.
    """

    call_id: str
    local: str
    remote: str
    local_tag: str
    remote_tag: str
    target: WireUri
    routes: list[str]
    flow: Flow
    contact: str
    local_sequence: int
    remote_sequence: int | None

    @classmethod
    def of_callee(cls, invite: Request, tag: str, flow: Flow, contact: str) -> Self:
        """Return the dialog of who is called (12.1.1). Raises `ValueError` where the Contact can't be used."""
        return cls(
            call_id=invite.headers["Call-ID"],
            local=f"{invite.headers['To']};tag={tag}",
            remote=invite.headers["From"],
            local_tag=tag,
            remote_tag=tag_of(invite, "From"),
            target=remote_target(invite),
            routes=split_list(invite.headers.getlist("Record-Route")),
            flow=flow,
            contact=contact,
            local_sequence=0,
            remote_sequence=CSeq.parse(invite.headers["CSeq"]).sequence,
        )

    @classmethod
    def of_caller(cls, invite: Request, response: Response, flow: Flow) -> Self:
        """Return the dialog of who calls (12.1.2). Raises `ValueError` where the Contact can't be used."""
        return cls(
            call_id=invite.headers["Call-ID"],
            local=invite.headers["From"],
            remote=response.headers["To"],
            local_tag=tag_of(invite, "From"),
            remote_tag=tag_of(response, "To"),
            target=remote_target(response),
            routes=split_list(response.headers.getlist("Record-Route"))[::-1],
            flow=flow,
            contact=invite.headers["Contact"],
            local_sequence=CSeq.parse(invite.headers["CSeq"]).sequence,
            remote_sequence=None,
        )

    @property
    def id(self) -> DialogId:
        """What tells it from other dialogs."""
        return self.call_id, self.local_tag, self.remote_tag

    def request(self, method: str, token: Token, *, sequence: int | None = None) -> tuple[Request, Flow]:
        """Return a request within the dialog, and the way that it goes (12.2.1.1); an ACK has the INVITE's number."""
        if sequence is None:
            self.local_sequence += 1
            sequence = self.local_sequence
        uri, routes = self.target, list(self.routes)
        if routes and "lr" not in (first := parse_address(routes[0]).uri).parameters:
            # A strict router of RFC 2543 wants to be the Request-URI.
            routes = [*routes[1:], f"<{self.target}>"]
            assert isinstance(first, WireUri)
            uri = first
        next_hop = parse_address(self.routes[0]).uri if self.routes else self.target
        assert isinstance(next_hop, WireUri)
        flow = self._flow_to(next_hop)
        request = Request(method, uri)
        request.headers.add("Via", via_for(flow, token()))
        request.headers.add("Max-Forwards", "70")
        for route in routes:
            request.headers.add("Route", route)
        request.headers.add("From", self.local)
        request.headers.add("To", self.remote)
        request.headers.add("Call-ID", self.call_id)
        request.headers.add("CSeq", f"{sequence} {method}")
        if method in ("INVITE", "REFER"):
            request.headers.add("Contact", self.contact)
        return request, flow

    def follows(self, request: Request) -> bool:
        """Take a request's number; return False where it is lower than the last one (12.2.2)."""
        sequence = CSeq.parse(request.headers["CSeq"]).sequence
        if self.remote_sequence is not None and sequence < self.remote_sequence:
            return False
        self.remote_sequence = sequence
        return True

    def refresh(self, message: Request | Response) -> None:
        """Take the target from a re-INVITE, or from the answer to one (12.2.1.2 and 12.2.2)."""
        if message.headers.getlist("Contact"):
            self.target = remote_target(message)

    def _flow_to(self, uri: WireUri) -> Flow:
        """Return the way to `uri`: a connection that is there is used, and names are not looked up."""
        if self.flow.reliable:
            return self.flow
        host = uri.host.strip("[]")
        try:
            address = ipaddress.ip_address(host)
            known = ipaddress.ip_address(self.flow.remote[0])
        except ValueError:
            return self.flow
        if (
            address.version != known.version
            or address.is_unspecified
            or (known.is_loopback and not address.is_loopback)
        ):
            # What can't be reached from here: the peer is behind something that it doesn't know of.
            return self.flow
        return Flow(self.flow.transport, self.flow.local, (host, uri.port or _DEFAULT_PORT))


def dialog_id(message: Request | Response) -> DialogId:
    """Return the dialog that a request of the peer's belongs to."""
    return message.headers["Call-ID"], tag_of(message, "To"), tag_of(message, "From")


def remote_target(message: Request | Response) -> WireUri:
    """Return where the sender of a message wants requests to go. Raises `ValueError`: it is one SIP URI (8.1.1.8)."""
    contacts = split_list(message.headers.getlist("Contact"))
    if len(contacts) != 1:
        raise ValueError("there must be one Contact")
    uri = parse_address(contacts[0]).uri
    assert isinstance(uri, WireUri)
    if uri.scheme not in ("sip", "sips"):
        raise ValueError("the Contact is no SIP URI")
    # What a URI may have for forming a request is no part of a Request-URI (19.1.1).
    return parse_uri(uri.text.partition("?")[0])
