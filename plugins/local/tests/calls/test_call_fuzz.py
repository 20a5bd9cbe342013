"""Whatever is posted as an offer: it is answered, or refused in the API's form, and the server is as good as ever."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jackfield_local import LocalServer, serve_in_thread

OFFER = "\r\n".join(
    [
        "v=0",
        "o=- 3922 3922 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0 1",
        "a=msid-semantic:WMS *",
        "m=audio 9 UDP/TLS/RTP/SAVPF 96 0 8",
        "c=IN IP4 0.0.0.0",
        "a=sendrecv",
        "a=mid:0",
        "a=msid:b0d3 8c0b",
        "a=rtcp-mux",
        "a=ssrc:2157 cname:c21f",
        "a=rtpmap:96 opus/48000/2",
        "a=fmtp:96 minptime=10;useinbandfec=1",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
        "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid",
        "a=candidate:1 1 udp 2130706431 192.0.2.9 45678 typ host",
        "a=ice-ufrag:abcd",
        "a=ice-pwd:abcdefghijklmnopqrstuv",
        "a=fingerprint:sha-256 " + ":".join(["AB"] * 32),
        "a=setup:actpass",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 0.0.0.0",
        "a=mid:1",
        "a=sctp-port:5000",
        "a=max-message-size:262144",
        "a=ice-ufrag:abcd",
        "a=ice-pwd:abcdefghijklmnopqrstuv",
        "a=fingerprint:sha-256 " + ":".join(["AB"] * 32),
        "a=setup:actpass",
        "",
    ]
)
LINES = OFFER.splitlines(keepends=True)


@pytest.fixture(scope="module")
def server(StubResponder: Any) -> Iterator[LocalServer]:
    with serve_in_thread(responder=StubResponder(), recognizer=None, synthesizer=None, record=False) as started:
        yield started


@pytest.fixture(scope="module")
def http(server: LocalServer) -> Iterator[httpx.Client]:
    headers = {"Authorization": "Bearer x"}
    with httpx.Client(base_url=server.http_url, headers=headers, timeout=20) as client:
        yield client


def post(http: httpx.Client, content: bytes, kind: str) -> httpx.Response:
    """Post something, and hang up where it made a call."""
    response = http.post("/realtime/calls", content=content, headers={"Content-Type": kind})
    if response.status_code == 201:
        assert response.text.startswith("v=0\r\n")
        assert http.post(f"{response.headers['location'].removeprefix('/v1')}/hangup").status_code == 200
    else:
        assert response.status_code == 400
        assert set(response.json()["error"]) == {"message", "type", "code", "param"}
    return response


words = st.sampled_from(["", "0", "-1", "9" * 30, "\0", "é", "opus/8000", "sendonly", "UDP/TLS/RTP/SAVPF", "a" * 5000])


@st.composite
def offers(draw: st.DrawFn) -> str:
    """An offer with some lines gone, some twice, some in another place, and some with other words in them."""
    lines = list(LINES)
    for _ in range(draw(st.integers(1, 4))):
        index = draw(st.integers(0, len(lines) - 1))
        change = draw(st.sampled_from(["drop", "twice", "swap", "word", "cut"]))
        if change == "drop" and len(lines) > 1:
            del lines[index]
        elif change == "twice":
            lines.insert(index, lines[index])
        elif change == "swap":
            other = draw(st.integers(0, len(lines) - 1))
            lines[index], lines[other] = lines[other], lines[index]
        elif change == "word":
            pieces = re.split(r"([ :=/])", lines[index].rstrip())
            pieces[draw(st.integers(0, len(pieces) - 1))] = draw(words)
            lines[index] = "".join(pieces) + "\r\n"
        else:
            lines[index] = lines[index][: draw(st.integers(0, len(lines[index])))]
    return "".join(lines)


relaxed = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_the_offer_itself_is_good(http: httpx.Client) -> None:
    assert post(http, OFFER.encode(), "application/sdp").status_code == 201


@relaxed
@given(offers())
def test_offers(http: httpx.Client, offer: str) -> None:
    post(http, offer.encode(), "application/sdp")


@relaxed
@given(st.binary(max_size=200))
def test_bytes(http: httpx.Client, body: bytes) -> None:
    assert post(http, body, "application/sdp").status_code == 400
    assert post(http, body, "multipart/form-data; boundary=x").status_code == 400


pieces = st.sampled_from(
    [
        b"--x\r\n",
        b"--x--\r\n",
        b"\r\n",
        b"\r\n\r\n",
        b'Content-Disposition: form-data; name="sdp"\r\n',
        b'Content-Disposition: form-data; name="session"; filename="blob"\r\n',
        b'Content-Disposition: form-data; name="session"\r\n',
        b"Content-Disposition: form-data\r\n",
        b"Content-Type: application/json; charset=nonsense\r\n",
        b'{"type": "realtime"}',
        b'{"type": "realtime", "audio": {"input": null}}',
        b"[" * 2000,
        b"\xff\x00",
        OFFER.encode(),
    ]
)
kinds_of_form = st.sampled_from(
    [
        "multipart/form-data; boundary=x",
        "multipart/form-data; boundary=x; charset=utf-16",
        "multipart/form-data; boundary=x; charset=nonsense",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary",
        "Multipart/Form-Data;boundary=x;;",
    ]
)


@relaxed
@given(st.lists(pieces, max_size=12), kinds_of_form)
def test_forms(http: httpx.Client, parts: list[bytes], kind: str) -> None:
    post(http, b"".join(parts), kind)
