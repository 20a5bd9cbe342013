"""Webhooks and what they tell: signatures, time, replays, rotated secrets, SIP headers."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from jackfield.errors import ConfigurationError
from jackfield_transports.sip import IncomingCall, SipAddress, SipHeaders, Webhooks, WebhookVerificationError
from support.phone_provider import EPOCH, SECRET, SIP_HEADERS, webhook

OTHER = "whsec_b3RoZXI="


class Clock:
    def __init__(self) -> None:
        self.now = float(EPOCH)

    def __call__(self) -> float:
        return self.now


def verifier(secrets: Any = SECRET, **options: Any) -> tuple[Webhooks, Clock]:
    clock = Clock()
    return Webhooks(secrets, clock=clock, **options), clock


def refused(webhooks: Webhooks, body: bytes, headers: dict[str, str]) -> int:
    with pytest.raises(WebhookVerificationError) as error:
        webhooks.unwrap(body, headers)
    assert SECRET not in str(error.value)
    return error.value.status


class TestVerifying:
    def test_a_genuine_one_tells_of_a_call(self) -> None:
        webhooks, _ = verifier()
        call = webhooks.unwrap(*webhook("rtc_1"))
        assert isinstance(call, IncomingCall)
        assert (call.call_id, call.webhook_id, call.created_at) == ("rtc_1", "wh_1", float(EPOCH))

    def test_headers_are_found_in_any_case(self) -> None:
        body, headers = webhook()
        assert verifier()[0].unwrap(body, {name.title(): value for name, value in headers.items()}) is not None

    def test_one_of_several_signatures_is_enough(self) -> None:
        body, headers = webhook()
        headers["webhook-signature"] = f"v1,b3RoZXI= v1a,junk {headers['webhook-signature']}"
        assert verifier()[0].unwrap(body, headers) is not None

    @pytest.mark.parametrize("secrets", [[SECRET, OTHER], [OTHER, SECRET], f"{OTHER} {SECRET}", f"{SECRET},{OTHER}"])
    def test_secrets_are_rotated_without_a_gap(self, secrets: Any) -> None:
        webhooks, _ = verifier(secrets)
        assert webhooks.unwrap(*webhook(secret=SECRET, webhook_id="wh_1")) is not None
        assert webhooks.unwrap(*webhook(secret=OTHER, webhook_id="wh_2")) is not None
        assert refused(webhooks, *webhook(secret="whsec_dGhpcmQ=", webhook_id="wh_3")) == 401

    def test_a_secret_without_its_prefix_is_the_key_itself(self) -> None:
        plain = "a plain secret"
        signed = webhook(secret="whsec_" + base64.b64encode(plain.encode()).decode())
        assert verifier([plain])[0].unwrap(*signed) is not None

    def test_the_secret_may_be_in_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_WEBHOOK_SECRET", f"{OTHER}\n{SECRET}")
        assert verifier(None)[0].unwrap(*webhook()) is not None

    @pytest.mark.parametrize("secrets", ["", [], [""], ["whsec_"], ["whsec_not base64"], [5]])
    def test_secrets_that_cannot_be(self, secrets: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("OPENAI_WEBHOOK_SECRET", raising=False)
        with pytest.raises(ConfigurationError) as error:
            verifier(secrets)
        assert "not base64" not in str(error.value)

    @pytest.mark.parametrize(
        ("change", "status"),
        [
            ({"webhook-signature": ""}, 401),
            ({"webhook-signature": "v1"}, 401),
            ({"webhook-signature": "v1,é"}, 401),
            ({"webhook-id": "wh_other"}, 401),
            ({"webhook-id": ""}, 400),
            ({"webhook-timestamp": "soon"}, 400),
            ({"webhook-timestamp": "-1"}, 400),
            ({"webhook-timestamp": "9" * 15}, 401),
            ({"webhook-timestamp": str(EPOCH + 1)}, 401),
        ],
    )
    def test_what_is_changed_is_refused(self, change: dict[str, str], status: int) -> None:
        body, headers = webhook()
        assert refused(verifier()[0], body, {**headers, **change}) == status

    def test_the_body_is_verified_as_it_is(self) -> None:
        body, headers = webhook()
        for other in (body + b"\n", body.replace(b": ", b":"), b"\xff" + body, b""):
            assert refused(verifier()[0], other, headers) == 401

    @pytest.mark.parametrize("event", [[], "call", {"type": 5}, {"type": "realtime.call.incoming", "data": []}])
    def test_what_is_genuine_may_be_odd_all_the_same(self, event: Any) -> None:
        assert refused(verifier()[0], *webhook(event=event or [1])) == 400

    def test_another_event_is_nothing(self) -> None:
        assert verifier()[0].unwrap(*webhook(event={"type": "batch.completed"})) is None


class TestTime:
    def test_a_webhook_is_fresh_for_its_tolerance(self) -> None:
        for late, fresh in ((299, True), (301, False), (-299, True), (-301, False)):
            webhooks, clock = verifier()
            clock.now += late
            if fresh:
                assert webhooks.unwrap(*webhook()) is not None
            else:
                assert refused(webhooks, *webhook()) == 401

    def test_it_is_taken_once(self) -> None:
        webhooks, clock = verifier(tolerance_seconds=60)
        early = webhook(timestamp=EPOCH + 59)
        assert webhooks.unwrap(*early) is not None
        for seconds in (0, 60, 58):  # until its time is over
            clock.now += seconds
            assert refused(webhooks, *early) == 401
        clock.now += 10
        assert refused(webhooks, *early) == 401

    def test_one_that_was_not_genuine_takes_no_place(self) -> None:
        webhooks, _ = verifier()
        assert refused(webhooks, *webhook(secret=OTHER)) == 401
        assert webhooks.unwrap(*webhook()) is not None

    def test_one_that_was_turned_away_may_come_again(self) -> None:
        webhooks, _ = verifier()
        assert webhooks.unwrap(*webhook()) is not None
        webhooks.forget("wh_1")
        assert webhooks.unwrap(*webhook()) is not None

    def test_nothing_is_kept_for_ever(self) -> None:
        webhooks, clock = verifier(tolerance_seconds=10)
        for number in range(100):
            clock.now += 1
            assert webhooks.unwrap(*webhook(webhook_id=f"wh_{number}", timestamp=int(clock.now))) is not None
        clock.now += 100
        assert webhooks.unwrap(*webhook(webhook_id="wh_0", timestamp=int(clock.now))) is not None


class TestHeaders:
    def test_who_calls_whom(self) -> None:
        call = verifier()[0].unwrap(*webhook())
        assert call is not None
        assert call.caller == SipAddress("sip:+441234567890@carrier.example", "+441234567890", "carrier.example", "Ada")
        assert (call.called.user, call.sip_call_id) == ("+15550100", "dialog-1@carrier.example")
        assert (call.headers["X-ACCOUNT"], call.headers.get("x-other")) == ("gold", None)
        assert call.media_security is None

    def test_names_of_any_case_short_ones_and_several(self) -> None:
        headers = SipHeaders([("f", "<sip:a@b>"), ("Via", "one"), ("VIA", "two"), ("i", "id")])
        assert headers["From"] == "<sip:a@b>"
        assert (headers["via"], headers.get_all("Via"), headers["call-id"]) == ("one", ["one", "two"], "id")
        assert (list(headers), len(headers)) == (["from", "via", "call-id"], 3)

    @pytest.mark.parametrize(
        ("value", "address"),
        [
            ("sip:ada@b.example;tag=1", SipAddress("sip:ada@b.example", "ada", "b.example")),
            ("<tel:+44-20;phone-context=x>;tag=1", SipAddress("tel:+44-20;phone-context=x", "+44-20")),
            ("<sip:b.example>", SipAddress("sip:b.example", "", "b.example")),
            ("Ada L <sips:a%20l:pw@b:5061>", SipAddress("sips:a%20l:pw@b:5061", "a l", "b:5061", "Ada L")),
            (r'"A \"the\" B" <sip:a@b>', SipAddress("sip:a@b", "a", "b", 'A "the" B')),
            ("anonymous", SipAddress("anonymous")),
            ("", SipAddress("")),
        ],
    )
    def test_addresses(self, value: str, address: SipAddress) -> None:
        assert SipAddress.parse(value) == address

    def test_odd_headers_cost_themselves(self) -> None:
        data = {
            "call_id": "rtc_1",
            "sip_media_security": "srtp",
            "sip_headers": [5, {"name": "From"}, {"name": "To", "value": "<sip:a@b>"}],
        }
        call = verifier()[0].unwrap(*webhook(event={"type": "realtime.call.incoming", "data": data}))
        assert call is not None
        assert (call.caller.uri, call.called.user, call.media_security) == ("", "a", "srtp")

    def test_a_repr_tells_nothing_of_who_calls(self) -> None:
        webhooks, _ = verifier()
        call = webhooks.unwrap(*webhook())
        assert call is not None
        told = repr(call) + repr(call.headers) + repr(webhooks)
        assert "from" in told
        for value in [value for _, value in SIP_HEADERS] + [SECRET, "+44"]:
            assert value not in told
