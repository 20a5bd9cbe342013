"""All checks of the dialect, as one module of tests."""

from __future__ import annotations

from .checks import *  # noqa: F403
