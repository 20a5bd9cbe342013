"""What sipp plays: XML scenarios, put together from the messages of a caller."""

from __future__ import annotations

from typing import Final

__all__ = [
    "ABORTED",
    "CANCEL",
    "DTMF",
    "HOLD",
    "HUNG_UP",
    "LATE_OFFER",
    "LOST_ACK",
    "NO_CODEC",
    "OPTIONS",
    "REFERRED",
    "REJECTED",
    "call",
    "scenario",
]

_VIA: Final = "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]"
_FROM: Final = "From: sipp <sip:sipp@[local_ip]:[local_port]>;tag=[pid]SIPp[call_number]"
_TO: Final = "To: <sip:[service]@[remote_ip]:[remote_port]>"
_REST: Final = "Call-ID: [call_id]\nContact: <sip:sipp@[local_ip]:[local_port];transport=[transport]>\nMax-Forwards: 70"


def scenario(*steps: str) -> str:
    """Return a whole scenario."""
    return '<?xml version="1.0"?>\n<scenario name="a caller">\n' + "\n".join(steps) + "\n</scenario>\n"


def sdp(codecs: str = "0 101", direction: str = "sendrecv", version: int = 1) -> str:
    lines = [
        "v=0",
        f"o=sipp 1 {version} IN IP4 [media_ip]",
        "s=-",
        "c=IN IP4 [media_ip]",
        "t=0 0",
        f"m=audio [auto_media_port] RTP/AVP {codecs}",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        f"a={direction}",
    ]
    return "\n".join(lines)


def send(
    method: str,
    *,
    sequence: int = 1,
    body: str = "",
    to_tag: bool = True,
    uri: str = "sip:[service]@[remote_ip]:[remote_port]",
    more: str = "",
    via: str = _VIA,
    retrans: bool = False,
) -> str:
    headers = [
        f"{method} {uri} SIP/2.0",
        via,
        _FROM,
        _TO + ("[peer_tag_param]" if to_tag else ""),
        f"CSeq: {sequence} {method}",
        _REST,
        *([more] if more else []),
        *(["Content-Type: application/sdp"] if body and "Content-Type" not in more else []),
        "Content-Length: [len]" if body else "Content-Length: 0",
    ]
    text = "\n".join([*headers, "", body])
    repeated = ' retrans="500"' if retrans else ""
    return f"<send{repeated}><![CDATA[\n{text}\n]]></send>"


def receive(what: int | str, *, optional: bool = False, action: str = "", **attributes: str) -> str:
    kind = f'response="{what}"' if isinstance(what, int) else f'request="{what}"'
    extra = "".join(f' {name}="{value}"' for name, value in attributes.items())
    optional_text = ' optional="true"' if optional else ""
    return f"<recv {kind}{optional_text}{extra}>{action}</recv>"


def answer(code: int, phrase: str, *, contact: bool = False) -> str:
    headers = ["[last_Via:]", "[last_From:]", "[last_To:]", "[last_Call-ID:]", "[last_CSeq:]"]
    headers += ["Contact: <sip:sipp@[local_ip]:[local_port];transport=[transport]>"] if contact else []
    text = "\n".join([f"SIP/2.0 {code} {phrase}", *headers, "Content-Length: 0", "", ""])
    return f"<send><![CDATA[\n{text}\n]]></send>"


def pause(ms: int) -> str:
    return f'<pause milliseconds="{ms}"/>'


def has(pattern: str, *, where: str = "msg") -> str:
    """An action that fails the call unless the message has that."""
    return f'<action><ereg regexp="{pattern}" search_in="{where}" check_it="true" assign_to="found"/></action>'


_FOUND: Final = '<Reference variables="found"/>'
_INVITE: Final = send("INVITE", body=sdp(), to_tag=False, retrans=True)
_RINGING: Final = [receive(100, optional=True), receive(180, optional=True)]
_ANSWERED: Final = [*_RINGING, receive(200, rrs="true")]
_ACK: Final = send("ACK", uri="[next_url]")
_SPEECH: Final = '<nop><action><exec rtp_stream="{speech},-1,0,PCMU/8000"/></action></nop>'
_BYE: Final = send("BYE", sequence=9, uri="[next_url]", retrans=True)
_GOODBYE: Final = [_BYE, receive(200)]
_HUNG_UP: Final = [receive("BYE"), answer(200, "OK")]


def call(ms: int) -> str:
    """A call in which the caller speaks all the time, and hangs up after so many milliseconds."""
    return scenario(_INVITE, *_ANSWERED, _ACK, _SPEECH, pause(ms), *_GOODBYE)


ABORTED: Final = scenario(_INVITE, *_ANSWERED, _ACK, pause(100))
"""A caller that is gone without a word."""

REJECTED: Final = scenario(_INVITE, *_RINGING, receive(603), send("ACK", via="[last_Via:]"))
NO_CODEC: Final = scenario(
    send("INVITE", body=sdp("18"), to_tag=False, retrans=True), *_RINGING, receive(488), send("ACK", via="[last_Via:]")
)
CANCEL: Final = scenario(
    _INVITE,
    receive(100, optional=True),
    receive(180),
    send("CANCEL", to_tag=False, via="[last_Via:]"),
    receive(200),
    receive(487),
    send("ACK", via="[last_Via:]"),
)
# sipp has to be waiting for the BYE when it comes: nothing is done between the ACK and that.
HUNG_UP: Final = scenario(_INVITE, *_ANSWERED, _SPEECH, _ACK, *_HUNG_UP)
OPTIONS: Final = scenario(send("OPTIONS", to_tag=False, retrans=True), receive(200))

HOLD: Final = scenario(
    _INVITE,
    *_ANSWERED,
    _ACK,
    pause(100),
    send("INVITE", sequence=2, body=sdp(direction="sendonly", version=2), uri="[next_url]", retrans=True),
    receive(100, optional=True),
    receive(200, action=has("a=recvonly")),
    send("ACK", sequence=2, uri="[next_url]"),
    pause(100),
    send("INVITE", sequence=3, body=sdp(version=3), uri="[next_url]", retrans=True),
    receive(100, optional=True),
    receive(200, action=has("a=sendrecv")),
    send("ACK", sequence=3, uri="[next_url]"),
    send("OPTIONS", sequence=4, uri="[next_url]"),
    receive(200),
    send("INFO", sequence=5, uri="[next_url]"),
    receive(200),
    send("UPDATE", sequence=6, uri="[next_url]"),
    receive(405),
    *_GOODBYE,
    _FOUND,
)

LATE_OFFER: Final = scenario(
    send("INVITE", to_tag=False, retrans=True),
    *_RINGING,
    receive(200, rrs="true", action=has("m=audio [0-9]+ RTP/AVP 0")),
    send("ACK", uri="[next_url]", body=sdp()),
    _SPEECH,
    pause(300),
    *_GOODBYE,
    _FOUND,
)

LOST_ACK: Final = scenario(
    _INVITE,
    receive(100, optional=True),
    receive(180),
    send("INVITE", body=sdp(), to_tag=False, via="[last_Via:]"),
    receive(200, rrs="true"),
    pause(1800),
    _ACK,
    pause(1200),
    *_GOODBYE,
)
"""The INVITE comes twice, and the 200 is acknowledged when it was sent for the third time: there is one call."""

_KEY: Final = '<nop><action><exec play_pcap_audio="/usr/share/sip-tester/dtmf_2833_{key}.pcap"/></action></nop>'
DTMF: Final = scenario(
    _INVITE,
    *_ANSWERED,
    _ACK,
    pause(1000),  # the application has joined by then
    _KEY.format(key="5"),
    pause(500),
    _KEY.format(key="pound"),
    *_HUNG_UP,
)

_NOTIFY: Final = "Event: refer\nSubscription-State: {state}\nContent-Type: message/sipfrag;version=2.0"
REFERRED: Final = scenario(
    _INVITE,
    *_ANSWERED,
    _ACK,
    receive("REFER", action=has("&lt;tel:.15551234&gt;", where="msg")),
    answer(202, "Accepted", contact=True),
    send(
        "NOTIFY",
        sequence=2,
        uri="[next_url]",
        more=_NOTIFY.format(state="active;expires=60"),
        body="SIP/2.0 100 Trying",
    ),
    receive(200),
    send(
        "NOTIFY",
        sequence=3,
        uri="[next_url]",
        more=_NOTIFY.format(state="terminated;reason=noresource"),
        body="SIP/2.0 200 OK",
    ),
    receive(200),
    *_HUNG_UP,
    _FOUND,
)
