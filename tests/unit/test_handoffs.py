"""Handoffs as the model sees them."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield import RealtimeAgent, realtime_handoff
from jackfield.errors import ConfigurationError


def test_names_and_words_come_from_the_agent() -> None:
    handoff = realtime_handoff(RealtimeAgent("Billing Desk", handoff_description="Refunds."))
    assert handoff.to_wire() == {
        "type": "function",
        "name": "transfer_to_billing_desk",
        "description": "Handoff to the Billing Desk agent to handle the request. Refunds.",
        "parameters": {"type": "object", "properties": {}, "additionalProperties": False},
    }
    assert json.loads(handoff.get_transfer_message()) == {"assistant": "Billing Desk"}


def test_both_can_be_overridden() -> None:
    handoff = realtime_handoff(
        RealtimeAgent("Billing"), tool_name_override="pay", tool_description_override="For money."
    )
    assert (handoff.tool_name, handoff.tool_description) == ("pay", "For money.")


@given(st.text(min_size=1))
def test_every_agent_has_a_name_that_the_api_takes(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", realtime_handoff(RealtimeAgent(name)).tool_name)


@pytest.mark.parametrize("name", ["no blanks", "a" * 65])
def test_an_override_that_the_api_refuses(name: str) -> None:
    with pytest.raises(ConfigurationError, match="can't be named"):
        realtime_handoff(RealtimeAgent("A"), tool_name_override=name)


def test_only_agents_take_over() -> None:
    with pytest.raises(ConfigurationError, match="not to str"):
        realtime_handoff("Billing")  # type: ignore[arg-type]
