"""The one place where audio code asks for numpy, so that it is imported late and its absence is explained."""

from __future__ import annotations

from types import ModuleType

from jackfield.errors import JackfieldError

__all__ = ["MissingAudioDependencyError", "require_numpy"]


class MissingAudioDependencyError(JackfieldError, ImportError):
    """numpy is not installed; the message names the extra that brings it."""


def require_numpy() -> ModuleType:
    """Return the numpy module, importing it on first use.

    Raises `MissingAudioDependencyError` where it isn't installed.
    """
    try:
        import numpy
    except ImportError as error:
        raise MissingAudioDependencyError(
            "Converting audio (G.711, sample rates) needs numpy, which is not installed. "
            "Run: pip install 'jackfield[audio]'"
        ) from error
    return numpy
