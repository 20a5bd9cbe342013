"""Where a call's sideband and the requests about it go, when the user says so with `connect(url=, headers=)`."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode, urlsplit

from attrs import evolve

from jackfield.transport import ConfigurationError, ConnectOptions
from jackfield.wire.address import Address
from jackfield_transports.sideband.calls import CallsClient
from jackfield_transports.websocket.address import openai_address

__all__ = ["calls_of", "sideband_address"]


async def sideband_address(options: ConnectOptions) -> Address:
    """Return the address of the sideband of the call `options.call_id`; the key is asked for now.

    The url is used as given, but that the call's id is added to its query where that has none.
    """
    url = options.url
    if url is not None:
        named = parse_qs(urlsplit(url).query).get("call_id")
        if named is not None and named != [options.call_id]:
            raise ConfigurationError("the url names another call than call_id=: leave call_id out of the url")
        if named is None:
            url += ("&" if urlsplit(url).query else "?") + urlencode({"call_id": options.call_id})
    return await openai_address(evolve(options, url=url, model=None))


def calls_of(options: ConnectOptions) -> CallsClient:
    """Return a client for requests about the call that `options` lead to."""
    base = None
    if options.url is not None:
        parts = urlsplit(options.url)
        path = parts.path.rstrip("/")
        if not path.endswith("/realtime"):
            raise ConfigurationError(
                "where calls are controlled can't be told from this url: make the transport with calls=CallsClient(...)"
            )
        base = f"{parts.scheme}://{parts.netloc}{path.removesuffix('/realtime')}"
    return CallsClient(api_key=options.api_key, base_url=base, headers=options.headers)
