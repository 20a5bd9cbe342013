"""Says a tool's output as a sentence: text as it is, JSON as the few words that a person would use for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from jackfield_local.responders.toolbox import name_words

__all__ = ["handed_over_to", "join", "spoken_output"]

_WRAPPERS: Final = ("result", "output", "message", "text", "answer", "response", "value", "data", "summary")
_MOST_ITEMS: Final = 8
_DEEPEST: Final = 4


def spoken_output(output: str) -> str:
    """Return a function's output as something to say."""
    value = _parsed(output)
    if isinstance(value, str):
        return value.strip() or "That is done."
    if value is None:
        return "That is done."
    if isinstance(value, bool):
        return "Yes." if value else "No."
    said = _said(value, 0)
    return _sentence(said) if said else "There is nothing to tell."


def handed_over_to(output: str) -> str | None:
    """Return the agent's name in a handoff's output, which is `{"assistant": name}`; None for any other output."""
    value = _parsed(output)
    if isinstance(value, Mapping) and set(value) == {"assistant"} and isinstance(value["assistant"], str):
        return value["assistant"]
    return None


def join(parts: Sequence[str], last: str = "and") -> str:
    """Return `a, b and c`."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}"


def _parsed(output: str) -> Any:
    try:
        return msgspec.json.decode(output)
    except (msgspec.DecodeError, RecursionError):
        return output


def _said(value: Any, depth: int) -> str:
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return _said_object(value, depth)
    if isinstance(value, list):
        shown = [_said(item, depth + 1) for item in value[:_MOST_ITEMS]] if depth < _DEEPEST else []
        more = [f"{len(value) - len(shown)} more"] if len(value) > len(shown) else []
        said = [item for item in shown if item] + more
        return "; ".join(said) if any(isinstance(item, Mapping | list) for item in value) else join(said)
    if isinstance(value, float):
        return f"{value:g}"
    return str(value).strip()


def _said_object(value: Mapping[str, Any], depth: int) -> str:
    if len(value) == 1:
        (key, inner), *_ = value.items()
        if key.lower() in _WRAPPERS:
            return _said(inner, depth)
    if depth >= _DEEPEST:
        return ""
    facts: list[str] = []
    for key, inner in list(value.items())[:_MOST_ITEMS]:
        said = _said(inner, depth + 1)
        label = " ".join(name_words(key)) or key
        if said and isinstance(inner, Mapping):
            facts.append(f"{label}: {said}")
        elif said and isinstance(inner, list) and len(inner) > 1:
            facts.append(f"the {label} are {said}")
        elif said:
            facts.append(f"the {label} is {said}")
    return join(facts)


def _sentence(text: str) -> str:
    capital = text[:1].upper() + text[1:]
    return capital if capital.endswith((".", "!", "?")) else capital + "."
