"""Budgets: what is counted, when it warns, and how the conversation ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield import Budget, PriceTable, RealtimeAgent, RealtimeSession, function_tool
from jackfield.errors import ConfigurationError
from jackfield.transport.events import Usage
from support.clock import advance, settle, timeless
from support.memory_wire import (
    FarEnd,
    call_turn,
    open_session,
    read_until,
    response_done,
    spoken_turn,
    text_turn,
    user_item,
)

Event = dict[str, Any]

FAREWELL = "The time for this conversation is up."


def budget(**fields: Any) -> dict[str, Any]:
    return {"budget": Budget(**fields)}


def told_by(session: RealtimeSession) -> list[tuple[str, str, float, float]]:
    """A list that fills with what is told of the budget: event, kind, used and limit."""
    told: list[tuple[str, str, float, float]] = []
    for kind in ("budget_warning", "budget_exceeded"):
        session.on(kind, lambda event: told.append((event.type, event.kind, event.used, event.limit)))
    return told


def used(response_id: str, tokens: int) -> list[Event]:
    """A response without words that used `tokens` in and as many out."""
    return [text_turn(response_id, "i")[0], response_done(response_id, tokens=tokens)]


def created(response_id: str, request: Event) -> Event:
    """The beginning of the response that `request` asked for: what it came with comes back."""
    event = text_turn(response_id, "i")[0]
    event["response"]["metadata"] = request.get("response", {}).get("metadata")
    return event


def goodbye(request: Event, response_id: str = "resp_bye", words: tuple[str, ...] = ("Bye.",)) -> list[Event]:
    """The spoken answer to `request`."""
    return [created(response_id, request), *spoken_turn(response_id, f"item_{response_id}", words)[1:]]


async def asked_for_goodbye(far: FarEnd) -> Event:
    """Wait for the request of a goodbye."""
    request = await far.received("response.create")
    assert request["response"]["instructions"].startswith(FAREWELL)
    assert request["response"]["tool_choice"] == "none"
    return request


class TestTokens:
    @timeless
    async def test_it_warns_once_and_then_says_goodbye_and_ends(self) -> None:
        async with open_session(config=budget(max_tokens=100)) as (session, far):
            told = told_by(session)
            far.send(*used("resp_1", 30))
            await settle()
            assert told == []
            far.send(*used("resp_2", 10), *used("resp_3", 5))
            await settle()
            assert told == [("budget_warning", "tokens", 80, 100)]
            far.send(*used("resp_4", 20))
            request = await asked_for_goodbye(far)
            assert told[1:] == [("budget_exceeded", "tokens", 130, 100)]
            far.send(*goodbye(request))
            await settle()
            assert not far.gone.is_set()  # it is being heard
            await advance(0.1)
            assert far.gone.is_set()
            events = [event async for event in session]
            assert [event.output for event in events if event.type == "agent_end"][-1] == "Bye."
            assert [event.type for event in events if event.type == "error"] == []

    @timeless
    async def test_a_limit_that_is_passed_at_once_is_not_warned_of(self) -> None:
        async with open_session(config=budget(max_tokens=100)) as (session, far):
            told = told_by(session)
            far.send(*used("resp_1", 90))
            await settle()
            assert told == [("budget_exceeded", "tokens", 180, 100)]

    @timeless
    async def test_the_warning_comes_when_it_is_wanted(self) -> None:
        async with open_session(config=budget(max_tokens=100, warn_at=0.5)) as (session, far):
            told = told_by(session)
            far.send(*used("resp_1", 25))
            await settle()
            assert told == [("budget_warning", "tokens", 50, 100)]

    @timeless
    async def test_it_is_exceeded_once(self) -> None:
        async with open_session(config=budget(max_tokens=10, max_seconds=30)) as (session, far):
            told = told_by(session)
            far.send(*used("resp_1", 10))
            request = await asked_for_goodbye(far)
            far.send(created("resp_2", request), response_done("resp_2", tokens=50))
            await advance(60)
            assert [kind for kind, *_ in told] == ["budget_exceeded"]
            assert far.types.count("response.create") == 1
            assert far.gone.is_set()


class TestSeconds:
    @timeless
    async def test_from_when_it_is_connected(self) -> None:
        async with open_session(config=budget(max_seconds=600)) as (session, far):
            told = told_by(session)
            await advance(479)
            assert told == []
            await advance(1)
            assert told == [("budget_warning", "seconds", 480, 600)]
            await advance(119)
            assert len(told) == 1
            await advance(1)
            assert told[1:] == [("budget_exceeded", "seconds", 600, 600)]
            far.send(*goodbye(await asked_for_goodbye(far)))
            await advance(0.1)
            assert far.gone.is_set()

    @timeless
    async def test_a_session_that_ended_before_is_left_alone(self) -> None:
        async with open_session(config=budget(max_seconds=600)) as (session, _):
            told = told_by(session)
        await advance(3600)
        assert told == []

    @timeless
    async def test_a_connection_that_ended_before_needs_no_goodbye(self) -> None:
        async with open_session(config=budget(max_seconds=600)) as (session, far):
            told = told_by(session)
            far.close()
            await advance(3600)
            assert told == []
            assert far.types == ["session.update"]


class TestCost:
    PRICES = PriceTable(text_input=4, audio_input=32, text_output=16, audio_output=64, cached_audio_input=0.4)

    @timeless
    async def test_by_the_prices(self) -> None:
        async with open_session(config=budget(max_cost=0.01, prices=self.PRICES)) as (session, far):
            told = told_by(session)
            usage = {
                "total_tokens": 350,
                "input_tokens": 250,
                "output_tokens": 100,
                "input_token_details": {"text_tokens": 50, "audio_tokens": 200},
                "output_token_details": {"text_tokens": 0, "audio_tokens": 100},
            }
            done = response_done("resp_1")
            done["response"]["usage"] = usage
            far.send(text_turn("resp_1", "i")[0], done)
            await settle()
            assert told == [("budget_exceeded", "cost", pytest.approx(0.013), 0.01)]

    @pytest.mark.parametrize(
        ("usage", "cost"),
        [
            (Usage(), 0),
            (Usage(input_tokens=10, output_tokens=10), 10 * 4 + 10 * 16),
            (Usage(input_tokens=10, input_tokens_details={"text_tokens": 4, "audio_tokens": 6}), 4 * 4 + 6 * 32),
            (
                Usage(
                    input_tokens=10,
                    input_tokens_details={
                        "audio_tokens": 10,
                        "cached_tokens": 6,
                        "cached_tokens_details": {"audio_tokens": 6},
                    },
                ),
                4 * 32 + 6 * 0.4,
            ),
            (Usage(output_tokens=10, output_tokens_details={"audio_tokens": 7}), 7 * 64 + 3 * 16),
            (Usage(input_tokens=1, input_tokens_details={"audio_tokens": None, "text_tokens": True}), 4),
        ],
    )
    def test_of_each_kind(self, usage: Usage, cost: float) -> None:
        assert self.PRICES.cost(usage) == pytest.approx(cost / 1_000_000)

    @given(
        kinds=st.dictionaries(st.sampled_from(["text_tokens", "audio_tokens", "image_tokens"]), st.integers(0, 10**6)),
        cached=st.dictionaries(st.sampled_from(["text_tokens", "audio_tokens", "image_tokens"]), st.integers(0, 10**6)),
    )
    def test_what_is_cached_is_part_of_what_was_given(self, kinds: dict[str, int], cached: dict[str, int]) -> None:
        prices = PriceTable(text_input=1, audio_input=1, image_input=1)  # what is cached costs nothing
        usage = Usage(input_tokens=sum(kinds.values()), input_tokens_details={**kinds, "cached_tokens_details": cached})
        paid = sum(max(0, count - cached.get(kind, 0)) for kind, count in kinds.items())
        assert prices.cost(usage) == pytest.approx(paid / 1_000_000)


class TestTheGoodbye:
    @timeless
    async def test_it_waits_for_what_is_being_said(self) -> None:
        async with open_session(config=budget(max_seconds=10)) as (_, far):
            turn = spoken_turn("resp_1", "item_1")
            far.send(*turn[:6])
            await advance(10)
            assert "response.create" not in far.types
            far.send(*turn[6:])
            far.send(*goodbye(await asked_for_goodbye(far)))
            await advance(1)
            assert far.gone.is_set()

    @timeless
    async def test_another_answer_before_it_is_not_taken_for_it(self) -> None:
        async with open_session(config=budget(max_tokens=10)) as (session, far):
            far.send(text_turn("resp_1", "item_1")[0])
            await far.heard()
            await session.send_message("One more thing:")
            assert "response.create" not in far.types
            far.send(response_done("resp_1", tokens=10))
            answer = await far.received("response.create")
            assert "response" not in answer
            await settle()
            far.send(*text_turn("resp_2", "item_2"))
            request = await asked_for_goodbye(far)
            await settle()
            assert not far.gone.is_set()
            far.send(*goodbye(request))
            await advance(0.1)
            assert far.gone.is_set()

    @timeless
    async def test_it_takes_no_longer_than_its_grace(self) -> None:
        async with open_session(config=budget(max_seconds=10, grace_seconds=5)) as (session, far):
            await advance(10)
            far.send(created("resp_1", await asked_for_goodbye(far)))
            await advance(4.9)
            assert session.status == "connected"
            await advance(0.1)
            assert far.gone.is_set()

    @timeless
    async def test_none_is_said_where_none_is_wanted(self) -> None:
        async with open_session(config=budget(max_seconds=10, farewell=None)) as (session, far):
            told = told_by(session)
            await advance(10)
            assert far.gone.is_set()
            assert far.types == ["session.update"]
            assert told[-1][0] == "budget_exceeded"

    @timeless
    async def test_in_words_of_ones_own(self) -> None:
        async with open_session(config=budget(max_seconds=10, farewell="Sing goodbye.")) as (_, far):
            await advance(10)
            assert (await far.received("response.create"))["response"]["instructions"] == "Sing goodbye."

    @timeless
    async def test_a_far_end_that_closes_meanwhile_ends_it(self) -> None:
        async with open_session(config=budget(max_seconds=10)) as (session, far):
            await advance(10)
            await asked_for_goodbye(far)
            far.close()
            await advance(30)
            assert [event.type async for event in session][-1] == "connection_change"
            assert far.gone.is_set()

    @timeless
    async def test_a_user_who_interrupts_it_ends_it(self) -> None:
        async with open_session(config=budget(max_seconds=10)) as (_, far):
            await advance(10)
            far.send(*goodbye(await asked_for_goodbye(far), words=("Good", "bye", " and", " so", " on")))
            await advance(0.2)
            assert not far.gone.is_set()
            far.send({"type": "input_audio_buffer.speech_started", "item_id": "user_1", "audio_start_ms": 0})
            await settle()
            assert far.gone.is_set()

    @timeless
    async def test_the_output_of_a_tool_does_not_start_another_answer_behind_it(self) -> None:
        finish = asyncio.Event()

        @function_tool
        async def slow() -> str:
            await finish.wait()
            return "done"

        agent = RealtimeAgent("Helper", tools=[slow])
        async with open_session(agent, config=budget(max_tokens=10)) as (_, far):
            turn = call_turn("resp_1", ("call_1", "slow", "{}"))
            turn[-1] = response_done("resp_1", turn[-1]["response"]["output"], tokens=10)
            far.send(*turn)
            request = await asked_for_goodbye(far)
            far.send(*goodbye(request)[:4])
            await settle()
            finish.set()
            await settle()
            far.send(*goodbye(request)[4:])
            await advance(60)
            assert far.types.count("response.create") == 1
            assert far.gone.is_set()


class TestWhatItIsMadeOf:
    @pytest.mark.parametrize(
        "fields",
        [
            {"max_tokens": 0},
            {"max_tokens": True},
            {"max_seconds": -1},
            {"max_seconds": "60"},
            {"max_seconds": float("nan")},
            {"max_cost": 1.0},
            {"warn_at": 0},
            {"warn_at": 1.5},
            {"grace_seconds": 0},
            {"grace_seconds": None},
            {"farewell": 7},
            {"max_tokens": float("inf")},
            {"max_cost": 1.0, "prices": "cheap"},
            {"max_cost": 1.0, "prices": {"text": 1}},
        ],
    )
    def test_what_can_be_none(self, fields: dict[str, Any]) -> None:
        with pytest.raises(ConfigurationError):
            Budget(**fields)

    @pytest.mark.parametrize("price", [-1, True, "1", float("nan"), float("inf"), None])
    def test_what_can_be_no_price(self, price: Any) -> None:
        with pytest.raises(ConfigurationError, match="text_input"):
            PriceTable(text_input=price)

    def test_a_mapping_will_do(self) -> None:
        given = {"max_cost": 2.5, "prices": {"audio_output": 64}, "warn_at": 0.5}
        assert Budget.of(given) == Budget(max_cost=2.5, prices=PriceTable(audio_output=64), warn_at=0.5)

    @pytest.mark.parametrize(
        ("config", "words"),
        [
            ({"max_token": 10}, "max_tokens"),
            ({"prices": {"audio": 1}, "max_cost": 1}, "audio"),
            ("much", "Budget"),
            ({"max_tokens": 0}, "max_tokens"),
        ],
    )
    def test_what_is_wrong_is_said_before_anything_is_sent(self, config: Any, words: str) -> None:
        async def enter() -> None:
            async with open_session(config={"budget": config}):
                pass

        with pytest.raises(ConfigurationError, match=words):
            asyncio.run(enter())


@timeless
async def test_what_a_conversation_used_before_it_was_taken_up_counts() -> None:
    async with open_session() as (session, far):
        far.send(*user_item("user_1", "Hello?"), *used("resp_1", 40))
        await settle()
        left = session.state()
    async with open_session(config=budget(max_tokens=100), state=left) as (session, far):
        told = told_by(session)
        far.send(*used("resp_1", 15))
        await read_until(session, "budget_exceeded")
        assert told == [("budget_exceeded", "tokens", 110, 100)]
