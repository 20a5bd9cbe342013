"""What is done to calls over HTTP: creating one from a browser's offer, and hanging up.

It needs the key of the account, which never leaves the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import orjson
from attrs import field, frozen

from jackfield.openai import encode, error_from_payload
from jackfield.transport import (
    ApiKey,
    ConnectOptions,
    ConnectRefusedError,
    ConnectTimeoutError,
    JackfieldError,
    ProtocolError,
    ProviderError,
)
from jackfield_transports.endpoint import Address, base_url, check_url, openai_key, refused, user_agent
from jackfield_transports.websocket.failures import unreachable

__all__ = ["Calls", "CreatedCall"]

_LARGEST_ANSWER = 256 * 1024
_HANG_UP_SECONDS = 5.0
_LONGEST_PAUSE = 8.0


@frozen
class CreatedCall:
    """A call that waits for its caller: `answer` is the SDP that the caller is to be given."""

    call_id: str
    answer: bytes = field(repr=False)


class Calls:
    """The calls of one account at one place. `http` is the client that asks; whose it is closes it.

    `base_url` is that of the API: by default OPENAI_BASE_URL, or OpenAI's own. `api_key`, or OPENAI_API_KEY, is asked
    for at every request.
    """

    def __init__(self, http: httpx.AsyncClient, *, api_key: ApiKey | None = None, base_url: str | None = None) -> None:
        self._http = http
        self._options = ConnectOptions(api_key=api_key)
        self._base = None if base_url is None else _http_base(base_url)

    async def create(self, offer: bytes, session: Mapping[str, Any]) -> CreatedCall:
        """Create a WebRTC call from an SDP offer, which is sent byte for byte, with `session` as it is to begin.

        Raises `AuthenticationError`, `ConnectRefusedError` or `ConnectTimeoutError`; where the provider said why, its
        `ProviderError` is the cause. `ProtocolError`: what it answered is no call.
        """
        address = await self._address("")
        parts = {"sdp": (None, offer, "application/sdp"), "session": (None, encode(session), "application/json")}
        location, answer = await self._post(address, "the call", files=parts)
        call_id = _call_id(location)
        if call_id is None or not answer:
            missing = "a call's id in its Location header" if call_id is None else "an SDP answer"
            raise ProtocolError(f"{address.place} made a call and told it without {missing}")
        return CreatedCall(call_id, answer)

    async def hang_up(self, call_id: str, *, insist_seconds: float = 0.0) -> None:
        """End a call. One that isn't there any more needs nothing.

        A call that isn't live yet may not be there either: for its sake `insist_seconds` says how long to try again.
        Trouble on the way is tried again a few times; then the last error is raised.
        """
        address = await self._address(f"/{call_id}/hangup")
        loop = asyncio.get_running_loop()
        give_up = loop.time() + max(insist_seconds, _HANG_UP_SECONDS)
        for pause in _pauses():
            try:
                await self._post(address, "to hang up", timeout=_HANG_UP_SECONDS)
                return
            except (ConnectRefusedError, ConnectTimeoutError) as error:
                unknown = isinstance(error, ConnectRefusedError) and error.status == 404
                over = loop.time() + pause > give_up
                if unknown and (over or not insist_seconds):
                    return
                if over or not (unknown or error.classification == "reconnect"):
                    raise
            await asyncio.sleep(pause)

    async def sideband(self, options: ConnectOptions) -> Address:
        """Return the address of the sideband socket of the call `options.call_id`."""
        address = await self._address("")
        url = address.url.removesuffix("/calls") + "?" + urlencode({"call_id": options.call_id})
        return Address("ws" + url.removeprefix("http"), address.headers, address.secrets)

    async def _address(self, path: str) -> Address:
        key = await openai_key(self._options)
        base = self._base or _http_base(base_url())
        return Address(f"{base}/realtime/calls{path}", {"Authorization": f"Bearer {key}"}, (key,))

    async def _post(self, address: Address, what: str, **content: Any) -> tuple[str, bytes]:
        """Return the Location header and the body of what is answered."""
        headers = {**address.headers, "User-Agent": user_agent()}
        try:
            async with self._http.stream(
                "POST", address.url, headers=headers, follow_redirects=False, **content
            ) as got:
                body = await _read(got)
        except httpx.TimeoutException as error:
            told = f"{address.place} did not answer in time: see its state and the network, and try again"
            raise ConnectTimeoutError(told, stage="asking over HTTP") from error
        except httpx.HTTPError as error:
            raise unreachable(address, error) from error
        if got.is_success:
            return got.headers.get("location", ""), body
        raise refused(address, got.status_code, body, what) from _told(address, body)


async def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > _LARGEST_ANSWER:
            break  # no answer is that long; what there is tells what went wrong
    return bytes(body[:_LARGEST_ANSWER])


def _http_base(base: str) -> str:
    if base.startswith("ws"):
        base = "http" + base.removeprefix("ws")
    return check_url(base.rstrip("/"), ("http", "https"), "give the API's HTTP address, https://host/v1")


def _call_id(location: str) -> str | None:
    """The last segment of the path that looks like a call's id: proxies put segments before it, and some after."""
    segments = urlsplit(location).path.split("/")
    return next((segment for segment in reversed(segments) if segment.startswith("rtc_")), None)


def _told(address: Address, body: bytes) -> JackfieldError | None:
    """What the provider says of a refusal, where it says it as the API does."""
    try:
        error = orjson.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return None
    told = error_from_payload(error, *address.secrets) if isinstance(error, dict) else None
    return told if isinstance(told, ProviderError) else None


def _pauses() -> Iterator[float]:
    pause = 0.5
    while True:
        yield pause
        pause = min(pause * 2, _LONGEST_PAUSE)
