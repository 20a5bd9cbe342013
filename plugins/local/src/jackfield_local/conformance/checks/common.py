"""A connect that fails, as strictly as it can be told of a transport of ours."""

from __future__ import annotations

import re
from typing import Any

from jackfield.testing.conformance.checks import ends
from jackfield.transport import TransportError
from jackfield_local.conformance.subjects import DialectSubject

__all__ = ["fails"]


async def fails(
    subject: DialectSubject, place: Any, kind: type[TransportError], match: str = "", **options: Any
) -> TransportError:
    """Do as the kit does; prove also that the error is of that very kind, says what is to `match`, and ends well."""
    error = await ends.fails(subject, place, kind, **options)
    assert type(error) is kind
    assert re.search(match, str(error)), str(error)
    assert str(error).rstrip()[-1] not in ":,"
    return error
