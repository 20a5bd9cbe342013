"""All checks, as one module of tests: what `pytest --jackfield-transport NAME` collects."""

from __future__ import annotations

from .checks import *  # noqa: F403
