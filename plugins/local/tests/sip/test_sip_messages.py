"""Reading and writing messages: RFC 3261, sections 7, 18.3, 19.1 and 20, and what phones and trunks make of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sipmessage import Request, Response

from jackfield_local.sip.framing import PING, FramingError, StreamFramer
from jackfield_local.sip.messages import (
    BadMessageError,
    BadRequestError,
    parse_address,
    parse_message,
    parse_uri,
    parse_via,
    serialize,
    split_list,
    tag_of,
)

OPTIONS = (
    b"OPTIONS sip:bob@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
    b"From: <sip:a@x.org>;tag=1\r\nTo: <sip:b@x.org>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


def changed(old: bytes, new: bytes) -> bytes:
    assert old in OPTIONS
    return OPTIONS.replace(old, new)


def read(data: bytes) -> Request:
    message = parse_message(data)
    assert isinstance(message, Request)
    return message


class TestSection7:
    """SIP messages."""

    def test_a_request(self) -> None:
        request = read(OPTIONS)
        assert (request.method, str(request.uri), request.uri.user) == ("OPTIONS", "sip:bob@127.0.0.1", "bob")
        assert request.headers["Call-ID"] == "c"
        assert serialize(request) == OPTIONS

    def test_a_response(self) -> None:
        response = parse_message(OPTIONS.replace(b"OPTIONS sip:bob@127.0.0.1 SIP/2.0", b"SIP/2.0 183 Session Progress"))
        assert isinstance(response, Response)
        assert (response.code, response.phrase) == (183, "Session Progress")

    def test_a_response_without_a_phrase(self) -> None:
        response = parse_message(OPTIONS.replace(b"OPTIONS sip:bob@127.0.0.1 SIP/2.0", b"SIP/2.0 200"))
        assert isinstance(response, Response)
        assert response.code == 200

    @pytest.mark.parametrize(
        "data",
        [
            OPTIONS.replace(b"\r\n", b"\n"),
            b"\r\n\r\n" + OPTIONS,
            changed(b"From: <sip:a@x.org>;tag=1", b"f :\t<sip:a@x.org>\r\n\t;tag=1"),
            changed(b"From: <sip:a@x.org>;tag=1", b"From:\r\n <sip:a@x.org>;tag=1"),
            changed(b"Call-ID", b"i").replace(b"Via", b"V").replace(b"To:", b"t  :"),
            changed(b"CSeq: 1 OPTIONS", b"cseq: 1    OPTIONS"),
            changed(b"OPTIONS sip", b"OPTIONS  sip"),
            changed(b"Max-Forwards: 70\r\n", b""),
            changed(b"Content-Length: 0\r\n", b""),
        ],
        ids=[
            "line-feeds",
            "blank-lines",
            "folded",
            "folded-at-once",
            "compact",
            "blanks",
            "two-blanks",
            "no-max",
            "no-length",
        ],
    )
    def test_what_is_read_all_the_same(self, data: bytes) -> None:
        request = read(data)
        assert (request.headers["Call-ID"], tag_of(request, "From"), request.method) == ("c", "1", "OPTIONS")

    def test_text_that_is_not_utf8_is_latin_1(self) -> None:
        request = read(changed(b"From: <", b'From: "Ren\xe9" <'))
        assert request.headers["From"] == '"René" <sip:a@x.org>;tag=1'

    def test_what_is_behind_the_body_is_not_read(self) -> None:
        assert read(changed(b"Length: 0", b"Length: 2") + b"hiho").body == b"hi"

    def test_a_contact_of_all(self) -> None:
        assert read(changed(b"Max-Forwards: 70", b"Contact: *")).headers["Contact"] == "*"

    @pytest.mark.parametrize(
        ("old", "new", "code"),
        [
            (b"Call-ID: c\r\n", b"", 400),
            (b"To: <sip:b@x.org>\r\n", b"", 400),
            (b"<sip:b@x.org>", b"<sip:b@x.org", 400),
            (b"CSeq: 1 OPTIONS\r\n", b"", 400),
            (b"1 OPTIONS", b"one OPTIONS", 400),
            (b"1 OPTIONS", b"1 INVITE", 400),
            (b"1 OPTIONS", b"4294967296 OPTIONS", 400),
            (b"Call-ID: c", b"Call-ID: c\r\nCall-ID: d", 400),
            (b"Length: 0", b"Length: 9", 400),
            (b"Length: 0", b"Length: -1", 400),
            (b"Max-Forwards: 70", b"what is this", 400),
            (b"sip:bob@127.0.0.1 ", b"sip:bob@@ ", 400),
            (b"sip:bob@127.0.0.1 ", b"<sip:bob@127.0.0.1> ", 400),
            (b"sip:bob@127.0.0.1 ", b"http://127.0.0.1/ ", 416),
            (b"127.0.0.1 SIP/2.0", b"127.0.0.1 SIP/7.0", 505),
        ],
    )
    def test_what_is_refused(self, old: bytes, new: bytes, code: int) -> None:
        with pytest.raises(BadRequestError) as caught:
            parse_message(changed(old, new))
        assert caught.value.code == code

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"hello",
            b"\x00\xff" * 40,
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            OPTIONS.replace(b"Via", b"Fia"),
            OPTIONS.replace(b"SIP/2.0/UDP 127.0.0.1", b"SIP/2.0/UDP"),
            OPTIONS.replace(b"OPTIONS sip:bob@127.0.0.1 SIP/2.0", b"SIP/2.0 two OK"),
            OPTIONS.replace(b"OPTIONS sip:bob@127.0.0.1 SIP/2.0", b"SIP/2.0 200 OK").replace(b"Call-ID: c", b"X: c"),
        ],
    )
    def test_what_cannot_be_answered(self, data: bytes) -> None:
        with pytest.raises(BadMessageError):
            parse_message(data)

    @given(st.binary(max_size=300), st.integers(0, len(OPTIONS)), st.integers(0, 30))
    def test_nothing_else_is_raised(self, junk: bytes, at: int, cut: int) -> None:
        for data in (junk, OPTIONS[:at] + junk + OPTIONS[at + cut :]):
            try:
                message = parse_message(data)
            except (BadMessageError, BadRequestError):
                continue
            again = parse_message(serialize(message))
            assert serialize(again) == serialize(message)

    @given(st.text(alphabet='abc;="<>@:,.1 \\%?&self*', max_size=40))
    def test_nor_by_what_headers_hold(self, text: str) -> None:
        for parse in (parse_uri, parse_address, parse_via):
            try:
                parse(text)
            except ValueError:
                continue
        assert all(split_list([text]))


class TestSection19:
    """URIs."""

    @pytest.mark.parametrize(
        ("text", "user", "host", "port"),
        [
            ("sip:alice@example.org", "alice", "example.org", None),
            ("SIP:example.org:5070;transport=tcp", None, "example.org", 5070),
            ("sip:sbc1", None, "sbc1", None),
            ("sip:x@pc33:5062", "x", "pc33", 5062),
            ("sips:bob:secret@[2001:db8::1]:5061", "bob", "[2001:db8::1]", 5061),
            ("sip:bob:@host", "bob", "host", None),
            ("sip:*123#@host", "*123#", "host", None),
            ("sip:+1-555;phone-context=x@host;user=phone", "+1-555;phone-context=x", "host", None),
            ("sip:%61lice@host?Replaces=abc%40x", "alice", "host", None),
            ("sip:my_host", None, "my_host", None),
            ("tel:+15551234;ext=5", "+15551234", "", None),
        ],
    )
    def test_all_kinds(self, text: str, user: str | None, host: str, port: int | None) -> None:
        uri = parse_uri(text)
        assert (uri.user, uri.host, uri.port, str(uri)) == (user, host, port, text)

    @pytest.mark.parametrize(
        "text", ["", "sip:", "sip:@", "mailto:x@y", "sip:a b@c", "sip:a@b:port", "tel:;self=1", "sip:h;self=1"]
    )
    def test_what_is_none(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"."):
            parse_uri(text)


class TestSection20:
    """Header fields."""

    @pytest.mark.parametrize(
        ("text", "uri", "tag"),
        [
            ("<sip:a@b>;tag=x", "sip:a@b", "x"),
            ("sip:a@b;tag=x", "sip:a@b", "x"),
            ('"A, <B>; \\"C\\"" <sip:a@b;lr>;TAG=x', "sip:a@b;lr", "x"),
            ("Alice Miller <sip:a@sbc1> ; tag = x", "sip:a@sbc1", "x"),
            ('<sip:a@b>;+sip.instance="<urn:uuid:1;2>";tag=x', "sip:a@b", "x"),
            ("<sip:a@b>", "sip:a@b", None),
        ],
    )
    def test_addresses(self, text: str, uri: str, tag: str | None) -> None:
        address = parse_address(text)
        assert (str(address.uri), address.parameters.get("tag")) == (uri, tag)

    @pytest.mark.parametrize(
        ("text", "host", "port", "branch"),
        [
            ("SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bK1", "10.0.0.1", 5070, "z9hG4bK1"),
            ("sip / 2.0 / tcp pc33 ;rport; branch = z9hG4bK2", "pc33", None, "z9hG4bK2"),
            ("SIP/2.0/UDP [::1]:5060;received=::1;branch=z9", "[::1]", 5060, "z9"),
        ],
    )
    def test_vias(self, text: str, host: str, port: int | None, branch: str) -> None:
        via = parse_via(text)
        assert (via.host, via.port, via.parameters["branch"]) == (host, port, branch)

    def test_lists(self) -> None:
        lines = ['"A, B" <sip:a@b;x=1,2>, <sip:c@d>', "", " , sip:e@f"]
        assert split_list(lines) == ['"A, B" <sip:a@b;x=1,2>', "<sip:c@d>", "sip:e@f"]


class TestSection183:
    """Framing in a stream."""

    BODY = OPTIONS.replace(b"Length: 0", b"Length: 4") + b"\r\n\r\n"

    @pytest.mark.parametrize("size", [1, 7, 100, 10_000])
    def test_however_it_is_cut(self, size: int) -> None:
        stream = OPTIONS + self.BODY + b"\r\n" + OPTIONS.replace(b"Content-Length", b"l ") + b"\r\n\r\n" + self.BODY
        framer = StreamFramer()
        found = [message for at in range(0, len(stream), size) for message in framer.feed(stream[at : at + size])]
        assert [message for message in found if message != PING] == [
            OPTIONS,
            self.BODY,
            OPTIONS.replace(b"Content-Length", b"l "),
            self.BODY,
        ]
        assert found.count(PING) == 1

    @pytest.mark.parametrize(
        "data",
        [
            OPTIONS.replace(b"Content-Length: 0\r\n", b""),
            OPTIONS.replace(b"Length: 0", b"Length: x"),
            OPTIONS.replace(b"Length: 0", b"Length: 99999999"),
            b"x" * 70_000,
        ],
    )
    def test_what_has_no_end(self, data: bytes) -> None:
        with pytest.raises(FramingError):
            list(StreamFramer().feed(data))

    @given(st.binary(max_size=200), st.integers(1, 50))
    def test_whatever_comes(self, data: bytes, size: int) -> None:
        framer = StreamFramer()
        try:
            for at in range(0, len(data), size):
                list(framer.feed(data[at : at + size]))
        except FramingError:
            pass
