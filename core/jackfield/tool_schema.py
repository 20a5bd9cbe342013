"""From a Python function to what a model needs of it: a JSON schema, descriptions, and a validator of arguments.

pydantic makes the schema and validates; docstring-parser reads Google, NumPy and reST docstrings.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from attrs import frozen
from docstring_parser import DocstringStyle
from docstring_parser import parse as parse_docstring
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic.fields import FieldInfo

from .errors import ConfigurationError, ToolError
from .run_context import RunContextWrapper, ToolContext

__all__ = ["FunctionSchema", "function_schema", "typed_arguments"]


@frozen
class FunctionSchema:
    """What is known of a function: its texts, its parameters' JSON schema, and how to call it."""

    name: str
    description: str
    parameters: dict[str, Any]
    context: type[RunContextWrapper[Any] | ToolContext[Any]] | None
    """The type of context that the first parameter wants; None where it wants none."""
    _model: type[BaseModel]
    _fields: Mapping[str, str]
    """The model's field for each parameter. Their own names could be those of pydantic's attributes."""
    _positional: tuple[str, ...]
    _rest: str | None

    def arguments(self, arguments_json: str) -> tuple[list[Any], dict[str, Any]]:
        """Return positional and keyword arguments for the JSON object in `arguments_json`.

        Raises `ToolError`, in words that help the model to do better, where they don't fit.
        """
        try:
            parsed = self._model.model_validate_json(arguments_json or "{}")
        except ValidationError as error:
            raise _unfit(self.name, error) from None
        values = {name: getattr(parsed, field) for name, field in self._fields.items()}
        rest = values.pop(self._rest) if self._rest else {}
        positional = [values.pop(name) for name in self._positional]
        if twice := sorted(rest.keys() & values.keys()):
            raise ToolError(f"the arguments of {self.name} are not valid: {', '.join(twice)} is given twice")
        return positional, {**values, **rest}


def function_schema(
    function: Callable[..., Any],
    *,
    name: str | None = None,
    description: str | None = None,
    docstring_style: str | None = None,
    use_docstring: bool = True,
    strict: bool = True,
) -> FunctionSchema:
    """Return the schema of `function`, from its signature and docstring.

    A first parameter annotated with `RunContextWrapper` or `ToolContext` is given that and is no part of the schema.
    `strict` refuses arguments that aren't in it. Raises `ConfigurationError` for parameters that a model can't fill.
    """
    name = str(name or getattr(function, "__name__", type(function).__name__))
    docstring = parse_docstring(inspect.getdoc(function) or "", _style(docstring_style)) if use_docstring else None
    texts = {param.arg_name: param.description or "" for param in docstring.params} if docstring else {}
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        raise ConfigurationError(f"the annotations of {name} can't be resolved: {error}") from error
    parameters = list(inspect.signature(function).parameters.values())
    context = _context_type(hints.get(parameters[0].name)) if parameters else None
    if context is not None:
        parameters = parameters[1:]
    fields: dict[str, Any] = {}
    names: dict[str, str] = {}
    positional: list[str] = []
    rest: str | None = None
    for number, parameter in enumerate(parameters):
        annotation = hints.get(parameter.name, Any)
        if _context_type(annotation) is not None:
            raise ConfigurationError(f"{name}: the context must be the first parameter, not {parameter.name!r}")
        match parameter.kind:
            case inspect.Parameter.VAR_POSITIONAL:
                raise ConfigurationError(f"{name}: *{parameter.name} can't be filled by a model; take a list instead")
            case inspect.Parameter.VAR_KEYWORD:
                rest = parameter.name
                annotation = dict[str, annotation]  # type: ignore[valid-type]
            case inspect.Parameter.POSITIONAL_ONLY:
                positional.append(parameter.name)
        names[parameter.name] = f"p{number}"
        fields[f"p{number}"] = _field(parameter, annotation, texts.get(parameter.name, ""))
    try:
        model = create_model(name, __config__=ConfigDict(extra="forbid" if strict else "ignore"), **fields)
        schema = _without_titles(model.model_json_schema())
    except (PydanticUserError, NameError, TypeError) as error:
        raise ConfigurationError(f"{name} has a parameter of a type that JSON can't hold: {error}") from error
    if description is None:
        description = _summary(docstring) if docstring else ""
    schema.setdefault("properties", {})
    schema.pop("description", None)
    return FunctionSchema(name, description, schema, context, model, names, tuple(positional), rest)


def typed_arguments(name: str, input_type: Any) -> tuple[dict[str, Any], Callable[[str], Any]]:
    """Return the JSON schema of `input_type`, and what makes one of a call's JSON arguments (strictly, or `ToolError`).

    The arguments of a call are an object: what is none gets one around it, with the one key `input`.
    """
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(input_type)
        schema = _without_titles(adapter.json_schema())
        wrapped = schema.get("type") != "object" and "$ref" not in schema
        if wrapped:
            model = create_model(name, __config__=ConfigDict(extra="forbid"), input=(input_type, ...))
            adapter, schema = TypeAdapter(model), _without_titles(model.model_json_schema())
    except (PydanticUserError, PydanticSchemaGenerationError, NameError, TypeError) as error:
        raise ConfigurationError(f"{name}: input_type {input_type!r} is not one that JSON can hold: {error}") from error
    schema.setdefault("additionalProperties", False)

    def parse(arguments: str) -> Any:
        try:
            parsed = adapter.validate_json(arguments or "{}", strict=True)
        except ValidationError as error:
            raise _unfit(name, error) from None
        return parsed.input if wrapped else parsed

    return schema, parse


def _unfit(name: str, error: ValidationError) -> ToolError:
    faults = "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'arguments'}: {fault['msg']}" for fault in error.errors())
    return ToolError(f"the arguments of {name} are not valid: {faults}")


def _style(name: str | None) -> DocstringStyle:
    styles = {
        None: DocstringStyle.AUTO,
        "google": DocstringStyle.GOOGLE,
        "numpy": DocstringStyle.NUMPYDOC,
        "sphinx": DocstringStyle.REST,
    }
    if name not in styles:
        raise ConfigurationError(f"docstring_style={name!r} is not known: give 'google', 'numpy' or 'sphinx'")
    return styles[name]


def _field(parameter: inspect.Parameter, annotation: Any, text: str) -> tuple[Any, Any]:
    """Return a field of the model: what `Field` says, in the annotation or as the default, wins over the docstring."""
    told: dict[str, Any] = {"alias": parameter.name}
    if isinstance(parameter.default, FieldInfo):
        annotation = Annotated[annotation, parameter.default]
    elif parameter.default is not inspect.Parameter.empty:
        told["default"] = parameter.default
    elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
        told["default_factory"] = dict
    infos = [info for info in getattr(annotation, "__metadata__", ()) if isinstance(info, FieldInfo)]
    if text and not any(info.description for info in infos):
        told["description"] = text
    return annotation, Field(**told)


def _summary(docstring: Any) -> str:
    parts = (docstring.short_description, docstring.long_description)
    return "\n\n".join(part for part in parts if part)


def _context_type(annotation: Any) -> type[RunContextWrapper[Any] | ToolContext[Any]] | None:
    origin = typing.get_origin(annotation) or annotation
    if isinstance(origin, type) and issubclass(origin, RunContextWrapper | ToolContext):
        return origin
    return None


def _without_titles(schema: Any) -> Any:
    """Pydantic titles every property with its own name: tokens that tell a model nothing."""
    if isinstance(schema, list):
        return [_without_titles(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    bare: dict[str, Any] = {}
    for key, part in schema.items():
        if key in {"properties", "$defs"}:
            bare[key] = {name: _without_titles(value) for name, value in part.items()}
        elif key in {"default", "const", "enum", "examples"}:
            bare[key] = part  # values, in which a title is the user's own
        elif key != "title":
            bare[key] = _without_titles(part)
    return bare
