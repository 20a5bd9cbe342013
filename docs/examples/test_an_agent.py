"""How to test an agent: its tools, its handoffs, and what it does when it is interrupted or cut off.

    python docs/examples/test_an_agent.py
    pytest docs/examples/test_an_agent.py

Nothing is dialled: the far end is the test itself (see docs/testing.md).
"""

import asyncio
from collections.abc import Awaitable, Callable

from jackfield import RealtimeAgent, RealtimeSession, function_tool
from jackfield.errors import RemoteClosedError
from jackfield.testing import Call, Disconnect, Say, ScriptedTransport, Step, UserSays

# The application: a front desk that knows the opening hours, and a colleague who takes bookings.


@function_tool
def opening_hours(day: str) -> str:
    """When the restaurant is open."""
    return "closed" if day == "Monday" else "18:00 to 23:00"


@function_tool
def book(guests: int, time: str) -> str:
    """Book a table."""
    return f"A table for {guests} at {time}"


bookings = RealtimeAgent(name="Bookings", instructions="Take bookings.", tools=[book])
front_desk = RealtimeAgent(
    name="Front desk", instructions="Answer in one sentence.", tools=[opening_hours], handoffs=[bookings]
)


# Its tests.


async def test_the_hours_are_looked_up() -> None:
    far_end = ScriptedTransport()
    async with RealtimeSession(front_desk, transport=far_end) as session:
        far_end.emit(UserSays("Are you open on Monday?"), Call("opening_hours", {"day": "Monday"}))
        answer = await far_end.expect_call("send_function_call_output")
        assert answer.arguments["output"] == "closed"
        await far_end.expect_call("request_response")
        far_end.emit(Say("We are closed on Mondays."))
        question, call, reply = session.history
        assert question.content[0].transcript == "Are you open on Monday?"
        assert call.output == "closed"
        assert reply.text == "We are closed on Mondays."
    far_end.assert_complete()


async def test_bookings_are_handed_over() -> None:
    far_end = ScriptedTransport(
        [
            Step("send_message", emit=Call("transfer_to_bookings")),
            Step("update_session_config", lambda call: call.arguments["config"]["instructions"] == "Take bookings."),
            Step("send_function_call_output"),
            Step("request_response", emit=Call("book", {"guests": 2, "time": "20:00"})),
            Step("send_function_call_output", {"output": "A table for 2 at 20:00"}),
            Step("request_response", emit=Say("Your table is booked.")),
        ]
    )
    async with RealtimeSession(front_desk, transport=far_end) as session:
        await session.send_message("A table for two at eight, please.")
        await far_end.wait_complete()
        assert session.current_agent is bookings


async def test_an_answer_that_is_interrupted() -> None:
    far_end = ScriptedTransport()
    async with RealtimeSession(front_desk, transport=far_end) as session:
        cut = []
        session.on("audio_interrupted", cut.append)
        far_end.emit(Say("We are open from six to eleven on all days but Mondays."), UserSays("Wait!", after_ms=700))
        assert [event.played_ms for event in cut] == [700]
        assert session.history[0].status == "interrupted"


async def test_a_connection_that_is_lost() -> None:
    far_end = ScriptedTransport()
    async with RealtimeSession(front_desk, transport=far_end) as session:
        errors = []
        session.on("error", lambda event: errors.append(event.error))
        far_end.emit(Say("We are"), Disconnect(1012, "restart"))
        assert [type(error) for error in errors] == [RemoteClosedError]
        assert session.status == "disconnected"


TESTS: list[Callable[[], Awaitable[None]]] = [
    test_the_hours_are_looked_up,
    test_bookings_are_handed_over,
    test_an_answer_that_is_interrupted,
    test_a_connection_that_is_lost,
]


async def main() -> None:
    for test in TESTS:
        await test()
        print(f"passed: {test.__name__}")


if __name__ == "__main__":
    asyncio.run(main())
