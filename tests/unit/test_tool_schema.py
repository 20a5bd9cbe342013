"""From signatures and docstrings to what the model sees, and from the model's arguments to a call."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from jackfield import RunContextWrapper, ToolContext
from jackfield.errors import ConfigurationError, ToolError
from jackfield.tool_schema import FunctionSchema, function_schema


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Place(BaseModel):
    """Somewhere."""

    city: str
    zip: int | None = None


@dataclass
class Guest:
    name: str
    age: int = 0


class Wish(TypedDict):
    what: str
    how_many: int


def call(function: Callable[..., Any], **arguments: Any) -> Any:
    """Call `function` as a tool would, with the model's `arguments`."""
    args, kwargs = function_schema(function).arguments(json.dumps(arguments))
    return function(*args, **kwargs)


def properties(schema: FunctionSchema) -> dict[str, Any]:
    found = schema.parameters["properties"]
    assert isinstance(found, dict)
    return found


class TestParameters:
    def test_no_parameters(self) -> None:
        def ping() -> str:
            return "pong"

        schema = function_schema(ping)
        assert schema.parameters == {"type": "object", "properties": {}, "additionalProperties": False}
        assert schema.arguments("") == schema.arguments("{}") == ([], {})

    def test_what_has_a_default_is_not_required(self) -> None:
        def book(city: str, nights: int = 1, late: bool = False) -> Any:
            return city, nights, late

        schema = function_schema(book)
        assert schema.parameters == {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "nights": {"type": "integer", "default": 1},
                "late": {"type": "boolean", "default": False},
            },
            "required": ["city"],
            "additionalProperties": False,
        }
        assert call(book, city="Paris") == ("Paris", 1, False)
        assert call(book, city="Paris", nights=3, late=True) == ("Paris", 3, True)

    def test_optional_is_null_too(self) -> None:
        def book(nights: int | None = None) -> Any:
            return nights

        assert properties(function_schema(book))["nights"] == {
            "anyOf": [{"type": "integer"}, {"type": "null"}],
            "default": None,
        }
        assert call(book, nights=None) is None
        assert call(book, nights=2) == 2

    def test_literals_and_enums_list_their_values(self) -> None:
        def paint(colour: Colour, coat: Literal["thin", "thick"] = "thin") -> Any:
            return colour, coat

        schema = function_schema(paint)
        assert schema.parameters["$defs"]["Colour"] == {"enum": ["red", "blue"], "type": "string"}
        assert properties(schema)["coat"]["enum"] == ["thin", "thick"]
        assert call(paint, colour="red", coat="thick") == (Colour.RED, "thick")
        with pytest.raises(ToolError, match="colour"):
            call(paint, colour="green")

    def test_lists_and_mappings(self) -> None:
        def order(items: list[str], prices: dict[str, float]) -> Any:
            return items, prices

        schema = properties(function_schema(order))
        assert schema["items"] == {"type": "array", "items": {"type": "string"}}
        assert schema["prices"]["additionalProperties"] == {"type": "number"}
        assert call(order, items=["a"], prices={"a": 1.5}) == (["a"], {"a": 1.5})

    def test_models_dataclasses_and_typed_dicts_arrive_as_themselves(self) -> None:
        def host(place: Place, guests: list[Guest], wish: Wish) -> Any:
            return place, guests, wish

        schema = function_schema(host)
        assert set(schema.parameters["$defs"]) == {"Place", "Guest", "Wish"}
        assert schema.parameters["$defs"]["Place"]["description"] == "Somewhere."
        result = call(
            host, place={"city": "Rome"}, guests=[{"name": "Ann", "age": 3}], wish={"what": "tea", "how_many": 2}
        )
        assert result == (Place(city="Rome"), [Guest("Ann", 3)], {"what": "tea", "how_many": 2})

    def test_positional_only(self) -> None:
        def move(x: int, y: int = 5, /, *, speed: int = 1) -> Any:
            return x, y, speed

        assert call(move, x=1) == (1, 5, 1)
        assert call(move, y=2, speed=3, x=1) == (1, 2, 3)

    def test_keyword_arguments_of_any_name_are_an_object(self) -> None:
        def tag(item: str, **tags: int) -> Any:
            return item, tags

        schema = function_schema(tag)
        assert properties(schema)["tags"] == {"type": "object", "additionalProperties": {"type": "integer"}}
        assert schema.parameters["required"] == ["item"]
        assert call(tag, item="a") == ("a", {})
        assert call(tag, item="a", tags={"x": 1}) == ("a", {"x": 1})
        with pytest.raises(ToolError, match="item is given twice"):
            call(tag, item="a", tags={"item": 2})

    def test_without_annotation_anything_goes(self) -> None:
        def echo(value):  # type: ignore[no-untyped-def]
            return value

        assert properties(function_schema(echo))["value"] == {}
        assert call(echo, value=[1, {"a": None}]) == [1, {"a": None}]

    @pytest.mark.parametrize(
        "name", ["copy", "json", "schema", "model_config", "model_fields", "_private", "self_", "p0"]
    )
    def test_any_name_is_good(self, name: str) -> None:
        namespace: dict[str, Any] = {}
        exec(f"def tool(p1: int, {name}: int = 0): return {name}", namespace)
        tool = namespace["tool"]
        assert list(properties(function_schema(tool))) == ["p1", name]
        assert call(tool, **{"p1": 1, name: 7}) == 7

    def test_a_method_has_no_self(self) -> None:
        class Shop:
            def price(self, item: str) -> str:
                return f"{item}: 5"

        assert list(properties(function_schema(Shop().price))) == ["item"]

    def test_no_titles_but_the_users_own(self) -> None:
        def show(title: str, meta: dict[str, str] = {"title": "kept"}) -> None: ...  # noqa: B006

        schema = properties(function_schema(show))
        assert schema["title"] == {"type": "string"}
        assert schema["meta"]["default"] == {"title": "kept"}
        assert "title" not in schema["meta"]


class TestField:
    def test_constraints_in_annotations(self) -> None:
        def dial(volume: Annotated[int, Field(ge=0, le=10, description="How loud.")]) -> Any:
            return volume

        assert properties(function_schema(dial))["volume"] == {
            "type": "integer",
            "minimum": 0,
            "maximum": 10,
            "description": "How loud.",
        }
        with pytest.raises(ToolError, match="volume"):
            call(dial, volume=11)

    def test_a_field_as_the_default(self) -> None:
        def dial(volume: int = Field(3, ge=0, description="How loud.")) -> Any:
            return volume

        assert properties(function_schema(dial))["volume"]["default"] == 3
        assert properties(function_schema(dial))["volume"]["description"] == "How loud."
        assert call(dial) == 3

    def test_its_description_wins_over_the_docstring(self) -> None:
        def dial(volume: Annotated[int, Field(description="From the field.")] = 1, tone: int = 1) -> None:
            """Dial.

            Args:
                volume: From the docstring.
                tone: Also from the docstring.

            """

        schema = properties(function_schema(dial))
        assert schema["volume"]["description"] == "From the field."
        assert schema["tone"]["description"] == "Also from the docstring."

    def test_plain_annotated_text_does_not_hide_the_docstring(self) -> None:
        def dial(volume: Annotated[int, "not a field"]) -> None:
            """Dial.

            :param volume: How loud.
            """

        assert properties(function_schema(dial))["volume"]["description"] == "How loud."


class TestContext:
    def test_comes_first_and_is_no_parameter(self) -> None:
        def tool(context: ToolContext[str], city: str) -> None: ...

        schema = function_schema(tool)
        assert schema.context is ToolContext
        assert list(properties(schema)) == ["city"]

    def test_bare_and_generic(self) -> None:
        def bare(context: RunContextWrapper) -> None: ...  # type: ignore[type-arg]

        def generic(context: RunContextWrapper[int]) -> None: ...

        assert function_schema(bare).context is function_schema(generic).context is RunContextWrapper

    def test_elsewhere_it_is_an_error(self) -> None:
        def tool(city: str, context: ToolContext[str]) -> None: ...

        with pytest.raises(ConfigurationError, match="first parameter, not 'context'"):
            function_schema(tool)


class TestTexts:
    def test_google(self) -> None:
        def tool(city: str, unit: str = "C") -> str:
            """Tell the weather.

            It may be wrong.

            Args:
                city: Where,
                    exactly.
                unit (str): C or F.

            Returns:
                Words.

            """
            return city + unit

        self.check(function_schema(tool), city="Where,\nexactly.")

    def test_numpy(self) -> None:
        def tool(city: str, unit: str = "C") -> str:
            """Tell the weather.

            It may be wrong.

            Parameters
            ----------
            city : str
                Where.
            unit : str
                C or F.

            """
            return city + unit

        self.check(function_schema(tool))

    def test_rest(self) -> None:
        def tool(city: str, unit: str = "C") -> str:
            """Tell the weather.

            It may be wrong.

            :param city: Where.
            :param unit: C or F.
            :returns: Words.
            """
            return city + unit

        self.check(function_schema(tool))

    def check(self, schema: FunctionSchema, city: str = "Where.") -> None:
        assert schema.description == "Tell the weather.\n\nIt may be wrong."
        assert properties(schema)["city"]["description"] == city
        assert properties(schema)["unit"]["description"] == "C or F."

    def test_none(self) -> None:
        def tool(city: str) -> None: ...

        assert function_schema(tool).description == ""
        assert "description" not in properties(function_schema(tool))["city"]

    def test_overrides(self) -> None:
        def tool(city: str) -> None:
            """Doc.

            :param city: Where.
            """

        schema = function_schema(tool, name="other", description="Said otherwise.")
        assert (schema.name, schema.description) == ("other", "Said otherwise.")
        assert properties(schema)["city"]["description"] == "Where."
        bare = function_schema(tool, use_docstring=False)
        assert bare.description == ""
        assert "description" not in properties(bare)["city"]

    @given(st.text())
    def test_any_docstring_will_do(self, text: str) -> None:
        def tool(city: str) -> None: ...

        tool.__doc__ = text
        assert list(properties(function_schema(tool))) == ["city"]


class TestErrors:
    def test_var_positional(self) -> None:
        def tool(*cities: str) -> None: ...

        with pytest.raises(ConfigurationError, match=r"\*cities can't be filled by a model; take a list instead"):
            function_schema(tool)

    def test_unknown_name_in_an_annotation(self) -> None:
        def tool(city: str) -> None: ...

        tool.__annotations__["city"] = "NoSuchType"
        with pytest.raises(ConfigurationError, match="NoSuchType"):
            function_schema(tool)

    @pytest.mark.parametrize("kind", [object(), inspect.Signature, Callable[[], int]])
    def test_types_that_json_can_not_hold(self, kind: Any) -> None:
        def tool(thing: Any) -> None: ...

        tool.__annotations__["thing"] = kind
        with pytest.raises(ConfigurationError, match="tool"):
            function_schema(tool)

    @pytest.mark.parametrize(
        "arguments", ["null", "[]", "3", '"x"', "{", "not json", '{"city": 1}', '{"town": "x"}', "{}"]
    )
    def test_arguments_that_do_not_fit_are_explained_to_the_model(self, arguments: str) -> None:
        def tool(city: str) -> None: ...

        with pytest.raises(ToolError, match=r"^the arguments of tool are not valid: "):
            function_schema(tool).arguments(arguments)

    @given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
    def test_no_arguments_raise_anything_else(self, arguments: str) -> None:
        def tool(city: str = "", count: int = 0) -> None: ...

        schema = function_schema(tool)
        try:
            _, kwargs = schema.arguments(arguments)
        except ToolError:
            return
        assert isinstance(kwargs["city"], str)
        assert isinstance(kwargs["count"], int)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(JSON)
def test_every_value_arrives_as_it_was_sent(value: Any) -> None:
    def tool(value: Any, /, *, again: Any) -> Any:
        return value, again

    assert call(tool, value=value, again=value) == (value, value)
