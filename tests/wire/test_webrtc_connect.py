"""Making a call: each step that fails says in its own words what went wrong, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiortc import RTCIceServer

from jackfield.errors import ConfigurationError
from jackfield.testing.conformance import no_leaks
from jackfield.transport import (
    AuthenticationError,
    ConnectRefusedError,
    ConnectTimeoutError,
    TransportError,
    UnsupportedByTransportError,
    create_transport,
)
from jackfield_local.conformance.dialect import DialectConnection
from jackfield_local.conformance.peers import RtcFarEnd
from jackfield_local.conformance.udp_path import is_dtls, is_stun
from jackfield_transports.webrtc.wire import StepLimits

pytestmark = pytest.mark.usefixtures("nothing_is_left")

KEY = "sk-canary-5e11ab"


async def fails(far_end: RtcFarEnd, kind: type[TransportError], match: str, **options: Any) -> TransportError:
    """Make a call with these options of the transport, which is to fail; return with what."""
    transport = create_transport("webrtc", **options)
    async with no_leaks():
        with pytest.raises(kind, match=match) as caught:
            await transport.connect(api_key=KEY, url=far_end.calls_url)
        await far_end.let_go()
    assert type(caught.value) is kind
    assert transport.status == "disconnected"
    assert KEY not in str(caught.value)
    return caught.value


async def takes_too_long(far_end: RtcFarEnd, stage: str, advice: str, **options: Any) -> None:
    """The same for one of which a step takes too long."""
    error = await fails(far_end, ConnectTimeoutError, f"{re.escape(stage)}.*{advice}", **options)
    assert isinstance(error, ConnectTimeoutError) and stage in error.stage


@pytest.fixture
async def silent_port() -> AsyncIterator[int]:
    """A UDP port on which somebody listens and never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        yield silent.getsockname()[1]


def without(pattern: str) -> Callable[[str], str]:
    """Return a change of the answer that takes lines out."""
    return lambda sdp: re.sub(pattern, "", sdp, flags=re.MULTILINE)


class TestOffer:
    @pytest.mark.parametrize("kind", ["stun", "turn"])
    async def test_a_server_that_does_not_answer(self, silent_port: int, kind: str) -> None:
        server = RTCIceServer(f"{kind}:127.0.0.1:{silent_port}", username="user", credential="pass")
        async with RtcFarEnd() as far_end:
            limits = StepLimits(offer=0.2)
            await takes_too_long(far_end, "making the offer", "STUN", ice_servers=[server], limits=limits)
            assert far_end.requests == []


class TestAnswer:
    async def test_that_comes_too_late(self) -> None:
        late = asyncio.Event()
        async with RtcFarEnd(late=late) as far_end:
            transport = create_transport("webrtc", limits=StepLimits(post=0.1))
            with pytest.raises(ConnectTimeoutError, match=r"posting the offer to http.*/calls took longer than 0\.1 s"):
                await transport.connect(api_key=KEY, url=far_end.calls_url)
            late.set()

    @pytest.mark.parametrize(
        ("answer", "told"),
        [
            ("<html>Bad gateway</html>", "is no session description: it begins with '<html>Bad gateway</h'"),
            ("", "is no session description"),
            ("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n", "has no audio section, but nothing"),
            ("v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n", "has no audio section, but video"),
            ("v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\n", "can't be used"),
        ],
        ids=["html", "nothing", "no sections", "video", "half of one"],
    )
    async def test_that_is_none(self, answer: str, told: str) -> None:
        async with RtcFarEnd(answer=lambda _: answer) as far_end:
            error = await fails(far_end, ConnectRefusedError, f"answered the offer with what can't be used.*{told}")
            assert error.classification == "fatal"

    async def test_without_a_location_the_call_has_no_id(self) -> None:
        async with RtcFarEnd(headers={}) as far_end:
            transport = create_transport("webrtc")
            await transport.connect(api_key=KEY, url=far_end.calls_url)
            assert transport.call_id is None  # type: ignore[attr-defined]
            await transport.close()

    @pytest.mark.parametrize(
        "location",
        ["/v1/realtime/calls/rtc_u1_x", "https://proxy.example/a/calls/rtc_u1_x?b=c", "/v1/realtime/calls/rtc_u1_x/"],
    )
    async def test_the_location_names_the_call(self, location: str) -> None:
        async with RtcFarEnd(headers={"Location": location}) as far_end:
            transport = create_transport("webrtc")
            assert transport.call_id is None  # type: ignore[attr-defined]
            await transport.connect(api_key=KEY, url=far_end.calls_url)
            assert transport.call_id == "rtc_u1_x"  # type: ignore[attr-defined]
            await transport.close()
            assert transport.call_id is None  # type: ignore[attr-defined]


class TestPath:
    async def test_none_is_found(self) -> None:
        async with RtcFarEnd(drops=lambda _: True) as far_end:
            limits = StepLimits(ice=0.2)
            await takes_too_long(far_end, "looking for a network path (ICE)", "no TURN server was given", limits=limits)

    async def test_the_far_end_names_no_address(self) -> None:
        async with RtcFarEnd(answer=without(r"^a=candidate:.*\r\n")) as far_end:
            await fails(far_end, ConnectRefusedError, "ICE found no path: no TURN server was given.*websocket")

    async def test_a_turn_server_that_gives_no_relay(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as unused:
            unused.bind(("127.0.0.1", 0))
            url = f"turn:127.0.0.1:{unused.getsockname()[1]}?transport=tcp"
            server = {"urls": url, "username": "user", "credential": "pass"}
            async with RtcFarEnd(answer=without(r"^a=candidate:.*\r\n")) as far_end:
                await fails(far_end, ConnectRefusedError, "TURN server gave no relay address", ice_servers=[server])

    async def test_no_keys_are_agreed_on(self) -> None:
        async with RtcFarEnd(drops=is_dtls) as far_end:
            limits = StepLimits(dtls=0.2)
            await takes_too_long(far_end, "agreeing on keys (DTLS)", "stopped answering", limits=limits)

    async def test_a_far_end_that_is_another(self) -> None:
        """The certificate isn't the one that the answer tells of."""

        def forged(sdp: str) -> str:
            return re.sub(r"(a=fingerprint:\S+ )\S\S", r"\g<1>00", re.sub(r"(a=fingerprint:\S+ )00", r"\g<1>11", sdp))

        async with RtcFarEnd(answer=forged) as far_end:
            await fails(far_end, ConnectRefusedError, "while it was being made")

    async def test_it_goes_away_while_ice_looks(self) -> None:
        seen = 0

        def dies(packet: bytes) -> bool:
            nonlocal seen
            seen += is_stun(packet)
            return seen > 1

        async with RtcFarEnd(drops=dies) as far_end:
            await takes_too_long(far_end, "looking for a network path", "TURN", limits=StepLimits(ice=0.2))


class TestChannel:
    async def test_it_never_opens(self) -> None:
        """The far end has no ear for data channels, though it says that it has."""

        def only_audio(offer: str) -> str:
            return offer.partition("m=application")[0].replace("BUNDLE 0 1", "BUNDLE 0")

        def with_data(answer: str) -> str:
            path = re.findall(r"^a=(?:ice-|fingerprint|setup|candidate|end-of-).*\r\n", answer, re.MULTILINE)
            data = ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n"]
            data += ["a=mid:1\r\na=sctp-port:5000\r\n", *path]
            return answer.replace("BUNDLE 0", "BUNDLE 0 1") + "".join(data)

        async with RtcFarEnd(offer=only_audio, answer=with_data) as far_end:
            limits = StepLimits(channel=0.2)
            await takes_too_long(far_end, "opening the data channel (SCTP)", "didn't take up", limits=limits)

    async def test_the_acknowledgement_never_comes(self) -> None:
        async def silent(connection: DialectConnection) -> None:
            await connection.receive()

        async with RtcFarEnd(silent) as far_end:
            transport = create_transport("webrtc")
            with pytest.raises(ConnectTimeoutError, match="waiting for the far end to acknowledge"):
                await transport.connect(api_key=KEY, url=far_end.calls_url, timeout=1.5)


class TestWhatIsAsked:
    @pytest.mark.parametrize(
        ("options", "kind", "match"),
        [
            ({"url": "wss://host/v1/realtime"}, ConfigurationError, "scheme is wss.*calls"),
            ({"url": "host/v1"}, ConfigurationError, "scheme is missing"),
            ({"url": "https://user:pass@host/v1"}, ConfigurationError, "password"),
            ({"call_id": "rtc_1"}, UnsupportedByTransportError, "attach_by_call_id"),
            ({"api_key": None}, AuthenticationError, "OPENAI_API_KEY"),
            ({"api_key": ""}, AuthenticationError, "OPENAI_API_KEY"),
        ],
    )
    async def test_that_can_not_be(self, options: dict[str, Any], kind: type[TransportError], match: str) -> None:
        async with RtcFarEnd() as far_end:
            transport = create_transport("webrtc")
            with pytest.raises(kind, match=match):
                await transport.connect(**{"api_key": KEY, "url": far_end.calls_url, **options})
            assert transport.status == "disconnected"
            assert far_end.requests == []

    @pytest.mark.parametrize(
        ("options", "match"),
        [
            ({"ice_servers": [{"url": "stun:host"}]}, "an ICE server has urls.*this one has 'url'"),
            ({"ice_servers": ["http://host"]}, "'http://host' has no address"),
            ({"ice_servers": [{"urls": ["stun:host", "stun:"]}]}, "'stun:' has no address"),
            ({"offer_form": "json"}, "offer_form='json'.*multipart"),
            ({"bit_rate": 5_000}, "6,000 to 510,000"),
            ({"audio_input": object()}, "object, which has no audio track"),
        ],
    )
    async def test_of_the_transport_that_can_not_be(self, options: dict[str, Any], match: str) -> None:
        with pytest.raises(ConfigurationError, match=match):
            create_transport("webrtc", **options)
