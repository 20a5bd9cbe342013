"""SIP messages (RFC 3261, sections 7, 18.3, 20 and 25) as they come: read forgivingly, written back letter by letter.

The messages, headers and records are `sipmessage`'s. What its grammar is too strict for, and phones and trunks send
all the same, is put right before it is asked: folded lines, bare line feeds, blanks before colons, text that isn't
UTF-8; hosts such as `sbc1`, empty passwords, characters in users and parameters that should have been escaped.
What must be answered with a refusal is told by `BadRequestError`, and what can't be answered by `BadMessageError`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote

from sipmessage import URI, Address, CSeq, Message, Parameters, Request, Response, Via

__all__ = [
    "BadMessageError",
    "BadRequestError",
    "WireUri",
    "parse_address",
    "parse_message",
    "parse_uri",
    "parse_via",
    "serialize",
    "split_list",
    "tag_of",
]

_BLANK_LINE: Final = re.compile(rb"\r?\n\r?\n")
_FOLD: Final = re.compile(r"\r?\n[ \t]+")
_REQUEST_LINE: Final = re.compile(r"(?P<method>[\w.!%*+`'~-]+) +(?P<uri>[^ ]+) +SIP/(?P<version>\d+\.\d+)", re.ASCII)
_STATUS_LINE: Final = re.compile(r"SIP/2\.0 +(?P<code>[1-6]\d\d)(?: (?P<phrase>.*))?", re.IGNORECASE)
_HEADER: Final = re.compile(r"([\w.!%*+`'~-]+)[ \t]*:[ \t]*(.*)", re.ASCII)
_HOST: Final = r"(?P<host>\[[0-9A-Fa-f:.]+\]|[\w](?:[\w.-]*\w)?\.?)"
_SIP_URI: Final = re.compile(
    r"(?P<scheme>sips?):(?:(?P<user>[^@:<>\s]*)(?::(?P<password>[^@<>\s]*))?@)?"
    + _HOST
    + r"(?::(?P<port>\d{1,5}))?(?P<parameters>(?:;[^;?<>\s]+)*)(?:\?[^<>\s]*)?",
    re.IGNORECASE | re.ASCII,
)
_SCHEME: Final = re.compile(r"(?P<scheme>[A-Za-z][\w+.-]*):.", re.ASCII)
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_NAME_ADDRESS: Final = re.compile(r'(?P<name>"(?:[^"\\]|\\.)*"|[^"<]*?)\s*<(?P<uri>[^<>]*)>\s*(?P<parameters>(?:;.*)?)')
_ADDRESS: Final = re.compile(r"(?P<uri>[^;<>\s]+)\s*(?P<parameters>(?:;.*)?)")
_VIA: Final = re.compile(
    r"SIP *\/ *2\.0 *\/ *(?P<transport>[\w.!%*+`'~-]+) +"
    + _HOST
    + r"(?: *: *(?P<port>\d{1,5}))?\s*(?P<parameters>(?:;.*)?)",
    re.IGNORECASE | re.ASCII,
)
_LIST_PARTS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|<[^>]*>|[^",<]+|["<]|(?P<comma>,)')
_SINGLE: Final = ("From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Length")
_LARGEST_SEQUENCE: Final = 2**31


class BadMessageError(ValueError):
    """What came is no SIP message, or not enough of one to be answered."""


class BadRequestError(ValueError):
    """A request that is to be refused with `code`: it can be answered, and no more."""

    def __init__(self, request: Request, reason: str, code: int = 400) -> None:
        super().__init__(reason)
        self.request = request
        self.code = code
        self.reason = reason


@dataclasses.dataclass(frozen=True)
class WireUri(URI):
    """A URI that a peer wrote: `text` is how, and how it is written back."""

    text: str = ""

    def __str__(self) -> str:
        return self.text


def parse_message(data: bytes) -> Request | Response:
    """Return the message that `data` is: one datagram, or what `framing` cut from a stream.

    Raises `BadMessageError`, and `BadRequestError` for what is to be refused.
    """
    head, body = _split(data)
    lines = _FOLD.sub(" ", _text(head)).replace("\r\n", "\n").split("\n")
    defects: list[str] = []
    headers = []
    for line in lines[1:]:
        match = _HEADER.fullmatch(line)
        if match is None:
            defects.append("a header line has no name")
        else:
            headers.append(f"{match[1]}: {match[2]}")
    if (status := _STATUS_LINE.fullmatch(lines[0].rstrip())) is not None:
        first = f"SIP/2.0 {status['code']} {status['phrase'] or '-'}"
        response = _parsed(first, headers, body)
        assert isinstance(response, Response)
        _check_response(response, defects)
        return response
    start = _REQUEST_LINE.fullmatch(lines[0].rstrip())
    if start is None:
        raise BadMessageError("neither a request nor a response")
    request = _parsed(f"{start['method']} sip:unread.invalid SIP/2.0", headers, body)
    assert isinstance(request, Request)
    request.uri = WireUri(scheme="", host="", text=start["uri"])
    defects += _header_defects(request)
    if start["version"] != "2.0":
        raise BadRequestError(request, "Version Not Supported", 505)
    if defects:
        raise BadRequestError(request, f"Bad Request: {defects[0]}")
    scheme = _SCHEME.match(start["uri"])
    if scheme is not None and scheme["scheme"].lower() not in ("sip", "sips", "tel"):
        raise BadRequestError(request, "Unsupported URI Scheme", 416)
    try:
        request.uri = parse_uri(start["uri"])
    except ValueError:
        raise BadRequestError(request, "Bad Request: the Request-URI can't be read") from None
    return request


def serialize(message: Request | Response) -> bytes:
    """Return a message as bytes, with the Content-Length of its body."""
    message.headers.set("Content-Length", str(len(message.body)))
    return bytes(message)


def parse_uri(text: str) -> WireUri:
    """Return a SIP, SIPS or tel URI. Raises `ValueError`."""
    match = _SIP_URI.fullmatch(text)
    if match is None:
        uri = _strictly(text)
        return WireUri(
            scheme=uri.scheme, host=uri.host, user=uri.user, port=uri.port, parameters=uri.parameters, text=text
        )
    return WireUri(
        scheme=match["scheme"].lower(),
        host=match["host"],
        user=None if match["user"] is None else unquote(match["user"]),
        password=unquote(match["password"]) if match["password"] else None,
        port=None if match["port"] is None else int(match["port"]),
        parameters=_parameters(match["parameters"]),
        text=text,
    )


def parse_address(text: str) -> Address:
    """Return an address as From, To, Contact, Route and Refer-To have it. Raises `ValueError`."""
    text = text.strip()
    match = _NAME_ADDRESS.fullmatch(text) or _ADDRESS.fullmatch(text)
    if match is None:
        raise ValueError("the address can't be read")
    return Address(parse_uri(match["uri"].strip()), "", _parameters(match["parameters"]))


def parse_via(text: str) -> Via:
    """Return one Via value. Raises `ValueError`."""
    match = _VIA.fullmatch(text.strip())
    if match is None:
        raise ValueError("the Via can't be read")
    port = None if match["port"] is None else int(match["port"])
    return Via(match["transport"].upper(), match["host"], port, _parameters(match["parameters"]))


def split_list(values: list[str]) -> list[str]:
    """Return the single values of a header that may have several, also in one line; commas in quotes don't count."""
    return [value for line in values for value in _split_line(line)]


def tag_of(message: Message, name: str) -> str:
    """Return the tag of a message's From or To, "" where it has none."""
    return parse_address(message.headers[name]).parameters.get("tag") or ""


def _split(data: bytes) -> tuple[bytes, bytes]:
    data = data.lstrip(b"\r\n")
    match = _BLANK_LINE.search(data)
    return (data.rstrip(b"\r\n"), b"") if match is None else (data[: match.start()], data[match.end() :])


def _text(head: bytes) -> str:
    try:
        return head.decode()
    except UnicodeDecodeError:
        return head.decode("latin-1")


def _parsed(first: str, headers: list[str], body: bytes) -> Request | Response:
    try:
        return Message.parse("\r\n".join([first, *headers, "", ""]).encode() + body)
    except ValueError as error:
        raise BadMessageError(str(error)) from error


def _header_defects(request: Request) -> Iterator[str]:
    """Yield what is wrong with the headers of a request. Raises `BadMessageError` where it can't be answered."""
    vias = split_list(request.headers.getlist("Via"))
    if not vias:
        raise BadMessageError("no Via to answer to")
    try:
        parse_via(vias[0])
    except ValueError as error:
        raise BadMessageError(str(error)) from error
    yield from _defects(request)
    sequence = request.headers.get("CSeq", "")
    if sequence and sequence.split()[-1] != request.method:
        yield "CSeq is of another method"


def _check_response(response: Response, defects: list[str]) -> None:
    found = [*defects, *_defects(response)]
    if found:
        raise BadMessageError(found[0])


def _defects(message: Request | Response) -> Iterator[str]:
    headers = message.headers
    for name in _SINGLE:
        if len(headers.getlist(name)) > 1:
            yield f"{name} is there more than once"
    for name in ("From", "To"):
        try:
            parse_address(headers[name])
        except KeyError:
            yield f"{name} is missing"
        except ValueError:
            yield f"{name} can't be read"
    if not headers.get("Call-ID"):
        yield "Call-ID is missing"
    try:
        if CSeq.parse(headers["CSeq"]).sequence >= _LARGEST_SEQUENCE:
            yield "CSeq is too large"
    except KeyError:
        yield "CSeq is missing"
    except ValueError:
        yield "CSeq can't be read"
    length = headers.get("Content-Length")
    if length is None:
        return
    if not re.fullmatch(r"\d{1,9}", length, re.ASCII):
        yield "Content-Length is no number"
    elif int(length) > len(message.body):
        yield "the body is shorter than Content-Length says"
    else:
        message.body = message.body[: int(length)]


def _strictly(text: str) -> URI:
    try:
        return URI.parse(text)
    except TypeError as error:
        raise ValueError("the URI can't be read") from error


def _parameters(text: str) -> Parameters:
    """Return the parameters in `text`, in which the contents of quotes are left out: nothing here needs them."""
    try:
        parsed = Parameters.parse(re.sub(r"\s*=\s*", "=", _QUOTED.sub('""', text)).rstrip("; "))
        return Parameters(**{name.lower(): value for name, value in parsed.items()})
    except TypeError as error:
        raise ValueError("the parameters can't be read") from error


def _split_line(line: str) -> Iterator[str]:
    start = 0
    for part in _LIST_PARTS.finditer(line):
        if part["comma"]:
            if value := line[start : part.start()].strip():
                yield value
            start = part.end()
    if value := line[start:].strip():
        yield value
