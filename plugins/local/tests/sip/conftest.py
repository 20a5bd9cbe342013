"""A peer for the tests of the sans-I/O core: it writes messages as text, reads what comes back, and moves the time."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from sipmessage import Request, Response

from jackfield_local.sip.events import Event
from jackfield_local.sip.flow import Flow
from jackfield_local.sip.messages import parse_message
from jackfield_local.sip.user_agent import UserAgent

OFFER = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
HERE = ("127.0.0.1", 5060)
THERE = ("127.0.0.1", 5070)
UDP = Flow("UDP", HERE, THERE)
TCP = Flow("TCP", HERE, THERE, connection=1)


def tokens() -> Callable[[], str]:
    numbers = itertools.count(1)
    return lambda: f"t{next(numbers)}"


class Peer:
    """Who talks to the user agent `agent`, over UDP unless told otherwise."""

    def __init__(self, flow: Flow = UDP, **options: Any) -> None:
        self.now = 1000.0
        self.flow = flow
        self.agent = UserAgent(clock=lambda: self.now, token=tokens(), **options)
        self.events: list[Event] = []
        self.flows: list[Flow] = []
        self._branches = itertools.count(1)

    def text(self, method: str, *, to_tag: str = "", sequence: int = 1, branch: str = "", **changes: str | None) -> str:
        """A request as text; `changes` replace headers, by their names with underscores, or leave them out."""
        body = changes.pop("body", None) or ""
        headers: dict[str, str | None] = {
            "Via": f"SIP/2.0/{self.flow.transport} 127.0.0.1:5070;branch=z9hG4bK{branch or next(self._branches)}",
            "Max-Forwards": "70",
            "From": "<sip:alice@127.0.0.1:5070>;tag=alice",
            "To": "<sip:bob@127.0.0.1:5060>" + (f";tag={to_tag}" if to_tag else ""),
            "Call-ID": "call-1",
            "CSeq": f"{sequence} {method}",
        }
        if method in ("INVITE", "REFER"):
            headers["Contact"] = "<sip:alice@127.0.0.1:5070>"
        if body:
            headers["Content-Type"] = "application/sdp"
        headers["Content-Length"] = str(len(body.encode()))
        uri = changes.pop("uri", None) or "sip:bob@127.0.0.1:5060"
        headers.update({name.replace("_", "-"): value for name, value in changes.items()})
        lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
        return "\r\n".join([f"{method} {uri} SIP/2.0", *lines, "", body])

    def raw(self, data: str | bytes, flow: Flow | None = None) -> list[Request | Response]:
        """Send something, and return what comes back at once."""
        self.agent.receive(data if isinstance(data, bytes) else data.encode(), flow or self.flow)
        return self.take()

    def send(self, method: str, **changes: Any) -> list[Request | Response]:
        return self.raw(self.text(method, **changes))

    def answer(self, request: Request, code: int, *, tag: str = "bob", **headers: str) -> list[Request | Response]:
        """Answer a request of the user agent's."""
        body = headers.pop("body", "")
        lines = [f"SIP/2.0 {code} Whatever"]
        for name in ("Via", "From", "To", "Call-ID", "CSeq"):
            value = request.headers[name]
            lines.append(f"{name}: {value};tag={tag}" if name == "To" and "tag=" not in value else f"{name}: {value}")
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        return self.raw("\r\n".join([*lines, f"Content-Length: {len(body)}", "", body]))

    def wait(self, seconds: float) -> list[tuple[float, Request | Response]]:
        """Let time pass; return what comes meanwhile, and after how many seconds."""
        start, until = self.now, self.now + seconds
        heard = []
        while (deadline := self.agent.deadline) is not None and deadline <= until:
            self.now = deadline
            self.agent.advance()
            heard += [(round(self.now - start, 3), message) for message in self.take()]
        self.now = until
        self.agent.advance()
        return heard

    def take(self) -> list[Request | Response]:
        out = self.agent.take_messages()
        self.flows += [flow for _, flow in out]
        self.events += self.agent.take_events()
        return [parse_message(data) for data, _ in out]

    def do(self, call: Callable[[], object]) -> list[Request | Response]:
        """Have the user agent's user do something."""
        call()
        return self.take()

    def last(self, kind: type[Any]) -> Any:
        """The last event of a kind."""
        return next(event for event in reversed(self.events) if isinstance(event, kind))

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def codes(messages: list[Any]) -> list[int | str]:
    """Responses by their code, requests by their method; what came later with the time before it."""
    shown: list[Any] = []
    for message in messages:
        if isinstance(message, tuple):
            shown += [message[0], *codes([message[1]])]
        else:
            shown.append(message.method if isinstance(message, Request) else message.code)
    return shown


@pytest.fixture
def peer() -> Peer:
    return Peer()


@pytest.fixture(name="make_peer")
def make_peer_fixture() -> type[Peer]:
    return Peer


@pytest.fixture(name="codes")
def codes_fixture() -> Callable[[list[Any]], list[Any]]:
    return codes


@pytest.fixture
def tcp() -> Flow:
    return TCP


@pytest.fixture
def udp() -> Flow:
    return UDP


@pytest.fixture
def offer() -> str:
    return OFFER.decode()
