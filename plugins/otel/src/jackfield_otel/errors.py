"""Errors as attributes: what kind they are of. Their words are content, for they may quote what was said."""

from __future__ import annotations

from jackfield.errors import JackfieldError, ProviderError, TransportError
from jackfield.transport import redact

from .names import ERROR_TYPE, Attributes

__all__ = ["classification_of", "error_attributes", "error_type"]


def error_type(error: BaseException) -> str:
    """Return the provider's code of an error, or else the name of its class."""
    code = error.code if isinstance(error, ProviderError) else None
    return code or type(error).__name__


def classification_of(error: JackfieldError) -> str:
    """Return what an error means for the session; "none" where it isn't about the connection."""
    return error.classification if isinstance(error, TransportError) else "none"


def error_attributes(error: JackfieldError, *, content: bool) -> Attributes:
    """Return the attributes of an `exception` event; its message only with `content`."""
    kind = type(error)
    attributes = {
        ERROR_TYPE: error_type(error),
        "exception.type": f"{kind.__module__}.{kind.__qualname__}",
        "jackfield.error.classification": classification_of(error),
    }
    if error.__cause__ is not None:
        attributes["jackfield.error.cause"] = type(error.__cause__).__name__
    if isinstance(error, ProviderError) and error.param:
        attributes["jackfield.error.param"] = error.param
    if content:
        attributes["exception.message"] = redact(str(error))
    return attributes
