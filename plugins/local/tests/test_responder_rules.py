"""The rule-driven responder, from outside: a conversation goes in, an answer comes out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jackfield_local import Call, Reply, ResponseContext, Say
from jackfield_local.responders import RuleResponder
from jackfield_local.speech.patterns import parse, plain

Item = dict[str, Any]
STRING = {"type": "string"}
INTEGER = {"type": "integer"}


def tool(name: str, description: str = "", required: Sequence[str] | None = None, /, **properties: Any) -> Item:
    needed = list(properties) if required is None else list(required)
    parameters = {"type": "object", "properties": properties, "required": needed, "additionalProperties": False}
    return {"type": "function", "name": name, "description": description, "parameters": parameters}


WEATHER = tool("get_weather", "The weather in a city, today.", city=STRING)
HOURS = tool(
    "opening_hours",
    "The opening hours of a place in town.",
    place={"type": "string", "description": "The place, such as museum, library or a pool."},
)
TABLE = tool("book_table", "Book a table in the restaurant.", people=INTEGER, day=STRING, time=STRING)
ORDER = tool("lookup_order", "Look up an order.", order_id=STRING)
LIGHT = tool(
    "set_light", "", room={"type": "string", "enum": ["kitchen", "living room"]}, state={"enum": ["on", "off"]}
)
FLIGHTS = tool(
    "find_flights", "Find flights.", ["origin", "destination"], origin=STRING, destination=STRING, date=STRING
)
MESSAGE = tool("send_message", "Send a message to a contact.", recipient=STRING, text=STRING)
MUSIC = tool("play_music", "Play music.", title=STRING)
HEATING = tool("set_temperature", "Set the thermostat.", degrees={"type": "number", "minimum": 5, "maximum": 30})
PIZZA = tool(
    "order_pizza",
    "Order a pizza.",
    ["size"],
    size={"type": "string", "enum": ["small", "medium", "large"]},
    toppings={"type": "array", "items": STRING},
    extra_cheese={"type": "boolean"},
)
BILLING = tool("transfer_to_billing", "Handoff to the Billing agent to handle the request. Bills and refunds.")
SUPPORT = tool("transfer_to_technical_support", "Handoff to the Technical Support agent to handle the request.")
TOOLS = [WEATHER, HOURS, TABLE, ORDER, LIGHT, FLIGHTS, MESSAGE, MUSIC, HEATING, PIZZA, BILLING, SUPPORT]


def user(text: str) -> Item:
    return {"type": "message", "role": "user", "content": [{"type": "input_audio", "transcript": text}]}


def assistant(text: str | None) -> Item:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_audio", "transcript": text}]}


def called(name: str, output: str, call_id: str = "call_1") -> list[Item]:
    return [
        {"type": "function_call", "name": name, "call_id": call_id, "arguments": "{}"},
        {"type": "function_call_output", "call_id": call_id, "output": output},
    ]


def answer(
    *said: str | Item,
    tools: Sequence[Item] = TOOLS,
    instructions: str = "",
    tool_choice: str | Mapping[str, Any] = "auto",
) -> Reply:
    items = [user(item) if isinstance(item, str) else item for item in said]
    context = ResponseContext(instructions, tools, tool_choice, items)
    return asyncio.run(RuleResponder().respond(context))


def said(*conversation: str | Item, **options: Any) -> str:
    (reply,) = answer(*conversation, **options)
    assert isinstance(reply, Say)
    return reply.text


class TestToolCalls:
    @pytest.mark.parametrize(
        ("text", "name", "arguments"),
        [
            ("What is the weather in Paris?", "get_weather", {"city": "Paris"}),
            ("what's the weather like in new york tomorrow", "get_weather", {"city": "New York"}),
            ("Weather in Tuxford, please.", "get_weather", {"city": "Tuxford"}),
            ("Will it rain in São Paulo?", "get_weather", {"city": "Sao Paulo"}),
            ("Do I need an umbrella in Nice?", "get_weather", {"city": "Nice"}),
            ("What are the opening hours of the museum?", "opening_hours", {"place": "museum"}),
            ("When is the pool open?", "opening_hours", {"place": "pool"}),
            (
                "Book a table for four people on Friday at seven pm.",
                "book_table",
                {"people": 4, "day": "Friday", "time": "7 pm"},
            ),
            (
                "I'd like to reserve a table for 12 on May 5th at 7:30 pm",
                "book_table",
                {"people": 12, "day": "May 5th", "time": "7:30 pm"},
            ),
            (
                "Can you book a table tomorrow at half past eight for two people?",
                "book_table",
                {"people": 2, "day": "tomorrow", "time": "half past eight"},
            ),
            ("Look up order 4217", "lookup_order", {"order_id": "4217"}),
            ("Look up order number four two one seven please", "lookup_order", {"order_id": "4217"}),
            ("Where is my order #A-1234?", "lookup_order", {"order_id": "A-1234"}),
            ("Where is my package, order number B 5 oh 2?", "lookup_order", {"order_id": "B502"}),
            ("Turn off the living room light", "set_light", {"room": "living room", "state": "off"}),
            ("switch the kitchen lamp on", "set_light", {"room": "kitchen", "state": "on"}),
            (
                "Find flights from Paris to New York on Friday",
                "find_flights",
                {"origin": "Paris", "destination": "New York", "date": "Friday"},
            ),
            ("flights to Rome from Berlin", "find_flights", {"origin": "Berlin", "destination": "Rome"}),
            (
                "Send a message to John Smith saying I am late",
                "send_message",
                {"recipient": "John Smith", "text": "I am late"},
            ),
            ("Play jazz", "play_music", {"title": "jazz"}),
            ("play Bohemian Rhapsody by Queen please", "play_music", {"title": "Bohemian Rhapsody by Queen"}),
            ("Set the temperature to 21.5 degrees", "set_temperature", {"degrees": 21.5}),
            ("set the thermostat to twenty one degrees", "set_temperature", {"degrees": 21}),
            (
                "Order a large pizza with mushrooms and olives with extra cheese",
                "order_pizza",
                {"size": "large", "toppings": ["mushrooms", "olives"], "extra_cheese": True},
            ),
            ("I have a question about my bill", "transfer_to_billing", {}),
            ("I want a refund!", "transfer_to_billing", {}),
            ("I'd like to talk to technical support", "transfer_to_technical_support", {}),
        ],
    )
    def test_what_was_said_calls(self, text: str, name: str, arguments: dict[str, Any]) -> None:
        assert answer(text) == [Call(name, arguments)]

    @pytest.mark.parametrize(
        ("text", "calls"),
        [
            (
                "What is the weather in Rome and in Berlin?",
                [Call("get_weather", {"city": "Rome"}), Call("get_weather", {"city": "Berlin"})],
            ),
            (
                "What is the weather in Oslo and what are the opening hours of the museum?",
                [Call("get_weather", {"city": "Oslo"}), Call("opening_hours", {"place": "museum"})],
            ),
            (
                "Turn off the kitchen light and then play jazz",
                [Call("set_light", {"room": "kitchen", "state": "off"}), Call("play_music", {"title": "jazz"})],
            ),
            (
                "Look up order 4217 and transfer me to billing and play jazz",
                [Call("lookup_order", {"order_id": "4217"}), Call("transfer_to_billing")],
            ),
        ],
    )
    def test_several_wishes_are_several_calls(self, text: str, calls: list[Call]) -> None:
        assert answer(text) == calls

    def test_a_typed_message_is_as_good_as_a_spoken_one(self) -> None:
        typed = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "weather in Oslo"}]}
        assert answer(typed) == [Call("get_weather", {"city": "Oslo"})]

    @pytest.mark.parametrize("text", ["Hello", "Thank you", "Tell me about the history of the telephone", "blah blah"])
    def test_small_talk_calls_nothing(self, text: str) -> None:
        assert all(isinstance(reply, Say) for reply in answer(text))

    def test_a_number_out_of_bounds_is_no_argument(self) -> None:
        assert said("Set the temperature to 80 degrees") == "How many degrees?"

    def test_what_may_be_null_or_has_a_default_is_not_asked_for(self) -> None:
        strict = tool(
            "get_forecast",
            "The weather forecast.",
            city=STRING,
            unit={"anyOf": [{"type": "string", "enum": ["celsius", "fahrenheit"]}, {"type": "null"}]},
            days={"type": "integer", "default": 3},
        )
        assert answer("What is the forecast for Oslo?", tools=[strict]) == [
            Call("get_forecast", {"city": "Oslo", "unit": None, "days": 3})
        ]

    def test_tools_that_are_no_functions_are_passed_over(self) -> None:
        odd: list[Item] = [{"type": "mcp", "server_label": "x"}, {"type": "function"}, {"type": "function", "name": 3}]
        odd += [{"type": "function", "name": "nothing"}, {"type": "function", "name": "x", "parameters": {"a": 1}}]
        assert answer("What is the weather in Paris?", tools=[*odd, WEATHER]) == [
            Call("get_weather", {"city": "Paris"})
        ]


class TestQuestions:
    def test_a_missing_argument_is_asked_for(self) -> None:
        assert said("What's the weather?") == "For which city?"

    def test_the_next_answer_fills_it(self) -> None:
        conversation = ("What's the weather?", assistant("For which city?"), "In Tuxford, please.")
        assert answer(*conversation) == [Call("get_weather", {"city": "Tuxford"})]

    def test_it_is_understood_also_where_the_question_was_cut_off(self) -> None:
        assert answer("What's the weather?", assistant(None), "Paris") == [Call("get_weather", {"city": "Paris"})]

    def test_one_after_the_other(self) -> None:
        talk: list[str | Item] = ["Book a table"]
        for reply in ("four", "on Friday", "at seven thirty"):
            talk += [assistant(said(*talk)), reply]
        assert [item["content"][0]["transcript"] for item in talk if isinstance(item, dict)] == [
            "For how many people?",
            "For which day?",
            "At what time?",
        ]
        assert answer(*talk) == [Call("book_table", {"people": 4, "day": "Friday", "time": "7:30"})]

    def test_an_answer_may_say_more_than_was_asked(self) -> None:
        talk = ("Book a table", assistant("For how many people?"), "for four people, on Friday at seven pm")
        assert answer(*talk) == [Call("book_table", {"people": 4, "day": "Friday", "time": "7 pm"})]

    def test_what_is_no_answer_is_asked_again(self) -> None:
        talk = ("Book a table", assistant("For how many people?"), "a bunch")
        assert said(*talk) == "Sorry, I did not understand. For how many people?"

    def test_another_request_takes_over(self) -> None:
        talk = ("Book a table", assistant("For how many people?"), "What is the weather in Rome?")
        assert answer(*talk) == [Call("get_weather", {"city": "Rome"})]

    @pytest.mark.parametrize("text", ["Never mind.", "Stop, please.", "Forget it"])
    def test_a_request_can_be_taken_back(self, text: str) -> None:
        talk = ("What's the weather?", assistant("For which city?"), text)
        assert said(*talk) == "Okay."
        assert said(*talk, assistant("Okay."), "Thank you") == "You are welcome."

    def test_small_talk_is_no_city(self) -> None:
        assert "glasses" in said("What's the weather?", assistant("For which city?"), "Tell me a joke")

    def test_yes_and_no(self) -> None:
        table = tool("book_room", "Book a room.", breakfast={"type": "boolean"})
        assert said("Book a room", tools=[table]) == "Breakfast: yes or no?"
        for text, value in (("Yes, please", True), ("No, thank you", False)):
            talk = ("Book a room", assistant("Breakfast: yes or no?"), text)
            assert answer(*talk, tools=[table]) == [Call("book_room", {"breakfast": value})]

    def test_choices_are_offered(self) -> None:
        assert said("I want to order a pizza") == "Which size: small, medium or large?"
        talk = ("I want to order a pizza", assistant("Which size: small, medium or large?"), "medium")
        assert answer(*talk) == [Call("order_pizza", {"size": "medium"})]


class TestResults:
    @pytest.mark.parametrize(
        ("output", "text"),
        [
            ("Sunny in Paris.", "Sunny in Paris."),
            ('"Sunny in Paris."', "Sunny in Paris."),
            ('{"result": "Sunny."}', "Sunny."),
            ("true", "Yes."),
            ("21.50", "21.5."),
            ("null", "That is done."),
            ("", "That is done."),
            ("[]", "There is nothing to tell."),
            ('["tea", "milk", "bread"]', "Tea, milk and bread."),
            (
                '{"city": "Paris", "temp": 21, "sky": ["sun", "wind"], "rain": false}',
                "The city is Paris, the temp is 21, the sky are sun and wind and the rain is no.",
            ),
            ('[{"name": "A", "price": 3}, {"name": "B"}]', "The name is A and the price is 3; the name is B."),
            ("{broken", "{broken"),
        ],
    )
    def test_an_output_is_spoken(self, output: str, text: str) -> None:
        assert said("weather", *called("get_weather", output)) == text

    def test_all_that_came_since_the_last_message_is_spoken(self) -> None:
        outputs = [*called("get_weather", "Sunny.", "a"), *called("get_weather", "Windy.", "b")]
        assert (
            said("weather", *called("get_weather", "Old.", "o"), assistant("Old."), "again", *outputs)
            == "Sunny. Windy."
        )

    def test_deep_json_is_spoken_without_end(self) -> None:
        assert said("x", *called("get_weather", "[" * 500 + "]" * 500))
        assert said("x", *called("get_weather", '{"a":' * 50 + "1" + "}" * 50))

    def test_what_the_user_says_meanwhile_comes_first(self) -> None:
        assert said("weather", *called("get_weather", "Sunny."), "Thank you") == "You are welcome."


class TestHandoffs:
    HANDED = called("transfer_to_billing", '{"assistant": "Billing"}')

    def test_the_new_agent_introduces_itself(self) -> None:
        instructions = "You are the billing desk. Greet the caller and help with bills and refunds."
        text = said("I have a question about my bill", *self.HANDED, instructions=instructions, tools=[])
        assert text == "Hello, this is Billing. I can help you with bills and refunds."

    def test_with_the_words_that_its_instructions_give(self) -> None:
        instructions = 'Greet the caller with "Welcome to billing!"'
        assert said("my bill", *self.HANDED, instructions=instructions, tools=[]) == "Welcome to billing!"

    def test_it_goes_on_with_the_request_if_it_can(self) -> None:
        refund = tool("refund_order", "Refund an order.", order_id=STRING)
        greeting, call = answer("I want a refund for order 4217", *self.HANDED, tools=[refund, SUPPORT])
        assert isinstance(greeting, Say)
        assert call == Call("refund_order", {"order_id": "4217"})

    def test_it_does_not_hand_back(self) -> None:
        back = tool("transfer_to_reception", "Handoff to Reception. Bills and refunds.")
        assert all(isinstance(reply, Say) for reply in answer("I want a refund", *self.HANDED, tools=[back]))


class TestPersona:
    def test_a_pirate_is_heard(self) -> None:
        assert said("Tell me a joke", instructions="Speak like a pirate", tools=[]).startswith("Arr!")

    def test_a_greeting_comes_once(self) -> None:
        first = said("weather", *called("get_weather", "Sunny."), instructions="Greet the user.")
        assert first == "Hello! Sunny."
        again = ["weather", *called("get_weather", "Sunny."), assistant(first), "and", *called("get_weather", "Windy.")]
        assert said(*again, instructions="Greet the user.") == "Windy."

    def test_with_nothing_said_it_greets(self) -> None:
        assert said(instructions="You are Anna. You help customers with flights.", tools=[]) == (
            "Hello, this is Anna. I can help you with flights."
        )

    def test_it_knows_its_name(self) -> None:
        assert "Anna" in said("Who are you?", instructions="Your name is Anna.")

    def test_every_answer_ends_as_told(self) -> None:
        assert said("Thank you", instructions='End every answer with "over."') == "You are welcome. over."

    def test_it_tells_what_it_can_do(self) -> None:
        text = said("What can you do?", tools=[WEATHER, TABLE, BILLING])
        assert text == "I can help you with weather, booking a table and billing."


class TestSmallTalk:
    @pytest.mark.parametrize("text", ["Tell me a long story", "Tell me about the history of the telephone"])
    def test_long_answers_are_long(self, text: str) -> None:
        assert 45 < len(said(text).split()) < 65

    def test_counting(self) -> None:
        assert said("Count to twenty, please").split(", ")[-1] == "twenty."
        assert len(said("Count to 3").split()) == 3

    def test_again(self) -> None:
        assert said("hi", assistant("The museum is open."), "Could you repeat that?") == "The museum is open."

    def test_echo(self) -> None:
        assert said("Repeat after me: the cat sat") == "The cat sat"

    def test_nothing_heard(self) -> None:
        assert "did not catch" in said("")
        assert "did not catch" in said(user(""))

    def test_a_picture(self) -> None:
        image = {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": "data:"}]}
        assert "picture" in said(image)

    def test_what_it_does_not_understand_it_repeats_and_offers_help(self) -> None:
        text = said("Colourless green ideas sleep furiously", tools=[WEATHER])
        assert "Colourless green ideas" in text
        assert "weather" in text


class TestToolChoice:
    def test_none_calls_nothing(self) -> None:
        assert isinstance(answer("What is the weather in Paris?", tool_choice="none")[0], Say)

    def test_required_calls_whatever_was_said(self) -> None:
        (call,) = answer("Hello", tool_choice="required", tools=[WEATHER, BILLING])
        assert call == Call("get_weather", {"city": "Paris"})

    def test_required_takes_what_fits_best(self) -> None:
        (call,) = answer("Look up order 4217", tool_choice="required")
        assert call == Call("lookup_order", {"order_id": "4217"})

    def test_by_name(self) -> None:
        (call,) = answer("for six on Friday", tool_choice={"type": "function", "name": "book_table"})
        assert isinstance(call, Call)
        assert (call.name, call.arguments["people"], call.arguments["day"]) == ("book_table", 6, "Friday")

    def test_without_tools_there_is_nothing_to_call(self) -> None:
        assert isinstance(answer("Hello", tool_choice="required", tools=[])[0], Say)
        assert isinstance(answer("Hello", tool_choice={"type": "function", "name": "no_such"})[0], Say)

    def test_an_output_is_spoken_all_the_same(self) -> None:
        assert said("weather", *called("get_weather", "Sunny."), tool_choice="required") == "Sunny."


class TestPhrases:
    def test_each_phrase_gets_what_it_asks_for(self) -> None:
        for asked in TOOLS:
            context = ResponseContext("", [asked], "auto", [])
            alone = RuleResponder().phrases(ResponseContext("", [], "auto", []))
            for phrase in RuleResponder().phrases(context):
                if phrase in alone:
                    continue
                (reply,) = answer(plain(phrase), tools=[asked])[:1]
                assert isinstance(reply, Call) or reply.text.endswith("?"), (phrase, reply)
                assert not isinstance(reply, Call) or reply.name == asked["name"]

    def test_small_talk_is_listened_for(self) -> None:
        phrases = RuleResponder().phrases(ResponseContext("", [], "auto", []))
        assert all(said(plain(phrase), tools=[])[:9] != "You said:" for phrase in phrases)

    def test_the_answer_to_an_open_question_is_listened_for(self) -> None:
        items = [user("What's the weather?"), assistant("For which city?")]
        asked = RuleResponder().phrases(ResponseContext("", TOOLS, "auto", items))
        unasked = RuleResponder().phrases(ResponseContext("", TOOLS, "auto", []))
        assert any(parse(phrase).match(["paris"]) for phrase in asked)
        assert not any(parse(phrase).match(["paris"]) for phrase in unasked)

    def test_tools_that_may_not_be_called_are_not_listened_for(self) -> None:
        phrases = RuleResponder().phrases(ResponseContext("", TOOLS, "none", []))
        assert not any("weather" in phrase for phrase in phrases)

    def test_names_with_brackets_do_no_harm(self) -> None:
        odd = tool("get_{thing}[x]|y", "{", **{"a[b]": {"enum": ["[", "{x}", "y|z"]}})
        for phrase in RuleResponder().phrases(ResponseContext("", [odd], "auto", [])):
            plain(phrase)


NAMES = ["city", "people", "day", "time", "order_id", "name", "text", "breakfast", "size", "amount", "x", "from", "to"]
VALUES = st.one_of(
    st.just({"type": "string"}),
    st.builds(lambda low: {"type": "string", "minLength": low}, st.integers(0, 5)),
    st.builds(lambda high: {"type": "string", "maxLength": high}, st.integers(1, 12)),
    st.builds(
        lambda low, size: {"type": "integer", "minimum": low, "maximum": low + size},
        st.integers(-50, 50),
        st.integers(0, 50),
    ),
    st.builds(lambda low: {"type": "number", "minimum": low}, st.integers(-5, 50)),
    st.just({"type": "boolean"}),
    st.builds(
        lambda values: {"type": "string", "enum": values},
        st.lists(
            st.sampled_from(["small", "large", "dark blue", "on", "off", "Paris", "", "?"]), min_size=1, unique=True
        ),
    ),
    st.builds(lambda values: {"enum": values}, st.lists(st.integers(0, 9), min_size=1, unique=True)),
    st.just({"type": "array", "items": {"type": "string"}}),
    st.just({"type": "array", "items": {"type": "integer"}}),
    st.just({"type": "object"}),
    st.just({"type": ["string", "null"]}),
    st.just({"anyOf": [{"type": "integer"}, {"type": "null"}]}),
)
SAID = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "book",
                "a",
                "table",
                "for",
                "four",
                "people",
                "on",
                "Friday",
                "at",
                "seven",
                "thirty",
                "pm",
                "in",
                "Paris",
                "to",
                "London",
                "from",
                "Rome",
                "order",
                "number",
                "A",
                "1",
                "2",
                "3",
                "with",
                "breakfast",
                "without",
                "small",
                "large",
                "dark",
                "blue",
                "and",
                "then",
                "minus",
                "3.5",
                "1,000",
                "99999999999999999999",
                "yes",
                "no",
                "Alice",
                "Smith",
                "please",
                ",",
                ".",
                "?",
                "tomorrow",
                "#",
                "-7",
                "7pm",
                "the",
            ]
        ),
        st.text(max_size=8),
    ),
    max_size=14,
).map(" ".join)
TOOL = st.builds(
    lambda properties, needed: tool(
        "book_table", "Book a table.", [name for name in properties if name in needed], **properties
    ),
    st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=5),
    st.sets(st.sampled_from(NAMES)),
)


class TestAnything:
    @settings(max_examples=300, deadline=None)
    @given(TOOL, st.lists(SAID, min_size=1, max_size=3), st.sampled_from(["auto", "required"]))
    def test_arguments_satisfy_the_schema(self, asked: Item, texts: list[str], choice: str) -> None:
        for reply in answer(*["Book a table " + texts[0], *texts[1:]], tools=[asked], tool_choice=choice):
            if isinstance(reply, Call):
                jsonschema.validate(json.loads(json.dumps(reply.arguments)), asked["parameters"])

    @settings(max_examples=200, deadline=None)
    @given(st.text(max_size=80), st.text(max_size=80))
    def test_any_words_get_an_answer_and_always_the_same(self, text: str, instructions: str) -> None:
        first = answer(text, instructions=instructions)
        assert first
        assert first == answer(text, instructions=instructions)
        assert all(isinstance(reply, Call) or reply.text for reply in first)

    @settings(max_examples=100, deadline=None)
    @given(st.text(max_size=60))
    def test_any_output_is_spoken(self, output: str) -> None:
        assert said("weather", *called("get_weather", output))

    JUNK = st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
        max_leaves=8,
    )

    @settings(max_examples=200, deadline=None)
    @given(st.dictionaries(st.sampled_from(["type", "role", "content", "output", "call_id", "name"]), JUNK), JUNK)
    def test_odd_items_and_schemas_are_survived(self, item: Item, schema: Any) -> None:
        odd = {"type": "function", "name": "get_thing", "description": "", "parameters": schema}
        fields = {"type": "function", "name": "get_x", "parameters": {"properties": {"a": schema}, "required": schema}}
        assert answer(item, "get the thing x", tools=[odd, fields])
        RuleResponder().phrases(ResponseContext("", [odd, fields], "auto", [item]))
