"""The checks, by area. A module of tests imports them all, and says on which transport they run."""

from __future__ import annotations

from .capabilities import *  # noqa: F403
from .conversation import *  # noqa: F403
from .failures import *  # noqa: F403
from .interruption import *  # noqa: F403
from .lifecycle import *  # noqa: F403
from .listening import *  # noqa: F403
from .secrets import *  # noqa: F403
from .sending import *  # noqa: F403
from .session import *  # noqa: F403
