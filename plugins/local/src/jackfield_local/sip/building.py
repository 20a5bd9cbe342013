"""Messages that we write: responses (RFC 3261, section 8.2.6), and the ACK and CANCEL of a request (17.1.1.3, 9.1)."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Callable
from typing import Final, TypeAlias

from sipmessage import CSeq, Request, Response

from jackfield_local.sip.flow import Flow
from jackfield_local.sip.messages import parse_via, split_list, tag_of

__all__ = [
    "ALLOW",
    "BRANCH_COOKIE",
    "PHRASES",
    "Token",
    "ack_of_refusal",
    "cancel_of",
    "new_token",
    "response_flow",
    "response_to",
    "via_for",
]

Token: TypeAlias = Callable[[], str]
"""Makes tags, branches and Call-IDs: each is unlike any other."""

BRANCH_COOKIE: Final = "z9hG4bK"
ALLOW: Final = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, REFER, NOTIFY"

PHRASES: Final = {
    100: "Trying",
    180: "Ringing",
    183: "Session Progress",
    200: "OK",
    202: "Accepted",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    491: "Request Pending",
    500: "Server Internal Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "Version Not Supported",
    600: "Busy Everywhere",
    603: "Decline",
}
_COPIED: Final = ("Via", "From", "To", "Call-ID", "CSeq")
_DEFAULT_PORT: Final = 5060


def new_token() -> str:
    """Return 64 random bits (RFC 3261, section 19.3, wants 32 at least)."""
    return secrets.token_hex(8)


def response_to(request: Request, code: int, phrase: str | None = None, *, tag: str = "") -> Response:
    """Return a response to `request`; `tag` is put to its To, where that has none yet."""
    response = Response(code, phrase or PHRASES.get(code, "-"))
    for name in _COPIED:
        for value in request.headers.getlist(name):
            response.headers.add(name, value)
    if code == 100:
        for value in request.headers.getlist("Timestamp"):
            response.headers.add("Timestamp", value)
    elif tag and request.headers.get("To") is not None and not _has_tag(request):
        response.headers.set("To", f"{request.headers['To']};tag={tag}")
    return response


def response_flow(request: Request, flow: Flow) -> Flow:
    """Return where responses go to that `request` came by (RFC 3261, 18.2.2; RFC 3581, 4), and say so in its Via.

    Over UDP that is the source address, at the port of the Via unless `rport` asks for that of the source too.
    """
    first, *others = split_list(request.headers.getlist("Via"))
    via = parse_via(first)
    host, port = flow.remote
    symmetric = "rport" in via.parameters
    if symmetric:
        first = _without(_without(first, "received"), "rport") + f";received={host};rport={port}"
    elif via.host.strip("[]") != host:
        first = f"{_without(first, 'received')};received={host}"
    request.headers.setlist("Via", [first, *others])
    if flow.reliable or symmetric:
        return flow
    return Flow(flow.transport, flow.local, (host, via.port or _DEFAULT_PORT))


def via_for(flow: Flow, branch: str) -> str:
    """Return the Via of a request of ours."""
    return f"SIP/2.0/{flow.transport} {_reference(flow.local[0])}:{flow.local[1]};rport;branch={BRANCH_COOKIE}{branch}"


def ack_of_refusal(invite: Request, response: Response) -> Request:
    """Return the ACK for a final response of 300 to 699: part of the INVITE's transaction (17.1.1.3)."""
    ack = _same_branch(invite, "ACK")
    ack.headers.set("To", response.headers["To"])
    return ack


def cancel_of(invite: Request) -> Request:
    """Return the CANCEL of an INVITE (9.1)."""
    return _same_branch(invite, "CANCEL")


def _same_branch(invite: Request, method: str) -> Request:
    request = Request(method, invite.uri)
    request.headers.add("Via", invite.headers["Via"])
    for name in ("Max-Forwards", "Route", "From", "To", "Call-ID"):
        for value in invite.headers.getlist(name):
            request.headers.add(name, value)
    request.headers.add("CSeq", f"{CSeq.parse(invite.headers['CSeq']).sequence} {method}")
    return request


def _has_tag(request: Request) -> bool:
    try:
        return bool(tag_of(request, "To"))
    except ValueError:
        return True


def _without(via: str, parameter: str) -> str:
    parts = via.split(";")
    return ";".join(part for part in parts if part.partition("=")[0].strip().lower() != parameter)


def _reference(host: str) -> str:
    """Return a host as URIs and Via have it: IPv6 addresses in brackets."""
    try:
        return f"[{host}]" if ipaddress.ip_address(host).version == 6 else host
    except ValueError:
        return host
