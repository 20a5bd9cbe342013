"""The versions of the transport contract: which ones this jackfield speaks, and until when.

The table is the policy of `docs/contract-versions.md` in a form that the registry can act on: a plugin says which
version it was written for, and is accepted, accepted with a notice, or refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

from attrs import field, frozen

__all__ = [
    "CONTRACT_VERSION",
    "CONTRACT_VERSIONS",
    "ContractVersion",
    "Deprecation",
    "Support",
    "contract_table",
    "newest",
    "release",
]

Support: TypeAlias = Literal["supported", "deprecated", "refused"]

_NOTICE: Final = timedelta(days=180)
"""How long before it is refused a version is announced as deprecated, at least."""


def _long_enough(deprecation: Deprecation, _: Any, not_before: date) -> None:
    if not_before - deprecation.announced < _NOTICE:
        raise ValueError(f"a contract is deprecated for {_NOTICE.days} days at least, before it is refused")


def _later(deprecation: Deprecation, _: Any, refused_from: str) -> None:
    if release(refused_from) <= release(deprecation.since):
        raise ValueError(f"what jackfield {deprecation.since} deprecates, {refused_from} can't refuse: it isn't later")


@frozen(kw_only=True)
class Deprecation:
    """That a version of the contract ends: since when that is known, and what comes when."""

    since: str
    """The release of jackfield that announced it."""
    announced: date
    """The day of that release."""
    refused_from: str = field(validator=_later)
    """The first release of jackfield that refuses it."""
    not_before: date = field(validator=_long_enough)
    """No such release comes before this day."""
    instead: str
    """What a plugin's author is to do, in a sentence."""


@frozen(kw_only=True)
class ContractVersion:
    """One version of the contract."""

    version: str
    """MAJOR.MINOR."""
    since: str
    """The first release of jackfield that spoke it."""
    changes: str
    """What it brought, in a sentence."""
    deprecation: Deprecation | None = None

    def support(self, running: str | None) -> Support:
        """Return how jackfield `running` (its version, None where nobody knows) takes a plugin of this contract.

        It depends on the release alone: what works today is not refused tomorrow by the same jackfield.
        """
        if self.deprecation is None:
            return "supported"
        if running is not None and release(running) >= release(self.deprecation.refused_from):
            return "refused"
        return "deprecated"


def contract_table(versions: Iterable[ContractVersion]) -> Mapping[str, ContractVersion]:
    """Return a table of versions, by version, the oldest first."""
    return MappingProxyType({one.version: one for one in sorted(versions, key=lambda one: release(one.version))})


def newest(table: Mapping[str, ContractVersion]) -> str:
    """Return the version that a new plugin is written for."""
    return list(table)[-1]


def release(version: str) -> tuple[int, ...]:
    """Return a version's numbers: (1, 2, 0) of "1.2.0rc1+local"; a pre-release counts as the release."""
    match = re.match(r"\d+(\.\d+)*", version, re.ASCII)
    return tuple(map(int, match[0].split("."))) if match else ()


CONTRACT_VERSIONS: Final = contract_table(
    [
        ContractVersion(version="1.0", since="0.1.0", changes="The first one."),
        ContractVersion(
            version="1.1",
            since="0.1.0",
            changes="The capabilities clear_audio, response_overrides and cancel: they say what can't be had.",
        ),
    ]
)
"""Every version that there was, also those that are refused by now."""

CONTRACT_VERSION: Final = newest(CONTRACT_VERSIONS)
"""The version of `RealtimeTransportLayer` and of the hooks that this jackfield speaks, as MAJOR.MINOR.

A new minor version only adds what older plugins can do without; a new major version may break them.
"""
