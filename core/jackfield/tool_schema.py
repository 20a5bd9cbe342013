"""From a Python function to what a model needs of it: a JSON schema, descriptions, and a validator of arguments.

pydantic makes the schema and validates; docstring-parser reads Google, NumPy and reST docstrings.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from typing import Any

from attrs import frozen
from docstring_parser import parse as parse_docstring
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.fields import FieldInfo

from .errors import ConfigurationError, ToolError
from .run_context import RunContextWrapper, ToolContext

__all__ = ["FunctionSchema", "function_schema"]


@frozen
class FunctionSchema:
    """What is known of a function: its texts, its parameters' JSON schema, and how to call it."""

    name: str
    description: str
    parameters: dict[str, Any]
    takes_context: bool
    _model: type[BaseModel]
    _positional: tuple[str, ...]
    _rest: str | None

    def arguments(self, arguments_json: str) -> tuple[list[Any], dict[str, Any]]:
        """Return positional and keyword arguments for the JSON object in `arguments_json`.

        Raises `ToolError`, in words that help the model to do better, where they don't fit.
        """
        try:
            parsed = self._model.model_validate_json(arguments_json or "{}")
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, fault['loc'])) or 'arguments'}: {fault['msg']}" for fault in error.errors()
            )
            raise ToolError(f"the arguments of {self.name} are not valid: {faults}") from None
        values = {name: getattr(parsed, name) for name in type(parsed).model_fields}
        rest = values.pop(self._rest, {}) if self._rest else {}
        positional = [values.pop(name) for name in self._positional]
        return positional, {**values, **rest}


def function_schema(
    function: Callable[..., Any],
    *,
    name: str | None = None,
    description: str | None = None,
    use_docstring: bool = True,
) -> FunctionSchema:
    """Return the schema of `function`, from its signature and docstring.

    A first parameter annotated with `RunContextWrapper` or `ToolContext` is given the context and is no part of the
    schema. Raises `ConfigurationError` for parameters that a model can't fill.
    """
    name = str(name or getattr(function, "__name__", type(function).__name__))
    docstring = parse_docstring(inspect.getdoc(function) or "") if use_docstring else None
    texts = {param.arg_name: param.description or "" for param in docstring.params} if docstring else {}
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        raise ConfigurationError(f"the annotations of {name} can't be resolved: {error}") from error
    parameters = list(inspect.signature(function).parameters.values())
    takes_context = bool(parameters) and _is_context(hints.get(parameters[0].name))
    if takes_context:
        parameters = parameters[1:]
    fields: dict[str, Any] = {}
    positional: list[str] = []
    rest: str | None = None
    for parameter in parameters:
        annotation = hints.get(parameter.name, Any)
        if _is_context(annotation):
            raise ConfigurationError(f"{name}: the context must be the first parameter, not {parameter.name!r}")
        match parameter.kind:
            case inspect.Parameter.VAR_POSITIONAL:
                raise ConfigurationError(f"{name}: *{parameter.name} can't be filled by a model; take a list instead")
            case inspect.Parameter.VAR_KEYWORD:
                rest = parameter.name
                fields[rest] = (dict[str, annotation], {})  # type: ignore[valid-type]
                continue
            case inspect.Parameter.POSITIONAL_ONLY:
                positional.append(parameter.name)
        fields[parameter.name] = (annotation, _field(parameter, texts.get(parameter.name, "")))
    model = create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
    if description is None:
        description = _summary(docstring) if docstring else ""
    schema = _without_titles(model.model_json_schema())
    schema.setdefault("properties", {})
    schema.pop("description", None)
    return FunctionSchema(name, description, schema, takes_context, model, tuple(positional), rest)


def _field(parameter: inspect.Parameter, text: str) -> Any:
    default = parameter.default
    if isinstance(default, FieldInfo):
        return default
    return Field(... if default is inspect.Parameter.empty else default, description=text or None)


def _summary(docstring: Any) -> str:
    parts = (docstring.short_description, docstring.long_description)
    return "\n\n".join(part for part in parts if part)


def _is_context(annotation: Any) -> bool:
    origin = typing.get_origin(annotation) or annotation
    return isinstance(origin, type) and issubclass(origin, RunContextWrapper | ToolContext)


def _without_titles(schema: Any) -> Any:
    """Pydantic titles every property with its own name: tokens that tell a model nothing."""
    if isinstance(schema, list):
        return [_without_titles(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: _without_titles(value) for name, value in part.items()}
        if key in {"properties", "$defs"} and isinstance(part, dict)
        else _without_titles(part)
        for key, part in schema.items()
        if key != "title"
    }
