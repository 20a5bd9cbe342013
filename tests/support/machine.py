"""What tests need of the machine that they run on."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

__all__ = ["missing"]


def missing(what: str, remedy: str) -> NoReturn:
    """Skip on a user's machine; where everything must be there, fail."""
    message = f"missing: {what} ({remedy})"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
