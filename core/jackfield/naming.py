"""Names that were given, against names that there are: what was probably meant."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches

from .errors import ConfigurationError

__all__ = ["check_names", "nearest_name"]


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """Return that of `known` which `name` was probably meant to be, whatever its case."""
    folded = {candidate.casefold(): candidate for candidate in known}
    close = get_close_matches(name.casefold(), folded, n=1)
    return folded[close[0]] if close else None


def check_names(what: str, given: Iterable[object], known: Collection[str]) -> None:
    """Raise `ConfigurationError` for the first name that isn't known: "`what` 'pingtimeout': did you mean ...".

    `what` says whose name it is, as in "connect() has no option".
    """
    for name in given:
        if name not in known:
            near = nearest_name(str(name), known)
            hint = f"did you mean {near!r}?" if near else f"known are {', '.join(known) or 'none'}"
            raise ConfigurationError(f"{what} {name!r}: {hint}")
