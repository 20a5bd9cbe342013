"""Calls that we place: RFC 3261, sections 8.1, 9.1, 12.1.2 and 13.2."""

from __future__ import annotations

from typing import Any

import pytest

from jackfield_local.sip.events import Answered, Ended, Refused, Ringing

TARGET = "sip:bob@127.0.0.1:5070;transport=udp"
CONTACT = {"Contact": "<sip:bob@127.0.0.1:6000>"}


def call(peer: Any) -> Any:
    return peer.do(lambda: peer.agent.invite(TARGET, peer.flow, b"v=0", headers={"X-Order": "7"}))[0]


class TestSection132:
    """INVITE and its answers."""

    def test_the_invite(self, peer: Any) -> None:
        invite = call(peer)
        assert (invite.method, str(invite.uri), invite.body) == ("INVITE", TARGET, b"v=0")
        assert invite.headers["To"] == f"<{TARGET}>"
        assert (invite.headers["X-Order"], invite.headers["Content-Length"]) == ("7", "3")
        assert invite.headers["Contact"] == "<sip:jackfield@127.0.0.1:5060>"

    def test_an_answer(self, peer: Any) -> None:
        invite = call(peer)
        assert peer.answer(invite, 100) == []
        assert peer.answer(invite, 180) == []
        assert [event.code for event in peer.of(Ringing)] == [180]
        headers = {**CONTACT, "Record_Route": "<sip:127.0.0.1:6001;lr>, <sip:127.0.0.1:6002;lr>"}
        ack = peer.answer(invite, 200, body="v=1", Content_Type="application/sdp", **headers)[0]
        assert peer.last(Answered).answer == b"v=1"
        assert (ack.method, ack.headers["CSeq"], str(ack.uri)) == ("ACK", "1 ACK", "sip:bob@127.0.0.1:6000")
        assert ack.headers.getlist("Route") == ["<sip:127.0.0.1:6002;lr>", "<sip:127.0.0.1:6001;lr>"]
        assert peer.flows[-1].remote == ("127.0.0.1", 6002)
        bye = peer.do(peer.last(Answered).call.bye)[0]
        assert (bye.headers["CSeq"], bye.headers["To"]) == ("2 BYE", f"<{TARGET}>;tag=bob")

    @pytest.mark.parametrize("code", [302, 404, 486, 500, 603])
    def test_a_refusal(self, peer: Any, code: int) -> None:
        invite = call(peer)
        peer.answer(invite, code)
        assert (peer.last(Refused).code, len(peer.of(Ended)), peer.agent.calls) == (code, 1, 0)

    def test_an_answer_without_a_contact(self, peer: Any) -> None:
        peer.answer(call(peer), 200)
        assert (peer.last(Refused).code, len(peer.of(Ended))) == (500, 1)

    def test_a_second_phone_answers(self, peer: Any, codes: Any) -> None:
        invite = call(peer)
        peer.answer(invite, 200, **CONTACT)
        ack, bye = peer.answer(invite, 200, tag="carol", Contact="<sip:carol@127.0.0.1:6003>")
        assert (ack.method, bye.method, str(bye.uri)) == ("ACK", "BYE", "sip:carol@127.0.0.1:6003")
        assert (len(peer.of(Answered)), len(peer.of(Ended)), peer.agent.calls) == (1, 0, 1)

    def test_the_peer_hangs_up(self, peer: Any, codes: Any) -> None:
        invite = call(peer)
        peer.answer(invite, 200, **CONTACT)
        tag = invite.headers["From"].rpartition("tag=")[2]
        own = invite.headers["From"]
        bye = peer.text("BYE", From=f"<{TARGET}>;tag=bob", To=own, Call_ID=invite.headers["Call-ID"])
        assert tag
        assert codes(peer.raw(bye)) == [200]
        assert peer.last(Ended).by_peer


class TestSection91:
    """CANCEL."""

    def test_while_it_rings(self, peer: Any, codes: Any) -> None:
        calls: list[Any] = []
        invite = peer.do(lambda: calls.append(peer.agent.invite(TARGET, peer.flow, b"v=0")))[0]
        assert peer.do(calls[0].cancel) == []
        cancel = peer.answer(invite, 180)[0]
        assert (cancel.method, cancel.headers["CSeq"], str(cancel.uri)) == ("CANCEL", "1 CANCEL", TARGET)
        assert cancel.headers["Via"] == invite.headers["Via"]
        peer.answer(cancel, 200)
        assert codes(peer.answer(invite, 487)) == ["ACK"]
        assert (peer.last(Refused).code, len(peer.of(Ended))) == (487, 1)

    def test_the_answer_was_faster(self, peer: Any, codes: Any) -> None:
        calls: list[Any] = []
        invite = peer.do(lambda: calls.append(peer.agent.invite(TARGET, peer.flow, b"v=0")))[0]
        peer.answer(invite, 180)
        assert codes(peer.do(calls[0].cancel)) == ["CANCEL"]
        assert codes(peer.answer(invite, 200, **CONTACT)) == ["ACK", "BYE"]
        assert (len(peer.of(Answered)), len(peer.of(Ended)), peer.agent.calls) == (0, 1, 0)

    def test_nobody_says_487(self, peer: Any, codes: Any) -> None:
        calls: list[Any] = []
        invite = peer.do(lambda: calls.append(peer.agent.invite(TARGET, peer.flow, b"v=0")))[0]
        peer.answer(invite, 180)
        cancel = peer.do(calls[0].cancel)[0]
        peer.answer(cancel, 200)
        peer.wait(33)
        assert (peer.last(Refused).code, len(peer.of(Ended))) == (408, 1)
        peer.wait(40)
        assert (len(peer.agent.transactions), peer.agent.deadline) == (0, None)
