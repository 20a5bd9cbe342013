"""Whatever peers and users do, in any order: nothing is raised, each call ends once, and all is forgotten."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sipmessage import Request, Response

from jackfield_local.sip.events import Ended, Invited
from jackfield_local.sip.flow import Flow
from jackfield_local.sip.messages import parse_message
from jackfield_local.sip.user_agent import UserAgent

LOCAL, REMOTE = ("127.0.0.1", 5060), ("127.0.0.1", 5070)
METHODS = ["INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "INFO", "REFER", "NOTIFY", "UPDATE", "DANCE"]


class Calls(RuleBasedStateMachine):
    """Messages with few names, so that they meet, and time that passes between them."""

    @initialize(flow=st.sampled_from([Flow("UDP", LOCAL, REMOTE), Flow("TCP", LOCAL, REMOTE, 1)]))
    def begin(self, flow: Flow) -> None:
        self.now = 0.0
        self.flow = flow
        self.tokens = 0
        self.agent = UserAgent(clock=lambda: self.now, token=self.token, follows_refer=True)
        self.calls: list[Any] = []
        self.ended: list[Any] = []
        self.sent: list[Request | Response] = []

    def token(self) -> str:
        self.tokens += 1
        return f"t{self.tokens}"

    def collect(self) -> None:
        for data, _ in self.agent.take_messages():
            message = parse_message(data)
            self.sent = [*self.sent[-20:], message]
        for event in self.agent.take_events():
            if isinstance(event, Invited):
                self.calls.append(event.call)
            if isinstance(event, Ended):
                self.ended.append(event.call)

    @rule(
        method=st.sampled_from(METHODS),
        branch=st.sampled_from(["a", "b", "c"]),
        sequence=st.integers(1, 4),
        within=st.booleans(),
        headers=st.sampled_from(["", "Refer-To: <sip:x@y>\r\n", "Require: x\r\n", "Contact: *\r\n"]),
    )
    def request(self, method: str, branch: str, sequence: int, within: bool, headers: str) -> None:
        tag = ""
        if within and self.calls and self.calls[-1].dialog is not None:
            tag = f";tag={self.calls[-1].dialog.local_tag}"
        text = (
            f"{method} sip:bob@127.0.0.1 SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK{branch}{sequence}\r\n"
            f"From: <sip:a@b>;tag=alice\r\nTo: <sip:bob@127.0.0.1>{tag}\r\n"
            f"Call-ID: call\r\nCSeq: {sequence} {method}\r\n"
            f"Contact: <sip:a@127.0.0.1:5070>\r\n{headers}Content-Length: 0\r\n\r\n"
        )
        self.agent.receive(text.encode(), self.flow)
        self.collect()

    @rule(
        code=st.sampled_from([100, 180, 200, 202, 408, 481, 487, 491, 603]),
        tag=st.sampled_from(["x", "y"]),
        which=st.integers(0, 5),
    )
    def response(self, code: int, tag: str, which: int) -> None:
        requests = [message for message in self.sent if isinstance(message, Request) and message.method != "ACK"]
        if not requests:
            return
        request = requests[-1 - which % len(requests)]
        to = request.headers["To"]
        to = to if "tag=" in to else f"{to};tag={tag}"
        text = (
            f"SIP/2.0 {code} X\r\nVia: {request.headers['Via']}\r\nFrom: {request.headers['From']}\r\nTo: {to}\r\n"
            f"Call-ID: {request.headers['Call-ID']}\r\nCSeq: {request.headers['CSeq']}\r\n"
            "Contact: <sip:b@127.0.0.1:5071>\r\nContent-Length: 0\r\n\r\n"
        )
        self.agent.receive(text.encode(), self.flow)
        self.collect()

    @rule(
        action=st.sampled_from(["ring", "accept", "reject", "bye", "refer", "reinvite", "notify", "info", "cancel"]),
        which=st.integers(0, 5),
    )
    def act(self, action: str, which: int) -> None:
        if not self.calls:
            return
        call = self.calls[-1 - which % len(self.calls)]
        arguments: dict[str, tuple[Any, ...]] = {
            "accept": (b"v=0",),
            "reject": (486,),
            "refer": ("sip:c@d",),
            "reinvite": (b"v=0",),
            "notify": (200, "OK"),
            "info": ("text/plain", b"x"),
        }
        if hasattr(call, action):
            getattr(call, action)(*arguments.get(action, ()))
        self.collect()

    @rule()
    def dial(self) -> None:
        self.calls.append(self.agent.invite("sip:bob@127.0.0.1:5070", self.flow, b"v=0"))
        self.collect()

    @rule(data=st.binary(max_size=60))
    def junk(self, data: bytes) -> None:
        self.agent.receive(data, self.flow)
        self.collect()

    @rule(seconds=st.sampled_from([0.1, 0.5, 4.0, 33.0, 70.0]))
    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while (deadline := self.agent.deadline) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            self.agent.advance()
            self.collect()
        self.now = until

    @rule()
    def lose(self) -> None:
        self.agent.lost(self.flow)
        self.collect()

    @invariant()
    def a_call_ends_once(self) -> None:
        assert len(self.ended) == len(set(map(id, self.ended)))
        assert all(call.over for call in self.ended)

    def teardown(self) -> None:
        for call in self.calls:
            call.bye()
            if hasattr(call, "cancel"):
                call.cancel()
            call.reject(480)
        self.collect()
        for _ in range(4):
            self.wait(70.0)
        assert len(self.agent.transactions) == 0
        assert self.agent.calls == 0
        assert self.agent.deadline is None
        assert all(call.over for call in self.calls)


Calls.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestCalls = Calls.TestCase
