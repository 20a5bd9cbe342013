"""What can go wrong with the descriptions of a WebRTC call: the offer as it is read, the answer as it is sent."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from attrs import field, frozen

__all__ = ["JUNK_ANSWER", "NO_DATA", "NO_MEDIA", "SdpFault"]

_DATA_SECTION: Final = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:{}\r\n"
_DATA_ATTRIBUTES: Final = "a=sctp-port:5000\r\na=max-message-size:262144\r\n"


@frozen
class SdpFault:
    """How one fault changes an offer before it is answered, and then the answer, given the offer that was made."""

    change_offer: Callable[[str], str] = field(default=lambda offer: offer)
    change_answer: Callable[[str, str], str] = field(default=lambda offer, answer: answer)


def _without_data(offer: str) -> str:
    """Return `offer` without its data channels."""
    return "".join(section for section in _sections(offer) if not section.startswith("m=application"))


def _feigning_data(offer: str, answer: str) -> str:
    """Return `answer`, which was made without data channels, with these accepted where `offer` has them.

    Nobody is there to answer the SCTP that follows. Declined, they would be an error that a client is told of.
    """
    sections = _sections(answer)
    transport = "".join(re.findall(r"^a=(?:ice-ufrag|ice-pwd|fingerprint|setup):.*\r\n", answer, re.MULTILINE))
    for index, section in enumerate(_sections(offer)):
        if section.startswith("m=application"):
            mid = re.findall(r"^a=mid:(\S+)", section, re.MULTILINE)[0]
            sections.insert(index, _DATA_SECTION.format(mid) + transport + _DATA_ATTRIBUTES)
            sections[0] = re.sub(r"(?m)^(a=group:BUNDLE.*?)(\r?)$", rf"\1 {mid}\2", sections[0])
    return "".join(sections)


def _other_password(offer: str, answer: str) -> str:
    """Return `answer` with an ICE password that isn't ours, so that no connectivity check succeeds."""
    return re.sub(r"(?m)^(a=ice-pwd:).*?(\r?)$", r"\1wrongwrongwrongwrongwrong\2", answer)


def _sections(sdp: str) -> list[str]:
    """Cut a description before each `m=` line."""
    return re.split(r"(?m)^(?=m=)", sdp)


JUNK_ANSWER: Final = SdpFault(change_answer=lambda offer, answer: "<html><body>Bad gateway</body></html>")
NO_MEDIA: Final = SdpFault(change_answer=_other_password)
NO_DATA: Final = SdpFault(change_offer=_without_data, change_answer=_feigning_data)
