"""Calls that come in: RFC 3261, sections 8.2, 9.2, 12 to 15, and RFC 3515."""

from __future__ import annotations

from typing import Any

import pytest

from jackfield_local.sip.events import (
    Acknowledged,
    Cancelled,
    Ended,
    Info,
    Invited,
    Notified,
    ReferAnswered,
    Referred,
    ReinviteAnswered,
    Reinvited,
)

ANSWER = b"v=0\r\no=- 2 2 IN IP4 127.0.0.1\r\ns=-\r\n"


class Caller:
    """Alice in a call with the user agent."""

    def __init__(self, peer: Any, offer: str, **changes: Any) -> None:
        self.peer = peer
        peer.send("INVITE", branch="invite", body=offer, **changes)
        self.call = peer.last(Invited).call
        self.answer = peer.do(lambda: self.call.accept(ANSWER))[0]
        self.tag = self.answer.headers["To"].rpartition("tag=")[2]
        peer.send("ACK", to_tag=self.tag)

    def send(self, method: str, *, sequence: int = 2, **changes: Any) -> Any:
        return self.peer.send(method, to_tag=self.tag, sequence=sequence, **changes)


@pytest.fixture
def alice(peer: Any, offer: str) -> Caller:
    return Caller(peer, offer)


class TestSection82:
    """What is refused before there is a call."""

    def test_options(self, peer: Any, codes: Any) -> None:
        answer = peer.send("OPTIONS")[0]
        assert answer.code == 200
        assert answer.headers["Allow"] == "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, REFER, NOTIFY"
        assert answer.headers["Accept"] == "application/sdp"
        assert "tag=" in answer.headers["To"]

    @pytest.mark.parametrize(
        ("method", "changes", "code"),
        [
            ("REGISTER", {}, 405),
            ("SUBSCRIBE", {}, 405),
            ("DANCE", {}, 501),
            ("BYE", {}, 481),
            ("BYE", {"to_tag": "nobody"}, 481),
            ("INFO", {}, 481),
            ("CANCEL", {}, 481),
            ("INVITE", {"to_tag": "nobody"}, 481),
            ("INVITE", {"Require": "100rel"}, 420),
            ("INVITE", {"body": "x", "Content_Type": "text/plain"}, 415),
            ("INVITE", {"body": "x", "Content_Encoding": "gzip"}, 415),
            ("INVITE", {"Contact": None}, 400),
            ("INVITE", {"Contact": "*"}, 400),
            ("INVITE", {"Contact": "<mailto:alice@example.org>"}, 400),
            ("INVITE", {"Contact": "<sip:a@b>, <sip:c@d>"}, 400),
            ("INVITE", {"uri": "http://x"}, 416),
            ("INVITE", {"CSeq": "1 BYE"}, 400),
        ],
    )
    def test_refusals(self, peer: Any, codes: Any, method: str, changes: Any, code: int) -> None:
        assert [one for one in codes(peer.send(method, **changes)) if one != 100] == [code]
        assert peer.events == []
        assert peer.agent.calls == 0

    def test_what_is_required_is_named(self, peer: Any) -> None:
        assert peer.send("INVITE", Require="100rel, timer")[0].headers["Unsupported"] == "100rel, timer"

    @pytest.mark.parametrize("data", ["\r\n\r\n", "\0", "hello", "ACK sip:x SIP/2.0\r\nVia: SIP/2.0/UDP x\r\n\r\n"])
    def test_what_gets_no_answer(self, peer: Any, data: str) -> None:
        assert peer.raw(data) == []

    def test_the_same_call_by_another_way(self, peer: Any, codes: Any) -> None:
        peer.send("INVITE", branch="a")
        assert codes(peer.send("INVITE", branch="b")) == [482]
        assert len(peer.of(Invited)) == 1


class TestSection133:
    """Ringing, answering, refusing."""

    def test_an_answer(self, peer: Any, codes: Any, offer: str) -> None:
        assert codes(peer.send("INVITE", body=offer, Record_Route="<sip:proxy;lr>", branch="a")) == [100]
        event = peer.last(Invited)
        assert event.offer == offer.encode()
        ringing = peer.do(event.call.ring)[0]
        answer = peer.do(lambda: event.call.accept(ANSWER))[0]
        assert ringing.headers["To"] == answer.headers["To"]
        for response in (ringing, answer):
            assert response.headers["Contact"] == "<sip:jackfield@127.0.0.1:5060>"
            assert response.headers["Record-Route"] == "<sip:proxy;lr>"
        assert (answer.body, answer.headers["Content-Type"]) == (ANSWER, "application/sdp")
        tag = answer.headers["To"].rpartition("tag=")[2]
        assert peer.send("ACK", to_tag=tag) == []
        assert peer.last(Acknowledged).answer is None
        assert peer.wait(100) == []

    def test_without_an_offer_the_ack_has_the_answer(self, peer: Any, offer: str) -> None:
        peer.send("INVITE")
        event = peer.last(Invited)
        assert event.offer is None
        answer = peer.do(lambda: event.call.accept(ANSWER))[0]
        peer.send("ACK", to_tag=answer.headers["To"].rpartition("tag=")[2], body=offer)
        assert peer.last(Acknowledged).answer == offer.encode()

    @pytest.mark.parametrize("transport", ["udp", "tcp"])
    def test_it_is_sent_until_it_is_acknowledged(
        self, make_peer: Any, codes: Any, offer: str, transport: str, request: Any
    ) -> None:
        peer = make_peer(request.getfixturevalue(transport))
        peer.send("INVITE", body=offer)
        call = peer.last(Invited).call
        peer.do(lambda: call.accept(ANSWER))
        again = peer.wait(31)
        assert [when for when, _ in again] == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5]
        last = peer.wait(1.1)
        assert codes(last) == [0.5, 200, 1.0, "BYE"]
        assert peer.last(Ended).reason == "the answer was not acknowledged"
        assert peer.agent.calls == 0

    def test_a_refusal(self, peer: Any, codes: Any) -> None:
        peer.send("INVITE")
        call = peer.last(Invited).call
        assert codes(peer.do(lambda: call.reject(603))) == [603]
        assert peer.do(lambda: call.reject(486)) == []
        assert peer.do(lambda: call.accept(ANSWER)) == []
        assert peer.do(call.ring) == []
        assert len(peer.of(Ended)) == 1
        assert peer.agent.calls == 0

    def test_hanging_up_waits_for_the_ack(self, peer: Any, codes: Any, offer: str) -> None:
        peer.send("INVITE", body=offer)
        call = peer.last(Invited).call
        answer = peer.do(lambda: call.accept(ANSWER))[0]
        assert peer.do(call.bye) == []
        assert codes(peer.send("ACK", to_tag=answer.headers["To"].rpartition("tag=")[2])) == ["BYE"]
        assert len(peer.of(Ended)) == 1


class TestSection92:
    """CANCEL."""

    def test_while_it_rings(self, peer: Any, codes: Any) -> None:
        peer.send("INVITE", branch="a")
        peer.do(peer.last(Invited).call.ring)
        answers = peer.send("CANCEL", branch="a")
        assert codes(answers) == [200, 487]
        assert [answer.headers["CSeq"] for answer in answers] == ["1 CANCEL", "1 INVITE"]
        assert [type(event) for event in peer.events] == [Invited, Cancelled, Ended]
        assert codes(peer.send("CANCEL", branch="a")) == [200]
        assert codes(peer.send("ACK", branch="a", to_tag="t1")) == []
        assert peer.wait(3) == []
        assert peer.agent.calls == 0

    def test_once_it_is_answered_it_is_too_late(self, peer: Any, codes: Any, offer: str) -> None:
        peer.send("INVITE", branch="a", body=offer)
        peer.do(lambda: peer.last(Invited).call.accept(ANSWER))
        assert codes(peer.send("CANCEL", branch="a")) == [200]
        assert not peer.of(Cancelled)
        assert peer.agent.calls == 1

    def test_a_bye_does_the_same(self, peer: Any, codes: Any) -> None:
        peer.send("INVITE", branch="a")
        ringing = peer.do(peer.last(Invited).call.ring)[0]
        assert codes(peer.send("BYE", sequence=2, To=ringing.headers["To"])) == [487, 200]
        assert peer.last(Ended).by_peer


class TestSection12:
    """Dialogs."""

    def test_requests_go_to_the_contact(self, peer: Any, offer: str) -> None:
        contact = "<sip:alice@127.0.0.1:7777;ob?Subject=x>"
        alice = Caller(peer, offer, Contact=contact)
        bye = peer.do(alice.call.bye)[0]
        assert str(bye.uri) == "sip:alice@127.0.0.1:7777;ob"
        assert peer.flows[-1].remote == ("127.0.0.1", 7777)
        assert bye.headers["From"] == f"<sip:bob@127.0.0.1:5060>;tag={alice.tag}"
        assert bye.headers["To"] == "<sip:alice@127.0.0.1:5070>;tag=alice"
        assert (bye.headers["CSeq"], bye.headers["Call-ID"]) == ("1 BYE", "call-1")

    @pytest.mark.parametrize("host", ["sbc1", "0.0.0.0", "192.0.2.1", "[2001:db8::1]"])
    def test_or_back_where_that_cannot_be_reached(self, peer: Any, offer: str, host: str) -> None:
        alice = Caller(peer, offer, Contact=f"<sip:alice@{host}:7777>")
        peer.do(alice.call.bye)
        assert peer.flows[-1].remote == ("127.0.0.1", 5070)

    def test_over_tcp_they_go_where_the_others_came_from(self, make_peer: Any, tcp: Any, offer: str) -> None:
        peer = make_peer(tcp)
        alice = Caller(peer, offer)
        assert alice.answer.headers["Contact"] == "<sip:jackfield@127.0.0.1:5060;transport=tcp>"
        bye = peer.do(alice.call.bye)[0]
        assert peer.flows[-1] == tcp
        assert bye.headers["Via"].startswith("SIP/2.0/TCP 127.0.0.1:5060;")

    def test_the_route_set(self, peer: Any, offer: str) -> None:
        routes = "<sip:127.0.0.1:6001;lr>, <sip:far.example;lr>"
        alice = Caller(peer, offer, Record_Route=routes)
        bye = peer.do(alice.call.bye)[0]
        assert bye.headers.getlist("Route") == ["<sip:127.0.0.1:6001;lr>", "<sip:far.example;lr>"]
        assert str(bye.uri) == "sip:alice@127.0.0.1:5070"
        assert peer.flows[-1].remote == ("127.0.0.1", 6001)

    def test_a_strict_router(self, peer: Any, offer: str) -> None:
        alice = Caller(peer, offer, Record_Route="<sip:127.0.0.1:6001>")
        bye = peer.do(alice.call.bye)[0]
        assert str(bye.uri) == "sip:127.0.0.1:6001"
        assert bye.headers.getlist("Route") == ["<sip:alice@127.0.0.1:5070>"]

    def test_numbers_that_go_back(self, alice: Caller, codes: Any) -> None:
        assert codes(alice.send("INFO", sequence=5)) == [200]
        assert codes(alice.send("INFO", sequence=4)) == [500]

    @pytest.mark.parametrize(
        ("method", "code"), [("OPTIONS", 200), ("INFO", 200), ("UPDATE", 405), ("PRACK", 405), ("DANCE", 501)]
    )
    def test_what_is_answered_within(self, alice: Caller, codes: Any, method: str, code: int) -> None:
        assert codes(alice.send(method)) == [code]
        assert alice.peer.agent.calls == 1

    def test_info_is_told_of(self, alice: Caller) -> None:
        alice.send("INFO", body="Signal=5", Content_Type="application/dtmf-relay")
        assert (alice.peer.last(Info).content_type, alice.peer.last(Info).body) == (
            "application/dtmf-relay",
            b"Signal=5",
        )


class TestSection14:
    """re-INVITE."""

    def test_it_makes_no_second_call(self, alice: Caller, codes: Any, offer: str) -> None:
        peer = alice.peer
        assert alice.send("INVITE", branch="r", body=offer, Contact="<sip:alice@127.0.0.1:8888>") == []
        assert peer.last(Reinvited).offer == offer.encode()
        answer = peer.do(lambda: alice.call.accept(ANSWER))[0]
        assert (answer.code, answer.headers["CSeq"], answer.headers["To"]) == (
            200,
            "2 INVITE",
            alice.answer.headers["To"],
        )
        alice.send("ACK")
        assert peer.wait(40) == []
        assert (len(peer.of(Invited)), peer.agent.calls) == (1, 1)
        peer.do(alice.call.bye)
        assert peer.flows[-1].remote == ("127.0.0.1", 8888)

    def test_it_may_be_refused(self, alice: Caller, codes: Any, offer: str) -> None:
        alice.send("INVITE", branch="r", body=offer)
        assert codes(alice.peer.do(lambda: alice.call.reject(488))) == [488]
        alice.send("ACK", branch="r")
        assert not alice.peer.of(Ended)
        assert codes(alice.send("INVITE", sequence=3)) == []  # and there may be another

    def test_one_at_a_time(self, alice: Caller, codes: Any) -> None:
        alice.send("INVITE", sequence=2)
        refusal = alice.send("INVITE", sequence=3)[0]
        assert (refusal.code, refusal.headers["Retry-After"]) == (500, "1")

    def test_ours(self, alice: Caller, codes: Any) -> None:
        peer = alice.peer
        invite = peer.do(lambda: alice.call.reinvite(ANSWER))[0]
        assert invite.headers["CSeq"] == "1 INVITE"
        assert not alice.call.reinvite(ANSWER)
        assert codes(alice.send("INVITE")) == [491]
        ack = peer.answer(invite, 200, Contact="<sip:alice@127.0.0.1:8888>")[0]
        assert (ack.method, ack.headers["CSeq"], str(ack.uri)) == ("ACK", "1 ACK", "sip:alice@127.0.0.1:8888")
        assert codes(peer.answer(invite, 200, Contact="<sip:alice@127.0.0.1:8888>")) == ["ACK"]
        assert [event.code for event in peer.of(ReinviteAnswered)] == [200]

    @pytest.mark.parametrize(("code", "ends"), [(491, 0), (488, 0), (481, 1), (408, 1)])
    def test_ours_refused(self, alice: Caller, code: int, ends: int) -> None:
        invite = alice.peer.do(lambda: alice.call.reinvite(ANSWER))[0]
        alice.peer.answer(invite, code)
        assert [event.code for event in alice.peer.of(ReinviteAnswered)] == [code]
        assert len(alice.peer.of(Ended)) == ends


class TestSection15:
    """BYE."""

    def test_theirs(self, alice: Caller, codes: Any) -> None:
        assert codes(alice.send("BYE", branch="bye")) == [200]
        assert alice.peer.last(Ended).by_peer
        assert codes(alice.send("BYE", branch="bye")) == [200]
        assert codes(alice.send("BYE", sequence=3)) == [481]
        assert alice.peer.do(alice.call.bye) == []
        assert len(alice.peer.of(Ended)) == 1

    def test_theirs_before_the_ack(self, peer: Any, codes: Any, offer: str) -> None:
        peer.send("INVITE", body=offer)
        answer = peer.do(lambda: peer.last(Invited).call.accept(ANSWER))[0]
        assert codes(peer.send("BYE", sequence=2, To=answer.headers["To"])) == [200]
        assert peer.wait(40) == []

    def test_ours(self, alice: Caller, codes: Any) -> None:
        assert codes(alice.peer.do(alice.call.bye)) == ["BYE"]
        assert not alice.peer.last(Ended).by_peer
        assert alice.peer.do(alice.call.bye) == []

    def test_both_at_once(self, alice: Caller, codes: Any) -> None:
        bye = alice.peer.do(alice.call.bye)[0]
        assert codes(alice.send("BYE")) == [481]
        alice.peer.answer(bye, 481)
        assert len(alice.peer.of(Ended)) == 1

    def test_nothing_is_left(self, alice: Caller) -> None:
        alice.send("BYE")
        alice.peer.wait(64)
        assert (len(alice.peer.agent.transactions), alice.peer.agent.calls, alice.peer.agent.deadline) == (0, 0, None)


class TestRfc3515:
    """REFER."""

    def test_ours(self, alice: Caller, codes: Any) -> None:
        peer = alice.peer
        refer = peer.do(lambda: alice.call.refer("tel:+15551234"))[0]
        assert (refer.headers["Refer-To"], refer.headers["Contact"]) == (
            "<tel:+15551234>",
            "<sip:jackfield@127.0.0.1:5060>",
        )
        peer.answer(refer, 202)
        assert peer.last(ReferAnswered).code == 202
        headers = {"Event": "refer", "Subscription_State": "active", "Content_Type": "message/sipfrag"}
        assert codes(alice.send("NOTIFY", body="SIP/2.0 100 Trying\r\n", **headers)) == [200]
        assert codes(alice.send("NOTIFY", sequence=3, body="SIP/2.0 200 OK", **headers)) == [200]
        assert [event.code for event in peer.of(Notified)] == [100, 200]

    @pytest.mark.parametrize(("code", "ends"), [(603, 0), (481, 1)])
    def test_ours_refused(self, alice: Caller, code: int, ends: int) -> None:
        refer = alice.peer.do(lambda: alice.call.refer("sip:desk@127.0.0.1"))[0]
        alice.peer.answer(refer, code)
        assert alice.peer.last(ReferAnswered).code == code
        assert len(alice.peer.of(Ended)) == ends

    def test_theirs_is_declined(self, alice: Caller, codes: Any) -> None:
        assert codes(alice.send("REFER", Refer_To="<sip:x@y>")) == [603]
        assert codes(alice.send("REFER", sequence=3, Refer_To=None)) == [400]

    def test_theirs_is_followed(self, make_peer: Any, offer: str, codes: Any) -> None:
        alice = Caller(make_peer(follows_refer=True), offer)
        accepted, trying = alice.send("REFER", Refer_To="<sip:desk@127.0.0.1>")
        assert (accepted.code, trying.body) == (202, b"SIP/2.0 100 Trying\r\n")
        assert trying.headers["Subscription-State"] == "active;expires=60"
        assert alice.peer.last(Referred).target == "sip:desk@127.0.0.1"
        done = alice.peer.do(lambda: alice.call.notify(200, "OK"))[0]
        assert (done.body, done.headers["Subscription-State"]) == (
            b"SIP/2.0 200 OK\r\n",
            "terminated;reason=noresource",
        )
        assert alice.peer.do(lambda: alice.call.notify(200, "OK")) == []
