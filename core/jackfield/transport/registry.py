"""Transports by name: which are installed, and making one.

Listing reads the metadata of the installed distributions; creating loads the plugin that was chosen and no other.
Nothing here runs while a transport is in use. What a plugin provides is in `hookspecs`, what is known of an installed
one in `installed`, what a transport must be in `layer`.
"""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final, cast

from jackfield.errors import (
    ConfigurationError,
    IncompatibleTransportError,
    RegistryError,
    TransportUnavailableError,
    UnknownTransportError,
)
from jackfield.naming import check_names, nearest_name

from .contract import CONTRACT_VERSION, CONTRACT_VERSIONS, ContractVersion
from .discovery import EntryPointSource, describe_error, entry_points_by_name, installed_entry_points
from .hookspecs import TransportFactory, TransportSpec
from .installed import TransportInfo, TransportState
from .layer import RealtimeTransportLayer

__all__ = [
    "CONTRACT_VERSION",
    "ENTRY_POINT_GROUP",
    "Registry",
    "TransportInfo",
    "TransportSpec",
    "TransportState",
    "available_transports",
    "create_transport",
    "default_registry",
]

ENTRY_POINT_GROUP: Final = "jackfield"
"""The entry-point group that transports are declared in."""

_KNOWN: Final = {
    "websocket": "jackfield",
    "azure": "jackfield",
    "webrtc": "jackfield",
    "sip": "jackfield",
    "gemini": "jackfield-gemini",
}
"""Which distribution brings a transport of that name, for the hint where it isn't installed."""


def available_transports() -> Mapping[str, TransportInfo]:
    """Return the installed transports by name, sorted. It imports no plugin: a `TransportInfo` does when asked."""
    return default_registry().transports


def create_transport(name: str, /, **options: Any) -> RealtimeTransportLayer:
    """Make the transport of that name, not yet connected; `options` are those of its own constructor.

    Raises:
        UnknownTransportError: no installed distribution offers it.
        TransportUnavailableError: an extra is missing, its plugin is broken, or it isn't there yet.
        DuplicateTransportError: two distributions offer it.
        IncompatibleTransportError: it was written for another version of the contract, or isn't a transport.
        ConfigurationError: it has no such option, or a required one is missing.

    """
    return default_registry().create(name, **options)


def default_registry() -> Registry:
    """Return the registry of the distributions that are installed in this interpreter."""
    return _default


class Registry:
    """The transports that `source` declares: by default, those of the installed distributions.

    The metadata is read once, when it is first needed; `refresh` forgets it. `contracts` are the versions of the
    contract that there are.
    """

    def __init__(
        self,
        source: EntryPointSource = installed_entry_points,
        contracts: Mapping[str, ContractVersion] = CONTRACT_VERSIONS,
    ) -> None:
        self._source = source
        self._contracts = contracts
        self._warned: set[str] = set()

    @cached_property
    def transports(self) -> Mapping[str, TransportInfo]:
        """The transports by name, sorted. No plugin is imported."""
        found = entry_points_by_name(self._source, ENTRY_POINT_GROUP)
        return MappingProxyType({name: TransportInfo(points, self._contracts) for name, points in found.items()})

    def refresh(self) -> None:
        """Forget what was read: after a distribution was installed or removed while this process runs."""
        importlib.invalidate_caches()
        self.__dict__.pop("transports", None)

    def create(self, name: str, /, **options: Any) -> RealtimeTransportLayer:
        """Make the transport of that name; see `create_transport`."""
        info = self.transports.get(name)
        if info is None:
            raise UnknownTransportError(_unknown_message(name, self.transports))
        factory = _load_factory(info, info.check())
        self._warn(info)
        _check_options(name, factory, options)
        try:
            transport = factory(**options)
        except RegistryError:
            raise
        except ImportError as error:
            # A transport may import its heavy modules when it is made.
            raise _unavailable(info, f"can't be created: {describe_error(error)}") from error
        _check_members(info, transport)
        return cast("RealtimeTransportLayer", transport)

    def _warn(self, info: TransportInfo) -> None:
        """Warn, once for each transport, of a contract that is deprecated: whoever creates it can do something."""
        if info.notice is not None and info.name not in self._warned:
            self._warned.add(info.name)
            warnings.warn(info.notice, DeprecationWarning, stacklevel=4)


def _load_factory(info: TransportInfo, spec: TransportSpec) -> TransportFactory:
    if callable(spec.factory):
        return spec.factory
    module_name, _, attribute = str(spec.factory).partition(":")
    try:
        found: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (Exception, SystemExit) as error:
        raise _unavailable(info, f"can't be loaded from {spec.factory}: {describe_error(error)}") from error
    if not callable(found):
        raise _unavailable(info, f"can't be created: {spec.factory} is {found!r:.80}, which can't be called")
    return cast("TransportFactory", found)


def _unavailable(info: TransportInfo, what: str) -> TransportUnavailableError:
    return TransportUnavailableError(
        f"transport {info.name!r} of {info.origins[0]} {what}."
        f" Install it with all that it needs: pip install --upgrade '{info.requirement}'"
    )


def _check_options(name: str, factory: TransportFactory, options: Mapping[str, Any]) -> None:
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):
        return  # some callables written in C have none; they complain for themselves
    parameters = signature.parameters.values()
    known = [p.name for p in parameters if p.kind in {p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY}]
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        check_names(f"transport {name!r} has no option", options, known)
    try:
        signature.bind(**options)
    except TypeError as error:
        raise ConfigurationError(f"transport {name!r} can't be created: {error}") from error


def _check_members(info: TransportInfo, made: object) -> None:
    if inspect.iscoroutine(made):
        made.close()  # or it would warn that nobody awaited it
        what = "a coroutine: a factory is a plain function"
    elif isinstance(made, type):
        what = f"the class {made.__name__}, and no instance of it"
    else:
        members = [name for name in vars(RealtimeTransportLayer) if not name.startswith("_")]
        missing = [member for member in members if not _has(made, member)]
        if not missing:
            return
        what = f"a {type(made).__name__} that has no {', '.join(missing)}"
    raise IncompatibleTransportError(
        f"transport {info.name!r} of {info.origins[0]} does not keep the transport contract {CONTRACT_VERSION}:"
        f" its factory makes {what}. Try another version of it: pip install --upgrade '{info.requirement}'"
    )


def _has(transport: object, member: str) -> bool:
    # Without running properties, as far as possible; a proxy finds its members when it is asked for them.
    try:
        inspect.getattr_static(transport, member)
    except AttributeError:
        return hasattr(transport, member)
    return True


def _unknown_message(name: str, installed: Mapping[str, TransportInfo]) -> str:
    if name in _KNOWN:
        return f"transport {name!r} is not installed: pip install {_KNOWN[name]}"
    near = nearest_name(name, {**installed, **_KNOWN})
    if near is None:
        return (
            f"no installed distribution offers a transport {name!r}; there are {', '.join(installed) or 'none'}."
            " Others come with the distributions that offer them: pip install DISTRIBUTION"
        )
    brings = "" if near in installed else f" It comes with: pip install {_KNOWN[near]}"
    return f"there is no transport {name!r}: did you mean {near!r}?{brings}"


_default: Final = Registry()
