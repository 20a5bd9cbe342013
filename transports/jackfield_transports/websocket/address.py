"""Where to dial and with what credentials: the WebSocket address of the OpenAI Realtime API."""

from __future__ import annotations

from urllib.parse import urlencode

from jackfield.transport import ConfigurationError, ConnectOptions
from jackfield.wire.address import Address, check_url, given_address
from jackfield_transports.endpoint import DEFAULT_MODEL, base_url, openai_key

__all__ = ["check_websocket_url", "openai_address"]


async def openai_address(options: ConnectOptions) -> Address:
    """Return the address for `options`; the key is asked for now.

    `url` is used as given. Without it the base is OPENAI_BASE_URL, or the OpenAI API. With `headers`, even empty ones,
    no Authorization is added. Raises `AuthenticationError` without a key, `ConfigurationError` for a bad url.
    """
    url = _url(options)
    if options.headers is not None:
        return given_address(url, options.headers)
    key = await openai_key(options)
    return Address(url, {"Authorization": f"Bearer {key}"}, (key,))


def check_websocket_url(url: str) -> str:
    """Return `url`; raise `ConfigurationError` where it is no ws:// or wss:// address."""
    advice = "give a WebSocket address, ws://... or wss://... (an http address belongs into OPENAI_BASE_URL)"
    return check_url(url, ("ws", "wss"), advice)


def _url(options: ConnectOptions) -> str:
    if options.url is not None:
        return check_websocket_url(options.url)
    if options.call_id is not None and options.model is not None:
        raise ConfigurationError("call_id joins a call whose model is settled: leave out model, or call_id")
    base = base_url()
    if base.startswith("http"):
        base = "ws" + base.removeprefix("http")
    query = {"model": options.model or DEFAULT_MODEL} if options.call_id is None else {"call_id": options.call_id}
    return check_websocket_url(f"{base}/realtime?{urlencode(query)}")
