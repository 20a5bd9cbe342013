"""RTP and telephone events: RFC 3550, section 5.1, and RFC 4733."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield.errors import ConfigurationError
from jackfield_local.sip.rtp import Latch, RtpSender, parse_rtp
from jackfield_local.sip.telephone_events import EventReceiver, event_packets

HEADER = bytes.fromhex("8080000100000002000000ab")


class TestSection51:
    """The RTP header."""

    def test_there_and_back(self) -> None:
        sender = RtpSender(random.Random(1))
        first = parse_rtp(sender.packet(0, b"a" * 160, marker=True))
        sender.advance(160)
        second = parse_rtp(sender.packet(101, b"b"))
        assert first is not None and second is not None
        assert (first.payload_type, first.marker, first.payload) == (0, True, b"a" * 160)
        assert (second.payload_type, second.marker, second.ssrc) == (101, False, first.ssrc)
        assert second.sequence == first.sequence + 1 & 0xFFFF
        assert second.timestamp == first.timestamp + 160 & 0xFFFFFFFF

    @pytest.mark.parametrize(
        ("data", "payload"),
        [
            (HEADER + b"xy", b"xy"),
            (b"\x82" + HEADER[1:] + bytes(8) + b"xy", b"xy"),
            (b"\x90" + HEADER[1:] + bytes.fromhex("bede0001") + bytes(4) + b"xy", b"xy"),
            (b"\xa0" + HEADER[1:] + b"xy\x00\x00\x03", b"xy"),
            (HEADER, b""),
        ],
        ids=["plain", "csrc", "extension", "padding", "empty"],
    )
    def test_where_the_payload_is(self, data: bytes, payload: bytes) -> None:
        packet = parse_rtp(data)
        assert packet is not None
        assert packet.payload == payload

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"\x80",
            HEADER[:11],
            b"\x00" + HEADER[1:],
            b"\x80\xc8" + HEADER[2:],
            b"\x9f" + HEADER[1:],
            b"\x90" + HEADER[1:],
            b"\xa0" + HEADER[1:] + b"x\x00",
            b"\xa0" + HEADER[1:] + b"x\x09",
        ],
        ids=["nothing", "short", "cut", "version", "rtcp", "csrc", "extension", "no-padding", "padding"],
    )
    def test_what_is_none(self, data: bytes) -> None:
        assert parse_rtp(data) is None

    @given(st.binary(max_size=60))
    def test_whatever_comes(self, data: bytes) -> None:
        parse_rtp(data)
        parse_rtp(b"\x80" + data)


class TestLatch:
    DESCRIBED, REAL, THIEF = ("192.0.2.1", 4000), ("127.0.0.1", 5000), ("127.0.0.1", 6000)

    def test_the_first_packet_says_where(self) -> None:
        latch = Latch(self.DESCRIBED)
        assert latch.remote == self.DESCRIBED
        assert latch.admits(self.REAL, 0.0)
        assert latch.remote == self.REAL

    def test_nobody_takes_over_who_talks(self) -> None:
        latch = Latch(self.DESCRIBED)
        for step in range(500):
            assert latch.admits(self.REAL, step * 0.02)
            assert not latch.admits(self.THIEF, step * 0.02)

    def test_nor_soon_after(self) -> None:
        latch = Latch(self.DESCRIBED)
        assert latch.admits(self.REAL, 0.0)
        assert not latch.admits(self.THIEF, 4.9)
        assert latch.admits(self.THIEF, 5.0)
        assert not latch.admits(self.REAL, 7.0)

    def test_but_who_was_described(self) -> None:
        latch = Latch(self.DESCRIBED)
        assert latch.admits(self.THIEF, 0.0)
        assert latch.admits(self.DESCRIBED, 0.02)
        assert latch.remote == self.DESCRIBED
        assert not latch.admits(self.THIEF, 0.04)

    def test_a_new_description_counts(self) -> None:
        latch = Latch(self.DESCRIBED)
        latch.admits(self.REAL, 0.0)
        latch.describe(self.DESCRIBED)
        assert latch.remote == self.REAL
        latch.describe(("192.0.2.9", 1))
        assert latch.remote == ("192.0.2.9", 1)
        assert latch.admits(self.THIEF, 0.02)


class TestRfc4733:
    def test_keys_are_sent_and_noticed_once(self) -> None:
        receiver, sender = EventReceiver(), RtpSender(random.Random(1))
        noticed = []
        began = 0
        for event in event_packets("15*#d5"):
            if event is not None:
                began = sender.timestamp if event.first else began
                assert event.marker == event.first
                noticed += [receiver.receive(1, began, event.payload)]
            sender.advance(160)
        assert [key for key in noticed if key] == list("15*#D5")

    def test_the_packets_of_one(self) -> None:
        packets = [event.payload.hex() for event in event_packets("9", tone_packets=2, pause_packets=0) if event]
        assert packets == ["090a00a0", "090a0140", "098a01e0", "098a01e0", "098a01e0"]

    def test_any_packet_will_do(self) -> None:
        assert EventReceiver().receive(1, 8000, bytes.fromhex("0b8a0320")) == "#"

    @pytest.mark.parametrize("payload", [b"", b"\x05\x0a\x00", bytes.fromhex("100a00a0"), bytes.fromhex("400a00a0")])
    def test_what_is_no_key(self, payload: bytes) -> None:
        assert EventReceiver().receive(1, 8000, payload) is None

    def test_what_is_on_no_keypad(self) -> None:
        with pytest.raises(ConfigurationError, match="'x' is on no keypad"):
            event_packets("1x")
