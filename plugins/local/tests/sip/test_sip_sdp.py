"""Session descriptions: RFC 4566, and offer and answer of RFC 3264."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield_local.sip import sdp

HEAD = "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n"
LOCAL = ("127.0.0.1", 4000)


def read(media: str, head: str = HEAD) -> sdp.Offer:
    return sdp.read((head + media).encode())


def answer(media: str) -> list[str]:
    offer = read(media)
    return sdp.answer(offer, sdp.agree(offer), LOCAL, version=1).decode().splitlines()


class TestReading:
    @pytest.mark.parametrize(
        ("media", "codecs", "events"),
        [
            ("m=audio 4002 RTP/AVP 0\r\n", [("audio/pcmu", 0)], None),
            (
                "m=audio 4002 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\n",
                [("audio/pcma", 8), ("audio/pcmu", 0)],
                101,
            ),
            (
                "m=audio 4002 RTP/AVP 9 97\r\na=rtpmap:9 G722/8000\r\na=rtpmap:97 pcmu/8000/1\r\n",
                [("audio/pcmu", 97)],
                None,
            ),
            ("m=audio 4002 RTP/AVP 18 0\r\na=rtpmap:0 PCMU/8000\r\n", [("audio/pcmu", 0)], None),
            (
                "m=audio 4002 RTP/AVP 96 97 8\r\na=rtpmap:96 telephone-event/16000\r\na=rtpmap:97 PCMU/16000\r\n",
                [("audio/pcma", 8)],
                None,
            ),
            ("m=video 0 RTP/AVP 96\r\nm=audio 4002/1 rtp/avp 0 abc 300\r\n", [("audio/pcmu", 0)], None),
        ],
    )
    def test_codecs(self, media: str, codecs: list[tuple[str, int]], events: int | None) -> None:
        offer = read(media)
        assert [(codec.format, codec.payload_type) for codec in offer.codecs] == codecs
        assert (offer.events_type, offer.remote) == (events, ("192.0.2.7", 4002))

    def test_a_medium_has_its_own_address(self) -> None:
        assert read("m=audio 4002 RTP/AVP 0\r\nc=IN IP4 192.0.2.8/127\r\n").remote[0] == "192.0.2.8"

    @pytest.mark.parametrize(
        ("lines", "sends", "hears"),
        [
            ("", True, True),
            ("a=sendonly\r\n", False, True),
            ("a=recvonly\r\n", True, False),
            ("a=inactive\r\n", False, False),
            ("c=IN IP4 0.0.0.0\r\n", False, True),
        ],
    )
    def test_directions(self, lines: str, sends: bool, hears: bool) -> None:
        agreement = sdp.agree(read("m=audio 4002 RTP/AVP 0\r\n" + lines))
        assert (agreement.sends, agreement.hears) == (sends, hears)

    def test_the_direction_of_all_media(self) -> None:
        offer = read("m=audio 4002 RTP/AVP 0\r\n", HEAD + "a=inactive\r\n")
        assert offer.direction == "inactive"

    @pytest.mark.parametrize(
        "media",
        [
            "",
            "m=audio 4002 RTP/AVP 18\r\n",
            "m=audio 4002 RTP/SAVP 0\r\n",
            "m=audio 0 RTP/AVP 0\r\n",
            "m=video 4002 RTP/AVP 0\r\n",
            "m=audio 4002 RTP/AVP 0\r\na=rtpmap:0 PCMU/16000\r\n",
            "m=audio 4002 RTP/AVP\r\n",
        ],
    )
    def test_nothing_in_common(self, media: str) -> None:
        with pytest.raises(sdp.NoCommonCodecError):
            read(media)

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"hello",
            b"v=1\r\n",
            HEAD.encode() + b"m=audio\r\n",
            b"v=0\r\nm=audio 4002 RTP/AVP 0\r\n",
            HEAD.encode() + b"m=audio 99999 RTP/AVP 0\r\n",
            b"\xff\xfe",
        ],
    )
    def test_what_cannot_be_read(self, body: bytes) -> None:
        with pytest.raises(sdp.SdpError) as caught:
            sdp.read(body)
        assert not isinstance(caught.value, sdp.NoCommonCodecError)

    @given(st.binary(max_size=200), st.integers(0, 120))
    def test_nothing_else_is_raised(self, junk: bytes, at: int) -> None:
        whole = (HEAD + "m=audio 4002 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n").encode()
        for body in (junk, whole[:at] + junk + whole[at:]):
            try:
                offer = sdp.read(body)
            except sdp.SdpError:
                continue
            sdp.answer(offer, sdp.agree(offer), LOCAL, version=1)


class TestAnswering:
    def test_one_codec_is_left(self) -> None:
        lines = answer("m=audio 4002 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendonly\r\n")
        assert lines == [
            "v=0",
            "o=- 4000 1 IN IP4 127.0.0.1",
            "s=-",
            "c=IN IP4 127.0.0.1",
            "t=0 0",
            "m=audio 4000 RTP/AVP 8 101",
            "a=rtpmap:8 PCMA/8000",
            "a=rtpmap:101 telephone-event/8000",
            "a=fmtp:101 0-16",
            "a=ptime:20",
            "a=recvonly",
        ]

    def test_other_media_are_declined_in_their_place(self) -> None:
        lines = answer(
            "m=video 6000 RTP/AVP 96\r\nm=audio 4002 RTP/AVP 0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
        )
        assert [line for line in lines if line.startswith("m=")] == [
            "m=video 0 RTP/AVP 96",
            "m=audio 4000 RTP/AVP 0",
            "m=application 0 UDP/DTLS/SCTP webrtc-datachannel",
        ]

    def test_a_call_keeps_its_codec(self) -> None:
        offer = read("m=audio 4002 RTP/AVP 8 0\r\n")
        assert sdp.agree(offer, codec="audio/pcmu").codec == sdp.PCMU
        with pytest.raises(sdp.NoCommonCodecError):
            sdp.agree(read("m=audio 4002 RTP/AVP 8\r\n"), codec="audio/pcmu")

    def test_our_own_offer_can_be_answered(self) -> None:
        offer = sdp.read(sdp.offer(("::1", 4000), version=0))
        assert (offer.codecs, offer.events_type, offer.remote) == ((sdp.PCMU, sdp.PCMA), 101, ("::1", 4000))
