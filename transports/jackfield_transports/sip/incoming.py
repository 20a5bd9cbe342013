"""A call that rings, as the provider's webhook tells of it (API event `realtime.call.incoming`).

Whatever a SIP header says, the caller's side has put there: who calls is not proven by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

import orjson
from attrs import field, frozen

__all__ = ["EVENT_TYPE", "IncomingCall", "SipAddress", "SipHeaders", "incoming_call"]

EVENT_TYPE: Final = "realtime.call.incoming"

_COMPACT: Final = {"f": "from", "t": "to", "i": "call-id", "m": "contact", "v": "via"}
"""Short names of headers (RFC 3261, section 7.3.3)."""
_NAME_ADDR = re.compile(r'\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^<"]*?))\s*<(?P<uri>[^<>]+)>')
_URI = re.compile(r"(?P<scheme>[A-Za-z][\w+.-]*):(?:(?P<user>[^@;?]*)@)?(?P<rest>[^;?]*)")


@frozen
class SipAddress:
    """An address in a header, such as `"Ada" <sip:+441234567890@carrier.example>;tag=1`."""

    uri: str
    """As it stands there: `sip:+441234567890@carrier.example`, or `tel:+441234567890`."""
    user: str = ""
    """The number, or the name before the @."""
    host: str = ""
    display_name: str = ""

    @classmethod
    def parse(cls, value: str) -> SipAddress:
        """Read a header's value. What can't be read is the uri as it stands."""
        named = _NAME_ADDR.match(value)
        uri = named["uri"].strip() if named else value.partition(";")[0].strip()
        name = "" if named is None else re.sub(r"\\(.)", r"\1", named["quoted"] or named["plain"] or "")
        parts = _URI.match(uri)
        if parts is None:
            return cls(uri, display_name=name)
        if parts["scheme"].lower() == "tel":
            return cls(uri, unquote(parts["rest"]), display_name=name)
        return cls(uri, unquote((parts["user"] or "").partition(":")[0]), parts["rest"], name)


class SipHeaders(Mapping[str, str]):
    """Headers by name, whatever its case; of several with one name the first. Its repr shows their names only."""

    def __init__(self, headers: Iterable[tuple[str, str]] = ()) -> None:
        self._headers = tuple((name, value) for name, value in headers)

    def __getitem__(self, name: str) -> str:
        for value in self.get_all(name):
            return value
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(_key(name) for name, _ in self._headers))

    def __len__(self) -> int:
        return len({_key(name) for name, _ in self._headers})

    def get_all(self, name: str) -> list[str]:
        """Return the values of all headers of that name, in order."""
        return [value for known, value in self._headers if _key(known) == _key(name)]

    def __repr__(self) -> str:
        return f"<SIP headers: {', '.join(self)}>"


@frozen(kw_only=True)
class IncomingCall:
    """A call that rings, and can be accepted or rejected by its `call_id`. Its repr tells nothing of who calls."""

    call_id: str
    """The provider's id of the call."""
    webhook_id: str = field(default="", repr=False)
    """The id of the delivery: the same where it was delivered again."""
    created_at: float = 0.0
    """When the provider told of it, in seconds since the epoch."""
    headers: SipHeaders = field(factory=SipHeaders, repr=False)
    """The SIP headers that the trunk sent, its own (`X-...`) among them."""
    media_security: str | None = None
    """`srtp` or `rtp`: whether the audio is encrypted on its way here; None where that isn't told."""

    @property
    def caller(self) -> SipAddress:
        """Who calls, as the call itself says (header `From`)."""
        return SipAddress.parse(self.headers.get("from", ""))

    @property
    def called(self) -> SipAddress:
        """Who was called (header `To`)."""
        return SipAddress.parse(self.headers.get("to", ""))

    @property
    def sip_call_id(self) -> str:
        """The SIP dialog's id (header `Call-ID`), by which the trunk knows the call."""
        return self.headers.get("call-id", "")


def incoming_call(body: bytes, webhook_id: str) -> IncomingCall | None:
    """Read a webhook's body; None is an event of another kind. Raises ValueError for what is no event."""
    event = orjson.loads(body)
    if not isinstance(event, dict) or not isinstance(event.get("type"), str):
        raise ValueError("the body is no event")
    if event["type"] != EVENT_TYPE:
        return None
    data = event.get("data")
    data = data if isinstance(data, dict) else {}
    call_id = data.get("call_id")
    if not isinstance(call_id, str) or not call_id:
        raise ValueError(f"{EVENT_TYPE} has no call_id")
    security, created = data.get("sip_media_security"), event.get("created_at")
    return IncomingCall(
        call_id=call_id,
        webhook_id=webhook_id,
        created_at=float(created) if isinstance(created, int | float) else 0.0,
        headers=SipHeaders(_headers(data.get("sip_headers"))),
        media_security=security if isinstance(security, str) else None,
    )


def _headers(told: Any) -> Iterator[tuple[str, str]]:
    for header in told if isinstance(told, list) else ():
        name, value = (header.get("name"), header.get("value")) if isinstance(header, dict) else (None, None)
        if isinstance(name, str) and isinstance(value, str):
            yield name, value


def _key(name: str) -> str:
    lower = name.strip().lower()
    return _COMPACT.get(lower, lower)
