"""Session descriptions (RFC 4566) of one G.711 stream, and agreeing on one by offer and answer (RFC 3264).

PCMU and PCMA, telephone events (RFC 4733) beside them, 20 ms packets, hold. Other media are declined.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, Literal, TypeAlias

from attrs import field, frozen

from jackfield_local.sip.flow import HostPort

__all__ = [
    "PCMA",
    "PCMU",
    "Agreement",
    "Codec",
    "Direction",
    "NoCommonCodecError",
    "Offer",
    "SdpError",
    "agree",
    "answer",
    "offer",
    "read",
]

Direction: TypeAlias = Literal["sendrecv", "sendonly", "recvonly", "inactive"]

_DIRECTIONS: Final[dict[str, Direction]] = {
    "sendrecv": "sendrecv",
    "sendonly": "sendonly",
    "recvonly": "recvonly",
    "inactive": "inactive",
}
_OPPOSITE: Final[dict[Direction, Direction]] = {
    "sendrecv": "sendrecv",
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "inactive": "inactive",
}
_MEDIA: Final = re.compile(r"(?P<kind>\S+) (?P<port>\d{1,5})(?:/\d+)? (?P<protocol>\S+)(?: (?P<formats>.+))?")
_RTPMAP: Final = re.compile(r"(?P<type>\d{1,3}) (?P<name>[^/ ]+)/(?P<rate>\d+)")
_EVENTS_TYPE: Final = 101


class SdpError(ValueError):
    """The session description can't be read."""


class NoCommonCodecError(SdpError):
    """There is no audio in it that we could take: to be refused with 488."""


@frozen
class Codec:
    """G.711 under a payload type: `format` is the Realtime API's name of it."""

    name: str
    format: str
    payload_type: int


PCMU: Final = Codec("PCMU", "audio/pcmu", 0)
PCMA: Final = Codec("PCMA", "audio/pcma", 8)
_KNOWN: Final = {"PCMU": PCMU, "PCMA": PCMA}
_STATIC: Final = {0: PCMU, 8: PCMA}


@frozen
class _Media:
    """One `m=` line and what belongs to it."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    lines: tuple[str, ...]

    @property
    def line(self) -> str:
        """The line with which the medium is declined."""
        return f"m={self.kind} 0 {self.protocol} {' '.join(self.formats) or '0'}"


@frozen
class Offer:
    """What the peer wants: where it hears, by which codecs (the ones it likes most first), and in which directions."""

    remote: HostPort
    codecs: tuple[Codec, ...]
    events_type: int | None
    direction: Direction
    index: int
    _media: tuple[_Media, ...] = field(repr=False)

    @property
    def media(self) -> tuple[_Media, ...]:
        """All media that are described, of which the one at `index` is meant."""
        return self._media


@frozen
class Agreement:
    """What both ends have agreed on. `sends` and `hears` are ours; `events_type` is None without telephone events."""

    codec: Codec
    events_type: int | None
    remote: HostPort
    sends: bool
    hears: bool


def read(body: bytes) -> Offer:
    """Return what a description offers, or answers. Raises `SdpError`, and `NoCommonCodecError` without G.711."""
    session, media = _cut(body)
    for index, medium in enumerate(media):
        if medium.kind != "audio" or medium.protocol.upper() != "RTP/AVP" or not medium.port:
            continue
        codecs, events_type = _codecs(medium)
        if not codecs:
            continue
        host = _host(medium.lines) or _host(session)
        if host is None:
            raise SdpError("there is no connection address")
        direction = _direction(medium.lines) or _direction(session) or "sendrecv"
        if host in ("0.0.0.0", "::"):  # noqa: S104 - the way of RFC 2543 to put a call on hold
            direction = "inactive" if direction in ("recvonly", "inactive") else "sendonly"
        return Offer((host, medium.port), codecs, events_type, direction, index, media)
    raise NoCommonCodecError("there is no PCMU or PCMA over RTP/AVP")


def agree(theirs: Offer, *, codec: str | None = None) -> Agreement:
    """Return what follows from what the peer offers or answers: its favourite codec, and what it lets us do.

    `codec` is the format that a call goes by already, and must stay with. Raises `NoCommonCodecError`.
    """
    ours = _OPPOSITE[theirs.direction]
    chosen = next((one for one in theirs.codecs if codec in (None, one.format)), None)
    if chosen is None:
        raise NoCommonCodecError(f"a call can't change from {codec} to another codec")
    return Agreement(
        chosen,
        theirs.events_type,
        theirs.remote,
        sends=ours in ("sendrecv", "sendonly"),
        hears=ours in ("sendrecv", "recvonly"),
    )


def answer(theirs: Offer, agreement: Agreement, local: HostPort, *, version: int) -> bytes:
    """Return our answer to an offer; `local` is where we hear, `version` grows with each description of a call."""
    lines = _head(local, version)
    for index, medium in enumerate(theirs.media):
        if index == theirs.index:
            direction = _OPPOSITE[theirs.direction]
            lines += _audio(local, (agreement.codec,), agreement.events_type, direction, medium.protocol)
        else:
            lines.append(medium.line)
    return _written(lines)


def offer(
    local: HostPort, *, version: int, codecs: tuple[Codec, ...] = (PCMU, PCMA), direction: Direction = "sendrecv"
) -> bytes:
    """Return our own offer."""
    return _written([*_head(local, version), *_audio(local, codecs, _EVENTS_TYPE, direction, "RTP/AVP")])


def _cut(body: bytes) -> tuple[tuple[str, ...], tuple[_Media, ...]]:
    lines = [line.strip() for line in body.decode("utf-8", "replace").splitlines()]
    if "v=0" not in lines[:1]:
        raise SdpError("it is no session description")
    sections: list[list[str]] = [[]]
    for line in lines:
        if line.startswith("m="):
            sections.append([])
        sections[-1].append(line)
    return tuple(sections[0]), tuple(_medium(section) for section in sections[1:])


def _medium(section: list[str]) -> _Media:
    match = _MEDIA.fullmatch(section[0].removeprefix("m="))
    if match is None or int(match["port"]) > 65535:
        raise SdpError(f"the line {section[0]!r} can't be read")
    formats = tuple((match["formats"] or "").split())
    return _Media(match["kind"].lower(), int(match["port"]), match["protocol"], formats, tuple(section[1:]))


def _codecs(medium: _Media) -> tuple[tuple[Codec, ...], int | None]:
    named = dict(_rtpmaps(medium.lines))
    codecs = []
    events_type = None
    for text in medium.formats:
        if not text.isdecimal() or int(text) > 127:
            continue
        payload_type = int(text)
        name, rate = named.get(payload_type, ("", 8000))
        known = _STATIC.get(payload_type) if payload_type not in named else _KNOWN.get(name)
        if rate != 8000:
            continue
        if known is not None:
            codecs.append(Codec(known.name, known.format, payload_type))
        elif name == "TELEPHONE-EVENT" and events_type is None:
            events_type = payload_type
    return tuple(codecs), events_type


def _rtpmaps(lines: tuple[str, ...]) -> Iterator[tuple[int, tuple[str, int]]]:
    for value in _attributes(lines, "rtpmap"):
        if (match := _RTPMAP.match(value)) is not None:
            yield int(match["type"]), (match["name"].upper(), int(match["rate"]))


def _attributes(lines: tuple[str, ...], name: str) -> Iterator[str]:
    for line in lines:
        if line.startswith(f"a={name}:"):
            yield line.partition(":")[2].strip()


def _direction(lines: tuple[str, ...]) -> Direction | None:
    found: Mapping[str, Direction] = _DIRECTIONS
    return next((found[line[2:]] for line in lines if line.startswith("a=") and line[2:] in found), None)


def _host(lines: tuple[str, ...]) -> str | None:
    for line in lines:
        parts = line.removeprefix("c=").split()
        if line.startswith("c=") and len(parts) == 3:
            return parts[2].partition("/")[0]
    return None


def _head(local: HostPort, version: int) -> list[str]:
    address = f"IN {'IP6' if ':' in local[0] else 'IP4'} {local[0]}"
    return ["v=0", f"o=- {local[1]} {version} {address}", "s=-", f"c={address}", "t=0 0"]


def _audio(
    local: HostPort, codecs: tuple[Codec, ...], events_type: int | None, direction: Direction, protocol: str
) -> list[str]:
    types = [codec.payload_type for codec in codecs] + ([] if events_type is None else [events_type])
    lines = [f"m=audio {local[1]} {protocol} {' '.join(map(str, types))}"]
    lines += [f"a=rtpmap:{codec.payload_type} {codec.name}/8000" for codec in codecs]
    if events_type is not None:
        lines += [f"a=rtpmap:{events_type} telephone-event/8000", f"a=fmtp:{events_type} 0-16"]
    return [*lines, "a=ptime:20", f"a={direction}"]


def _written(lines: list[str]) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode()
