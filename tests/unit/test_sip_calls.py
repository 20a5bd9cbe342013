"""`CallsClient`: what it asks of calls over HTTP, what it asks again, and what it raises."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import httpx
import pytest

from jackfield.errors import AuthenticationError, ConfigurationError, ConnectRefusedError, ProviderError
from jackfield_transports.sip import CallGoneError, CallOutcomeUnknownError, CallsClient, CallTakenError
from support.clock import advance, settle, timeless

KEY = "sk-canary-19ac33"
BASE = "https://provider.test/v1"
GONE = httpx.Response(404, json={"error": {"message": "No session found", "code": "call_id_not_found"}})
SLOW, CUT, AWAY = httpx.ReadTimeout("slow"), httpx.ReadError("cut"), httpx.ConnectError("no route")


class Provider:
    """Answers with `answers`, one after the other, and then with 200."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.requests: list[httpx.Request] = []
        self._answers = list(answers)
        http = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))
        self.calls = CallsClient(api_key=KEY, base_url=BASE, http=http)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answers.pop(0) if self._answers else httpx.Response(200)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def ask(self, verb: str) -> None:
        """Ask for one of the four, and let the time pass that this takes."""
        arguments: dict[str, tuple[Any, ...]] = {"accept": ({"type": "realtime"},), "refer": ("tel:+441234567890",)}
        asking = asyncio.ensure_future(getattr(self.calls, verb)("rtc_1", *arguments.get(verb, ())))
        await settle()
        await advance(0 if asking.done() else 60)
        await asking


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("accept", {"type": "realtime"}),
        ("reject", {"status_code": 603}),
        ("refer", {"target_uri": "tel:+441234567890"}),
        ("hangup", None),
    ],
)
def test_what_is_asked(verb: str, body: Any) -> None:
    @timeless
    async def test() -> None:
        provider = Provider()
        await provider.ask(verb)
        [request] = provider.requests
        assert (request.method, str(request.url)) == ("POST", f"{BASE}/realtime/calls/rtc_1/{verb}")
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert request.headers["user-agent"].startswith("jackfield/")
        assert (json.loads(request.content) if request.content else None) == body
        assert (request.headers.get("content-type") == "application/json") is (body is not None)

    test()


AGAIN = 2
"""Asked once, and once more."""


@pytest.mark.parametrize(
    ("verb", "answer", "error", "times"),
    [
        # What never arrived, or was turned away unseen, is asked again.
        *[(verb, AWAY, None, AGAIN) for verb in ("accept", "reject", "refer", "hangup")],
        *[(verb, httpx.Response(429), None, AGAIN) for verb in ("accept", "reject", "refer", "hangup")],
        *[(verb, httpx.Response(503), None, AGAIN) for verb in ("accept", "reject", "refer", "hangup")],
        # What may have been done is done again only where that does no harm.
        *[(verb, fault, None, AGAIN) for verb in ("accept", "reject", "hangup") for fault in (SLOW, CUT)],
        *[(verb, httpx.Response(500), None, AGAIN) for verb in ("accept", "reject", "hangup")],
        *[("refer", fault, CallOutcomeUnknownError, 1) for fault in (SLOW, CUT, httpx.Response(500))],
        # A call that is gone needs no end.
        ("hangup", GONE, None, 1),
        ("reject", GONE, None, 1),
        ("accept", GONE, CallGoneError, 1),
        ("refer", GONE, CallGoneError, 1),
        # Refusals are final.
        *[(verb, httpx.Response(409), CallTakenError, 1) for verb in ("accept", "reject", "refer", "hangup")],
        *[(verb, httpx.Response(401), AuthenticationError, 1) for verb in ("accept", "reject", "refer", "hangup")],
        *[(verb, httpx.Response(400), ConnectRefusedError, 1) for verb in ("accept", "reject", "refer", "hangup")],
        *[(verb, httpx.Response(302), ConnectRefusedError, 1) for verb in ("accept", "hangup")],
    ],
)
def test_what_is_asked_again(verb: str, answer: Any, error: type[Exception] | None, times: int) -> None:
    @timeless
    async def test() -> None:
        provider = Provider(answer)
        if error is None:
            await provider.ask(verb)
        else:
            with pytest.raises(error):
                await provider.ask(verb)
        assert len(provider.requests) == times

    test()


@timeless
async def test_it_is_not_asked_for_ever() -> None:
    for verb in ("accept", "reject", "refer", "hangup"):
        provider = Provider(*[AWAY] * 50)
        with pytest.raises(ConnectRefusedError):
            await provider.ask(verb)
        assert 3 <= len(provider.requests) <= 6


@timeless
async def test_a_no_to_the_second_accept_may_be_our_own_doing() -> None:
    for second in (GONE, httpx.Response(409), SLOW):
        provider = Provider(CUT, second)
        with pytest.raises(CallOutcomeUnknownError, match="not known"):
            await provider.ask("accept")
        assert len(provider.requests) == 2


@timeless
async def test_the_providers_reason_is_the_cause() -> None:
    told = {"error": {"message": f"The model is not for {KEY}", "code": "invalid_model", "param": "model"}}
    with pytest.raises(ConnectRefusedError) as refused:
        await Provider(httpx.Response(400, json=told)).ask("accept")
    cause = refused.value.__cause__
    assert isinstance(cause, ProviderError)
    assert (cause.code, cause.param, refused.value.status) == ("invalid_model", "model", 400)
    assert KEY not in f"{refused.value} {refused.value!r} {cause} {cause!r}"


async def test_what_can_not_be_asked_is_not() -> None:
    provider = Provider()
    for call_id in ("", "../calls", "a/b", "rtc 1", "."):
        with pytest.raises(ConfigurationError, match="call_id"):
            await provider.calls.hangup(call_id)
    for status in (200, 399, 700):
        with pytest.raises(ConfigurationError, match="status_code"):
            await provider.calls.reject("rtc_1", status)
    for target in ("+441234567890", "https://a.example", "tel:", "sip:a b", "sip:a@b\r\nX: y"):
        with pytest.raises(ConfigurationError, match="target_uri"):
            await provider.calls.refer("rtc_1", target)
    with pytest.raises(ConfigurationError, match="HTTP"):
        CallsClient(base_url="file:///v1")
    assert provider.requests == []


async def test_where_and_with_what_key(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        monkeypatch.setenv("OPENAI_BASE_URL", "http://here.test/v1/")
        monkeypatch.setenv("OPENAI_API_KEY", "sk-env")
        await CallsClient(http=http).hangup("rtc_1")
        await CallsClient(http=http, headers={"api-key": "azure"}, base_url="wss://azure.test/openai/v1").hangup(
            "rtc_1"
        )
        await CallsClient(http=http, api_key=lambda: "sk-asked").hangup("rtc_1")
        monkeypatch.delenv("OPENAI_API_KEY")
        with pytest.raises(AuthenticationError, match="no API key"):
            await CallsClient(http=http).hangup("rtc_1")
    assert [str(request.url.host) for request in seen] == ["here.test", "azure.test", "here.test"]
    assert [request.headers.get("authorization") for request in seen] == ["Bearer sk-env", None, "Bearer sk-asked"]
    assert seen[1].headers["api-key"] == "azure"


async def test_a_client_of_its_own_is_made_when_it_is_needed_and_closed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with CallsClient(api_key=KEY, base_url="http://127.0.0.1:9/v1", proxy=None) as calls:
        assert KEY not in repr(calls)
    await calls.aclose()
    assert KEY not in caplog.text
