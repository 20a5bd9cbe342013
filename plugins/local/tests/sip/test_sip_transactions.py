"""Transactions: RFC 3261, section 17, with RFC 6026, seen from the wire: what comes, what goes, and when."""

from __future__ import annotations

from typing import Any

import pytest

from jackfield_local.sip.events import Acknowledged, Answered, Ended, Invited, Refused

TARGET = "sip:bob@127.0.0.1:5070"
CONTACT = {"Contact": "<sip:bob@127.0.0.1:5070>"}


class TestSection1721:
    """The INVITE server transaction."""

    def test_the_last_provisional_answer_is_sent_again(self, peer: Any, codes: Any) -> None:
        assert codes(peer.send("INVITE", branch="a")) == [100]
        assert codes(peer.send("INVITE", branch="a")) == [100]
        assert codes(peer.do(peer.last(Invited).call.ring)) == [180]
        assert codes(peer.send("INVITE", branch="a")) == [180]
        assert len(peer.of(Invited)) == 1

    def test_timer_g_sends_a_refusal_again_and_timer_h_gives_up(self, peer: Any, codes: Any) -> None:
        peer.send("INVITE", branch="a")
        assert codes(peer.do(lambda: peer.last(Invited).call.reject(486))) == [486]
        again = peer.wait(40)
        assert [when for when, _ in again] == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
        assert set(codes([message for _, message in again])) == {486}
        assert len(peer.agent.transactions) == 0

    def test_an_ack_ends_that(self, peer: Any, codes: Any) -> None:
        peer.send("INVITE", branch="a")
        refusal = peer.do(lambda: peer.last(Invited).call.reject(486))[0]
        assert codes(peer.send("ACK", branch="a", To=refusal.headers["To"])) == []
        assert peer.wait(4.9) == []
        assert codes(peer.send("INVITE", branch="a")) == []  # confirmed: absorbed
        peer.wait(0.2)
        assert len(peer.agent.transactions) == 0
        assert not peer.of(Acknowledged)

    def test_over_tcp_nothing_is_sent_again(self, make_peer: Any, tcp: Any) -> None:
        peer = make_peer(tcp)
        peer.send("INVITE", branch="a")
        refusal = peer.do(lambda: peer.last(Invited).call.reject(486))[0]
        assert peer.wait(10) == []
        peer.send("ACK", branch="a", To=refusal.headers["To"])
        assert len(peer.agent.transactions) == 0

    def test_an_answer_absorbs_more_of_the_same(self, peer: Any, codes: Any, offer: str) -> None:
        peer.send("INVITE", branch="a", body=offer)
        assert codes(peer.do(lambda: peer.last(Invited).call.accept(b"v=0"))) == [200]
        assert codes(peer.send("INVITE", branch="a", body=offer)) == []
        assert codes(peer.wait(2)) == [0.5, 200, 1.5, 200]
        assert len(peer.of(Invited)) == 1

    def test_requests_of_rfc_2543_are_told_apart(self, peer: Any, codes: Any) -> None:
        via = "SIP/2.0/UDP 127.0.0.1:5070"
        assert codes(peer.send("INVITE", Via=via)) == [100]
        assert codes(peer.send("INVITE", Via=via)) == [100]
        assert len(peer.of(Invited)) == 1
        refusal = peer.do(lambda: peer.last(Invited).call.reject(486))[0]
        peer.send("ACK", Via=via, To=refusal.headers["To"])
        assert peer.wait(4) == []


class TestSection1722:
    """The non-INVITE server transaction."""

    def test_the_answer_is_sent_again_until_timer_j(self, peer: Any, codes: Any) -> None:
        assert codes(peer.send("OPTIONS", branch="a")) == [200]
        peer.wait(31.9)
        assert codes(peer.send("OPTIONS", branch="a")) == [200]
        assert len(peer.agent.transactions) == 1
        peer.wait(0.2)
        assert len(peer.agent.transactions) == 0

    def test_over_tcp_it_is_forgotten_at_once(self, make_peer: Any, tcp: Any) -> None:
        peer = make_peer(tcp)
        peer.send("OPTIONS", branch="a")
        assert len(peer.agent.transactions) == 0


class TestSection1711:
    """The INVITE client transaction."""

    def test_timer_a_doubles_and_timer_b_gives_up(self, peer: Any, codes: Any) -> None:
        peer.do(lambda: peer.agent.invite(TARGET, peer.flow, b"v=0"))
        assert [when for when, _ in peer.wait(40)] == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
        assert (peer.last(Refused).code, len(peer.of(Ended))) == (408, 1)
        assert len(peer.agent.transactions) == 0

    def test_over_tcp_it_is_sent_once(self, make_peer: Any, tcp: Any, codes: Any) -> None:
        peer = make_peer(tcp)
        assert codes(peer.do(lambda: peer.agent.invite(TARGET, tcp, b"v=0"))) == ["INVITE"]
        assert peer.wait(40) == []
        assert peer.last(Refused).code == 408

    def test_a_call_may_ring_for_long(self, peer: Any, codes: Any) -> None:
        invite = peer.do(lambda: peer.agent.invite(TARGET, peer.flow, b"v=0"))[0]
        peer.answer(invite, 180)
        assert peer.wait(170) == []
        assert codes(peer.answer(invite, 200, **CONTACT)) == ["ACK"]
        assert len(peer.of(Answered)) == 1

    def test_a_refusal_is_acknowledged_each_time(self, peer: Any, codes: Any) -> None:
        invite = peer.do(lambda: peer.agent.invite(TARGET, peer.flow, b"v=0"))[0]
        ack = peer.answer(invite, 486)[0]
        assert ack.headers["Via"] == invite.headers["Via"]
        assert ack.headers["CSeq"] == "1 ACK"
        assert ack.headers["To"].endswith(";tag=bob")
        assert codes(peer.answer(invite, 486)) == ["ACK"]
        assert [event.code for event in peer.of(Refused)] == [486]
        peer.wait(33)
        assert codes(peer.answer(invite, 486)) == []

    def test_an_answer_is_acknowledged_each_time(self, peer: Any, codes: Any) -> None:
        invite = peer.do(lambda: peer.agent.invite(TARGET, peer.flow, b"v=0"))[0]
        first = peer.answer(invite, 200, **CONTACT)[0]
        again = peer.answer(invite, 200, **CONTACT)[0]
        assert bytes(first) == bytes(again)
        assert first.headers["Via"] != invite.headers["Via"]
        assert len(peer.of(Answered)) == 1
        peer.wait(33)
        assert codes(peer.answer(invite, 200, **CONTACT)) == []

    def test_what_cannot_be_sent_fails_at_once(self, make_peer: Any, tcp: Any) -> None:
        peer = make_peer(tcp)
        peer.do(lambda: peer.agent.invite(TARGET, tcp, b"v=0"))
        peer.do(lambda: peer.agent.lost(tcp))
        assert len(peer.of(Refused)) == 1


class TestSection1712:
    """The non-INVITE client transaction."""

    def hang_up(self, peer: Any) -> Any:
        invite = peer.do(lambda: peer.agent.invite(TARGET, peer.flow, b"v=0"))[0]
        peer.answer(invite, 200, **CONTACT)
        return peer.do(peer.last(Answered).call.bye)[0]

    def test_timer_e_and_timer_f(self, peer: Any, codes: Any) -> None:
        assert self.hang_up(peer).method == "BYE"
        again = [when for when, _ in peer.wait(40)]
        assert again == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
        assert len(peer.agent.transactions) == 0

    def test_a_provisional_answer_slows_it_down(self, peer: Any) -> None:
        bye = self.hang_up(peer)
        peer.answer(bye, 100)
        assert [when for when, _ in peer.wait(9)] == [0.5, 4.5, 8.5]

    def test_an_answer_ends_it(self, peer: Any, codes: Any) -> None:
        bye = self.hang_up(peer)
        peer.answer(bye, 200)
        assert peer.wait(4.9) == []
        assert codes(peer.answer(bye, 200)) == []


class TestSection182:
    """Where responses go."""

    @pytest.mark.parametrize(
        ("via", "remote", "top"),
        [
            ("SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK1", ("127.0.0.1", 9), "SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK1"),
            (
                "SIP/2.0/UDP pc33;branch=z9hG4bK1",
                ("127.0.0.1", 5060),
                "SIP/2.0/UDP pc33;branch=z9hG4bK1;received=127.0.0.1",
            ),
            (
                "SIP/2.0/UDP pc33:9;rport;branch=z9hG4bK1",
                ("127.0.0.1", 5070),
                "SIP/2.0/UDP pc33:9;branch=z9hG4bK1;received=127.0.0.1;rport=5070",
            ),
        ],
    )
    def test_over_udp(self, peer: Any, via: str, remote: Any, top: str) -> None:
        answer = peer.send("OPTIONS", Via=f"{via}, SIP/2.0/UDP far;branch=z9hG4bKfar")[0]
        assert peer.flows[-1].remote == remote
        assert answer.headers.getlist("Via") == [top, "SIP/2.0/UDP far;branch=z9hG4bKfar"]

    def test_over_tcp_they_go_back(self, make_peer: Any, tcp: Any) -> None:
        peer = make_peer(tcp)
        peer.send("OPTIONS", Via="SIP/2.0/TCP pc33:9;branch=z9hG4bK1")
        assert peer.flows == [tcp]
