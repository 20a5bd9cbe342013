"""What a plugin's author writes: the hook, its markers, and the record that describes a transport.

::

    # pyproject.toml                                    # jackfield_pigeon.py
    [project.entry-points.jackfield]                    @hookimpl
    carrier-pigeon = "jackfield_pigeon"                 def jackfield_transports():
                                                            return [TransportSpec(name="carrier-pigeon", ...)]

One entry point is one transport, and the entry point's name is the transport's. The module that it names should import
cheaply: it is loaded when transports are listed. The transport itself is named by an import path, and loaded when it
is created. How plugins are found and checked is `registry`'s business.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeAlias

import pluggy
from attrs import field, frozen, validators

from .capabilities import TransportCapabilities
from .contract import CONTRACT_VERSION

__all__ = ["CONTRACT_VERSION", "TransportFactory", "TransportHooks", "TransportSpec", "hookimpl", "hookspec"]

TransportFactory: TypeAlias = Callable[..., Any]
"""Makes a transport, not yet connected, of the options given to `create_transport`: keyword arguments."""

hookspec = pluggy.HookspecMarker("jackfield")
"""Marks a function as the specification of a hook."""

hookimpl = pluggy.HookimplMarker("jackfield")
"""Marks a plugin's function as its implementation of the hook of the same name."""

_IMPORT_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def _modules(value: Iterable[str]) -> tuple[str, ...]:
    if isinstance(value, str):
        raise ValueError(f"requires={value!r} is one string: give a tuple of module names, ({value!r},)")
    return tuple(value)


def _factory_fits(spec: TransportSpec, _: Any, value: object) -> None:
    if spec.status == "planned" and value is None:
        return
    if isinstance(value, str) and _IMPORT_PATH.fullmatch(value):
        return
    if not callable(value):
        raise ValueError(
            f"the factory of transport {spec.name!r} is {value!r}:"
            ' give a callable, or an import path such as "package.module:Class"'
        )


def _contract_fits(spec: TransportSpec, _: Any, value: object) -> None:
    if not isinstance(value, str) or not re.fullmatch(r"\d+\.\d+", value, re.ASCII):
        raise ValueError(
            f"the contract of transport {spec.name!r} is {value!r}:"
            f' give the version that it was written for, such as "{CONTRACT_VERSION}"'
        )


@frozen(kw_only=True)
class TransportSpec:
    """One transport, as its plugin describes it. Making the record imports nothing."""

    name: str = field(validator=validators.and_(validators.instance_of(str), validators.min_len(1)))
    """The name to choose it by; the same as the entry point's."""

    summary: str = field(validator=validators.instance_of(str))
    """What it is, in half a line, for tables."""

    status: Literal["available", "planned"] = field(
        default="available", validator=validators.in_(("available", "planned"))
    )
    """`planned`: it is listed and can't be created yet."""

    factory: TransportFactory | str | None = field(default=None, validator=_factory_fits)
    """What makes it: a callable, or an import path "package.module:attribute" that is followed when it is created."""

    capabilities: TransportCapabilities = field(validator=validators.instance_of(TransportCapabilities))
    """What it claims to do; the same as the `capabilities` of what the factory makes."""

    requires: tuple[str, ...] = field(default=(), converter=_modules)
    """Modules that must be there ("aiortc", "google.genai"). They are looked for, and not imported."""

    extra: str | None = None
    """The extra of the distribution that brings `requires`; None where the distribution itself does."""

    distribution: str | None = None
    """The distribution to install for it; None: the one that the entry point belongs to."""

    contract: str = field(default="1.0", validator=_contract_fits)
    """The version of the contract that it was written for: `CONTRACT_VERSION` as it was on that day, spelt out.

    The default is the first version, whatever the installed jackfield speaks: what says nothing is old.
    """


class TransportHooks:
    """The hooks that jackfield calls, when transports are listed or created and never while one is running."""

    @hookspec
    def jackfield_transports(self) -> Iterable[TransportSpec]:  # type: ignore[empty-body]
        """Return the transports of this plugin: one for each of its entry points."""
