"""What is done to calls over HTTP: creating one from a browser's offer, answering a phone's, transferring, hanging up.

It needs the key of the account, which never leaves the server.
"""

from __future__ import annotations

import asyncio
import re
import ssl as ssl_module
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Final, Literal, Self
from urllib.parse import urlencode

import httpx
from attrs import field, frozen

from jackfield.openai import encode
from jackfield.transport import (
    ApiKey,
    ConfigurationError,
    ConnectOptions,
    ConnectRefusedError,
    ConnectTimeoutError,
    ProtocolError,
    ProviderError,
    TransportError,
)
from jackfield.wire.address import Address, given_address
from jackfield_transports.endpoint import openai_key
from jackfield_transports.http import call_id_of, http_base, http_client, post

from .errors import CallGoneError, CallOutcomeUnknownError, CallTakenError

__all__ = ["CallsClient", "CreatedCall", "checked_target"]

_ANSWER_SECONDS: Final = 15.0
"""How long a step of creating or answering a call may take: others have to do their part before it is told."""
_ASK_SECONDS: Final = 5.0
"""The same for all other requests."""
_AGAIN_SECONDS: Final = 5.0
"""For how long what did not get through is tried again: a caller waits."""
_LONGEST_PAUSE: Final = 8.0
_CALL_ID = re.compile(r"\w[\w.~-]*", re.ASCII)
_NEVER_ARRIVED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_NOT_NOW = frozenset({408, 425, 429, 503})
"""Statuses of what was turned away before it was looked at."""


@frozen
class CreatedCall:
    """A call that waits for its caller: `answer` is the SDP that the caller is to be given."""

    call_id: str
    answer: bytes = field(repr=False)


class CallsClient:
    """The calls of one account at one place.

    `base_url` is that of the API: by default OPENAI_BASE_URL, or OpenAI's own. `api_key`, or OPENAI_API_KEY, is asked
    for at every request; `headers`, where they are given, go in place of it. `http` is a client of yours; else one is
    made when it is needed, with `proxy` and `ssl` as for the websocket transport, and `aclose()` closes it.

    What certainly never reached the provider is tried again for a few seconds; what may have been carried out is not,
    unless a second time does no harm. Refusals are `AuthenticationError`, `ConnectRefusedError` with its `status`, and
    those of `sideband.errors`; where the provider said why, its `ProviderError` is the cause.
    """

    def __init__(
        self,
        *,
        api_key: ApiKey | None = None,
        base_url: str | None = None,
        headers: Mapping[str, str] | None = None,
        http: httpx.AsyncClient | None = None,
        proxy: str | Literal[True] | None = True,
        ssl: ssl_module.SSLContext | None = None,
    ) -> None:
        self._options = ConnectOptions(api_key=api_key)
        self._base = None if base_url is None else http_base(base_url)
        self._headers = headers
        self._http = http
        self._own_http: httpx.AsyncClient | None = None
        self._proxy = proxy
        self._ssl = ssl

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the client that was made here. Calling it again does nothing."""
        own, self._own_http = self._own_http, None
        if own is not None:
            await own.aclose()

    async def create(self, offer: bytes, session: Mapping[str, Any]) -> CreatedCall:
        """Create a WebRTC call from an SDP offer, which is sent byte for byte, with `session` as it is to begin.

        Raises `ConnectTimeoutError` where no answer comes, `ProtocolError` where what was answered is no call.
        """
        address = await self._address("")
        parts = {"sdp": (None, offer, "application/sdp"), "session": (None, encode(session), "application/json")}
        location, answer = await self._post(address, "the call", _ANSWER_SECONDS, files=parts)
        call_id = call_id_of(location)
        if call_id is None or not answer:
            missing = "a call's id in its Location header" if call_id is None else "an SDP answer"
            raise ProtocolError(f"{address.place} made a call and told it without {missing}")
        return CreatedCall(call_id, answer)

    async def accept(self, call_id: str, session: Mapping[str, Any]) -> None:
        """Answer a phone call that rings, with `session` as it is to begin (see `sip.build_initial_config`).

        `CallGoneError`: nobody is there any more, or it was answered elsewhere. `CallTakenError`: it was answered
        elsewhere. Where the answer is lost, it is asked once more: a yes is one. A no then may be due to ourselves:
        `CallOutcomeUnknownError`.
        """
        try:
            await self._ask(call_id, "accept", session, timeout=_ANSWER_SECONDS)
        except CallOutcomeUnknownError as unknown:
            try:
                await self._ask(call_id, "accept", session, timeout=_ANSWER_SECONDS)
            except TransportError as error:
                raise unknown from error

    async def reject(self, call_id: str, status_code: int = 603) -> None:
        """Turn away a phone call that rings, with a SIP status: 486 is busy, 603 declines.

        One that isn't there any more needs nothing. `CallTakenError`: it was answered.
        """
        if not 400 <= status_code <= 699:
            raise ConfigurationError(f"status_code={status_code!r} turns no call away: give a SIP status from 400 up")
        try:
            await self._ask(call_id, "reject", {"status_code": status_code}, repeatable=True)
        except CallGoneError:
            return

    async def refer(self, call_id: str, target_uri: str) -> None:
        """Transfer a phone call to `tel:+441234567890` or `sip:desk@example.com` (SIP REFER).

        That the provider has asked the trunk for it is all that is told: whether the transfer gets through is not.
        """
        await self._ask(call_id, "refer", {"target_uri": checked_target(target_uri)})

    async def hangup(self, call_id: str, *, insist_seconds: float = 0.0) -> None:
        """End a call. One that isn't there any more needs nothing.

        A call that isn't live yet may not be there either: for its sake `insist_seconds` says how long to try again.
        """
        try:
            await self._ask(call_id, "hangup", repeatable=True, insist_seconds=insist_seconds)
        except CallGoneError:
            return

    async def sideband(self, options: ConnectOptions) -> Address:
        """Return the address of the sideband socket of the call `options.call_id`."""
        address = await self._address("")
        url = address.url.removesuffix("/calls") + "?" + urlencode({"call_id": options.call_id})
        return Address("ws" + url.removeprefix("http"), address.headers, address.secrets)

    async def _ask(
        self,
        call_id: str,
        verb: str,
        body: Mapping[str, Any] | None = None,
        *,
        timeout: float = _ASK_SECONDS,
        repeatable: bool = False,
        insist_seconds: float = 0.0,
    ) -> None:
        """Ask for something to be done to a call, again where that is safe; raise what came of it."""
        if not _CALL_ID.fullmatch(call_id):
            raise ConfigurationError(f"call_id={call_id!r:.80} is no call's id")
        content = {} if body is None else {"content": encode(body)}
        give_up = asyncio.get_running_loop().time() + max(insist_seconds, _AGAIN_SECONDS)
        for pause in _pauses():
            address = await self._address(f"/{call_id}/{verb}")
            try:
                await self._post(address, f"to {verb} the call", timeout, **content)
                return
            except (ConnectRefusedError, ConnectTimeoutError) as error:
                outcome = _outcome(error, repeatable=repeatable, insists=insist_seconds > 0)
                over = asyncio.get_running_loop().time() + pause > give_up
                if outcome == "again" and not over:
                    pass
                elif outcome == "unknown":
                    raise CallOutcomeUnknownError(
                        f"{error}. Whether the {verb} was carried out is not known"
                    ) from error
                else:
                    raise _about_the_call(error, call_id, verb) from error.__cause__
            await asyncio.sleep(pause)

    async def _address(self, path: str) -> Address:
        url = f"{http_base(self._base)}/realtime/calls{path}"
        if self._headers is not None:
            return given_address(url, self._headers)
        key = await openai_key(self._options)
        return Address(url, {"Authorization": f"Bearer {key}"}, (key,))

    async def _post(self, address: Address, what: str, timeout: float, **content: Any) -> tuple[str, bytes]:
        """Return the Location header and the body of what is answered."""
        headers = {"Content-Type": "application/json"} if "content" in content else {}
        return await post(self._client(), address, what, headers=headers, timeout=timeout, **content)

    def _client(self) -> httpx.AsyncClient:
        if self._http is not None:
            return self._http
        if self._own_http is None:
            self._own_http = http_client(http_base(self._base), proxy=self._proxy, ssl=self._ssl)
        return self._own_http


def checked_target(target_uri: str) -> str:
    """Return `target_uri`; raise `ConfigurationError` where a call can't be transferred there."""
    if not re.fullmatch(r"(tel|sips?):[\x21-\x7e]+", target_uri):
        raise ConfigurationError("target_uri is a phone's address: tel:+441234567890, or sip:desk@example.com")
    return target_uri


def _outcome(
    error: ConnectRefusedError | ConnectTimeoutError, *, repeatable: bool, insists: bool
) -> Literal["refused", "again", "unknown"]:
    """What is to be made of a request that failed: it was refused, it may be asked again, or nobody knows."""
    status = error.status if isinstance(error, ConnectRefusedError) else None
    if status == 404:
        return "again" if insists else "refused"
    if status in _NOT_NOW or isinstance(error.__cause__, _NEVER_ARRIVED):
        return "again"
    if status is not None and status < 500:
        return "refused"
    return "again" if repeatable else "unknown"


def _about_the_call(error: TransportError, call_id: str, verb: str) -> TransportError:
    status = error.status if isinstance(error, ConnectRefusedError) else None
    if status == 404:
        return CallGoneError(f"there is no call {call_id} to {verb}, or no more (HTTP 404)", status=404)
    if status == 409:
        told = f": {error.__cause__}" if isinstance(error.__cause__, ProviderError) else ""
        return CallTakenError(f"the call {call_id} is in no state to {verb} it (HTTP 409){told}", status=409)
    return error


def _pauses() -> Iterator[float]:
    pause = 0.5
    while True:
        yield pause
        pause = min(pause * 2, _LONGEST_PAUSE)
