"""One installed transport: who offers it, what its plugin says of it, and what keeps it from being created.

A plugin is loaded when one of these questions needs it, once, and apart from every other plugin.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from importlib.metadata import EntryPoint
from typing import Literal, TypeAlias, cast

import pluggy
from attrs import frozen

from jackfield.errors import (
    DuplicateTransportError,
    IncompatibleTransportError,
    RegistryError,
    TransportUnavailableError,
)

from .contract import CONTRACT_VERSIONS, ContractVersion, newest, release
from .discovery import (
    describe_error,
    distribution_of,
    installed_version,
    load_entry_point,
    missing_modules,
    origin_of,
)
from .hookspecs import TransportHooks, TransportSpec

__all__ = ["TransportInfo", "TransportState"]

TransportState: TypeAlias = Literal["installed", "missing", "planned", "broken", "duplicate", "incompatible"]
"""How a transport is: ready to be created, or why it isn't.

`missing`: a module that it requires isn't there. `planned`: not yet available. `broken`: its plugin fails.
`duplicate`: two distributions offer its name. `incompatible`: written for another version of the contract.
"""


@frozen
class _Problem:
    state: TransportState
    brief: str
    message: str
    error: type[RegistryError] = TransportUnavailableError
    cause: BaseException | None = None


class TransportInfo:
    """One name among the installed transports."""

    def __init__(
        self, entry_points: tuple[EntryPoint, ...], contracts: Mapping[str, ContractVersion] = CONTRACT_VERSIONS
    ) -> None:
        """Describe the transport that `entry_points`, all of one name, declare: one, unless they collide.

        `contracts` are the versions of the contract that there are.
        """
        self._entry_points = entry_points
        self._contracts = contracts
        self.name = entry_points[0].name

    def __repr__(self) -> str:
        return f"<TransportInfo {self.name!r} of {' and '.join(self.origins)}>"

    @property
    def origins(self) -> tuple[str, ...]:
        """The distributions that offer it, with their versions; more than one where they collide."""
        return tuple(map(origin_of, self._entry_points))

    @property
    def distribution(self) -> str | None:
        """The distribution that offers it; None where two do."""
        return distribution_of(self._entry_points[0]) if len(self._entry_points) == 1 else None

    @property
    def version(self) -> str | None:
        """The version of that distribution."""
        dist = self._entry_points[0].dist
        return dist.version if dist is not None and len(self._entry_points) == 1 else None

    @property
    def spec(self) -> TransportSpec | None:
        """What its plugin says of it; None where the plugin can't be loaded."""
        return self._examined[0]

    @property
    def state(self) -> TransportState:
        """Whether it can be created, and if not, why."""
        problem = self._examined[1]
        return "installed" if problem is None else problem.state

    @property
    def installed(self) -> bool:
        """Whether it can be created."""
        return self.state == "installed"

    @property
    def brief(self) -> str:
        """Its state in a few words, for tables."""
        spec, problem = self._examined
        if problem is not None:
            return problem.brief
        return "installed" if spec is None or self.notice is None else f"installed (contract {spec.contract} ends)"

    @property
    def problem(self) -> str | None:
        """Why it can't be created and what to do about it; None where it can."""
        problem = self._examined[1]
        return None if problem is None else problem.message

    @property
    def notice(self) -> str | None:
        """What is to be known of one that can be created: that its contract is deprecated, and what to do."""
        spec, problem = self._examined
        version = self._contract_of(spec) if spec is not None and problem is None else None
        if spec is None or version is None or version.deprecation is None:
            return None
        ending, stale = version.deprecation, self._stale(spec)
        return (
            f"transport {self.name!r} of {self.origins[0]} speaks version {spec.contract} of the transport contract,"
            f" which is deprecated since jackfield {ending.since} ({ending.announced}): jackfield"
            f" {ending.refused_from}, not before {ending.not_before}, will refuse it. Install a newer"
            f" {stale}: pip install --upgrade {stale}. Its author: {ending.instead}"
        )

    @property
    def requirement(self) -> str:
        """What pip is to be given to bring all that it needs: "jackfield[webrtc]"."""
        spec = self._examined[0]
        return _requirement(spec, self.distribution)

    def check(self) -> TransportSpec:
        """Return its spec, or raise what keeps it from being created.

        Raises:
            TransportUnavailableError: an extra is missing, its plugin is broken, or it isn't there yet.
            DuplicateTransportError: two distributions offer it.
            IncompatibleTransportError: it was written for another version of the contract.

        """
        spec, problem = self._examined
        if problem is not None:
            raise problem.error(problem.message) from problem.cause
        return cast("TransportSpec", spec)

    @cached_property
    def _examined(self) -> tuple[TransportSpec | None, _Problem | None]:
        if len(self._entry_points) > 1:
            return None, _duplicate(self.name, self._entry_points)
        try:
            spec = _call_plugin(self._entry_points[0])
        except RegistryError as error:
            return None, self._broken(error)
        return spec, self._incompatible(spec) or self._planned(spec) or self._missing(spec)

    def _broken(self, error: RegistryError) -> _Problem:
        cause = error.__cause__
        return _Problem(
            "broken",
            f"broken: {describe_error(cause) if cause is not None else error}",
            f"transport {self.name!r} can't be used: {error}. Install it anew, or a version that works:"
            f" pip install --upgrade {_requirement(None, self.distribution)}",
            cause=cause,
        )

    def _incompatible(self, spec: TransportSpec) -> _Problem | None:
        version, current = self._contract_of(spec), newest(self._contracts)
        if version is not None and version.deprecation is None:
            return None
        running, stale = installed_version("jackfield"), self._stale(spec)
        if version is not None and version.support(running) != "refused":
            return None
        if version is not None and version.deprecation is not None:
            what = f", which jackfield speaks no more since {version.deprecation.refused_from}"
            fix = f"Install a newer {stale}: pip install --upgrade {_newer(stale, self.version)}"
        elif release(spec.contract) > release(current):
            # A plugin that was written for a newer version may call what this one doesn't have.
            what = ""
            fix = f"Install a newer jackfield: pip install --upgrade {_newer('jackfield', running)}"
        else:
            what = f", which there never was (there are {', '.join(self._contracts)})"
            fix = f"Install a newer {stale}: pip install --upgrade {_newer(stale, self.version)}"
        return _Problem(
            "incompatible",
            f"speaks contract {spec.contract}, not {current}",
            f"transport {self.name!r} of {self.origins[0]} speaks version {spec.contract} of the transport contract"
            f"{what}, and this jackfield speaks {current}. {fix}",
            IncompatibleTransportError,
        )

    def _contract_of(self, spec: TransportSpec) -> ContractVersion | None:
        """Return the version of the contract that a spec names, if there is or was such a one."""
        return self._contracts.get(".".join(map(str, release(spec.contract))))

    def _stale(self, spec: TransportSpec) -> str:
        """Return the distribution whose newer version would speak a newer contract."""
        return _requirement(spec, self.distribution).partition("[")[0]

    def _planned(self, spec: TransportSpec) -> _Problem | None:
        if spec.status != "planned":
            return None
        return _Problem(
            "planned",
            "not yet available",
            f"transport {self.name!r} is planned, and not yet available in {self.origins[0]}."
            f" A later version may bring it: pip install --upgrade '{_requirement(spec, self.distribution)}'",
        )

    def _missing(self, spec: TransportSpec) -> _Problem | None:
        missing = missing_modules(spec.requires)
        if not missing:
            return None
        requirement = _requirement(spec, self.distribution)
        return _Problem(
            "missing",
            f"needs {requirement}",
            f"transport {self.name!r} needs {', '.join(missing)}, which"
            f" {'is' if len(missing) == 1 else 'are'} not installed: pip install '{requirement}'",
        )


def _duplicate(name: str, entry_points: tuple[EntryPoint, ...]) -> _Problem:
    origins = [origin_of(point) for point in entry_points]
    offers = [f"{origin} ({point.value})" for origin, point in zip(origins, entry_points, strict=True)]
    others = {distribution_of(point) for point in entry_points} - {"jackfield", None}
    fix = " or ".join(f"pip uninstall {other}" for other in sorted(map(str, others)))
    return _Problem(
        "duplicate",
        f"offered twice, by {' and '.join(origins)}",
        f"transport {name!r} is offered by {' and by '.join(offers)}, and only one can have the name."
        + (f" Remove what you don't need: {fix}" if fix else ""),
        DuplicateTransportError,
    )


def _call_plugin(entry_point: EntryPoint) -> TransportSpec:
    """Load the plugin, call its hook and return the spec of the entry point's name, or raise `RegistryError`."""
    plugin = load_entry_point(entry_point)
    # A manager for each plugin: neither a bad hook nor a hook wrapper of one reaches another.
    manager = pluggy.PluginManager("jackfield")
    manager.add_hookspecs(TransportHooks)
    where = f"{entry_point.value} of {origin_of(entry_point)}"
    try:
        manager.register(plugin, name=entry_point.name)
        offered = [spec for specs in manager.hook.jackfield_transports() for spec in specs]
    except (Exception, SystemExit) as error:
        raise RegistryError(f"the hook in {where} fails: {describe_error(error)}") from error
    if not manager.hook.jackfield_transports.get_hookimpls():
        raise RegistryError(f"{where} has no function jackfield_transports marked with @hookimpl")
    strangers = [spec for spec in offered if not isinstance(spec, TransportSpec)]
    if strangers:
        raise RegistryError(f"the hook in {where} returns {strangers[0]!r:.80}, which is no TransportSpec")
    named = [spec for spec in offered if spec.name == entry_point.name]
    if len(named) != 1:
        names = ", ".join(repr(spec.name) for spec in offered) or "none"
        raise RegistryError(
            f"the hook in {where} must return one TransportSpec named {entry_point.name!r}, and returns {names}"
        )
    return cast("TransportSpec", named[0])


def _requirement(spec: TransportSpec | None, offered_by: str | None) -> str:
    distribution = (spec and spec.distribution) or offered_by or "the-distribution-that-offers-it"
    return f"{distribution}[{spec.extra}]" if spec and spec.extra else distribution


def _newer(distribution: str, version: str | None) -> str:
    """Return what pip is given for a newer version than this one."""
    return f"'{distribution}>{version.partition('+')[0]}'" if version else distribution
