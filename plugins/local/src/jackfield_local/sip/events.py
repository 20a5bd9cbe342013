"""What a user agent tells its user, call by call."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from attrs import frozen

if TYPE_CHECKING:
    from jackfield_local.sip.invitations import Invitation

__all__ = [
    "Acknowledged",
    "Answered",
    "Cancelled",
    "Ended",
    "Event",
    "Info",
    "Invited",
    "Notified",
    "ReferAnswered",
    "Referred",
    "Refused",
    "ReinviteAnswered",
    "Reinvited",
    "Ringing",
]


@frozen
class Invited:
    """Somebody calls; `offer` is the body of the INVITE, None where it has none. To be rung, accepted or rejected."""

    call: Invitation
    offer: bytes | None


@frozen
class Cancelled:
    """Who called has given up before there was an answer."""

    call: Invitation


@frozen
class Acknowledged:
    """The ACK of an answer came, to the call or to a re-INVITE; `answer` is its body, where we made the offer."""

    call: Invitation
    answer: bytes | None


@frozen
class Ringing:
    """A call of ours is on its way: 180, or another provisional `code`."""

    call: Invitation
    code: int


@frozen
class Answered:
    """A call of ours was answered; `answer` is the body of the 200."""

    call: Invitation
    answer: bytes | None


@frozen
class Refused:
    """A call of ours was not answered: the `code` of the response, 408 where there was none."""

    call: Invitation
    code: int
    phrase: str


@frozen
class Reinvited:
    """The peer wants to change the call: to be accepted or rejected like an INVITE."""

    call: Invitation
    offer: bytes | None


@frozen
class ReinviteAnswered:
    """How the peer answered our re-INVITE."""

    call: Invitation
    code: int
    answer: bytes | None


@frozen
class Referred:
    """The peer asks us to call `target`: to be followed or declined."""

    call: Invitation
    target: str


@frozen
class ReferAnswered:
    """How the peer answered our REFER: 202 where it does what we ask."""

    call: Invitation
    code: int


@frozen
class Notified:
    """How far the peer has come with what our REFER asked: the status of its call to the target (RFC 3515, 2.4.4)."""

    call: Invitation
    code: int


@frozen
class Info:
    """An INFO came within the call."""

    call: Invitation
    content_type: str
    body: bytes


@frozen
class Ended:
    """The call is over; `by_peer`: it sent a BYE. Nothing follows."""

    call: Invitation
    by_peer: bool
    reason: str


Event: TypeAlias = (
    Invited
    | Cancelled
    | Acknowledged
    | Ringing
    | Answered
    | Refused
    | Reinvited
    | ReinviteAnswered
    | Referred
    | ReferAnswered
    | Notified
    | Info
    | Ended
)
