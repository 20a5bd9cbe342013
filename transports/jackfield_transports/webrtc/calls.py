"""The signalling: an SDP offer is posted, and the answer and the call's id come back (API: POST /realtime/calls)."""

from __future__ import annotations

import ssl as ssl_module
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias
from urllib.parse import urlencode

from attrs import evolve, frozen

from jackfield.openai import encode, session_payload
from jackfield.transport import ConnectOptions
from jackfield.wire.address import Address, check_url, given_address
from jackfield_transports.endpoint import DEFAULT_MODEL, openai_key
from jackfield_transports.http import call_id_of, http_base, http_client, post

__all__ = ["Call", "OfferForm", "calls_address", "offer_form", "post_offer"]

OfferForm: TypeAlias = Literal["auto", "sdp", "multipart"]
"""How the offer is posted: alone (`application/sdp`), or with the session (`multipart/form-data`)."""


@frozen
class Call:
    """A call that was created. `call_id` is None where the far end doesn't tell it."""

    answer: str
    call_id: str | None


async def calls_address(options: ConnectOptions) -> Address:
    """Return where the offer is posted to; the key is asked for now.

    `url` is used as given. Without it the base is OPENAI_BASE_URL, or the OpenAI API. With `headers`, even empty ones,
    no Authorization is added. Raises `AuthenticationError` without a key, `ConfigurationError` for a bad url.
    """
    url = _calls_url(options)
    if options.headers is not None:
        return given_address(url, options.headers)
    key = await openai_key(options)
    return Address(url, {"Authorization": f"Bearer {key}"}, (key,))


def offer_form(form: OfferForm, address: Address) -> Literal["sdp", "multipart"]:
    """Return how the offer is posted. An ephemeral key brings its session along; others are sent with one."""
    if form != "auto":
        return form
    return "sdp" if any(secret.startswith("ek_") for secret in address.secrets) else "multipart"


async def post_offer(
    address: Address,
    offer: str,
    options: ConnectOptions,
    *,
    form: Literal["sdp", "multipart"],
    proxy: str | Literal[True] | None,
    ssl: ssl_module.SSLContext | None,
) -> Call:
    """Post the offer and return the call. The caller keeps the time limit: it cancels.

    Raises `AuthenticationError` or `ConnectRefusedError` with what the provider says.
    """
    headers: dict[str, str] = {}
    content: dict[str, Any]
    if form == "multipart":
        session = encode(_session(options)).decode()
        parts = {"sdp": (None, offer, "application/sdp"), "session": (None, session, "application/json")}
        content = {"files": parts}
    else:
        headers["Content-Type"] = "application/sdp"
        content = {"content": offer.encode()}  # byte for byte: providers trip over a trimmed one
        if options.url is None and options.model is not None:
            address = evolve(address, url=f"{address.url}?{urlencode({'model': options.model})}")
    async with http_client(address.url, proxy=proxy, ssl=ssl) as client:
        location, answer = await post(client, address, "the call", headers=headers, **content)
    return Call(answer.decode(errors="replace"), call_id_of(location))


def _calls_url(options: ConnectOptions) -> str:
    advice = "give the HTTP address that offers are posted to, such as https://host/v1/realtime/calls"
    if options.url is not None:
        return check_url(options.url, ("http", "https"), advice)
    return f"{http_base()}/realtime/calls"


def _session(options: ConnectOptions) -> Mapping[str, Any]:
    session = session_payload(options.initial_session_config or {}, with_model=True, formats=False)
    return {**session, "model": options.model or session.get("model") or DEFAULT_MODEL}
